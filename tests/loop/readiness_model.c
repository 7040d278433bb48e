/* SPDX-License-Identifier: MIT */
/*
 * readiness_model.c - the readiness word in the explorer: no edge is lost, no stale one acts.
 *
 * The world outside is one relaxed counter of items that have arrived. That is weaker than a
 * kernel, so that what the word itself orders is what the run depends on.
 */
#include "loop/readiness.h"

enum { NOT_WOKEN, WOKEN_BY_EDGE, WOKEN_BY_CLOSE };

static _Atomic(uint64_t) word;
static _Atomic(int) arrived; /* items; written by the poller's thread only */
static _Atomic(int) woken;   /* what the waker told the waiter */
static int linked;           /* the wait: under the lock bit */
static int taken;            /* the reader's */
static bool reader_closed;   /* the reader was told of the closing */
static bool stale_edge;      /* the poller's last edge was of an earlier life */
static int complete;         /* the second life's: written before it is open */

static bool is_woken(void *arg)
{
    (void)arg;
    return roti_load(TR1, relaxed, &woken) != NOT_WOKEN;
}

static void wake_under_lock(int how)
{
    ROTI_PLAIN_READ(&linked);
    if (!linked)
        return;
    ROTI_PLAIN_WRITE(&linked);
    linked = 0;
    roti_store(TR2, relaxed, &woken, how);
}

/* Waits until the flag is set. False when the word was closed. */
static bool wait_readable(void)
{
    uint64_t held = roti_readiness_lock(&word);
    if ((held & (ROTI_READY_CLOSED | ROTI_READY_READ)) != 0) {
        roti_readiness_unlock(&word, held);
        return (held & ROTI_READY_CLOSED) == 0;
    }
    roti_store(TR3, relaxed, &woken, NOT_WOKEN);
    ROTI_PLAIN_WRITE(&linked);
    linked = 1;
    roti_readiness_unlock(&word, held);
    model_wait_until(is_woken, NULL);
    /* A read-modify-write reads the last store, as the scheduler's of the wait word does. */
    return roti_exchange(TR4, relaxed, &woken, NOT_WOKEN) == WOKEN_BY_EDGE;
}

/* The cycle of every operation, until `count` items were taken or the word was closed. */
static void read_items(int count)
{
    while (taken < count) {
        uint64_t seen = roti_readiness_look(&word);
        bool open = (seen & ROTI_READY_CLOSED) == 0;
        if (open && (seen & ROTI_READY_READ) != 0) {
            int there = roti_load(TR5, relaxed, &arrived);
            if (there > taken) {
                taken++;
                continue;
            }
            if (!roti_readiness_clear(&word, seen, ROTI_READY_READ))
                continue;
        }
        if (!open || !wait_readable()) {
            reader_closed = true;
            return;
        }
    }
}

static void deliver(int items)
{
    roti_store(TR6, relaxed, &arrived, items);
    uint64_t held;
    stale_edge = !roti_readiness_lock_generation(&word, 0, &held);
    if (stale_edge)
        return;
    wake_under_lock(WOKEN_BY_EDGE);
    roti_readiness_unlock_edge(&word, held, ROTI_READY_READ);
}

static void close_word(void)
{
    uint64_t held = roti_readiness_lock(&word);
    wake_under_lock(WOKEN_BY_CLOSE);
    roti_readiness_unlock_closed(&word, held);
}

static void reset(void)
{
    model_forget(&word, sizeof word);
    word = 0;
    roti_readiness_open(&word, ROTI_READY_READ);
    roti_store(TR7, relaxed, &arrived, 0);
    roti_store(TR8, relaxed, &woken, NOT_WOKEN);
    linked = 0;
    taken = 0;
    reader_closed = false;
    stale_edge = false;
    complete = 0;
}

/* ---- Two items, each announced by an edge: both are taken ---- */

static void reads_two(unsigned thread)
{
    (void)thread;
    read_items(2);
}

static void delivers_two(unsigned thread)
{
    (void)thread;
    deliver(1);
    deliver(2);
}

static void both_taken(void)
{
    MODEL_ASSERT(taken == 2);
    MODEL_ASSERT(!linked);
}

MODEL_TEST(readiness_edges) = {
    .threads = {reads_two, delivers_two}, .setup = reset, .check = both_taken};

/* The look must acquire: else the call after it may miss what the edge announced, and the clear,
 * not stale, erases it. */
MODEL_TEST(readiness_look_relaxed) = {.threads = {reads_two, delivers_two},
                                      .setup = reset,
                                      .check = both_taken,
                                      .mutant = "RD2",
                                      .fails_within = 20000,
                                      .hidden_by_sc = true};

MODEL_TEST(readiness_unlock_relaxed) = {.threads = {reads_two, delivers_two},
                                        .setup = reset,
                                        .check = both_taken,
                                        .mutant = "RD7",
                                        .fails_within = 20000};

/* ---- A reader, an edge, and a closing whose slot serves again at once ---- */

static void reads_one(unsigned thread)
{
    (void)thread;
    read_items(1);
}

static void delivers_one(unsigned thread)
{
    (void)thread;
    deliver(1);
}

static void closes(unsigned thread)
{
    (void)thread;
    close_word();
}

static void closes_and_opens(unsigned thread)
{
    (void)thread;
    close_word();
    ROTI_PLAIN_WRITE(&complete);
    complete = 1;
    roti_readiness_open(&word, 0);
}

static void taken_or_told(void)
{
    MODEL_ASSERT(taken == 1 || reader_closed);
    MODEL_ASSERT(!linked);
    MODEL_ASSERT((roti_load(TR9, relaxed, &word) & ROTI_READY_FLAGS) == ROTI_READY_CLOSED);
}

MODEL_TEST(readiness_close) = {
    .threads = {reads_one, delivers_one, closes}, .setup = reset, .check = taken_or_told};

/* Nobody uses the first life any more when the slot serves again; only the batch entry is left. */
static void new_life_untouched(void)
{
    MODEL_ASSERT(roti_load(TR10, relaxed, &word) >> ROTI_READY_GENERATION_SHIFT == 1);
    MODEL_ASSERT((roti_load(TR11, relaxed, &word) & ROTI_READY_FLAGS) == 0);
    MODEL_OUTCOME(stale_edge);
}

MODEL_TEST(readiness_reuse) = {.threads = {delivers_one, closes_and_opens},
                               .setup = reset,
                               .check = new_life_untouched,
                               .must = "0 1"};

/* ---- The second life is complete for whoever meets it ---- */

static void delivers_to_second(unsigned thread)
{
    (void)thread;
    uint64_t held;
    while (!roti_readiness_lock_generation(&word, 1, &held))
        roti_pause();
    ROTI_PLAIN_READ(&complete);
    MODEL_ASSERT(complete == 1);
    roti_readiness_unlock_edge(&word, held, ROTI_READY_READ);
}

static void second_is_ready(void)
{
    MODEL_ASSERT((roti_load(TR12, relaxed, &word) & ROTI_READY_FLAGS) == ROTI_READY_READ);
}

MODEL_TEST(readiness_second_life) = {
    .threads = {delivers_to_second, closes_and_opens}, .setup = reset, .check = second_is_ready};
