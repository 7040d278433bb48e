/* SPDX-License-Identifier: MIT */
/*
 * timer.c - benches of timers: created and cancelled, created and fired.
 *
 * Deadlines are the same pseudo-random ones on both sides. Timers are created by an instant, not by
 * a delay, so that no side reads the clock for each.
 */
#include "tools/bench/bench.h"
#include "tools/bench/plain_heap.h"

#include <errno.h>
#include <rota/future.h>
#include <rota/loop.h>
#include <stdlib.h>

#define SEED 20
#define CANCEL_MIN_NS ROTA_SEC /* cancelled before they could fire */
#define CANCEL_RANGE_NS (60 * ROTA_SEC)
#define FIRE_NS_PER_TIMER 200 /* 10^6 timers fire within 200 ms */

struct timing {
    const struct bench_run *run;
    struct rota_handle *handles;
    struct rota_future *done;
    uint64_t *order;  /* in which timers are cancelled; NULL: as created */
    int64_t range_ns; /* delays are spread over so much; 0: all the same */
    uint64_t fired;
    double value;
};

/* A permutation of 0..n-1, the same on each run; NULL without memory. */
static uint64_t *shuffled(uint64_t n)
{
    uint64_t *order = calloc(n, sizeof *order);
    uint64_t state = SEED;
    for (uint64_t i = 0; order != NULL && i < n; i++) {
        uint64_t other = bench_random(&state) % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    return order;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* ---- Created and cancelled ---- */

static int create_all(const struct timing *timing)
{
    int64_t range_ns = timing->range_ns;
    uint64_t state = SEED;
    int64_t now_ns = rota_time_ns();
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < timing->run->n; i++) {
        int64_t when_ns = now_ns + CANCEL_MIN_NS + (int64_t)i;
        if (range_ns > 0)
            when_ns += (int64_t)(bench_random(&state) % (uint64_t)range_ns);
        r = rota_call_at(NULL, &timing->handles[i], when_ns, nothing, NULL, NULL);
    }
    return r;
}

static int cancel_all(const struct timing *timing)
{
    for (uint64_t i = 0; i < timing->run->n; i++) {
        uint64_t at = timing->order != NULL ? timing->order[i] : i;
        if (rota_handle_cancel(&timing->handles[at]) != ROTA_PREVENTED)
            return -EINVAL;
    }
    return 0;
}

static int create_cancel_main(void *arg)
{
    struct timing *timing = arg;
    struct bench_instant start = bench_now();
    int r = create_all(timing);
    if (r == 0)
        r = cancel_all(timing);
    timing->value = bench_cpu_per(timing->run, start);
    return r;
}

static int rota_cancels(const struct bench_run *run, int64_t range_ns, bool random,
                        double *ret_value)
{
    struct timing timing = {.run = run, .range_ns = range_ns};
    int r = -ENOMEM;
    timing.order = random ? shuffled(run->n) : NULL;
    timing.handles = calloc(run->n, sizeof *timing.handles);
    if (timing.handles != NULL && (timing.order != NULL || !random))
        r = bench_in_runtime(run, create_cancel_main, &timing);
    *ret_value = timing.value;
    free(timing.handles);
    free(timing.order);
    return r;
}

static int rota_create_cancel(const struct bench_run *run, double *ret_value)
{
    return rota_cancels(run, CANCEL_RANGE_NS, false, ret_value);
}

static int rota_create_cancel_same(const struct bench_run *run, double *ret_value)
{
    return rota_cancels(run, 0, false, ret_value);
}

static int rota_create_cancel_random(const struct bench_run *run, double *ret_value)
{
    return rota_cancels(run, CANCEL_RANGE_NS, true, ret_value);
}

/* Timers in one array, in a heap with room for all. */
struct plain_timing {
    struct plain_timer *timers;
    struct plain_heap heap;
    uint64_t *order;
    int64_t range_ns;
};

static void plain_cycle(const struct bench_run *run, struct plain_timing *timing)
{
    uint64_t state = SEED;
    for (uint64_t i = 0; i < run->n; i++) {
        struct plain_timer *timer = &timing->timers[i];
        *timer = (struct plain_timer){.when_ns = CANCEL_MIN_NS + (int64_t)i, .fn = nothing};
        if (timing->range_ns > 0)
            timer->when_ns += (int64_t)(bench_random(&state) % (uint64_t)timing->range_ns);
        plain_heap_add(&timing->heap, timer);
    }
    for (uint64_t i = 0; i < run->n; i++)
        plain_heap_remove(&timing->heap,
                          &timing->timers[timing->order != NULL ? timing->order[i] : i]);
}

static int plain_cancels(const struct bench_run *run, int64_t range_ns, bool random,
                         double *ret_value)
{
    struct plain_timing timing = {.range_ns = range_ns};
    int r = -ENOMEM;
    timing.order = random ? shuffled(run->n) : NULL;
    timing.timers = calloc(run->n, sizeof *timing.timers);
    timing.heap.entries = calloc(run->n, sizeof *timing.heap.entries);
    if (timing.timers != NULL && timing.heap.entries != NULL && (timing.order != NULL || !random)) {
        struct bench_instant start = bench_now();
        plain_cycle(run, &timing);
        *ret_value = bench_cpu_per(run, start);
        r = 0;
    }
    free(timing.timers);
    free(timing.heap.entries);
    free(timing.order);
    return r;
}

static int plain_create_cancel(const struct bench_run *run, double *ret_value)
{
    return plain_cancels(run, CANCEL_RANGE_NS, false, ret_value);
}

static int plain_create_cancel_same(const struct bench_run *run, double *ret_value)
{
    return plain_cancels(run, 0, false, ret_value);
}

static int plain_create_cancel_random(const struct bench_run *run, double *ret_value)
{
    return plain_cancels(run, CANCEL_RANGE_NS, true, ret_value);
}

/* ---- Created and fired ---- */

static int fire_one(void *arg)
{
    struct timing *timing = arg;
    if (++timing->fired == timing->run->n)
        return rota_future_set_result(timing->done, NULL);
    return 0;
}

static int fire_main(void *arg)
{
    struct timing *timing = arg;
    uint64_t state = SEED;
    int r = rota_future_create(&timing->done, NULL);
    if (r < 0)
        return r;
    struct bench_instant start = bench_now();
    uint64_t range_ns = timing->run->n * FIRE_NS_PER_TIMER;
    for (uint64_t i = 0; r == 0 && i < timing->run->n; i++)
        r = rota_call_at(NULL, NULL, start.wall_ns + (int64_t)(bench_random(&state) % range_ns),
                         fire_one, timing, NULL);
    if (r == 0)
        r = rota_future_await(timing->done, NULL);
    timing->value = bench_cpu_per(timing->run, start);
    rota_future_unref(timing->done);
    return r;
}

static int rota_fire(const struct bench_run *run, double *ret_value)
{
    struct timing timing = {.run = run};
    int r = bench_in_runtime(run, fire_main, &timing);
    *ret_value = timing.value;
    return r;
}

static int count_fired(void *arg)
{
    ++*(uint64_t *)arg;
    return 0;
}

/* Takes from the heap what is due; sleeps until the next is. */
static void plain_fire_all(struct plain_heap *heap)
{
    while (heap->count > 0) {
        int64_t now_ns = rota_time_ns();
        while (heap->count > 0 && heap->entries[0].when_ns <= now_ns) {
            struct plain_timer *timer = heap->entries[0].timer;
            plain_heap_remove(heap, timer);
            (void)timer->fn(timer->arg);
        }
        if (heap->count > 0 && heap->entries[0].when_ns > now_ns)
            bench_sleep_ns(heap->entries[0].when_ns - now_ns);
    }
}

static int plain_fire(const struct bench_run *run, double *ret_value)
{
    struct plain_timer *timers = calloc(run->n, sizeof *timers);
    struct plain_heap heap = {.entries = calloc(run->n, sizeof *heap.entries)};
    uint64_t state = SEED;
    uint64_t fired = 0;
    if (timers != NULL && heap.entries != NULL) {
        struct bench_instant start = bench_now();
        for (uint64_t i = 0; i < run->n; i++) {
            int64_t delay_ns = (int64_t)(bench_random(&state) % (run->n * FIRE_NS_PER_TIMER));
            timers[i].when_ns = start.wall_ns + delay_ns;
            timers[i].fn = count_fired;
            timers[i].arg = &fired;
            plain_heap_add(&heap, &timers[i]);
        }
        plain_fire_all(&heap);
        *ret_value = bench_cpu_per(run, start);
    }
    int r = fired == run->n ? 0 : -ENOMEM;
    free(heap.entries);
    free(timers);
    return r;
}

/* ---- The table ---- */

const struct bench bench_timer_benches[] = {
    {"timer.create_cancel", "ns",
     "one of 10^6 timers, created, cancelled in order of creation; delays of 1 to 61 s", "<= 25 ns",
     "a heap of four children a node", rota_create_cancel, plain_create_cancel, 1000000, 1, 5, 0,
     NULL},
    {"timer.create_cancel_same", "ns", "the same, all with one delay", "<= 25 ns",
     "a heap of four children a node", rota_create_cancel_same, plain_create_cancel_same, 1000000,
     1, 5, 0, NULL},
    {"timer.create_cancel_random", "ns", "timer.create_cancel, but cancelled in random order",
     "reported only", "a heap of four children a node", rota_create_cancel_random,
     plain_create_cancel_random, 1000000, 1, 5, 0, NULL},
    {"timer.fire", "ns", "one of 10^6 timers, created and fired within 200 ms", "<= 120 ns",
     "a heap of four children a node", rota_fire, plain_fire, 1000000, 1, 5, 0, NULL},
    {0},
};
