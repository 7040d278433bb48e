/* SPDX-License-Identifier: MIT */
/*
 * task_impl.h - the task header: three cache lines in a type-stable slot, which is the registry.
 *
 * A slot is never unmapped: whoever holds a stale {task, generation} reads a wrong generation, not
 * freed memory. It is recycled when the task is done and its last counted reference is gone.
 *
 * A task that has not run yet has no stack, only the promise of one. What it is to run is in the
 * header's last line, which nobody touches between the first step and the end.
 */
#ifndef ROTI_TASK_IMPL_H
#define ROTI_TASK_IMPL_H

#include <rota/task.h>

#include "ctx/context_impl.h"
#include "sched/base/atomic.h"
#include "sched/base/spin.h"
#include "sched/driver.h"
#include "sched/fiber.h"
#include "sched/name.h"
#include "sched/task_state.h"
#include "sched/wait.h"

struct roti_pool;
struct roti_stack;
struct roti_task_frame;

/* Flags of struct rota_task. */
#define ROTI_TASK_INTERNAL UINT32_C(0x01) /* the runtime's own: not listed, not waited for */
#define ROTI_TASK_READ UINT32_C(0x02)     /* somebody has read the status, or cancelled it after */
#define ROTI_TASK_DRAINED UINT32_C(0x04)  /* the shutdown has cancelled it */

struct rota_task {
    /* ---- line 1: what every switch, wake and steal touches ---- */
    alignas(ROTI_CACHE_LINE) struct roti_work work; /* the queue that holds it; extra: its pins */
    roti_word word;                                 /* any thread: sched/task_state.h */
    _Atomic(struct roti_worker *) worker;           /* the loop it is on: written at each push */
    struct roti_context_slot context;               /* the task's current context; task only */
    struct roti_task_frame *frame; /* top of its stack; NULL before its first step, and once
                                             done; owner of the state */
    _Atomic(uint32_t) refs;        /* counted references; the runtime's among them */
    _Atomic(uint32_t) flags;       /* ROTI_TASK_* */
    /* ---- line 2: creation, join, reports ---- */
    _Atomic(uint64_t) generation;        /* odd while the slot holds a task; any thread */
    uint64_t id;                         /* written before it is visible */
    struct roti_pool *pool;              /* its runtime's workers; written before it is visible */
    _Atomic(struct rota_task *) awaited; /* the task it awaits, for forwarding; own writes */
    struct roti_list joiners;            /* waits for its end; under lock */
    struct roti_spin lock;               /* joiners, name, and the change to DONE */
    int32_t status;                      /* written before DONE */
    _Atomic(char *) name;                /* sched/name.h, or NULL: "Task-<id>"; under lock, but that
                                            its address is asked for its number */
    /* ---- line 3: the first step and the last; written before it is visible ---- */
    rota_task_fn fn;
    void *arg;
    void (*arg_release)(void *arg);
    const void *spawned_at; /* return address of the spawn */
    uint8_t stack_class;    /* of the stack that is promised */
};

/* At the top of the task's stack: what is needed only while it runs. */
struct roti_task_frame {
    struct roti_fiber fiber;
    struct roti_stack *stack;
    struct roti_wait *wait;     /* first wait of the present suspension; for dump and forwarding */
    struct roti_worker *ran_on; /* of its last step */
    uint32_t suspended_by;      /* enum roti_switch: what it was suspended by; NONE before it ran */
    bool stayed;                /* where others are moved: was queued to stay, see sched/step.h */
    struct rota_timeout *scope; /* innermost timeout scope; task only */
    unsigned waits_after_cancel; /* debug: since a delivered request; task only */
    _Atomic(uint64_t) waker;     /* number of the task that last woke it; 0: none; any thread */
};

/* The loop that a task is on: inside the task its own; for others a hint, as it may move. */
static inline struct roti_worker *roti_task_worker(const struct rota_task *task)
{
    /* [T8] relaxed: queues hand the task over with release and acquire; this orders nothing. */
    return roti_load(T8, relaxed, &task->worker);
}

/* Whether it stays on its loop. Asked by whoever has the task in hand. */
static inline bool roti_task_pinned(const struct rota_task *task)
{
    return task->work.extra > 0;
}

/* The number of its name: sched/name.h. The text may be gone by then. */
static inline unsigned roti_task_name_number(const struct rota_task *task)
{
    /* [T10] relaxed: only the address is looked at. */
    return roti_name_number(roti_load(T10, relaxed, &task->name));
}

/* Written by whoever has the task in hand: at each push, and at each step. */
static inline void roti_task_set_worker(struct rota_task *task, struct roti_worker *worker)
{
    /* [T4] relaxed: as [T8]. */
    roti_store(T4, relaxed, &task->worker, worker);
}

#ifdef __cplusplus
extern "C" {
#endif

/* What a spawn is asked for. */
struct roti_spawn {
    rota_task_fn fn;
    void *arg;
    const struct rota_task_opts *opts;
    uint32_t flags;         /* ROTI_TASK_* */
    const void *spawned_at; /* the caller's address, for reports */
};

/* Spawns on `worker` from any thread. As rota_task_spawn(). */
int roti_task_spawn(struct roti_pool *pool, struct roti_worker *worker,
                    const struct roti_spawn *spawn, struct rota_task **ret_task);

/* Puts an ACTIVE task where it belongs: own ring, local queue, or an inbox. Any thread. */
void roti_task_enqueue(struct rota_task *task);

/* The same on the thread of `self`, a worker of the task's own pool. */
void roti_task_enqueue_from(struct roti_worker *self, struct rota_task *task);

/* The same for the task that has just run there and gave way: if it comes next, nobody is told. */
void roti_task_enqueue_again(struct roti_worker *self, struct rota_task *task);

/* The same, but to the inbox of the loop that it last ran on: for one of many woken at once. */
void roti_task_enqueue_away(struct rota_task *task);

/* What a task asks of its loop when it switches away. */
enum roti_switch {
    ROTI_SWITCH_NONE,  /* it has not run yet */
    ROTI_SWITCH_PARK,  /* it waits: publish that its registers are saved */
    ROTI_SWITCH_YIELD, /* it is ready: queue it */
    ROTI_SWITCH_GIVE,  /* the same, and no cancellation is delivered: roti_task_count_call() */
    ROTI_SWITCH_DONE,  /* it has ended: its stack is free */
    ROTI_SWITCH_CALL,  /* run a function on the loop's stack and come back */
};

/* So many calls that may suspend, and do not, a task makes in one step. */
#if defined(ROTI_SMALL) && ROTI_SMALL
#define ROTI_CALLS_MAX 2
#else
#define ROTI_CALLS_MAX 128
#endif

/* To be called by what may suspend, where it does not have to: a task whose descriptors are always
 * ready would else keep its loop for ever. Lets others run first when it was too many in this step.
 * No lock may be held; nothing happens outside a task. No cancellation point. */
void roti_task_count_call(void);

/* Switches from the current task of `worker` to the loop. Returns when the task is resumed, on
 * whatever thread, what step_outcome() has said. */
int roti_task_switch_out(struct roti_worker *worker, struct rota_task *task, enum roti_switch why);

/* Told of each suspension of every task, on the task's own stack, when all is ready for it. May
 * call whatever does not suspend: cancel the task, for one. */
typedef void (*roti_suspend_fn)(struct rota_task *task);

/* Installs such a function, NULL to remove it. For tests; any thread, so it must be thread-safe. */
void roti_task_set_suspend_hook(roti_suspend_fn hook);

/* For sched/step.h: gives a task its stack, on which it is parked before its first step; NULL: none
 * was to be had, and the task has ended with -ENOMEM. The thread's context may be anybody's. */
struct roti_task_frame *roti_task_begin(struct roti_worker *worker, struct rota_task *task);

/* The same: runs what the current task asks to be run on the loop's stack; gives back what a task
 * had whose body has ended. */
void roti_task_run_call(struct roti_worker *worker);
void roti_task_retire(struct roti_worker *worker, struct rota_task *task);

/* Who is told of failures that nobody else sees: always the same function, set by the layer above
 * before any task. `worker` is the one of the thread where it became final, or NULL. */
typedef void (*roti_report_fn)(struct roti_worker *worker, const char *text, struct rota_task *task,
                               int status);
void roti_task_set_report(roti_report_fn report);

/* A counted reference if the slot still holds a live task of that generation, else false. */
bool roti_task_try_ref(struct rota_task *task, uint64_t generation);

/*
 * One pass over the registry: calls visit(task, arg) with a counted reference, which the visitor
 * takes over, for each task of `pool` that is not done: the users', or (internal) the runtime's
 * own. A task alive throughout the call is visited exactly once. Any thread.
 */
void roti_task_visit(struct roti_pool *pool, bool internal,
                     void (*visit)(struct rota_task *task, void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
