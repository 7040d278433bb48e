/* SPDX-License-Identifier: MIT */
/*
 * idle.h - which loops sleep, which search, and who is woken for new work.
 *
 * Problem.    Work pushed to one loop must reach an idle one, without waking a loop for every push,
 *             without the last searcher going to sleep just as work arrives, and without all loops
 *             meeting at one lock when many of them are out of work.
 * Design.     A loop is busy, searching, or in the set of sleepers. Whoever publishes work that
 *             others may take wakes one sleeper, but only if nobody searches: a searcher will find
 *             it. A loop that is woken so starts as a searcher, on the waker's account. A searcher
 *             that finds work stops searching, and if it was the last, wakes one more before it
 *             runs the work. One of the loops that are awake may begin to search, half of them
 *             where they are more than three, but never more than ROTI_SEARCHERS_MAX: each look at
 *             a ring moves its cache lines, and with many loops those looks are what limits.
 *             A loop without work joins the sleepers, passes the heavy Dekker function, and looks
 *             once more at its own queues; at everybody's only if nobody searches. Else it leaves
 *             that to the searchers: each of them, when it gives up, joins the sleepers itself, so
 *             that the last one looks at everything.
 *             Loops come and go (sched/pool.h): each joins and leaves by itself, while it is awake.
 *             The counts are one word, changed by read-modify-writes, as most of whoever is out
 *             of work only learns there that it may not search. The set has a lock, for those who
 *             go to sleep, wake, or wake another.
 * Invariants. I1 0 <= searching <= awake <= members; sleeping + awake = members.
 *             I2 A loop is in the set of sleepers from its announcement until it, or the one waker
 *                that picks it, takes it out.
 *             I3 Whoever ends a search without having found work looks at everything before it
 *                sleeps, or sees another searcher.
 * Threads.    All functions: any worker of the pool for itself; roti_idle_pick() any thread.
 */
#ifndef ROTI_IDLE_H
#define ROTI_IDLE_H

#include "sched/base/atomic.h"
#include "sched/base/spin.h"

#define ROTI_IDLE_WORDS 4 /* 256 loops, 64 a word */
#define ROTI_SEARCHERS_MAX 4

struct roti_idle {
    /* members << 48 | searching << 32 | sleeping */
    alignas(ROTI_CACHE_LINE) _Atomic(uint64_t) counts;
    alignas(ROTI_CACHE_LINE) struct roti_spin lock;
    unsigned index_count;               /* above every member's index; under lock */
    unsigned next;                      /* where the last pick left off; under lock */
    uint64_t sleepers[ROTI_IDLE_WORDS]; /* under lock */
};

#ifdef __cplusplus
extern "C" {
#endif

/* With the loops 0 to member_count - 1 as its members. */
void roti_idle_init(struct roti_idle *idle, unsigned member_count);

/* One loop more takes part; one less, which is no searcher. */
void roti_idle_join(struct roti_idle *idle, unsigned index);
void roti_idle_leave(struct roti_idle *idle);

/* After work was published that any loop may take: the index of the sleeper to wake, which is out
 * of the set and counted as searching; -1: nobody needs to be woken. Passes the light Dekker. */
int roti_idle_pick(struct roti_idle *idle);

/* May this loop search? False when as many do as may. */
bool roti_idle_search_begin(struct roti_idle *idle);

/* The search has found work (`found`) or is given up. True: this was the last searcher and it found
 * work, so one more must be woken, by roti_idle_pick(). */
bool roti_idle_search_end(struct roti_idle *idle, bool found);

/* Whether anybody searches. After the announcement and the heavy Dekker function: then it may be
 * left to them to look at everything. */
bool roti_idle_searched(const struct roti_idle *idle);

/* Announces sleep. The caller must then pass the heavy Dekker function and look at every queue. */
void roti_idle_sleep(struct roti_idle *idle, unsigned index);

/* Takes the announcement back. True: a waker had picked this loop, which is a searcher now. */
bool roti_idle_wake(struct roti_idle *idle, unsigned index);

#ifdef __cplusplus
}
#endif

#endif
