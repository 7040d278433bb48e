/* SPDX-License-Identifier: MIT */
/*
 * word_model.c - the wait word and the one wait mechanism under weak memory.
 *
 * A task waits for objects; wakers, cancellers and a dump come at any moment, and a thread of its
 * own resumes it, so that what a suspension saves must be visible where it goes on. What must hold:
 * one resume for each suspension, one winner, no access to object or wait after the task may run
 * (the woken task frees both at once), and no request lost or delivered twice.
 */
#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "tests/sched/model/task_stand_in.h"

#include <errno.h>

#define VALUE 42

/* Something to wait for: it has a value, sooner or later. */
struct object {
    struct roti_spin lock;
    struct roti_list waits;
    bool given; /* under lock: nobody has waited, the value is here */
};

static struct object *objects[2];
static struct roti_wait *waits[2];
static bool freed;      /* the task has freed the object: its own, then check's */
static bool got[2];     /* the task's own */
static unsigned ticket; /* the timer's, under its lock */
static bool fired;      /* under its lock */
static bool left;       /* under its lock: the scope's timer must not fire any more */
static struct roti_spin timers_lock;
static bool one_canceller; /* of this test: it has a reason */
static int reason;         /* plain: the canceller's, then the task's, once it was told */

static void give(unsigned index)
{
    struct object *object = objects[index];
    struct roti_list woken;
    struct roti_wait *wait;
    roti_list_init(&woken);
    roti_spin_lock(&object->lock);
    ROTI_PLAIN_WRITE(&object->given);
    bool taken = false;
    while (!taken && (wait = roti_wait_first(&object->waits)) != NULL) {
        taken = roti_wait_claim(wait, VALUE);
        if (taken)
            roti_list_push_back(&woken, &wait->link);
    }
    object->given = !taken;
    roti_spin_unlock(&object->lock);
    roti_wait_wake_all(&woken);
}

/* Takes the value if it is there, else links wait `index`. Under the lock. True: taken. */
static bool take_or_link(unsigned index)
{
    struct object *object = objects[index];
    ROTI_PLAIN_READ(&object->given);
    if (object->given) {
        ROTI_PLAIN_WRITE(&object->given);
        object->given = false;
        return true;
    }
    roti_wait_link(waits[index], &object->waits);
    return false;
}

static void unlink_wait(unsigned index)
{
    roti_spin_lock(&objects[index]->lock);
    roti_wait_unlink(waits[index]);
    roti_spin_unlock(&objects[index]->lock);
}

/* Returns what a wait returned. A task that is told of a cancellation sees what came before it. */
static int told(int r)
{
    if (r == -ECANCELED && one_canceller) {
        ROTI_PLAIN_READ(&reason);
        MODEL_ASSERT(reason == 1);
    }
    return stand_in_count(r);
}

/* Waits for one object. 0 when its value was taken, or -ECANCELED. */
static int wait_for(unsigned index, uint64_t flags)
{
    struct object *object = objects[index];
    roti_wait_init(waits[index], ROTI_WAIT_FUTURE, object, index);
    roti_spin_lock(&object->lock);
    if (object->given) {
        (void)take_or_link(index);
        roti_spin_unlock(&object->lock);
        return 0;
    }
    int r = roti_wait_begin(flags);
    if (r < 0) {
        roti_spin_unlock(&object->lock);
        return (flags & ROTI_KEEPS) != 0 ? r : told(r);
    }
    (void)take_or_link(index);
    roti_spin_unlock(&object->lock);
    r = roti_wait_suspend();
    if (r < 0) {
        unlink_wait(index);
        return (flags & ROTI_KEEPS) != 0 ? r : told(r);
    }
    MODEL_ASSERT(r == (int)index);
    ROTI_PLAIN_READ(&waits[index]->result);
    MODEL_ASSERT(waits[index]->result == VALUE);
    return 0;
}

static void reset(void)
{
    stand_in_reset(1);
    for (unsigned i = 0; i < 2; i++) {
        objects[i] = roti_zalloc(sizeof *objects[i]);
        waits[i] = roti_zalloc(sizeof *waits[i]);
        roti_list_init(&objects[i]->waits);
        got[i] = false;
    }
    freed = false;
    fired = false;
    left = false;
    reason = 0;
    one_canceller = false;
    ticket = 0;
    roti_spin_unlock(&timers_lock);
}

static void reset_with_canceller(void)
{
    reset();
    one_canceller = true;
}

static void reset_with_runner(void)
{
    reset();
    stand_in_use_runner();
}

static void reset_with_both(void)
{
    reset_with_canceller();
    stand_in_use_runner();
}

static void first_waker(unsigned thread)
{
    (void)thread;
    give(0);
}

static void second_waker(unsigned thread)
{
    (void)thread;
    give(1);
}

static void canceller(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_WRITE(&reason);
    reason = 1;
    MODEL_ASSERT(roti_task_cancel_request(&stand_ins[0].task, NULL));
}

static void another_canceller(unsigned thread)
{
    (void)thread;
    MODEL_ASSERT(roti_task_cancel_request(&stand_ins[0].task, NULL));
}

/* The task may be done by then. */
static void late_canceller(unsigned thread)
{
    (void)thread;
    (void)roti_task_cancel_request(&stand_ins[0].task, NULL);
}

static void dump(unsigned thread)
{
    struct stand_in *seen = &stand_ins[0];
    (void)thread;
    if (!roti_state_hold(&seen->task.word))
        return;
    ROTI_PLAIN_READ(&seen->registers);
    MODEL_ASSERT(seen->registers == 1);
    (void)roti_load(TD1, relaxed, &seen->frame.waker);
    if (roti_state_parked(&seen->task.word) == ROTI_NEXT_ENQUEUE)
        roti_task_enqueue(&seen->task);
}

/* The requests made so far are each delivered, or still marked: `count` in all. */
static void check_requests(unsigned count)
{
    uint64_t word = stand_in_word(0);
    MODEL_ASSERT(roti_word_state(word) == ROTI_ACTIVE);
    MODEL_ASSERT(roti_word_requests(word) == count);
    MODEL_ASSERT(roti_word_deliveries(word) == stand_ins[0].delivered);
    MODEL_ASSERT(stand_ins[0].delivered + roti_word_undelivered(word) <= count);
    MODEL_ASSERT(count == 0 || stand_ins[0].delivered + roti_word_undelivered(word) > 0);
}

/* ---- H42: the woken task frees object and wait in its first action ---- */

static void freeing_task(unsigned thread)
{
    (void)thread;
    if (wait_for(0, 0) < 0)
        return;
    freed = true;
    roti_free(objects[0], sizeof *objects[0]);
    roti_free(waits[0], sizeof *waits[0]);
    roti_free(objects[1], sizeof *objects[1]);
    roti_free(waits[1], sizeof *waits[1]);
}

static void check_freed(void)
{
    check_requests(0);
    MODEL_ASSERT(freed && model_live_blocks() == 0);
}

static void check_freed_or_cancelled(void)
{
    check_requests(1);
    MODEL_ASSERT(freed == (stand_ins[0].delivered == 0));
    MODEL_ASSERT(freed || objects[0]->given); /* cancelled: nothing was consumed */
}

MODEL_TEST(word_freed) = {
    .threads = {freeing_task, first_waker}, .setup = reset, .check = check_freed};
MODEL_TEST(word_cancelled) = {.threads = {freeing_task, first_waker, canceller},
                              .setup = reset_with_canceller,
                              .check = check_freed_or_cancelled};

/* ---- The same, resumed elsewhere, with a dump that holds it ---- */

static void task_that_ends(unsigned thread)
{
    (void)thread;
    got[0] = wait_for(0, 0) == 0;
    stand_in_complete(0);
}

static void check_ended(void)
{
    uint64_t word = stand_in_word(0);
    MODEL_ASSERT(roti_word_state(word) == ROTI_DONE);
    MODEL_ASSERT(got[0] == (stand_ins[0].delivered == 0));
    MODEL_ASSERT(stand_ins[0].resumes <= 1);
}

static void check_ended_given(void)
{
    check_ended();
    MODEL_ASSERT(got[0] == !objects[0]->given);
}

MODEL_TEST(word_held) = {.threads = {task_that_ends, first_waker, dump, stand_in_runner},
                         .setup = reset_with_runner,
                         .check = check_ended_given};
MODEL_TEST(word_held_cancelled) = {.threads = {task_that_ends, canceller, dump, stand_in_runner},
                                   .setup = reset_with_both,
                                   .check = check_ended};
MODEL_TEST(word_held_twice) = {
    .threads = {task_that_ends, first_waker, late_canceller, dump, stand_in_runner},
    .setup = reset_with_runner,
    .check = check_ended_given};

/* ---- One task, two waits, two wakers: one winner at a time, nothing lost ---- */

/* Waits for either of what is missing. Returns the index of what was taken, or -ECANCELED. */
static int wait_for_either(void)
{
    int r = roti_wait_begin(0);
    int taken = -1;
    if (r < 0)
        return told(r);
    for (unsigned i = 0; i < 2; i++) {
        roti_wait_init(waits[i], ROTI_WAIT_FUTURE, objects[i], i);
        if (got[i] || taken >= 0)
            continue;
        roti_spin_lock(&objects[i]->lock);
        if (take_or_link(i))
            taken = (int)i;
        roti_spin_unlock(&objects[i]->lock);
    }
    if (taken < 0)
        r = roti_wait_suspend();
    for (unsigned i = 0; i < 2; i++)
        unlink_wait(i);
    if (taken >= 0) {
        /* A claim may have come between: then that one's value was taken too. */
        roti_wait_abandon();
        for (unsigned i = 0; i < 2; i++)
            got[i] |= waits[i]->result == VALUE;
        return taken;
    }
    return told(r);
}

static void choosing_task(unsigned thread)
{
    (void)thread;
    while (!got[0] || !got[1]) {
        int index = wait_for_either();
        if (index < 0)
            continue;
        MODEL_ASSERT(!got[index]);
        got[index] = true;
    }
}

static void check_both(void)
{
    check_requests(0);
    MODEL_ASSERT(!objects[0]->given && !objects[1]->given);
}

static void check_both_cancelled(void)
{
    check_requests(1);
    MODEL_ASSERT(!objects[0]->given && !objects[1]->given);
}

MODEL_TEST(word_either) = {
    .threads = {choosing_task, first_waker, second_waker}, .setup = reset, .check = check_both};
MODEL_TEST(word_either_cancelled) = {
    .threads = {choosing_task, first_waker, second_waker, canceller},
    .setup = reset_with_canceller,
    .check = check_both_cancelled};

/* ---- Requests: absorbed until the wait is over, kept, taken back by ticket ---- */

static void absorbing_task(unsigned thread)
{
    (void)thread;
    MODEL_ASSERT(wait_for(0, ROTI_ABSORBS) == 0);
    (void)wait_for(1, 0);
}

static void check_two_requests(void)
{
    check_requests(2);
}

MODEL_TEST(word_absorbed) = {
    .threads = {absorbing_task, another_canceller, another_canceller, first_waker, second_waker},
    .setup = reset,
    .check = check_two_requests};

/* A wait that keeps its request ends, and the next delivers it. */
static void keeping_task(unsigned thread)
{
    (void)thread;
    (void)wait_for(0, ROTI_KEEPS);
    MODEL_ASSERT(roti_word_deliveries(stand_in_word(0)) == 0);
    (void)wait_for(1, 0);
}

static void check_one_request(void)
{
    check_requests(1);
}

MODEL_TEST(word_kept) = {.threads = {keeping_task, canceller, first_waker, second_waker},
                         .setup = reset_with_canceller,
                         .check = check_one_request};

/* A timer requests under its lock, as an expiring scope does, unless the scope has been left. */
static void timer(unsigned thread)
{
    (void)thread;
    roti_spin_lock(&timers_lock);
    if (!left)
        fired = roti_task_cancel_request(&stand_ins[0].task, &ticket);
    roti_spin_unlock(&timers_lock);
}

static void scoped_task(unsigned thread)
{
    (void)thread;
    (void)wait_for(0, 0);
    roti_spin_lock(&timers_lock);
    left = true;
    if (fired)
        (void)roti_task_uncancel_ticket(&stand_ins[0].task, ticket);
    roti_spin_unlock(&timers_lock);
}

/* Nothing of the timer's request is left. */
static void check_taken_back(void)
{
    uint64_t word = stand_in_word(0);
    MODEL_ASSERT(roti_word_requests(word) == 0 && roti_word_undelivered(word) == 0);
}

/* The outer request is counted, and was delivered after it was made or is still marked. */
static void check_outer(void)
{
    uint64_t word = stand_in_word(0);
    MODEL_ASSERT(roti_word_requests(word) == 1);
    MODEL_ASSERT(stand_ins[0].delivered > 0 || roti_word_undelivered(word) == 1);
    MODEL_ASSERT(roti_word_undelivered(word) <= 1);
}

MODEL_TEST(word_scope) = {
    .threads = {scoped_task, timer, first_waker}, .setup = reset, .check = check_taken_back};
MODEL_TEST(word_scope_cancelled) = {
    .threads = {scoped_task, timer, first_waker, canceller}, .setup = reset, .check = check_outer};
