/* SPDX-License-Identifier: MIT */
/*
 * assert.c - the end of the program at a failed assertion.
 */
#include "sched/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void roti_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "rota: %s:%d: assertion failed: %s\n", file, line, expression);
    fflush(stderr);
    abort();
}
