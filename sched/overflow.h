/* SPDX-License-Identifier: MIT */
/*
 * overflow.h - names the task whose stack overflowed, or was used after its end, before the program
 * dies of it.
 */
#ifndef ROTI_OVERFLOW_H
#define ROTI_OVERFLOW_H

#include "sched/stack.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/* A thread's alternate signal stack. Embedded in what belongs to the thread. */
struct roti_overflow_thread {
    void *memory; /* NULL: the thread had an alternate stack already, which is kept */
    size_t size;
};

/*
 * Writes, zero-terminated and at most `size` bytes, which task runs on `stack`; what follows "in
 * task ". Runs in a signal handler on a thread whose stack has overflowed.
 */
typedef void (*roti_overflow_describe_fn)(const struct roti_stack *stack, char *buf, size_t size);

#ifdef __cplusplus
extern "C" {
#endif

/* Sets who describes a stack; NULL: reports say the stack's address alone. Any thread. */
void roti_overflow_set_describe(roti_overflow_describe_fn describe);

/* Calls it, or describes the stack by its address. As the function above. */
void roti_overflow_describe(const struct roti_stack *stack, char *buf, size_t size);

/* Writes, as above, where an address lies: its module and the offset in it, for addr2line. */
void roti_overflow_describe_address(const void *address, char *buf, size_t size);

/*
 * Gives the calling thread an alternate signal stack, and the process a handler of SIGSEGV while
 * any thread has one. The handler reports a fault in a stack's guard, or in a stack in quarantine,
 * and hands every fault on to the handler before it, or to the default action. Returns 0 or
 * -ENOMEM.
 */
int roti_overflow_install_thread(struct roti_overflow_thread *thread);

/* Undoes it, on the same thread. With the last one, the former handler is back, unless somebody
 * has put another in front of ours meanwhile, which then stays with ours behind it. */
void roti_overflow_remove_thread(struct roti_overflow_thread *thread);

/* In the child of a fork: no thread has one any more. */
void roti_overflow_forked(void);

#ifdef __cplusplus
}
#endif

#endif
