/* SPDX-License-Identifier: MIT */
/*
 * task.c - benches of switches, yields and messages between tasks.
 *
 * Baselines are plain_fiber.h's fibers under a scheduler of a few lines: as many switches as rota
 * needs, and the read-modify-writes that a scheduler with other loops cannot do without.
 */
#include "sched/fiber.h"
#include "tools/bench/bench.h"
#include "tools/bench/plain_fiber.h"

#include <rota/future.h>
#include <rota/runtime.h>
#include <rota/timeout.h>
#include <stdatomic.h>

#define PLAIN_STACK_SIZE 16384
#define TASK_PAIR 2

/* ---- task.switch ---- */

struct fiber_pair {
    struct roti_fiber thread;
    struct roti_fiber other;
};

/* Switches back for ever; the last switch to it is its end. */
static struct roti_fiber_exit rota_back(void *arg, void *transfer)
{
    struct fiber_pair *pair = arg;
    while (transfer != NULL)
        transfer = roti_fiber_switch(&pair->other, &pair->thread, transfer);
    return (struct roti_fiber_exit){&pair->thread, NULL};
}

static int rota_switch(const struct bench_run *run, double *ret_value)
{
    struct fiber_pair pair;
    struct roti_stack *stack;
    int r = roti_fiber_adopt_thread(&pair.thread);
    if (r == 0)
        r = roti_stack_get(NULL, 0, &stack);
    if (r < 0)
        return r;
    roti_fiber_init(&pair.other, stack, 0, rota_back, &pair);
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < run->n; i += 2)
        BENCH_USE(roti_fiber_switch(&pair.thread, &pair.other, &pair));
    *ret_value = bench_cpu_per(run, start);
    BENCH_USE(roti_fiber_switch(&pair.thread, &pair.other, NULL));
    roti_stack_put(NULL, stack);
    return 0;
}

static struct plain_fiber plain_main;
static struct plain_fiber plain_others[TASK_PAIR];
static _Alignas(64) char plain_stacks[TASK_PAIR][PLAIN_STACK_SIZE];

/* A body that does nothing but go back to its scheduler. */
static void plain_back(void *arg)
{
    for (;;)
        BENCH_USE(plain_fiber_switch(arg, &plain_main, arg));
}

static void plain_init(void (*entry)(void *arg))
{
    for (int i = 0; i < TASK_PAIR; i++)
        plain_fiber_init(&plain_others[i], plain_stacks[i], PLAIN_STACK_SIZE, entry,
                         &plain_others[i]);
}

/* Two fibers that switch to each other, saving what the ABI says and nothing else. */
static int plain_switch(const struct bench_run *run, double *ret_value)
{
    plain_init(plain_back);
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < run->n; i += 2)
        BENCH_USE(plain_fiber_switch(&plain_main, &plain_others[0], &plain_main));
    *ret_value = bench_cpu_per(run, start);
    return 0;
}

/* ---- task.yield, aio.sleep0 ---- */

struct yielding {
    const struct bench_run *run;
    double value;
    bool sleeping; /* by rota_sleep(0) instead of rota_yield() */
};

static int yield_body(void *arg)
{
    const struct yielding *yielding = arg;
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < yielding->run->n; i += TASK_PAIR)
        r = yielding->sleeping ? rota_sleep(0) : rota_yield();
    return r;
}

/* Two tasks that yield to each other; the one that measures waits until both are done. */
static int yield_main(void *arg)
{
    struct yielding *yielding = arg;
    struct rota_task *tasks[TASK_PAIR];
    struct bench_instant start = bench_now();
    int status = 0;
    int r = 0;
    int count = 0;
    while (r == 0 && count < TASK_PAIR &&
           (r = rota_task_spawn(&tasks[count], yield_body, arg, NULL)) == 0)
        count++;
    for (int i = 0; i < count; i++) {
        if (r == 0)
            r = rota_task_await(tasks[i], &status);
        if (r == 0)
            r = status;
        rota_task_unref(tasks[i]);
    }
    yielding->value = bench_cpu_per(yielding->run, start);
    return r;
}

static int rota_yields(const struct bench_run *run, double *ret_value)
{
    struct yielding yielding = {.run = run};
    int r = bench_in_runtime(run, yield_main, &yielding);
    *ret_value = yielding.value;
    return r;
}

/* Debug mode reports what other processes keep from the processor for long; that is not asked here.
 */
static void ignore_report(const struct rota_error_info *info, void *arg)
{
    (void)info;
    (void)arg;
}

static int rota_yields_debug(const struct bench_run *run, double *ret_value)
{
    struct yielding yielding = {.run = run};
    struct rota_run_opts opts = {
        .loops = run->loops, .no_signals = true, .debug = true, .exception_handler = ignore_report};
    int r = rota_run(yield_main, &yielding, &opts);
    *ret_value = yielding.value;
    return r;
}

static int rota_sleeps(const struct bench_run *run, double *ret_value)
{
    struct yielding yielding = {.run = run, .sleeping = true};
    int r = bench_in_runtime(run, yield_main, &yielding);
    *ret_value = yielding.value;
    return r;
}

/* A scheduler that does one read-modify-write and two switches (there and back) for each yield. */
static int plain_yields(const struct bench_run *run, double *ret_value)
{
    static _Atomic(uint64_t) head;
    plain_init(plain_back);
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < run->n; i++) {
        uint64_t next = atomic_fetch_add_explicit(&head, 1, memory_order_acq_rel);
        BENCH_USE(plain_fiber_switch(&plain_main, &plain_others[next % TASK_PAIR], &plain_main));
    }
    *ret_value = bench_cpu_per(run, start);
    return 0;
}

/* ---- task.roundtrip ---- */

/* One message at a time each way: the receiver puts up a future, the sender completes it. */
struct mailboxes {
    const struct bench_run *run;
    struct rota_future *ping;
    struct rota_future *pong;
    double value;
};

/* Waits for a message in *box, and puts up an empty one for the next. */
static int receive(struct rota_future **box)
{
    struct rota_future *full = *box;
    void *message;
    int r = rota_future_await(full, &message);
    rota_future_unref(full);
    *box = NULL;
    return r < 0 ? r : rota_future_create(box, NULL);
}

static int answer_body(void *arg)
{
    struct mailboxes *boxes = arg;
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < boxes->run->n; i++) {
        r = receive(&boxes->ping);
        if (r == 0)
            r = rota_future_set_result(boxes->pong, boxes);
    }
    return r;
}

static int roundtrip_main(void *arg)
{
    struct mailboxes *boxes = arg;
    struct rota_task *task;
    int status = 0;
    int r = rota_future_create(&boxes->ping, NULL);
    if (r == 0)
        r = rota_future_create(&boxes->pong, NULL);
    if (r == 0)
        r = rota_task_spawn(&task, answer_body, boxes, NULL);
    if (r < 0)
        return r;
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; r == 0 && i < boxes->run->n; i++) {
        r = rota_future_set_result(boxes->ping, boxes);
        if (r == 0)
            r = receive(&boxes->pong);
    }
    boxes->value = bench_cpu_per(boxes->run, start);
    if (r == 0)
        r = rota_task_await(task, &status);
    rota_task_unref(task);
    rota_future_unref(boxes->ping);
    rota_future_unref(boxes->pong);
    return r < 0 ? r : status;
}

static int rota_roundtrips(const struct bench_run *run, double *ret_value)
{
    struct mailboxes boxes = {.run = run};
    int r = bench_in_runtime(run, roundtrip_main, &boxes);
    *ret_value = boxes.value;
    return r;
}

static void *plain_box;

static void plain_answer(void *arg)
{
    for (;;) {
        BENCH_USE(plain_box);
        plain_box = arg;
        BENCH_USE(plain_fiber_switch(arg, &plain_main, NULL));
    }
}

/* A message is a store, and the wake of the other is a switch to it. */
static int plain_roundtrips(const struct bench_run *run, double *ret_value)
{
    plain_init(plain_answer);
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < run->n; i++) {
        plain_box = &plain_main;
        BENCH_USE(plain_fiber_switch(&plain_main, &plain_others[0], NULL));
        BENCH_USE(plain_box);
    }
    *ret_value = bench_cpu_per(run, start);
    return 0;
}

/* ---- The table ---- */

const struct bench bench_task_benches[] = {
    {"task.switch", "ns", "one raw switch between two fibers", "<= 3 ns", "the same switch by hand",
     rota_switch, plain_switch, 10000000, 1, 9, 0, NULL},
    {"task.yield", "ns", "one yield of one of two tasks", "<= 12 ns",
     "one read-modify-write, two switches", rota_yields, plain_yields, 5000000, 1, 9, 0, NULL},
    {"task.roundtrip", "ns", "a message each way between two tasks, by futures", "<= 50 ns",
     "two stores, two switches", rota_roundtrips, plain_roundtrips, 1000000, 1, 9, 0, NULL},
    {"task.yield_debug", "ns", "task.yield in debug mode", "<= 1.10 x without", "rota, debug off",
     rota_yields_debug, rota_yields, 5000000, 1, 9, 0, NULL},
    {"aio.sleep0", "ns", "one rota_sleep(0) of one of two tasks", "<= 20 ns",
     "one read-modify-write, two switches", rota_sleeps, plain_yields, 5000000, 1, 9, 0, NULL},
    {0},
};
