/* SPDX-License-Identifier: MIT */
/*
 * park_test.c - the explorer proved on sleep and wakeup: work on one side, "I sleep" on the other.
 *
 * A sleeper takes items; when there are none it announces sleep, looks once more, and waits for a
 * token. A waker adds an item, looks whether anybody sleeps, and if so leaves a token. Each side
 * stores and then loads what the other stores: without a full fence between, on both sides, both
 * may miss the other, and nobody ever wakes the sleeper (H08). The same with membarrier on the
 * sleeper's side, which stands for the waker's fence as well. The items hand over plain data.
 */
#include "sched/base/atomic.h"

#define ITEM_COUNT 2

static _Atomic(int) items;
static _Atomic(bool) asleep;
static _Atomic(bool) token;
static int taken;
static int boxes[ITEM_COUNT]; /* plain: the waker's, then the sleeper's */

static bool has_token(void *arg)
{
    (void)arg;
    return roti_load(TP1, relaxed, &token);
}

static bool take_item(void)
{
    int count = roti_load(TP2, relaxed, &items);
    /* [TP3] acquire: pairs with [TP9] or [TP12]; the box of each item counted is filled. */
    if (count == 0 || !roti_cas(TP3, acquire, &items, &count, count - 1))
        return false;
    ROTI_PLAIN_READ(&boxes[taken]);
    MODEL_ASSERT(boxes[taken] == taken + 1);
    taken++;
    return true;
}

static void fill_box(int i)
{
    ROTI_PLAIN_WRITE(&boxes[i]);
    boxes[i] = i + 1;
}

static void sleep_until_token(void)
{
    model_wait_until(has_token, NULL);
    (void)roti_exchange(TP4, relaxed, &token, false);
}

static void sleeper(unsigned thread)
{
    (void)thread;
    while (taken < ITEM_COUNT) {
        if (take_item())
            continue;
        roti_store(TP5, relaxed, &asleep, true);
        /* [TP6] seq_cst: pairs with [TP10]. */
        roti_fence(TP6, seq_cst);
        if (roti_load(TP7, relaxed, &items) == 0)
            sleep_until_token();
        roti_store(TP8, relaxed, &asleep, false);
    }
}

static void waker(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < ITEM_COUNT; i++) {
        fill_box(i);
        /* [TP9] release: pairs with [TP3]. */
        (void)roti_fetch_add(TP9, release, &items, 1);
        /* [TP10] seq_cst: pairs with [TP6]. */
        roti_fence(TP10, seq_cst);
        if (roti_load(TP11, relaxed, &asleep))
            (void)roti_exchange(TP16, relaxed, &token, true);
    }
}

/* ---- The same by membarrier ---- */

static void heavy_sleeper(unsigned thread)
{
    (void)thread;
    while (taken < ITEM_COUNT) {
        if (take_item())
            continue;
        roti_store(TP17, relaxed, &asleep, true);
        /* [TP18] pairs with [TP13]. */
        model_membarrier(TP18);
        if (roti_load(TP19, relaxed, &items) == 0)
            sleep_until_token();
        roti_store(TP20, relaxed, &asleep, false);
    }
}

static void light_waker(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < ITEM_COUNT; i++) {
        fill_box(i);
        /* [TP12] release: pairs with [TP3]. */
        (void)roti_fetch_add(TP12, release, &items, 1);
        /* [TP13] pairs with [TP18]. */
        model_light_barrier(TP13);
        if (roti_load(TP14, relaxed, &asleep))
            (void)roti_exchange(TP15, relaxed, &token, true);
    }
}

/* ---- Tests ---- */

static void reset(void)
{
    taken = 0;
    for (int i = 0; i < ITEM_COUNT; i++)
        boxes[i] = 0;
    roti_store(TP21, relaxed, &items, 0);
    roti_store(TP22, relaxed, &asleep, false);
    roti_store(TP23, relaxed, &token, false);
}

static void check(void)
{
    MODEL_ASSERT(taken == ITEM_COUNT);
    MODEL_ASSERT(roti_load(TP24, relaxed, &items) == 0);
}

MODEL_TEST(park) = {.threads = {sleeper, waker}, .setup = reset, .check = check};
MODEL_TEST(park_sleeper_without_fence) = {.threads = {sleeper, waker},
                                          .setup = reset,
                                          .check = check,
                                          .mutant = "TP6",
                                          .fails_within = 1000,
                                          .hidden_by_sc = true};
MODEL_TEST(park_waker_without_fence) = {.threads = {sleeper, waker},
                                        .setup = reset,
                                        .check = check,
                                        .mutant = "TP10",
                                        .fails_within = 1000,
                                        .hidden_by_sc = true};
MODEL_TEST(park_membarrier) = {
    .threads = {heavy_sleeper, light_waker}, .setup = reset, .check = check};
MODEL_TEST(park_without_membarrier) = {.threads = {heavy_sleeper, light_waker},
                                       .setup = reset,
                                       .check = check,
                                       .mutant = "TP18",
                                       .fails_within = 1000,
                                       .hidden_by_sc = true};
