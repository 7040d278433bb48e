/* SPDX-License-Identifier: MIT */
/*
 * load.h - what the loops are given to do, and how it went.
 *
 * A load is drawn from a seed, and is the same for whoever serves it: rota, a thread for each loop
 * with connections bound to it (pinned.c), or an ideal machine: one queue, as many servers, no
 * costs (ideal.c).
 *
 * open     requests arrive as a Poisson process, on connections that are spread evenly
 * zipf     the same, but the n-th loop has 1/n of the first one's connections' requests
 * skewed   the same, but all connections are registered at one loop
 * onoff    the same, but all requests of a millisecond arrive in its first fifth
 * closed   each connection's next request comes a think time after its last answer
 * stalls   as closed, and at random some request takes a millisecond more
 * burst    1,000 tasks wait for one future, again and again
 * sleepers tasks that sleep, work, and sleep again: no descriptor, so that real machines run it
 * yields   tasks that do nothing but yield to each other, two for each loop: what a step costs
 * spawns   a task for each loop, which spawns others and awaits them, one at a time
 */
#ifndef ROTI_TESTS_SCALING_LOAD_H
#define ROTI_TESTS_SCALING_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_STALL_NS INT64_C(1000000)
#define LOAD_SOCKET_LOOPS 64 /* from so many loops on there are two sockets */

enum load_kind {
    LOAD_OPEN,
    LOAD_ZIPF,
    LOAD_SKEWED,
    LOAD_ONOFF,
    LOAD_CLOSED,
    LOAD_STALLS,
    LOAD_BURST,
    LOAD_SLEEPERS,
    LOAD_YIELDS,
    LOAD_SPAWNS,
    LOAD_KIND_COUNT
};

struct load_opts {
    enum load_kind kind;
    unsigned loops;
    unsigned connections; /* in all */
    unsigned requests;    /* in all */
    int64_t service_ns;
    int64_t think_ns;  /* closed, stalls, sleepers: the mean */
    double use;        /* open and its like: work offered, as a share of what the loops can do */
    double stall_rate; /* stalls: share of one loop's time */
    uint64_t seed;
};

extern struct load_opts load; /* figures.c */

/* ---- Draws ---- */

uint64_t load_draw(void);
double load_draw_unit(void);
/* Exponential, with that mean; at least 1. */
int64_t load_draw_after(double mean_ns);

/* ---- Requests that arrive on connections (load.c; only where they do) ---- */

/* Calls arrive(connection, request) for each, at its time, as an event. */
void load_begin(void (*arrive)(unsigned connection, uint64_t request));

/* Where a connection is registered. */
unsigned load_home(unsigned connection);

/* How long the request takes. */
int64_t load_service(uint64_t request);

/* At the current moment it is done. True: it was the last. */
bool load_done(uint64_t request);

/* ---- Tasks that need no descriptors (tasks.c; simulated, and on a real machine) ---- */

/* As the first task of a run: the load, from begin to end. */
int load_run_tasks(void *totals);

/* Adds the counters of all loops to the totals, or takes them off. In a task. */
struct load_totals;
void load_add_counters(struct load_totals *totals, int sign);

/* ---- What the program has of its own: simulated (serve.c) or real (native.c) ---- */

/* Monotonic nanoseconds. */
int64_t load_now(void);

/* The current task works for so long. `place`: where it did so last, -1 at first. */
void load_work(int *place, int64_t ns);

/* What was counted up to now is forgotten; or taken down. In a task. */
void load_count_begin(struct load_totals *totals);
void load_count_end(struct load_totals *totals);

/* ---- The figures (figures.c) ---- */

/* Before the first request. */
void load_figures_begin(void);

/* A request has taken so long from its arrival to its end. Any thread, once for each request. */
void load_note(uint64_t request, int64_t latency_ns);

struct load_totals {
    int64_t begun_ns;
    int64_t ended_ns;
    int64_t ideal_ns; /* burst: what the bursts take without any cost; else 0 */
    int64_t busy_ns;  /* burst: what they have taken */

    /* From the counters of all loops. */
    uint64_t steals_tried;
    uint64_t steals_won;
    uint64_t tasks_stolen;
    uint64_t wakes_sent;
    uint64_t migrations;
    uint64_t parks;
    uint64_t turns;

    /* Simulated only: of all CPUs. */
    int64_t asleep_ns;    /* in the kernel's sleep */
    int64_t work_ns;      /* service times */
    int64_t cold_ns;      /* cold starts */
    int64_t watched_ns;   /* accesses to the idle state, and waiting for it */
    int64_t irq_ns;       /* lost to interrupts */
    uint64_t transfers;   /* of lines, from one CPU to another */
    uint64_t membarriers; /* calls that interrupt */
    uint64_t interrupts;
    uint64_t points; /* atomic accesses */
};

/* One line of JSON. Fails the run if a request was not done. */
void load_report(const char *system, const struct load_totals *totals);

/* The name of a load, and the load of a name or LOAD_KIND_COUNT. */
const char *load_name(enum load_kind kind);
enum load_kind load_kind_of(const char *name);

/* ---- Who serves (serve.c, pinned.c, ideal.c) ---- */

/* Each plays the load to its end, and leaves what it counted. */
void load_serve_rota(struct load_totals *ret_totals, bool fences);
void load_serve_pinned(struct load_totals *ret_totals, bool fences);
void load_serve_ideal(struct load_totals *ret_totals, bool fences);

#endif
