/* SPDX-License-Identifier: MIT */
/*
 * wait.c - the one wait mechanism. The pattern of its use is in the header.
 */
#include "sched/wait.h"

#include "sched/base/assert.h"
#include "sched/task_impl.h"
#include "sched/worker.h"

#include <errno.h>
#include <rota/error.h>

/* So many tasks woken at once go to the waker's own ring; the rest to where they last ran. */
#define WAKE_HERE_MAX 64

void roti_wait_init(struct roti_wait *wait, enum roti_wait_kind kind, const void *object,
                    unsigned index)
{
    roti_wait_init_of(wait, rota_current_task(), kind, object, index);
}

int roti_wait_begin(uint64_t flags)
{
    struct roti_worker *worker = roti_worker_current();
    if (!roti_worker_may_suspend(worker))
        return ROTA_ENOTASK;
    struct rota_task *task = roti_worker_task(worker);
    return roti_state_begin(&task->word, flags) ? 0 : -ECANCELED;
}

void roti_wait_link(struct roti_wait *wait, struct roti_list *waits)
{
    ROTI_DEBUG_ASSERT(!wait->linked);
    ROTI_PLAIN_WRITE(waits);
    ROTI_PLAIN_WRITE(&wait->linked);
    wait->linked = true;
    roti_list_push_back(waits, &wait->link);
    if (wait->task != NULL && wait->task->frame->wait == NULL)
        wait->task->frame->wait = wait;
}

void roti_wait_unlink(struct roti_wait *wait)
{
    ROTI_PLAIN_READ(&wait->linked);
    if (!wait->linked)
        return;
    wait->linked = false;
    roti_list_remove(&wait->link);
}

intptr_t roti_wait_outcome(struct rota_task *task)
{
    task->frame->wait = NULL;
    /* [WT1] relaxed: the claim came before, by the queue that handed it over, or by `stay`. */
    uint64_t word = roti_load(WT1, relaxed, &task->word);
    unsigned winner = roti_word_winner(word);
    if (winner != ROTI_WINNER_CANCEL)
        return (int)winner;
    if ((word & ROTI_KEEPS) == 0)
        (void)roti_state_deliver(&task->word); /* an uncancel may have come: woken all the same */
    return -ECANCELED;
}

int roti_wait_suspend(void)
{
    return roti_wait_suspend_on(roti_worker_current());
}

int roti_wait_suspend_on(struct roti_worker *worker)
{
    struct rota_task *task = roti_worker_task(worker);
    if (roti_state_stay(&task->word, false))
        return (int)roti_wait_outcome(task);
    return roti_task_switch_out(worker, task, ROTI_SWITCH_PARK);
}

void roti_wait_abandon(void)
{
    struct rota_task *task = roti_worker_task(roti_worker_current());
    while (!roti_state_stay(&task->word, true))
        roti_pause(); /* a claimer that will let go in a few instructions */
    task->frame->wait = NULL;
}

struct roti_wait *roti_wait_first(struct roti_list *waits)
{
    ROTI_PLAIN_WRITE(waits);
    struct roti_list *node = roti_list_pop_front(waits);
    if (node == NULL)
        return NULL;
    struct roti_wait *wait = roti_container_of(node, struct roti_wait, link);
    ROTI_PLAIN_WRITE(&wait->linked);
    wait->linked = false;
    return wait;
}

bool roti_wait_claim(struct roti_wait *wait, int64_t result)
{
    uint64_t waker = wait->task != NULL ? roti_worker_task_id(roti_worker_current()) : 0;
    return roti_wait_claim_by(wait, result, waker);
}

bool roti_wait_claim_by(struct roti_wait *wait, int64_t result, uint64_t waker)
{
    ROTI_DEBUG_ASSERT(!wait->linked); /* [W1] */
    if (wait->task == NULL) {
        wait->result = result;
        return true;
    }
    enum roti_next next = roti_state_claim(&wait->task->word, wait->index);
    if (next == ROTI_NEXT_NOTHING)
        return false; /* [W2] */
    ROTI_PLAIN_WRITE(&wait->result);
    wait->next = (uint8_t)next;
    wait->result = result;
    /* [WT2] relaxed: for the dump, which may hold the task just now. */
    roti_store(WT2, relaxed, &wait->task->frame->waker, waker);
    return true;
}

/* Wakes one claimed waiter: at `self`, this thread's worker (NULL: none), or where it last ran. */
static void wake(struct roti_worker *self, struct roti_wait *wait, bool away)
{
    ROTI_PLAIN_READ(&wait->result);
    if (wait->task == NULL) {
        roti_thread_wait_wake(wait->thread);
        return;
    }
    struct rota_task *task = wait->task; /* the wait is gone once the task may run */
    if (wait->next == ROTI_NEXT_RELEASE && roti_state_release(&task->word) != ROTI_NEXT_ENQUEUE)
        return;
    if (away)
        roti_task_enqueue_away(task);
    else if (self != NULL && self->pool == task->pool)
        roti_task_enqueue_from(self, task);
    else
        roti_task_enqueue(task);
}

void roti_wait_wake(struct roti_wait *wait)
{
    wake(roti_worker_current(), wait, false);
}

void roti_wait_wake_all(struct roti_list *woken)
{
    if (!roti_list_empty(woken))
        roti_wait_wake_all_from(roti_worker_current(), woken);
}

void roti_wait_wake_all_from(struct roti_worker *self, struct roti_list *woken)
{
    struct roti_list *node;
    for (unsigned count = 0; (node = roti_list_pop_front(woken)) != NULL; count++)
        wake(self, roti_container_of(node, struct roti_wait, link), count >= WAKE_HERE_MAX);
}
