/* SPDX-License-Identifier: MIT */
/*
 * load_draws.c - what is random of a load, from its seed.
 */
#include "tests/scaling/load.h"

#include "tests/support/splitmix.h"

#include <math.h>

static uint64_t random_state;

uint64_t load_draw(void)
{
    if (random_state == 0)
        random_state = load.seed * UINT64_C(0xD1342543DE82EF95) + 1;
    return splitmix_next(&random_state);
}

double load_draw_unit(void)
{
    return (double)(load_draw() >> 11) * 0x1p-53;
}

int64_t load_draw_after(double mean_ns)
{
    return 1 + (int64_t)(-mean_ns * log1p(-load_draw_unit()));
}
