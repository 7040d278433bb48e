/* SPDX-License-Identifier: MIT */
/*
 * scenarios.h - what scenarios share. A scenario is a small program, drawn by chance, which checks
 * itself: what it spawned has ended, what it posted has run once and in order, what it sent came
 * back. Where a wake is lost it waits for ever, and the simulator sees that.
 */
#ifndef ROTI_TESTS_SIM_SCENARIOS_H
#define ROTI_TESTS_SIM_SCENARIOS_H

#include "tests/sim/sim.h"

#include <rota/runtime.h>

/* Runs `fn` as the first task, on one to four loops, and checks that it returned 0; or that the
 * kernel or the allocator has refused the start of the run. In most runs loops do not help each
 * other: whoever looks after blocked loops would also find what a lost wake has left behind. */
void scenario_run(rota_task_fn fn, void *arg);

/* The same where they always do. */
void scenario_run_helped(rota_task_fn fn, void *arg);

/* The same on so many loops; on 0, as many as there are CPUs (sim_set_cpus()). */
void scenario_run_on(unsigned loops, rota_task_fn fn, void *arg);

/* Whether this is how something fails that lacks memory, descriptors or threads. */
bool scenario_is_shortage(int error);

/* Overwrites the stack below its caller, where frames that were left lie. */
void scenario_scribble(void);

/* Awaits tasks, and ends the references to them. */
void scenario_join(struct rota_task **tasks, unsigned count);

/* Yields now and then. 0, or -ECANCELED. */
int scenario_dawdle(void);

extern const struct sim_scenario scenario_tree;
extern const struct sim_scenario scenario_hold;
extern const struct sim_scenario scenario_together;
extern const struct sim_scenario scenario_cancel;
extern const struct sim_scenario scenario_futures;
extern const struct sim_scenario scenario_posts;
extern const struct sim_scenario scenario_timers;
extern const struct sim_scenario scenario_echo;
extern const struct sim_scenario scenario_calls;
extern const struct sim_scenario scenario_blocked;
extern const struct sim_scenario scenario_count;

#endif
