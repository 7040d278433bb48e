/* SPDX-License-Identifier: MIT */
/*
 * figures.c - how long requests took, and one line of JSON for a run.
 */
#include "tests/scaling/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_UP 10 /* one request in so many, the first ones, is not counted */

static const char *const kind_names[LOAD_KIND_COUNT] = {
    [LOAD_OPEN] = "open",     [LOAD_ZIPF] = "zipf",         [LOAD_SKEWED] = "skewed",
    [LOAD_ONOFF] = "onoff",   [LOAD_CLOSED] = "closed",     [LOAD_STALLS] = "stalls",
    [LOAD_BURST] = "burst",   [LOAD_SLEEPERS] = "sleepers", [LOAD_YIELDS] = "yields",
    [LOAD_SPAWNS] = "spawns",
};

struct load_opts load;

static int64_t *latencies; /* by request; 0: not done */
static int64_t *counted;   /* those that count */
static size_t counted_count;

const char *load_name(enum load_kind kind)
{
    return kind_names[kind];
}

enum load_kind load_kind_of(const char *name)
{
    unsigned kind = 0;
    while (kind < LOAD_KIND_COUNT && strcmp(kind_names[kind], name) != 0)
        kind++;
    return (enum load_kind)kind;
}

static __attribute__((noreturn)) void fail(const char *text)
{
    fprintf(stderr, "scaling: %s\n", text);
    exit(1);
}

void load_figures_begin(void)
{
    latencies = calloc(load.requests, sizeof *latencies);
    if (latencies == NULL)
        fail("no memory for figures");
}

void load_note(uint64_t request, int64_t latency_ns)
{
    if (latencies[request] != 0)
        fail("a request was done twice");
    latencies[request] = latency_ns > 0 ? latency_ns : 1;
}

static int compare(const void *one, const void *two)
{
    int64_t first = *(const int64_t *)one;
    int64_t second = *(const int64_t *)two;
    return (first > second) - (first < second);
}

static double percentile_us(double share)
{
    size_t rank = (size_t)(share * (double)counted_count);
    return (double)counted[rank < counted_count ? rank : counted_count - 1] / 1e3;
}

static void print_latencies(void)
{
    double sum_ns = 0;
    counted = latencies + load.requests / WARM_UP;
    counted_count = load.requests - load.requests / WARM_UP;
    for (size_t i = 0; i < load.requests; i++)
        if (latencies[i] == 0)
            fail("a request was never done");
    for (size_t i = 0; i < counted_count; i++)
        sum_ns += (double)counted[i];
    qsort(counted, counted_count, sizeof *counted, compare);
    printf("\"mean_us\":%.3f,\"p50_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"max_us\":%.3f",
           sum_ns / (double)counted_count / 1e3, percentile_us(0.5), percentile_us(0.99),
           percentile_us(0.999), percentile_us(1));
}

/* Each number for one request. */
static void print_costs(const struct load_totals *totals, double span_ns)
{
    double requests = load.requests;
    double awake_ns = load.loops * span_ns - (double)totals->asleep_ns;
    printf("\"steals_tried\":%.4f,\"steals_won\":%.4f,\"tasks_stolen\":%.4f,\"wakes\":%.4f,"
           "\"failed_searches\":%.4f,\"migrations\":%.4f,\"parks\":%.4f,\"turns\":%.4f,",
           (double)totals->steals_tried / requests, (double)totals->steals_won / requests,
           (double)totals->tasks_stolen / requests, (double)totals->wakes_sent / requests,
           (double)(totals->steals_tried - totals->steals_won) / requests,
           (double)totals->migrations / requests, (double)totals->parks / requests,
           (double)totals->turns / requests);
    printf("\"transfers\":%.3f,\"points\":%.2f,\"membarriers\":%.4f,\"interrupts\":%.4f,"
           "\"awake_share\":%.4f,\"idle_lock_share\":%.4f,\"irq_share\":%.4f,\"cold_share\":%.4f,",
           (double)totals->transfers / requests, (double)totals->points / requests,
           (double)totals->membarriers / requests, (double)totals->interrupts / requests,
           awake_ns / (load.loops * span_ns), (double)totals->watched_ns / awake_ns,
           (double)totals->irq_ns / awake_ns, (double)totals->cold_ns / awake_ns);
    printf("\"overhead_ns\":%.1f,", (awake_ns - (double)totals->work_ns) / requests);
}

void load_report(const char *system, const struct load_totals *totals)
{
    double requests = load.requests;
    double span_ns = (double)(totals->ended_ns - totals->begun_ns);
    double work_share = (double)totals->work_ns / (load.loops * span_ns);
    printf("{\"system\":\"%s\",\"load\":\"%s\",\"loops\":%u,\"sockets\":%d,\"service_us\":%g,"
           "\"use\":%g,\"think_us\":%g,\"stall_rate\":%g,\"seed\":%lu,\"requests\":%.0f,",
           system, load_name(load.kind), load.loops, load.loops >= LOAD_SOCKET_LOOPS ? 2 : 1,
           (double)load.service_ns / 1e3, load.use, (double)load.think_ns / 1e3, load.stall_rate,
           (unsigned long)load.seed, requests);
    printf("\"span_us\":%.1f,\"per_second\":%.0f,\"work_share\":%.4f,", span_ns / 1e3,
           requests / span_ns * 1e9, work_share);
    if (totals->ideal_ns > 0)
        printf("\"efficiency\":%.4f,", (double)totals->ideal_ns / (double)totals->busy_ns);
    print_costs(totals, span_ns);
    print_latencies();
    printf("}\n");
}
