/* SPDX-License-Identifier: MIT */
/*
 * point.h - what atomic.h calls in the simulators' builds: another thread may go on here.
 *
 * The simulator (tests/sim) counts points, and does not care what is accessed. The one with costs
 * (tests/scaling) charges each access to the clock of the CPU that makes it.
 */
#ifndef ROTI_TESTS_SIM_POINT_H
#define ROTI_TESTS_SIM_POINT_H

#include <stdint.h>

#ifndef ROTI_SIM_COSTS
#define ROTI_SIM_COSTS 0
#endif

enum sim_access {
    SIM_LOAD,
    SIM_STORE,
    SIM_UPDATE, /* read, modify, write */
    SIM_FENCE,  /* of no address */
};

/* The running thread waits for another one in a loop. */
void sim_pause(void);

#if ROTI_SIM_COSTS

void sim_point(enum sim_access access, const volatile void *address);

#else

/* Points until the running thread is preempted. */
extern uint32_t sim_slice;

/* The slice is used up: chooses who goes on. */
void sim_preempt(void);

static inline void sim_point(enum sim_access access, const volatile void *address)
{
    (void)access;
    (void)address;
    if (__builtin_expect(--sim_slice == 0, 0))
        sim_preempt();
}

#endif

#endif
