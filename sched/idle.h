/* SPDX-License-Identifier: MIT */
/*
 * idle.h - which loops sleep, which search, and who is woken for new work.
 *
 * Problem.    Work pushed to one loop must reach an idle one, without waking a loop for every push,
 *             and without the last searcher going to sleep just as work arrives.
 * Design.     A loop is busy, searching, or in the set of sleepers. Whoever publishes work that
 *             others may take wakes one sleeper, but only if nobody searches: a searcher will find
 *             it. A loop that is woken so starts as a searcher, on the waker's account. A searcher
 *             that finds work stops searching, and if it was the last, wakes one more before it
 *             runs the work. A searcher that finds nothing joins the sleepers, then looks once more
 *             at everything (the heavy Dekker function between), and only then parks. One of the
 *             loops that are awake may begin to search, or half of them where they are more than
 *             three; one that saw work while it was about to park joins in any case.
 * Invariants. I1 0 <= searching <= awake <= loops; sleeping + awake = loops.
 *             I2 A loop is in the set of sleepers from its announcement until it, or the one waker
 *                that picks it, takes it out.
 * Threads.    All functions: any worker of the pool for itself; roti_idle_pick() any thread.
 */
#ifndef ROTI_IDLE_H
#define ROTI_IDLE_H

#include "sched/base/atomic.h"
#include "sched/base/spin.h"

#define ROTI_IDLE_WORDS 4 /* 256 loops, 64 a word */

struct roti_idle {
    alignas(ROTI_CACHE_LINE) _Atomic(uint64_t) counts; /* searching << 32 | sleeping; under lock */
    struct roti_spin lock;
    unsigned worker_count;
    unsigned next;                      /* where the last pick left off; under lock */
    uint64_t sleepers[ROTI_IDLE_WORDS]; /* under lock */
};

#ifdef __cplusplus
extern "C" {
#endif

void roti_idle_init(struct roti_idle *idle, unsigned worker_count);

/* After work was published that any loop may take: the index of the sleeper to wake, which is out
 * of the set and counted as searching; -1: nobody needs to be woken. Passes the light Dekker. */
int roti_idle_pick(struct roti_idle *idle);

/* May this loop search? False when half of those awake do so already. */
bool roti_idle_search_begin(struct roti_idle *idle);

/* Makes this loop a searcher, however many there are: it has seen work. */
void roti_idle_search_join(struct roti_idle *idle);

/* The search has found work (`found`) or is given up. True: this was the last searcher and it found
 * work, so one more must be woken, by roti_idle_pick(). */
bool roti_idle_search_end(struct roti_idle *idle, bool found);

/* Announces sleep. The caller must then pass the heavy Dekker function and look at every queue. */
void roti_idle_sleep(struct roti_idle *idle, unsigned index);

/* Takes the announcement back. True: a waker had picked this loop, which is a searcher now. */
bool roti_idle_wake(struct roti_idle *idle, unsigned index);

#ifdef __cplusplus
}
#endif

#endif
