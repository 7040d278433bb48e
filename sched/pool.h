/* SPDX-License-Identifier: MIT */
/*
 * pool.h - the workers of one runtime: created, started, drained, joined, freed; in that order.
 *
 * Shutdown is a protocol in numbered phases; each begins only when the one before is complete:
 *
 *   1 RUNNING   tasks run
 *   2 DRAINING  the first task has ended, or somebody has returned ROTA_EXIT; leftovers are
 *               cancelled, and what they spawn, until no task is left or the deadline has passed
 *   3 CLOSING   no task is left, or the deadline has passed; spawns are refused, and before the
 *               deadline the accounts are looked at once more, as a callback may have spawned just
 *               before: back to 2 if so
 *   4 STOPPING  every worker leaves its loop
 *   5 STOPPED   every thread is joined; inboxes are closed, what they hold is dropped
 */
#ifndef ROTI_POOL_H
#define ROTI_POOL_H

#include "sched/idle.h"
#include "sched/fork.h"
#include "sched/sentinel.h"
#include "sched/watchdog.h"
#include "sched/worker.h"

#include <semaphore.h>
#include <signal.h>

#define ROTI_LOOP_MAX 256

enum roti_phase {
    ROTI_RUNNING_PHASE = 1,
    ROTI_DRAINING_PHASE,
    ROTI_CLOSING_PHASE,
    ROTI_STOPPING_PHASE,
    ROTI_STOPPED_PHASE,
};

struct roti_pool_opts {
    unsigned worker_count;     /* 1 to ROTI_LOOP_MAX */
    size_t stack_size;         /* of tasks; 0: the default */
    bool figures;              /* steps are timed from the start */
    bool debug;                /* checks that cost more */
    int64_t spin_ns;           /* how long an idle loop may stay awake: sched/search.h; 0: not */
    int64_t slow_ns;           /* debug: steps that take so long are reported; 0: none */
    bool no_help;              /* blocked loops are left alone */
    int64_t stall_ns;          /* who keeps a loop for so long is told of; 0: nobody looks */
    roti_stalled_fn stalled;   /* whom to tell */
    bool wipe_stacks;          /* of tasks that have ended */
    unsigned quarantine_count; /* stacks of ended tasks that stay inaccessible for a while */
    const struct roti_driver *driver;
    /* Called on each worker's thread before its first and after its last turn. */
    int (*thread_start)(void *loop);
    void (*thread_stop)(void *loop);
};

struct roti_pool {
    unsigned worker_count;
    bool debug;
    unsigned stack_class;                     /* of tasks that ask for no other */
    int64_t spin_ns;                          /* how long an idle loop may stay awake; 0: not */
    int64_t slow_ns;                          /* 0: steps are not timed */
    struct roti_stack_quarantine *quarantine; /* NULL: none is wanted */
    const struct roti_driver *driver;
    int (*thread_start)(void *loop);
    void (*thread_stop)(void *loop);
    sigset_t signals_before;      /* that were blocked where the run was started */
    sem_t entered;                /* posted by each thread once it has entered, or failed to */
    _Atomic(int) enter_error;     /* of a thread that failed */
    struct roti_worker **workers; /* borrowed: each lives in its loop, which may outlive the pool */
    struct roti_idle idle;
    struct roti_sentinel sentinel;
    struct roti_watchdog watchdog;
    _Atomic(int) phase;                 /* enum roti_phase */
    _Atomic(bool) exit;                 /* somebody asked by ROTA_EXIT */
    _Atomic(uint32_t) internal_live;    /* tasks of the runtime itself */
    _Atomic(uint64_t) foreign_admitted; /* tasks of threads that run no loop: accounted for */
    _Atomic(uint64_t) foreign_spawned;  /* and visible to listings */
    _Atomic(uint32_t) foreign;          /* such threads that are inside a worker's queues */
    struct rota_task *main_task;        /* worker 0 only */
    int (*main_fn)(void *arg);
    void *main_arg;
    int64_t shutdown_timeout_ns;
    int64_t drain_deadline_ns;  /* worker 0 only; INT64_MAX: none */
    uint64_t drained_spawns;    /* worker 0 only: tasks spawned before the last round of cancels */
    size_t straggler_count;     /* tasks that outlived the deadline; their memory stays */
    struct roti_list fork_node; /* for sched/fork.c */
    struct roti_spin figures_lock;
    uint64_t figures_number; /* under it: how often figures were switched */
    uint64_t timing;         /* under it: every worker's word */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Prepares the pool and its workers (zeroed memory of the caller, one a loop, with `loop` set).
 * 0, -EINVAL, -ENOMEM. */
int roti_pool_init(struct roti_pool *pool, const struct roti_pool_opts *opts,
                   struct roti_worker *const *workers);

/*
 * Starts threads for workers 1.., runs worker 0 on the calling thread until STOPPING, and joins.
 * fn(arg) runs as the first task, named "main"; its end begins DRAINING. Returns 0 with *ret_status
 * set to the first task's status, or a negative error and nothing is left running.
 */
int roti_pool_run(struct roti_pool *pool, int (*fn)(void *arg), void *arg,
                  int64_t shutdown_timeout_ns, int *ret_status);

/* In the child of a fork: there are no threads, and nothing is taken in any more. Where a worker's
 * thread has forked, signals are blocked as they were for whoever started the run. */
void roti_pool_abandon(struct roti_pool *pool);

/* Frees what init allocated. After run, or instead of it. */
void roti_pool_done(struct roti_pool *pool);

/* Ends the run with ROTA_EXIT, whatever the first task does. Any thread of the pool. */
void roti_pool_exit(struct roti_pool *pool);

/* Brackets what a thread without a loop does to a worker's queues: the pool is not freed meanwhile.
 */
void roti_pool_foreign_enter(struct roti_pool *pool);
void roti_pool_foreign_leave(struct roti_pool *pool);

/* One look at the shutdown protocol, by worker 0 in each turn once DRAINING. */
void roti_pool_supervise(struct roti_pool *pool);

static inline enum roti_phase roti_pool_phase(const struct roti_pool *pool)
{
    /* [PL1] acquire: pairs with [PL2]; what was done before the phase began is visible. */
    return (enum roti_phase)roti_load(PL1, acquire, &pool->phase);
}

/* ---- sched/accounts.c ---- */

/* Tasks that listings have been able to see since the start. Any thread. */
uint64_t roti_pool_spawned_total(struct roti_pool *pool);

/* Tasks of the runtime itself that are not done. Any thread. */
uint32_t roti_pool_internal_live(const struct roti_pool *pool);

/* Tasks that are not done, the runtime's own left out. Exact when it is zero. Any thread. */
size_t roti_pool_live(struct roti_pool *pool);

/*
 * Accounts for one task that `worker`, or (NULL) a foreign thread, is about to spawn. False, and
 * nothing is accounted: the loops are closing. `internal`: the runtime's own, which end last. Then
 * one of roti_pool_spawned(), once listings can see the task, and roti_pool_unadmit(), if there is
 * none after all.
 */
bool roti_pool_admit(struct roti_pool *pool, struct roti_worker *worker, bool internal);
void roti_pool_unadmit(struct roti_pool *pool, struct roti_worker *worker, bool internal);
void roti_pool_spawned(struct roti_pool *pool, struct roti_worker *worker, bool internal);

/* Accounts for one task that has finished on `worker`. */
void roti_pool_retire(struct roti_pool *pool, struct roti_worker *worker, bool internal);

/* ---- sched/worker.c ---- */

/* Wakes one sleeping loop to search for work that was just published, if that is needed. */
void roti_pool_wake_one(struct roti_pool *pool);

#ifdef __cplusplus
}
#endif

#endif
