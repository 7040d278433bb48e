/* SPDX-License-Identifier: MIT */
/*
 * stack_quarantine.h - what may be done with the stack of a task that has ended: wiped, or kept
 * inaccessible for a while.
 *
 * A pointer to a local variable outlives its task without a sign: the stack is the next task's. In
 * quarantine it is nobody's, and touching it is a fault, whose report names the task that owned it
 * (sched/overflow.c). The quarantine is bounded: each stack that enters pushes the oldest one out.
 */
#ifndef ROTI_STACK_QUARANTINE_H
#define ROTI_STACK_QUARANTINE_H

#include "sched/stack.h"

/* Stacks of one runtime. Its threads may use it at the same time. */
struct roti_stack_quarantine;

#ifdef __cplusplus
extern "C" {
#endif

/* Room for `count` stacks; NULL: no memory. */
struct roti_stack_quarantine *roti_stack_quarantine_create(unsigned count);

/* Gives all stacks to the pool, and frees it. NULL is ignored. No thread uses it any more. */
void roti_stack_quarantine_free(struct roti_stack_quarantine *quarantine);

/*
 * Takes a stack out of use, whose `owner` is described first. Returns one that has come free
 * instead, or NULL; where the kernel refuses it is the same stack.
 */
struct roti_stack *roti_stack_detain(struct roti_stack_quarantine *quarantine,
                                     struct roti_stack *stack);

/* What is known of the owner of a stack that is in quarantine, or NULL. In a signal handler. */
const char *roti_stack_detained(const struct roti_stack *stack);

/* Makes all of a stack zero. On the thread that gives it back, with nothing running on it. */
void roti_stack_wipe(struct roti_stack *stack);

#ifdef __cplusplus
}
#endif

#endif
