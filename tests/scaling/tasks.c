/* SPDX-License-Identifier: MIT */
/*
 * tasks.c - loads of tasks alone: through the public interface, simulated or on a real machine.
 *
 * A request's number says whose it is and the how-manieth, so that nothing is drawn while tasks
 * run, and nothing but the burst's count is shared.
 */
#include "tests/scaling/load.h"

#include <rota/error.h>
#include <rota/future.h>
#include <rota/loop.h>
#include <rota/runtime.h>
#include <rota/task.h>
#include <rota/timeout.h>
#include <stdio.h>
#include <stdlib.h>

#define BURST_TASKS 1000
#define TASKS_PER_LOOP 32
#define SETTLE_NS (2 * ROTA_MS) /* between parts of a load, so that all loops sleep */
#define REST_NS (20 * ROTA_MS)  /* until all tasks wait for the next burst */
#define LEAD_NS (5 * ROTA_MS)   /* before the first deadline */

static struct {
    unsigned tasks;
    unsigned each;                /* requests of a task */
    int64_t *starts_ns;           /* sleepers: deadlines; else: begins of rounds */
    int64_t *ends_ns;             /* of requests */
    struct rota_future **futures; /* burst: of rounds */
    _Atomic(unsigned) arrived;    /* burst: in this round */
} run;

/* What it cannot do without has failed. */
static void check(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "scaling: %s\n", rota_error_name(r));
    exit(1);
}

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    check(memory != NULL ? 0 : -1);
    return memory;
}

void load_add_counters(struct load_totals *totals, int sign)
{
    struct rota_runtime *runtime = rota_running_runtime();
    for (unsigned i = 0; i < load.loops; i++) {
        struct rota_counters counters;
        check(rota_loop_counters(rota_runtime_loop(runtime, i), &counters));
        totals->steals_tried += (uint64_t)sign * counters.steals_tried;
        totals->steals_won += (uint64_t)sign * counters.steals_won;
        totals->tasks_stolen += (uint64_t)sign * counters.tasks_stolen;
        totals->wakes_sent += (uint64_t)sign * counters.wakes_sent;
        totals->migrations += (uint64_t)sign * counters.migrations;
        totals->parks += (uint64_t)sign * counters.parks;
        totals->turns += (uint64_t)sign * counters.turns;
    }
}

/* ---- Bursts ---- */

/* The first round is not counted, as tasks begin in it; and there is a future more, on which they
 * wait after the last. */
static int burst_task(void *arg)
{
    unsigned index = (unsigned)(uintptr_t)arg;
    int place = -1;
    for (unsigned round = 0; round <= run.each; round++) {
        check(rota_future_await(run.futures[round], NULL));
        load_work(&place, load.service_ns);
        if (round > 0)
            run.ends_ns[(uint64_t)(round - 1) * run.tasks + index] = load_now();
        run.arrived++;
        /* The lock of the next future is for later: all want it. */
        check(rota_sleep(SETTLE_NS));
    }
    return rota_future_await(run.futures[run.each + 1], NULL);
}

/* Wakes all at once, and waits until each has worked and waits again. */
static void burst(unsigned round)
{
    run.arrived = 0;
    run.starts_ns[round] = load_now();
    check(rota_future_set_result(run.futures[round], NULL));
    while (run.arrived < run.tasks)
        check(rota_sleep(SETTLE_NS));
    check(rota_sleep(REST_NS));
}

static void run_bursts(struct load_totals *totals)
{
    unsigned most = (run.tasks + load.loops - 1) / load.loops;
    check(rota_sleep(REST_NS));
    burst(0);
    load_count_begin(totals);
    for (unsigned round = 1; round <= run.each; round++)
        burst(round);
    load_count_end(totals);
    check(rota_future_set_result(run.futures[run.each + 1], NULL));
    for (unsigned round = 0; round < run.each; round++) {
        int64_t last_ns = 0;
        for (unsigned i = 0; i < run.tasks; i++) {
            uint64_t request = (uint64_t)round * run.tasks + i;
            load_note(request, run.ends_ns[request] - run.starts_ns[round + 1]);
            if (run.ends_ns[request] > last_ns)
                last_ns = run.ends_ns[request];
        }
        totals->busy_ns += last_ns - run.starts_ns[round + 1];
        totals->ideal_ns += most * load.service_ns;
    }
}

/* ---- The others ---- */

static int sleeper_task(void *arg)
{
    unsigned index = (unsigned)(uintptr_t)arg;
    int place = -1;
    for (unsigned i = 0; i < run.each; i++) {
        uint64_t request = (uint64_t)i * run.tasks + index;
        int64_t deadline_ns = run.starts_ns[request];
        int64_t now_ns = load_now();
        /* Of one that comes late the next deadline counts from its end. */
        if (i > 0 && now_ns > run.starts_ns[request - run.tasks])
            deadline_ns += now_ns - run.starts_ns[request - run.tasks];
        run.starts_ns[request] = deadline_ns;
        check(rota_sleep_until(deadline_ns));
        load_work(&place, load.service_ns);
        run.ends_ns[request] = load_now();
        load_note(request, run.ends_ns[request] - deadline_ns);
    }
    return 0;
}

static int yield_task(void *arg)
{
    unsigned index = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < run.each; i++) {
        check(rota_yield());
        load_note((uint64_t)i * run.tasks + index, 1);
    }
    return 0;
}

static int empty_task(void *arg)
{
    (void)arg;
    return 0;
}

static int spawn_task(void *arg)
{
    unsigned index = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < run.each; i++) {
        struct rota_task *child;
        check(rota_task_spawn(&child, empty_task, NULL, NULL));
        check(rota_task_await(child, NULL));
        rota_task_unref(child);
        load_note((uint64_t)i * run.tasks + index, 1);
    }
    return 0;
}

/* ---- A load from begin to end ---- */

static void prepare(void)
{
    bool bursts = load.kind == LOAD_BURST;
    run.tasks = bursts                       ? BURST_TASKS
                : load.kind == LOAD_SLEEPERS ? TASKS_PER_LOOP * load.loops
                : load.kind == LOAD_YIELDS   ? 2 * load.loops
                                             : load.loops;
    run.each = (load.requests + run.tasks - 1) / run.tasks;
    load.requests = run.each * run.tasks;
    load_figures_begin();
    run.starts_ns = zeroed(load.requests + 2, sizeof *run.starts_ns);
    run.ends_ns = zeroed(load.requests, sizeof *run.ends_ns);
    run.futures = zeroed(run.each + 2, sizeof *run.futures);
    for (unsigned i = 0; bursts && i < run.each + 2; i++)
        check(rota_future_create(&run.futures[i], NULL));
    int64_t begin_ns = load_now() + LEAD_NS;
    for (uint64_t i = 0; load.kind == LOAD_SLEEPERS && i < load.requests; i++)
        run.starts_ns[i] = (i < run.tasks ? begin_ns : run.starts_ns[i - run.tasks]) +
                           load_draw_after((double)load.think_ns);
}

int load_run_tasks(void *arg)
{
    static int (*const bodies[LOAD_KIND_COUNT])(void *arg) = {
        [LOAD_BURST] = burst_task,
        [LOAD_SLEEPERS] = sleeper_task,
        [LOAD_YIELDS] = yield_task,
        [LOAD_SPAWNS] = spawn_task,
    };
    struct load_totals *totals = arg;
    prepare();
    struct rota_task **tasks = zeroed(run.tasks, sizeof(struct rota_task *));
    if (load.kind != LOAD_BURST)
        load_count_begin(totals);
    for (uintptr_t i = 0; i < run.tasks; i++)
        check(rota_task_spawn(&tasks[i], bodies[load.kind], (void *)i, NULL));
    if (load.kind == LOAD_BURST)
        run_bursts(totals);
    for (unsigned i = 0; i < run.tasks; i++) {
        check(rota_task_await(tasks[i], NULL));
        rota_task_unref(tasks[i]);
    }
    if (load.kind != LOAD_BURST)
        load_count_end(totals);
    for (unsigned i = 0; i < run.each + 2; i++)
        rota_future_unref(run.futures[i]);
    return 0;
}
