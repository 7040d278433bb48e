/* SPDX-License-Identifier: MIT */
/*
 * batch.h - many runs of a scenario.
 */
#ifndef ROTI_TESTS_SIM_BATCH_H
#define ROTI_TESTS_SIM_BATCH_H

#include "tests/sim/sim.h"

struct sim_batch {
    const char *only; /* a scenario's name; NULL: all */
    uint64_t seeds;
    uint64_t first;
    uint64_t trace;  /* not 0: this seed alone, with its trace */
    uint64_t shrink; /* not 0: this seed, shrunk */
    bool must_fail;  /* the program has a planted fault */
    bool hashes;     /* print each run's: two processes must agree */
    bool backwards;  /* the last seed first */
};

/* Plays them and prints a line. False: not as it should be. */
bool sim_batch_play(const struct sim_scenario *scenario, const struct sim_batch *batch);

#endif
