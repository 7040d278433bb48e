/* SPDX-License-Identifier: MIT */
/*
 * figures.h - how long work waits until it runs, and how long it keeps its loop.
 *
 * Problem.    Counters say how much was done, not why a request was slow. That takes two times for
 *             every step: how long it was ready before, and how long it ran. They must cost nothing
 *             while nobody asks, and little when somebody does, in production.
 * Design.     Each loop has two histograms and a row of sums for each name of a task, which only
 *             its own thread writes. What is queued carries the time when it was, in bits that the
 *             queue's item had to spare (sched/driver.h), so a task that is stolen brings it along,
 *             and its wait counts where it runs. A step is timed from one scheduling point to the
 *             next: the end of one is the beginning of the one after it, and the time at which it
 *             queues itself again, so that a loop at work reads the clock once a step. What a loop
 *             does between two steps counts with the second. After a search, a sleep or a poll the
 *             clock is read anew.
 *             One word of the worker says whether to: 0 is off. It has the clock's scale in it, so
 *             that whoever sees it can read the clock, and a number that changes with each
 *             switching on: a loop that finds a new number remembers that instant, and takes
 *             nothing before it for the time of a queueing; it would be left over from an earlier
 *             period.
 * Rejected.   Times in the task's frame: a stack may come as late as the first step, and callbacks
 *             have none. A histogram per name: 5 KB for each name and loop; the sums show which
 *             name to look at. One set of histograms for all loops: a contended line at each step,
 *             and no way to see that one loop is worse than the others.
 * Invariants. I1 The histograms and rows of a loop are written by its own thread.
 *             I2 A time of queueing is written and read by whoever has the item in hand.
 *             I3 The rows together have the steps and times of the histograms.
 */
#ifndef ROTI_FIGURES_H
#define ROTI_FIGURES_H

#include "sched/clock.h"
#include "sched/histogram.h"
#include "sched/name.h"

struct roti_pool;
struct roti_worker;

/* Bits of a worker's word `timing`. Above them the clock's scale. */
#define ROTI_TIMING_FIGURES UINT64_C(1) /* times are taken */
#define ROTI_TIMING_SLOW UINT64_C(2)    /* debug: slow steps are reported */
#define ROTI_TIMING_NUMBER UINT64_C(4)  /* one switching on; modulo what fits */
#define ROTI_TIMING_SCALE_SHIFT 16

/* X(field, text): sums by name. Written by the owner only, read by any thread. */
#define ROTI_NAME_FIGURES(X)                                                                       \
    X(started, "tasks whose first step has ended")                                                 \
    X(finished, "tasks that have ended")                                                           \
    X(steps, "steps")                                                                              \
    X(run_ns, "time in steps")                                                                     \
    X(wait_ns, "time ready before steps")

struct roti_name_figures {
#define ROTI_NAME_FIGURE_FIELD(field, text) _Atomic(uint64_t) field;
    ROTI_NAME_FIGURES(ROTI_NAME_FIGURE_FIELD)
#undef ROTI_NAME_FIGURE_FIELD
};

struct roti_figures {
    uint64_t seen;  /* owner only: the word `timing` that it saw last */
    uint64_t since; /* owner only: when it saw that, in ticks */
    struct roti_histogram wait;
    struct roti_histogram run;
    struct roti_name_figures names[ROTI_NAME_COUNT];
};

/* A step that is being timed. On the stack of its loop. */
struct roti_step {
    uint64_t timing; /* the worker's word when it began */
    uint64_t begun;  /* in ticks */
    uint64_t wait_ns;
    bool first; /* of a task: set by the caller before the end */
    bool last;  /* the same */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Switches times on or off for all loops of a pool. The first switching on in a process may take
 * half a millisecond. Any thread of the pool. */
void roti_figures_switch(struct roti_pool *pool, bool on);

/* Whether times are taken, and whether they have ever been. Any thread of the pool. */
bool roti_figures_on(struct roti_pool *pool);
bool roti_figures_known(struct roti_pool *pool);

/* Times from the start on, or not. Before any worker joins. */
void roti_figures_init(struct roti_pool *pool, bool on);

/* Gives a worker that joins the pool its word. Before it has a thread. */
void roti_figures_join(struct roti_pool *pool, struct roti_worker *worker);

/* Gives it the word of now: once the pool's table has a worker that joined while others run. */
void roti_figures_update(struct roti_pool *pool, struct roti_worker *worker);

/* Writes the time into what is being queued for `worker`, whose word is `timing`; `own`: by that
 * worker itself. */
void roti_figures_stamp(struct roti_worker *worker, uint64_t timing, bool own,
                        struct roti_work *work);

/* The loop is about to take what is ready, and calls that one instant. Owner. */
void roti_figures_instant(struct roti_worker *worker, uint64_t timing);

/* The step of an item begins: takes its wait. Owner. */
struct roti_step roti_figures_begin(struct roti_worker *worker, uint64_t timing,
                                    struct roti_work *work);

/* The step is over, of an item with a name of that number. Owner. Returns the nanoseconds it took.
 */
uint64_t roti_figures_end(struct roti_worker *worker, const struct roti_step *step, unsigned name);

#ifdef __cplusplus
}
#endif

#endif
