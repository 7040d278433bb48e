/* SPDX-License-Identifier: MIT */
/*
 * fork.h - what happens to a process that is forked while loops run.
 *
 * The child has one thread, and locks, queues and stacks as other threads left them in the middle
 * of something. None of it can be trusted, so the child forgets all of it, leaving the memory where
 * it is: it may rota_run() anew, and every other call fails.
 */
#ifndef ROTI_FORK_H
#define ROTI_FORK_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A runtime begins (ends) in this process. 0 or -ENOMEM. */
int roti_fork_watch(void);
void roti_fork_unwatch(void);

/* Whether this is the child of a fork made while loops ran, and no runtime was started since. */
bool roti_fork_is_child(void);

/* Adds a function that the child calls before anything else: a layer above forgets its own. At most
 * eight, each once. */
void roti_fork_on_child(void (*forget)(void));

#ifdef __cplusplus
}
#endif

#endif
