/* SPDX-License-Identifier: MIT */
/*
 * stack_trim.c - memory that stacks do not need any more goes back to the system.
 *
 * Problem.  A burst of tasks leaves its stacks resident, and one deep call leaves its depth. To
 *           give pages back at the end of each task would cost a system call there, and the next
 *           task a fault for each page. A timer that looks after them would wake idle processes.
 * Design.   High-water marks. Caches and the pool are last in, first out, so that what steady load
 *           uses is the top of them. Each notes the least that it had since the last trim: so many,
 *           its oldest, nobody has needed meanwhile. They go one level down: from the cache to the
 *           pool; from the pool's warm stacks to its cold ones, which have no pages.
 *           Of the stacks that stay, those used since the last trim lose what is below their first
 *           pages: how deep a task has been is not known without asking the kernel, and to trim is
 *           to ask.
 *           A loop trims where it polls, which is a system call anyway, or is about to sleep: its
 *           cache once in a period; the pool, a batch of stacks at a time, when no loop has done
 *           that for a period. An idle loop sleeps no longer than to its next trim while there is
 *           anything warm, and without limit after: a few wakes, a period apart, after the last
 *           task has ended, then none, and no free stack is resident.
 * Rejected. MADV_FREE is cheaper, but what is given back so counts as resident until memory is
 *           short, and as used in the limit of a container. To keep a share of those in use warm,
 *           as was done here once, keeps a burst's stacks while its tasks live, and lets the system
 *           call fall to whoever ends a task. To trim once all loops sleep makes each short pause
 *           between two bursts cost all their faults again.
 * Threads.  A cache: its owner. The rest: any.
 */
#include "sched/base/assert.h"
#include "sched/base/atomic.h"
#include "sched/pages.h"
#include "sched/stack_pool.h"

#include <sys/mman.h>

#define TRIM_PERIOD_NS INT64_C(1000000000)
#define FIRST_PAGES_SIZE ((size_t)16 << 10) /* what a trimmed stack keeps */

static _Atomic(int64_t) period_override_ns;
static int64_t pool_trimmed_ns; /* under the pool's lock */
static bool pool_trimming;      /* the same: a trim has stacks left */

static int64_t trim_period(void)
{
    /* [TR1] relaxed: the value stands for itself. */
    int64_t period_ns = roti_load(TR1, relaxed, &period_override_ns);
    return __builtin_expect(period_ns != 0, 0) ? period_ns : TRIM_PERIOD_NS;
}

void roti_stack_trim_override(int64_t period_ns)
{
    /* [TR2] relaxed: as [TR1]. */
    roti_store(TR2, relaxed, &period_override_ns, period_ns);
}

/* Whether a period has passed. A clock that stands so far before the last trim is another one. */
static bool period_over(int64_t trimmed_ns, int64_t now_ns)
{
    int64_t passed_ns = now_ns - trimmed_ns;
    return passed_ns >= trim_period() || -passed_ns >= trim_period();
}

/* ---- Pages ---- */

/* What a stack has below its first pages. */
static size_t deep_size(const struct roti_stack *stack)
{
    return stack->size > FIRST_PAGES_SIZE ? stack->size - FIRST_PAGES_SIZE : 0;
}

/* Gives pages of many stacks back; where that is refused (locked memory), they stay. */
static void discard(const struct iovec *ranges, unsigned count)
{
    if (count > 0)
        (void)roti_pages_advise(ranges, count, MADV_DONTNEED);
}

/* ---- A cache ---- */

/* Used stacks of a cache lose what is below their first pages. */
static void cache_make_shallow(struct roti_stack_cache *cache, unsigned index)
{
    struct iovec ranges[ROTI_PAGES_BATCH];
    struct roti_list *list = &cache->classes[index].list;
    unsigned count = 0;
    for (struct roti_list *node = list->next; node != list; node = node->next) {
        struct roti_stack *stack = roti_stack_of(node);
        if (!stack->used || count == ROTI_PAGES_BATCH)
            continue;
        stack->used = false;
        if (deep_size(stack) > 0)
            ranges[count++] = (struct iovec){stack->low, deep_size(stack)};
    }
    discard(ranges, count);
}

static void cache_trim(struct roti_stack_cache *cache)
{
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++) {
        if (cache->classes[i].low > 0)
            roti_stack_cache_shrink(cache, i, cache->classes[i].low);
        if (cache->classes[i].count > 0)
            cache_make_shallow(cache, i);
        cache->classes[i].low = cache->classes[i].count;
    }
}

/* ---- The pool ---- */

/* The next stack of a class for the trim in hand, or NULL; *ret_whole: it is to lose all its pages.
 * Only as many as nobody has a claim to: the others may be taken at any time. */
static struct roti_stack *next_of(struct roti_stack_class *class, bool *ret_whole)
{
    struct roti_list *list = NULL;
    if (class->claimed_count == class->stack_count)
        return NULL;
    *ret_whole = class->surplus_count > 0;
    if (class->surplus_count > 0) {
        list = !roti_list_empty(&class->shallow) ? &class->shallow : &class->used;
        class->surplus_count--;
    } else if (class->deep_count > 0) {
        list = &class->used;
        class->deep_count--;
    }
    if (list == NULL || roti_list_empty(list))
        return NULL;
    return roti_stack_of(list->next);
}

/* One batch of a class. True: it was one, and there may be more. */
static bool trim_batch(unsigned index)
{
    struct roti_stack *stacks[ROTI_PAGES_BATCH];
    bool whole[ROTI_PAGES_BATCH];
    struct iovec ranges[ROTI_PAGES_BATCH];
    unsigned count = 0;
    unsigned range_count = 0;
    struct roti_stack_class *class = roti_stack_pool_lock(index);
    while (count < ROTI_PAGES_BATCH && (stacks[count] = next_of(class, &whole[count])) != NULL)
        roti_stack_pool_trim_out(class, stacks[count++]);
    roti_stack_pool_unlock();
    if (count == 0)
        return false;

    for (unsigned i = 0; i < count; i++) {
        size_t size = whole[i] ? stacks[i]->size : deep_size(stacks[i]);
        if (size > 0)
            ranges[range_count++] = (struct iovec){stacks[i]->low, size};
    }
    discard(ranges, range_count);
    roti_stack_pool_lock(index);
    for (unsigned i = 0; i < count; i++)
        roti_stack_pool_trim_in(class, stacks[i], !whole[i]);
    roti_stack_pool_unlock();
    return true;
}

/* Begins a trim of the pool if none is in hand and it is time. True: one is in hand. */
static bool pool_begin(int64_t now_ns)
{
    struct roti_stack_class *class = roti_stack_pool_lock(0);
    if (!pool_trimming && period_over(pool_trimmed_ns, now_ns)) {
        pool_trimmed_ns = now_ns;
        pool_trimming = true;
        for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++, class ++) {
            class->surplus_count = class->warm_low;
            class->deep_count = class->warm_count - class->warm_low;
            class->warm_low = class->warm_count - class->warm_low;
        }
    }
    bool trimming = pool_trimming;
    roti_stack_pool_unlock();
    return trimming;
}

/* One batch of the pool. True: there may be more. */
static bool pool_trim(int64_t now_ns)
{
    if (!pool_begin(now_ns))
        return false;
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++)
        if (trim_batch(i))
            return true;
    struct roti_stack_class *class = roti_stack_pool_lock(0);
    pool_trimming = false;
    for (unsigned i = 0; i < ROTI_STACK_CLASS_COUNT; i++, class ++)
        class->warm_low = class->warm_count; /* what was taken out to be trimmed was not needed */
    roti_stack_pool_unlock();
    return false;
}

/* ---- For loops ---- */

bool roti_stack_trim(struct roti_stack_cache *cache, int64_t now_ns)
{
    bool over = period_over(cache->trimmed_ns, now_ns);
    if (__builtin_expect(!over && !cache->trimming, 1))
        return false;
    if (over) {
        cache->trimmed_ns = now_ns;
        cache_trim(cache);
    }
    cache->trimming = pool_trim(now_ns);
    return cache->trimming;
}

int64_t roti_stack_trim_deadline(const struct roti_stack_cache *cache)
{
    bool warm = roti_stack_pool_warm() > 0;
    for (unsigned i = 0; !warm && i < ROTI_STACK_CLASS_COUNT; i++)
        warm = cache->classes[i].count > 0;
    int64_t period_ns = trim_period();
    if (!warm || period_ns > INT64_MAX - cache->trimmed_ns)
        return INT64_MAX;
    return cache->trimmed_ns + period_ns;
}
