/* SPDX-License-Identifier: MIT */
/*
 * handle_model.c - the word of a callback's node in the explorer: it runs or is prevented, and who
 * is told that it has run may free what it used.
 *
 * Thread 0 schedules, and uses its token; thread 1 is the loop. What the callback uses is one plain
 * variable, which thread 0 takes for its own as soon as a verdict allows it: a race fails the run.
 */
#include "loop/handle_state.h"
#include "sched/base/spin.h"

#include "tests/model/model.h"

static roti_handle_word word;
static _Atomic(bool) queued; /* the queue: from thread 0 to the loop */
static _Atomic(bool) woken;  /* the wake: from the loop to thread 0 */
static struct roti_spin lock;
static bool linked;   /* under lock: thread 0 waits for the end */
static int used;      /* the callback's argument: plain */
static int armed_at;  /* which wheel holds the timer: the loop's until ARMED */
static int ran;       /* the loop's */
static int prevented; /* thread 0's */
static int freed[2];  /* how often each thread has freed the node's life */

static bool is_queued(void *arg)
{
    (void)arg;
    return roti_load(TJ1, relaxed, &queued);
}

static bool is_woken(void *arg)
{
    (void)arg;
    return roti_load(TJ2, relaxed, &woken);
}

/* ---- The loop ---- */

static void take_from_queue(void)
{
    model_wait_until(is_queued, NULL);
    while (!roti_load(TJ3, acquire, &queued))
        roti_pause();
}

static void free_life(unsigned thread)
{
    freed[thread]++;
    if (!roti_handle_end(&word))
        return;
    roti_spin_lock(&lock);
    ROTI_PLAIN_READ(&linked);
    if (linked)
        roti_store(TJ4, release, &woken, true);
    ROTI_PLAIN_WRITE(&linked);
    linked = false;
    roti_spin_unlock(&lock);
}

/* What the loop does with a node that it has popped. */
static void run_or_skip(void)
{
    if (roti_handle_move(&word, ROTI_HANDLE_QUEUED, ROTI_HANDLE_RUNNING)) {
        ROTI_PLAIN_WRITE(&used);
        used = 1;
        ran++;
    }
    free_life(1);
}

/* Another life of the node, with somebody else's token: it runs or is cancelled, and what it writes
 * stands in the word after the first. One without a token would leave the word alone. */
static void second_life(void)
{
    uint64_t generation = roti_handle_begin(&word, ROTI_HANDLE_QUEUED);
    if (model_choose(2) == 0)
        MODEL_ASSERT(roti_handle_move(&word, ROTI_HANDLE_QUEUED, ROTI_HANDLE_RUNNING));
    else
        MODEL_ASSERT(roti_handle_try_cancel(&word, generation) == ROTI_HANDLE_CANCEL_SKIP);
    MODEL_ASSERT(!roti_handle_end(&word));
}

static void queue_loop(unsigned thread)
{
    (void)thread;
    take_from_queue();
    run_or_skip();
    second_life();
}

static void await_loop(unsigned thread)
{
    (void)thread;
    take_from_queue();
    run_or_skip();
}

/* A timer that was posted: armed, then due. A cancelled one is left to its canceller. */
static void timer_loop(unsigned thread)
{
    (void)thread;
    take_from_queue();
    ROTI_PLAIN_WRITE(&armed_at);
    armed_at = 1;
    if (!roti_handle_move(&word, ROTI_HANDLE_ARMING, ROTI_HANDLE_ARMED)) {
        free_life(1);
        return;
    }
    if (roti_handle_move(&word, ROTI_HANDLE_ARMED, ROTI_HANDLE_QUEUED))
        run_or_skip();
}

/* ---- Thread 0 ---- */

static uint64_t post(enum roti_handle_state state)
{
    ROTI_PLAIN_WRITE(&used);
    uint64_t generation = roti_handle_begin(&word, state);
    roti_store(TJ5, release, &queued, true);
    return generation;
}

/* The argument is thread 0's again: it will not be used, or was. */
static void take_back(void)
{
    ROTI_PLAIN_WRITE(&used);
    used = 2;
}

/* One attempt to cancel, and what its verdict allows. Returns whether the callback is running. */
static bool cancel(uint64_t generation)
{
    switch (roti_handle_try_cancel(&word, generation)) {
    case ROTI_HANDLE_CANCEL_DISARM:
        ROTI_PLAIN_READ(&armed_at);
        MODEL_ASSERT(armed_at == 1);
        free_life(0);
        prevented++;
        break;
    case ROTI_HANDLE_CANCEL_SKIP:
        prevented++;
        break;
    case ROTI_HANDLE_CANCEL_REPEATED:
        MODEL_ASSERT(prevented == 1);
        break;
    case ROTI_HANDLE_CANCEL_RUNNING:
        return true;
    case ROTI_HANDLE_CANCEL_GONE:
        break;
    }
    take_back();
    return false;
}

static void queue_owner(unsigned thread)
{
    (void)thread;
    uint64_t generation = post(ROTI_HANDLE_QUEUED);
    (void)cancel(generation);
    (void)cancel(generation);
}

static void timer_owner(unsigned thread)
{
    (void)thread;
    (void)cancel(post(ROTI_HANDLE_ARMING));
}

static void await_owner(unsigned thread)
{
    (void)thread;
    uint64_t generation = post(ROTI_HANDLE_QUEUED);
    if (!cancel(generation))
        return;
    roti_spin_lock(&lock);
    bool waits = roti_handle_await(&word, generation);
    if (waits) {
        ROTI_PLAIN_WRITE(&linked);
        linked = true;
    }
    roti_spin_unlock(&lock);
    if (waits) {
        model_wait_until(is_woken, NULL);
        while (!roti_load(TJ6, acquire, &woken))
            roti_pause();
    }
    take_back();
}

/* ---- The tests ---- */

static void reset(void)
{
    roti_store(TJ7, relaxed, &word, 0);
    roti_store(TJ8, relaxed, &queued, false);
    roti_store(TJ9, relaxed, &woken, false);
    roti_store(TJ10, relaxed, &lock.locked, 0);
    linked = false;
    used = armed_at = ran = prevented = 0;
    freed[0] = freed[1] = 0;
}

static void check(void)
{
    MODEL_ASSERT(ran + prevented == 1);
    MODEL_ASSERT(freed[0] + freed[1] == 1);
    MODEL_ASSERT(freed[0] == 0 || prevented == 1);
    uint64_t end = roti_load(TJ11, relaxed, &word);
    MODEL_ASSERT(roti_handle_state_of(end) == ROTI_HANDLE_FREE);
}

MODEL_TEST(run_or_cancel) = {.threads = {queue_owner, queue_loop}, .setup = reset, .check = check};
MODEL_TEST(timer_or_cancel) = {
    .threads = {timer_owner, timer_loop}, .setup = reset, .check = check};
MODEL_TEST(await_the_end) = {.threads = {await_owner, await_loop}, .setup = reset, .check = check};
