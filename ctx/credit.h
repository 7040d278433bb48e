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

/* The rest of the functions below, which alone call them. */
void roti_credit_take_more(struct roti_thread *thread, struct roti_map *root);
void roti_credit_give_more(struct roti_thread *thread, struct roti_map *root);
bool roti_credit_guard_thread(struct roti_thread *thread);

/* Gives back what the thread keeps of `root`, to which the caller holds a reference of its own. */
void roti_credit_forget(struct roti_thread *thread, struct roti_map *root);

/* Gives back all that the thread keeps, and its spare object. */
void roti_credit_return(struct roti_thread *thread);

#ifdef __cplusplus
}
#endif

/* Has the thread's exit give back what contexts keep in its object; false when that is refused. */
static inline bool roti_credit_guard(struct roti_thread *thread)
{
    return thread->context_guarded || roti_credit_guard_thread(thread);
}

/* Takes one reference to the root of the current context, which keeps it alive meanwhile. */
static inline void roti_credit_take(struct roti_thread *thread, struct roti_map *root)
{
    if (root == NULL)
        return;
    if (thread->captured.root == root && thread->captured.count > 0)
        thread->captured.count--;
    else
        roti_credit_take_more(thread, root);
}

/* Drops one reference to `root`; it may be kept as credit for a while. */
static inline void roti_credit_give(struct roti_thread *thread, struct roti_map *root)
{
    if (root == NULL)
        return;
    /* A count of zero is no account of this root: unsigned, it is beyond the maximum, too. */
    if (thread->captured.root == root && thread->captured.count - 1 < ROTI_CREDIT_MAX - 1)
        thread->captured.count++;
    else
        roti_credit_give_more(thread, root);
}

#endif
