/* SPDX-License-Identifier: MIT */
/*
 * spin.c - the slow half of the spinlock.
 */
#include "sched/base/spin.h"

#include <sched.h>

#define SPINS_BEFORE_YIELD 64

void roti_spin_wait(struct roti_spin *spin)
{
    int spins = 0;
    /* [SP2] relaxed: only waits; [SP1] decides. */
    while (roti_load(SP2, relaxed, &spin->locked) != 0) {
        roti_pause();
        if (++spins == SPINS_BEFORE_YIELD) {
            spins = 0;
            sched_yield();
        }
    }
}
