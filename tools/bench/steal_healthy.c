/* SPDX-License-Identifier: MIT */
/*
 * steal_healthy.c - what it costs that loops look after each other, when nothing is wrong: tasks
 * that yield on all loops, with that switched on and off.
 *
 * The tasks are pinned, so that every yield does the same. Half a percent is below what clocks can
 * tell on most machines; instructions.py counts it.
 */
#include "tools/bench/bench.h"

#include <rota/future.h>
#include <rota/runtime.h>
#include <stdatomic.h>

#define TASKS_PER_LOOP 4

struct yielding {
    uint64_t yields;        /* of each task */
    _Atomic(unsigned) left; /* tasks that have not ended */
    _Atomic(int) error;
    struct rota_future *done;
    const struct bench_run *run;
    double value;
};

static void end_task(struct yielding *yielding, int error)
{
    if (error < 0)
        atomic_store(&yielding->error, error);
    if (atomic_fetch_sub(&yielding->left, 1) == 1)
        (void)rota_future_set_result(yielding->done, NULL);
}

static int yield_all(void *arg)
{
    struct yielding *yielding = arg;
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < yielding->yields; i++)
        r = rota_yield();
    end_task(yielding, r);
    return r;
}

/* On each loop: starts its tasks. */
static int start_tasks(void *arg)
{
    struct yielding *yielding = arg;
    for (unsigned i = 0; i < TASKS_PER_LOOP; i++) {
        int r = rota_task_spawn(NULL, yield_all, arg, &(struct rota_task_opts){.pinned = true});
        if (r < 0)
            end_task(yielding, r);
    }
    return 0;
}

static int healthy_main(void *arg)
{
    struct yielding *yielding = arg;
    struct rota_runtime *runtime = rota_running_runtime();
    unsigned loops = yielding->run->loops;
    int r = rota_future_create(&yielding->done, NULL);
    if (r < 0)
        return r;
    struct bench_instant start = bench_now();
    for (unsigned i = 0; i < loops; i++) {
        r = rota_call_soon_threadsafe(rota_runtime_loop(runtime, i), NULL, start_tasks, yielding,
                                      NULL);
        for (unsigned k = 0; r < 0 && k < TASKS_PER_LOOP; k++)
            end_task(yielding, r);
    }
    r = rota_future_await(yielding->done, NULL);
    yielding->value = bench_cpu_per(yielding->run, start);
    rota_future_unref(yielding->done);
    return r < 0 ? r : atomic_load(&yielding->error);
}

static int yields(const struct bench_run *run, bool no_help, double *ret_value)
{
    unsigned tasks = run->loops * TASKS_PER_LOOP;
    struct yielding yielding = {.run = run, .yields = run->n / tasks + 1, .left = tasks};
    int r = rota_run(
        healthy_main, &yielding,
        &(struct rota_run_opts){.loops = run->loops, .no_signals = true, .no_help = no_help});
    *ret_value = yielding.value;
    return r;
}

static int rota_helped(const struct bench_run *run, double *ret_value)
{
    return yields(run, false, ret_value);
}

static int rota_alone(const struct bench_run *run, double *ret_value)
{
    return yields(run, true, ret_value);
}

const struct bench bench_healthy_benches[] = {
    {
        .name = "steal.healthy",
        .unit = "ns",
        .text = "a yield of one of four tasks on each loop, while loops look after each other",
        .target = "<= 1.005 x",
        .baseline_name = "rota without help for blocked loops",
        .rota = rota_helped,
        .baseline = rota_alone,
        .n = 5000000,
        .runs = 9,
        .flags = BENCH_THREADS,
    },
    {0},
};
