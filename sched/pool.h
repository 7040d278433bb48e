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
 *
 * Loops are added and retired while others run:
 *
 * Problem.    What a loop has must not be lost when it is to work no more: callbacks, timers,
 *             descriptors and pinned tasks stay where they are for life, and whoever has a pointer
 *             to the loop may post to it at any time. And everybody reads the table of workers.
 * Design.     Two counts. Workers 0 to `worker_count` - 1 exist; that count only grows, and a slot
 *             of the table is written once, before the count that covers it, so that nobody needs
 *             a lock to read it. The first `active_count` of them take work. A worker learns by a
 *             notification that it is on the other side, and acts on it itself, at its next turn:
 *             one that is retired leaves the accounts of the idle, hands over what is in its ring,
 *             and from then on passes on every unpinned task that comes to it. It neither searches
 *             nor is it picked. With nothing left it sleeps in its poller, and what is posted to
 *             it still runs; so nothing needs an answer that says "too late". Loops that are asked
 *             for again are those first. Worker 0 is always active.
 * Locks.      Both counts change, and phase 4 begins, under the mutex of sched/fork.h: a thread
 *             that is being started is seen by the stop, and never by a fork.
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
    _Atomic(unsigned) worker_count; /* of those in the table below; only grows */
    _Atomic(unsigned) active_count; /* the first so many take work: 1 to worker_count */
    bool wipe_stacks;
    bool debug;
    unsigned stack_class;                     /* of tasks that ask for no other */
    _Atomic(int64_t) spin_ns;                 /* how long an idle loop may stay awake; 0: not */
    int64_t slow_ns;                          /* 0: steps are not timed */
    struct roti_stack_quarantine *quarantine; /* NULL: none is wanted */
    const struct roti_driver *driver;
    int (*thread_start)(void *loop);
    void (*thread_stop)(void *loop);
    sigset_t signals_before;      /* that were blocked where the run was started */
    sem_t entered;                /* posted by each thread once it has entered, or failed to */
    _Atomic(int) enter_error;     /* of a thread that failed */
    struct roti_worker **workers; /* ROTI_LOOP_MAX; each is its loop's, which may outlive this */
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

/* Starts a thread for one more worker (as for init), which takes no work yet. 0; -EAGAIN, -ENOMEM:
 * nothing has changed. Under the mutex of sched/fork.h, before STOPPING. */
int roti_pool_add(struct roti_pool *pool, struct roti_worker *worker);

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

/* ---- sched/roles.c ---- */

/* Puts a worker behind the last, which takes no work yet. Under the mutex of sched/fork.h. */
void roti_pool_append(struct roti_pool *pool, struct roti_worker *worker);

/* The first `count` workers take work from now on, and no others. Under the same mutex. */
void roti_pool_set_active(struct roti_pool *pool, unsigned count);

/* How long a loop without work may stay awake. Any thread. */
static inline int64_t roti_pool_spin_ns(const struct roti_pool *pool)
{
    /* [PL48] relaxed: a number. */
    return roti_load(PL48, relaxed, &pool->spin_ns);
}

static inline void roti_pool_set_spin(struct roti_pool *pool, int64_t spin_ns)
{
    /* [PL49] relaxed: as [PL48]. */
    roti_store(PL49, relaxed, &pool->spin_ns, spin_ns);
}

/* How many workers there are: those of a lower index are in the table. Any thread. */
static inline unsigned roti_pool_worker_count(const struct roti_pool *pool)
{
    /* [PL40] acquire: pairs with [PL41]. */
    return roti_load(PL40, acquire, &pool->worker_count);
}

/* One of them. */
static inline struct roti_worker *roti_pool_worker(const struct roti_pool *pool, unsigned index)
{
    ROTI_PLAIN_READ(&pool->workers[index]);
    return pool->workers[index];
}

/* How many of them take work. It may change at once: who is given work too late passes it on. */
static inline unsigned roti_pool_active_count(const struct roti_pool *pool)
{
    /* [PL42] acquire: pairs with [PL43]; the workers are in the table. */
    return roti_load(PL42, acquire, &pool->active_count);
}

/* Whether there is no second loop, and has not been one: then every task counts as pinned. */
static inline bool roti_pool_is_single(const struct roti_pool *pool)
{
    /* [PL44] relaxed: only its value counts. It is asked for a task that is not on its way to
     * another loop, and who sees a second one too late puts it where the only one was. */
    return roti_load(PL44, relaxed, &pool->worker_count) == 1;
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
