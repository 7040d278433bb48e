/* SPDX-License-Identifier: MIT */
/*
 * doorbell_model.c - the end of a run against signal handlers on other threads, in the explorer.
 *
 * What a number stands for is one plain variable: it is written as the number is opened and closed,
 * and read by whoever writes to it, so that a handler that comes too late is a race.
 */
#include "loop/doorbell.h"

#include "loop/syscall.h"
#include "sched/base/atomic.h"

#define FD_COUNT 2

static int files[FD_COUNT]; /* plain: 1 while the number is open */
static _Atomic(int) rings;  /* bytes that were written */

void roti_sys_signal_send(int fd, const void *data, size_t size)
{
    MODEL_ASSERT(fd >= 0 && fd < FD_COUNT && size == 1 && *(const char *)data == 't');
    ROTI_PLAIN_READ(&files[fd]);
    MODEL_ASSERT(files[fd] == 1);
    (void)roti_fetch_add(TB1, relaxed, &rings, 1);
}

static void open_number(int fd)
{
    ROTI_PLAIN_WRITE(&files[fd]);
    files[fd] = 1;
}

static void close_number(int fd)
{
    ROTI_PLAIN_WRITE(&files[fd]);
    files[fd] = 0;
}

/* One run after another, each with the number of the last or another one. */
static void runs_twice(unsigned thread)
{
    (void)thread;
    for (int run = 0; run < 2; run++) {
        int fd = (int)model_choose(FD_COUNT);
        open_number(fd);
        MODEL_ASSERT(roti_doorbell_hang(fd));
        roti_doorbell_take(fd);
        close_number(fd);
    }
}

/* Two runs at once: one of them handles signals. */
static void runs_beside(unsigned thread)
{
    int fd = (int)thread;
    open_number(fd);
    (void)roti_doorbell_hang(fd);
    roti_doorbell_take(fd);
    close_number(fd);
}

static void rings_once(unsigned thread)
{
    (void)thread;
    roti_doorbell_ring('t');
}

static void reset(void)
{
    roti_doorbell_forget();
    files[0] = files[1] = 0;
    roti_store(TB2, relaxed, &rings, 0);
}

static void check(void)
{
    MODEL_OUTCOME(roti_load(TB3, relaxed, &rings));
}

MODEL_TEST(doorbell_end_of_run) = {
    .threads = {runs_twice, rings_once, rings_once}, .setup = reset, .check = check};
MODEL_TEST(doorbell_two_runs) = {
    .threads = {runs_beside, runs_beside, rings_once}, .setup = reset, .check = check};
