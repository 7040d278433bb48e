/* SPDX-License-Identifier: MIT */
/*
 * stack_pool.h - between the caches of stacks and the one pool of the process.
 */
#ifndef ROTI_STACK_POOL_H
#define ROTI_STACK_POOL_H

#include "sched/stack.h"

static inline size_t roti_stack_class_size(unsigned index)
{
    return ROTI_STACK_SIZE_MIN << index;
}

static inline struct roti_stack *roti_stack_of(struct roti_list *node)
{
    return roti_container_of(node, struct roti_stack, node);
}

/*
 * Adds up to `count` stacks of a class to `list`, at least one, the warmest at the back; maps a
 * slab if there is none. Returns 0 with *ret_count set, or -ENOMEM.
 */
int roti_stack_pool_take(unsigned index, unsigned count, struct roti_list *list,
                         unsigned *ret_count);

/* Moves all of `list`, stacks of one class, to the pool, and trims what is above the mark. */
void roti_stack_pool_give(unsigned index, struct roti_list *list);

#endif
