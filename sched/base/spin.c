/* SPDX-License-Identifier: MIT */
/*
 * spin.c - the slow half of the spinlock.
 */
#include "sched/base/spin.h"

#include <sched.h>

#define LOOKS_BEFORE_YIELD 10
#define PAUSES_MAX 64

/* Looks more and more seldom: each look that finds the lock free is an exchange that takes the line
 * from the holder, and with many who wait those are what the next holder waits for. */
void roti_spin_wait(struct roti_spin *spin)
{
    int looks = 0;
    int pauses = 1;
    /* [SP2] relaxed: only waits; [SP1] decides. */
    while (roti_load(SP2, relaxed, &spin->locked) != 0) {
        for (int i = 0; i < pauses; i++)
            roti_pause();
        pauses = pauses < PAUSES_MAX ? 2 * pauses : PAUSES_MAX;
        if (++looks == LOOKS_BEFORE_YIELD) {
            looks = 0;
            sched_yield();
        }
    }
}
