/* SPDX-License-Identifier: MIT */
/*
 * timeout_model.c - scopes of time and sleeps in the explorer: a timer that fires on the loop where
 * it was armed, while its task is somewhere else.
 *
 * The product's files; the task is virtual thread 0, its loop thread 1. A scope is a block of the
 * explorer's heap, freed as soon as it has ended: a timer that touches it later fails the run. What
 * must hold: a scope takes its own request back, and no other; a sleep ends once.
 */
#include <rota/timeout.h>

#include "loop/loop_impl.h"
#include "sched/base/alloc.h"
#include "tests/model/absent.h"
#include "tests/sched/model/task_stand_in.h"

#include <errno.h>

#define DEADLINE_NS 10
#define TIMERS_MAX 8

static struct rota_loop loop;
static _Atomic(bool) armed; /* the task has left the loop on which it armed its timer */
static struct roti_spin object_lock;
static struct roti_list object_waits; /* under object_lock */
static bool given;                    /* under object_lock */
static int reason;     /* plain: the canceller's, then the sleeper's, once it was told */
static int status;     /* the task's: how its scope or its sleep has ended */
static unsigned fired; /* the loop's */

MODEL_ABSENT(int, rota_yield, void)

static int64_t now(void *arg)
{
    (void)arg;
    return 0;
}

static const struct roti_driver driver = {.now = now};

/* ---- The task ---- */

static int wait_for_object(void)
{
    struct roti_wait wait;
    roti_wait_init(&wait, ROTI_WAIT_FUTURE, &object_lock, 0);
    roti_spin_lock(&object_lock);
    ROTI_PLAIN_READ(&given);
    int r = given ? 0 : roti_wait_begin(0);
    bool waits = !given && r == 0;
    if (waits)
        roti_wait_link(&wait, &object_waits);
    roti_spin_unlock(&object_lock);
    if (!waits)
        return r;
    r = roti_wait_suspend();
    if (r < 0) {
        roti_spin_lock(&object_lock);
        roti_wait_unlink(&wait);
        roti_spin_unlock(&object_lock);
    }
    return r;
}

static void in_scope(unsigned thread)
{
    (void)thread;
    roti_worker_current()->loop = &loop;
    struct rota_timeout *timeout = roti_zalloc(sizeof *timeout);
    MODEL_ASSERT(rota_timeout_begin_at(timeout, DEADLINE_NS) == 0);
    roti_store(TZ1, release, &armed, true);
    int r = wait_for_object();
    status = rota_timeout_end(timeout, r);
    MODEL_ASSERT(status != -ETIMEDOUT || rota_timeout_expired(timeout));
    roti_free(timeout, sizeof *timeout);
}

/* The deadline is moved while it passes. */
static void in_moved_scope(unsigned thread)
{
    (void)thread;
    roti_worker_current()->loop = &loop;
    struct rota_timeout *timeout = roti_zalloc(sizeof *timeout);
    MODEL_ASSERT(rota_timeout_begin_at(timeout, DEADLINE_NS) == 0);
    roti_store(TZ2, release, &armed, true);
    int r = rota_timeout_reschedule(timeout, 0); /* at once, unless it has passed before */
    MODEL_ASSERT(r == 0 || r == ROTA_ESTATE);
    status = rota_timeout_end(timeout, wait_for_object());
    roti_free(timeout, sizeof *timeout);
}

static void sleeps(unsigned thread)
{
    (void)thread;
    roti_worker_current()->loop = &loop;
    status = rota_sleep_until(DEADLINE_NS);
    if (status == -ECANCELED) {
        ROTI_PLAIN_READ(&reason);
        MODEL_ASSERT(reason == 1);
    }
    roti_store(TZ6, relaxed, &armed, true); /* it may have been cancelled before it armed one */
}

/* ---- The others ---- */

static bool is_armed(void *arg)
{
    (void)arg;
    return roti_load(TZ3, relaxed, &armed);
}

static void turns(unsigned thread)
{
    (void)thread;
    model_wait_until(is_armed, NULL);
    while (!roti_load(TZ4, acquire, &armed))
        roti_pause();
    MODEL_ASSERT(roti_timers_next(&loop.timers) <= DEADLINE_NS);
    fired = roti_timers_expire(&loop.timers, DEADLINE_NS, TIMERS_MAX);
}

static bool has_timer(void *arg)
{
    (void)arg;
    return is_armed(NULL) || roti_timers_next(&loop.timers) != INT64_MAX;
}

static void turns_when_there_is_a_timer(unsigned thread)
{
    (void)thread;
    model_wait_until(has_timer, NULL);
    while (!has_timer(NULL))
        roti_pause();
    fired = roti_timers_expire(&loop.timers, DEADLINE_NS, TIMERS_MAX);
}

static void gives(unsigned thread)
{
    struct roti_list woken;
    struct roti_wait *wait;
    (void)thread;
    roti_list_init(&woken);
    roti_spin_lock(&object_lock);
    ROTI_PLAIN_WRITE(&given);
    given = true;
    while ((wait = roti_wait_first(&object_waits)) != NULL)
        if (roti_wait_claim(wait, 0))
            roti_list_push_back(&woken, &wait->link);
    roti_spin_unlock(&object_lock);
    roti_wait_wake_all(&woken);
}

static void cancels(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_WRITE(&reason);
    reason = 1;
    (void)roti_task_cancel_request(&stand_ins[0].task, NULL);
}

/* ---- The tests ---- */

static void reset(void)
{
    stand_in_reset(1);
    loop.worker.driver = &driver;
    roti_timers_init(&loop.timers, 0);
    roti_store(TZ5, relaxed, &armed, false);
    roti_spin_unlock(&object_lock);
    roti_list_init(&object_waits);
    given = false;
    reason = 0;
    status = 1;
    fired = 0;
}

/* The task's requests are those of others, and none that nobody has seen is the scope's. */
static void check_requests(unsigned others)
{
    uint64_t word = stand_in_word(0);
    MODEL_ASSERT(roti_word_requests(word) == others);
    MODEL_ASSERT(roti_word_undelivered(word) <= others);
    MODEL_ASSERT(model_live_blocks() == 0);
    MODEL_ASSERT(roti_wheel_next_deadline(&loop.timers.wheel) == INT64_MAX);
}

static void check_scope(void)
{
    check_requests(0);
    MODEL_ASSERT(status == 0 || status == -ETIMEDOUT);
    MODEL_ASSERT(fired == 1 || status == 0);
    MODEL_OUTCOME(status == 0, (int)fired);
}

static void check_moved(void)
{
    check_requests(0);
    MODEL_ASSERT(status == 0 || status == -ETIMEDOUT);
}

static void check_cancelled(void)
{
    check_requests(1);
    MODEL_ASSERT(status == 0 || status == -ETIMEDOUT || status == -ECANCELED);
}

static void check_sleep(void)
{
    check_requests(1);
    MODEL_ASSERT(status == 0 || status == -ECANCELED);
    MODEL_ASSERT(status != 0 || fired == 1);
    MODEL_OUTCOME(status == 0, (int)fired);
}

MODEL_TEST(timeout_or_done) = {
    .threads = {in_scope, turns, gives}, .setup = reset, .check = check_scope};
MODEL_TEST(timeout_moved) = {
    .threads = {in_moved_scope, turns, gives}, .setup = reset, .check = check_moved};
MODEL_TEST(timeout_or_cancelled) = {
    .threads = {in_scope, turns, gives, cancels}, .setup = reset, .check = check_cancelled};
MODEL_TEST(timeout_sleep) = {.threads = {sleeps, turns_when_there_is_a_timer, cancels},
                             .setup = reset,
                             .check = check_sleep};

MODEL_SURVIVES("CN4:0", "a scope counts its own task's requests, and acts on nothing else");
MODEL_SURVIVES("W4:0", "each task is resumed by its own thread here: see model_word");
