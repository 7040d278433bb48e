/* SPDX-License-Identifier: MIT */
/*
 * cancel.c - cancellation requests: made, forwarded down a chain of awaits, taken back.
 */
#include "sched/cancel.h"

#include <errno.h>

/* The wait by which `awaiter` is linked in `child`, or NULL. Child's lock held. */
static struct roti_wait *find_joiner(struct rota_task *child, const struct rota_task *awaiter)
{
    ROTI_PLAIN_READ(&child->joiners);
    for (struct roti_list *node = child->joiners.next; node != &child->joiners; node = node->next) {
        struct roti_wait *wait = roti_container_of(node, struct roti_wait, link);
        if (wait->task == awaiter)
            return wait;
    }
    return NULL;
}

/* Makes the request in `task`. *ret_next may be FORWARD: counted, and to be passed on. */
static unsigned request(struct rota_task *task, enum roti_next *ret_next)
{
    unsigned deliveries = 0;
    enum roti_next next = roti_state_cancel(&task->word, true, &deliveries);
    *ret_next = next;
    return deliveries;
}

/*
 * Passes the counted request of `awaiter` on to the task that it awaits. Returns that task with a
 * reference of ours if it awaits another in turn; NULL when the request has arrived somewhere.
 */
static struct rota_task *forward_once(struct rota_task *awaiter)
{
    for (;;) {
        /* [CN1] relaxed: [J3] stands under the child's lock, which is taken below after that: were
         * it taken before, this load would happen before the store that it reads. So the wait is
         * found if it is linked, and a stale value is found out. */
        struct rota_task *child = roti_load(CN1, relaxed, &awaiter->awaited);
        enum roti_next next = ROTI_NEXT_NOTHING;
        if (child != NULL) {
            roti_spin_lock(&child->lock);
            struct roti_wait *wait = find_joiner(child, awaiter);
            if (wait != NULL) {
                unsigned ticket = request(child, &next);
                ROTI_PLAIN_WRITE(&wait->forwarded);
                if (!wait->forwarded)
                    wait->first_ticket = (uint16_t)ticket;
                wait->last_ticket = (uint16_t)ticket;
                wait->forwarded = true;
                rota_task_ref(child); /* it is not done: its runtime's reference is there */
                roti_spin_unlock(&child->lock);
                if (next == ROTI_NEXT_ENQUEUE)
                    roti_task_enqueue(child);
                if (next == ROTI_NEXT_FORWARD)
                    return child;
                rota_task_unref(child);
                return NULL;
            }
            roti_spin_unlock(&child->lock);
        }
        /* Not linked: about to be, or no more. In the second case it is marked here. */
        /* [CN2] relaxed: what follows is another look, or a swap of the word. */
        uint64_t word = roti_load(CN2, relaxed, &awaiter->word);
        enum roti_state state = roti_word_state(word);
        if ((state == ROTI_PARKING || state == ROTI_WAITING) && (word & ROTI_FORWARDS) != 0) {
            roti_pause();
            continue;
        }
        if (roti_state_return_request(&awaiter->word) == ROTI_NEXT_ENQUEUE)
            roti_task_enqueue(awaiter);
        return NULL;
    }
}

bool roti_task_cancel_request(struct rota_task *task, unsigned *ret_ticket)
{
    enum roti_next next;
    unsigned ticket = request(task, &next);
    if (next == ROTI_NEXT_DONE)
        return false;
    if (ret_ticket != NULL)
        *ret_ticket = ticket;
    if (next == ROTI_NEXT_ENQUEUE)
        roti_task_enqueue(task);
    if (next != ROTI_NEXT_FORWARD)
        return true;
    struct rota_task *awaiter = rota_task_ref(task);
    while (awaiter != NULL) {
        struct rota_task *child = forward_once(awaiter);
        rota_task_unref(awaiter);
        awaiter = child;
    }
    return true;
}

unsigned roti_task_uncancel_ticket(struct rota_task *task, unsigned ticket)
{
    return roti_state_uncancel(&task->word, ticket);
}

int64_t roti_join_result(const struct roti_wait *wait, uint64_t final_word)
{
    ROTI_PLAIN_READ(&wait->forwarded);
    uint16_t deliveries = (uint16_t)roti_word_deliveries(final_word);
    if (!wait->forwarded)
        return 0;
    return (wait->first_ticket != deliveries ? ROTI_JOIN_DELIVERED : 0) |
           (wait->last_ticket == deliveries ? ROTI_JOIN_RETURNED : 0);
}

void roti_join_settle(struct rota_task *self, int64_t result)
{
    if ((result & ROTI_JOIN_DELIVERED) != 0)
        roti_state_deliver_forwarded(&self->word);
    if ((result & ROTI_JOIN_RETURNED) != 0)
        (void)roti_state_return_request(&self->word); /* it is running: nothing to enqueue */
}

int rota_task_cancel(struct rota_task *task)
{
    if (task == NULL)
        return -EINVAL;
    /* [CN3] relaxed: says only that nobody needs to be told of a failure any more. */
    if (rota_task_done(task))
        (void)roti_fetch_or(CN3, relaxed, &task->flags, ROTI_TASK_READ);
    return roti_task_cancel_request(task, NULL) ? 1 : 0;
}

int rota_task_cancelling(const struct rota_task *task)
{
    if (task == NULL)
        return -EINVAL;
    /* [CN4] acquire: pairs with [W2]; what came before the requests that are counted is visible. */
    return (int)roti_word_requests(roti_load(CN4, acquire, &task->word));
}

int rota_task_uncancel(struct rota_task *task)
{
    if (task == NULL)
        return -EINVAL;
    return (int)roti_state_uncancel(&task->word, ROTI_TICKET_NONE);
}
