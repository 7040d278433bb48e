/* SPDX-License-Identifier: MIT */
/*
 * serve.c - rota serves a simulated load: a task for each connection, or the tasks of tasks.c.
 *
 * All loops share one process on the host, one thread: what is plain memory here is so for all of
 * them, and costs nothing.
 */
#include "tests/scaling/cost.h"

#include "loop/io.h"
#include "loop/loop_impl.h"

#include <rota/error.h>
#include <rota/runtime.h>
#include <rota/task.h>
#include <rota/timeout.h>
#include <stdlib.h>

#define SETTLE_NS (2 * ROTA_MS)
#define BATCH 16 /* requests that a task takes from its connection at once */

struct connection {
    struct scale_source *source;
    struct roti_io *io;
    struct rota_task *task;
};

static struct connection *connections;

/* ---- What the load asks for ---- */

int64_t load_now(void)
{
    return sim_now();
}

void load_work(int *place, int64_t ns)
{
    struct scale_cpu *cpu = scale_cpu();
    int64_t cold_ns = cpu->place != place ? scale_cost.resume : 0;
    if (*place >= 0 && *place != (int)cpu->index)
        cold_ns += scale_cost.cold *
                   (scale_socket_of((unsigned)*place) != cpu->socket ? scale_cost.remote : 1);
    *place = (int)cpu->index;
    cpu->place = place;
    scale_sums.work_ns += ns;
    scale_sums.cold_ns += cold_ns;
    scale_charge(ns + cold_ns);
    scale_settle();
}

void load_count_begin(struct load_totals *totals)
{
    load_add_counters(totals, -1);
    scale_sums_begin();
}

void load_count_end(struct load_totals *totals)
{
    scale_sums_end();
    scale_sums.ideal_ns = totals->ideal_ns;
    struct load_totals counted = *totals;
    *totals = scale_sums;
    totals->steals_tried = counted.steals_tried;
    totals->steals_won = counted.steals_won;
    totals->tasks_stolen = counted.tasks_stolen;
    totals->wakes_sent = counted.wakes_sent;
    totals->migrations = counted.migrations;
    totals->parks = counted.parks;
    totals->turns = counted.turns;
    load_add_counters(totals, 1);
}

/* ---- Connections ---- */

static struct load_totals *totals;

static void arrive(unsigned connection, uint64_t request)
{
    scale_source_arrive(connections[connection].source, request);
}

/* The last request is done: what was counted is taken down, and all connections end. */
static void finish(void)
{
    load_count_end(totals);
    for (unsigned i = 0; i < load.connections; i++)
        scale_source_end(connections[i].source);
}

static int serve(void *arg)
{
    struct connection *connection = arg;
    uint64_t requests[BATCH];
    int place = -1;
    ssize_t n;
    while ((n = roti_io_recv(connection->io, requests, sizeof requests, 0)) > 0)
        for (size_t i = 0; i < (size_t)n / sizeof *requests; i++) {
            load_work(&place, load_service(requests[i]));
            if (load_done(requests[i]))
                finish();
        }
    return (int)n;
}

static void check(int r)
{
    if (r < 0)
        sim_fail("%s", rota_error_name(r));
}

static int serve_connections(void *arg)
{
    struct rota_runtime *runtime = rota_running_runtime();
    totals = arg;
    connections = calloc(load.connections, sizeof *connections);
    if (connections == NULL)
        sim_fail("no memory for connections");
    load_figures_begin();
    for (unsigned i = 0; i < load.connections; i++) {
        struct connection *connection = &connections[i];
        int fd;
        connection->source = scale_source_create(&fd);
        check(roti_io_open(&connection->io, fd, rota_runtime_loop(runtime, load_home(i))));
        check(rota_task_spawn(&connection->task, serve, connection, NULL));
    }
    check(rota_sleep(SETTLE_NS)); /* all wait */
    load_count_begin(totals);
    load_begin(arrive);
    for (unsigned i = 0; i < load.connections; i++) {
        check(rota_task_await(connections[i].task, NULL));
        rota_task_unref(connections[i].task);
        roti_io_close(connections[i].io);
        roti_io_unref(connections[i].io);
    }
    return 0;
}

/* ---- A run ---- */

static struct load_totals *run_totals;

static int watch_and_run(void *arg)
{
    const struct roti_pool *pool = &rota_running_runtime()->pool;
    scale_watch(&pool->idle, sizeof pool->idle);
    bool tasks_alone = load.kind >= LOAD_BURST;
    return tasks_alone ? load_run_tasks(arg) : serve_connections(arg);
}

static void run(void)
{
    struct rota_run_opts opts = {.loops = load.loops, .no_signals = true};
    check(rota_run(watch_and_run, run_totals, &opts));
}

void load_serve_rota(struct load_totals *ret_totals, bool fences)
{
    run_totals = ret_totals;
    scale_play(run, fences);
}
