/* SPDX-License-Identifier: MIT */
/*
 * join.c - waiting for a task's end, and its status.
 */
#include "sched/base/assert.h"
#include "sched/cancel.h"
#include "sched/worker.h"

#include <errno.h>
#include <rota/error.h>

bool rota_task_done(const struct rota_task *task)
{
    /* [J1] acquire: pairs with [W2] of the end; the status is visible. */
    return task != NULL && roti_word_state(roti_load(J1, acquire, &task->word)) == ROTI_DONE;
}

/* The status of a done task, which counts as read from now on. */
static int read_status(struct rota_task *task, int *ret_status)
{
    ROTI_PLAIN_READ(&task->status);
    int status = task->status;
    /* [J2] relaxed: only says that a failure needs no report. */
    if (status < 0)
        (void)roti_fetch_or(J2, relaxed, &task->flags, ROTI_TASK_READ);
    if (ret_status != NULL)
        *ret_status = status;
    return 0;
}

int rota_task_status(const struct rota_task *task, int *ret_status)
{
    if (task == NULL)
        return -EINVAL;
    if (!rota_task_done(task))
        return ROTA_ESTATE;
    return read_status((struct rota_task *)(uintptr_t)task, ret_status); /* the mark is not const */
}

/* Links and suspends; `flags` say whether a cancel goes on to the child. */
static int join(struct roti_worker *worker, struct rota_task *task, uint64_t flags)
{
    struct rota_task *self = roti_worker_task(worker);
    struct roti_wait wait;
    roti_wait_init_of(&wait, self, ROTI_WAIT_TASK, task, 0);
    roti_spin_lock(&task->lock);
    if (rota_task_done(task)) {
        roti_spin_unlock(&task->lock);
        return 0;
    }
    if (!roti_state_begin(&self->word, flags)) {
        roti_spin_unlock(&task->lock);
        return -ECANCELED;
    }
    /* [J3] relaxed: under the lock; see [CN1]. */
    roti_store(J3, relaxed, &self->awaited, (flags & ROTI_FORWARDS) != 0 ? task : NULL);
    roti_wait_link(&wait, &task->joiners);
    roti_spin_unlock(&task->lock);
    int r = roti_wait_suspend_on(worker);
    if (r < 0) {
        roti_spin_lock(&task->lock);
        roti_wait_unlink(&wait);
        roti_spin_unlock(&task->lock);
        return r;
    }
    /* [J4] relaxed: a stale value is found out under the child's lock. */
    roti_store(J4, relaxed, &self->awaited, NULL);
    roti_join_settle(self, wait.result);
    return 0;
}

static int await_task(struct rota_task *task, uint64_t flags, int *ret_status)
{
    if (task == NULL)
        return -EINVAL;
    if (!rota_task_done(task)) {
        struct roti_worker *worker = roti_worker_current();
        if (!roti_worker_may_suspend(worker))
            return ROTA_ENOTASK;
        /* [J5] relaxed: a slot without a task means use after the last unref, which would wait for
         * ever. */
        ROTI_ASSERT(roti_word_state(roti_load(J5, relaxed, &task->word)) != ROTI_FREE);
        if (task == roti_worker_task(worker))
            return -EDEADLK;
        if (task->pool != worker->pool)
            return ROTA_EOTHERRUNTIME;
        int r = join(worker, task, flags);
        if (r < 0)
            return r;
    }
    return read_status(task, ret_status);
}

int rota_task_await(struct rota_task *task, int *ret_status)
{
    return await_task(task, ROTI_FORWARDS, ret_status);
}

int rota_task_shield(struct rota_task *task, int *ret_status)
{
    return await_task(task, 0, ret_status);
}
