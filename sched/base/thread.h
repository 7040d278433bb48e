/* SPDX-License-Identifier: MIT */
/*
 * thread.h - the one thread-local object of the library.
 *
 * Problem.  A task may suspend on one thread and go on on another. Compilers keep the address of a
 *           thread-local in a register over calls, and would go on reading the first thread's.
 * Design.   One object, reached through one function that no compiler can see into: not inlined,
 *           outside link-time optimisation, its result laundered. Callers ask again after every
 *           call that may suspend, and never keep the pointer over one.
 * Threads.  Each thread reads and writes its own object only.
 */
#ifndef ROTI_THREAD_H
#define ROTI_THREAD_H

#include "sched/base/slots.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct roti_worker;
struct rota_context;
struct roti_map;

/*
 * Where the current context is kept: by the running task, by the loop while a callback runs, or by
 * the thread itself. Owned by ctx/context.c; sched only moves the pointer.
 */
struct roti_context_slot {
    struct rota_context *cell; /* the entered context; NULL: `root` alone stands for it */
    struct roti_map *root;     /* the immutable map, where there is no cell; NULL: empty */
};

/* References to one map, taken in a batch and handed out one by one. Owned by ctx/credit.c. */
struct roti_context_credit {
    struct roti_map *root;
    uint64_t count;
};

struct roti_thread {
    struct roti_worker *worker;          /* the loop that this thread runs; NULL on others */
    struct roti_context_slot *context;   /* the current slot; NULL: `top`. roti_thread_context() */
    struct roti_context_slot top;        /* this thread's own context, outside any loop */
    struct roti_context_credit captured; /* of the root captured last */
    struct roti_context_credit released; /* of the root that a loop released last */
    struct rota_context *context_spare;  /* a freed context object, for the next one */
    uint64_t context_id_next;            /* identities of contexts: a block of them */
    uint64_t context_id_end;
    bool context_guarded;            /* what contexts keep here is given back at exit */
    struct roti_slots_cache handles; /* nodes of callbacks; empty while not guarded */
    bool handles_guarded;            /* they are given back at exit */
    uint64_t random_state;           /* for choices that need no quality, such as victims */
};

#ifdef __cplusplus
extern "C" {
#endif

/* This thread's object, all zero at first; never NULL. A caller asks once, and passes it on to
 * those that it calls until something suspends. */
struct roti_thread *roti_thread_self(void);

/* The calling thread's own stack: its lowest usable byte and its size. 0 or a negative errno. */
int roti_thread_stack(char **ret_low, size_t *ret_size);

#ifdef __cplusplus
}
#endif

/* The current slot; never NULL. That of a thread which was never given one is not set by the
 * accessor, so that this is a question of those who ask for contexts only. */
static inline struct roti_context_slot *roti_thread_context(struct roti_thread *thread)
{
    return thread->context != NULL ? thread->context : &thread->top;
}

#endif
