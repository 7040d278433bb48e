/* SPDX-License-Identifier: MIT */
/*
 * stack.h - the stacks that tasks run on: guarded, pooled, and found again by address.
 *
 * A stack comes from the owner's cache, which is refilled from one pool for the process, which maps
 * slabs of many stacks at a time. Its record lies outside of it, so a stack that nobody has run on
 * costs address space only, and a task that is parked near its first frame costs one page.
 *
 * It is promised first and made when it is needed. The promise counts it: there is address space
 * for it, and its guard is paid for. What may still fail then is the kernel, which needs memory for
 * the guard's mark.
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
    uint8_t colour;   /* which cache line of the top page first frames start at */
    bool guarded;     /* the guard is in place; set once, at first use */
    bool warm;        /* it has pages, or may have; user's */
    bool used;        /* since it was last trimmed: nobody knows how deep; user's */
    bool quarantined; /* inaccessible; `owner` is what sched/stack_quarantine.c knows of it */
};

/* What else is done with a stack that its user gives back. */
struct roti_stack_policy {
    bool wipe;                            /* nothing that was on it can be read again */
    struct roti_stack_quarantine *detain; /* NULL, or where it stays inaccessible for a while */
};

/* Unused stacks of one owner (a worker), last in first out, and promises. Owner only; no locks. */
struct roti_stack_cache {
    struct {
        struct roti_list list; /* the newest at the back */
        unsigned max;          /* of stacks and promises together */
        unsigned count;        /* of stacks */
        unsigned low;          /* the least of it since the last trim */
        unsigned promises;     /* of stacks that are in the pool */
    } classes[ROTI_STACK_CLASS_COUNT];
    struct roti_stack_policy policy;
    int64_t trimmed_ns; /* when sched/stack_trim.c last looked at it */
    bool trimming;      /* that has more to do */
};

#ifdef __cplusplus
extern "C" {
#endif

void roti_stack_cache_init(struct roti_stack_cache *cache);

/* The class of the least stacks that have `size` usable bytes (0: the default), or -EINVAL (below
 * the minimum or above the maximum). */
int roti_stack_class(size_t size);

/*
 * Promises a stack of a class. `cache` may be NULL: straight from the pool, for threads that have
 * none. Returns 0, or -ENOMEM (address space, memory, or the budget of mappings where guards need
 * them).
 */
int roti_stack_promise(struct roti_stack_cache *cache, unsigned class_index);

/*
 * Makes a promised stack, the warmest that there is; any thread's cache will do.
 * Returns 0, or -ENOMEM (the kernel has no memory for a guard); the promise holds on then.
 */
int roti_stack_make(struct roti_stack_cache *cache, unsigned class_index,
                    struct roti_stack **ret_stack);

/* Gives a promise back. */
void roti_stack_forgo(struct roti_stack_cache *cache, unsigned class_index);

/* Promises and makes a stack of at least `size` bytes. Returns 0 or the errors of all three. */
int roti_stack_get(struct roti_stack_cache *cache, size_t size, struct roti_stack **ret_stack);

/*
 * Gives a stack back, to any cache or, with NULL, to the pool. Nothing may run on it any more. The
 * cache's policy is applied to it; what that needs of `owner` is read first.
 */
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

/* ---- sched/stack_trim.c ---- */

/*
 * Gives memory back that stacks have not needed for a while, a batch at a time. `now_ns` is the
 * owner's clock. True: there is more to do, so that an idle loop should call again.
 */
bool roti_stack_trim(struct roti_stack_cache *cache, int64_t now_ns);

/* When an idle loop should wake up for the next trim; INT64_MAX: there is nothing to give back. */
int64_t roti_stack_trim_deadline(const struct roti_stack_cache *cache);

/* For tests: the time between two trims, 0 for the default, INT64_MAX for none. Any thread. */
void roti_stack_trim_override(int64_t period_ns);

/* ---- The pool ---- */

/* Stacks promised, in use or in caches. Zero once all are put and all caches drained. */
size_t roti_stack_live_count(void);

/*
 * The stack whose guard or body holds `address`, or NULL; *ret_in_guard says which. The record of
 * one that was never used is all zero.
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
