/* SPDX-License-Identifier: MIT */
/*
 * point.h - what atomic.h calls in the simulator's build: another thread may go on here.
 */
#ifndef ROTI_TESTS_SIM_POINT_H
#define ROTI_TESTS_SIM_POINT_H

#include <stdint.h>

/* Points until the running thread is preempted. */
extern uint32_t sim_slice;

/* The slice is used up: chooses who goes on. */
void sim_preempt(void);

/* The running thread waits for another one in a loop. */
void sim_pause(void);

static inline void sim_point(void)
{
    if (__builtin_expect(--sim_slice == 0, 0))
        sim_preempt();
}

#endif
