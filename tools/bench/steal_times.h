/* SPDX-License-Identifier: MIT */
/*
 * steal_times.h - a histogram of times, exact to 1/64, without pointers: for shared memory.
 */
#ifndef ROTI_BENCH_STEAL_TIMES_H
#define ROTI_BENCH_STEAL_TIMES_H

#include <stdint.h>

#define STEAL_TIMES_BITS 6 /* slots for each power of two: 2^6 */
#define STEAL_TIMES_SLOTS ((64 - STEAL_TIMES_BITS + 1) << STEAL_TIMES_BITS)

struct steal_times {
    uint64_t count;
    uint64_t slots[STEAL_TIMES_SLOTS];
};

/* Adds a time in nanoseconds; what is below 0 is 0. */
void steal_times_add(struct steal_times *times, int64_t time_ns);

/* The time in microseconds that such a share of all does not exceed; 0 where there is none. */
double steal_times_us(const struct steal_times *times, double share);

#endif
