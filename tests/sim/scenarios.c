/* SPDX-License-Identifier: MIT */
/*
 * scenarios.c - the list of scenarios, and what they share.
 */
#include "tests/sim/scenarios.h"

#include "sched/search.h"
#include "sched/stack.h"

#include <errno.h>
#include <rota/error.h>
#include <rota/task.h>
#include <rota/timeout.h>
#include <string.h>

const struct sim_scenario *const sim_scenarios[] = {
    &scenario_tree,    &scenario_hold,    &scenario_together, &scenario_cancel,
    &scenario_futures, &scenario_posts,   &scenario_timers,   &scenario_echo,
    &scenario_calls,   &scenario_blocked, &scenario_count,    NULL};

bool scenario_is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -EAGAIN || error == -ENOSPC ||
           error == -ENOMEM || error == -ENOBUFS;
}

/* What exception handlers are told is no concern of these programs. */
static void keep_quiet(const struct rota_error_info *info, void *arg)
{
    (void)info;
    (void)arg;
}

static void run(unsigned loops, rota_task_fn fn, void *arg, bool no_help)
{
    struct rota_run_opts opts = {
        .loops = loops, .no_signals = true, .no_help = no_help, .exception_handler = keep_quiet};
    opts.spin_ns = sim_draw(4) == 0 ? ROTI_SPIN_NS : -1;
    roti_stack_trim_override(INT64_MAX); /* a loop that wakes up to trim would hide a lost wake */
    int r = rota_run(fn, arg, &opts);
    if (r != 0 && !scenario_is_shortage(r))
        sim_fail("the run returned %d (%s)", r, r < 0 ? rota_error_name(r) : "");
}

void scenario_run(rota_task_fn fn, void *arg)
{
    run(1 + sim_draw(4), fn, arg, sim_draw(4) != 0);
}

void scenario_run_on(unsigned loops, rota_task_fn fn, void *arg)
{
    run(loops, fn, arg, sim_draw(4) != 0);
}

void scenario_run_helped(rota_task_fn fn, void *arg)
{
    run(1 + sim_draw(4), fn, arg, false);
}

__attribute__((noinline)) void scenario_scribble(void)
{
    volatile char frame[1500];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (char)0xA5;
}

void scenario_join(struct rota_task **tasks, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        SIM_ASSERT(rota_task_await(tasks[i], NULL) == 0);
        rota_task_unref(tasks[i]);
    }
}

int scenario_dawdle(void)
{
    int r = 0;
    for (uint32_t i = sim_draw(4); i > 0 && r == 0; i--)
        r = rota_yield();
    return r;
}
