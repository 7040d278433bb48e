/* SPDX-License-Identifier: MIT */
/*
 * task_memory.c - benches of what tasks cost while they wait, and of stacks used for the first
 * time. Each run has a process of its own, in which no pool is warm.
 */
#include "tools/bench/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <rota/future.h>
#include <rota/runtime.h>
#include <rota/timeout.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_SIZE ((size_t)4096)
#define STACK_SIZE ((size_t)256 * 1024)  /* rota's default, for baselines */
#define IDLE_NS_PER_TASK (200 * ROTA_US) /* 2 s for 10^4 tasks */

/* MADV_GUARD_INSTALL of Linux 6.13, which older headers do not have. */
#define GUARD_INSTALL 102

static uint64_t resident(void)
{
    return bench_proc_bytes("/proc/self/status", "VmRSS");
}

static uint64_t page_tables(void)
{
    return bench_proc_bytes("/proc/self/status", "VmPTE");
}

/* Whether so much memory is there that the machine does not notice. */
static int need_memory(uint64_t size)
{
    return bench_proc_bytes("/proc/meminfo", "MemAvailable") / 4 * 3 > size ? 0 : -EOPNOTSUPP;
}

/* ---- Tasks that wait ---- */

struct parking {
    const struct bench_run *run;
    struct rota_future *gate; /* what all tasks wait for */
    _Atomic(uint64_t) arrived;
    double value;
};

static int wait_body(void *arg)
{
    struct parking *parking = arg;
    atomic_fetch_add_explicit(&parking->arrived, 1, memory_order_relaxed);
    return rota_future_await(parking->gate, NULL);
}

/* Spawns n tasks, and lets others run until each has come to its wait. */
static int park_all(struct parking *parking)
{
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < parking->run->n; i++)
        r = rota_task_spawn(NULL, wait_body, parking, NULL);
    while (r == 0 && atomic_load(&parking->arrived) < parking->run->n)
        r = rota_yield();
    return r < 0 ? r : rota_yield();
}

static int parked_main(void *arg)
{
    struct parking *parking = arg;
    int r = rota_future_create(&parking->gate, NULL);
    if (r < 0)
        return r;
    double n = (double)parking->run->n;
    uint64_t before = resident();
    uint64_t tables_before = page_tables();
    r = park_all(parking);
    parking->value = ((double)resident() - (double)before) / n;
    bench_note(parking->run, "page_table_bytes",
               ((double)page_tables() - (double)tables_before) / n);
    int end = rota_future_set_result(parking->gate, NULL);
    while (end == 0 && rota_runtime_tasks(rota_running_runtime(), NULL, 0) > 1)
        end = rota_yield();
    rota_future_unref(parking->gate);
    return r < 0 ? r : end;
}

static int rota_parked(const struct bench_run *run, double *ret_value)
{
    struct parking parking = {.run = run};
    int r = need_memory(run->n * (PAGE_SIZE + 1024));
    if (r == 0)
        r = bench_in_runtime(run, parked_main, &parking);
    *ret_value = parking.value;
    return r;
}

/* One page touched in each stack's worth of address space. */
static int plain_parked(const struct bench_run *run, double *ret_value)
{
    int r = need_memory(run->n * (PAGE_SIZE + 1024));
    if (r < 0)
        return r;
    uint64_t before = resident();
    uint64_t tables_before = page_tables();
    char *memory = mmap(NULL, run->n * STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    (void)madvise(memory, run->n * STACK_SIZE, MADV_NOHUGEPAGE);
    for (uint64_t i = 0; i < run->n; i++)
        memory[(i + 1) * STACK_SIZE - 64] = 1;
    *ret_value = ((double)resident() - (double)before) / (double)run->n;
    bench_note(run, "page_table_bytes",
               ((double)page_tables() - (double)tables_before) / (double)run->n);
    (void)munmap(memory, run->n * STACK_SIZE);
    return 0;
}

/* ---- task.create_cold ---- */

/* Each task waits at its first step, so that none finds a stack that another one has left. */
static int cold_main(void *arg)
{
    struct parking *parking = arg;
    int r = rota_future_create(&parking->gate, NULL);
    if (r < 0)
        return r;
    struct bench_instant start = bench_now();
    r = park_all(parking);
    parking->value = bench_cpu_per(parking->run, start);
    int end = rota_future_set_result(parking->gate, NULL);
    rota_future_unref(parking->gate);
    return r < 0 ? r : end;
}

static int rota_cold(const struct bench_run *run, double *ret_value)
{
    struct parking parking = {.run = run};
    int r = bench_in_runtime(run, cold_main, &parking);
    *ret_value = parking.value;
    return r;
}

/* One mapping for all; for each a guard marker and one page touched. */
static int plain_cold(const struct bench_run *run, double *ret_value)
{
    struct bench_instant start = bench_now();
    char *memory = mmap(NULL, run->n * STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    (void)madvise(memory, run->n * STACK_SIZE, MADV_NOHUGEPAGE);
    for (uint64_t i = 0; i < run->n; i++) {
        char *stack = memory + i * STACK_SIZE;
        if (madvise(stack, PAGE_SIZE, GUARD_INSTALL) < 0)
            return errno == EINVAL ? -EOPNOTSUPP : -errno;
        stack[STACK_SIZE - 64] = 1;
    }
    *ret_value = bench_cpu_per(run, start);
    (void)munmap(memory, run->n * STACK_SIZE);
    return 0;
}

/* ---- task.idle ---- */

/* What all loops have counted so far. */
static struct rota_counters counters_of_all(void)
{
    struct rota_runtime *runtime = rota_running_runtime();
    struct rota_counters sum = {0};
    for (int i = 0; i < rota_runtime_loop_count(runtime); i++) {
        struct rota_counters one;
        if (rota_loop_counters(rota_runtime_loop(runtime, (unsigned)i), &one) == 0) {
            sum.turns += one.turns;
            sum.parks += one.parks;
        }
    }
    return sum;
}

/* Processor time while nothing happens, in percent of one CPU. The sleep blocks no loop: it is one
 * more task that waits. */
static int idle_main(void *arg)
{
    struct parking *parking = arg;
    int64_t idle_ns = (int64_t)parking->run->n * IDLE_NS_PER_TASK;
    int r = rota_future_create(&parking->gate, NULL);
    if (r < 0)
        return r;
    r = park_all(parking);
    struct rota_counters before = counters_of_all();
    struct bench_instant start = bench_now();
    int slept = rota_sleep(idle_ns);
    struct bench_instant end = bench_now();
    struct rota_counters after = counters_of_all();
    double seconds = (double)(end.wall_ns - start.wall_ns) / (double)ROTA_SEC;
    parking->value = (double)(end.cpu_ns - start.cpu_ns) / (double)ROTA_SEC / seconds * 100;
    bench_note(parking->run, "turns_per_loop_second",
               (double)(after.turns - before.turns) / seconds / parking->run->loops);
    bench_note(parking->run, "seconds", seconds);
    int end_status = rota_future_set_result(parking->gate, NULL);
    rota_future_unref(parking->gate);
    return r < 0 ? r : slept < 0 ? slept : end_status;
}

static int rota_idle(const struct bench_run *run, double *ret_value)
{
    struct parking parking = {.run = run};
    int r = bench_in_runtime(run, idle_main, &parking);
    *ret_value = parking.value;
    return r;
}

/* One thread in epoll_wait() for as long. */
static int plain_idle(const struct bench_run *run, double *ret_value)
{
    struct epoll_event event;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return -errno;
    int64_t idle_ns = (int64_t)run->n * IDLE_NS_PER_TASK;
    struct bench_instant start = bench_now();
    (void)epoll_wait(epoll, &event, 1, (int)(idle_ns / ROTA_MS));
    struct bench_instant end = bench_now();
    *ret_value = (double)(end.cpu_ns - start.cpu_ns) / (double)(end.wall_ns - start.wall_ns) * 100;
    (void)close(epoll);
    return 0;
}

/* ---- The table ---- */

const struct bench bench_memory_benches[] = {
    {"task.parked", "bytes", "resident memory of one of 10^6 tasks that wait for a future",
     "<= 4500 bytes", "one page touched in each 256 KiB", rota_parked, plain_parked, 1000000, 1, 3,
     BENCH_OWN_PROCESS, NULL},
    {"task.create_cold", "ns", "a spawn and a first step, to its wait, on a stack never used",
     "<= 2900 ns", "one mapping; a guard marker and one touch each", rota_cold, plain_cold, 100000,
     1, 5, BENCH_OWN_PROCESS, NULL},
    {"task.idle", "% CPU", "10^4 tasks that wait, for two seconds",
     "< 0.1 % CPU, <= 1 turn per loop and second", "a thread in epoll_wait()", rota_idle,
     plain_idle, 10000, 0, 3, BENCH_OWN_PROCESS | BENCH_THREADS, NULL},
    {0},
};
