/* SPDX-License-Identifier: MIT */
/*
 * credit.h - references to maps that a thread keeps, so that copying a context counts nothing.
 */
#ifndef ROTI_CREDIT_H
#define ROTI_CREDIT_H

#include "sched/base/thread.h"

#define ROTI_CREDIT_BATCH 64 /* references taken by one read-modify-write */
#define ROTI_CREDIT_MAX 128  /* kept of one root; what exceeds it goes back by a batch */

#ifdef __cplusplus
extern "C" {
#endif

/* Takes one reference to the root of the current context, which keeps it alive meanwhile. */
void roti_credit_take(struct roti_thread *thread, struct roti_map *root);

/* Drops one reference to `root`; it may be kept as credit for a while. */
void roti_credit_give(struct roti_thread *thread, struct roti_map *root);

/* Gives back what the thread keeps of `root`, to which the caller holds a reference of its own. */
void roti_credit_forget(struct roti_thread *thread, struct roti_map *root);

/* Gives back all that the thread keeps, and its spare object. */
void roti_credit_return(struct roti_thread *thread);

/* Has the thread's exit give back what contexts keep in its object; false when that is refused. */
bool roti_credit_guard(struct roti_thread *thread);

#ifdef __cplusplus
}
#endif

#endif
