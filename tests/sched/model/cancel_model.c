/* SPDX-License-Identifier: MIT */
/*
 * cancel_model.c - cancellation requests passed down a chain of awaits, under weak memory.
 *
 * A task awaits a child, which waits for a value, and somebody cancels the first. Its one request
 * must be seen exactly once: returned as -ECANCELED in the child or in the awaiter, or left marked
 * in the awaiter when both have ended before. Where no value ever comes a request that is lost
 * leaves everybody waiting. Tasks are virtual threads 0 to 2, the first of them at the head of the
 * chain.
 */
#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "tests/sched/model/task_stand_in.h"

#include <errno.h>

#define ENDED 7 /* the status of a child that got its value */

struct object {
    struct roti_spin lock;
    struct roti_list waits;
    bool given; /* under lock */
};

static struct object objects[STAND_IN_TASKS];
static bool passed_on[STAND_IN_TASKS]; /* own: it was cancelled itself, and cancelled its child */
static int reason;                     /* plain: the canceller's, then whoever is told */
static bool one_canceller;
static _Atomic(unsigned) told_count; /* how often somebody was told */

static struct rota_task *task_of(unsigned index)
{
    return &stand_ins[index].task;
}

/* Counts what a wait returned. Who is told of a cancellation sees what came before it. */
static int told(int r)
{
    if (r == -ECANCELED && one_canceller) {
        ROTI_PLAIN_READ(&reason);
        MODEL_ASSERT(reason == 1);
    }
    if (r == -ECANCELED)
        (void)roti_fetch_add(TC1, relaxed, &told_count, 1U);
    return stand_in_count(r);
}

/* Waits for one of the objects. 0 or -ECANCELED. */
static int wait_for(unsigned index)
{
    struct object *object = &objects[index];
    struct roti_wait wait;
    roti_wait_init(&wait, ROTI_WAIT_FUTURE, object, 0);
    roti_spin_lock(&object->lock);
    if (object->given) {
        roti_spin_unlock(&object->lock);
        return 0;
    }
    int r = roti_wait_begin(0);
    if (r < 0) {
        roti_spin_unlock(&object->lock);
        return told(r);
    }
    roti_wait_link(&wait, &object->waits);
    roti_spin_unlock(&object->lock);
    r = roti_wait_suspend();
    if (r < 0) {
        roti_spin_lock(&object->lock);
        roti_wait_unlink(&wait);
        roti_spin_unlock(&object->lock);
    }
    return told(r);
}

static void give(unsigned index)
{
    struct object *object = &objects[index];
    struct roti_list woken;
    struct roti_wait *wait;
    roti_list_init(&woken);
    roti_spin_lock(&object->lock);
    object->given = true;
    while ((wait = roti_wait_first(&object->waits)) != NULL)
        if (roti_wait_claim(wait, 0))
            roti_list_push_back(&woken, &wait->link);
    roti_spin_unlock(&object->lock);
    roti_wait_wake_all(&woken);
}

/* Awaits the child; one that is cancelled itself cancels the child, and does not wait for it. */
static int await_child(unsigned index, unsigned child)
{
    int status = 0;
    int r = told(rota_task_await(task_of(child), &status));
    if (r == 0) {
        MODEL_ASSERT(status == ENDED || status == -ECANCELED);
        return status;
    }
    MODEL_ASSERT(r == -ECANCELED);
    passed_on[index] = true;
    (void)roti_task_cancel_request(task_of(child), NULL);
    return r;
}

/* ---- Bodies ---- */

/* The head of the chain does not end, so that its word can be looked at. */
static void head(unsigned thread)
{
    (void)await_child(thread, thread + 1);
}

static void middle(unsigned thread)
{
    stand_in_complete(await_child(thread, thread + 1));
}

static void leaf(unsigned thread)
{
    stand_in_complete(wait_for(thread) < 0 ? -ECANCELED : ENDED);
}

/* Goes on after a first cancellation. */
static void stubborn_leaf(unsigned thread)
{
    (void)wait_for(thread);
    (void)wait_for(thread + 1);
    stand_in_complete(ENDED);
}

static void shielding_head(unsigned thread)
{
    int status = 0;
    int r = told(rota_task_shield(task_of(thread + 1), &status));
    MODEL_ASSERT(r == -ECANCELED || status == ENDED);
}

/* Awaits two children, one after the other. */
static void head_of_two(unsigned thread)
{
    int status = 0;
    for (unsigned child = 1; child <= 2; child++)
        (void)told(rota_task_await(task_of(thread + child), &status));
}

static void canceller(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_WRITE(&reason);
    reason = 1;
    bool made = roti_task_cancel_request(task_of(0), NULL);
    MODEL_ASSERT(made);
}

static void another_canceller(unsigned thread)
{
    (void)thread;
    bool made = roti_task_cancel_request(task_of(0), NULL);
    MODEL_ASSERT(made);
}

static bool is_told(void *arg)
{
    (void)arg;
    return roti_load(TC2, relaxed, &told_count) > 0;
}

/* Asks again once somebody has been told: this request must be seen for itself. */
static void insisting_canceller(unsigned thread)
{
    another_canceller(thread);
    model_wait_until(is_told, NULL);
    another_canceller(thread);
}

static void giver_of_1(unsigned thread)
{
    (void)thread;
    give(1);
}

static void giver_of_2(unsigned thread)
{
    (void)thread;
    give(2);
}

static void giver_of_both(unsigned thread)
{
    (void)thread;
    give(1);
    give(2);
}

/* Looks whether there is a request: then sees what came before it. */
static void observer(unsigned thread)
{
    (void)thread;
    if (rota_task_cancelling(task_of(0)) == 0)
        return;
    ROTI_PLAIN_READ(&reason);
    MODEL_ASSERT(reason == 1);
}

/* ---- Before and after a run ---- */

static void reset(unsigned task_count)
{
    stand_in_reset(task_count);
    for (unsigned i = 0; i < STAND_IN_TASKS; i++) {
        roti_spin_unlock(&objects[i].lock);
        roti_list_init(&objects[i].waits);
        objects[i].given = false;
        passed_on[i] = false;
    }
    reason = 0;
    one_canceller = true;
    roti_store(TC3, relaxed, &told_count, 0);
}

static void reset_two(void)
{
    reset(2);
}

static void reset_three(void)
{
    reset(3);
}

static void reset_two_requests(void)
{
    reset(2);
    one_canceller = false;
}

static void reset_three_requests(void)
{
    reset(3);
    one_canceller = false;
}

/* How often a request to the head was returned to somebody, what tasks did of their own left out.
 */
static unsigned times_seen(void)
{
    unsigned seen = 0;
    bool own = false;
    for (unsigned i = 0; i < STAND_IN_TASKS; i++) {
        if (!own)
            seen += stand_ins[i].delivered;
        own |= passed_on[i];
    }
    return seen;
}

/* One request: seen once, or still marked in the head. */
static void check_one(void)
{
    uint64_t word = stand_in_word(0);
    MODEL_ASSERT(roti_word_requests(word) == 1);
    MODEL_ASSERT(times_seen() + roti_word_undelivered(word) == 1);
    MODEL_ASSERT(roti_word_deliveries(word) == times_seen());
}

/* Two requests: both seen, or one for both, or marked. Never none, never more. */
static void check_two(void)
{
    uint64_t word = stand_in_word(0);
    MODEL_ASSERT(roti_word_requests(word) == 2);
    MODEL_ASSERT(times_seen() + roti_word_undelivered(word) >= 1);
    MODEL_ASSERT(times_seen() + roti_word_undelivered(word) <= 2);
}

/* Two requests, the second made when the first had been seen. */
static void check_each(void)
{
    uint64_t word = stand_in_word(0);
    MODEL_ASSERT(roti_word_requests(word) == 2);
    MODEL_ASSERT(times_seen() + roti_word_undelivered(word) == 2);
    MODEL_ASSERT(times_seen() == 0 || roti_word_deliveries(word) > 0);
}

/* Nobody else gives the leaf what it waits for: it must have been cancelled, and everybody ends. */
static void check_all_end(void)
{
    check_one();
    MODEL_ASSERT(roti_word_undelivered(stand_in_word(0)) == 0);
    MODEL_ASSERT(roti_word_state(stand_in_word(1)) == ROTI_DONE);
}

static void check_shielded(void)
{
    uint64_t word = stand_in_word(0);
    MODEL_ASSERT(stand_ins[1].delivered == 0 && roti_word_requests(stand_in_word(1)) == 0);
    MODEL_ASSERT(stand_ins[0].delivered + roti_word_undelivered(word) == 1);
}

/* ---- Tests ---- */

MODEL_TEST(cancel_only) = {
    .threads = {head, leaf, canceller}, .setup = reset_two, .check = check_all_end};
MODEL_TEST(cancel_observed) = {
    .threads = {head, leaf, canceller, observer}, .setup = reset_two, .check = check_all_end};
MODEL_TEST(cancel_at_end) = {
    .threads = {head, leaf, canceller, giver_of_1}, .setup = reset_two, .check = check_one};
MODEL_TEST(cancel_twice) = {
    .threads = {head, leaf, another_canceller, another_canceller, giver_of_1},
    .setup = reset_two_requests,
    .check = check_two};
MODEL_TEST(cancel_again) = {.threads = {head, stubborn_leaf, insisting_canceller, giver_of_2},
                            .setup = reset_two_requests,
                            .check = check_each};
MODEL_TEST(cancel_chain_only) = {
    .threads = {head, middle, leaf, canceller}, .setup = reset_three, .check = check_all_end};
MODEL_TEST(cancel_chain_at_end) = {.threads = {head, middle, leaf, canceller, giver_of_2},
                                   .setup = reset_three,
                                   .check = check_one};
MODEL_TEST(cancel_chain_twice) = {
    .threads = {head, middle, leaf, another_canceller, another_canceller, giver_of_2},
    .setup = reset_three_requests,
    .check = check_two};
MODEL_TEST(cancel_next_await) = {.threads = {head_of_two, leaf, leaf, canceller, giver_of_both},
                                 .setup = reset_three,
                                 .check = check_one};
MODEL_TEST(cancel_shielded) = {.threads = {shielding_head, leaf, canceller, giver_of_1},
                               .setup = reset_two,
                               .check = check_shielded};

MODEL_SURVIVES("W4:0", "each task is resumed by its own thread here: see model_word");
