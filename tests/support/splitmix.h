/* SPDX-License-Identifier: MIT */
/*
 * splitmix.h - SplitMix64, the generator of the explorer and of the simulator: any seed will do.
 */
#ifndef ROTA_TESTS_SPLITMIX_H
#define ROTA_TESTS_SPLITMIX_H

#include <stdint.h>

static inline uint64_t splitmix_next(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

/* One of 0 .. count-1. */
static inline uint32_t splitmix_below(uint64_t *state, uint32_t count)
{
    return (uint32_t)(((splitmix_next(state) >> 32) * count) >> 32);
}

#endif
