/* SPDX-License-Identifier: MIT */
/*
 * migrating.c - what a task sees of its thread before and after it moves (H23, H24).
 *
 * Compiled once for each level of optimisation, PROBE being the function's name then. It is written
 * so that a compiler would like to ask once where the thread's objects are.
 */
#include <errno.h>

#include "sched/base/thread.h"
#include "tests/sched/migrating.h"

#include <rota/errno.h>

#include <errno.h>

void PROBE(void (*move)(void *arg), void *arg, struct migrating_seen *seen)
{
    errno = 11;
    seen->errno_at[0] = &errno;
    seen->thread[0] = roti_thread_self();
    move(arg);
    seen->value[0] = errno;
    seen->errno_at[1] = &errno;
    seen->thread[1] = roti_thread_self();
    errno = 22;
    seen->thread[1]->random_state++;
    move(arg);
    seen->value[1] = errno;
    seen->errno_at[2] = &errno;
    seen->thread[2] = roti_thread_self();
}
