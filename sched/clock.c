/* SPDX-License-Identifier: MIT */
/*
 * clock.c - whether the processor's counter is a clock, and at what rate. The essay is in the
 * header.
 */
#include "sched/clock.h"

#include "sched/base/atomic.h"

#if defined(__x86_64__)

#include <cpuid.h>

#define MEASURE_NS 500000
#define ATTEMPTS 8 /* to read both clocks at one instant */

#define POWER_LEAF 0x80000007U
#define INVARIANT_COUNTER 0x100U /* of that leaf's EDX */

static _Atomic(uint64_t) measured; /* 0: not yet */

static bool counter_is_invariant(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(POWER_LEAF, &eax, &ebx, &ecx, &edx) != 0 && (edx & INVARIANT_COUNTER) != 0;
}

/* Both clocks at one instant: the reading that nothing came between, or the least. */
struct instant {
    uint64_t ticks;
    int64_t ns;
};

static struct instant look(const struct roti_driver *driver, void *loop)
{
    struct instant best = {0};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < ATTEMPTS; i++) {
        uint64_t before = __builtin_ia32_rdtsc();
        int64_t ns = driver->now(loop);
        uint64_t took = __builtin_ia32_rdtsc() - before;
        if (took < least) {
            least = took;
            best = (struct instant){.ticks = before + took / 2, .ns = ns};
        }
    }
    return best;
}

static uint64_t measure(const struct roti_driver *driver, void *loop)
{
    struct instant begin = look(driver, loop);
    while (driver->now(loop) - begin.ns < MEASURE_NS)
        roti_pause();
    struct instant end = look(driver, loop);
    uint64_t ticks = end.ticks - begin.ticks;
    uint64_t scale = ticks > 0 ? ((uint64_t)(end.ns - begin.ns) << ROTI_CLOCK_BITS) / ticks : 0;
    /* A counter that stands still, or is slower than the nanosecond, is of no use. */
    return scale > 0 && scale < ROTI_CLOCK_DRIVER ? scale : ROTI_CLOCK_DRIVER;
}

uint64_t roti_clock_scale(const struct roti_driver *driver, void *loop)
{
    if (!driver->real_time)
        return ROTI_CLOCK_DRIVER;
    /* [CK1], [CK2] relaxed: a value by itself. Two threads may measure at once; either is right. */
    uint64_t scale = roti_load(CK1, relaxed, &measured);
    if (scale != 0)
        return scale;
    scale = counter_is_invariant() ? measure(driver, loop) : ROTI_CLOCK_DRIVER;
    roti_store(CK2, relaxed, &measured, scale);
    return scale;
}

#else

uint64_t roti_clock_scale(const struct roti_driver *driver, void *loop)
{
    (void)driver, (void)loop;
    return ROTI_CLOCK_DRIVER;
}

#endif
