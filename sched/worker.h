/* SPDX-License-Identifier: MIT */
/*
 * worker.h - one loop's share of the scheduler: its queues, its counters, and the turn it makes.
 *
 * The turn, always: take the inbox -> run the local queue as it stood -> run the ready ring, each
 * within a budget -> with nothing left: poll if a timer is due, else search other loops, else park,
 * which is a poll that blocks. Between steps comes a poll that does not block, once ROTI_POLL_STEPS
 * steps have run, or a look at the clock finds that ROTI_POLL_NS has passed.
 */
#ifndef ROTI_WORKER_H
#define ROTI_WORKER_H

#include "ctx/context_impl.h"
#include "sched/base/slots.h"
#include "sched/driver.h"
#include "sched/fiber.h"
#include "sched/figures.h"
#include "sched/inbox.h"
#include "sched/overflow.h"
#include "sched/ready_ring.h"
#include "sched/sample.h"
#include "sched/sentinel.h"
#include "sched/search.h"
#include "sched/stack.h"

#include <pthread.h>

struct roti_pool;
struct rota_task;

#define ROTI_POLL_STEPS 61          /* steps between two polls while work is left */
#define ROTI_POLL_NS INT64_C(50000) /* time between two polls while work is left */
#define ROTI_CLOCK_STEPS 16         /* steps between two looks at the clock for it, at most */

/* X(field, text): counters of a loop. Written by the owner only, read by any thread. */
#define ROTI_COUNTERS(X)                                                                           \
    X(turns, "turns of the loop")                                                                  \
    X(switches, "steps of tasks")                                                                  \
    X(callbacks, "callbacks run")                                                                  \
    X(spawned, "tasks spawned here")                                                               \
    X(finished, "tasks finished here")                                                             \
    X(steals_tried, "searches of another loop's queues")                                           \
    X(steals_won, "searches that found work")                                                      \
    X(tasks_stolen, "tasks taken from other loops")                                                \
    X(wakes_sent, "wakes of sleeping loops issued here")                                           \
    X(wakes_received, "times a wake ended this loop's sleep")                                      \
    X(posts_received, "items taken from the inbox")                                                \
    X(migrations, "tasks resumed here that last ran elsewhere")                                    \
    X(helps, "times a blocked loop was helped from here")                                          \
    X(rescued, "events and timers of blocked loops that were taken here")                          \
    X(spins, "times the loop stayed awake, as waits had been short")                               \
    X(stalls, "steps and callbacks that kept it for too long")                                     \
    X(parks, "times the loop went to sleep")                                                       \
    X(idle_ns, "time asleep")

struct roti_counters {
#define ROTI_COUNTER_FIELD(field, text) _Atomic(uint64_t) field;
    ROTI_COUNTERS(ROTI_COUNTER_FIELD)
#undef ROTI_COUNTER_FIELD
};

/* Owner only: one writer, so a load and a store do instead of a read-modify-write. */
#define roti_count(worker, field, amount)                                                          \
    roti_store(CT1, relaxed, &(worker)->counters.field,                                            \
               roti_load(CT2, relaxed, &(worker)->counters.field) + (uint64_t)(amount))

/* A function that a task runs on the loop's stack. */
struct roti_call {
    int (*fn)(void *arg);
    void *arg;
    int result;
};

struct roti_worker {
    /* ---- read by others, written rarely ---- */
    alignas(ROTI_CACHE_LINE) struct roti_pool *pool;
    const struct roti_driver *driver;
    void *loop;               /* the driver's argument */
    unsigned index;           /* in the pool */
    _Atomic(uint64_t) timing; /* 0: steps are not timed; sched/figures.h */

    /* ---- owner only ---- */
    alignas(ROTI_CACHE_LINE) struct roti_fiber fiber; /* the loop's own stack */
    _Atomic(struct rota_task *) current; /* the task that runs, or NULL; any thread may read */
    bool on_loop_stack;                  /* inside rota_call_on_loop_stack() */
    struct roti_fifo local;              /* callbacks and pinned tasks */
    struct roti_fifo due;                /* those of them that this turn runs */
    struct roti_slots_cache task_cache;
    struct roti_stack_cache stack_cache;
    struct roti_context_slot context;  /* for callbacks */
    struct roti_thread *thread_object; /* of this worker's thread, while it runs */
    struct roti_call *call;            /* what ROTI_SWITCH_CALL runs */
    uint64_t next_task_id;             /* from a block of numbers taken at once */
    uint64_t last_task_id;
    unsigned calls_left;     /* of this step: sched/task.c, roti_task_count_call() */
    unsigned countdown;      /* steps until the next look at the clock */
    unsigned clock_interval; /* between the last look and that one */
    unsigned steps;          /* from the last poll to the last look */
    int64_t polled_ns;       /* time of the last poll, or a little before */
    uint64_t instant;        /* the scheduling point of now, in ticks; 0: ask the clock */
    int64_t review_ns;       /* when the driver wants to be asked again how many loops there be */
    bool parked;             /* asleep, its inbox PARKED */
    bool serves;             /* takes part in the accounts of the idle: it is not retired */
    bool announced;          /* in the set of sleepers, unless a waker has picked it */
    bool polling;            /* inside the driver's poll */
    bool unannounced;        /* nobody was woken for what the ring holds */
    bool searching;          /* holds a searcher's token of the pool */
    bool slept;              /* has run nothing since its sleep */
    struct roti_waits waits; /* how long it had to wait of late */
    pthread_t thread;
    struct roti_overflow_thread overflow_thread; /* its alternate signal stack */

    /* ---- shared ---- */
    struct roti_ring ring;
    struct roti_inbox inbox;
    struct roti_spin poll_lock; /* whoever is inside the poller, or works through its batch */
    struct roti_watch watch;
    struct roti_sample sample; /* where its thread is, for reports */
    struct roti_counters counters;
    _Atomic(uint64_t) admitted; /* tasks accounted for here; owner writes, worker 0 reads */
    struct roti_figures figures;
};

#ifdef __cplusplus
extern "C" {
#endif

/* The worker of this thread, or NULL. Ask again after every call that may suspend. */
struct roti_worker *roti_worker_current(void);

/* Puts an item behind the local queue, after what the inbox holds: that was posted before. Owner
 * only. */
void roti_worker_push_local(struct roti_worker *worker, struct roti_work *work);

/* Puts an item into the inbox that only the owner empties, and wakes the loop if it sleeps. False
 * if the loop is closed; the item is the caller's then. Any thread. */
bool roti_worker_post(struct roti_worker *worker, struct roti_work *work);

/* Whether there is anything to run in queues of its own. Owner only. */
static inline bool roti_worker_has_work(const struct roti_worker *worker)
{
    struct roti_inbox *inbox = (struct roti_inbox *)(uintptr_t)&worker->inbox; /* only looked at */
    return !roti_fifo_empty(&worker->local) || !roti_fifo_empty(&worker->due) ||
           !roti_ring_empty(&worker->ring) || !roti_inbox_empty(&inbox->posts) ||
           !roti_inbox_empty(&inbox->tasks);
}

/* Polls without blocking, and tells others of what came. On the worker's thread. */
void roti_worker_poll_now(struct roti_worker *worker);

/* Makes the loop look at its queues once more, and wakes it if it sleeps. Any thread. */
void roti_worker_notify(struct roti_worker *worker);

/* The driver's poll has waited, and is about to take what is ready: the loop counts as awake. On
 * the worker's thread; idempotent. */
void roti_worker_awake(struct roti_worker *worker);

/* Does for a loop that does not turn what others can do: polls in its place, fires its tasks'
 * timers, and takes ready tasks of its. Waits for nothing that the owner holds. Returns how much
 * there was. On the worker's thread. */
unsigned roti_worker_help(struct roti_worker *worker, struct roti_worker *blocked);

/* Runs turns until the pool stops this worker. On the worker's thread. */
void roti_worker_main(struct roti_worker *worker);

/* How steps are timed: 0, not at all, or as sched/figures.h says. */
static inline uint64_t roti_worker_timing(const struct roti_worker *worker)
{
    /* [WK3] relaxed: a value by itself. */
    return roti_load(WK3, relaxed, &worker->timing);
}

/* Before an item is queued for `worker`; `own`: on its own thread. Times it, if that is on. */
static inline void roti_worker_queues(struct roti_worker *worker, bool own, struct roti_work *work)
{
    uint64_t timing = roti_worker_timing(worker);
    if (__builtin_expect((timing & ROTI_TIMING_FIGURES) != 0, 0))
        roti_figures_stamp(worker, timing, own, work);
}

/* The task that runs on this loop, or NULL. Others than the owner get what was, and may only report
 * it. */
static inline struct rota_task *roti_worker_task(const struct roti_worker *worker)
{
    /* [WK1] relaxed: the owner's own store. */
    return roti_load(WK1, relaxed, &worker->current);
}

static inline void roti_worker_set_task(struct roti_worker *worker, struct rota_task *task)
{
    /* [WK2] relaxed: see [WK1]. */
    roti_store(WK2, relaxed, &worker->current, task);
}

/* The number of the task that runs on the thread of `worker` (NULL: of none); 0 outside a task. */
uint64_t roti_worker_task_id(const struct roti_worker *worker);

/* Whether the caller may suspend, who is on the thread of `worker` (NULL: of none): in a task, and
 * not on the loop's stack. */
static inline bool roti_worker_may_suspend(const struct roti_worker *worker)
{
    return worker != NULL && roti_worker_task(worker) != NULL && !worker->on_loop_stack;
}

/* The same, of this thread's worker. */
bool roti_worker_in_task(void);

#ifdef __cplusplus
}
#endif

#endif
