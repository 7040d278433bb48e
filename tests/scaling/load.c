/* SPDX-License-Identifier: MIT */
/*
 * load.c - requests: when they come, where, and how long they take. See load.h.
 */
#include "tests/scaling/load.h"

#include "tests/sim/sim.h"

#include <stdlib.h>

#define ONOFF_PERIOD_NS INT64_C(1000000)
#define ONOFF_SHARE 5 /* of a period, in which all its requests arrive */

struct request {
    int64_t arrival_ns;
    uint32_t connection;
    bool stalls;
};

static struct {
    struct request *requests;
    uint64_t arrived;
    uint64_t done;
    bool *stalled;  /* by connection: its next request stalls */
    double *shares; /* zipf: of loops, summed up */
    int64_t begun_ns;
    void (*arrive)(unsigned connection, uint64_t request);
} run;

/* ---- Connections ---- */

unsigned load_home(unsigned connection)
{
    return load.kind == LOAD_SKEWED ? 0 : connection % load.loops;
}

static bool is_closed(void)
{
    return load.kind == LOAD_CLOSED || load.kind == LOAD_STALLS;
}

/* One of a loop's connections, the loop by its share. */
static unsigned draw_connection(void)
{
    if (load.kind != LOAD_ZIPF)
        return (unsigned)(load_draw() % load.connections);
    double drawn = load_draw_unit() * run.shares[load.loops - 1];
    unsigned loop = 0;
    while (run.shares[loop] < drawn)
        loop++;
    unsigned each = load.connections / load.loops;
    return loop + load.loops * (unsigned)(load_draw() % each);
}

/* ---- Arrivals ---- */

static void arrive(unsigned connection)
{
    uint64_t number = run.arrived++;
    run.requests[number] = (struct request){
        .arrival_ns = sim_now(), .connection = connection, .stalls = run.stalled[connection]};
    run.stalled[connection] = false;
    run.arrive(connection, number);
}

/* With onoff, time stands still between the shares of periods in which requests arrive. */
static int64_t next_arrival(int64_t now_ns)
{
    double mean_ns = (double)load.service_ns / load.use / load.loops;
    if (load.kind != LOAD_ONOFF)
        return now_ns + load_draw_after(mean_ns);
    int64_t on_ns = ONOFF_PERIOD_NS / ONOFF_SHARE;
    int64_t since_ns = now_ns - run.begun_ns;
    int64_t left_ns = on_ns - since_ns % ONOFF_PERIOD_NS;
    int64_t after_ns = load_draw_after(mean_ns / ONOFF_SHARE);
    if (left_ns <= 0 || after_ns < left_ns)
        return now_ns + after_ns;
    int64_t more_ns = after_ns - left_ns;
    int64_t period = since_ns / ONOFF_PERIOD_NS + 1 + more_ns / on_ns;
    return run.begun_ns + period * ONOFF_PERIOD_NS + more_ns % on_ns;
}

static void arrive_open(void *arg, uint64_t value)
{
    (void)arg;
    (void)value;
    if (run.arrived == load.requests)
        return;
    arrive(draw_connection());
    sim_at(next_arrival(sim_now()), arrive_open, NULL, 0);
}

static void arrive_closed(void *arg, uint64_t connection)
{
    (void)arg;
    if (run.arrived < load.requests)
        arrive((unsigned)connection);
}

static void stall(void *arg, uint64_t value)
{
    (void)arg;
    (void)value;
    run.stalled[draw_connection()] = true;
    if (run.arrived < load.requests)
        sim_at(sim_now() + load_draw_after((double)LOAD_STALL_NS / load.stall_rate), stall, NULL,
               0);
}

void load_begin(void (*arrive_fn)(unsigned connection, uint64_t request))
{
    run.requests = calloc(load.requests, sizeof *run.requests);
    run.stalled = calloc(load.connections, sizeof *run.stalled);
    run.shares = calloc(load.loops, sizeof *run.shares);
    if (run.requests == NULL || run.stalled == NULL || run.shares == NULL)
        sim_fail("no memory for the load");
    for (unsigned i = 0; i < load.loops; i++)
        run.shares[i] = (i > 0 ? run.shares[i - 1] : 0) + 1.0 / (i + 1);
    run.arrive = arrive_fn;
    run.begun_ns = sim_now();
    if (!is_closed()) {
        sim_at(next_arrival(run.begun_ns), arrive_open, NULL, 0);
        return;
    }
    for (unsigned i = 0; i < load.connections; i++)
        sim_at(run.begun_ns + load_draw_after((double)(load.think_ns + load.service_ns)),
               arrive_closed, NULL, i);
    if (load.stall_rate > 0)
        sim_at(run.begun_ns + load_draw_after((double)LOAD_STALL_NS / load.stall_rate), stall, NULL,
               0);
}

int64_t load_service(uint64_t request)
{
    return load.service_ns + (run.requests[request].stalls ? LOAD_STALL_NS : 0);
}

bool load_done(uint64_t request)
{
    const struct request *done = &run.requests[request];
    int64_t now_ns = sim_now();
    load_note(request, now_ns - done->arrival_ns);
    run.done++;
    if (is_closed() && run.arrived < load.requests)
        sim_at(now_ns + load_draw_after((double)load.think_ns), arrive_closed, NULL,
               done->connection);
    return run.done == load.requests;
}
