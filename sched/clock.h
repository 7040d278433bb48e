/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the clock of figures: a counter of the processor where that can be trusted, else the
 * driver's.
 *
 * Problem.    A figure for each step reads a clock at each step. clock_gettime() takes more than
 *             20 ns, and so does a step of a task that does little.
 * Design.     x86-64 processors say whether their time stamp counter runs at one rate whatever the
 *             state of power, and the kernel keeps the counters of all CPUs together. Then it is
 *             read, at less than half the price. Its rate is measured against the driver's clock
 *             once in a process, for half a millisecond, to about one part in ten thousand.
 *             Elsewhere, and where the driver's clock is not the machine's (tests, the simulator),
 *             that is read.
 *             Readings are ticks. How many nanoseconds a tick is, is their scale, in units of
 *             2^-20 ns. The driver's clock has the scale ROTI_CLOCK_DRIVER, which is exactly one
 *             nanosecond; so the scale says which clock it is, and is all that a reading needs.
 *             Counters of two CPUs may differ by some nanoseconds: who subtracts must expect that
 *             an end comes before its beginning.
 * Threads.    any
 */
#ifndef ROTI_CLOCK_H
#define ROTI_CLOCK_H

#include "sched/driver.h"

#define ROTI_CLOCK_BITS 20
#define ROTI_CLOCK_DRIVER (UINT64_C(1) << ROTI_CLOCK_BITS)
#define ROTI_CLOCK_TICKS_MAX ((UINT64_C(1) << 44) - 1) /* what can be scaled: an hour and more */

#ifdef __cplusplus
extern "C" {
#endif

/* The scale of the clock that goes with a driver. Where the counter is to be measured, the first
 * call in a process takes half a millisecond. */
uint64_t roti_clock_scale(const struct roti_driver *driver, void *loop);

#ifdef __cplusplus
}
#endif

static inline uint64_t roti_clock_read(uint64_t scale, const struct roti_driver *driver, void *loop)
{
#if defined(__x86_64__)
    if (scale != ROTI_CLOCK_DRIVER)
        return __builtin_ia32_rdtsc();
#endif
    (void)scale;
    return (uint64_t)driver->now(loop);
}

/* Nanoseconds of so many ticks, at most ROTI_CLOCK_TICKS_MAX. */
static inline uint64_t roti_clock_ns(uint64_t scale, uint64_t ticks)
{
    return (ticks * scale) >> ROTI_CLOCK_BITS;
}

#endif
