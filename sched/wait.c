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
    *wait = (struct roti_wait){
        .task = rota_current_task(),
        .object = object,
        .kind = (uint8_t)kind,
        .index = (uint8_t)index,
    };
    roti_list_init(&wait->link);
}

int roti_wait_begin(uint64_t flags)
{
    if (!roti_worker_in_task())
        return ROTA_ENOTASK;
    struct rota_task *task = roti_worker_current()->current;
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

int roti_wait_suspend(void)
{
    struct rota_task *task = roti_worker_current()->current;
    if (!roti_state_stay(&task->word, false))
        roti_task_switch_out(task, ROTI_SWITCH_PARK);
    task->frame->wait = NULL;
    /* [WT1] relaxed: the claim was ordered before this by the transition to RUNNING. */
    uint64_t word = roti_load(WT1, relaxed, &task->word);
    unsigned winner = roti_word_winner(word);
    if (winner != ROTI_WINNER_CANCEL)
        return (int)winner;
    if ((word & ROTI_KEEPS) == 0)
        (void)roti_state_deliver(&task->word); /* an uncancel may have come: woken all the same */
    return -ECANCELED;
}

void roti_wait_abandon(void)
{
    struct rota_task *task = roti_worker_current()->current;
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
    struct rota_task *self = rota_current_task();
    /* [WT2] relaxed: for the dump, which may hold the task just now. */
    roti_store(WT2, relaxed, &wait->task->frame->waker, self != NULL ? self->id : 0);
    return true;
}

/* Wakes one claimed waiter: at this loop, or where it last ran. */
static void wake(struct roti_wait *wait, bool away)
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
    else
        roti_task_enqueue(task);
}

void roti_wait_wake(struct roti_wait *wait)
{
    wake(wait, false);
}

void roti_wait_wake_all(struct roti_list *woken)
{
    struct roti_list *node;
    for (unsigned count = 0; (node = roti_list_pop_front(woken)) != NULL; count++)
        wake(roti_container_of(node, struct roti_wait, link), count >= WAKE_HERE_MAX);
}
