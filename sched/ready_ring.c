/* SPDX-License-Identifier: MIT */
/*
 * ready_ring.c - the work-stealing queue of a loop's ready tasks. The essay is in the header.
 */
#include "sched/ready_ring.h"

#include "sched/base/assert.h"

_Static_assert((ROTI_RING_CAPACITY & (ROTI_RING_CAPACITY - 1)) == 0 && ROTI_RING_CAPACITY >= 2,
               "a power of two");

void roti_ring_init(struct roti_ring *ring)
{
    /* Before the ring is shared: thread creation publishes it. */
    roti_store(R1, relaxed, &ring->head, 0);
    roti_store(R2, relaxed, &ring->tail, 0);
    roti_store(R25, relaxed, &ring->overflow_count, 0);
    roti_fifo_init(&ring->overflow);
}

/* The items of the overflow list, for a figure or a thief's first look. */
static uint64_t overflow_count(const struct roti_ring *ring)
{
    /* [R27] relaxed: a thief that sees too many finds none under the lock; too few it finds when it
     * comes again, as it looks at all rings by roti_ring_empty() before it sleeps. */
    return roti_load(R27, relaxed, &ring->overflow_count);
}

/* Whether the owner must look at the overflow list. */
static bool overflows(const struct roti_ring *ring)
{
    /* [R12] relaxed: only the owner raises it; a thief that empties it meanwhile does no harm. */
    return roti_load(R12, relaxed, &ring->overflow_count) != 0;
}

/* Appends to the overflow list, which thieves see once the count is written. */
static void overflow_push(struct roti_ring *ring, struct roti_link *item)
{
    roti_spin_lock(&ring->overflow_lock);
    ROTI_PLAIN_WRITE(&ring->overflow);
    roti_fifo_push(&ring->overflow, item);
    /* [R4] relaxed: written under the lock. */
    uint64_t count = roti_load(R4, relaxed, &ring->overflow_count);
    /* [R5] relaxed: whoever reads it without the lock only decides whether to lock; for a parked
     * loop's last look the Dekker functions order it. */
    roti_store(R5, relaxed, &ring->overflow_count, count + 1);
    roti_spin_unlock(&ring->overflow_lock);
}

/* Takes up to `max` of the overflow list, oldest first. Returns how many. A thief. */
static int overflow_take(struct roti_ring *ring, struct roti_link **out, int max)
{
    int taken = 0;
    roti_spin_lock(&ring->overflow_lock);
    ROTI_PLAIN_WRITE(&ring->overflow);
    while (taken < max && (out[taken] = roti_fifo_pop(&ring->overflow)) != NULL)
        taken++;
    /* [R6] relaxed, as [R4]. */
    uint64_t count = roti_load(R6, relaxed, &ring->overflow_count);
    /* [R20] relaxed: what a thief takes is looked after by its searcher's token. */
    roti_store(R20, relaxed, &ring->overflow_count, count - (uint64_t)taken);
    roti_spin_unlock(&ring->overflow_lock);
    return taken;
}

/* The owner's own counter. */
static uint64_t own_tail(const struct roti_ring *ring)
{
    /* [R8] relaxed: only the owner writes the tail. */
    return roti_load(R8, relaxed, &ring->tail);
}

/* Appends to the ring itself. False when it is full. */
static bool ring_append(struct roti_ring *ring, struct roti_link *item)
{
    uint64_t tail = own_tail(ring);
    /* [R9] acquire: pairs with [R19]; a thief has read the slots that it has passed, before they
     * are written again below. */
    uint64_t head = roti_load(R9, acquire, &ring->head);
    if (tail - head >= ROTI_RING_CAPACITY)
        return false;
    /* [R10] relaxed: published by [R11]. Atomic, as a thief that will lose may be reading it. */
    roti_store(R10, relaxed, &ring->slot[tail & ROTI_RING_MASK], item);
    /* [R11] release: pairs with [R17]; the slot and what the item points to are visible. */
    roti_store(R11, release, &ring->tail, tail + 1);
    return true;
}

void roti_ring_push(struct roti_ring *ring, struct roti_link *item)
{
    if (overflows(ring) || !ring_append(ring, item))
        overflow_push(ring, item);
}

uint64_t roti_ring_count(const struct roti_ring *ring)
{
    /* [R23], [R24] relaxed: a figure for reports and placement. The owner reads its own tail and a
     * head that may be old, so that it never counts too few. */
    uint64_t head = roti_load(R23, relaxed, &ring->head);
    uint64_t tail = roti_load(R24, relaxed, &ring->tail);
    uint64_t count = tail - head <= ROTI_RING_CAPACITY ? tail - head : 0;
    return count + overflow_count(ring);
}

/*
 * Refills an empty ring by half from the overflow list. False if there was nothing. [I4]: what
 * moves is in the ring before it is gone from the list. Were it in neither for a moment, another
 * loop could take its last look just then and sleep, while this one goes on to a task that keeps
 * it.
 */
static bool ring_refill(struct roti_ring *ring)
{
    uint64_t moved = 0;
    struct roti_link *item;
    if (!overflows(ring))
        return false;
    roti_spin_lock(&ring->overflow_lock);
    ROTI_PLAIN_WRITE(&ring->overflow);
    while (moved < ROTI_STEAL_MAX && (item = roti_fifo_pop(&ring->overflow)) != NULL) {
        bool appended = ring_append(ring, item);
        ROTI_ASSERT(appended); /* [I1]: half a ring fits into an empty one */
        moved++;
    }
    /* [R3] relaxed, as [R4]. */
    uint64_t count = roti_load(R3, relaxed, &ring->overflow_count);
    /* [R7] release: pairs with [R13]; the tails written by [R11] above are seen by whoever sees
     * this. */
    roti_store(R7, release, &ring->overflow_count, count - moved);
    roti_spin_unlock(&ring->overflow_lock);
    return moved > 0;
}

struct roti_link *roti_ring_pop(struct roti_ring *ring)
{
    for (;;) {
        uint64_t tail = own_tail(ring);
        /* [R16] relaxed: the slots below the tail are the owner's own stores. */
        uint64_t head = roti_load(R16, relaxed, &ring->head);
        while (head != tail) {
            /* [R26] relaxed: the owner's own store. */
            struct roti_link *item = roti_load(R26, relaxed, &ring->slot[head & ROTI_RING_MASK]);
            /* [R21] relaxed: orders nothing but who gets the item; a thief's [R19] before it stays
             * in the release sequence that [R9] reads. */
            if (roti_cas_weak(R21, relaxed, &ring->head, &head, head + 1))
                return item;
        }
        if (!ring_refill(ring))
            return NULL;
    }
}

int roti_ring_steal(struct roti_ring *ring, struct roti_link **out)
{
    /* [R22] relaxed: a guess, which [R19] checks. The tail may be older, and so below it: lost. */
    uint64_t head = roti_load(R22, relaxed, &ring->head);
    /* [R17] acquire: pairs with [R11]; the slots below the tail, and the items, are visible. */
    uint64_t tail = roti_load(R17, acquire, &ring->tail);
    if (tail == head)
        return overflow_count(ring) == 0 ? 0 : overflow_take(ring, out, ROTI_STEAL_MAX);
    if (tail - head > ROTI_RING_CAPACITY)
        return ROTI_STEAL_LOST;

    uint64_t count = (tail - head + 1) / 2;
    for (uint64_t i = 0; i < count; i++)
        /* [R18] relaxed: if the owner reuses the slot meanwhile, the head has moved and [R19]
         * fails. */
        out[i] = roti_load(R18, relaxed, &ring->slot[(head + i) & ROTI_RING_MASK]);
    uint64_t claimed = head;
    /* [R19] release: pairs with [R9], which keeps [R18] before the reuse of the slots. Acquires
     * nothing: [R17] has, and a later thief's swap continues this one's release sequence. */
    if (!roti_cas(R19, release, &ring->head, &claimed, head + count))
        return ROTI_STEAL_LOST;
    for (uint64_t i = 0; i < count; i++)
        ROTI_LOAD_KEPT(&ring->slot[(head + i) & ROTI_RING_MASK]);
    return (int)count;
}
