/* SPDX-License-Identifier: MIT */
/*
 * loops.h - how many loops a runtime has: at its begin, on request, and as the CPUs change.
 *
 * Problem. A container's limit may be changed while it runs, and so may the affinity mask. Nothing
 *          tells of it, and an idle process must not wake to look.
 * Design.  A loop that is awake and has looked at the clock anyway asks here at most once a second.
 *          One of all loops starts a task of the runtime's own then, which reads what the process
 *          may use and adds or retires loops by the protocol of sched/pool.h.
 * Threads. Each function says. What a change needs is under the mutex of sched/fork.h.
 */
#ifndef ROTI_LOOPS_H
#define ROTI_LOOPS_H

#include "loop/cpus.h"
#include "sched/base/atomic.h"

struct rota_run_opts;
struct rota_runtime;

struct roti_loops {
    /* ---- constant ---- */
    bool bound;           /* each loop's thread is bound to a CPU of its own */
    unsigned begun_count; /* loops that the run began with */
    int64_t spin_opt_ns;  /* what rota_run_opts says */
    /* ---- under the mutex ---- */
    struct roti_cpu_mask mask; /* that was read last; of the thread of rota_run() if `bound` */
    struct roti_cgroup cgroup;
    int64_t spin_ns; /* for the CPUs that were read last */
    /* ---- any thread ---- */
    _Atomic(bool) follows;      /* the number of CPUs */
    _Atomic(int64_t) review_ns; /* when they are looked at again */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Reads what the process may use, and returns how many loops the run begins with. On the thread of
 * rota_run(), before any other. */
unsigned roti_loops_init(struct roti_loops *loops, const struct rota_run_opts *opts,
                         const char *root);

/* What the thread of a loop does first: it takes its CPU. On that thread. */
void roti_loops_enter(const struct roti_loops *loops, unsigned index);

/* The thread of rota_run() gets back its mask. On that thread. */
void roti_loops_leave(const struct roti_loops *loops);

/* The driver's: roti_driver.review(). On a loop's thread. */
int64_t roti_loops_review(struct rota_runtime *runtime, int64_t now_ns);

#ifdef __cplusplus
}
#endif

#endif
