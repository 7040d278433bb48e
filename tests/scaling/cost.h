/* SPDX-License-Identifier: MIT */
/*
 * cost.h - the simulator with costs: virtual CPUs, each with a clock, and what each action takes.
 *
 * Problem.   A machine of two cores says nothing about 256 loops. What limits a scheduler there are
 *            lines of memory that all CPUs want, wakes that come one after the other, searches in
 *            vain: none of which two CPUs show.
 *
 * Design.    The product's source, compiled as for the simulator (tests/sim), but with its real
 *            capacities, runs on up to 256 virtual CPUs, one for each loop. Each CPU has a clock,
 *            and what a loop does advances that clock alone, by the cost of the action. The CPU
 *            with the least clock goes on, until it is ahead of another one by more than one
 *            transfer of a line: so everything happens in the order of virtual time, to within
 *            that. No chance is involved but the load's, which is drawn from a seed.
 *
 * Charged.   Atomic accesses, by what the line of memory was used for last (lines.c): this gives
 *            the idle state, a contended lock, an inbox, a thief's look at a ring their costs,
 *            without a word in the product. Waiting for a lock: a pause at a time, as in the
 *            product. System calls, by kind; a sleep, and the way out of it; membarrier, with its
 *            mutex and the interrupts of all CPUs that run (kernel.c, cpus.c). A step of a task:
 *            the service time that the load gives, more where another task ran there before, and a
 *            cold start where it ran elsewhere (serve.c). A steal is charged nothing by itself: it
 *            is its lines, and line_ns is such that a thief which takes one task from a CPU of its
 *            own socket pays about 200 ns.
 *
 * Left out.  Capacities of caches, memory bandwidth, hyperthreads, the clock's frequency, what
 *            interrupts of a network cost and where they run, the kernel's own locks but that of
 *            membarrier. Plain memory rides on the atomics beside it. Each loop has its CPU for
 *            itself: nobody is preempted.
 */
#ifndef ROTI_TESTS_SCALING_COST_H
#define ROTI_TESTS_SCALING_COST_H

#include "tests/scaling/load.h"
#include "tests/sim/engine.h"

#define SCALE_CPUS_MAX 288 /* 256 loops, and threads of the runtime */

/* X(name, nanoseconds, text): what the model charges. */
#define SCALE_COSTS(X)                                                                             \
    X(point, 2, "an atomic access to a line at hand, and the code around it")                      \
    X(update, 5, "a read-modify-write of a line at hand, beside that")                             \
    X(fence, 8, "a full fence, when what was stored before has arrived")                           \
    X(line, 55, "a line that another CPU of the socket has written last")                          \
    X(share, 10, "a line that is read by many: so long it is kept from the next reader")           \
    X(remote, 3, "times as much, where it is another socket's")                                    \
    X(resume, 250, "the first step of a task after another's: its stack is not at hand")           \
    X(cold, 1000, "the first step of a task on another CPU than its last")                         \
    X(wake, 5000, "from a wake to the first instruction of the woken CPU")                         \
    X(wake_send, 1000, "what the waker pays for it")                                               \
    X(syscall, 100, "a system call that finds nothing to do")                                      \
    X(event, 30, "an event that epoll tells of")                                                   \
    X(sleep, 500, "the way into a sleep")                                                          \
    X(clock, 20, "a look at the clock")                                                            \
    X(pause, 20, "a turn of a loop that waits for a lock")                                         \
    X(yield, 300, "sched_yield() where nobody else wants the CPU")                                 \
    X(membarrier, 300, "membarrier where no other CPU runs the process")                           \
    X(ipi, 1500, "membarrier where some do: interrupts, and their answers")                        \
    X(ipi_each, 30, "for each CPU that is interrupted, beside that")                               \
    X(irq, 500, "what a CPU that is interrupted loses")

struct scale_costs {
#define SCALE_COST_FIELD(name, ns, text) int64_t name;
    SCALE_COSTS(SCALE_COST_FIELD)
#undef SCALE_COST_FIELD
};

extern struct scale_costs scale_cost;

/* What the model counts, over all CPUs: the latter fields. */
extern struct load_totals scale_sums;

/* Forgets what was counted; or counts sleeps up to now. */
void scale_sums_begin(void);
void scale_sums_end(void);

/* ---- CPUs (cpus.c) ---- */

struct scale_cpu {
    struct sim_thread thread; /* the one that runs there */
    unsigned index;
    unsigned socket;
    int64_t now_ns;
    int64_t slept_ns;  /* waiting: since then */
    int64_t drain_ns;  /* its last store has its line from then on */
    uint64_t sleeps;   /* tells a deadline of an earlier sleep */
    const void *place; /* of the task that has worked there last */
    bool in_watched;   /* its last access was to the watched memory */
};

/* Before a run: how many CPUs make a socket (0: all). */
void scale_set_sockets(unsigned cpus_per_socket);

/* Which socket a CPU is on. */
unsigned scale_socket_of(unsigned cpu_index);

struct scale_cpu *scale_cpu(void);
struct scale_cpu *scale_cpu_of(struct sim_thread *thread);

/* Advances the clock of the running CPU. Another one may go on first, if it is behind. */
void scale_charge(int64_t ns);

/* All that comes before this CPU's clock has happened. */
void scale_settle(void);

/* Makes a sleeping thread go on, a wake's time after `when_ns`. */
void scale_wake(struct sim_thread *thread, int64_t when_ns);

/* Each other CPU that runs is interrupted. Returns how many. */
unsigned scale_interrupt_others(void);

/* Plays fn() on the first CPU, to its end. `fences`: the kernel refuses membarrier. */
void scale_play(void (*fn)(void), bool fences);

/* ---- Where time goes (profile.c) ---- */

/* `ns` were charged where the stand-in at hand was called from. */
void scale_profile(const void *address, int64_t ns);
#define scale_profile_here(ns) scale_profile(__builtin_return_address(0), ns)

void scale_profile_begin(void);

/* The most expensive places, per request, to standard error. */
void scale_profile_print(unsigned count, unsigned requests);

/* ---- Lines (lines.c) ---- */

/* Accesses to this memory are summed up by themselves. */
void scale_watch(const void *memory, size_t size);

/* ---- Sources: descriptors on which requests arrive (kernel.c) ---- */

struct scale_source;

/* A source, and its number in *ret_fd. What arrives on it is read by recv(2), 8 bytes each. */
struct scale_source *scale_source_create(int *ret_fd);

/* At the current moment: a request has arrived. Or: nothing more will. */
void scale_source_arrive(struct scale_source *source, uint64_t request);
void scale_source_end(struct scale_source *source);

#endif
