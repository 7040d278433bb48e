/* SPDX-License-Identifier: MIT */
/*
 * figures.c - benches of what figures cost where they are on, and of names.
 */
#include "tools/bench/bench.h"

#include <rota/runtime.h>

/* ---- figures.yield ---- */

struct yielding {
    const struct bench_run *run;
    double value;
};

/* Alone on its loop, so that a step is nothing but the yield. */
static int yield_main(void *arg)
{
    struct yielding *yielding = arg;
    struct bench_instant start = bench_now();
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < yielding->run->n; i++)
        r = rota_yield();
    yielding->value = bench_cpu_per(yielding->run, start);
    return r;
}

static int yields(const struct bench_run *run, bool figures, double *ret_value)
{
    struct yielding yielding = {.run = run};
    struct rota_run_opts opts = {.loops = run->loops, .no_signals = true, .figures = figures};
    int r = rota_run(yield_main, &yielding, &opts);
    *ret_value = yielding.value;
    return r;
}

static int yields_on(const struct bench_run *run, double *ret_value)
{
    return yields(run, true, ret_value);
}

static int yields_off(const struct bench_run *run, double *ret_value)
{
    return yields(run, false, ret_value);
}

/* ---- figures.named_spawn ---- */

struct spawning {
    const struct bench_run *run;
    const char *name;
    double value;
};

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int spawn_main(void *arg)
{
    struct spawning *spawning = arg;
    struct rota_task_opts opts = {.name = spawning->name};
    struct bench_instant start = bench_now();
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < spawning->run->n; i++) {
        struct rota_task *task;
        r = rota_task_spawn(&task, nothing, NULL, &opts);
        if (r < 0)
            break;
        r = rota_task_await(task, NULL);
        rota_task_unref(task);
    }
    spawning->value = bench_cpu_per(spawning->run, start);
    return r;
}

static int spawns(const struct bench_run *run, const char *name, double *ret_value)
{
    struct spawning spawning = {.run = run, .name = name};
    int r = bench_in_runtime(run, spawn_main, &spawning);
    *ret_value = spawning.value;
    return r;
}

static int spawns_named(const struct bench_run *run, double *ret_value)
{
    return spawns(run, "connection", ret_value);
}

static int spawns_unnamed(const struct bench_run *run, double *ret_value)
{
    return spawns(run, NULL, ret_value);
}

const struct bench bench_figures_benches[] = {
    {"figures.yield", "ns", "one yield of one task, with figures on", "<= 50 ns more",
     "the same, figures off", yields_on, yields_off, 5000000, 1, 9, 0, NULL},
    {"figures.named_spawn", "ns", "one spawn of a task with a name, and await", "<= 10 ns more",
     "the same without a name", spawns_named, spawns_unnamed, 500000, 1, 9, 0, NULL},
    {0},
};
