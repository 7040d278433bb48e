/* SPDX-License-Identifier: MIT */
/*
 * timeout.c - scopes of time: a timer that cancels a task, and an end that takes the request back.
 *
 * Problem.    A request of cancellation has no sender, so a scope must tell its own from
 *             others'. It may expire on another thread while its task leaves it, or is cancelled
 *             by somebody else, or completes what it waits for.
 * Design.     The timer fires under the lock of the loop's timers and makes its request there,
 *             with a ticket that tells later whether it was delivered. The end of the scope
 *             takes that lock to disarm: either the timer was still armed and nothing has
 *             happened, or the request is complete, ticket and all. Requests that others made
 *             are seen in the count: if it is not back at what it was when the scope began, the
 *             task is to be cancelled anyway, and -ECANCELED goes on upwards. So of nested
 *             scopes that have all expired the outermost reports. A scope whose time is over
 *             from the start makes its request at once: the block runs up to its first
 *             suspension, whatever the loop is doing, and no timer is armed.
 * Invariants. I1 `state` leaves ACTIVE by the timer, under its lock, or by the task where the
 *                timer is out of the wheel.
 *             I2 The scopes of a task are a stack: frame->scope is the innermost.
 */
#include <rota/timeout.h>

#include "loop/loop_impl.h"
#include "sched/cancel.h"

#include <assert.h>
#include <errno.h>

/* What lies in the opaque part of struct rota_timeout. */
struct scope {
    struct roti_timer timer;    /* timers NULL: not armed, as the time was over at once */
    struct rota_timeout *outer; /* task only */
    struct rota_task *task;     /* the task that began it; borrowed, it outlives the scope */
    _Atomic(int) state;         /* enum rota_timeout_state */
    unsigned requests;          /* the task's count when the scope began */
    unsigned ticket;            /* of the scope's own request; EXPIRING */
};

static_assert(sizeof(struct scope) <= sizeof((struct rota_timeout){}.scope), "a scope fits");
static_assert(alignof(struct scope) <= alignof(struct rota_timeout), "and is aligned");
static_assert(offsetof(struct rota_timeout, scope) % alignof(struct scope) == 0, "at its place");

static struct scope *scope_of(struct rota_timeout *timeout)
{
    return (struct scope *)timeout->scope;
}

static enum rota_timeout_state state_of(const struct rota_timeout *timeout)
{
    const struct scope *scope = (const struct scope *)timeout->scope;
    /* [TO1] relaxed: says what may have happened; who acts on it disarms first. */
    return (enum rota_timeout_state)roti_load(TO1, relaxed, &scope->state);
}

/* Requests that the task be cancelled. Under the timers' lock, or by the task without a timer. */
static void expire(struct scope *scope)
{
    ROTI_PLAIN_WRITE(&scope->ticket);
    bool requested = roti_task_cancel_request(scope->task, &scope->ticket);
    ROTI_ASSERT(requested); /* a task that is in a scope is not done */
    /* [TO2] relaxed: the lock of the timers orders it and the ticket before the task's end. */
    roti_store(TO2, relaxed, &scope->state, ROTA_TIMEOUT_EXPIRING);
}

static void fire(struct roti_timer *timer, struct roti_list *woken)
{
    (void)woken;
    expire(roti_container_of(timer, struct scope, timer));
}

/* Gives an active scope without a timer its deadline. */
static void set_deadline(struct rota_timeout *timeout, int64_t when_ns)
{
    struct rota_loop *loop = roti_loop_current();
    struct scope *scope = scope_of(timeout);
    timeout->when_ns = when_ns;
    scope->timer.timers = NULL;
    if (when_ns <= loop->worker.driver->now(loop))
        expire(scope);
    else
        roti_timer_arm(&loop->timers, &scope->timer, when_ns, ROTI_TIMER_TASK, fire);
}

/* Whether `timeout` is among the scopes that the task is in. Does not look into it. */
static bool is_inside(const struct rota_task *task, const struct rota_timeout *timeout)
{
    struct rota_timeout *inner = task->frame->scope;
    while (inner != NULL && inner != timeout)
        inner = scope_of(inner)->outer;
    return inner != NULL;
}

int rota_timeout_begin_at(struct rota_timeout *timeout, int64_t when_ns)
{
    struct rota_task *task = rota_current_task();
    if (timeout == NULL)
        return -EINVAL;
    if (task == NULL)
        return ROTA_ENOTASK;
    if (is_inside(task, timeout))
        return ROTA_ESTATE;
    struct scope *scope = scope_of(timeout);
    scope->outer = task->frame->scope;
    scope->task = task;
    scope->requests = (unsigned)rota_task_cancelling(task);
    /* [TO3] relaxed: the task's own, until the timer is armed. */
    roti_store(TO3, relaxed, &scope->state, ROTA_TIMEOUT_ACTIVE);
    task->frame->scope = timeout;
    set_deadline(timeout, when_ns);
    return 0;
}

int rota_timeout_begin(struct rota_timeout *timeout, int64_t delay_ns)
{
    struct rota_loop *loop = roti_loop_current();
    if (timeout == NULL)
        return -EINVAL;
    if (loop == NULL)
        return ROTA_ENOTASK;
    int64_t now_ns = loop->worker.driver->now(loop);
    return rota_timeout_begin_at(timeout, roti_deadline_after(now_ns, delay_ns));
}

/* Takes an active scope's timer out. False if the scope has expired; its request is complete. */
static bool stop_timer(struct rota_timeout *timeout)
{
    struct scope *scope = scope_of(timeout);
    return scope->timer.timers != NULL && roti_timer_disarm(&scope->timer);
}

int rota_timeout_end(struct rota_timeout *timeout, int status)
{
    struct rota_task *task = rota_current_task();
    if (timeout == NULL)
        return -EINVAL;
    if (task == NULL || task->frame->scope != timeout)
        return ROTA_ESTATE;
    struct scope *scope = scope_of(timeout);
    bool in_time = stop_timer(timeout);
    task->frame->scope = scope->outer;
    /* [TO4] relaxed: the timer is out. */
    roti_store(TO4, relaxed, &scope->state, in_time ? ROTA_TIMEOUT_FINISHED : ROTA_TIMEOUT_EXPIRED);
    if (in_time)
        return status;
    ROTI_PLAIN_READ(&scope->ticket);
    unsigned left = roti_task_uncancel_ticket(task, scope->ticket);
    return status == -ECANCELED && left <= scope->requests ? -ETIMEDOUT : status;
}

int rota_timeout_reschedule(struct rota_timeout *timeout, int64_t when_ns)
{
    struct rota_task *task = rota_current_task();
    if (timeout == NULL)
        return -EINVAL;
    if (task == NULL || !is_inside(task, timeout) || !stop_timer(timeout))
        return ROTA_ESTATE;
    set_deadline(timeout, when_ns);
    return 0;
}

int64_t rota_timeout_when(const struct rota_timeout *timeout)
{
    return timeout != NULL ? timeout->when_ns : 0;
}

bool rota_timeout_expired(const struct rota_timeout *timeout)
{
    if (timeout == NULL)
        return false;
    enum rota_timeout_state state = state_of(timeout);
    return state == ROTA_TIMEOUT_EXPIRING || state == ROTA_TIMEOUT_EXPIRED;
}

int rota_timeout_get_state(const struct rota_timeout *timeout)
{
    return timeout != NULL ? (int)state_of(timeout) : -EINVAL;
}
