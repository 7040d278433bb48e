/* SPDX-License-Identifier: MIT */
/*
 * ideal.c - the bound: one queue, a server for each loop, and nothing costs anything but the work.
 *
 * A connection's requests are served in their order, one at a time, as by anybody: connections
 * queue, the one whose turn has come first. Nothing but events; no loop has a CPU.
 */
#include "tests/scaling/cost.h"

#include <stdlib.h>

#define NONE UINT64_MAX

struct line_up {
    uint64_t first; /* requests of a connection that were not begun; NONE: none */
    uint64_t last;
    bool busy; /* queued, or served */
};

static struct {
    struct line_up *connections;
    uint64_t *next;  /* by request: the one behind it on its connection */
    unsigned *queue; /* connections, a ring of as many */
    size_t queue_first;
    size_t queue_count;
    unsigned idle_servers;
    struct load_totals *totals;
    bool ended;
} ideal;

static void queue_push(unsigned connection)
{
    ideal.queue[(ideal.queue_first + ideal.queue_count++) % load.connections] = connection;
}

static void served(void *arg, uint64_t request);

/* As many servers as are idle begin with what is first in the queue. */
static void begin_services(void)
{
    for (; ideal.idle_servers > 0 && ideal.queue_count > 0; ideal.queue_count--) {
        struct line_up *line_up = &ideal.connections[ideal.queue[ideal.queue_first]];
        uint64_t request = line_up->first;
        ideal.queue_first = (ideal.queue_first + 1) % load.connections;
        ideal.idle_servers--;
        line_up->first = ideal.next[request];
        scale_sums.work_ns += load_service(request);
        sim_at(sim_now() + load_service(request), served, line_up, request);
    }
}

static void served(void *arg, uint64_t request)
{
    struct line_up *line_up = arg;
    ideal.idle_servers++;
    line_up->busy = line_up->first != NONE;
    if (line_up->busy)
        queue_push((unsigned)(line_up - ideal.connections));
    if (load_done(request)) {
        scale_sums.ended_ns = sim_now();
        scale_sums.asleep_ns =
            load.loops * (scale_sums.ended_ns - scale_sums.begun_ns) - scale_sums.work_ns;
        *ideal.totals = scale_sums;
        ideal.ended = true;
        sim_notify(&ideal);
        return;
    }
    begin_services();
}

static void arrive(unsigned connection, uint64_t request)
{
    struct line_up *line_up = &ideal.connections[connection];
    ideal.next[request] = NONE;
    if (line_up->first == NONE)
        line_up->first = request;
    else
        ideal.next[line_up->last] = request;
    line_up->last = request;
    if (!line_up->busy)
        queue_push(connection);
    line_up->busy = true;
    begin_services();
}

static void run(void)
{
    ideal.connections = calloc(load.connections, sizeof *ideal.connections);
    ideal.next = calloc(load.requests, sizeof *ideal.next);
    ideal.queue = calloc(load.connections, sizeof *ideal.queue);
    if (ideal.connections == NULL || ideal.next == NULL || ideal.queue == NULL)
        sim_fail("no memory for the ideal machine");
    for (unsigned i = 0; i < load.connections; i++)
        ideal.connections[i].first = NONE;
    ideal.idle_servers = load.loops;
    load_figures_begin();
    scale_sums_begin();
    load_begin(arrive);
    while (!ideal.ended)
        sim_wait(&ideal, INT64_MAX, "the last request");
}

void load_serve_ideal(struct load_totals *ret_totals, bool fences)
{
    ideal.totals = ret_totals;
    scale_play(run, fences);
}
