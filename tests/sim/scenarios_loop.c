/* SPDX-License-Identifier: MIT */
/*
 * scenarios_loop.c - callbacks that threads post, timers that are cancelled.
 */
#include "tests/sim/scenarios.h"

#include <errno.h>
#include <pthread.h>
#include <rota/error.h>
#include <rota/loop.h>
#include <rota/task.h>
#include <rota/timeout.h>

#define STEPS_MAX 2000000
#define POSTERS_MAX 3
#define POSTS_MAX 40

/* ---- Posts: each runs once, in the order of its thread ---- */

struct poster {
    struct rota_loop *loop;
    pthread_t thread;
    struct post {
        struct poster *poster;
        unsigned number;
    } posts[POSTS_MAX];
    unsigned sent;
    unsigned ran;
    bool done;
};

static int run_post(void *arg)
{
    const struct post *post = arg;
    SIM_ASSERT(post->number == post->poster->ran);
    post->poster->ran++;
    return 0;
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;
    uint32_t count = 1 + sim_draw(POSTS_MAX);
    while (poster->sent < count) {
        struct post *post = &poster->posts[poster->sent];
        *post = (struct post){poster, poster->sent};
        int r = rota_call_soon_threadsafe(poster->loop, NULL, run_post, post, NULL);
        SIM_ASSERT(r == 0 || r == -ENOMEM);
        poster->sent += r == 0;
        if (r < 0 || sim_draw(8) == 0)
            sim_wait(poster, sim_now() + sim_draw(200) * ROTA_US, "a poster's pause");
    }
    poster->done = true;
    return NULL;
}

static int take_posts(void *arg)
{
    static struct poster posters[POSTERS_MAX];
    struct rota_runtime *runtime = rota_running_runtime();
    uint32_t loops = (uint32_t)rota_runtime_loop_count(runtime);
    uint32_t wanted = 1 + sim_draw(POSTERS_MAX);
    unsigned count = 0;
    (void)arg;
    for (; count < wanted; count++) {
        struct poster *poster = &posters[count];
        *poster = (struct poster){.loop = rota_runtime_loop(runtime, sim_draw(loops))};
        if (pthread_create(&poster->thread, NULL, post_all, poster) != 0)
            break;
    }
    for (unsigned i = 0; i < count; i++)
        while (!posters[i].done || posters[i].ran < posters[i].sent)
            SIM_ASSERT(rota_sleep(ROTA_MS) == 0);
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(posters[i].thread, NULL);
    return 0;
}

static void run_posts(void)
{
    scenario_run(take_posts, NULL);
}

const struct sim_scenario scenario_posts = {"posts", run_posts, STEPS_MAX};

/* ---- Timers: each fires once and not early, or was prevented ---- */

struct alarm {
    struct rota_handle handle;
    int64_t when_ns;
    unsigned fired;
};

static int fire(void *arg)
{
    struct alarm *alarm = arg;
    SIM_ASSERT(rota_time_ns() >= alarm->when_ns);
    alarm->fired++;
    return 0;
}

/* Posts a timer to a loop that may be another's. */
static bool arm(struct alarm *alarm)
{
    struct rota_runtime *runtime = rota_running_runtime();
    uint32_t loops = (uint32_t)rota_runtime_loop_count(runtime);
    *alarm = (struct alarm){.when_ns = rota_time_ns() + sim_draw(4) * ROTA_MS};
    return rota_call_at(rota_runtime_loop(runtime, sim_draw(loops)), &alarm->handle, alarm->when_ns,
                        fire, alarm, NULL) == 0;
}

static void disarm(struct alarm *alarm)
{
    int verdict = sim_draw(2) == 0 ? rota_handle_cancel(&alarm->handle)
                                   : rota_handle_cancel_wait(&alarm->handle);
    SIM_ASSERT(verdict > 0);
    if (verdict == ROTA_PREVENTED) {
        alarm->when_ns = INT64_MAX; /* it would be early */
        SIM_ASSERT(alarm->fired == 0);
    } else if (verdict == ROTA_ALREADY_RAN) {
        SIM_ASSERT(alarm->fired == 1);
    }
}

/* A task that sleeps, and was spawned on a loop of its own, where its timer is. */
struct sleeper {
    int64_t until_ns;
    struct rota_task *task; /* NULL: there was no memory for it */
    bool spawned;
};

/* Uses the stack where the calls before had theirs. */
static __attribute__((noinline)) void scribble(void)
{
    volatile unsigned char bytes[1024];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = 0xa5;
}

static int sleep_until(void *arg)
{
    const struct sleeper *sleeper = arg;
    int r = rota_sleep(sleeper->until_ns - rota_time_ns());
    scribble();
    SIM_ASSERT(r == -ECANCELED || (r == 0 && rota_time_ns() >= sleeper->until_ns));
    return 0;
}

static int spawn_sleeper(void *arg)
{
    struct sleeper *sleeper = arg;
    if (rota_task_spawn(&sleeper->task, sleep_until, sleeper, NULL) < 0)
        sleeper->task = NULL;
    sleeper->spawned = true;
    return 0;
}

/* Tasks are cancelled, from one loop, just when others wake them: who wins goes on, and who has
 * lost may not touch what it left. */
static void disturb_sleepers(void)
{
    static struct sleeper sleepers[8];
    struct rota_runtime *runtime = rota_running_runtime();
    uint32_t loops = (uint32_t)rota_runtime_loop_count(runtime);
    struct sleeper own = {.until_ns = rota_time_ns() + (int64_t)(1 + sim_draw(3)) * ROTA_MS};
    uint32_t wanted = sim_draw(9);
    unsigned count = 0;
    for (; count < wanted; count++) {
        sleepers[count] = own;
        if (rota_call_soon_threadsafe(rota_runtime_loop(runtime, sim_draw(loops)), NULL,
                                      spawn_sleeper, &sleepers[count], NULL) < 0)
            break;
    }
    for (unsigned i = 0; i < count; i++)
        while (!sleepers[i].spawned)
            SIM_ASSERT(rota_sleep(ROTA_MS / 8) == 0);
    (void)sleep_until(&own);
    for (unsigned i = 0; i < count; i++)
        if (sleepers[i].task != NULL)
            (void)rota_task_cancel(sleepers[i].task);
    for (unsigned i = 0; i < count; i++) {
        int status;
        while (sleepers[i].task != NULL && rota_task_status(sleepers[i].task, &status) < 0)
            SIM_ASSERT(rota_sleep(ROTA_MS) == 0);
        rota_task_unref(sleepers[i].task);
    }
}

static int set_alarms(void *arg)
{
    static struct alarm alarms[12];
    uint32_t wanted = 1 + sim_draw(12);
    unsigned count = 0;
    (void)arg;
    disturb_sleepers();
    for (; count < wanted && arm(&alarms[count]); count++)
        SIM_ASSERT(scenario_dawdle() == 0);
    for (unsigned i = 0; i < count; i++) {
        if (sim_draw(2) == 0)
            disarm(&alarms[i]);
        if (sim_draw(3) == 0)
            SIM_ASSERT(rota_sleep(ROTA_MS) == 0);
    }
    SIM_ASSERT(rota_sleep(100 * ROTA_MS) == 0);
    for (unsigned i = 0; i < count; i++)
        while (alarms[i].fired == 0 && alarms[i].when_ns != INT64_MAX)
            SIM_ASSERT(rota_sleep(ROTA_MS) == 0);
    return 0;
}

static void run_timers(void)
{
    scenario_run(set_alarms, NULL);
}

const struct sim_scenario scenario_timers = {"timers", run_timers, STEPS_MAX};
