/* SPDX-License-Identifier: MIT */
/*
 * stack.c - classes of stacks, and the caches in front of the pool.
 *
 * Threads. A cache: its owner. All else: any thread.
 */
#include "sched/stack.h"

#include "sched/base/alloc.h"
#include "sched/guard.h"
#include "sched/stack_pool.h"

#include <errno.h>

#define CACHE_SIZE ((size_t)16 << 20) /* bytes of one class that a cache may hold */

/* The class of the least size that holds `size` bytes, or -EINVAL. */
static int class_of(size_t size)
{
    if (size == 0)
        size = ROTI_STACK_SIZE_DEFAULT;
    if (size < ROTI_STACK_SIZE_MIN || size > ROTI_STACK_SIZE_MAX)
        return -EINVAL;
    int bits = 8 * (int)sizeof size - __builtin_clzl(size - 1); /* that size - 1 needs */
    int bits_min = __builtin_ctzl(ROTI_STACK_SIZE_MIN);
    return bits > bits_min ? bits - bits_min : 0;
}

/* How many stacks of a class a cache may hold: 64 of the default size, down to 2 of great ones. */
static unsigned cache_max(unsigned index)
{
    size_t count = CACHE_SIZE / ROTI_STACK_SIZE_MIN >> index;
    return count > ROTI_STACK_CACHE_MAX ? ROTI_STACK_CACHE_MAX : count < 2 ? 2 : (unsigned)count;
}

/* ---- Caches ---- */

void roti_stack_cache_init(struct roti_stack_cache *cache)
{
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++) {
        roti_list_init(&cache->classes[i].list);
        cache->classes[i].count = 0;
    }
}

/* The oldest `count` stacks of a cache go to the pool. */
static void cache_shrink(struct roti_stack_cache *cache, unsigned index, unsigned count)
{
    struct roti_list list;
    roti_list_init(&list);
    for (unsigned i = 0; i < count; i++)
        roti_list_push_back(&list, roti_list_pop_front(&cache->classes[index].list));
    cache->classes[index].count -= count;
    roti_stack_pool_give(index, &list);
}

void roti_stack_cache_drain(struct roti_stack_cache *cache)
{
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++)
        if (cache->classes[i].count != 0)
            cache_shrink(cache, i, cache->classes[i].count);
}

/* A stack of the class from the cache, refilled if need be, or from the pool. */
static int stack_take(struct roti_stack_cache *cache, unsigned index, struct roti_stack **ret_stack)
{
    struct roti_list single;
    unsigned count;
    struct roti_list *list = cache ? &cache->classes[index].list : &single;
    if (cache == NULL)
        roti_list_init(&single);
    if (roti_list_empty(list)) {
        int r = roti_stack_pool_take(index, cache ? cache_max(index) / 2 : 1, list, &count);
        if (r < 0)
            return r;
        if (cache)
            cache->classes[index].count = count;
    }
    struct roti_list *node = list->prev;
    roti_list_remove(node);
    if (cache)
        cache->classes[index].count--;
    *ret_stack = roti_stack_of(node);
    return 0;
}

/* A stack goes to the cache or the pool. */
static void stack_give(struct roti_stack_cache *cache, struct roti_stack *stack)
{
    unsigned index = stack->class_index;
    if (cache == NULL) {
        struct roti_list single;
        roti_list_init(&single);
        roti_list_push_back(&single, &stack->node);
        roti_stack_pool_give(index, &single);
        return;
    }
    roti_list_push_back(&cache->classes[index].list, &stack->node);
    if (++cache->classes[index].count > cache_max(index))
        cache_shrink(cache, index, cache_max(index) / 2);
}

/* ---- Getting and putting ---- */

int roti_stack_get(struct roti_stack_cache *cache, size_t size, struct roti_stack **ret_stack)
{
    int index = class_of(size);
    if (index < 0)
        return index;
    if (!roti_alloc_permitted(roti_stack_class_size((unsigned)index)))
        return -ENOMEM;
    struct roti_stack *stack;
    int r = stack_take(cache, (unsigned)index, &stack);
    if (r < 0)
        return r;
    if (__builtin_expect(!stack->guarded, 0)) {
        size_t guard_size = roti_guard_size();
        r = roti_guard_install(stack->low - guard_size, guard_size);
        if (r < 0) {
            stack_give(cache, stack);
            return r;
        }
        stack->guard_mappings = (uint8_t)r;
        stack->guarded = true;
    }
    stack->owner = NULL;
    roti_notes_stack_used(&stack->notes, stack->low, stack->size);
    *ret_stack = stack;
    return 0;
}

void roti_stack_put(struct roti_stack_cache *cache, struct roti_stack *stack)
{
    stack->owner = NULL;
    roti_notes_stack_unused(&stack->notes, stack->low, stack->size);
    stack_give(cache, stack);
}
