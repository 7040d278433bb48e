/* SPDX-License-Identifier: MIT */
/*
 * task_stand_in.h - tasks without stacks and loops, for models of what tasks wait for.
 *
 * Virtual thread i plays task i, if there is one: where a task would switch to its loop, it plays
 * the loop's part after the switch, and goes on when somebody has enqueued the task. The queue is
 * one flag, which a task may enter only once at a time. All other virtual threads are threads
 * without a loop.
 */
#ifndef ROTI_TESTS_SCHED_MODEL_TASK_STAND_IN_H
#define ROTI_TESTS_SCHED_MODEL_TASK_STAND_IN_H

#include "sched/cancel.h"
#include "sched/task_impl.h"
#include "sched/wait.h"

#define STAND_IN_TASKS 3

struct stand_in {
    struct rota_task task;
    struct roti_task_frame frame;
    int registers;         /* plain: saved before a task is parked, restored where it is resumed */
    _Atomic(bool) queued;  /* in the queue */
    _Atomic(bool) resumed; /* with a runner: it has been switched to */
    unsigned resumes;      /* own */
    unsigned delivered;    /* own: how often -ECANCELED was returned to the task */
};

extern struct stand_in stand_ins[STAND_IN_TASKS];

/* Virtual threads 0 .. count-1 are tasks, which run. In setup. */
void stand_in_reset(unsigned count);

/* A thread that resumes tasks in the place of their own: what was saved must be visible to it. To
 * be the body of one virtual thread, announced by stand_in_use_runner() in setup. */
void stand_in_use_runner(void);
void stand_in_runner(unsigned thread);

/* The end of the calling task: as task_complete() of sched/task.c. */
void stand_in_complete(int status);

/* Counts a delivery if `r` is one. Returns r. */
int stand_in_count(int r);

/* The task's word, in check. */
uint64_t stand_in_word(unsigned index);

#endif
