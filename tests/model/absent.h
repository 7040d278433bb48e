/* SPDX-License-Identifier: MIT */
/*
 * absent.h - functions that the files of a model name, and that its tests do not call.
 */
#ifndef ROTI_TESTS_MODEL_ABSENT_H
#define ROTI_TESTS_MODEL_ABSENT_H

#include "tests/model/model.h"

/* Defines a function that fails the run; after the type and the name its parameters, if any. */
#define MODEL_ABSENT(type, name, ...)                                                              \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wunused-parameter\"") type   \
    name(__VA_ARGS__)                                                                              \
    {                                                                                              \
        model_fail(#name " is not played");                                                        \
    }                                                                                              \
    _Pragma("GCC diagnostic pop")

#endif
