/* SPDX-License-Identifier: MIT */
/*
 * native.c - a load of tasks alone on this machine, with the same figures: what the model is held
 * to.
 */
#include "tests/scaling/load.h"
#include "tests/scaling/options.h"

#include <rota/runtime.h>
#include <rota/timeout.h>
#include <stdio.h>

int64_t load_now(void)
{
    return rota_time_ns();
}

/* Keeps the CPU, as a service does. */
void load_work(int *place, int64_t ns)
{
    int64_t until_ns = rota_time_ns() + ns;
    *place = 0;
    while (rota_time_ns() < until_ns)
        ;
}

void load_count_begin(struct load_totals *totals)
{
    load_add_counters(totals, -1);
    totals->begun_ns = load_now();
}

void load_count_end(struct load_totals *totals)
{
    totals->ended_ns = load_now();
    load_add_counters(totals, 1);
}

static bool take_nothing(const char *name, const char *value)
{
    (void)name;
    (void)value;
    return false;
}

int main(int argc, char **argv)
{
    struct load_totals totals = {0};
    options_parse(argc, argv, take_nothing);
    if (load.kind < LOAD_BURST) {
        fprintf(stderr, "scaling: the requests of %s arrive from nowhere\n", load_name(load.kind));
        return 2;
    }
    struct rota_run_opts opts = {.loops = load.loops, .no_signals = true, .pin_cpus = true};
    int r = rota_run(load_run_tasks, &totals, &opts);
    if (r == 0)
        load_report("native", &totals);
    return r != 0;
}
