/* SPDX-License-Identifier: MIT */
/*
 * post.c - benches of what other threads hand to a loop, and of how long they wait for an answer.
 */
#include "tools/bench/bench.h"

#include <errno.h>
#include <pthread.h>
#include <rota/future.h>
#include <rota/runtime.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CACHE_LINE 64
#define ASLEEP_NS (300 * ROTA_US) /* after so long both sides sleep */
#define BEFORE_BURST_NS (20 * ROTA_MS)
#define HOT_BATCH 64 /* round trips between two looks at the clock */

/* ---- Posts one way ---- */

struct posting {
    const struct bench_run *run;
    struct rota_loop *loop;
    struct rota_future *done;
    int64_t delay_ns; /* before the first post */
    uint64_t handled; /* the loop's thread only */
    int error;        /* of the posting thread */
    double value;
    double wakes; /* times the loop was woken */
};

static int count_post(void *arg)
{
    struct posting *posting = arg;
    if (++posting->handled == posting->run->n)
        return rota_future_set_result(posting->done, NULL);
    return 0;
}

static void *post_all(void *arg)
{
    struct posting *posting = arg;
    if (posting->delay_ns > 0)
        bench_sleep_ns(posting->delay_ns);
    for (uint64_t i = 0; posting->error == 0 && i < posting->run->n; i++)
        posting->error = rota_call_soon_threadsafe(posting->loop, NULL, count_post, posting, NULL);
    if (posting->error < 0)
        (void)rota_future_set_error(posting->done, posting->error);
    return NULL;
}

/* Waits, as a task, for a thread that posts n callbacks to this task's loop. */
static int posting_main(void *arg)
{
    struct posting *posting = arg;
    struct rota_counters before;
    struct rota_counters after;
    pthread_t thread;
    posting->loop = rota_running_loop();
    int r = rota_future_create(&posting->done, NULL);
    if (r < 0)
        return r;
    (void)rota_loop_counters(posting->loop, &before);
    struct bench_instant start = bench_now();
    r = -pthread_create(&thread, NULL, post_all, posting);
    if (r == 0) {
        r = rota_future_await(posting->done, NULL);
        posting->value = bench_cpu_per(posting->run, start);
        (void)rota_loop_counters(posting->loop, &after);
        posting->wakes = (double)(after.wakes_received - before.wakes_received);
        (void)pthread_join(thread, NULL);
    }
    rota_future_unref(posting->done);
    return r;
}

static int rota_throughput(const struct bench_run *run, double *ret_value)
{
    struct posting posting = {.run = run};
    int r = bench_in_runtime(run, posting_main, &posting);
    *ret_value = posting.value;
    bench_note(run, "wakes", posting.wakes);
    return r;
}

static int rota_burst(const struct bench_run *run, double *ret_value)
{
    struct posting posting = {.run = run, .delay_ns = BEFORE_BURST_NS};
    int r = bench_in_runtime(run, posting_main, &posting);
    *ret_value = posting.wakes * 1e6 / (double)run->n;
    return r;
}

static _Alignas(CACHE_LINE) _Atomic(uint64_t) shared_count;

static void *add_half(void *arg)
{
    const struct bench_run *run = arg;
    for (uint64_t i = 0; i < run->n / 2; i++)
        atomic_fetch_add_explicit(&shared_count, 1, memory_order_acq_rel);
    return NULL;
}

/* Two threads that add to one word: no post needs less than one such write. */
static int plain_throughput(const struct bench_run *run, double *ret_value)
{
    pthread_t thread;
    struct bench_instant start = bench_now();
    int r = -pthread_create(&thread, NULL, add_half, (void *)run);
    if (r < 0)
        return r;
    (void)add_half((void *)run);
    (void)pthread_join(thread, NULL);
    *ret_value = bench_cpu_per(run, start);
    return 0;
}

struct plain_item {
    struct plain_item *next;
};

struct plain_inbox {
    _Alignas(CACHE_LINE) _Atomic(struct plain_item *) head;
    struct plain_item *items;
    uint64_t n;
    uint64_t writes;
    int event;
};

/* Pushes to a list; whoever finds it empty writes the eventfd. */
static void *plain_push_all(void *arg)
{
    struct plain_inbox *inbox = arg;
    bench_sleep_ns(BEFORE_BURST_NS);
    for (uint64_t i = 0; i < inbox->n; i++) {
        struct plain_item *item = &inbox->items[i];
        struct plain_item *head = atomic_load_explicit(&inbox->head, memory_order_relaxed);
        do
            item->next = head;
        while (!atomic_compare_exchange_weak_explicit(&inbox->head, &head, item,
                                                      memory_order_release, memory_order_relaxed));
        if (head == NULL) {
            inbox->writes++;
            (void)eventfd_write(inbox->event, 1);
        }
    }
    return NULL;
}

static void plain_take_all(struct plain_inbox *inbox)
{
    eventfd_t count;
    for (uint64_t taken = 0; taken < inbox->n;) {
        (void)eventfd_read(inbox->event, &count);
        struct plain_item *item = atomic_exchange(&inbox->head, NULL);
        for (; item != NULL; item = item->next)
            taken++;
    }
}

/* A list that any thread pushes to, with an eventfd for when it was empty. */
static int plain_burst(const struct bench_run *run, double *ret_value)
{
    struct plain_inbox inbox = {.n = run->n, .event = eventfd(0, EFD_CLOEXEC)};
    pthread_t thread;
    int r = -ENOMEM;
    inbox.items = calloc(run->n, sizeof *inbox.items);
    if (inbox.event >= 0 && inbox.items != NULL)
        r = -pthread_create(&thread, NULL, plain_push_all, &inbox);
    if (r == 0) {
        plain_take_all(&inbox);
        (void)pthread_join(thread, NULL);
        *ret_value = (double)inbox.writes * 1e6 / (double)run->n;
    }
    free(inbox.items);
    if (inbox.event >= 0)
        (void)close(inbox.event);
    return r;
}

/* ---- There and back ---- */

struct trips {
    const struct bench_run *run;
    struct rota_loop *loop;
    struct rota_future *done;
    int64_t pause_ns; /* between two, so that both sides sleep */
    double *times;    /* one of each trip */
    double value;
};

static int answer(void *arg)
{
    return rota_future_set_result(arg, NULL);
}

/* Posts to the loop, and blocks until the callback has completed the future. */
static int one_trip(const struct trips *trips)
{
    struct rota_future *reply;
    int r = rota_future_create(&reply, &(struct rota_future_opts){.loop = trips->loop});
    if (r < 0)
        return r;
    r = rota_call_soon_threadsafe(trips->loop, NULL, answer, reply, NULL);
    if (r == 0)
        r = rota_future_wait(reply, ROTA_NEVER, NULL);
    rota_future_unref(reply);
    return r;
}

static void *make_trips(void *arg)
{
    struct trips *trips = arg;
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < trips->run->n; i++) {
        if (trips->pause_ns > 0)
            bench_sleep_ns(trips->pause_ns);
        int64_t start_ns = rota_time_ns();
        r = one_trip(trips);
        trips->times[i] = (double)(rota_time_ns() - start_ns);
    }
    if (r < 0)
        (void)rota_future_set_error(trips->done, r);
    else
        (void)rota_future_set_result(trips->done, NULL);
    return NULL;
}

static int trips_main(void *arg)
{
    struct trips *trips = arg;
    pthread_t thread;
    trips->loop = rota_running_loop();
    int r = rota_future_create(&trips->done, NULL);
    if (r < 0)
        return r;
    r = -pthread_create(&thread, NULL, make_trips, trips);
    if (r == 0) {
        r = rota_future_await(trips->done, NULL);
        (void)pthread_join(thread, NULL);
        trips->value = bench_median(trips->times, trips->run->n);
    }
    rota_future_unref(trips->done);
    return r;
}

static int rota_trips(const struct bench_run *run, int64_t pause_ns, double *ret_value)
{
    struct trips trips = {.run = run, .pause_ns = pause_ns};
    trips.times = calloc(run->n, sizeof *trips.times);
    if (trips.times == NULL)
        return -ENOMEM;
    int r = bench_in_runtime(run, trips_main, &trips);
    *ret_value = trips.value;
    free(trips.times);
    return r;
}

static int rota_roundtrip(const struct bench_run *run, double *ret_value)
{
    return rota_trips(run, ASLEEP_NS, ret_value);
}

static int rota_roundtrip_hot(const struct bench_run *run, double *ret_value)
{
    return rota_trips(run, 0, ret_value);
}

/* Answers one eventfd with the other. */
struct plain_echo {
    int there;
    int back;
    uint64_t n;
};

static void *plain_echo_all(void *arg)
{
    const struct plain_echo *echo = arg;
    eventfd_t count;
    for (uint64_t i = 0; i < echo->n; i++) {
        (void)eventfd_read(echo->there, &count);
        (void)eventfd_write(echo->back, 1);
    }
    return NULL;
}

static int plain_trips(const struct plain_echo *echo, double *times, double *ret_value)
{
    pthread_t thread;
    eventfd_t count;
    int r = -pthread_create(&thread, NULL, plain_echo_all, (void *)echo);
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < echo->n; i++) {
        bench_sleep_ns(ASLEEP_NS);
        int64_t start_ns = rota_time_ns();
        (void)eventfd_write(echo->there, 1);
        (void)eventfd_read(echo->back, &count);
        times[i] = (double)(rota_time_ns() - start_ns);
    }
    (void)pthread_join(thread, NULL);
    *ret_value = bench_median(times, echo->n);
    return 0;
}

/* Two threads, each blocked in read() of its eventfd. */
static int plain_roundtrip(const struct bench_run *run, double *ret_value)
{
    struct plain_echo echo = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC), run->n};
    double *times = calloc(run->n, sizeof *times);
    int r = -ENOMEM;
    if (echo.there >= 0 && echo.back >= 0 && times != NULL)
        r = plain_trips(&echo, times, ret_value);
    free(times);
    (void)close(echo.there);
    (void)close(echo.back);
    return r;
}

static _Alignas(CACHE_LINE) _Atomic(uint64_t) hot_there;
static _Alignas(CACHE_LINE) _Atomic(uint64_t) hot_back;

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void *spin_echo(void *arg)
{
    const struct bench_run *run = arg;
    for (uint64_t i = 1; i <= run->n; i++) {
        while (atomic_load_explicit(&hot_there, memory_order_acquire) < i)
            pause_cpu();
        atomic_store_explicit(&hot_back, i, memory_order_release);
    }
    return NULL;
}

/* Two threads that spin on each other's cache line. */
static int plain_roundtrip_hot(const struct bench_run *run, double *ret_value)
{
    double *times = calloc(run->n / HOT_BATCH + 1, sizeof *times);
    pthread_t thread;
    size_t count = 0;
    if (times == NULL)
        return -ENOMEM;
    atomic_store(&hot_there, 0);
    atomic_store(&hot_back, 0);
    int r = -pthread_create(&thread, NULL, spin_echo, (void *)run);
    int64_t start_ns = rota_time_ns();
    for (uint64_t i = 1; r == 0 && i <= run->n; i++) {
        atomic_store_explicit(&hot_there, i, memory_order_release);
        while (atomic_load_explicit(&hot_back, memory_order_acquire) < i)
            pause_cpu();
        if (i % HOT_BATCH == 0 || i == run->n) {
            int64_t now_ns = rota_time_ns();
            uint64_t trips = i % HOT_BATCH == 0 ? HOT_BATCH : i % HOT_BATCH;
            times[count++] = (double)(now_ns - start_ns) / (double)trips;
            start_ns = now_ns;
        }
    }
    if (r == 0) {
        (void)pthread_join(thread, NULL);
        *ret_value = bench_median(times, count);
    }
    free(times);
    return r;
}

/* ---- The table ---- */

const struct bench bench_post_benches[] = {
    {"post.throughput", "ns", "one callback from another thread; processor time of both threads",
     "<= 22 ns", "an atomic add that two threads contend for", rota_throughput, plain_throughput,
     1000000, 1, 9, BENCH_THREADS, NULL},
    {"post.burst", "wakes", "wakes of a sleeping loop by 10^6 posts of one thread", "<= 2",
     "a list and an eventfd", rota_burst, plain_burst, 1000000, 1, 9, BENCH_THREADS, NULL},
    {"post.roundtrip", "ns", "a post and its answer, both threads asleep before; median trip",
     "<= 1.05 x eventfd", "an eventfd each way", rota_roundtrip, plain_roundtrip, 1000, 1, 7,
     BENCH_THREADS, NULL},
    {"post.roundtrip_hot", "ns", "the same at once after the answer before; median trip",
     "<= 1000 ns", "two cache lines, spinning", rota_roundtrip_hot, plain_roundtrip_hot, 10000, 1,
     7, BENCH_THREADS, NULL},
    {0},
};
