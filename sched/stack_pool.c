/* SPDX-License-Identifier: MIT */
/*
 * stack_pool.c - the pool of stacks: what is promised, what is taken, what is given back.
 *
 *      worker's cache  <-- batches -->  pool of the class  <-- slabs --  address space
 *      (no lock, LIFO)                  (one mutex)                     (mmap)
 *
 * Problem.  A spawn must be able to say -ENOMEM, but a task that waits for its first step needs no
 *           stack yet: a million queued tasks would hold a page each.
 * Design.   A stack is claimed first, which counts it: address space is there for all that are
 *           claimed, and their guards are paid for. It is taken when it is needed, the warmest
 *           first. Caches hold claims and stacks; with a stack goes the claim for it.
 *           A guard is made when a stack is first taken, for a batch at once, and stays until its
 *           slab is unmapped. Slabs of a class grow with the class, so that a million claims are
 *           some dozen mappings.
 *           What is trimmed when is written in sched/stack_trim.c.
 *
 * Invariants. I1 a stack is in use, in one cache or list of the pool, being trimmed, or not carved;
 *             I2 a slab's free_count is its stacks in the pool, and it is unmapped only when that
 *                is all of them, and the others are enough for what is claimed;
 *             I3 outside_count <= claimed_count <= stack_count: who has a claim finds a stack;
 *             I4 where guards are mappings, guarded_count <= charged_count, since a stack without
 *                a guard is taken only when each that has one is outside.
 * Threads.    Any.
 */
#include "sched/stack_pool.h"

#include "sched/base/assert.h"
#include "sched/guard.h"
#include "sched/pages.h"
#include "sched/stack_slab.h"

#include <errno.h>
#include <pthread.h>

static struct {
    pthread_mutex_t lock;
    bool ready; /* the lists are initialised */
    struct roti_stack_class classes[ROTI_STACK_CLASS_COUNT];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Atomic(size_t) warm_total; /* of all classes; changed under pool.lock, read by any thread */

/* ---- The lists, under the lock ---- */

static void pool_lock(void)
{
    pthread_mutex_lock(&pool.lock);
    if (pool.ready)
        return;
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++) {
        pool.classes[i] = (struct roti_stack_class){0};
        roti_list_init(&pool.classes[i].used);
        roti_list_init(&pool.classes[i].shallow);
        roti_list_init(&pool.classes[i].cold);
    }
    pool.ready = true;
}

struct roti_stack_class *roti_stack_pool_lock(unsigned index)
{
    pool_lock();
    return index < ROTI_STACK_CLASS_COUNT ? &pool.classes[index] : NULL;
}

void roti_stack_pool_unlock(void)
{
    pthread_mutex_unlock(&pool.lock);
}

static void count_warm(struct roti_stack_class *class, size_t change)
{
    class->warm_count += change;
    if (class->warm_count < class->warm_low)
        class->warm_low = class->warm_count;
    /* [K15], [K16] relaxed: changed under the lock only. */
    size_t total = roti_load(K15, relaxed, &warm_total);
    roti_store(K16, relaxed, &warm_total, total + change);
}

size_t roti_stack_pool_warm(void)
{
    /* [K17] relaxed: a hint; who makes a stack warm looks here afterwards itself. */
    return roti_load(K17, relaxed, &warm_total);
}

/* A stack enters the pool. */
static void pool_insert(struct roti_stack_class *class, struct roti_stack *stack)
{
    if (!stack->guarded)
        roti_list_push_back(class->cold.next, &stack->node); /* in front: the last to go, [I4] */
    else
        roti_list_push_back(stack->used   ? &class->used
                            : stack->warm ? &class->shallow
                                          : &class->cold,
                            &stack->node);
    if (stack->warm)
        count_warm(class, 1);
    ROTI_ASSERT(class->outside_count > 0); /* [I3] */
    class->outside_count--;
    stack->slab->free_count++;
    ROTI_ASSERT(stack->slab->free_count <= stack->slab->stack_count); /* [I2] */
}

/* A stack that is in a list leaves the pool. */
static void pool_unlink(struct roti_stack_class *class, struct roti_stack *stack)
{
    roti_list_remove(&stack->node);
    if (stack->warm)
        count_warm(class, (size_t)-1);
    class->outside_count++;
    stack->slab->free_count--;
}

/* A stack that has never been used leaves the pool. There is one, or a claim was not kept. */
static struct roti_stack *pool_carve(struct roti_stack_class *class)
{
    struct roti_slab *slab = class->fresh;
    ROTI_ASSERT(slab != NULL); /* [I3] */
    struct roti_stack *stack = roti_slab_carve(slab);
    if (slab->carved_count == slab->stack_count)
        class->fresh = slab->fresh;
    class->outside_count++;
    slab->free_count--;
    return stack;
}

/* The warmest stack leaves the pool. */
static struct roti_stack *pool_remove(struct roti_stack_class *class)
{
    struct roti_list *list = !roti_list_empty(&class->used)      ? &class->used
                             : !roti_list_empty(&class->shallow) ? &class->shallow
                                                                 : &class->cold;
    if (roti_list_empty(list))
        return pool_carve(class);
    struct roti_stack *stack = roti_stack_of(list->prev);
    pool_unlink(class, stack);
    return stack;
}

void roti_stack_pool_trim_out(struct roti_stack_class *class, struct roti_stack *stack)
{
    pool_unlink(class, stack);
    class->claimed_count++;
}

void roti_stack_pool_trim_in(struct roti_stack_class *class, struct roti_stack *stack, bool warm)
{
    stack->used = false;
    stack->warm = warm;
    pool_insert(class, stack);
    class->claimed_count--;
}

/* ---- Claims ---- */

/* Adds a slab to the class: as great as all of it, and less where that cannot be had. */
static int pool_grow(unsigned index)
{
    struct roti_stack_class *class = &pool.classes[index];
    size_t min = roti_slab_count_min(index);
    size_t max = roti_slab_count_max(index);
    size_t count = class->stack_count > max ? max : class->stack_count;
    struct roti_slab *slab = NULL;
    for (; slab == NULL && count > min; count /= 2)
        slab = roti_slab_create(index, (unsigned)count);
    if (slab == NULL)
        slab = roti_slab_create(index, (unsigned)min);
    if (slab == NULL)
        return -ENOMEM;
    slab->fresh = class->fresh;
    class->fresh = slab;
    class->stack_count += slab->stack_count;
    roti_slab_publish(slab);
    return 0;
}

/* Sees to it that guards are paid for so many claims, where they must be. */
static int pool_charge(struct roti_stack_class *class, size_t claimed_count)
{
    if (claimed_count <= class->charged_count)
        return 0;
    int r = roti_guard_charge(claimed_count - class->charged_count);
    if (r > 0)
        class->charged_count += (size_t)r;
    return r < 0 ? r : 0;
}

int roti_stack_pool_claim(unsigned index, unsigned count)
{
    struct roti_stack_class *class = &pool.classes[index];
    int r = 0;
    pool_lock();
    if (class->stack_count - class->claimed_count < count)
        r = pool_grow(index);
    size_t left = class->stack_count - class->claimed_count;
    if (left > 0) {
        count = left < count ? (unsigned)left : count;
        r = pool_charge(class, class->claimed_count + count);
        if (r < 0 && count > 1) {
            count = 1;
            r = pool_charge(class, class->claimed_count + 1);
        }
    }
    if (r == 0)
        class->claimed_count += count;
    roti_stack_pool_unlock();
    return r < 0 ? r : (int)count;
}

void roti_stack_pool_unclaim(unsigned index, unsigned count)
{
    struct roti_stack_class *class = &pool.classes[index];
    pool_lock();
    class->claimed_count -= count;
    ROTI_ASSERT(class->outside_count <= class->claimed_count); /* [I3] */
    roti_stack_pool_unlock();
}

/* ---- Guards ---- */

/* Pays for all that is claimed, because guards have turned out to be mappings. */
static int pay_late(unsigned index)
{
    pool_lock();
    int r = pool_charge(&pool.classes[index], pool.classes[index].claimed_count);
    roti_stack_pool_unlock();
    return r;
}

/* Makes the guards of `count` stacks that have none. Without the lock: they are the caller's. */
static int make_guards(unsigned index, struct roti_stack *const *stacks, unsigned count)
{
    struct iovec guards[ROTI_PAGES_BATCH];
    size_t size = roti_guard_size();
    for (unsigned i = 0; i < count; i++)
        guards[i] = (struct iovec){stacks[i]->low - size, size};
    int r = roti_guard_install(guards, count);
    if (r == -EAGAIN)
        r = pay_late(index) < 0 ? -ENOMEM : roti_guard_install(guards, count);
    for (unsigned i = 0; r == 0 && i < count; i++)
        stacks[i]->guarded = true;
    return r;
}

/* Those of a list that need a guard get one, and are counted. */
static int guard_all(unsigned index, struct roti_list *list)
{
    struct roti_stack *bare[ROTI_PAGES_BATCH];
    unsigned count = 0;
    for (struct roti_list *node = list->next; node != list; node = node->next)
        if (!roti_stack_of(node)->guarded)
            bare[count++] = roti_stack_of(node);
    if (__builtin_expect(count == 0, 1))
        return 0;
    int r = make_guards(index, bare, count);
    if (r < 0)
        return r;
    pool_lock();
    pool.classes[index].guarded_count += count;
    for (unsigned i = 0; i < count; i++)
        bare[i]->slab->guarded_count++;
    roti_stack_pool_unlock();
    return 0;
}

/* ---- Batches to and from caches ---- */

/* Stacks go back; their claims go too, or stay. */
static void give(unsigned index, struct roti_list *list, bool claims)
{
    struct roti_stack_class *class = &pool.classes[index];
    struct roti_list *node;
    pool_lock();
    while ((node = roti_list_pop_front(list)) != NULL) {
        pool_insert(class, roti_stack_of(node));
        class->claimed_count -= claims;
    }
    roti_stack_pool_unlock();
}

int roti_stack_pool_take(unsigned index, unsigned count, struct roti_list *list)
{
    struct roti_list taken;
    struct roti_list *node;
    ROTI_ASSERT(count <= ROTI_PAGES_BATCH);
    roti_list_init(&taken);
    pool_lock();
    for (unsigned i = 0; i < count; i++)
        roti_list_push_back(taken.next, &pool_remove(&pool.classes[index])->node);
    roti_stack_pool_unlock();
    int r = guard_all(index, &taken);
    if (r < 0) {
        give(index, &taken, false);
        return r;
    }
    while ((node = roti_list_pop_front(&taken)) != NULL) /* the warmest ends up last */
        roti_list_push_back(list, node);
    return 0;
}

void roti_stack_pool_give(unsigned index, struct roti_list *list)
{
    give(index, list, true);
}

size_t roti_stack_live_count(void)
{
    size_t count = 0;
    pool_lock();
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++)
        count += pool.classes[i].claimed_count;
    roti_stack_pool_unlock();
    return count;
}

/* ---- The end ---- */

/* Takes a slab that is not all carved out of its class's list of them. */
static void forget_fresh(struct roti_stack_class *class, struct roti_slab *slab)
{
    for (struct roti_slab **link = &class->fresh; *link != NULL; link = &(*link)->fresh)
        if (*link == slab) {
            *link = slab->fresh;
            return;
        }
}

/* Whether a slab is wholly free and not needed for what is promised; its stacks leave the pool
 * then. Under the lock. */
static bool forget_free(struct roti_slab *slab)
{
    struct roti_stack_class *class = &pool.classes[slab->class_index];
    if (slab->free_count != slab->stack_count ||
        class->stack_count - class->claimed_count < slab->stack_count)
        return false; /* [I2] */
    for (unsigned i = 0; i < slab->carved_count; i++) {
        roti_list_remove(&slab->stacks[i].node);
        if (slab->stacks[i].warm)
            count_warm(class, (size_t)-1);
    }
    forget_fresh(class, slab);
    class->stack_count -= slab->stack_count;
    class->guarded_count -= slab->guarded_count;
    return true;
}

/* Gives back what was paid for guards that are unmapped. */
static void refund(void)
{
    pool_lock();
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++) {
        struct roti_stack_class *class = &pool.classes[i];
        size_t needed = class->claimed_count > class->guarded_count ? class->claimed_count
                                                                    : class->guarded_count;
        if (needed < class->charged_count) {
            roti_guard_release(class->charged_count - needed);
            class->charged_count = needed;
        }
    }
    roti_stack_pool_unlock();
}

void roti_stack_pool_drain(void)
{
    pool_lock();
    struct roti_slab *drained = roti_slabs_unlink(forget_free);
    roti_stack_pool_unlock();
    roti_slabs_destroy(drained);
    refund();
}

void roti_stack_pool_forked(void)
{
    pthread_mutex_init(&pool.lock, NULL);
    pool.ready = false;
    /* [K18] relaxed: the child of a fork has one thread. */
    roti_store(K18, relaxed, &warm_total, (size_t)0);
    roti_slabs_forked();
}
