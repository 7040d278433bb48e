/* SPDX-License-Identifier: MIT */
/*
 * batch.h - many runs of one test: what is asked of them, what they gave, whether that is right.
 */
#ifndef ROTI_TESTS_MODEL_BATCH_H
#define ROTI_TESTS_MODEL_BATCH_H

#include "tests/model/engine.h"

struct model_batch {
    struct model_search search;
    uint64_t runs;      /* 0: as many as the strategy and the test suggest */
    uint64_t seed;      /* the first run's; 0: not given, the runs are 1, 2, 3 ... */
    const char *mutant; /* "LABEL" or "LABEL:n"; NULL: the test's own, if it has one */
    const char *only;   /* the test named; NULL: all */
    bool count;         /* go on after a failure, and give seeded bugs all `runs` too */
    bool list;          /* names only: of tests, or of mutants */
};

const char *model_strategy_name(enum model_strategy strategy);

/* Plays a test and prints its line; true when the test passes. */
bool model_batch_play(const struct model_test *test, const struct model_batch *batch);

bool model_batch_wants(const struct model_batch *batch, const struct model_test *test);

/* campaign.c: tries each mutant of each site that the tests reach; true when none survives. */
bool model_campaign(const struct model_test *tests, const struct model_batch *batch);
/* True when some test fails: the program was built with a fault in it. */
bool model_finds(const struct model_test *tests, const struct model_batch *batch);
void model_sites_print(void);

/* Processor time so far. */
double model_batch_seconds(void);

/* For campaigns: the number of runs until the first failure, 0 when none of `runs` failed. */
uint64_t model_batch_first_failure(const struct model_test *test, const struct model_search *search,
                                   uint64_t runs);

#endif
