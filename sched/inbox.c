/* SPDX-License-Identifier: MIT */
/*
 * inbox.c - what other threads hand to a loop. The essay is in the header.
 */
#include "sched/inbox.h"

#include "sched/base/assert.h"

#include <stddef.h>

struct roti_link roti_inbox_closed_mark;

void roti_inbox_init(struct roti_inbox *inbox)
{
    /* Before the inbox is shared. */
    roti_store(I1, relaxed, &inbox->posts, NULL);
    roti_store(I2, relaxed, &inbox->tasks, NULL);
    roti_store(I3, relaxed, &inbox->state, ROTI_INBOX_RUNNING);
}

bool roti_inbox_notify(struct roti_inbox *inbox)
{
    /* [I6] release: pairs with [I10]; the push before it is visible to an owner whose park fails,
     * or who is woken. All changes of the state are read-modify-writes, so this one comes either
     * before the owner's park, which then fails, or after it, and then finds PARKED. */
    return roti_exchange(I6, release, &inbox->state, (uint32_t)ROTI_INBOX_NOTIFIED) ==
           ROTI_INBOX_PARKED;
}

/* Turns a list that was taken, newest first, around and behind what `into` holds. */
static unsigned append_reversed(struct roti_link *newest, struct roti_fifo *into)
{
    unsigned count = 0;
    struct roti_fifo taken;
    if (newest == NULL)
        return 0;
    taken.tail = &newest->next;
    struct roti_link *oldest = NULL;
    while (newest != NULL) {
        roti_prefetch_write(newest); /* its poster's core has the line, and we write to it */
        ROTI_PLAIN_READ(&newest->next);
        struct roti_link *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
        count++;
    }
    taken.head = oldest;
    roti_fifo_append(into, &taken);
    return count;
}

unsigned roti_inbox_take(_Atomic(struct roti_link *) *list, struct roti_fifo *into)
{
    if (roti_inbox_empty(list))
        return 0;
    /* [I7] acquire: pairs with [I5]; each push continues the release sequence of those before. A
     * list is closed only when no other thread takes from it. */
    return append_reversed(roti_exchange(I7, acquire, list, NULL), into);
}

bool roti_inbox_empty(_Atomic(struct roti_link *) *list)
{
    /* [I8] relaxed: a hint while awake. A parking loop's last look stands behind [I9], which fails
     * if a pusher that found the list empty has notified; one that has not will find PARKED. */
    struct roti_link *head = roti_load(I8, relaxed, list);
    return head == NULL || head == &roti_inbox_closed_mark;
}

bool roti_inbox_parked(const struct roti_inbox *inbox)
{
    /* [I13] relaxed: a hint, or the look that a Dekker function orders after a mark. */
    return roti_load(I13, relaxed, &inbox->state) == ROTI_INBOX_PARKED;
}

bool roti_inbox_park(struct roti_inbox *inbox)
{
    uint32_t running = ROTI_INBOX_RUNNING;
    /* [I9] relaxed: only its place in the order of changes of this word counts, see [I6]. When it
     * fails, [I10] acquires what the notifier did. */
    if (roti_cas(I9, relaxed, &inbox->state, &running, (uint32_t)ROTI_INBOX_PARKED))
        return true;
    ROTI_ASSERT(running == ROTI_INBOX_NOTIFIED);
    roti_inbox_unpark(inbox);
    return false;
}

bool roti_inbox_unpark(struct roti_inbox *inbox)
{
    /* [I10] acquire: pairs with [I6]; what was pushed before a notification that is wiped out here
     * is visible to the look that follows. */
    return roti_exchange(I10, acquire, &inbox->state, (uint32_t)ROTI_INBOX_RUNNING) ==
           ROTI_INBOX_NOTIFIED;
}

void roti_inbox_close(_Atomic(struct roti_link *) *list, struct roti_fifo *into)
{
    /* [I11] acquire: as [I7]. */
    struct roti_link *newest = roti_exchange(I11, acquire, list, &roti_inbox_closed_mark);
    if (newest != &roti_inbox_closed_mark)
        append_reversed(newest, into);
}
