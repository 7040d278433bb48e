/* SPDX-License-Identifier: MIT */
/*
 * task_stand_in.c - tasks without stacks and loops. See the header.
 */
#include "tests/sched/model/task_stand_in.h"

#include "sched/base/assert.h"
#include "sched/worker.h"

#include <errno.h>
#include <string.h>

struct stand_in stand_ins[STAND_IN_TASKS];
static struct roti_worker workers[STAND_IN_TASKS];
static unsigned task_count;
static unsigned running_count;
static bool with_runner;
static _Atomic(unsigned) ended;

static struct stand_in *stand_in_of(struct rota_task *task)
{
    return roti_container_of(task, struct stand_in, task);
}

void stand_in_reset(unsigned count)
{
    memset(stand_ins, 0, sizeof stand_ins);
    memset(workers, 0, sizeof workers);
    task_count = count;
    running_count = count;
    with_runner = false;
    roti_store(TS1, relaxed, &ended, 0);
    for (unsigned i = 0; i < count; i++) {
        struct rota_task *task = &stand_ins[i].task;
        task->frame = &stand_ins[i].frame;
        task->id = i + 1;
        roti_list_init(&task->joiners);
        roti_state_init(&task->word);
        roti_store(TS2, relaxed, &task->refs, 2);
        roti_worker_set_task(&workers[i], task);
    }
}

void stand_in_use_runner(void)
{
    with_runner = true;
}

uint64_t stand_in_word(unsigned index)
{
    return roti_load(TS3, relaxed, &stand_ins[index].task.word);
}

int stand_in_count(int r)
{
    if (r == -ECANCELED)
        stand_ins[model_self()].delivered++;
    return r;
}

/* ---- What the product asks of its surroundings ---- */

struct roti_worker *roti_worker_current(void)
{
    int self = model_self();
    return self >= 0 && self < (int)task_count ? &workers[self] : NULL;
}

bool roti_worker_in_task(void)
{
    return roti_worker_current() != NULL;
}

struct rota_task *rota_current_task(void)
{
    struct roti_worker *worker = roti_worker_current();
    return worker != NULL ? roti_worker_task(worker) : NULL;
}

void roti_task_enqueue(struct rota_task *task)
{
    /* [TS4] release: pairs with [TS9]; a queue hands over what its pusher has seen. Never twice. */
    bool twice = roti_exchange(TS4, release, &stand_in_of(task)->queued, true);
    MODEL_ASSERT(!twice);
}

void roti_task_enqueue_from(struct roti_worker *self, struct rota_task *task)
{
    (void)self;
    roti_task_enqueue(task);
}

uint64_t roti_worker_task_id(const struct roti_worker *worker)
{
    return worker != NULL ? roti_worker_task(worker)->id : 0;
}

void roti_task_count_call(void) {}

void roti_task_enqueue_away(struct rota_task *task)
{
    roti_task_enqueue(task);
}

void roti_thread_wait_wake(struct roti_thread_waiter *waiter)
{
    (void)waiter;
    model_fail("no thread waits here");
}

struct rota_task *rota_task_ref(struct rota_task *task)
{
    uint32_t refs = roti_fetch_add(TS5, relaxed, &task->refs, 1U);
    MODEL_ASSERT(refs > 0);
    return task;
}

void rota_task_unref(struct rota_task *task)
{
    uint32_t refs = roti_fetch_sub(TS6, relaxed, &task->refs, 1U);
    MODEL_ASSERT(refs > 1);
}

/* ---- Running ---- */

static bool is_queued(void *arg)
{
    return roti_load(TS7, relaxed, &((struct stand_in *)arg)->queued);
}

static bool is_resumed(void *arg)
{
    return roti_load(TS8, relaxed, &((struct stand_in *)arg)->resumed);
}

/* Takes the task out of the queue and switches to it. */
static void resume(struct stand_in *stand_in)
{
    /* [TS9] acquire: pairs with [TS4]. */
    bool queued = roti_exchange(TS9, acquire, &stand_in->queued, false);
    MODEL_ASSERT(queued);
    ROTI_PLAIN_READ(&stand_in->registers);
    MODEL_ASSERT(stand_in->registers == 1);
    ROTI_PLAIN_WRITE(&stand_in->registers);
    stand_in->registers = 0;
    stand_in->resumes++;
}

int roti_task_switch_out(struct roti_worker *worker, struct rota_task *task, enum roti_switch why)
{
    (void)worker;
    struct stand_in *stand_in = stand_in_of(task);
    MODEL_ASSERT(why == ROTI_SWITCH_PARK);
    ROTI_PLAIN_WRITE(&stand_in->registers);
    MODEL_ASSERT(stand_in->registers == 0);
    stand_in->registers = 1;
    if (roti_state_parked(&task->word) == ROTI_NEXT_ENQUEUE)
        roti_task_enqueue(task);
    if (with_runner) {
        model_wait_until(is_resumed, stand_in);
        (void)roti_exchange(TS10, acquire, &stand_in->resumed, false); /* [TS10] see [TS11] */
    } else {
        model_wait_until(is_queued, stand_in);
        resume(stand_in);
    }
    return (int)roti_wait_outcome(task);
}

static bool is_any_queued(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < task_count; i++)
        if (is_queued(&stand_ins[i]))
            return true;
    return roti_load(TS12, relaxed, &ended) == running_count;
}

void stand_in_runner(unsigned thread)
{
    (void)thread;
    for (;;) {
        model_wait_until(is_any_queued, NULL);
        unsigned i = 0;
        while (i < task_count && !roti_load(TS13, relaxed, &stand_ins[i].queued))
            i++;
        if (i == task_count) {
            if (roti_load(TS14, relaxed, &ended) == running_count)
                return;
            continue;
        }
        resume(&stand_ins[i]);
        /* [TS11] release: pairs with [TS10]; together the switch, on one thread in truth. */
        (void)roti_exchange(TS11, release, &stand_ins[i].resumed, true);
    }
}

void stand_in_complete(int status)
{
    struct rota_task *task = rota_current_task();
    struct roti_list woken;
    struct roti_wait *wait;
    roti_list_init(&woken);
    roti_spin_lock(&task->lock);
    ROTI_PLAIN_WRITE(&task->status);
    task->status = status;
    uint64_t word = roti_state_finish(&task->word);
    while ((wait = roti_wait_first(&task->joiners)) != NULL)
        if (roti_wait_claim(wait, roti_join_result(wait, word)))
            roti_list_push_back(&woken, &wait->link);
    roti_spin_unlock(&task->lock);
    roti_wait_wake_all(&woken);
    (void)roti_fetch_add(TS15, relaxed, &ended, 1U);
}
