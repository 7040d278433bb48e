/* SPDX-License-Identifier: MIT */
/*
 * registry.c - the slots of all tasks of the process. The essay is in the header.
 */
#include "sched/registry.h"

#include "sched/base/assert.h"
#include "sched/overflow.h"

#include <errno.h>
#include <rota/error.h>
#include <stdio.h>
#include <string.h>

/* Numbers are taken in blocks, so that loops do not share a counter at each spawn. */
#define ID_BLOCK 1024

_Static_assert(sizeof(struct rota_task) == 192, "a task header is three cache lines");

static struct roti_slots task_slots = ROTI_SLOTS_INIT(sizeof(struct rota_task));
static _Atomic(uint64_t) next_id = 1;

/* ---- Slots ---- */

struct rota_task *roti_task_slot_get(struct roti_worker *worker)
{
    struct rota_task *task =
        roti_slots_get(&task_slots, worker != NULL ? &worker->task_cache : NULL);
    /* In its first life only. Later it is empty, and stays under the lock: a canceller may still be
     * looking there for somebody who awaited the last life. */
    if (task != NULL && task->joiners.next == NULL) {
        ROTI_PLAIN_WRITE(&task->joiners);
        roti_list_init(&task->joiners);
    }
    return task;
}

void roti_task_slot_put(struct roti_worker *worker, struct rota_task *task)
{
    roti_slots_put(&task_slots, worker != NULL ? &worker->task_cache : NULL, task);
}

void roti_task_slots_drain(struct roti_worker *worker)
{
    roti_slots_drain(&task_slots, &worker->task_cache);
}

void roti_task_slots_forget(void)
{
    roti_slots_forget(&task_slots);
}

size_t roti_task_slots_used(void)
{
    return roti_slots_used(&task_slots);
}

/* A number for a new task. */
static uint64_t take_id(struct roti_worker *worker)
{
    /* [RG1], [RG13] relaxed: only uniqueness matters. */
    if (worker == NULL)
        return roti_fetch_add(RG1, relaxed, &next_id, 1);
    if (worker->next_task_id == worker->last_task_id) {
        worker->next_task_id = roti_fetch_add(RG13, relaxed, &next_id, ID_BLOCK);
        worker->last_task_id = worker->next_task_id + ID_BLOCK;
    }
    return worker->next_task_id++;
}

static uint32_t flags_of(const struct rota_task *task)
{
    /* [RG14] relaxed: marks that nobody acts on but by their value. */
    return roti_load(RG14, relaxed, &task->flags);
}

void roti_task_publish(struct roti_worker *worker, struct rota_task *task, uint32_t flags,
                       uint32_t refs)
{
    task->id = take_id(worker);
    /* [RG2], [RG3], [RG15] relaxed: [RG4] publishes them. The generation is odd in a life. */
    roti_store(RG2, relaxed, &task->flags, flags);
    uint64_t generation = roti_load(RG3, relaxed, &task->generation);
    roti_store(RG15, relaxed, &task->generation, generation + 1);
    roti_state_init(&task->word);
    /* [RG4] release: pairs with [RG5]; a reference is only taken to a complete task. */
    roti_store(RG4, release, &task->refs, refs);
}

/* ---- References ---- */

/* A reference if there is any. Whose life it is must be looked at afterwards. */
static bool try_ref(struct rota_task *task)
{
    uint32_t refs = roti_load(RG6, relaxed, &task->refs);
    do {
        if (refs == 0)
            return false;
        /* [RG5] acquire: pairs with [RG4]; [RG6] relaxed: a guess. */
    } while (!roti_cas_weak(RG5, acquire, &task->refs, &refs, refs + 1));
    return true;
}

bool roti_task_try_ref(struct rota_task *task, uint64_t generation)
{
    if (!try_ref(task))
        return false;
    /* [RG7] relaxed: the reference keeps the slot in this life. */
    if (roti_load(RG7, relaxed, &task->generation) == generation)
        return true;
    rota_task_unref(task);
    return false;
}

struct rota_task *roti_task_ref_running(const struct roti_worker *worker)
{
    struct rota_task *task = roti_worker_task(worker);
    size_t count = task != NULL ? roti_slots_count(&task_slots) : 0;
    /* Only what is among the slots that the count has shown to this thread is looked at. */
    for (size_t i = 0; i < count; i++) {
        if (roti_slots_at(&task_slots, i) != task)
            continue;
        if (!try_ref(task))
            return NULL;
        if (roti_worker_task(worker) == task)
            return task;
        rota_task_unref(task);
        return NULL;
    }
    return NULL;
}

struct rota_task *rota_task_ref(struct rota_task *task)
{
    /* [RG8] relaxed: the caller has a reference, so the count cannot be on its way to zero. */
    if (task != NULL)
        (void)roti_fetch_add(RG8, relaxed, &task->refs, 1U);
    return task;
}

void rota_task_unref(struct rota_task *task)
{
    if (task == NULL)
        return;
    /* [RG9] acq_rel: release what this holder did, acquire what the others did before the end. */
    if (roti_fetch_sub(RG9, acq_rel, &task->refs, 1U) != 1)
        return;
    uint32_t flags = flags_of(task);
    if (task->status < 0 && task->status != -ECANCELED && task->status != ROTA_EXIT &&
        (flags & ROTI_TASK_READ) == 0)
        roti_task_report("a task failed and nobody read its status", task, task->status);
    /* [RG16] relaxed: nobody has a reference that could give it another one. The next life begins
     * without a name, [T11]. */
    roti_name_put(roti_load(RG16, relaxed, &task->name));
    /* [RG10], [RG12] relaxed: nobody has a reference, and whoever takes one to the next life
     * acquires [RG4], and finds another generation than it looks for. */
    uint64_t generation = roti_load(RG12, relaxed, &task->generation);
    roti_store(RG10, relaxed, &task->generation, generation + 1);
    roti_store(RG11, relaxed, &task->word, (uint64_t)ROTI_FREE);
    roti_task_slot_put(roti_worker_current(), task);
}

/* ---- Listing ---- */

void roti_task_visit(struct roti_pool *pool, bool internal,
                     void (*visit)(struct rota_task *task, void *arg), void *arg)
{
    size_t count = roti_slots_count(&task_slots);
    for (size_t i = 0; i < count; i++) {
        struct rota_task *task = roti_slots_at(&task_slots, i);
        if (!try_ref(task))
            continue;
        bool is_internal = (flags_of(task) & ROTI_TASK_INTERNAL) != 0;
        if (task->pool == pool && is_internal == internal && !rota_task_done(task))
            visit(task, arg);
        else
            rota_task_unref(task);
    }
}

/* ---- Overflow ---- */

/* In a signal handler on a thread whose stack has overflowed: no lock, so the name is a risk that
 * is taken. */
void roti_task_describe(const struct roti_stack *stack, char *buf, size_t size)
{
    char where[160];
    const struct rota_task *task = stack->owner;
    if (task == NULL) {
        snprintf(buf, size, "without a task");
        return;
    }
    roti_overflow_describe_address(task->spawned_at, where, sizeof where);
    /* [RG17] relaxed: see above. */
    const char *name = roti_load(RG17, relaxed, &task->name);
    snprintf(buf, size, "%llu [%s], spawned at %s", (unsigned long long)task->id,
             name != NULL ? name : "", where);
}

/* ---- Names ---- */

int rota_task_set_name(struct rota_task *task, const char *name)
{
    if (task == NULL || name == NULL)
        return -EINVAL;
    char *text;
    int r = roti_name_get(name, &text);
    if (r < 0)
        return r;
    roti_spin_lock(&task->lock);
    bool done = rota_task_done(task);
    if (!done) {
        /* [RG18], [RG19] relaxed: under the lock. */
        char *old = roti_load(RG18, relaxed, &task->name);
        roti_store(RG19, relaxed, &task->name, text);
        text = old;
    }
    roti_spin_unlock(&task->lock);
    roti_name_put(text);
    return done ? ROTA_ESTATE : 0;
}

int rota_task_get_name(const struct rota_task *task, char *name, size_t size)
{
    if (task == NULL || (name == NULL && size > 0))
        return -EINVAL;
    char copy[ROTA_TASK_NAME_SIZE];
    struct rota_task *shared = (struct rota_task *)(uintptr_t)task; /* the lock is not const */
    roti_spin_lock(&shared->lock);
    /* [RG20] relaxed: as [RG18]. */
    const char *text = roti_load(RG20, relaxed, &shared->name);
    if (text != NULL)
        memcpy(copy, text, sizeof copy);
    roti_spin_unlock(&shared->lock);
    if (text == NULL)
        snprintf(copy, sizeof copy, "Task-%llu", (unsigned long long)task->id);
    size_t length = strlen(copy);
    if (size > 0) {
        size_t shown = length < size ? length : size - 1;
        memcpy(name, copy, shown);
        name[shown] = '\0';
    }
    return (int)length;
}

uint64_t rota_task_id(const struct rota_task *task)
{
    return task != NULL ? task->id : 0;
}
