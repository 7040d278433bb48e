/* SPDX-License-Identifier: MIT */
/*
 * sim.h - the simulator: the whole runtime, with all its threads in one, on a kernel of ours.
 *
 * Problem.   A task that is lost once in a billion interleavings is lost in production. A test
 *            on real threads neither reaches such an interleaving nor repeats it, and a real
 *            network fails when it likes.
 *
 * Design.    The product's own source is linked with stand-ins for two files, and nothing else
 *            is changed: for sched/base/thread.c, so that the thread object is the virtual
 *            thread's (thread.c), and for loop/syscall.c, so that the kernel is ours: epoll,
 *            eventfd, sockets (kernel.c, socket.c, connect.c). What is called of pthread, of the
 *            clock and of the futex has names of our own (thread.c), and each atomic operation
 *            is a point where another virtual thread may go on (point.h). All that chance
 *            decides goes through sim_choose(): who runs and for how long, how many bytes a read
 *            gives, which call fails, what the scenario does next. So a run is a function of its
 *            seed, or of a list of decisions (decide.c). 0 is the tame answer to every question:
 *            run on, give all, do not fail. Setting decisions to 0 therefore shrinks a run
 *            (batch.c), and bytes from a fuzzer are one.
 *
 * Time.      Virtual. Running costs little of it; where all threads wait, it jumps to the next
 *            deadline or delivery. Where there is none either, somebody was not woken: the run
 *            fails, with what each thread and each task waits for.
 *
 * Orders.    Sequentially consistent: weak memory is the explorer's (tests/model). What the
 *            simulator finds are lost wakes and tasks, double runs, uses after free by protocol,
 *            and whatever a network can do to a program.
 *
 * Faults.    Drawn per run from classes that are on or off, so that runs with few faults, with
 *            one kind only, and with none are among them. Every other run heals: from some point
 *            on nothing fails and everybody has their turn, and then it must end in time.
 *
 * Runs.      Each in a process of its own, forked from one that has run nothing, so that no run
 *            inherits anything and a crash is a result like any other (batch.c).
 */
#ifndef ROTI_TESTS_SIM_H
#define ROTI_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/point.h"

/* ---- Decisions (decide.c) ---- */

/* What a question is about; a run answers tamely where its class is off. */
enum sim_class {
    SIM_WORK,    /* what the scenario does; never tame but in replays */
    SIM_SLICE,   /* how long a thread runs */
    SIM_THREAD,  /* who runs next */
    SIM_STALL,   /* a preempted thread stays away for long, and time passes */
    SIM_PARTIAL, /* short reads and writes, small buffers */
    SIM_DELAY,   /* deliveries and events come later, and together */
    SIM_EVENTS,  /* events in another order, told twice, without cause */
    SIM_RESET,   /* connections break */
    SIM_LIMIT,   /* EMFILE and its like */
    SIM_MEMORY,  /* allocations fail */
    SIM_CLASS_COUNT
};

/* One of 0 .. count-1. */
uint32_t sim_choose(enum sim_class class, uint32_t count);

/* Whether this time the rare thing happens. */
bool sim_chance(enum sim_class class);

/* For scenarios: sim_choose(SIM_WORK, count). */
uint32_t sim_draw(uint32_t count);

/* Notes what has happened in the hash of the run. */
void sim_note(uint64_t number);

/* ---- Virtual threads (schedule.c) ---- */

struct sim_thread;

struct sim_thread *sim_thread_start(void *(*fn)(void *arg), void *arg);
bool sim_thread_done(const struct sim_thread *thread);
struct sim_thread *sim_self(void);
unsigned sim_thread_index(const struct sim_thread *thread);

/* Suspends the thread until somebody notifies `key` or the time has come; either may have happened
 * for another reason. INT64_MAX: no deadline. `what` for reports. */
void sim_wait(const void *key, int64_t deadline_ns, const char *what);
void sim_notify(const void *key);

/* Virtual CLOCK_MONOTONIC. */
int64_t sim_now(void);

/* Calls fn(arg, number) at that instant, between two steps of threads. */
void sim_at(int64_t when_ns, void (*fn)(void *arg, uint64_t number), void *arg, uint64_t number);

/* ---- The verdict (batch.c) ---- */

/* The run has failed: reports and ends the process. */
__attribute__((noreturn, format(printf, 1, 2))) void sim_fail(const char *format, ...);

#define SIM_ASSERT(expression)                                                                     \
    ((expression) ? (void)0 : sim_fail("%s:%d: %s", __FILE__, __LINE__, #expression))

/* ---- Scenarios ---- */

struct sim_scenario {
    const char *name;
    void (*run)(void);  /* on the first virtual thread */
    uint64_t steps_max; /* points of a run that still makes progress */
};

extern const struct sim_scenario *const sim_scenarios[];

#endif
