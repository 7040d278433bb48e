/* SPDX-License-Identifier: MIT */
/*
 * stack_pool.h - between the caches of stacks and the one pool of the process.
 */
#ifndef ROTI_STACK_POOL_H
#define ROTI_STACK_POOL_H

#include "sched/stack.h"

/* The stacks of one class that nobody has. Under the pool's lock. */
struct roti_stack_class {
    struct roti_list used;    /* as tasks have left them, however deep; the latest at the back */
    struct roti_list shallow; /* trimmed to their first pages; the latest at the back */
    struct roti_list cold;    /* without pages */
    struct roti_slab *fresh;  /* slabs with stacks that are not carved yet */
    size_t warm_count;        /* of the first two */
    size_t warm_low;          /* the least of that since the last trim */
    size_t surplus_count;     /* warm stacks that the trim in hand takes away from the class */
    size_t deep_count;        /* used ones that it has still to look after */
    size_t stack_count;       /* in all slabs */
    size_t claimed_count;     /* promised: to caches, to tasks, and those outside the pool */
    size_t outside_count;     /* in caches and in use */
    size_t guarded_count;     /* stacks that have a guard, wherever they are */
    size_t charged_count;     /* guards that were paid for, where that is needed */
};

static inline size_t roti_stack_class_size(unsigned index)
{
    return ROTI_STACK_SIZE_MIN << index;
}

static inline struct roti_stack *roti_stack_of(struct roti_list *node)
{
    return roti_container_of(node, struct roti_stack, node);
}

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Promises up to `count` stacks of a class, at least one; maps a slab if there are too few. Returns
 * how many, or -ENOMEM: no address space, or no mappings left for their guards.
 */
int roti_stack_pool_claim(unsigned index, unsigned count);

/* Gives promises back that nobody has taken a stack for. */
void roti_stack_pool_unclaim(unsigned index, unsigned count);

/*
 * Adds `count` stacks of a class, which were promised to the caller, to `list`, the warmest at the
 * back, all with guards. Returns 0, or -ENOMEM with nothing taken: the kernel refuses a guard.
 */
int roti_stack_pool_take(unsigned index, unsigned count, struct roti_list *list);

/* Moves all of `list`, stacks of one class, to the pool, and gives back the promises for them. */
void roti_stack_pool_give(unsigned index, struct roti_list *list);

/* ---- For sched/stack_trim.c ---- */

/* The oldest `count` stacks of a cache go to the pool. Owner only. */
void roti_stack_cache_shrink(struct roti_stack_cache *cache, unsigned index, unsigned count);

/* Locks the pool; NULL for an index that is no class. */
struct roti_stack_class *roti_stack_pool_lock(unsigned index);
void roti_stack_pool_unlock(void);

/* Warm stacks in the pool; what another thread changes may be missed. Without the lock. */
size_t roti_stack_pool_warm(void);

/* Takes a stack out of the pool whose pages are to be given back, and puts it in again, with its
 * first pages or without any. Under the lock. */
void roti_stack_pool_trim_out(struct roti_stack_class *stack_class, struct roti_stack *stack);
void roti_stack_pool_trim_in(struct roti_stack_class *stack_class, struct roti_stack *stack,
                             bool warm);

#ifdef __cplusplus
}
#endif

#endif
