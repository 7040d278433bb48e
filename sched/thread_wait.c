/* SPDX-License-Identifier: MIT */
/*
 * thread_wait.c - how a thread that runs no loop waits for an object: it sleeps on an eventcount.
 *
 * Problem.   The waiter's memory is on its stack, and is gone as soon as the waiter sees that it
 *            was woken. A waker is not through by then: an eventcount is first raised, which the
 *            waiter may see at once, and only then, where the flag says that somebody sleeps,
 *            the flag is cleared and the kernel called. Clearing it would write into a frame of
 *            somebody else.
 * Design.    Waiter last out. A spinlock beside the eventcount is taken by init on the waker's
 *            behalf. The waker raises the count, wakes, and then unlocks: its last access. The
 *            waiter, woken, takes the lock before it returns. As the waker has all but finished
 *            when the waiter gets there, this costs next to nothing.
 * Deadlines. ck_ec sleeps in steps that grow, and looks at the deadline between them only, so
 *            that it may be late by seven times the time asked for. Its predicate may shorten
 *            the step, and does.
 * Rejected.  Eventcounts in type-stable memory: a late waker would do no harm there, but a wait
 *            could fail for want of memory. One in the thread's own object: the thread may end.
 * Threads.   init and sleep: the waiter. wake: whoever has claimed the wait, once.
 */
#include "sched/wait.h"

#include "sched/base/assert.h"

#include <ck_ec.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static_assert(sizeof(struct ck_ec32) <= sizeof((struct roti_thread_waiter){}.event),
              "an eventcount fits");
static_assert(alignof(struct ck_ec32) <= 8, "and is aligned");

static int read_clock(const struct ck_ec_ops *ops, struct timespec *ret_now)
{
    (void)ops;
    return clock_gettime(CLOCK_MONOTONIC, ret_now);
}

/* Waits on the monotonic clock, whose deadlines are absolute. May return for any reason. */
static void futex_wait(const struct ck_ec_wait_state *state, const uint32_t *address,
                       uint32_t expected, const struct timespec *deadline)
{
    (void)state;
    (void)syscall(SYS_futex, address, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, deadline,
                  NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Called before each step of a sleep; *step_end is when it will end. */
static int shorten_step(const struct ck_ec_wait_state *state, struct timespec *step_end)
{
    const struct timespec *deadline = state->data;
    if (step_end->tv_sec > deadline->tv_sec ||
        (step_end->tv_sec == deadline->tv_sec && step_end->tv_nsec > deadline->tv_nsec))
        *step_end = *deadline;
    return 0;
}

static void futex_wake(const struct ck_ec_ops *ops, const uint32_t *address)
{
    (void)ops;
    (void)syscall(SYS_futex, address, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0);
}

static const struct ck_ec_ops event_ops = {
    .gettime = read_clock,
    .wait32 = futex_wait,
    .wake32 = futex_wake,
};

/* The mode for one producer relies on a flag being seen in time, and polls for up to a second. */
static const struct ck_ec_mode event_mode = {.ops = &event_ops, .single_producer = false};

static struct ck_ec32 *event_of(struct roti_thread_waiter *waiter)
{
    return (struct ck_ec32 *)waiter->event;
}

void roti_thread_wait_init(struct roti_wait *wait, struct roti_thread_waiter *waiter,
                           enum roti_wait_kind kind, const void *object)
{
    *wait = (struct roti_wait){
        .thread = waiter,
        .object = object,
        .kind = (uint8_t)kind,
    };
    roti_list_init(&wait->link);
    ck_ec32_init(event_of(waiter), 0);
    /* [TW1] relaxed: the object's lock, under which the wait is linked, publishes it. */
    roti_store(TW1, relaxed, &waiter->waking.locked, 1U);
}

int roti_thread_wait_sleep(struct roti_thread_waiter *waiter, int64_t deadline_ns)
{
    struct timespec deadline = {
        .tv_sec = deadline_ns > 0 ? deadline_ns / 1000000000 : 0,
        .tv_nsec = deadline_ns > 0 ? deadline_ns % 1000000000 : 0,
    };
    struct ck_ec32 *event = event_of(waiter);
    int r = deadline_ns == INT64_MAX
                ? ck_ec32_wait(event, &event_mode, 0, NULL)
                : ck_ec32_wait_pred(event, &event_mode, 0, shorten_step, &deadline, &deadline);
    if (r != 0)
        return -ETIMEDOUT;
    roti_spin_lock(&waiter->waking);
    return 0;
}

void roti_thread_wait_wake(struct roti_thread_waiter *waiter)
{
    ck_ec32_inc(event_of(waiter), &event_mode);
    roti_spin_unlock(&waiter->waking);
}
