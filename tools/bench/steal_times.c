/* SPDX-License-Identifier: MIT */
/*
 * steal_times.c - a histogram of times. Below 2^7 ns each nanosecond has a slot of its own; above,
 * each power of two has 2^6 of them.
 */
#include "tools/bench/steal_times.h"

#define SLOTS_PER_POWER (1U << STEAL_TIMES_BITS)

static unsigned shift_of(uint64_t time)
{
    unsigned bits = time == 0 ? 0 : 64 - (unsigned)__builtin_clzll(time);
    return bits <= STEAL_TIMES_BITS + 1 ? 0 : bits - STEAL_TIMES_BITS - 1;
}

void steal_times_add(struct steal_times *times, int64_t time_ns)
{
    uint64_t time = time_ns < 0 ? 0 : (uint64_t)time_ns;
    unsigned shift = shift_of(time);
    times->slots[shift * SLOTS_PER_POWER + (time >> shift)]++;
    times->count++;
}

/* The end of a slot's times. */
static double end_of(unsigned slot)
{
    unsigned shift = slot < 2 * SLOTS_PER_POWER ? 0 : slot / SLOTS_PER_POWER - 1;
    return (double)(slot - shift * SLOTS_PER_POWER + 1) * (double)(UINT64_C(1) << shift);
}

double steal_times_us(const struct steal_times *times, double share)
{
    uint64_t seen = 0;
    for (unsigned slot = 0; slot < STEAL_TIMES_SLOTS; slot++) {
        seen += times->slots[slot];
        if (seen > 0 && (double)seen >= share * (double)times->count)
            return end_of(slot) / 1e3;
    }
    return 0;
}
