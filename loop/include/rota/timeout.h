/* SPDX-License-Identifier: MIT */
/*
 * timeout.h - sleeping, and scopes of time: a block of code that is cancelled when its time is
 * over.
 *
 *     struct rota_timeout timeout = {0};
 *     int r = rota_timeout_begin(&timeout, 5 * ROTA_SEC);
 *     if (r == 0)
 *         r = rota_timeout_end(&timeout, talk_to_peer(peer));   // -ETIMEDOUT after five seconds
 *
 * A scope that expires cancels its task, so whatever suspends inside returns -ECANCELED. The end
 * of the scope takes that request back, and turns -ECANCELED into -ETIMEDOUT if it was this scope's
 * doing and nobody else wants the task cancelled. Scopes nest; where several have expired, the
 * outermost reports. A block that never suspends does not time out.
 */
#ifndef ROTA_TIMEOUT_H
#define ROTA_TIMEOUT_H

#include <rota/base.h>
#include <rota/error.h>

ROTA_BEGIN_DECLS

/* ---- Sleeping ---- */

/*
 * Suspend the current task for `delay_ns`, never less. Zero and less: exactly rota_yield(), without
 * a timer. ROTA_NEVER: until it is cancelled.
 *
 * Returns: 0.
 * Errors: -ECANCELED (a request was pending or arrived meanwhile), ROTA_ENOTASK.
 * Call from: any task. Suspends: yes.
 * Ownership: none. Source: asyncio.sleep.
 */
ROTA_API ROTA_SUSPENDS int rota_sleep(int64_t delay_ns);

/*
 * Suspend the current task until the instant `when_ns` of rota_time_ns(). One that has passed:
 * exactly rota_yield().
 *
 * Returns: 0.
 * Errors: -ECANCELED (a request was pending or arrived meanwhile), ROTA_ENOTASK.
 * Call from: any task. Suspends: yes.
 * Ownership: none. Source: asyncio.sleep.
 */
ROTA_API ROTA_SUSPENDS int rota_sleep_until(int64_t when_ns);

/* ---- Scopes ---- */

/* Where a scope is in its life. */
enum rota_timeout_state {
    ROTA_TIMEOUT_CREATED,  /* not begun; zeroed memory */
    ROTA_TIMEOUT_ACTIVE,   /* begun, its time is not over */
    ROTA_TIMEOUT_EXPIRING, /* its time is over, and its task is being cancelled */
    ROTA_TIMEOUT_EXPIRED,  /* ended after its time was over */
    ROTA_TIMEOUT_FINISHED, /* ended in time */
};

/*
 * A scope of time. On the stack of the task that begins it, where it stays until it is ended;
 * zeroed before the first use. The fields are the runtime's.
 */
struct rota_timeout {
    int64_t when_ns;
    unsigned char scope[96];
};

/*
 * Begin a scope that expires `delay_ns` from now. Zero and less: at once, so that the block runs up
 * to its first suspension. ROTA_NEVER: not unless it is rescheduled.
 *
 * Returns: 0; rota_timeout_end() must follow in this task, before the memory goes.
 * Errors: ROTA_ENOTASK, ROTA_ESTATE (this scope is active already), -EINVAL (NULL).
 * Call from: any task. Suspends: no.
 * Ownership: `timeout` stays the caller's, and must stay where it is until the end.
 * Source: asyncio.timeout.
 */
ROTA_API int rota_timeout_begin(struct rota_timeout *timeout, int64_t delay_ns);

/*
 * The same with an instant of rota_time_ns().
 *
 * Returns: as rota_timeout_begin().
 * Errors: as rota_timeout_begin().
 * Call from: any task. Suspends: no.
 * Ownership: as rota_timeout_begin(). Source: asyncio.timeout_at.
 */
ROTA_API int rota_timeout_begin_at(struct rota_timeout *timeout, int64_t when_ns);

/*
 * End a scope with the status that its block came to. Scopes end innermost first. A request of the
 * scope's is taken back, delivered or not; requests of others are left alone.
 *
 * Returns: `status`; -ETIMEDOUT instead if the scope has expired, `status` is -ECANCELED, and no
 * request is left that was not there when the scope began.
 * Errors: ROTA_ESTATE (not active in this task, or a scope that began later has not ended), -EINVAL
 * (NULL).
 * Call from: the task that began it. Suspends: no.
 * Ownership: `timeout` may be reused or discarded afterwards. Source: leaving asyncio.timeout.
 */
ROTA_API int rota_timeout_end(struct rota_timeout *timeout, int status);

/*
 * Move the end of an active scope to another instant of rota_time_ns(). One that has passed expires
 * it at once; ROTA_NEVER takes the limit away.
 *
 * Returns: 0.
 * Errors: ROTA_ESTATE (not begun, expiring, or ended: rota_timeout_get_state() says which), -EINVAL
 * (NULL).
 * Call from: the task that began it. Suspends: no.
 * Ownership: `timeout` stays the caller's. Source: asyncio.Timeout.reschedule.
 */
ROTA_API int rota_timeout_reschedule(struct rota_timeout *timeout, int64_t when_ns);

/*
 * The instant at which the scope expires, or would have.
 *
 * Returns: the instant of rota_time_ns(); ROTA_NEVER where there is none; 0 before the first begin.
 * Errors: none; 0 for NULL.
 * Call from: the task that began it. Suspends: no.
 * Ownership: `timeout` stays the caller's. Source: asyncio.Timeout.when.
 */
ROTA_API int64_t rota_timeout_when(const struct rota_timeout *timeout);

/*
 * Whether the scope's time was over before it ended, whatever status it ended with.
 *
 * Returns: true from the expiry on.
 * Errors: none; false for NULL.
 * Call from: the task that began it. Suspends: no.
 * Ownership: `timeout` stays the caller's. Source: asyncio.Timeout.expired.
 */
ROTA_API bool rota_timeout_expired(const struct rota_timeout *timeout);

/*
 * Where the scope is in its life.
 *
 * Returns: an enum rota_timeout_state.
 * Errors: -EINVAL (NULL).
 * Call from: the task that began it. Suspends: no.
 * Ownership: `timeout` stays the caller's.
 */
ROTA_API int rota_timeout_get_state(const struct rota_timeout *timeout);

ROTA_END_DECLS

#endif
