/* SPDX-License-Identifier: MIT */
/*
 * watchdog.h - says which step or callback keeps its loop, and where it is.
 *
 * Problem.    A function that computes or blocks for long in a task delays whatever its loop has
 *             to do. Other loops help (sched/sentinel.h), but the cause should be found, in the
 *             program as it runs for its users; and it must not be looked for among those that
 *             only had no CPU for a while.
 * Design.     A thread of its own looks at the loops' heartbeats (roti_sentinel_heartbeat()), which
 *             they keep anyway; it works where all loops are blocked, or the only one. A loop that
 *             is not parked, and has not moved for `stall_ns`, is stalled. The time that its thread
 *             was ready and had no CPU does not count: the kernel keeps it for each thread. One
 *             stall is told when it has lasted stall_ns, ten times as long, and so on.
 *             Whom it tells decides what becomes of it: loop/stall.c names and folds.
 * Rest.       The thread sleeps while all loops do: as in sched/sentinel.h, by a mark that a loop
 *             which has slept looks at before it runs anything.
 * Limits.     A stall is seen by looks each half of stall_ns: one that is shorter than one and a
 *             half of it may go unseen. In the time before the second look that sees a step, its
 *             loop's thread may have had no CPU, which nobody knows. Time that a hypervisor took
 *             counts.
 * Rejected.   That loops look after each other: nobody would when all are blocked. Two clock
 *             readings a step: they cost more than most steps.
 */
#ifndef ROTI_WATCHDOG_H
#define ROTI_WATCHDOG_H

#include "sched/base/atomic.h"
#include "sched/sample.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

struct rota_task;
struct roti_pool;
struct roti_worker;

/* One stall, when it is told. Valid during the call. */
struct roti_stall {
    struct roti_worker *worker;
    struct rota_task *task; /* NULL: a callback, or the loop itself; the teller's reference */
    int64_t kept_ns;        /* so long so far, the time without a CPU left out */
    int64_t cpu_wait_ns;    /* the time without a CPU */
    bool first;             /* not told before */
    bool over;              /* there is none: the run has ended, and this is the last call */
    enum roti_whereabouts whereabouts;
    int pc_count;
    void *pcs[ROTI_SAMPLE_FRAMES]; /* where it is, innermost first */
};

/* On the watchdog's thread, which looks at nobody meanwhile. False: nobody is to blame. */
typedef bool (*roti_stalled_fn)(const struct roti_stall *stall);

/* What looks have seen of one loop. */
struct roti_stall_watch {
    uint64_t heartbeat;
    int64_t since_ns;     /* of the first look that saw it so */
    bool seen;            /* at work, by the last look */
    uint64_t cpu_wait_ns; /* of the thread, at the second look that saw it so */
    int64_t tell_ns;      /* to be told when it has kept its loop so long; 0: one look so far */
};

struct roti_watchdog {
    _Atomic(bool) resting;  /* the thread sleeps until somebody takes this away */
    _Atomic(bool) stopping; /* it is to end */
    int64_t stall_ns;       /* 0: nobody looks */
    roti_stalled_fn stalled;
    struct roti_stall_watch *watches; /* one a loop; the thread's own */
    sem_t wake;
    pthread_t thread;
};

#ifdef __cplusplus
extern "C" {
#endif

/* Starts the thread, before the pool's other threads exist; nothing where stall_ns is 0. 0, -EAGAIN
 * or -ENOMEM, and nothing is left then. */
int roti_watchdog_start(struct roti_pool *pool);

/* Ends it, after the pool's other threads have ended. */
void roti_watchdog_stop(struct roti_pool *pool);

/* A loop that has slept has found the mark: the thread looks again. Any thread of the pool. */
void roti_watchdog_rouse(struct roti_watchdog *watchdog);

/* Marks that nobody looks. False: a loop is awake, and somebody may have taken the mark away. */
bool roti_watchdog_rest(struct roti_pool *pool);

/* One look at every loop. False: all loops are parked, and nothing has moved since the last look.
 * The thread's, and for tests. */
bool roti_watchdog_look(struct roti_pool *pool, int64_t now_ns);

#ifdef __cplusplus
}
#endif

#endif
