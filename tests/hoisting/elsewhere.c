/* SPDX-License-Identifier: MIT */
/*
 * elsewhere.c - the naive thread-local object, and an accessor that is nothing but out of sight.
 */
#include "tests/hoisting/hoisting.h"

_Thread_local struct hoisting_object hoisting_object;

struct hoisting_object *hoisting_object_elsewhere(void)
{
    return &hoisting_object;
}
