/* SPDX-License-Identifier: MIT */
/*
 * task_spawn.c - benches of tasks that do nothing but begin and end.
 *
 * Baselines make a fiber on a stack that is there already, and do the four read-modify-writes that
 * a spawn and its join are allowed.
 */
#include "tools/bench/bench.h"
#include "tools/bench/plain_fiber.h"

#include <errno.h>
#include <rota/runtime.h>
#include <stdatomic.h>
#include <stdlib.h>

#define PLAIN_STACK_SIZE 16384

static struct plain_fiber plain_main;
static struct plain_fiber plain_task;
static _Alignas(64) char plain_stack[PLAIN_STACK_SIZE];

/* A body that does nothing but go back. */
static void plain_back(void *arg)
{
    for (;;)
        BENCH_USE(plain_fiber_switch(&plain_task, &plain_main, arg));
}

/* ---- task.spawn_join ---- */

struct spawning {
    const struct bench_run *run;
    double value;
};

static int noop_body(void *arg)
{
    (void)arg;
    return 0;
}

static int spawn_join_main(void *arg)
{
    struct spawning *spawning = arg;
    struct bench_instant start = bench_now();
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < spawning->run->n; i++) {
        struct rota_task *task;
        r = rota_task_spawn(&task, noop_body, NULL, NULL);
        if (r < 0)
            break;
        r = rota_task_await(task, NULL);
        rota_task_unref(task);
    }
    spawning->value = bench_cpu_per(spawning->run, start);
    return r;
}

static int rota_spawn_joins(const struct bench_run *run, double *ret_value)
{
    struct spawning spawning = {.run = run};
    int r = bench_in_runtime(run, spawn_join_main, &spawning);
    *ret_value = spawning.value;
    return r;
}

/* Debug mode reports what other processes keep from the processor for long; that is not asked here.
 */
static void ignore_report(const struct rota_error_info *info, void *arg)
{
    (void)info;
    (void)arg;
}

static int rota_spawn_joins_debug(const struct bench_run *run, double *ret_value)
{
    struct spawning spawning = {.run = run};
    struct rota_run_opts opts = {
        .loops = run->loops, .no_signals = true, .debug = true, .exception_handler = ignore_report};
    int r = rota_run(spawn_join_main, &spawning, &opts);
    *ret_value = spawning.value;
    return r;
}

/* Makes a fiber on a stack that is there already, runs it, with four read-modify-writes: published,
 * claimed, completed, released. */
static void plain_spawn_join(_Atomic(uint64_t) *word)
{
    atomic_fetch_add_explicit(word, 1, memory_order_acq_rel);
    plain_fiber_init(&plain_task, plain_stack, PLAIN_STACK_SIZE, plain_back, NULL);
    atomic_fetch_add_explicit(word, 1, memory_order_acq_rel);
    BENCH_USE(plain_fiber_switch(&plain_main, &plain_task, NULL));
    atomic_fetch_add_explicit(word, 1, memory_order_acq_rel);
    atomic_fetch_add_explicit(word, 1, memory_order_acq_rel);
}

static int plain_spawn_joins(const struct bench_run *run, double *ret_value)
{
    static _Atomic(uint64_t) word;
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < run->n; i++)
        plain_spawn_join(&word);
    *ret_value = bench_cpu_per(run, start);
    return 0;
}

/* ---- task.spawn_batch ---- */

static int spawn_batch(const struct bench_run *run, struct rota_task **tasks)
{
    uint64_t spawned = 0;
    int r = 0;
    while (spawned < run->n && (r = rota_task_spawn(&tasks[spawned], noop_body, NULL, NULL)) == 0)
        spawned++;
    for (uint64_t i = 0; i < spawned; i++) {
        if (r == 0)
            r = rota_task_await(tasks[i], NULL);
        rota_task_unref(tasks[i]);
    }
    return r;
}

static int spawn_batch_main(void *arg)
{
    struct spawning *spawning = arg;
    struct rota_task **tasks = calloc(spawning->run->n, sizeof *tasks);
    if (tasks == NULL)
        return -ENOMEM;
    struct bench_instant start = bench_now();
    int r = spawn_batch(spawning->run, tasks);
    struct bench_instant end = bench_now();
    spawning->value = (double)(end.wall_ns - start.wall_ns) / (double)spawning->run->n;
    bench_note(spawning->run, "cpu_ns",
               (double)(end.cpu_ns - start.cpu_ns) / (double)spawning->run->n);
    free(tasks);
    return r;
}

static int rota_spawn_batch(const struct bench_run *run, double *ret_value)
{
    struct spawning spawning = {.run = run};
    int r = bench_in_runtime(run, spawn_batch_main, &spawning);
    *ret_value = spawning.value;
    return r;
}

struct plain_record {
    int (*fn)(void *arg);
    void *arg;
    _Atomic(uint64_t) word;
};

/* Records of what is to be run, written one after the other, then each run on one fiber's stack. */
static int plain_spawn_batch(const struct bench_run *run, double *ret_value)
{
    struct plain_record *records = calloc(run->n, sizeof *records);
    if (records == NULL)
        return -ENOMEM;
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < run->n; i++) {
        records[i].fn = noop_body;
        records[i].arg = NULL;
    }
    for (uint64_t i = 0; i < run->n; i++) {
        BENCH_USE(records[i].fn(records[i].arg));
        plain_spawn_join(&records[i].word);
    }
    struct bench_instant end = bench_now();
    *ret_value = (double)(end.wall_ns - start.wall_ns) / (double)run->n;
    bench_note(run, "cpu_ns", (double)(end.cpu_ns - start.cpu_ns) / (double)run->n);
    free(records);
    return 0;
}

/* ---- The table ---- */

const struct bench bench_spawn_benches[] = {
    {"task.spawn_join", "ns", "one task that does nothing, spawned and awaited", "<= 40 ns",
     "a first frame, four read-modify-writes, two switches", rota_spawn_joins, plain_spawn_joins,
     1000000, 1, 9, 0, NULL},
    {"task.spawn_batch", "ns", "one of 10^6 tasks, all spawned, then all awaited; wall time",
     "<= 60 ns", "10^6 records, then each run on one fiber", rota_spawn_batch, plain_spawn_batch,
     1000000, 0, 3, BENCH_THREADS, NULL},
    {"task.spawn_join_debug", "ns", "task.spawn_join in debug mode", "<= 1.10 x without",
     "rota, debug off", rota_spawn_joins_debug, rota_spawn_joins, 1000000, 1, 9, 0, NULL},
    {0},
};
