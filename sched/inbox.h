/* SPDX-License-Identifier: MIT */
/*
 * inbox.h - what other threads hand to a loop, and whether that loop must be woken for it.
 *
 * Concept.    Two lists to which any thread pushes with one compare-and-swap: `posts` (callbacks
 *             and pinned tasks, which only the owner takes) and `tasks` (unpinned ones, which the
 *             owner or a thief takes). One state word {RUNNING, NOTIFIED, PARKED}, changed only by
 *             read-modify-write, says whether the owner sleeps. Whoever makes a list non-empty
 *             notifies; who adds to a non-empty list need not, as the one before does. So a burst
 *             of a million posts to a sleeping loop is one system call, and posts to a running loop
 *             are none.
 * Rejected.   A queue with a lock: a preempted poster would stop the loop. A notification for each
 *             post: one more read-modify-write on a contended line.
 * Invariants. I1 A list holds items only while the state is NOTIFIED, or a pusher that found the
 *                list empty is on its way to notify, or the owner is awake and will look before it
 *                parks.
 *             I2 PARKED is left only by the owner, or to NOTIFIED by the one notifier who then
 *                wakes.
 *             I3 A closed list takes no item, for ever.
 * Threads.    push, notify: any. take, empty: of `tasks` any worker of the pool, of `posts` the
 *             owner. All others: the owner; close once nobody else takes.
 */
#ifndef ROTI_INBOX_H
#define ROTI_INBOX_H

#include "sched/base/atomic.h"
#include "sched/base/list.h"

enum roti_inbox_state {
    ROTI_INBOX_RUNNING,
    ROTI_INBOX_NOTIFIED,
    ROTI_INBOX_PARKED,
};

struct roti_inbox {
    alignas(ROTI_CACHE_LINE) _Atomic(struct roti_link *) posts; /* newest first */
    _Atomic(struct roti_link *) tasks;                          /* newest first */
    _Atomic(uint32_t) state;                                    /* enum roti_inbox_state */
};

enum roti_push {
    ROTI_PUSH_CLOSED, /* not taken */
    ROTI_PUSHED,      /* behind others: nothing to do */
    ROTI_PUSH_FIRST,  /* the caller must notify */
};

#ifdef __cplusplus
extern "C" {
#endif

/* The head of a closed list: an address that no item has. */
extern struct roti_link roti_inbox_closed_mark;

void roti_inbox_init(struct roti_inbox *inbox);

/* Pushes to one of the two lists. */
static inline enum roti_push roti_inbox_push(_Atomic(struct roti_link *) *list,
                                             struct roti_link *item)
{
    /* [I4] relaxed: a guess, which [I5] checks. */
    struct roti_link *head = roti_load(I4, relaxed, list);
    do {
        if (head == &roti_inbox_closed_mark)
            return ROTI_PUSH_CLOSED;
        ROTI_PLAIN_WRITE(&item->next);
        item->next = head;
        /* [I5] release: pairs with [I7]; the item and its link are visible to the taker. */
    } while (!roti_cas_weak(I5, release, list, &head, item));
    return head == NULL ? ROTI_PUSH_FIRST : ROTI_PUSHED;
}

/* Tells the owner to look. True: it sleeps, and the caller must wake it. */
bool roti_inbox_notify(struct roti_inbox *inbox);

/* Takes a whole list, oldest first, behind what `into` holds. Returns the number of items. */
unsigned roti_inbox_take(_Atomic(struct roti_link *) *list, struct roti_fifo *into);

/* Whether an open list holds nothing. The owner, before it takes. */
static inline bool roti_inbox_quiet(_Atomic(struct roti_link *) *list)
{
    /* [I12] relaxed: as [I8] while awake. */
    return roti_load(I12, relaxed, list) == NULL;
}

/* Whether the owner sleeps, or is about to. A hint, but behind a Dekker function. Any thread. */
bool roti_inbox_parked(const struct roti_inbox *inbox);

/* Whether a list holds nothing (or is closed). */
bool roti_inbox_empty(_Atomic(struct roti_link *) *list);

/* RUNNING -> PARKED; false, and RUNNING again, if there was a notification: look at the lists. */
bool roti_inbox_park(struct roti_inbox *inbox);

/* Any -> RUNNING, after a park. True if a notifier woke the owner. */
bool roti_inbox_unpark(struct roti_inbox *inbox);

/* Closes a list and takes what it held. */
void roti_inbox_close(_Atomic(struct roti_link *) *list, struct roti_fifo *into);

#ifdef __cplusplus
}
#endif

#endif
