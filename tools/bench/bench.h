/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what a bench is, and what benches use: clocks, notes, a runtime to run in.
 *
 * A bench has two sides that do the same work: rota's, and a baseline written by hand that does
 * only that. rota-bench runs them in turn. One call of a side is one run: it does `n` operations
 * and returns one figure.
 *
 * Where one thread works, the figure is processor time, so that what else runs on the machine does
 * not count; where threads wait for each other, it is wall time. Both sides use the same clock.
 */
#ifndef ROTI_BENCH_H
#define ROTI_BENCH_H

#include <rota/task.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define BENCH_NOTES_MAX 40
#define BENCH_KEY_SIZE 32

/* Figures beside the main one: what a run noted. */
struct bench_notes {
    unsigned count;
    struct {
        char key[BENCH_KEY_SIZE];
        double value;
    } items[BENCH_NOTES_MAX];
};

/* What one run is asked for. */
struct bench_run {
    uint64_t n;       /* operations, at least 1 */
    unsigned loops;   /* at least 1 */
    const void *arg;  /* the bench's */
    const char *peer; /* BENCH_PEER_SERVES: who serves instead of the baseline's server; or NULL */
    struct bench_notes *notes;
};

/* One run of one side. 0 with *ret_value set in the bench's unit; -EOPNOTSUPP where this machine
 * cannot run it; another negative error. */
typedef int (*bench_fn)(const struct bench_run *run, double *ret_value);

enum {
    BENCH_THREADS = 1,     /* more than one thread even with one loop: not bound to one CPU */
    BENCH_OWN_PROCESS = 2, /* each run in a process of its own: memory is as at start */
    BENCH_NOTE_RATIOS = 4, /* notes of both sides are compared, too */
    BENCH_PEER_SERVES = 8, /* a peer is the server of the baseline's client */
};

struct bench {
    const char *name;
    const char *unit;
    const char *text; /* what one operation is */
    const char *target;
    const char *baseline_name;
    bench_fn rota;
    bench_fn baseline;
    uint64_t n;     /* operations in one run */
    unsigned loops; /* 0: one for each CPU */
    unsigned runs;
    unsigned flags;
    const void *arg; /* what both sides are told, where several benches share their functions */
};

/* The benches of each file, ended by one without a name. */
extern const struct bench bench_task_benches[];
extern const struct bench bench_spawn_benches[];
extern const struct bench bench_memory_benches[];
extern const struct bench bench_post_benches[];
extern const struct bench bench_timer_benches[];
extern const struct bench bench_loop_benches[];
extern const struct bench bench_context_benches[];
extern const struct bench bench_figures_benches[];
extern const struct bench bench_steal_benches[];
extern const struct bench bench_healthy_benches[];

/* ---- For benches ---- */

/* Keeps the compiler from leaving out what computes `value`. */
#define BENCH_USE(value) __asm__ volatile("" : : "g"(value) : "memory")

/* What a clock shows, in nanoseconds. */
int64_t bench_clock_ns(clockid_t clock);

/* Two clocks at one instant, in nanoseconds. */
struct bench_instant {
    int64_t wall_ns;
    int64_t cpu_ns; /* of all threads of the process */
};

struct bench_instant bench_now(void);

/* Processor time since `start` per operation; notes the wall time beside it. */
double bench_cpu_per(const struct bench_run *run, struct bench_instant start);

/* Remembers a figure beside the main one; reported as the median over all runs. */
void bench_note(const struct bench_run *run, const char *key, double value);

/* Runs fn(arg) as the first task of a runtime with run->loops loops. Its result is fn's. */
int bench_in_runtime(const struct bench_run *run, rota_task_fn fn, void *arg);

/* Sorts `values` and returns the one in the middle; 0 for none. */
double bench_median(double *values, size_t count);

/* Sleeps for so long, whatever signals come. */
void bench_sleep_ns(int64_t delay_ns);

/* A pseudo-random number from *state, the same sequence on each run. */
uint64_t bench_random(uint64_t *state);

/* A line "<key>: <kilobytes> kB" of a file in /proc, in bytes; 0 if there is none. */
uint64_t bench_proc_bytes(const char *path, const char *key);

#endif
