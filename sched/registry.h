/* SPDX-License-Identifier: MIT */
/*
 * registry.h - the slots of all tasks of the process: taken, published, listed, given back.
 *
 * The slab of task headers is the registry: a spawn inserts nowhere. A listing reads each slot once
 * and takes a counted reference where there is a live task, so it stops nobody, and a task that is
 * alive throughout is in it exactly once.
 */
#ifndef ROTI_REGISTRY_H
#define ROTI_REGISTRY_H

#include "sched/task_impl.h"
#include "sched/worker.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A free slot, from the worker's cache or (NULL) the set; NULL: memory is exhausted. */
struct rota_task *roti_task_slot_get(struct roti_worker *worker);

/* Gives back a slot that was never published. */
void roti_task_slot_put(struct roti_worker *worker, struct rota_task *task);

/* Makes a filled slot a task: number, generation, state ACTIVE, `refs` references. On the thread of
 * `worker`, NULL for one without. */
void roti_task_publish(struct roti_worker *worker, struct rota_task *task, uint32_t flags,
                       uint32_t refs);

/* A counted reference to the task that a loop runs, or NULL. In time linear in the slots: for
 * reports. Any thread. */
struct rota_task *roti_task_ref_running(const struct roti_worker *worker);

/* Which task runs on a stack, for the report of its overflow: roti_overflow_describe_fn. */
void roti_task_describe(const struct roti_stack *stack, char *buf, size_t size);

/* Tells the report hook of a failure. */
void roti_task_report(const char *text, struct rota_task *task, int status);

/* Gives the worker's cached slots back. */
void roti_task_slots_drain(struct roti_worker *worker);

/* In the child of a fork: forgets all slots. */
void roti_task_slots_forget(void);

/* Slots in use or in caches. For leak checks. */
size_t roti_task_slots_used(void);

#ifdef __cplusplus
}
#endif

#endif
