/* SPDX-License-Identifier: MIT */
/*
 * runtime.h - rota_run(): loops on every core, from the first task to the last.
 */
#ifndef ROTA_RUNTIME_H
#define ROTA_RUNTIME_H

#include <rota/base.h>
#include <rota/loop.h>
#include <rota/stall.h>
#include <rota/task.h>

ROTA_BEGIN_DECLS

/* Zero in any field means its default; a NULL opts means all defaults. Copied by the callee. */
struct rota_run_opts {
    unsigned loops;    /* default one per CPU that the process may use, by its affinity and its
                          CPU limit; at most 256. With 1 every task is pinned, and what is ready
                          runs in asyncio's order */
    size_t stack_size; /* of tasks; default 256 KiB of address space */
    int64_t shutdown_timeout_ns;         /* how long leftover tasks may take; default: no limit */
    rota_exception_fn exception_handler; /* default rota_default_exception_handler() */
    void *exception_arg;
    bool debug;               /* slow callbacks, wrong threads, swallowed cancellations */
    int64_t spin_ns;          /* how long a loop without work stays awake where its waits have been
                                  short; negative: not at all. Default 50 us, but not at all with
                                  one CPU or under a CPU limit */
    int64_t slow_callback_ns; /* debug: report steps that take so long; default 100 ms */
    bool no_signals;          /* leave SIGINT and SIGTERM alone */
    bool no_help;             /* leave a loop alone that a task keeps: see docs/caveats.md */
    bool pin_cpus;            /* bind each loop's thread to a CPU of its own */
    int64_t stall_ns;         /* tell of tasks and callbacks that keep their loop for so long, by
                                  a thread that watches the loops; default 10 ms, negative: never */
    rota_stall_fn stall_handler; /* whom to tell; default rota_default_stall_handler() */
    void *stall_arg;
    bool figures;              /* take times of steps from the start: <rota/figures.h> */
    bool keep_loops;           /* where `loops` is 0: do not follow the CPUs while it runs */
    bool wipe_stacks;          /* make a task's stack zero when it ends: for secrets */
    unsigned stack_quarantine; /* keep the stacks of so many ended tasks inaccessible, so that the
                                  use of a pointer to one is a fault whose report names the task;
                                  at most 65536; a system call or two for each task. Default none */
};

/*
 * Run fn(arg) as the first task of a new runtime, on this thread and one more per further loop.
 * When it ends, the other tasks are cancelled, again and again until none is left or
 * shutdown_timeout_ns has passed; then the loops are closed.
 *
 * SIGINT (where its disposition is the default) cancels the first task, SIGTERM starts the graceful
 * stop of servers or, where there is none, does the same; a second signal acts by its default.
 *
 * Returns: what fn returned, 0 or more for success.
 * Errors: fn's own; -EINVAL (fn NULL, bad option), -ENOMEM, -EMFILE and other errors of starting;
 * -EAGAIN (no thread could be started), ROTA_ESTATE (a loop runs on this thread already);
 * ROTA_EINTERRUPT (a signal ended it and fn returned -ECANCELED); the status of a callback or task
 * that returned ROTA_EXIT is ROTA_EXIT.
 * Call from: a thread that runs no loop. Suspends: no, it blocks until the end.
 * Ownership: `arg` is borrowed until the return. Source: asyncio.run.
 */
ROTA_API int rota_run(rota_task_fn fn, void *arg, const struct rota_run_opts *opts);

/*
 * The runtime of this thread.
 *
 * Returns: a borrowed pointer, valid until its rota_run() returns; NULL on a thread without a loop.
 * Errors: none.
 * Call from: anywhere. Suspends: no.
 * Ownership: borrowed. It may be handed to other threads that end before rota_run() does.
 */
ROTA_API struct rota_runtime *rota_running_runtime(void);

/*
 * The number of loops that take work: those with the indices below it. What lies above is retired.
 *
 * Returns: the number, 1 or more. It may change at once.
 * Errors: -EINVAL (NULL).
 * Call from: any thread while the runtime runs. Suspends: no.
 * Ownership: borrowed.
 */
ROTA_API int rota_runtime_loop_count(const struct rota_runtime *runtime);

/*
 * Have `count` loops take work; 0: one per CPU that the process may use, now and as that changes,
 * as is the default. Loops that are missing are added, or taken out of retirement. Those above are
 * retired, each at its next turn: its ready tasks that are not pinned go to others, and nothing new
 * comes to it. Pinned tasks, callbacks, timers and descriptors stay there and go on working; with
 * nothing left it sleeps. Loop 0 is never retired. A number other than 0 ends the following of
 * CPUs.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL, more than 256); ROTA_ESTOP once the loops stop, ROTA_EFORKED in the child
 * of a fork. -ENOMEM, -EMFILE, -ENFILE, -EAGAIN (no thread could be started): as many as could be
 * had take work, and rota_runtime_loop_count() says how many that are.
 * Call from: any thread while the runtime runs. Suspends: no; it starts threads.
 * Ownership: borrowed.
 */
ROTA_API int rota_runtime_set_loops(struct rota_runtime *runtime, unsigned count);

/*
 * One loop by its index, which it keeps for life, retired or not.
 *
 * Returns: a borrowed pointer; NULL for NULL or an index at which there has been no loop.
 * Errors: none.
 * Call from: any thread while the runtime runs. Suspends: no.
 * Ownership: borrowed; rota_loop_ref() to keep it beyond the run.
 */
ROTA_API struct rota_loop *rota_runtime_loop(const struct rota_runtime *runtime, unsigned index);

/* A task and the loop it was on when it was listed. */
struct rota_task_entry {
    struct rota_task *task; /* a counted reference */
    struct rota_loop *loop; /* borrowed */
};

/*
 * Every task of the runtime that is not done: exact for tasks alive throughout the call, each
 * exactly once, without stopping anybody.
 *
 * Returns: how many there are, which may be more than `size`; the first `size` are in `entries`.
 * Errors: -EINVAL (NULL runtime, or NULL entries with size above 0).
 * Call from: any thread while the runtime runs. Suspends: no.
 * Ownership: the caller must rota_task_unref() each entry's task. Source: asyncio.all_tasks.
 */
ROTA_API ssize_t rota_runtime_tasks(struct rota_runtime *runtime, struct rota_task_entry *entries,
                                    size_t size);

/*
 * Start a task from a thread that runs no loop, on the less loaded of two loops.
 *
 * Returns: as rota_task_spawn().
 * Errors: as rota_task_spawn(), and -EINVAL (NULL runtime); ROTA_ESTOP once the loops have stopped.
 * Call from: any thread while the runtime runs. Suspends: no.
 * Ownership: as rota_task_spawn(); the context copied is the calling thread's.
 * Source: asyncio.run_coroutine_threadsafe.
 */
ROTA_API int rota_task_spawn_threadsafe(struct rota_runtime *runtime, struct rota_task **ret_task,
                                        rota_task_fn fn, void *arg,
                                        const struct rota_task_opts *opts);

/*
 * Ask for the graceful stop, as SIGTERM does: servers stop accepting and drain; where no server
 * serves, the first task is cancelled.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL).
 * Call from: any thread while the runtime runs. Suspends: no.
 * Ownership: borrowed.
 */
ROTA_API int rota_runtime_stop(struct rota_runtime *runtime);

ROTA_END_DECLS

#endif
