/* SPDX-License-Identifier: MIT */
/*
 * fork.h - what happens to a process that is forked while loops run.
 *
 * Problem.  The child has one thread, and locks, queues and stacks as other threads left them in
 *           the middle of something. And what it has of the kernel is the parent's too: a child
 *           that deregistered a descriptor would do so for its parent, and a wake or a signal's
 *           byte that it wrote would reach the parent's loops.
 * Design.   The child forgets all of it before fork() returns there, leaving the memory where it
 *           is: slots and stacks count as never taken, pools as stopped, loops as closed. The
 *           descriptors that loops have for themselves are closed in the child, and its signals
 *           are blocked as they were for whoever called rota_run(). It may rota_run() anew. Every
 *           other call that would schedule something or wait fails: with ROTA_EFORKED where it
 *           needs the runtime it is called from, with ROTA_ECLOSED where it is given one of the
 *           parent's loops; what only suspends the calling task (sleep, yield, awaiting a task)
 *           with ROTA_ENOTASK, as outside of any.
 * Rejected. A check in every call: the hot ones would pay for it, and the kernel's objects would
 *           still be shared.
 */
#ifndef ROTI_FORK_H
#define ROTI_FORK_H

#include <stdbool.h>

struct roti_pool;

#ifdef __cplusplus
extern "C" {
#endif

/* A pool begins (ends) to run in this process. 0 or -ENOMEM. */
int roti_fork_watch(struct roti_pool *pool);
void roti_fork_unwatch(struct roti_pool *pool);

/* Keeps forks away from what a child could not make sense of, such as a thread that is just being
 * started. Not nested; nothing may suspend meanwhile. */
void roti_fork_hold(void);
void roti_fork_release(void);

/* Whether this is the child of a fork made while loops ran, and no runtime was started since. */
bool roti_fork_is_child(void);

/* What a call answers that needs a running loop, where there is none: ROTA_EFORKED in such a child,
 * else ROTA_ENOLOOP. */
int roti_fork_no_loop(void);

/* Adds a function that the child calls for each pool that ran, before anything else: a layer above
 * forgets its own. At most eight, each once. */
void roti_fork_on_child(void (*forget)(struct roti_pool *pool));

#ifdef __cplusplus
}
#endif

#endif
