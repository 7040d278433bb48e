/* SPDX-License-Identifier: MIT */
/*
 * task.h - tasks: stackful, cancellable, stolen by idle loops while they are ready.
 *
 * A task is a plain function on a stack of its own. It runs until it calls something that suspends;
 * after such a call it may be on another thread, unless it is pinned. With one loop every task is
 * pinned, and callbacks and task steps share one FIFO.
 *
 * Cancellation is asyncio's: a request is delivered once, as -ECANCELED, at the task's next
 * suspension; requests are counted; what has completed returns its result, and the request stays
 * pending for the suspension after that.
 */
#ifndef ROTA_TASK_H
#define ROTA_TASK_H

#include <rota/base.h>
#include <rota/context.h>

ROTA_BEGIN_DECLS

/* The body of a task. Its return value is the task's status: negative is a failure, -ECANCELED
 * means cancelled. */
typedef int (*rota_task_fn)(void *arg);

/* Names are copied and cut to this many bytes, the terminating zero included. */
#define ROTA_TASK_NAME_SIZE 32

/* Zero in any field means its default; a NULL opts means all defaults. Copied by the callee. */
struct rota_task_opts {
    const char *name;               /* default "Task-<number>" */
    size_t stack_size;              /* default the runtime's (256 KiB); a power of two is best */
    struct rota_context *context;   /* default: a copy of the current one. An explicit object
                                       is shared, and pins the task to the loop that entered it
                                       first */
    void (*arg_release)(void *arg); /* called once when the task is done, or when it is cancelled
                                       before its first step and `fn` never runs, or when it gets
                                       no stack (in no task then); not on failure of the spawn
                                       itself */
    bool pinned;                    /* never leaves the loop that it is spawned on */
};

/*
 * Start a task that runs fn(arg) on the running loop; its first step comes in a later pass. Its
 * stack is promised now and made for the first step. Should the kernel refuse the guard of it then,
 * the task ends with -ENOMEM and fn never runs.
 *
 * Returns: 0; *ret_task is then one counted reference (ret_task NULL: detached). The runtime holds
 * its own until the task is done, so an unreferenced task is never lost.
 * Errors: -EINVAL (fn NULL, bad stack size), -ENOMEM, -EBUSY (opts->context is entered elsewhere),
 * ROTA_ENOLOOP (no loop runs on this thread), ROTA_EFORKED, ROTA_ESTOP (the loops have stopped).
 * Call from: a loop's thread, in a task or a callback. Suspends: no.
 * Ownership: the caller ends its reference by rota_task_unref(); `arg` must outlive the task, or
 * have an arg_release. Source: asyncio.create_task.
 */
ROTA_API int rota_task_spawn(struct rota_task **ret_task, rota_task_fn fn, void *arg,
                             const struct rota_task_opts *opts);

/*
 * Wait until `task` is done. Cancelling the waiting task forwards the request to `task`.
 *
 * Returns: 0 with *ret_status set to the task's status (ret_status may be NULL): the return value
 * is the wait's outcome, the status the task's.
 * Errors: -ECANCELED (a request was pending already; the task goes on), -EDEADLK (a task awaits
 * itself), -EINVAL (NULL), ROTA_ENOTASK (it would have to suspend outside a task),
 * ROTA_EOTHERRUNTIME.
 * Call from: any task; any thread of the runtime when the task is done. Suspends: yes.
 * Ownership: the reference stays the caller's. Source: await of an asyncio.Task.
 */
ROTA_API ROTA_SUSPENDS int rota_task_await(struct rota_task *task, int *ret_status);

/*
 * Wait until `task` is done without forwarding cancellation: the waiter is cancelled alone.
 *
 * Returns: as rota_task_await().
 * Errors: as rota_task_await(), and -ECANCELED when a request arrives during the wait; `task`
 * goes on.
 * Call from: any task; any thread of the runtime when the task is done. Suspends: yes.
 * Ownership: the reference stays the caller's. Source: asyncio.shield.
 */
ROTA_API ROTA_SUSPENDS int rota_task_shield(struct rota_task *task, int *ret_status);

/*
 * Request cancellation. The request count rises with each call; the task sees -ECANCELED once, at
 * its next suspension. A task that has not started never runs. A task that awaits another passes
 * the request on to that one.
 *
 * Returns: 1 when the request was made, 0 when the task is done already.
 * Errors: -EINVAL (NULL).
 * Call from: any thread. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio.Task.cancel.
 */
ROTA_API int rota_task_cancel(struct rota_task *task);

/*
 * The number of cancellation requests that nobody took back.
 *
 * Returns: the count, saturating at 65535; of a done task, the count at its end.
 * Errors: -EINVAL (NULL).
 * Call from: any thread. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio.Task.cancelling.
 */
ROTA_API int rota_task_cancelling(const struct rota_task *task);

/*
 * Take one request back. For the party that made it; at zero an undelivered request is dropped.
 *
 * Returns: the remaining count; 0 also where there was none. A done task is left as it is.
 * Errors: -EINVAL (NULL).
 * Call from: any thread. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio.Task.uncancel.
 */
ROTA_API int rota_task_uncancel(struct rota_task *task);

/*
 * The status of a task that is done.
 *
 * Returns: 0 with *ret_status set (it may be NULL).
 * Errors: ROTA_ESTATE (not done), -EINVAL (NULL).
 * Call from: any thread. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio.Task.result.
 */
ROTA_API int rota_task_status(const struct rota_task *task, int *ret_status);

/*
 * Whether the task is done.
 *
 * Returns: true once the body has returned, or was cancelled before it started.
 * Errors: none; NULL is not a task and gives false.
 * Call from: any thread. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio.Task.done.
 */
ROTA_API bool rota_task_done(const struct rota_task *task);

/*
 * One more counted reference.
 *
 * Returns: `task`.
 * Errors: none; NULL is passed through.
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the caller must end the new reference by rota_task_unref().
 */
ROTA_API struct rota_task *rota_task_ref(struct rota_task *task);

/*
 * End one reference. The task itself goes on; using it after the last unref is a programming error.
 * A failed task whose status nobody read is reported here, once, to the exception handler.
 *
 * Returns: nothing.
 * Errors: none; NULL is ignored.
 * Call from: any thread. Suspends: no.
 * Ownership: takes the caller's reference.
 */
ROTA_API void rota_task_unref(struct rota_task *task);

/*
 * Copy the task's name.
 *
 * Returns: the length of the name; what does not fit into `size` bytes is cut, always terminated.
 * Errors: -EINVAL (NULL task, or NULL name with size above 0).
 * Call from: any thread. Suspends: no.
 * Ownership: `name` is the caller's. Source: asyncio.Task.get_name.
 */
ROTA_API int rota_task_get_name(const struct rota_task *task, char *name, size_t size);

/*
 * Give the task a name, cut to ROTA_TASK_NAME_SIZE bytes.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL), -ENOMEM, ROTA_ESTATE (done).
 * Call from: any thread. Suspends: no.
 * Ownership: the name is copied. Source: asyncio.Task.set_name.
 */
ROTA_API int rota_task_set_name(struct rota_task *task, const char *name);

/*
 * A number that no other task of the process has or had.
 *
 * Returns: the number, from 1 on.
 * Errors: none; 0 for NULL.
 * Call from: any thread. Suspends: no.
 * Ownership: the reference stays the caller's.
 */
ROTA_API uint64_t rota_task_id(const struct rota_task *task);

/*
 * The task that is running on this thread.
 *
 * Returns: a borrowed reference, valid while that task runs; NULL in callbacks and on threads that
 * run no loop.
 * Errors: none.
 * Call from: anywhere. Suspends: no.
 * Ownership: borrowed; rota_task_ref() to keep it. Source: asyncio.current_task.
 */
ROTA_API struct rota_task *rota_current_task(void);

/*
 * Let every other ready task of this loop run first.
 *
 * Returns: 0.
 * Errors: -ECANCELED (a request was pending or arrived meanwhile), ROTA_ENOTASK.
 * Call from: any task. Suspends: yes.
 * Ownership: none. Source: asyncio.sleep(0).
 */
ROTA_API ROTA_SUSPENDS int rota_yield(void);

/*
 * Keep the current task on its present loop until rota_unpin(). Pins are counted.
 *
 * Returns: nothing.
 * Errors: none; outside a task it does nothing, as a callback never moves.
 * Call from: anywhere. Suspends: no.
 * Ownership: none.
 */
ROTA_API void rota_pin(void);

/*
 * End one rota_pin() of the current task; more of them than pins is a programming error
 * (assertion).
 *
 * Returns: nothing.
 * Errors: none.
 * Call from: the task that pinned itself. Suspends: no.
 * Ownership: none.
 */
ROTA_API void rota_unpin(void);

/*
 * Run fn(arg) on the loop's own large stack and return its result. For deep calls into other
 * libraries. Nothing may suspend in it: suspending calls answer ROTA_ENOTASK there. Nests as a
 * plain call; outside a task it is a plain call.
 *
 * Returns: what fn returned.
 * Errors: -EINVAL (fn NULL).
 * Call from: anywhere. Suspends: no.
 * Ownership: `arg` is borrowed during the call.
 */
ROTA_API int rota_call_on_loop_stack(int (*fn)(void *arg), void *arg);

ROTA_END_DECLS

#endif
