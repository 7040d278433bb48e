/* SPDX-License-Identifier: MIT */
/*
 * stack.h - the stacks that tasks run on: guarded, pooled, and found again by address.
 *
 * A stack comes from the owner's cache, which is refilled from one pool for the process, which maps
 * slabs of many stacks at a time. Its record lies outside of it, so a stack that nobody has run on
 * costs address space only, and a task that is parked near its first frame costs one page.
 */
#ifndef ROTI_STACK_H
#define ROTI_STACK_H

#include "sched/base/list.h"
#include "sched/sanitizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROTI_STACK_SIZE_MIN ((size_t)16 << 10)
#define ROTI_STACK_SIZE_DEFAULT ((size_t)256 << 10)
#define ROTI_STACK_SIZE_MAX ((size_t)64 << 20)
#define ROTI_STACK_CLASS_COUNT 13 /* the powers of two from the least size to the greatest */

/* Stacks of one class in one cache; fewer of the large classes. */
#if defined(ROTI_SMALL) && ROTI_SMALL
#define ROTI_STACK_CACHE_MAX 4
#else
#define ROTI_STACK_CACHE_MAX 64
#endif

struct roti_slab;

/* One stack. Its fields are fixed while its slab is mapped, unless said otherwise. */
struct roti_stack {
    struct roti_list node;         /* of a cache or of the pool; while unused */
    char *low;                     /* the lowest usable byte, just above the guard */
    size_t size;                   /* usable bytes from there: the size of its class */
    void *owner;                   /* the user's: the task that runs here, for reports */
    struct roti_slab *slab;        /* the mapping that it is part of */
    struct roti_stack_notes notes; /* the sanitizers'; for the stack's user */
    uint8_t class_index;
    uint8_t colour;         /* which cache line of the top page first frames start at */
    bool warm;              /* in the pool: in which of its lists */
    bool guarded;           /* the guard is in place; set once, at first use */
    uint8_t guard_mappings; /* what roti_guard_release() gets back for it */
};

/* Unused stacks of one owner (a worker), last in first out. Owner only; no locks. */
struct roti_stack_cache {
    struct {
        struct roti_list list; /* the newest at the back */
        unsigned count;
    } classes[ROTI_STACK_CLASS_COUNT];
};

#ifdef __cplusplus
extern "C" {
#endif

void roti_stack_cache_init(struct roti_stack_cache *cache);

/*
 * A stack of at least `size` usable bytes (0: the default), rounded up to a power of two.
 * `cache` may be NULL: straight from the pool, for threads that have none.
 * Returns 0, -EINVAL (size below the minimum or above the maximum), or -ENOMEM (address space,
 * memory, or the budget of mappings where guards need them).
 */
int roti_stack_get(struct roti_stack_cache *cache, size_t size, struct roti_stack **ret_stack);

/* Gives a stack back, to any cache or, with NULL, to the pool. Nothing may run on it any more. */
void roti_stack_put(struct roti_stack_cache *cache, struct roti_stack *stack);

/* Gives all of a cache to the pool; the cache is empty and usable afterwards. */
void roti_stack_cache_drain(struct roti_stack_cache *cache);

/*
 * Unmaps every slab whose stacks are all in the pool: with no stack in use and every cache
 * drained, nothing stays mapped. For the end of the last runtime; safe at any time.
 */
void roti_stack_pool_drain(void);

/*
 * In the child of a fork: forgets all stacks (what other threads had half done cannot be trusted),
 * leaving them mapped, as the caller may be running on one. Caches of before must not be used.
 */
void roti_stack_pool_forked(void);

/* Stacks outside the pool: in use or in a cache. Zero once all are put and all caches drained. */
size_t roti_stack_live_count(void);

/*
 * The stack whose guard or body holds `address`, or NULL; *ret_in_guard says which.
 * Safe in a signal handler, on any thread.
 */
const struct roti_stack *roti_stack_find(const void *address, bool *ret_in_guard);

/* Where arguments and first frames begin: 16-byte aligned, in the top page, coloured by slot. */
static inline char *roti_stack_top(const struct roti_stack *stack)
{
    return stack->low + stack->size - (size_t)stack->colour * 64;
}

#ifdef __cplusplus
}
#endif

#endif
