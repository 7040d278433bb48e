/* SPDX-License-Identifier: MIT */
/*
 * engine_test.c - what the explorer itself promises: each kind of failure is reported as such.
 */
#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/base/atomic.h"
#include "sched/base/thread.h"

#include <string.h>

static _Atomic(int) word;
static _Atomic(int) flag;
static _Atomic(uint64_t) wide;
static _Atomic(int *) pointer;
static int order[MODEL_THREADS_MAX];

static void reset(void)
{
    roti_store(TE1, relaxed, &word, 0);
    roti_store(TE2, relaxed, &flag, 0);
    roti_store(TE3, relaxed, &wide, 0);
    roti_store(TE4, relaxed, &pointer, NULL);
}

static bool word_is_set(void *arg)
{
    (void)arg;
    return roti_load(TE5, relaxed, &word) != 0;
}

static void set_word(unsigned thread)
{
    (void)thread;
    roti_store(TE6, release, &word, 1);
}

/* ---- Waiting ---- */

static void wait_for_word(unsigned thread)
{
    (void)thread;
    model_wait_until(word_is_set, NULL);
}

static void spin_for_word(unsigned thread)
{
    (void)thread;
    while (roti_load(TE7, acquire, &word) == 0)
        roti_pause();
}

static void spin_without_pause(unsigned thread)
{
    (void)thread;
    while (roti_load(TE8, acquire, &word) == 0)
        continue;
}

MODEL_TEST(waits_and_wakes) = {.threads = {wait_for_word, set_word}, .setup = reset};
MODEL_TEST(spins_and_ends) = {
    .threads = {spin_for_word, spin_for_word, set_word}, .setup = reset, .steps_max = 100};
MODEL_TEST(lost_wakeup) = {.threads = {wait_for_word, wait_for_word},
                           .setup = reset,
                           .fails_within = 1,
                           .fails_with = "nobody can go on (threads ww"};
MODEL_TEST(livelock) = {.threads = {spin_for_word, spin_for_word},
                        .setup = reset,
                        .fails_within = 1,
                        .fails_with = "nobody can go on (threads "};
MODEL_TEST(endless) = {.threads = {spin_without_pause},
                       .setup = reset,
                       .steps_max = 500,
                       .fails_within = 1,
                       .fails_with = "more than 500 steps"};

/* ---- Bugs of plain code ---- */

static void use_after_free(unsigned thread)
{
    (void)thread;
    _Atomic(int) *block = roti_zalloc(64);
    roti_store(TE9, relaxed, block + 3, 1);
    roti_free(block, 64);
    (void)roti_load(TE10, relaxed, block + 3);
}

static void free_twice(unsigned thread)
{
    (void)thread;
    void *block = roti_alloc(8);
    roti_free(block, 8);
    roti_free(block, 8);
}

static void free_other_size(unsigned thread)
{
    (void)thread;
    roti_free(roti_alloc(8), 9);
}

static void crash(unsigned thread)
{
    (void)thread;
    int *nowhere = roti_load(TE11, relaxed, &pointer);
    *(volatile int *)nowhere = 1;
}

static void assertion(unsigned thread)
{
    ROTI_ASSERT(thread != 0);
}

static void change_behind(unsigned thread)
{
    (void)thread;
    roti_store(TE12, relaxed, &word, 1);
    memset((void *)&word, 0, sizeof word);
    (void)roti_load(TE13, relaxed, &word);
}

static void change_and_forget(unsigned thread)
{
    (void)thread;
    roti_store(TE14, relaxed, &word, 1);
    memset((void *)&word, 0, sizeof word);
    model_forget(&word, sizeof word);
    MODEL_ASSERT(roti_load(TE15, relaxed, &word) == 0);
}

static void mix_sizes(unsigned thread)
{
    (void)thread;
    roti_store(TE16, relaxed, &wide, 1);
    (void)roti_load(TE17, relaxed, (_Atomic(uint8_t) *)&wide);
}

#define FAILS(identifier, body, text)                                                              \
    MODEL_TEST(identifier) = {                                                                     \
        .threads = {body}, .setup = reset, .fails_within = 1, .fails_with = text}

FAILS(freed_is_not_used, use_after_free, "use after free: byte 12 of a block of 64");
FAILS(freed_once, free_twice, "freed twice");
FAILS(freed_as_allocated, free_other_size, "a block of 8 bytes is freed as 9");
FAILS(crash_is_a_failure, crash, "crash: signal 11");
FAILS(assertion_is_a_failure, assertion, "assertion failed: thread != 0");
FAILS(plain_change, change_behind, "changed by plain code");
FAILS(one_size, mix_sizes, "an atomic of 8 bytes is accessed as 1");
MODEL_TEST(forgotten) = {.threads = {change_and_forget}, .setup = reset};

/* ---- Freeing is a write of the whole block ---- */

struct shared {
    _Atomic(int) looked_at;
    int plain;
};

static struct shared *shared;
static _Atomic(int) owners;

static void share(void)
{
    shared = roti_zalloc(sizeof *shared);
    roti_store(TE35, relaxed, &owners, 2);
}

static void give_up(void)
{
    if (roti_fetch_sub(TE36, acq_rel, &owners, 1) == 1)
        roti_free(shared, sizeof *shared);
}

static void look_and_give_up(unsigned thread)
{
    (void)thread;
    (void)roti_load(TE37, relaxed, &shared->looked_at);
    give_up();
}

static void read_and_give_up(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_READ(&shared->plain);
    give_up();
}

static void write_and_give_up(unsigned thread)
{
    if (thread == 0)
        ROTI_PLAIN_WRITE(&shared->plain);
    give_up();
}

#define SHARES(identifier, body, text)                                                             \
    MODEL_TEST(identifier) = {.threads = {body, body}, .setup = share};                            \
    MODEL_TEST(identifier##_released) = {.threads = {body, body},                                  \
                                         .setup = share,                                           \
                                         .mutant = "TE36:0",                                       \
                                         .fails_within = 20,                                       \
                                         .fails_with = text};                                      \
    MODEL_TEST(identifier##_acquired) = {.threads = {body, body},                                  \
                                         .setup = share,                                           \
                                         .mutant = "TE36:1",                                       \
                                         .fails_within = 20,                                       \
                                         .fails_with = text}

SHARES(free_after_operation, look_and_give_up, "freed against an operation of thread");
SHARES(free_after_read, read_and_give_up, "freed against a read by thread");
SHARES(free_after_write, write_and_give_up, "freed against the write at");

/* ---- Values, of each width and kind ---- */

static _Atomic(int8_t) small;
static _Atomic(bool) truth;

static void use_values(unsigned thread)
{
    (void)thread;
    static int target;
    int8_t expected = -3;
    int *no_pointer = NULL;
    roti_store(TE18, relaxed, &small, -1);
    MODEL_ASSERT(roti_load(TE19, relaxed, &small) == -1);
    MODEL_ASSERT(roti_fetch_sub(TE20, relaxed, &small, 2) == -1);
    MODEL_ASSERT(roti_cas(TE21, relaxed, &small, &expected, 7));
    MODEL_ASSERT(!roti_cas(TE22, relaxed, &small, &expected, 8) && expected == 7);
    roti_store(TE23, relaxed, &truth, 2);
    MODEL_ASSERT(roti_exchange(TE24, relaxed, &truth, false) == true);
    MODEL_ASSERT(roti_cas(TE25, acq_rel, &pointer, &no_pointer, &target));
    MODEL_ASSERT(roti_load(TE26, relaxed, &pointer) == &target);
    roti_store(TE27, relaxed, &wide, UINT64_MAX);
    MODEL_ASSERT(roti_fetch_add(TE28, relaxed, &wide, 2) == UINT64_MAX);
    MODEL_ASSERT(roti_fetch_or(TE29, relaxed, &wide, 6) == 1);
    MODEL_ASSERT(roti_fetch_and(TE30, relaxed, &wide, 3) == 7);
    MODEL_ASSERT(roti_load(TE31, relaxed, &wide) == 3);
}

static void values_in_memory(void)
{
    MODEL_ASSERT(roti_load(TE32, relaxed, &wide) == 3);
    MODEL_ASSERT(roti_load(TE33, relaxed, &small) == 7);
}

MODEL_TEST(values) = {.threads = {use_values}, .setup = reset, .check = values_in_memory};

/* ---- Threads and choices ---- */

static void take_number(unsigned thread)
{
    roti_thread_self()->random_state = thread + 1;
    order[thread] = roti_fetch_add(TE34, relaxed, &word, 1);
    MODEL_ASSERT(model_self() == (int)thread);
    MODEL_ASSERT(roti_thread_self()->random_state == thread + 1);
}

static void all_numbers(void)
{
    unsigned seen = 0;
    for (int i = 0; i < MODEL_THREADS_MAX; i++)
        seen |= 1U << order[i];
    MODEL_ASSERT(seen == (1U << MODEL_THREADS_MAX) - 1);
}

MODEL_TEST(eight_threads) = {.threads = {take_number, take_number, take_number, take_number,
                                         take_number, take_number, take_number, take_number},
                             .setup = reset,
                             .check = all_numbers};

static int chosen[2];

static void choose_twice(unsigned thread)
{
    (void)thread;
    chosen[0] = (int)model_choose(2);
    chosen[1] = (int)model_choose(3);
}

static void report_choices(void)
{
    MODEL_OUTCOME(chosen[0], chosen[1]);
}

MODEL_TEST(choices) = {
    .threads = {choose_twice}, .check = report_choices, .must = "00 01 02 10 11 12"};
