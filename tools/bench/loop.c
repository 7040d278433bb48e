/* SPDX-License-Identifier: MIT */
/*
 * loop.c - benches of a turn with nothing to do, and of asking which loop this is.
 */
#include "loop/loop_impl.h"
#include "tools/bench/bench.h"

#include <errno.h>
#include <rota/future.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct turning {
    const struct bench_run *run;
    struct rota_loop *loop;
    struct rota_future *done;
    uint64_t turns;
    bool polling;
    double value;
};

/* ---- loop.turn, loop.callback ---- */

/* Schedules itself for the next turn; if asked, having polled as a loop does that has nothing else.
 */
static int next_turn(void *arg)
{
    struct turning *turning = arg;
    const struct roti_driver *driver = turning->loop->worker.driver;
    if (turning->polling && !driver->timers_due(turning->loop))
        driver->poll(turning->loop, 0);
    if (++turning->turns == turning->run->n)
        return rota_future_set_result(turning->done, NULL);
    return rota_call_soon(NULL, NULL, next_turn, turning, NULL);
}

static int turn_main(void *arg)
{
    struct turning *turning = arg;
    turning->loop = rota_running_loop();
    int r = rota_future_create(&turning->done, NULL);
    if (r < 0)
        return r;
    struct bench_instant start = bench_now();
    r = rota_call_soon(NULL, NULL, next_turn, turning, NULL);
    if (r == 0)
        r = rota_future_await(turning->done, NULL);
    turning->value = bench_cpu_per(turning->run, start);
    rota_future_unref(turning->done);
    return r;
}

static int rota_turns(const struct bench_run *run, double *ret_value)
{
    struct turning turning = {.run = run, .polling = true};
    int r = bench_in_runtime(run, turn_main, &turning);
    *ret_value = turning.value;
    return r;
}

static int rota_callbacks(const struct bench_run *run, double *ret_value)
{
    struct turning turning = {.run = run};
    int r = bench_in_runtime(run, turn_main, &turning);
    *ret_value = turning.value;
    return r;
}

struct plain_callback {
    struct plain_callback *next;
    int (*fn)(void *arg);
    void *arg;
};

static struct plain_callback *plain_queue;

static int plain_next_turn(void *arg)
{
    struct plain_callback *callback = arg;
    plain_queue = callback;
    return 0;
}

/* A queue of one function, which puts itself there again. */
static int plain_callbacks(const struct bench_run *run, double *ret_value)
{
    struct plain_callback callback = {.fn = plain_next_turn, .arg = &callback};
    plain_queue = &callback;
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < run->n; i++) {
        struct plain_callback *first = plain_queue;
        plain_queue = first->next;
        BENCH_USE(first->fn(first->arg));
    }
    *ret_value = bench_cpu_per(run, start);
    return 0;
}

/* ---- loop.poll ---- */

static int poll_main(void *arg)
{
    struct turning *turning = arg;
    struct rota_loop *loop = rota_running_loop();
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < turning->run->n; i++)
        loop->worker.driver->poll(loop, 0);
    turning->value = bench_cpu_per(turning->run, start);
    return 0;
}

static int rota_polls(const struct bench_run *run, double *ret_value)
{
    struct turning turning = {.run = run};
    int r = bench_in_runtime(run, poll_main, &turning);
    *ret_value = turning.value;
    return r;
}

/* epoll_wait() that does not block, over one descriptor that never becomes ready. */
static int plain_turns(const struct bench_run *run, double *ret_value)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int idle = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = epoll < 0 || idle < 0 ? -EMFILE : 0;
    if (r == 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, idle, &event) < 0)
        r = -errno;
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; r == 0 && i < run->n; i++)
        r = epoll_wait(epoll, &event, 1, 0);
    *ret_value = bench_cpu_per(run, start);
    (void)close(epoll);
    (void)close(idle);
    return r;
}

/* ---- aio.running_loop ---- */

static int running_main(void *arg)
{
    struct turning *turning = arg;
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < turning->run->n; i++)
        BENCH_USE(rota_running_loop());
    turning->value = bench_cpu_per(turning->run, start);
    return 0;
}

static int rota_running(const struct bench_run *run, double *ret_value)
{
    struct turning turning = {.run = run};
    int r = bench_in_runtime(run, running_main, &turning);
    *ret_value = turning.value;
    return r;
}

static _Thread_local struct {
    void *loop;
} plain_thread;

__attribute__((noinline)) static void *plain_running_loop(void)
{
    void *loop = plain_thread.loop;
    __asm__ volatile("" : "+r"(loop));
    return loop;
}

/* A call that reads a thread-local. */
static int plain_running(const struct bench_run *run, double *ret_value)
{
    plain_thread.loop = &plain_thread;
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < run->n; i++)
        BENCH_USE(plain_running_loop());
    *ret_value = bench_cpu_per(run, start);
    return 0;
}

/* ---- The table ---- */

const struct bench bench_loop_benches[] = {
    {"loop.turn", "ns", "a turn of one callback that polls once; an empty turn is less",
     "<= 130 ns", "epoll_wait() with an idle descriptor", rota_turns, plain_turns, 500000, 1, 9, 0,
     NULL},
    {"loop.poll", "ns", "a look at the poller with nothing ready", "<= 1.05 x epoll_wait()",
     "epoll_wait() with an idle descriptor", rota_polls, plain_turns, 500000, 1, 9, 0, NULL},
    {"loop.callback", "ns", "a callback that schedules itself, a turn each", "reported only",
     "a queue of one function", rota_callbacks, plain_callbacks, 2000000, 1, 9, 0, NULL},
    {"aio.running_loop", "ns", "one rota_running_loop()", "<= 3 ns",
     "a call that reads a thread-local", rota_running, plain_running, 10000000, 1, 9, 0, NULL},
    {0},
};
