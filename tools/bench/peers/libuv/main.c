/* SPDX-License-Identifier: MIT */
/*
 * main.c - the peer libuv: benches of rota-bench by one uv_loop_t.
 *
 * peer-libuv --list; peer-libuv NAME N LOOPS does one run and prints one JSON line. A loop is one
 * thread, so LOOPS is not used.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define SEED 20

static uv_loop_t loop;
static uint64_t operations;

static double clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double cpu_per(double start)
{
    return (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / (double)operations;
}

/* The same sequence on each run. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Memory of a bench; there is nothing to do without it. */
static void *need(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fputs("peer-libuv: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

/* ---- Posts: a queue under a lock, and uv_async_send(), which coalesces ---- */

struct item {
    struct item *next;
};

static uv_mutex_t queue_lock;
static struct item *queue_first;
static struct item **queue_last = &queue_first;
static struct item *posts;
static uint64_t handled;
static uv_async_t async;

static void take_posts(uv_async_t *handle)
{
    uv_mutex_lock(&queue_lock);
    struct item *item = queue_first;
    queue_first = NULL;
    queue_last = &queue_first;
    uv_mutex_unlock(&queue_lock);
    for (; item != NULL; item = item->next)
        handled++;
    if (handled == operations)
        uv_close((uv_handle_t *)handle, NULL);
}

static void post_all(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < operations; i++) {
        uv_mutex_lock(&queue_lock);
        *queue_last = &posts[i];
        queue_last = &posts[i].next;
        uv_mutex_unlock(&queue_lock);
        (void)uv_async_send(&async);
    }
}

static double throughput(void)
{
    uv_thread_t thread;
    posts = need(operations, sizeof *posts);
    (void)uv_mutex_init(&queue_lock);
    (void)uv_async_init(&loop, &async, take_posts);
    double start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    (void)uv_thread_create(&thread, post_all, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    double value = cpu_per(start);
    (void)uv_thread_join(&thread);
    free(posts);
    return value;
}

/* ---- There and back ---- */

static uv_sem_t answered;
static unsigned pause_us;
static double *times;

static void answer(uv_async_t *handle)
{
    (void)handle;
    uv_sem_post(&answered);
    if (++handled == operations)
        uv_close((uv_handle_t *)handle, NULL);
}

static void make_trips(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < operations; i++) {
        if (pause_us > 0)
            (void)nanosleep(&(struct timespec){.tv_nsec = (long)pause_us * 1000}, NULL);
        double start = clock_ns(CLOCK_MONOTONIC);
        (void)uv_async_send(&async);
        uv_sem_wait(&answered);
        times[i] = clock_ns(CLOCK_MONOTONIC) - start;
    }
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double trips(void)
{
    uv_thread_t thread;
    times = need(operations, sizeof *times);
    (void)uv_sem_init(&answered, 0);
    (void)uv_async_init(&loop, &async, answer);
    (void)uv_thread_create(&thread, make_trips, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_thread_join(&thread);
    qsort(times, operations, sizeof *times, compare);
    double value = times[operations / 2];
    free(times);
    return value;
}

static double roundtrip(void)
{
    pause_us = 300;
    return trips();
}

/* ---- Timers ---- */

static void fired(uv_timer_t *timer)
{
    (void)timer;
}

static double cancel(bool shuffled)
{
    uv_timer_t *timers = need(operations, sizeof *timers);
    uint64_t *order = need(operations, sizeof *order);
    uint64_t state = SEED;
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t other = next_random(&state) % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    double start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 0; i < operations; i++) {
        (void)uv_timer_init(&loop, &timers[i]);
        (void)uv_timer_start(&timers[i], fired, 1000 + next_random(&state) % 60000, 0);
    }
    for (uint64_t i = 0; i < operations; i++)
        uv_close((uv_handle_t *)&timers[shuffled ? order[i] : i], NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    double value = cpu_per(start);
    free(order);
    free(timers);
    return value;
}

static double create_cancel(void)
{
    return cancel(false);
}

static double create_cancel_random(void)
{
    return cancel(true);
}

/* Timers of libuv have milliseconds. */
static double fire(void)
{
    uv_timer_t *timers = need(operations, sizeof *timers);
    uint64_t state = SEED;
    uint64_t range_ms = operations * 200 / 1000000 + 1;
    double start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 0; i < operations; i++) {
        (void)uv_timer_init(&loop, &timers[i]);
        (void)uv_timer_start(&timers[i], fired, next_random(&state) % range_ms, 0);
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    double value = cpu_per(start);
    free(timers);
    return value;
}

/* ---- Turns ---- */

static void readable(uv_async_t *handle)
{
    (void)handle;
}

/* A turn that polls, with a descriptor that never becomes ready. */
static double turn(void)
{
    (void)uv_async_init(&loop, &async, readable);
    double start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 0; i < operations; i++)
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    double value = cpu_per(start);
    uv_close((uv_handle_t *)&async, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return value;
}

static const struct {
    const char *name;
    double (*run)(void);
} benches[] = {
    {"post.throughput", throughput},
    {"post.roundtrip", roundtrip},
    {"post.roundtrip_hot", trips},
    {"timer.create_cancel", create_cancel},
    {"timer.create_cancel_random", create_cancel_random},
    {"timer.fire", fire},
    {"loop.turn", turn},
};

#define BENCH_COUNT (sizeof benches / sizeof *benches)

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < BENCH_COUNT; i++)
            puts(benches[i].name);
        return 0;
    }
    operations = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
    for (size_t i = 0; operations > 0 && i < BENCH_COUNT; i++)
        if (strcmp(benches[i].name, argv[1]) == 0) {
            (void)uv_loop_init(&loop);
            double value = benches[i].run();
            (void)uv_loop_close(&loop);
            printf("{\"name\":\"%s\",\"unit\":\"ns\",\"value\":%g,\"loops\":1,\"n\":%" PRIu64 "}\n",
                   argv[1], value, operations);
            return 0;
        }
    fputs("usage: peer-libuv --list | NAME N LOOPS\n", stderr);
    return 2;
}
