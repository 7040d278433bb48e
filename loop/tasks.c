/* SPDX-License-Identifier: MIT */
/*
 * tasks.c - listings of tasks: of a runtime, of one loop.
 */
#include "loop/loop_impl.h"

#include <errno.h>
#include <rota/error.h>

/* Where a listing goes. What does not fit is counted, not kept. */
struct listing {
    struct rota_task_entry *entries; /* one of the two */
    struct rota_task **tasks;
    const struct roti_worker *only; /* NULL: every loop */
    size_t size;
    size_t count;
};

static void list_task(struct rota_task *task, void *arg)
{
    struct listing *listing = arg;
    struct roti_worker *worker = roti_task_worker(task);
    bool wanted = listing->only == NULL || listing->only == worker;
    bool fits = listing->count < listing->size;
    if (wanted && fits && listing->entries != NULL)
        listing->entries[listing->count] = (struct rota_task_entry){task, worker->loop};
    else if (wanted && fits)
        listing->tasks[listing->count] = task;
    else
        rota_task_unref(task);
    listing->count += wanted;
}

ssize_t rota_runtime_tasks(struct rota_runtime *runtime, struct rota_task_entry *entries,
                           size_t size)
{
    struct listing listing = {.entries = entries, .size = size};
    if (runtime == NULL || (entries == NULL && size > 0))
        return -EINVAL;
    roti_task_visit(&runtime->pool, false, list_task, &listing);
    return (ssize_t)listing.count;
}

ssize_t rota_all_tasks(struct rota_loop *loop, struct rota_task **tasks, size_t size)
{
    if (loop == NULL || (tasks == NULL && size > 0))
        return -EINVAL;
    /* [LP5] relaxed: as [LP2]; a listing that comes too late finds no task of this loop. */
    if (roti_load(LP5, relaxed, &loop->closed))
        return ROTA_ECLOSED;
    struct listing listing = {.tasks = tasks, .size = size, .only = &loop->worker};
    roti_task_visit(loop->worker.pool, false, list_task, &listing);
    return (ssize_t)listing.count;
}
