/* SPDX-License-Identifier: MIT */
/*
 * stack_pool.c - slabs of stacks, the pool that they are in, and the look-up by address.
 *
 *      worker's cache  <-- batches -->  pool of the class  <-- slabs --  address space
 *      (no lock, LIFO)                  (one mutex)                     (mmap)
 *
 * A slab maps many stacks of one class: guard, body, guard, body. Reserving address space without
 * swap accounting makes a slab cheap; huge pages are off, since one would back eight parked stacks
 * in full. The guard is made when a stack is first used, and stays until the slab is unmapped.
 *
 * The pool of a class has two lists. `warm` stacks have pages that were touched and go out first,
 * the latest first. `cold` ones have none: new, or trimmed. Warm stacks above the high-water mark,
 * a quarter of those outside the pool, lose their pages, the oldest first: a burst of deep stacks
 * does not stay resident after it is over.
 *
 * All slabs are in one list, through which a signal handler finds the stack of an address. It is
 * changed under the mutex and read without; a reader is counted, and a slab that was unlinked is
 * unmapped only once the count has been zero.
 *
 * Invariants. I1 a stack is in use, in one cache, or in one list of the pool;
 *             I2 a slab's free_count is its stacks in the pool, and it is unmapped only when that
 *                is all of them;
 *             I3 outside_count is all stacks less those in the pool.
 * Threads.    Any.
 */
#include "sched/stack_pool.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/base/atomic.h"
#include "sched/guard.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(ROTI_SMALL) && ROTI_SMALL
#define SLAB_SIZE ((size_t)4 << 20)
#define SLAB_STACK_COUNT_MAX 8u
#define WARM_COUNT_MIN 4u
#else
#define SLAB_SIZE ((size_t)64 << 20)
#define SLAB_STACK_COUNT_MAX 256u
#define WARM_COUNT_MIN 256u /* warm stacks of a class that are always kept, up to WARM_SIZE */
#endif
#define SLAB_STACK_COUNT_MIN 4u
#define WARM_SIZE ((size_t)64 << 20)
#define COLOUR_COUNT 16u

/* One mapping of stacks of one class. */
struct roti_slab {
    _Atomic(struct roti_slab *) next; /* changed under pool.lock, read by any thread */
    char *base;
    size_t size;   /* of the mapping */
    size_t stride; /* guard and body */
    unsigned stack_count;
    unsigned free_count;       /* under pool.lock */
    struct roti_slab *drained; /* the next one to be unmapped, once unlinked */
    struct roti_stack stacks[];
};

struct stack_class {
    struct roti_list warm; /* the latest at the back */
    struct roti_list cold;
    size_t warm_count;
    size_t outside_count; /* in caches and in use */
};

static struct {
    pthread_mutex_t lock;
    bool ready; /* the lists are initialised */
    struct stack_class classes[ROTI_STACK_CLASS_COUNT];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Atomic(struct roti_slab *) slabs; /* changed under pool.lock, read by any thread */
static _Atomic(unsigned) finder_count;    /* threads that are reading `slabs` */

/* The high-water mark of a class: how many warm stacks may wait in the pool. */
static size_t warm_max(unsigned index)
{
    size_t least = WARM_SIZE / roti_stack_class_size(index);
    size_t quarter = pool.classes[index].outside_count / 4;
    least = least > WARM_COUNT_MIN ? WARM_COUNT_MIN : least;
    return quarter > least ? quarter : least;
}

/* ---- The pool, under its lock ---- */

static void pool_lock(void)
{
    pthread_mutex_lock(&pool.lock);
    if (pool.ready)
        return;
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++) {
        roti_list_init(&pool.classes[i].warm);
        roti_list_init(&pool.classes[i].cold);
        pool.classes[i].warm_count = 0;
        pool.classes[i].outside_count = 0;
    }
    pool.ready = true;
}

static void pool_unlock(void)
{
    pthread_mutex_unlock(&pool.lock);
}

/* A stack enters the pool. */
static void pool_insert(struct roti_stack *stack, bool warm)
{
    struct stack_class *class = &pool.classes[stack->class_index];
    roti_list_push_back(warm ? &class->warm : &class->cold, &stack->node);
    class->warm_count += warm;
    stack->warm = warm;
    ROTI_ASSERT(class->outside_count > 0); /* [I3] */
    class->outside_count--;
    stack->slab->free_count++;
    ROTI_ASSERT(stack->slab->free_count <= stack->slab->stack_count); /* [I2] */
}

/* A stack leaves the pool: the warmest, a cold one, or NULL. */
static struct roti_stack *pool_remove(struct stack_class *class)
{
    struct roti_list *node = NULL;
    if (!roti_list_empty(&class->warm)) {
        node = class->warm.prev;
        roti_list_remove(node);
        class->warm_count--;
    } else {
        node = roti_list_pop_front(&class->cold);
    }
    if (node == NULL)
        return NULL;
    struct roti_stack *stack = roti_stack_of(node);
    class->outside_count++;
    stack->slab->free_count--;
    return stack;
}

/* Moves the oldest warm stacks above the mark to `surplus`; they are outside the pool there. */
static void pool_take_surplus(unsigned index, struct roti_list *surplus)
{
    struct stack_class *class = &pool.classes[index];
    size_t mark = warm_max(index);
    while (class->warm_count > mark) {
        struct roti_list *node = roti_list_pop_front(&class->warm);
        class->warm_count--;
        class->outside_count++;
        roti_stack_of(node)->slab->free_count--;
        roti_list_push_back(surplus, node);
    }
}

/* ---- Slabs ---- */

static size_t slab_record_size(unsigned stack_count)
{
    return sizeof(struct roti_slab) + stack_count * sizeof(struct roti_stack);
}

/* Maps a slab of the class, with every stack described, not yet in any list; or NULL. */
static struct roti_slab *slab_create(unsigned index)
{
    size_t size = roti_stack_class_size(index);
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    size_t guard_size = roti_guard_size();
    size_t count = SLAB_SIZE / size;
    count = count > SLAB_STACK_COUNT_MAX ? SLAB_STACK_COUNT_MAX : count;
    count = count < SLAB_STACK_COUNT_MIN ? SLAB_STACK_COUNT_MIN : count;

    struct roti_slab *slab = roti_zalloc(slab_record_size((unsigned)count));
    if (slab == NULL)
        return NULL;
    /* The least classes may be smaller than a page. */
    slab->stride = guard_size + (size + page_size - 1) / page_size * page_size;
    slab->size = slab->stride * count;
    slab->stack_count = (unsigned)count;
    void *base = MAP_FAILED;
    if (roti_alloc_permitted(slab->size))
        base = mmap(NULL, slab->size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED) {
        roti_free(slab, slab_record_size((unsigned)count));
        return NULL;
    }
    madvise(base, slab->size, MADV_NOHUGEPAGE); /* fails where there are none: as good */
    ROTI_PLAIN_WRITE(&slab->base);
    slab->base = base;
    for (unsigned i = 0; i < slab->stack_count; i++) {
        struct roti_stack *stack = &slab->stacks[i];
        roti_list_init(&stack->node);
        stack->low = slab->base + i * slab->stride + guard_size;
        stack->size = slab->stride - guard_size;
        stack->slab = slab;
        stack->class_index = (uint8_t)index;
        stack->colour = (uint8_t)(i % COLOUR_COUNT);
    }
    return slab;
}

/* Unmaps a slab that nobody can reach any more. */
static void slab_destroy(struct roti_slab *slab)
{
    size_t mapping_count = 0;
    for (unsigned i = 0; i < slab->stack_count; i++) {
        struct roti_stack *stack = &slab->stacks[i];
        roti_notes_stack_unmapped(&stack->notes, stack->low, stack->size);
        mapping_count += stack->guard_mappings;
    }
    munmap(slab->base, slab->size);
    roti_guard_release(mapping_count);
    roti_free(slab, slab_record_size(slab->stack_count));
}

/* Adds a new slab to the list and its stacks to the pool. Under pool.lock. */
static int pool_grow(unsigned index)
{
    struct roti_slab *slab = slab_create(index);
    if (slab == NULL)
        return -ENOMEM;
    pool.classes[index].outside_count += slab->stack_count;
    for (unsigned i = 0; i < slab->stack_count; i++)
        pool_insert(&slab->stacks[i], false);
    /* [K1] relaxed: changed under the lock only. */
    struct roti_slab *first = roti_load(K1, relaxed, &slabs);
    /* [K2] relaxed: published by [K3]. */
    roti_store(K2, relaxed, &slab->next, first);
    /* [K3] release: pairs with [K9]; the fields of this slab, and of those behind it, which are
     * older, are visible to whoever finds it. */
    roti_store(K3, release, &slabs, slab);
    return 0;
}

/* ---- Batches to and from caches ---- */

int roti_stack_pool_take(unsigned index, unsigned count, struct roti_list *list,
                         unsigned *ret_count)
{
    struct stack_class *class = &pool.classes[index];
    struct roti_stack *stack;
    unsigned taken = 0;
    int r = 0;
    pool_lock();
    if (roti_list_empty(&class->warm) && roti_list_empty(&class->cold))
        r = pool_grow(index);
    while (r == 0 && taken < count && (stack = pool_remove(class)) != NULL) {
        roti_list_push_back(list->next, &stack->node); /* in front: the warmest ends up last */
        taken++;
    }
    pool_unlock();
    if (r == 0)
        *ret_count = taken;
    return r;
}

void roti_stack_pool_give(unsigned index, struct roti_list *list)
{
    struct roti_list surplus;
    struct roti_list *node;
    roti_list_init(&surplus);
    pool_lock();
    while ((node = roti_list_pop_front(list)) != NULL)
        pool_insert(roti_stack_of(node), roti_stack_of(node)->guarded);
    pool_take_surplus(index, &surplus);
    pool_unlock();

    if (roti_list_empty(&surplus))
        return;
    for (node = surplus.next; node != &surplus; node = node->next)
        madvise(roti_stack_of(node)->low, roti_stack_of(node)->size, MADV_DONTNEED);
    pool_lock();
    while ((node = roti_list_pop_front(&surplus)) != NULL)
        pool_insert(roti_stack_of(node), false);
    pool_unlock();
}

size_t roti_stack_live_count(void)
{
    size_t count = 0;
    pool_lock();
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++)
        count += pool.classes[i].outside_count;
    pool_unlock();
    return count;
}

/* ---- The end, and the look-up by address ---- */

/* Takes a wholly free slab's stacks out of the pool. Under pool.lock. */
static void pool_forget(struct roti_slab *slab)
{
    for (unsigned i = 0; i < slab->stack_count; i++) {
        struct roti_stack *stack = &slab->stacks[i];
        roti_list_remove(&stack->node);
        pool.classes[stack->class_index].warm_count -= stack->warm;
    }
}

/* Unlinks the slabs that are wholly free; a list of them, by their `drained` field. */
static struct roti_slab *pool_unlink_free(void)
{
    struct roti_slab *drained = NULL;
    _Atomic(struct roti_slab *) *link = &slabs;
    struct roti_slab *slab;
    pool_lock();
    /* [K4] relaxed: changed under the lock only. */
    while ((slab = roti_load(K4, relaxed, link)) != NULL) {
        if (slab->free_count != slab->stack_count) {
            link = &slab->next;
            continue;
        }
        pool_forget(slab);
        /* [K5] relaxed: as [K4]. The slab keeps its link for whoever is reading it. */
        struct roti_slab *next = roti_load(K5, relaxed, &slab->next);
        /* [K6] release: pairs with [K9], as [K3]. */
        roti_store(K6, release, link, next);
        slab->drained = drained;
        drained = slab;
    }
    pool_unlock();
    return drained;
}

void roti_stack_pool_drain(void)
{
    struct roti_slab *drained = pool_unlink_free();
    if (drained == NULL)
        return;
    /* [K7] acq_rel, and a read-modify-write: either it comes after the [K8] of a reader, and waits
     * for its [K10], whose reads are then over; or before it, and then the reader sees [K6]. */
    while (roti_fetch_add(K7, acq_rel, &finder_count, 0) != 0)
        sched_yield();
    while (drained != NULL) {
        struct roti_slab *next = drained->drained;
        slab_destroy(drained);
        drained = next;
    }
}

void roti_stack_pool_forked(void)
{
    pthread_mutex_init(&pool.lock, NULL);
    pool.ready = false;
    /* [K11] relaxed: the child of a fork has one thread. */
    roti_store(K11, relaxed, &finder_count, 0);
    /* [K12] relaxed: as [K11]. */
    for (struct roti_slab *slab = roti_load(K12, relaxed, &slabs); slab != NULL;
         /* [K13] relaxed: as [K11]. */
         slab = roti_load(K13, relaxed, &slab->next))
        slab->free_count = 0; /* and so it is never unmapped */
}

const struct roti_stack *roti_stack_find(const void *address, bool *ret_in_guard)
{
    const struct roti_stack *found = NULL;
    /* [K8] acquire: pairs with [K7]; its order with that decides which of the two sees the other.
     */
    (void)roti_fetch_add(K8, acquire, &finder_count, 1);
    /* [K9] acquire: pairs with [K3] and [K6]. */
    struct roti_slab *slab = roti_load(K9, acquire, &slabs);
    while (slab != NULL && found == NULL) {
        ROTI_PLAIN_READ(&slab->base);
        uintptr_t offset = (uintptr_t)address - (uintptr_t)slab->base;
        if (offset < slab->size) {
            found = &slab->stacks[offset / slab->stride];
            *ret_in_guard = (uintptr_t)address < (uintptr_t)found->low;
        }
        /* [K14] relaxed: what is behind this slab is older, so that [K9] has made it visible. */
        slab = roti_load(K14, relaxed, &slab->next);
    }
    /* [K10] release: pairs with [K7]; the slab may be unmapped from here on. */
    (void)roti_fetch_sub(K10, release, &finder_count, 1);
    return found;
}
