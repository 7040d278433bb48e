/* SPDX-License-Identifier: MIT */
/*
 * step.h - one step of a task: the loop resumes it, and does what its switch back asks for.
 *
 * Problem.    A processor predicts where a `ret` goes by the calls it has seen. A switch between
 *             stacks leaves it with the other stack's calls, so that each function that is still to
 *             return after a switch goes astray once, for 7 ns: more than twice the switch itself.
 * Design.     Nothing returns after a switch that need not. The loop switches in the very function
 *             that runs its queue, which is why the step is inline. A call that suspends switches
 *             as the last thing it does, so that the switch returns to its caller; what it is to
 *             return the loop works out before it resumes the task (step_outcome()).
 * Invariants. I1 Nothing of a task is touched once another loop may run it: after it was enqueued,
 *                or parked.
 */
#ifndef ROTI_STEP_H
#define ROTI_STEP_H

#include "sched/pool.h"
#include "sched/task_impl.h"
#include "sched/worker.h"

#include <errno.h>

/* Whether a task of `pool` is resumed on its loop only: it is pinned, or there is no other. */
static inline bool roti_task_stays(const struct roti_pool *pool, const struct rota_task *task)
{
    return roti_task_pinned(task) || roti_pool_is_single(pool);
}

/* A task that stays is queued. In builds that move the others it must not be taken for one of them
 * if it is free to move by the time it runs, because a loop was added. */
static inline void roti_task_let_stay(struct rota_task *task)
{
    if (ROTI_MIGRATE && task->frame != NULL)
        task->frame->stayed = true;
}

/* roti_worker_push_local(), for the scheduler itself. */
static inline void step_push_local(struct roti_worker *worker, struct roti_work *work)
{
    if (!roti_inbox_quiet(&worker->inbox.posts))
        (void)roti_inbox_take(&worker->inbox.posts, &worker->local);
    roti_fifo_push(&worker->local, &work->link);
}

/* Makes `task` the current one of this loop, and counts. */
static inline void step_begin(struct roti_worker *worker, struct rota_task *task,
                              struct roti_task_frame *frame)
{
    ROTI_DEBUG_ASSERT(roti_task_worker(task) == worker);
    roti_worker_set_task(worker, task);
    worker->thread_object->context = &task->context;
    worker->calls_left = ROTI_CALLS_MAX;
    roti_count(worker, switches, 1);
    if (__builtin_expect(frame->ran_on == worker, 1)) {
        /* In such builds it was to move. */
        ROTI_ASSERT(!ROTI_MIGRATE || frame->stayed || roti_task_stays(worker->pool, task));
        if (ROTI_MIGRATE)
            frame->stayed = false;
        return;
    }
    if (frame->ran_on != NULL)
        roti_count(worker, migrations, 1);
    frame->ran_on = worker;
}

/* What the call that suspended the task returns to it. */
static inline intptr_t step_outcome(struct rota_task *task, uint32_t suspended_by)
{
    if (suspended_by == ROTI_SWITCH_PARK)
        return roti_wait_outcome(task);
    return suspended_by == ROTI_SWITCH_YIELD && roti_state_deliver(&task->word) ? -ECANCELED : 0;
}

/* Switches to the task until it asks for something else than a call on this stack. */
static inline enum roti_switch step_switch(struct roti_worker *worker, struct roti_fiber *fiber,
                                           intptr_t outcome)
{
    for (;;) {
        void *asked = roti_fiber_switch(&worker->fiber, fiber, (void *)outcome);
        enum roti_switch why = (enum roti_switch)(intptr_t)asked;
        if (__builtin_expect(why != ROTI_SWITCH_CALL, 1))
            return why;
        roti_task_run_call(worker);
    }
}

/* The task's frame, made for its first step; NULL: it could not be, and the task has ended. */
static inline struct roti_task_frame *step_frame(struct roti_worker *worker, struct rota_task *task)
{
    struct roti_task_frame *frame = task->frame;
    return __builtin_expect(frame != NULL, 1) ? frame : roti_task_begin(worker, task);
}

/* Runs the task until it switches away for good; why it did. */
static inline __attribute__((always_inline)) enum roti_switch step_run(
    struct roti_worker *worker, struct rota_task *task, struct roti_task_frame *frame)
{
    step_begin(worker, task, frame);
    enum roti_switch why =
        step_switch(worker, &frame->fiber, step_outcome(task, frame->suspended_by));
    roti_worker_set_task(worker, NULL);
    return why;
}

/* Does what it has asked for. */
static inline __attribute__((always_inline)) void step_end(struct roti_worker *worker,
                                                           struct rota_task *task,
                                                           struct roti_task_frame *frame,
                                                           enum roti_switch why)
{
    if (why == ROTI_SWITCH_DONE) {
        roti_task_retire(worker, task);
        return;
    }
    frame->suspended_by = why; /* [I1] from here on */
    if (why == ROTI_SWITCH_PARK) {
        if (roti_state_parked(&task->word) == ROTI_NEXT_ENQUEUE)
            roti_task_enqueue_from(worker, task);
    } else if (roti_task_stays(worker->pool, task)) {
        roti_task_let_stay(task);
        step_push_local(worker, &task->work);
    } else {
        roti_task_enqueue_again(worker, task);
    }
}

/*
 * Runs one step of an ACTIVE task that was taken from a queue. On the loop's own stack. The context
 * of the thread stays that of the task: the caller sets it back before anything else may use it.
 */
static inline __attribute__((always_inline)) void roti_task_step(struct roti_worker *worker,
                                                                 struct rota_task *task)
{
    struct roti_task_frame *frame = step_frame(worker, task);
    if (__builtin_expect(frame == NULL, 0))
        return;
    step_end(worker, task, frame, step_run(worker, task, frame));
}

#endif
