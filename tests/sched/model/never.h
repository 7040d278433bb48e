/* SPDX-License-Identifier: MIT */
/*
 * never.h - functions that a model's source names, and that its runs never call.
 */
#ifndef ROTI_TESTS_SCHED_MODEL_NEVER_H
#define ROTI_TESTS_SCHED_MODEL_NEVER_H

#include "tests/model/model.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

/* A definition of the function; without a semicolon. */
#define NEVER(declaration)                                                                         \
    declaration                                                                                    \
    {                                                                                              \
        model_fail("not played here");                                                             \
    }

#endif
