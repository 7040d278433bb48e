/* SPDX-License-Identifier: MIT */
/*
 * random.h - cheap choices that need no quality, such as which loop to look at first.
 */
#ifndef ROTI_RANDOM_H
#define ROTI_RANDOM_H

#include "sched/base/thread.h"

/* The next number of the thread's own generator (xorshift64), seeded by the object's address. */
static inline uint64_t roti_random(struct roti_thread *thread)
{
    uint64_t state = thread->random_state;
    if (state == 0)
        state = (uint64_t)(uintptr_t)thread * UINT64_C(0x9e3779b97f4a7c15) | 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    thread->random_state = state;
    return state;
}

#endif
