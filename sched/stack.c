/* SPDX-License-Identifier: MIT */
/*
 * stack.c - classes of stacks, and the caches in front of the pool.
 *
 * Threads. A cache: its owner. All else: any thread.
 */
#include "sched/stack.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/stack_pool.h"
#include "sched/stack_quarantine.h"

#include <errno.h>

#define CACHE_SIZE ((size_t)16 << 20) /* bytes of one class that a cache may hold */

int roti_stack_class(size_t size)
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
    *cache = (struct roti_stack_cache){0};
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++) {
        roti_list_init(&cache->classes[i].list);
        cache->classes[i].max = cache_max(i);
    }
}

void roti_stack_cache_shrink(struct roti_stack_cache *cache, unsigned index, unsigned count)
{
    struct roti_list list;
    roti_list_init(&list);
    for (unsigned i = 0; i < count; i++)
        roti_list_push_back(&list, roti_list_pop_front(&cache->classes[index].list));
    cache->classes[index].count -= count;
    if (cache->classes[index].count < cache->classes[index].low)
        cache->classes[index].low = cache->classes[index].count;
    roti_stack_pool_give(index, &list);
}

/* Promises go back to the pool. */
static void return_promises(struct roti_stack_cache *cache, unsigned index, unsigned count)
{
    cache->classes[index].promises -= count;
    roti_stack_pool_unclaim(index, count);
}

void roti_stack_cache_drain(struct roti_stack_cache *cache)
{
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++) {
        if (cache->classes[i].count != 0)
            roti_stack_cache_shrink(cache, i, cache->classes[i].count);
        if (cache->classes[i].promises != 0)
            return_promises(cache, i, cache->classes[i].promises);
    }
}

/* What a cache has got too much of goes back: promises first, as they keep nothing warm. */
static __attribute__((noinline)) void return_surplus(struct roti_stack_cache *cache, unsigned index)
{
    unsigned half = cache->classes[index].max / 2;
    if (cache->classes[index].promises >= half)
        return_promises(cache, index, cache->classes[index].promises);
    else
        roti_stack_cache_shrink(cache, index, half);
}

static inline void bound(struct roti_stack_cache *cache, unsigned index)
{
    unsigned count = cache->classes[index].count + cache->classes[index].promises;
    if (__builtin_expect(count > cache->classes[index].max, 0))
        return_surplus(cache, index);
}

/* Takes stacks from the pool for the caller's promise and for those that the cache has. */
static int refill(struct roti_stack_cache *cache, unsigned index)
{
    struct roti_list *list = &cache->classes[index].list;
    unsigned more = cache->classes[index].max / 2 - 1;
    if (more > cache->classes[index].promises)
        more = cache->classes[index].promises;
    int r = roti_stack_pool_take(index, 1 + more, list);
    if (r < 0 && more > 0) {
        more = 0;
        r = roti_stack_pool_take(index, 1, list);
    }
    if (r < 0)
        return r;
    cache->classes[index].promises -= more;
    cache->classes[index].count = 1 + more;
    return 0;
}

/* ---- Promises ---- */

/* Promises for a cache that has none. The last ones may be those for the stacks that it keeps. */
static int more_promises(struct roti_stack_cache *cache, unsigned index)
{
    int r = roti_stack_pool_claim(index, cache->classes[index].max / 2);
    if (r < 0 && cache->classes[index].count > 0) {
        roti_stack_cache_shrink(cache, index, 1);
        r = roti_stack_pool_claim(index, 1);
    }
    if (r < 0)
        return r;
    cache->classes[index].promises = (unsigned)r;
    return 0;
}

int roti_stack_promise(struct roti_stack_cache *cache, unsigned class_index)
{
    if (!roti_alloc_permitted(roti_stack_class_size(class_index)))
        return -ENOMEM;
    if (cache == NULL) {
        int r = roti_stack_pool_claim(class_index, 1);
        return r < 0 ? r : 0;
    }
    if (__builtin_expect(cache->classes[class_index].promises == 0, 0)) {
        int r = more_promises(cache, class_index);
        if (r < 0)
            return r;
    }
    cache->classes[class_index].promises--;
    return 0;
}

void roti_stack_forgo(struct roti_stack_cache *cache, unsigned class_index)
{
    if (cache == NULL) {
        roti_stack_pool_unclaim(class_index, 1);
        return;
    }
    cache->classes[class_index].promises++;
    bound(cache, class_index);
}

/* A stack for a promise: from the cache, whose own promise for it is the caller's in return; else
 * from the pool. */
static int stack_take(struct roti_stack_cache *cache, unsigned index, struct roti_stack **ret_stack)
{
    struct roti_list single;
    struct roti_list *list = &single;
    if (cache == NULL) {
        roti_list_init(&single);
        int r = roti_stack_pool_take(index, 1, &single);
        if (r < 0)
            return r;
    } else {
        list = &cache->classes[index].list;
        if (roti_list_empty(list)) {
            int r = refill(cache, index);
            if (r < 0)
                return r;
        } else {
            cache->classes[index].promises++;
        }
        if (--cache->classes[index].count < cache->classes[index].low)
            cache->classes[index].low = cache->classes[index].count;
    }
    *ret_stack = roti_stack_of(list->prev);
    roti_list_remove(&(*ret_stack)->node);
    return 0;
}

int roti_stack_make(struct roti_stack_cache *cache, unsigned class_index,
                    struct roti_stack **ret_stack)
{
    struct roti_stack *stack;
    int r = stack_take(cache, class_index, &stack);
    if (__builtin_expect(r < 0, 0))
        return r;
    ROTI_ASSERT(stack->guarded && !stack->quarantined);
    stack->owner = NULL;
    stack->warm = true;
    stack->used = true;
    roti_notes_stack_used(&stack->notes, stack->low, stack->size);
    *ret_stack = stack;
    return 0;
}

int roti_stack_get(struct roti_stack_cache *cache, size_t size, struct roti_stack **ret_stack)
{
    int index = roti_stack_class(size);
    if (index < 0)
        return index;
    int r = roti_stack_promise(cache, (unsigned)index);
    if (r < 0)
        return r;
    r = roti_stack_make(cache, (unsigned)index, ret_stack);
    if (r < 0)
        roti_stack_forgo(cache, (unsigned)index);
    return r;
}

/* ---- Giving back ---- */

void roti_stack_put(struct roti_stack_cache *cache, struct roti_stack *stack)
{
    unsigned index = stack->class_index;
    if (cache == NULL) {
        struct roti_list single;
        stack->owner = NULL;
        roti_notes_stack_unused(&stack->notes, stack->low, stack->size);
        roti_list_init(&single);
        roti_list_push_back(&single, &stack->node);
        roti_stack_pool_give(index, &single);
        return;
    }
    if (__builtin_expect(cache->policy.wipe, 0))
        roti_stack_wipe(stack);
    if (__builtin_expect(cache->policy.detain != NULL, 0)) {
        stack = roti_stack_detain(cache->policy.detain, stack); /* another one comes free */
        if (stack == NULL)
            return;
        index = stack->class_index;
    } else {
        stack->owner = NULL;
        roti_notes_stack_unused(&stack->notes, stack->low, stack->size);
    }
    roti_list_push_back(&cache->classes[index].list, &stack->node);
    cache->classes[index].count++;
    bound(cache, index);
}
