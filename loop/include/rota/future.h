/* SPDX-License-Identifier: MIT */
/*
 * future.h - futures: a result that is set once, from any thread, and waited for from anywhere.
 *
 * A future is pending until it is given a value or an error, or is cancelled; exactly one of those
 * who try succeeds. Tasks await it, threads that run no loop wait for it, and done-callbacks are
 * told of it, each on the loop on which it was added. Cancelling a task that awaits a future
 * detaches that task alone: the future and its other waiters go on.
 */
#ifndef ROTA_FUTURE_H
#define ROTA_FUTURE_H

#include <rota/base.h>
#include <rota/context.h>
#include <rota/error.h>

ROTA_BEGIN_DECLS

/* Told that `future` is done. A callback as any other: never called inside the call that completes
 * the future, may not suspend, a negative result goes to the exception handler. */
typedef int (*rota_future_fn)(struct rota_future *future, void *arg);

/* Zero in any field means its default; a NULL opts means all defaults. Copied by the callee. */
struct rota_future_opts {
    struct rota_loop *loop;       /* whose exception handler is told of an error that nobody reads;
                                     default the running loop */
    void (*release)(void *value); /* called once with the value, if one was set, when the future
                                     goes; on whatever thread ends the last reference */
};

/*
 * Create a pending future.
 *
 * Returns: 0 with *ret_future set.
 * Errors: -EINVAL (ret_future NULL), -ENOMEM, ROTA_ENOLOOP (no loop given, and none runs on this
 * thread).
 * Call from: any thread. Suspends: no.
 * Ownership: the caller holds one reference, ended by rota_future_unref(); the future keeps its
 * loop by a reference. Source: asyncio loop.create_future.
 */
ROTA_API int rota_future_create(struct rota_future **ret_future,
                                const struct rota_future_opts *opts);

/*
 * One more counted reference.
 *
 * Returns: `future`.
 * Errors: none; NULL is passed through.
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the caller must end the new reference by rota_future_unref().
 */
ROTA_API struct rota_future *rota_future_ref(struct rota_future *future);

/*
 * End one reference. With the last one a pending future is closed: who still waits for it gets
 * ROTA_ECLOSED, and its done-callbacks are never called. An error that nobody has read is reported
 * to the exception handler, once.
 *
 * Returns: nothing.
 * Errors: none; NULL is ignored.
 * Call from: any thread. Suspends: no.
 * Ownership: takes the caller's reference.
 */
ROTA_API void rota_future_unref(struct rota_future *future);

/*
 * Complete the future with a value.
 *
 * Returns: 0.
 * Errors: ROTA_ESTATE (it is done; nothing changed, `value` stays the caller's), -EINVAL (NULL
 * future).
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the future owns `value` if it has a release function. Source: asyncio
 * Future.set_result.
 */
ROTA_API int rota_future_set_result(struct rota_future *future, void *value);

/*
 * Complete the future with a negative error. -ECANCELED is the same as rota_future_cancel().
 *
 * Returns: 0.
 * Errors: ROTA_ESTATE (it is done, nothing changed), -EINVAL (NULL, or `error` is not negative).
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio Future.set_exception.
 */
ROTA_API int rota_future_set_error(struct rota_future *future, int error);

/*
 * Cancel the future: readers and waiters get -ECANCELED. On a done future it says only that its
 * error need not be reported.
 *
 * Returns: 1 when it was cancelled by this call, 0 when it was done.
 * Errors: -EINVAL (NULL).
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio Future.cancel.
 */
ROTA_API int rota_future_cancel(struct rota_future *future);

/*
 * Whether it has a value or an error, or was cancelled.
 *
 * Returns: true once it is done.
 * Errors: none; false for NULL.
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio Future.done.
 */
ROTA_API bool rota_future_done(const struct rota_future *future);

/*
 * Whether it was cancelled.
 *
 * Returns: true once it is.
 * Errors: none; false for NULL.
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio Future.cancelled.
 */
ROTA_API bool rota_future_cancelled(const struct rota_future *future);

/*
 * The result of a done future.
 *
 * Returns: 0 with *ret_value set (ret_value may be NULL).
 * Errors: ROTA_ESTATE (pending), -ECANCELED (cancelled), the future's own error, which counts as
 * read then; -EINVAL (NULL future). Call from: any thread that holds a reference. Suspends: no.
 * Ownership: the value is borrowed for as long as the caller holds a reference. Source: asyncio
 * Future.result, Future.exception.
 */
ROTA_API int rota_future_result(struct rota_future *future, void **ret_value);

/*
 * Wait until the future is done, and give its result. A request of cancellation detaches this
 * waiter alone; the future stays as it is.
 *
 * Returns: as rota_future_result().
 * Errors: as rota_future_result(), but never ROTA_ESTATE of its own; -ECANCELED also when the
 * waiting task is cancelled (rota_future_cancelled() tells which); ROTA_ECLOSED (the last reference
 * went meanwhile), ROTA_ENOTASK (it would have to suspend outside a task), ROTA_ENOLOOP (no loop
 * runs on this thread), ROTA_EOTHERRUNTIME. Call from: any task; any callback when it is done.
 * Suspends: yes. Ownership: as rota_future_result(). Source: await of an asyncio.Future.
 */
ROTA_API ROTA_SUSPENDS int rota_future_await(struct rota_future *future, void **ret_value);

/*
 * The same for a thread that runs no loop: block it for at most `timeout_ns`. Zero and less: only
 * look. ROTA_NEVER: no limit.
 *
 * Returns: as rota_future_result().
 * Errors: as rota_future_await(), and -ETIMEDOUT (still pending), ROTA_ESTATE (this thread runs a
 * loop, which must not block), ROTA_EFORKED. Call from: any thread that runs no loop. Suspends: no,
 * it blocks the thread. Ownership: as rota_future_result().
 * Source: concurrent.futures.Future.result.
 */
ROTA_API int rota_future_wait(struct rota_future *future, int64_t timeout_ns, void **ret_value);

/*
 * Call fn(future, arg) once the future is done: on this loop, at a later pass, in the order in
 * which callbacks were added. All that it needs is allocated now. May be added more than once.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL), -ENOMEM, ROTA_ENOLOOP.
 * Call from: a loop's thread. Suspends: no.
 * Ownership: `arg` is the caller's; the callback holds a reference to the future while it is queued
 * and runs; `context` NULL is a copy of the current one, else that object is entered and kept by a
 * reference. Dropped without a call when the loop closes first. Source: asyncio
 * Future.add_done_callback.
 */
ROTA_API int rota_future_add_done_callback(struct rota_future *future, rota_future_fn fn, void *arg,
                                           struct rota_context *context);

/*
 * Remove every callback that was added with this `fn` and `arg` and is not queued yet.
 *
 * Returns: how many there were.
 * Errors: -EINVAL (NULL).
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: their contexts are released. Source: asyncio Future.remove_done_callback.
 */
ROTA_API int rota_future_remove_done_callback(struct rota_future *future, rota_future_fn fn,
                                              void *arg);

/*
 * The loop that the future was created with; it never changes.
 *
 * Returns: a borrowed pointer; NULL for NULL.
 * Errors: none.
 * Call from: any thread that holds a reference. Suspends: no.
 * Ownership: borrowed from the future. Source: asyncio Future.get_loop.
 */
ROTA_API struct rota_loop *rota_future_get_loop(const struct rota_future *future);

ROTA_END_DECLS

#endif
