/* SPDX-License-Identifier: MIT */
/*
 * sentinel.h - who notices that a loop is blocked, and when nobody needs to look.
 *
 * Problem.    A task that does not suspend keeps its loop. What is ready there can be stolen, but
 *             nobody learns of what becomes ready: its poller tells nobody, its timers do not fire.
 *             Idle loops sleep, so one of them must wake in time and look. And a process in which
 *             all loops sleep must not wake at all.
 * Design.     Each loop counts turns, steps and callbacks for its figures; their sum is its
 *             heartbeat, so that a healthy loop does nothing for this. A look compares the sums
 *             with those of the look before. A loop that is not parked and has not moved for
 *             ROTI_BLOCKED_NS is blocked: whoever looks helps it, and placement avoids it until a
 *             look finds that it has moved.
 *             One look is due at a time, in `due_ns`; whoever moves that on by a compare-and-swap
 *             makes it. A loop that runs does so where it polls anyway, and one that is about to
 *             sleep before it does: it may have taken the tick in a poll after which it did not
 *             read the clock, or with a task that another loop has stolen. Where none looks, a
 *             ticker, one timer that all pollers watch, wakes one loop of those that sleep: the
 *             kernel chooses the sentinel anew at each tick, so there is none to hand over and none
 *             to lose. The first tick comes after ROTI_LOOK_MIN_NS, then twice as long each time up
 *             to ROTI_LOOK_MAX_NS while all heartbeats advance.
 * Rest.       A look that finds all other loops parked, and no step made since the last one, sets
 *             no ticker any more, and marks that in `resting`. A loop that has slept looks at the
 *             mark before it runs anything: a Dekker point, as each side stores and then looks at
 *             what the other has stored.
 * Rejected.   One idle loop that sleeps with a time limit: whenever it wakes for work it must hand
 *             over, which is a wake of another loop for each request of a lightly loaded server. A
 *             thread that looks and wakes a helper: one more hop, and one more thread that must be
 *             scheduled before anything is helped.
 * Invariants. I1 Unless `resting` is marked, and unless somebody is on the way to set it, the
 *                ticker is set, or a loop is about to look.
 *             I2 It is marked by a loop that has run nothing since its sleep, while all others are
 *                parked.
 *             I3 What a look concludes is a hint. To help a loop that is not blocked does no harm.
 * Threads.    All functions: a worker's thread for itself, unless said otherwise.
 */
#ifndef ROTI_SENTINEL_H
#define ROTI_SENTINEL_H

#include "sched/base/atomic.h"

struct roti_pool;
struct roti_worker;

#define ROTI_BLOCKED_NS INT64_C(200000)   /* a loop that has not moved for so long is blocked */
#define ROTI_LOOK_MIN_NS INT64_C(200000)  /* between two looks, at first */
#define ROTI_LOOK_MAX_NS INT64_C(5000000) /* and at last, while all loops move */
#define ROTI_HELP_MAX_NS INT64_C(1000000) /* while one is blocked and gives nothing to do */

struct roti_sentinel {
    alignas(ROTI_CACHE_LINE) _Atomic(bool) resting; /* no ticker is set */
    _Atomic(int64_t) due_ns;                        /* INT64_MAX: nobody ever looks */
    /* ---- whoever looks ---- */
    _Atomic(int64_t) interval_ns; /* until the next look */
    _Atomic(uint64_t) steps;      /* of all loops, at the last look */
    _Atomic(bool) ticked;         /* the last look was made for the ticker */
};

/* What looks have seen of one loop. Part of its worker. */
struct roti_watch {
    alignas(ROTI_CACHE_LINE) _Atomic(uint64_t) heartbeat;
    _Atomic(int64_t) since_ns; /* of the first look that saw it so */
    _Atomic(bool) blocked;     /* any thread reads it */
};

#ifdef __cplusplus
extern "C" {
#endif

/* `looks`: blocked loops are helped. Before the pool's threads exist. */
void roti_sentinel_init(struct roti_pool *pool, bool looks);

/* Looks at the other loops if that is due, and helps those that are blocked. `idle`: this loop has
 * nothing to run, and has run nothing since it slept. */
void roti_sentinel_look(struct roti_worker *self, int64_t now_ns, bool idle);

/* What a loop has done since it began: a sum that stands still while it does not turn, and is
 * never zero. Any thread.
 */
uint64_t roti_sentinel_heartbeat(const struct roti_worker *worker);

/* This loop has slept and is about to run something: ends the rest, the watchdog's too, and looks
 * if that is due. */
void roti_sentinel_rise(struct roti_worker *self);

/* Marks that nobody looks. False: a loop other than this one is awake, and nothing is marked. */
bool roti_sentinel_rest(struct roti_worker *self);

/* `worker`, or if it is blocked the next one that is not: where to place new work. Any thread. */
struct roti_worker *roti_sentinel_avoid_blocked(struct roti_worker *worker);

#ifdef __cplusplus
}
#endif

#endif
