/* SPDX-License-Identifier: MIT */
/*
 * handoff_test.c - the smallest whole model test: one value handed over, by a flag and a wakeup.
 *
 * The giver writes a plain value, publishes it by a release, and wakes the taker if it announced
 * sleep. The two look at each other's flag after having set their own: the store-buffer pattern,
 * which needs a seq_cst fence on both sides.
 */
#include "sched/base/atomic.h"

static int box;              /* plain: the giver's until `given`, then the taker's */
static _Atomic(bool) given;  /* giver to taker */
static _Atomic(bool) asleep; /* the taker announces sleep */
static _Atomic(bool) wakeup; /* what an eventfd would hold */
static int taken;

static bool has_wakeup(void *arg)
{
    (void)arg;
    return roti_load(TH1, relaxed, &wakeup);
}

static void taker(unsigned thread)
{
    (void)thread;
    roti_store(TH2, relaxed, &asleep, true);
    roti_fence(TH3, seq_cst);
    if (!roti_load(TH4, relaxed, &given))
        model_wait_until(has_wakeup, NULL);
    /* The kernel's wakeup orders nothing here: the value is acquired by the flag alone. */
    while (!roti_load(TH5, acquire, &given))
        roti_pause();
    ROTI_PLAIN_READ(&box);
    taken = box;
}

static void giver(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_WRITE(&box);
    box = 42;
    roti_store(TH6, release, &given, true);
    roti_fence(TH7, seq_cst);
    if (roti_load(TH8, relaxed, &asleep))
        roti_store(TH9, relaxed, &wakeup, true);
}

static void reset(void)
{
    box = 0;
    taken = 0;
    roti_store(TH10, relaxed, &given, false);
    roti_store(TH11, relaxed, &asleep, false);
    roti_store(TH12, relaxed, &wakeup, false);
}

static void check(void)
{
    MODEL_ASSERT(taken == 42);
}

MODEL_TEST(handoff) = {.threads = {taker, giver}, .setup = reset, .check = check};
MODEL_TEST(handoff_without_fence) = {.threads = {taker, giver},
                                     .setup = reset,
                                     .check = check,
                                     .mutant = "TH7",
                                     .fails_within = 1000,
                                     .hidden_by_sc = true};
