/* SPDX-License-Identifier: MIT */
/*
 * scenarios_task.c - tasks: trees of them, tasks that keep their loops, cancellation.
 */
#include "tests/sim/scenarios.h"

#include <errno.h>
#include <rota/error.h>
#include <rota/future.h>
#include <rota/task.h>
#include <rota/timeout.h>

#define STEPS_MAX 2000000

/* ---- A tree of tasks that yield, sleep, spawn, await and cancel ---- */

static unsigned spawned;
static unsigned released;

static void count_release(void *arg)
{
    (void)arg;
    released++;
}

static int branch(void *arg);

static struct rota_task *grow(uintptr_t depth)
{
    struct rota_task *child = NULL;
    struct rota_task_opts opts = {.arg_release = count_release, .pinned = sim_draw(4) == 0};
    if (rota_task_spawn(&child, branch, (void *)depth, &opts) == 0)
        spawned++;
    return child;
}

/* One thing that a branch does. A negative result ends it. */
static int act(struct rota_task **child, uintptr_t depth)
{
    int status;
    int r = 0;
    switch (sim_draw(6)) {
    case 0:
        return rota_yield();
    case 1:
        return rota_sleep(sim_draw(3) * ROTA_MS);
    case 2:
        if (*child == NULL && depth > 0)
            *child = grow(depth - 1);
        return 0;
    case 3:
        if (*child != NULL && sim_draw(3) == 0)
            (void)rota_task_cancel(*child);
        return 0;
    default:
        if (*child == NULL)
            return 0;
        r = rota_task_await(*child, &status);
        if (r == 0) {
            rota_task_unref(*child);
            *child = NULL;
        }
        return r;
    }
}

static int branch(void *arg)
{
    struct rota_task *child = NULL;
    int r = 0;
    for (uint32_t i = sim_draw(6); i > 0 && r == 0; i--)
        r = act(&child, (uintptr_t)arg);
    if (r < 0)
        scenario_scribble();
    rota_task_unref(child);
    return 0;
}

/* Leaves the tree to the end of the run, which cancels what is left. */
static int plant_trees(void *arg)
{
    (void)arg;
    for (uint32_t i = 1 + sim_draw(8); i > 0; i--) {
        rota_task_unref(grow(sim_draw(4)));
        SIM_ASSERT(scenario_dawdle() == 0);
    }
    return 0;
}

static void run_tree(void)
{
    spawned = 0;
    released = 0;
    scenario_run(plant_trees, NULL);
    if (released != spawned)
        sim_fail("%u tasks were spawned, %u have ended", spawned, released);
}

const struct sim_scenario scenario_tree = {"tree", run_tree, STEPS_MAX};

/* ---- Tasks that keep their loop until another has run elsewhere ---- */

static unsigned keepers; /* loops that are kept at the moment */
static unsigned loop_count;

/* Keeps its loop until *flag is set, which takes a step of another task on another loop. */
static void keep_until(const bool *flag)
{
    while (!*(const volatile bool *)flag)
        sim_pause();
}

static int set_flag(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

static int keep_loop(void *arg)
{
    (void)arg;
    for (uint32_t i = 1 + sim_draw(3); i > 0; i--) {
        bool flag = false;
        SIM_ASSERT(scenario_dawdle() == 0);
        if (keepers + 1 >= loop_count)
            continue;
        keepers++;
        if (rota_task_spawn(NULL, set_flag, &flag, NULL) == 0)
            keep_until(&flag);
        keepers--;
    }
    return 0;
}

static int keep_loops(void *arg)
{
    struct rota_task *tasks[4];
    unsigned count = 0;
    (void)arg;
    keepers = 0;
    loop_count = (unsigned)rota_runtime_loop_count(rota_running_runtime());
    for (uint32_t wanted = 1 + sim_draw(4); count < wanted; count++)
        if (rota_task_spawn(&tasks[count], keep_loop, NULL, NULL) < 0)
            break;
    scenario_join(tasks, count);
    return 0;
}

static void run_hold(void)
{
    scenario_run(keep_loops, NULL);
}

const struct sim_scenario scenario_hold = {"hold", run_hold, STEPS_MAX};

/* ---- Tasks that are woken together, of which the first keeps the loop ---- */

static int64_t wake_ns;
static unsigned expected;
static unsigned arrived;
static bool all_arrived;

static int sleep_together(void *arg)
{
    (void)arg;
    int r = rota_sleep_until(wake_ns);
    arrived++;
    all_arrived = arrived == expected;
    if (r == 0 && arrived == 1 && loop_count > 1)
        keep_until(&all_arrived);
    return r;
}

static int wake_together(void *arg)
{
    struct rota_task *tasks[5];
    unsigned count = 0;
    (void)arg;
    loop_count = (unsigned)rota_runtime_loop_count(rota_running_runtime());
    wake_ns = rota_time_ns() + 50 * ROTA_MS;
    expected = 1 + sim_draw(5);
    arrived = 0;
    all_arrived = false;
    for (; count < expected; count++)
        if (rota_task_spawn(&tasks[count], sleep_together, NULL, NULL) < 0)
            break;
    expected = count; /* none has arrived yet, or the sleep was too short */
    all_arrived = arrived == expected;
    scenario_join(tasks, count);
    return 0;
}

static void run_together(void)
{
    scenario_run(wake_together, NULL);
}

const struct sim_scenario scenario_together = {"together", run_together, STEPS_MAX};

/* ---- Cancelling what would wait for ever ---- */

static struct rota_future *never;

static int wait_for_ever(void *arg)
{
    uintptr_t kind = (uintptr_t)arg;
    int r = scenario_dawdle();
    if (r == 0)
        r = kind == 0   ? rota_future_await(never, NULL)
            : kind == 1 ? rota_sleep(ROTA_NEVER)
                        : rota_sleep(sim_draw(3) * ROTA_MS);
    scenario_scribble();
    return r;
}

static int wait_for_child(void *arg)
{
    struct rota_task *child;
    int status = 0;
    if (rota_task_spawn(&child, wait_for_ever, arg, NULL) < 0)
        return -ECANCELED;
    int r = rota_task_await(child, &status);
    rota_task_unref(child);
    return r < 0 ? r : status;
}

/* Cancels tasks as they begin to wait, wait, or are being woken, and waits for their end. */
static int cancel_all(void *arg)
{
    (void)arg;
    int r = rota_future_create(&never, NULL);
    if (r < 0)
        return 0;
    for (uint32_t round = 1 + sim_draw(4); round > 0; round--) {
        struct rota_task *task;
        int status = 0;
        uintptr_t kind = sim_draw(3);
        rota_task_fn fn = sim_draw(2) == 0 ? wait_for_ever : wait_for_child;
        if (rota_task_spawn(&task, fn, (void *)kind, NULL) < 0)
            break;
        SIM_ASSERT(scenario_dawdle() == 0);
        if (sim_draw(3) == 0)
            SIM_ASSERT(rota_sleep(sim_draw(3) * ROTA_MS) == 0);
        SIM_ASSERT(rota_task_cancel(task) >= 0);
        SIM_ASSERT(rota_task_await(task, &status) == 0);
        SIM_ASSERT(status == -ECANCELED || kind == 2);
        rota_task_unref(task);
    }
    rota_future_unref(never);
    return 0;
}

static void run_cancel(void)
{
    scenario_run(cancel_all, NULL);
}

const struct sim_scenario scenario_cancel = {"cancel", run_cancel, STEPS_MAX};

/* ---- Futures with several readers ---- */

static struct rota_future *answers[4];

static int read_answers(void *arg)
{
    uintptr_t first = (uintptr_t)arg;
    for (unsigned i = 0; i < 4; i++) {
        void *value = NULL;
        SIM_ASSERT(scenario_dawdle() == 0);
        int r = rota_future_await(answers[(first + i) % 4], &value);
        SIM_ASSERT(r == 0);
        SIM_ASSERT(value == (void *)((first + i) % 4 + 1));
    }
    return 0;
}

static int write_answers(void *arg)
{
    for (uintptr_t i = 0; i < 4; i++) {
        SIM_ASSERT(scenario_dawdle() == 0);
        if (sim_draw(4) == 0)
            SIM_ASSERT(rota_sleep(ROTA_MS) == 0);
        SIM_ASSERT(rota_future_set_result(answers[i], (void *)(i + 1)) == 0);
    }
    (void)arg;
    return 0;
}

static int ask_and_answer(void *arg)
{
    struct rota_task *tasks[5];
    unsigned count = 0;
    unsigned made = 0;
    (void)arg;
    while (made < 4 && rota_future_create(&answers[made], NULL) == 0)
        made++;
    if (made == 4)
        for (uint32_t wanted = 1 + sim_draw(4); count < wanted; count++)
            if (rota_task_spawn(&tasks[count], read_answers, (void *)(uintptr_t)sim_draw(4), NULL) <
                0)
                break;
    if (count > 0)
        SIM_ASSERT(write_answers(NULL) == 0);
    scenario_join(tasks, count);
    while (made > 0)
        rota_future_unref(answers[--made]);
    return 0;
}

static void run_futures(void)
{
    scenario_run(ask_and_answer, NULL);
}

const struct sim_scenario scenario_futures = {"futures", run_futures, STEPS_MAX};
