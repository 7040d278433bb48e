/* SPDX-License-Identifier: MIT */
/*
 * scenarios_count.c - loops that are added and retired, while threads post and tasks move.
 */
#include "tests/sim/scenarios.h"

#include "tests/sim/kernel.h"

#include <errno.h>
#include <pthread.h>
#include <rota/error.h>
#include <rota/future.h>
#include <rota/loop.h>
#include <rota/task.h>
#include <rota/timeout.h>

#define STEPS_MAX 2000000
#define LOOPS_MAX 6
#define POSTS_MAX 60

/* What was begun, and what has ended. */
static unsigned tasks_begun;
static unsigned tasks_ended;
static unsigned posts_sent;
static unsigned posts_run;
static bool is_over; /* threads end */

/* ---- What must not be lost ---- */

static void count_task(void *arg)
{
    (void)arg;
    tasks_ended++;
}

/* Yields, sleeps, and keeps its loop now and then. */
static int live(void *arg)
{
    int r = 0;
    (void)arg;
    for (uint32_t i = sim_draw(8); i > 0 && r == 0; i--) {
        uint32_t what = sim_draw(4);
        if (what == 0)
            r = rota_sleep(sim_draw(3) * ROTA_MS);
        else if (what == 1)
            for (uint32_t k = sim_draw(20); k > 0; k--)
                sim_pause();
        else
            r = rota_yield();
    }
    return 0;
}

static void begin_task(void)
{
    const struct rota_task_opts opts = {.arg_release = count_task, .pinned = sim_draw(4) == 0};
    tasks_begun += rota_task_spawn(NULL, live, NULL, &opts) == 0;
}

/* A callback, on whatever loop: also on one that was retired. */
static int run_post(void *arg)
{
    (void)arg;
    posts_run++;
    for (uint32_t i = sim_draw(3); i > 0; i--)
        begin_task();
    return 0;
}

/* Posts to a loop that there is or was. */
static void post(struct rota_runtime *runtime)
{
    struct rota_loop *loop = rota_runtime_loop(runtime, sim_draw(LOOPS_MAX));
    if (loop == NULL)
        loop = rota_runtime_loop(runtime, 0);
    int r = sim_draw(4) == 0
                ? rota_call_later(loop, NULL, sim_draw(3) * ROTA_MS, run_post, NULL, NULL)
                : rota_call_soon_threadsafe(loop, NULL, run_post, NULL, NULL);
    SIM_ASSERT(r == 0 || r == -ENOMEM || r == ROTA_EWRONGLOOP);
    posts_sent += r == 0;
}

/* ---- Who changes the number ---- */

static void change(struct rota_runtime *runtime)
{
    unsigned count = 1 + sim_draw(LOOPS_MAX);
    int r = rota_runtime_set_loops(runtime, count);
    SIM_ASSERT(r == 0 || r == ROTA_ESTOP || scenario_is_shortage(r));
    SIM_ASSERT(rota_runtime_loop_count(runtime) >= 1);
}

static void *change_from_outside(void *arg)
{
    struct rota_runtime *runtime = arg;
    while (!is_over) {
        if (sim_draw(2) == 0)
            change(runtime);
        else
            post(runtime);
        sim_wait(&is_over, sim_now() + sim_draw(500) * ROTA_US, "an outsider's pause");
    }
    return NULL;
}

/* ---- The run ---- */

static bool is_settled(void)
{
    return tasks_ended == tasks_begun && posts_run == posts_sent;
}

static int change_loops(void *arg)
{
    struct rota_runtime *runtime = rota_running_runtime();
    pthread_t outsider;
    (void)arg;
    bool accompanied =
        sim_draw(2) == 0 && pthread_create(&outsider, NULL, change_from_outside, runtime) == 0;
    for (uint32_t i = 1 + sim_draw(20); i > 0; i--) {
        uint32_t what = sim_draw(5);
        if (what == 0)
            change(runtime);
        else if (what == 1)
            SIM_ASSERT(rota_sleep(sim_draw(2) * ROTA_MS) == 0);
        else if (what == 2)
            begin_task();
        else if (posts_sent < POSTS_MAX)
            post(runtime);
        SIM_ASSERT(scenario_dawdle() == 0);
    }
    is_over = true;
    if (accompanied)
        (void)pthread_join(outsider, NULL);
    while (!is_settled())
        SIM_ASSERT(rota_sleep(ROTA_MS) == 0);
    return 0;
}

/* The number follows the CPUs, which change as time passes. */
static int follow_cpus(void *arg)
{
    struct rota_runtime *runtime = rota_running_runtime();
    (void)arg;
    for (uint32_t i = 1 + sim_draw(4); i > 0; i--) {
        unsigned count = 1 + sim_draw(LOOPS_MAX);
        sim_set_cpus(count);
        for (uint32_t k = sim_draw(8); k > 0; k--) {
            begin_task();
            if (posts_sent < POSTS_MAX)
                post(runtime);
            SIM_ASSERT(rota_sleep(sim_draw(500) * ROTA_MS) == 0);
        }
    }
    while (!is_settled())
        SIM_ASSERT(rota_sleep(ROTA_MS) == 0);
    return 0;
}

static void run_count(void)
{
    tasks_begun = tasks_ended = posts_sent = posts_run = 0;
    is_over = false;
    if (sim_draw(3) == 0) {
        sim_set_cpus(1 + sim_draw(4));
        scenario_run_on(0, follow_cpus, NULL);
    } else {
        scenario_run(change_loops, NULL);
    }
    if (tasks_ended != tasks_begun || posts_run != posts_sent)
        sim_fail("%u tasks and %u posts were begun, %u and %u have ended", tasks_begun, posts_sent,
                 tasks_ended, posts_run);
}

const struct sim_scenario scenario_count = {"count", run_count, STEPS_MAX};
