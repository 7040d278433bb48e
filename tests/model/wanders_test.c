/* SPDX-License-Identifier: MIT */
/*
 * wanders_test.c - a program that is no function of its seed; the explorer must say so.
 */
#include "sched/base/atomic.h"

static _Atomic(int) word;
static int runs; /* survives runs, as no state may */

static void wander(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < runs % 2; i++)
        roti_store(TW1, relaxed, &word, i);
}

static void count_run(void)
{
    runs++;
}

MODEL_TEST(wanders) = {.threads = {wander, wander}, .setup = count_run};
