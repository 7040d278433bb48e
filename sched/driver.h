/* SPDX-License-Identifier: MIT */
/*
 * driver.h - how a worker sleeps, is woken, and runs what is not a task: a table given by the layer
 * above, so that sched includes nothing of it, and the explorer plays the same scheduler with a
 * driver of its own.
 */
#ifndef ROTI_DRIVER_H
#define ROTI_DRIVER_H

#include "sched/base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct rota_task;
struct roti_worker;

/* What a local queue, a ready ring and an inbox hold. */
enum roti_work_kind {
    ROTI_WORK_TASK,     /* the first member of a struct rota_task */
    ROTI_WORK_CALLBACK, /* the layer above knows what: roti_driver.run() */
};

#define ROTI_WORK_EXTRA_MAX 0xffff

/* Its bits are read and written by whoever has the item in hand. */
struct roti_work {
    struct roti_link link; /* owned by whatever queue holds the item */
    uint64_t queued : 44;  /* when it was queued, in ticks; 0: unknown (sched/figures.h) */
    uint64_t kind : 4;     /* enum roti_work_kind */
    uint64_t extra : 16;   /* the embedding struct's */
};

struct roti_driver {
    /* Monotonic nanoseconds. Any thread. */
    int64_t (*now)(void *loop);

    /* They are the machine's, so that another clock of it will do where only differences count. */
    bool real_time;

    /*
     * Takes what is ready: wakes tasks, pushes callbacks, fires due timers. With deadline_ns 0 it
     * never blocks; otherwise it blocks until something is ready, wake() was called since the last
     * return, or the earlier of deadline_ns and the next timer has come. After it has blocked and
     * before it takes anything it calls roti_worker_awake(). Owner only.
     */
    void (*poll)(void *loop, int64_t deadline_ns);

    /*
     * Does for a loop that does not turn what any thread can do: takes what is ready and wakes its
     * tasks, fires what is due of tasks' timers. Leaves callbacks to the owner. Never blocks, and
     * waits for no lock of the owner's. The number of events and timers. A worker of the pool that
     * holds the loop's poll lock.
     */
    unsigned (*help)(void *loop);

    /* After so long one loop of those that sleep returns from poll(), or each that does not from
     * its next. Takes the place of what was set before. False: it could not be set. Owner only. */
    bool (*tick)(void *loop, int64_t delay_ns);

    /* True if a timer is armed that is due now. Owner only; cheap, no system call without timers.
     */
    bool (*timers_due)(void *loop);

    /* Lets others that are ready to run on this CPU go first. Owner only. */
    void (*give_cpu)(void *loop);

    /* Makes a blocked poll() return, or the next one not block. Any thread. */
    void (*wake)(void *loop);

    /* Runs an item that is not a task, on the loop's own stack. Owner only. */
    void (*run)(void *loop, struct roti_work *work);

    /*
     * It is now_ns, time has passed since the last call, and the loop has something to do: should
     * there be more loops or fewer? Returns when to ask again. Owner only; on its own stack.
     */
    int64_t (*review)(void *loop, int64_t now_ns);

    /* Gives back an item that will never run: the loop is closed. Any thread. */
    void (*drop)(void *loop, struct roti_work *work);
};

#endif
