/* SPDX-License-Identifier: MIT */
/*
 * thread_wait_model.c - a thread that waits, in the explorer: woken once, and last out of its
 * frame.
 *
 * The frame is a block of the explorer's heap, freed as soon as the sleep has returned: a waker
 * that touches it later fails the run (H42).
 */
#include "sched/base/alloc.h"
#include "sched/base/spin.h"
#include "sched/wait.h"

#include "tests/model/model.h"

/* What lies on the waiter's stack. */
struct frame {
    struct roti_thread_waiter waiter;
    int64_t result; /* plain: written by the waker, under the lock */
};

static struct roti_spin lock; /* the object's */
static struct frame *linked;  /* under lock: the wait in its list */
static bool claimed;          /* under lock */
static bool timed_out;        /* the waiter's */

static void wait_for_it(int64_t deadline_ns)
{
    struct frame *frame = roti_zalloc(sizeof *frame);
    struct roti_wait wait;
    roti_thread_wait_init(&wait, &frame->waiter, ROTI_WAIT_FUTURE, NULL);
    roti_spin_lock(&lock);
    ROTI_PLAIN_WRITE(&linked);
    linked = frame;
    roti_spin_unlock(&lock);
    int r = roti_thread_wait_sleep(&frame->waiter, deadline_ns);
    if (r < 0) {
        roti_spin_lock(&lock);
        ROTI_PLAIN_WRITE(&linked);
        timed_out = linked != NULL;
        linked = NULL;
        roti_spin_unlock(&lock);
        if (!timed_out)
            r = roti_thread_wait_sleep(&frame->waiter, INT64_MAX);
    }
    if (!timed_out) {
        MODEL_ASSERT(r == 0);
        ROTI_PLAIN_READ(&frame->result);
        MODEL_ASSERT(frame->result == 7);
    }
    roti_free(frame, sizeof *frame);
}

static void patient(unsigned thread)
{
    (void)thread;
    wait_for_it(INT64_MAX);
}

static void impatient(unsigned thread)
{
    (void)thread;
    wait_for_it(1);
}

/* One look at the object. Whether somebody waited, who is woken then. */
static bool wake_one(void)
{
    roti_spin_lock(&lock);
    ROTI_PLAIN_WRITE(&linked);
    struct frame *frame = linked;
    linked = NULL;
    if (frame != NULL) {
        ROTI_PLAIN_WRITE(&frame->result);
        frame->result = 7;
        claimed = true;
    }
    roti_spin_unlock(&lock);
    if (frame != NULL)
        roti_thread_wait_wake(&frame->waiter);
    return frame != NULL;
}

static void steadfast_waker(unsigned thread)
{
    (void)thread;
    while (!wake_one())
        roti_pause();
}

static void waker(unsigned thread)
{
    (void)thread;
    (void)wake_one();
}

static void reset(void)
{
    roti_store(TL1, relaxed, &lock.locked, 0);
    linked = NULL;
    claimed = timed_out = false;
}

static void check(void)
{
    MODEL_ASSERT(claimed != timed_out);
    MODEL_ASSERT(model_live_blocks() == 0);
}

MODEL_TEST(woken_and_last_out) = {
    .threads = {patient, steadfast_waker}, .setup = reset, .check = check};
MODEL_TEST(deadline_or_wake) = {.threads = {impatient, waker}, .setup = reset, .check = check};
