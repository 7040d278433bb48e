/* SPDX-License-Identifier: MIT */
/*
 * counters.c - where the counters of edges are, which the compiler makes for libFuzzer.
 *
 * This file has none itself: the compiler's own names for their section would collide with these.
 */
#include "tests/fuzz/counters.h"

/* Absent where the compiler makes no counters. */
extern uint8_t counters_begin[] asm("__start___sancov_cntrs") __attribute__((weak));
extern uint8_t counters_end[] asm("__stop___sancov_cntrs") __attribute__((weak));

uint8_t *fuzz_counters(size_t *ret_size)
{
    *ret_size = (size_t)((uintptr_t)counters_end - (uintptr_t)counters_begin);
    return counters_begin;
}
