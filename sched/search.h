/* SPDX-License-Identifier: MIT */
/*
 * search.h - what a loop does when it is out of work, before it goes to sleep: it looks at the
 * others' queues, and where waits have been short of late, it stays awake for a moment.
 *
 * Problem.    Stealing evens out what is spread unevenly. Done at once and without measure it does
 *             harm: a task that its own loop would have run within a microsecond is moved to cold
 *             caches, and a sleep that is over as soon as it has begun costs a system call or two
 *             here and one at whoever ends it: some 5 us, and where the processor was halted 30.
 * Design.     One round over the others takes only from queues that hold more than one task, since
 *             a single one is next where it is. Then the loop *dozes*: about a microsecond, in
 *             which work of its own may come. Then it takes what there is, the single tasks too:
 *             who still has not run them is held up.
 *             Where the last waits were short it *spins* before it searches: it looks at its own
 *             queues, its poller, and one other loop's queue at a time, until roti_pool.spin_ns
 *             have passed. It is no searcher meanwhile: those must wake another when they find
 *             work, even if it is their own, and that is the wake which a spin is to save.
 * The spin.   Only where the process has two CPUs and no quota. It begins after
 *             ROTI_SHORT_WAITS_MIN waits in a row that were short enough; a spin in vain doubles
 *             that number, up to SHORT_WAITS_MAX, and SPINS_FORGIVEN spins that were not in vain
 *             halve it. So where waits are long, or short by chance, next to nothing is spun. Each
 *             round gives the CPU to whoever else is ready to run on it; when that took long the
 *             spin is over, and counts as three in vain: somebody needs the CPU more.
 * Threads.    The worker's own.
 */
#ifndef ROTI_SEARCH_H
#define ROTI_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

struct roti_worker;

#define ROTI_SPIN_NS INT64_C(50000) /* the default of roti_pool.spin_ns */
#define ROTI_SHORT_WAITS_MIN 3

/* How a loop's waits have been; its own. */
struct roti_waits {
    unsigned short_count; /* waits in a row that were short */
    unsigned needed;      /* so many of them before it spins */
    unsigned paid;        /* spins since `needed` was changed last that found work */
};

static inline void roti_search_init(struct roti_waits *waits)
{
    waits->short_count = 0;
    waits->needed = ROTI_SHORT_WAITS_MIN;
    waits->paid = 0;
}

#ifdef __cplusplus
extern "C" {
#endif

/* Searches, unless as many loops as may do so already. True: there is work in the own queues now,
 * or there may be soon. */
bool roti_search(struct roti_worker *worker);

/* Takes tasks of `victim` into the own ring, a single one only where `singles`. The number taken,
 * 0, or ROTI_STEAL_LOST. On the worker's thread. */
int roti_steal_from(struct roti_worker *worker, struct roti_worker *victim, bool singles);

/* Gives the searcher's token back; the last one that found work wakes one more. */
void roti_search_done(struct roti_worker *worker, bool found);

/* A sleep of so many nanoseconds has ended with work. */
void roti_search_slept(struct roti_worker *worker, int64_t slept_ns);

#ifdef __cplusplus
}
#endif

#endif
