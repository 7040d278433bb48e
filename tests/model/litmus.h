/* SPDX-License-Identifier: MIT */
/*
 * litmus.h - what the litmus tests share: three locations, registers, short names for operations.
 *
 * A litmus test is a few operations whose possible results C11 decides. An outcome is the
 * registers' digits in order. `must` are the outcomes that the explorer has to show, weak ones
 * included; `never` are those that C11 forbids, and those that are a gap of the explorer, which is
 * then said: such a test fails when the gap is closed, and is to be changed.
 */
#ifndef ROTI_TESTS_MODEL_LITMUS_H
#define ROTI_TESTS_MODEL_LITMUS_H

#include "sched/base/atomic.h"

static _Atomic(int) x;
static _Atomic(int) y;
static _Atomic(int) z;
static int r[4];

#define LD(order, location) roti_load(LT1, order, &(location))
#define ST(order, location, value) roti_store(LT2, order, &(location), value)
#define ADD(order, location, value) roti_fetch_add(LT3, order, &(location), value)
#define XCHG(order, location, value) roti_exchange(LT4, order, &(location), value)
#define FENCE(order) roti_fence(LT5, order)

/* The head of a thread's function. */
#define THREAD(name) static void name(unsigned thread __attribute__((unused)))

static void reset(void)
{
    ST(relaxed, x, 0);
    ST(relaxed, y, 0);
    ST(relaxed, z, 0);
    for (int i = 0; i < 4; i++)
        r[i] = 0;
}

static inline void outcome_2(void)
{
    MODEL_OUTCOME(r[0], r[1]);
}

static inline void outcome_3(void)
{
    MODEL_OUTCOME(r[0], r[1], r[2]);
}

static inline void outcome_4(void)
{
    MODEL_OUTCOME(r[0], r[1], r[2], r[3]);
}

static inline void outcome_memory(void)
{
    MODEL_OUTCOME(LD(relaxed, x), LD(relaxed, y));
}

/* A test of `count` registers. */
#define LITMUS(name, count, must_list, never_list, ...)                                            \
    MODEL_TEST(name) = {.threads = {__VA_ARGS__},                                                  \
                        .setup = reset,                                                            \
                        .check = outcome_##count,                                                  \
                        .must = must_list,                                                         \
                        .never = never_list}

#endif
