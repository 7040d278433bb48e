/* SPDX-License-Identifier: MIT */
/*
 * stack_slab.c - slabs of stacks, and the look-up by address. The essay is in the header.
 */
#include "sched/stack_slab.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/guard.h"
#include "sched/pages.h"
#include "sched/stack_pool.h"

#include <sched.h>
#include <unistd.h>

#if defined(ROTI_SMALL) && ROTI_SMALL
#define SLAB_SIZE ((size_t)4 << 20)
#define SLAB_SIZE_MAX ((size_t)8 << 20)
#define SLAB_STACK_COUNT_MAX 8u
#else
#define SLAB_SIZE ((size_t)64 << 20)
#define SLAB_SIZE_MAX ((size_t)4 << 30)
#define SLAB_STACK_COUNT_MAX 256u
#endif
#define SLAB_STACK_COUNT_MIN 4u
#define COLOUR_COUNT 16u

static _Atomic(struct roti_slab *) slabs; /* changed under the pool's lock, read by any thread */
static _Atomic(unsigned) finder_count;    /* threads that are reading `slabs` */

/* ---- Making and unmaking ---- */

unsigned roti_slab_count_min(unsigned class_index)
{
    size_t count = SLAB_SIZE / roti_stack_class_size(class_index);
    count = count > SLAB_STACK_COUNT_MAX ? SLAB_STACK_COUNT_MAX : count;
    return count < SLAB_STACK_COUNT_MIN ? SLAB_STACK_COUNT_MIN : (unsigned)count;
}

unsigned roti_slab_count_max(unsigned class_index)
{
    size_t count = SLAB_SIZE_MAX / SLAB_SIZE * SLAB_STACK_COUNT_MAX;
    size_t fitting = SLAB_SIZE_MAX / roti_stack_class_size(class_index);
    count = count > fitting ? fitting : count;
    return count < SLAB_STACK_COUNT_MIN ? SLAB_STACK_COUNT_MIN : (unsigned)count;
}

static size_t record_size(unsigned stack_count)
{
    return sizeof(struct roti_slab) + stack_count * sizeof(struct roti_stack);
}

struct roti_slab *roti_slab_create(unsigned class_index, unsigned stack_count)
{
    size_t size = roti_stack_class_size(class_index);
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    struct roti_slab *slab = roti_zalloc(record_size(stack_count));
    if (slab == NULL)
        return NULL;
    slab->guard_size = roti_guard_size();
    /* The least classes may be smaller than a page. */
    slab->stride = slab->guard_size + (size + page_size - 1) / page_size * page_size;
    slab->size = slab->stride * stack_count;
    slab->stack_count = stack_count;
    slab->free_count = stack_count;
    slab->class_index = class_index;
    char *base = roti_alloc_permitted(slab->size) ? roti_pages_reserve(slab->size) : NULL;
    if (base == NULL) {
        roti_free(slab, record_size(stack_count));
        return NULL;
    }
    ROTI_PLAIN_WRITE(&slab->base);
    slab->base = base;
    return slab;
}

struct roti_stack *roti_slab_carve(struct roti_slab *slab)
{
    unsigned i = slab->carved_count++;
    struct roti_stack *stack = &slab->stacks[i];
    ROTI_ASSERT(i < slab->stack_count);
    roti_list_init(&stack->node);
    stack->low = slab->base + i * slab->stride + slab->guard_size;
    stack->size = slab->stride - slab->guard_size;
    stack->slab = slab;
    stack->class_index = (uint8_t)slab->class_index;
    stack->colour = (uint8_t)(i % COLOUR_COUNT);
    return stack;
}

/* Unmaps a slab that nobody can reach any more. */
static void slab_destroy(struct roti_slab *slab)
{
    for (unsigned i = 0; i < slab->carved_count; i++) {
        struct roti_stack *stack = &slab->stacks[i];
        roti_notes_stack_unmapped(&stack->notes, stack->low, stack->size);
    }
    roti_pages_unmap(slab->base, slab->size);
    roti_free(slab, record_size(slab->stack_count));
}

/* ---- The list, under the pool's lock ---- */

void roti_slab_publish(struct roti_slab *slab)
{
    /* [K1] relaxed: changed under the lock only. */
    struct roti_slab *first = roti_load(K1, relaxed, &slabs);
    /* [K2] relaxed: published by [K3]. */
    roti_store(K2, relaxed, &slab->next, first);
    /* [K3] release: pairs with [K9]; the fields of this slab, and of those behind it, which are
     * older, are visible to whoever finds it. */
    roti_store(K3, release, &slabs, slab);
}

struct roti_slab *roti_slabs_unlink(bool (*may)(struct roti_slab *slab))
{
    struct roti_slab *drained = NULL;
    _Atomic(struct roti_slab *) *link = &slabs;
    struct roti_slab *slab;
    /* [K4] relaxed: changed under the lock only. */
    while ((slab = roti_load(K4, relaxed, link)) != NULL) {
        if (!may(slab)) {
            link = &slab->next;
            continue;
        }
        /* [K5] relaxed: as [K4]. The slab keeps its link for whoever is reading it. */
        struct roti_slab *next = roti_load(K5, relaxed, &slab->next);
        /* [K6] release: pairs with [K9], as [K3]. */
        roti_store(K6, release, link, next);
        slab->drained = drained;
        drained = slab;
    }
    return drained;
}

void roti_slabs_forked(void)
{
    /* [K11] relaxed: the child of a fork has one thread. */
    roti_store(K11, relaxed, &finder_count, 0);
    /* [K12] relaxed: as [K11]. */
    for (struct roti_slab *slab = roti_load(K12, relaxed, &slabs); slab != NULL;
         /* [K13] relaxed: as [K11]. */
         slab = roti_load(K13, relaxed, &slab->next))
        slab->free_count = 0; /* and so it is never unmapped */
}

/* ---- Without the lock ---- */

void roti_slabs_destroy(struct roti_slab *drained)
{
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
            *ret_in_guard = offset % slab->stride < slab->guard_size;
        }
        /* [K14] relaxed: what is behind this slab is older, so that [K9] has made it visible. */
        slab = roti_load(K14, relaxed, &slab->next);
    }
    /* [K10] release: pairs with [K7]; the slab may be unmapped from here on. */
    (void)roti_fetch_sub(K10, release, &finder_count, 1);
    return found;
}
