/* SPDX-License-Identifier: MIT */
/*
 * loop.h - event loops: callbacks, timers, and what a loop says about itself.
 *
 * A callback runs on its loop's own thread and stack, never inside the call that scheduled it, in
 * the order of posting. It may not suspend: suspending calls answer ROTA_ENOTASK there.
 *
 * In the child of a process that was forked while loops ran, those loops are closed: they answer
 * ROTA_ECLOSED. What needs a running loop answers ROTA_EFORKED there instead of ROTA_ENOLOOP, and
 * so does what would block the thread, until the child has called rota_run().
 *
 * Handles are tokens owned by the caller, or NULL where nobody will ask. The runtime writes to a
 * token only during a call that is given it, so it may be discarded at any time.
 */
#ifndef ROTA_LOOP_H
#define ROTA_LOOP_H

#include <rota/base.h>
#include <rota/context.h>

#include <stdio.h>

ROTA_BEGIN_DECLS

/* A callback. Negative: the failure goes to the exception handler; ROTA_EXIT ends the run. */
typedef int (*rota_callback_fn)(void *arg);

/* What became of an attempt to cancel a callback or a timer. */
enum rota_verdict {
    ROTA_PREVENTED = 1,     /* it will never run */
    ROTA_RUNNING,           /* it is running now */
    ROTA_ALREADY_RAN,       /* it has run */
    ROTA_ALREADY_CANCELLED, /* this token was cancelled before */
};

/* A token for one scheduled callback or timer. Its fields are the runtime's. Zero is "nothing". */
struct rota_handle {
    void *node;
    uint64_t generation;
    int64_t when_ns;
    int verdict;
};

/* What the exception handler is told. Fields that do not apply are NULL or 0. Valid during the
 * call. */
struct rota_error_info {
    const char *message;        /* what happened, one sentence */
    int error;                  /* the negative status */
    struct rota_loop *loop;     /* where the failure became final; NULL: on no loop */
    struct rota_task *task;     /* the failed task */
    struct rota_future *future; /* the failed future */
    rota_callback_fn callback;  /* the failed callback */
    void *arg;                  /* its argument */
};

typedef void (*rota_exception_fn)(const struct rota_error_info *info, void *arg);

/*
 * The loop that runs on this thread.
 *
 * Returns: a borrowed pointer, valid while the loop runs; NULL on a thread that runs none.
 * Errors: none. In a task, ask again after every suspending call.
 * Call from: anywhere. Suspends: no.
 * Ownership: borrowed; rota_loop_ref() to keep it. Source: asyncio.get_running_loop.
 */
ROTA_API struct rota_loop *rota_running_loop(void);

/*
 * One more counted reference. A loop that is closed stays a valid object until its last unref.
 *
 * Returns: `loop`.
 * Errors: none; NULL is passed through.
 * Call from: any thread that holds a reference, or the loop's own. Suspends: no.
 * Ownership: the caller must end the new reference by rota_loop_unref().
 */
ROTA_API struct rota_loop *rota_loop_ref(struct rota_loop *loop);

/*
 * End one reference.
 *
 * Returns: nothing.
 * Errors: none; NULL is ignored.
 * Call from: any thread. Suspends: no.
 * Ownership: takes the caller's reference.
 */
ROTA_API void rota_loop_unref(struct rota_loop *loop);

/*
 * The loop's number within its runtime, from 0 on; 0 is the thread that called rota_run().
 *
 * Returns: the number.
 * Errors: -EINVAL (NULL).
 * Call from: any thread. Suspends: no.
 * Ownership: the reference stays the caller's.
 */
ROTA_API int rota_loop_index(const struct rota_loop *loop);

/*
 * The clock of all timers: CLOCK_MONOTONIC in nanoseconds.
 *
 * Returns: the present instant.
 * Errors: none.
 * Call from: anywhere. Suspends: no.
 * Ownership: none. Source: asyncio loop.time.
 */
ROTA_API int64_t rota_time_ns(void);

/*
 * Run fn(arg) once, behind what is queued on `loop` already (NULL: the running loop).
 *
 * Returns: 0; *handle (NULL: nobody will ask) is then the token.
 * Errors: -EINVAL (fn NULL), -ENOMEM, ROTA_ENOLOOP (loop NULL and none runs here), ROTA_ECLOSED,
 * and with debug on ROTA_EWRONGLOOP when another thread calls (off: forwarded to the thread-safe
 * path). *handle is untouched on error.
 * Call from: the loop's own thread. Suspends: no.
 * Ownership: `arg` is the caller's; `context` NULL is a copy of the current one, else that object
 * is entered and kept by a reference. Source: asyncio loop.call_soon.
 */
ROTA_API int rota_call_soon(struct rota_loop *loop, struct rota_handle *handle, rota_callback_fn fn,
                            void *arg, struct rota_context *context);

/*
 * The same from any thread: wakes the loop if it sleeps. Order is kept for each calling thread, and
 * on the loop's own thread it is rota_call_soon().
 *
 * Returns: 0; *handle (NULL: nobody will ask) is then the token.
 * Errors: -EINVAL (NULL loop or fn), -ENOMEM, ROTA_ECLOSED. *handle is untouched on error.
 * Call from: any thread that holds a reference to the loop. Suspends: no.
 * Ownership: as rota_call_soon(); the copied context is the calling thread's.
 * Source: asyncio loop.call_soon_threadsafe.
 */
ROTA_API int rota_call_soon_threadsafe(struct rota_loop *loop, struct rota_handle *handle,
                                       rota_callback_fn fn, void *arg,
                                       struct rota_context *context);

/*
 * Run fn(arg) once, not before `delay_ns` from now; zero and less: at the next poll. Timers fire by
 * deadline, equal ones in the order of creation, and are never early. Delays saturate; ROTA_NEVER
 * never fires.
 *
 * Returns: 0; *handle (NULL: nobody will ask) is then the token.
 * Errors: as rota_call_soon().
 * Call from: the loop's own thread. Suspends: no.
 * Ownership: as rota_call_soon(). Source: asyncio loop.call_later.
 */
ROTA_API int rota_call_later(struct rota_loop *loop, struct rota_handle *handle, int64_t delay_ns,
                             rota_callback_fn fn, void *arg, struct rota_context *context);

/*
 * The same at an instant of rota_time_ns().
 *
 * Returns: 0; *handle (NULL: nobody will ask) is then the token.
 * Errors: as rota_call_soon().
 * Call from: the loop's own thread. Suspends: no.
 * Ownership: as rota_call_soon(). Source: asyncio loop.call_at.
 */
ROTA_API int rota_call_at(struct rota_loop *loop, struct rota_handle *handle, int64_t when_ns,
                          rota_callback_fn fn, void *arg, struct rota_context *context);

/*
 * Keep a callback or timer from running. Does not wait for one that runs.
 *
 * Returns: an enum rota_verdict, recorded in the token.
 * Errors: -EINVAL (NULL, or a token that was never given out).
 * Call from: any thread; one thread at a time for one token. Suspends: no.
 * Ownership: the token stays the caller's. Source: asyncio Handle.cancel.
 */
ROTA_API int rota_handle_cancel(struct rota_handle *handle);

/*
 * The same, and wait out one that runs on another thread. Inside the callback itself it does not
 * wait.
 *
 * Returns: ROTA_PREVENTED, ROTA_ALREADY_RAN (it may have been running when the call was made),
 * ROTA_ALREADY_CANCELLED, or ROTA_RUNNING inside the callback itself.
 * Errors: -EINVAL as rota_handle_cancel(); ROTA_ESTATE on another loop's thread outside a task,
 * where waiting would stop that loop. Call from: any thread that runs no loop, or any task.
 * Suspends: yes. Ownership: the token stays the caller's. Source: asyncio's thread-safe handles.
 */
ROTA_API ROTA_SUSPENDS int rota_handle_cancel_wait(struct rota_handle *handle);

/*
 * Whether cancel was called on this token, whatever came of it.
 *
 * Returns: true after rota_handle_cancel(), for ever.
 * Errors: none; false for NULL.
 * Call from: the token's owner. Suspends: no.
 * Ownership: the token stays the caller's. Source: asyncio Handle.cancelled.
 */
ROTA_API bool rota_handle_cancelled(const struct rota_handle *handle);

/*
 * The deadline a timer was created with; readable for ever.
 *
 * Returns: the instant of rota_time_ns(); 0 for a token that is not a timer's.
 * Errors: none; 0 for NULL.
 * Call from: the token's owner. Suspends: no.
 * Ownership: the token stays the caller's. Source: asyncio TimerHandle.when.
 */
ROTA_API int64_t rota_handle_when(const struct rota_handle *handle);

/*
 * The loop a task is on now: inside the task it equals rota_running_loop(); a hint for others.
 *
 * Returns: a borrowed pointer, valid while the runtime runs; NULL for NULL and for a task that is
 * done.
 * Errors: none.
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: borrowed. Source: asyncio Task.get_loop.
 */
ROTA_API struct rota_loop *rota_task_get_loop(const struct rota_task *task);

/*
 * The tasks that are on `loop` and not done: one pass over the registry, without stopping anybody.
 *
 * Returns: how many there are, which may be more than `size`; the first `size` of them are in
 * `tasks`, each a counted reference.
 * Errors: -EINVAL (NULL loop, or NULL tasks with size above 0), ROTA_ECLOSED.
 * Call from: any thread that holds a reference to the loop. Suspends: no.
 * Ownership: the caller must rota_task_unref() each entry. Source: asyncio.all_tasks.
 */
ROTA_API ssize_t rota_all_tasks(struct rota_loop *loop, struct rota_task **tasks, size_t size);

/*
 * Install the function that is told of failures nobody else sees on this loop; NULL: back to the
 * runtime's. It runs on the thread where the failure became final.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL loop), ROTA_EWRONGLOOP.
 * Call from: the loop's own thread. Suspends: no.
 * Ownership: `arg` must stay valid until replaced or the loop is closed.
 * Source: asyncio loop.set_exception_handler.
 */
ROTA_API int rota_loop_set_exception_handler(struct rota_loop *loop, rota_exception_fn fn,
                                             void *arg);

/*
 * What happens where no handler is installed: one line on stderr.
 *
 * Returns: nothing.
 * Errors: none.
 * Call from: any thread. Suspends: no.
 * Ownership: `info` is borrowed. Source: asyncio loop.default_exception_handler.
 */
ROTA_API void rota_default_exception_handler(const struct rota_error_info *info);

/* What one loop has done since it started. Each figure only grows. */
struct rota_counters {
    uint64_t turns;          /* turns of the loop */
    uint64_t switches;       /* steps of tasks */
    uint64_t callbacks;      /* callbacks run */
    uint64_t spawned;        /* tasks spawned here */
    uint64_t finished;       /* tasks finished here */
    uint64_t steals_tried;   /* searches of another loop's queues */
    uint64_t steals_won;     /* searches that found work */
    uint64_t tasks_stolen;   /* tasks taken from other loops */
    uint64_t wakes_sent;     /* wakes of sleeping loops issued here */
    uint64_t wakes_received; /* times a wake ended this loop's sleep */
    uint64_t posts_received; /* items that other threads posted */
    uint64_t migrations;     /* tasks resumed here that last ran elsewhere */
    uint64_t helps;          /* times a blocked loop was helped from here */
    uint64_t rescued;        /* events and timers of blocked loops that were taken here */
    uint64_t spins;          /* times it stayed awake a little longer, as waits had been short */
    uint64_t stalls;         /* steps and callbacks that kept it for too long: <rota/stall.h> */
    uint64_t parks;          /* times the loop went to sleep */
    uint64_t idle_ns;        /* nanoseconds asleep */
};

/*
 * Read a loop's counters. Each is exact; together they are not one instant.
 *
 * Returns: 0 with *ret_counters filled.
 * Errors: -EINVAL (NULL).
 * Call from: any thread that holds a reference to the loop, after its close too. Suspends: no.
 * Ownership: *ret_counters is the caller's.
 */
ROTA_API int rota_loop_counters(const struct rota_loop *loop, struct rota_counters *ret_counters);

/*
 * Print every task of the calling thread's runtime: name, loop, state, what it waits for, who woke
 * it last, and its stack.
 *
 * Returns: the number of tasks printed.
 * Errors: ROTA_ENOLOOP, -EINVAL (NULL), -ENOMEM.
 * Call from: a loop's thread. Suspends: no.
 * Ownership: the stream stays the caller's.
 */
ROTA_API ssize_t rota_dump_tasks(FILE *stream);

ROTA_END_DECLS

#endif
