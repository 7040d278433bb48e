/* SPDX-License-Identifier: MIT */
/*
 * sample.h - where another thread is just now, without stopping it.
 *
 * Problem.  A task that keeps its loop must be named together with the code that it is in; and who
 *           asks is another thread. A signal asks the thread itself, but it also interrupts the
 *           system call that the thread may be in: sleeps, polls and waits with a time limit end
 *           early in code that never expected it.
 * Design.   The kernel is asked first. It says of a thread that waits in it which address the
 *           thread will return to; nothing is sent. Only one that is on a CPU gets a signal:
 *           SIGURG, which is ignored where nobody handles it. Its handler notes the program counter
 *           and the chain of frame pointers, within the bounds of the stack it is on.
 * Limits.   Between the question and the signal the thread may enter a system call, and that may be
 *           interrupted; SA_RESTART hides it from most. Where the program handles SIGURG, no signal
 *           is sent, and of a thread on a CPU nothing is known. Where the kernel does not tell
 *           (/proc is not mounted, or hidden), likewise.
 * Rejected. The unwinder of the compiler, in the handler: it reads what any code has left on the
 *           stack, and a fault there would be ours.
 */
#ifndef ROTI_SAMPLE_H
#define ROTI_SAMPLE_H

#include "sched/answer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ROTI_SAMPLE_FRAMES ROTI_ANSWER_MAX

/* A worker's. */
struct roti_sample {
    struct roti_answer answer; /* return addresses, by its thread */
    _Atomic(pid_t) tid;        /* of its thread; 0: it has none */
    bool was_blocked;          /* the signal, before this thread was the worker's */
};

/* What the kernel says of a thread. */
enum roti_whereabouts {
    ROTI_WHEREABOUTS_UNKNOWN,
    ROTI_ON_CPU,   /* or about to be */
    ROTI_IN_KERNEL /* waits there */
};

struct roti_worker;

#ifdef __cplusplus
extern "C" {
#endif

/* The process's handler comes with the first and goes with the last user. Any thread. */
void roti_sample_open(void);
void roti_sample_close(void);

/* On the thread of a worker: it may be sampled from now on, until leave. */
void roti_sample_enter(struct roti_sample *sample);
void roti_sample_leave(struct roti_sample *sample);

/* The worker's thread; 0: it has not begun, or has ended. Any thread. */
static inline pid_t roti_sample_tid(const struct roti_sample *sample)
{
    /* [SM3] relaxed: a number. */
    return roti_load(SM3, relaxed, &sample->tid);
}

/*
 * Return addresses of the worker's thread, innermost first; the first is where it is. At most
 * ROTI_SAMPLE_FRAMES of them; none where they cannot be had within two milliseconds. One thread at
 * a time for a worker.
 */
int roti_sample_take(struct roti_sample *sample, void **ret_pcs,
                     enum roti_whereabouts *ret_whereabouts);

/* Nanoseconds that a thread was ready and had no CPU; zero where the kernel does not tell. */
uint64_t roti_sample_cpu_wait_ns(pid_t tid);

/* In the child of a fork: nobody samples. */
void roti_sample_forked(void);

#ifdef __cplusplus
}
#endif

#endif
