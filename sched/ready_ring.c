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
    roti_store(R3, relaxed, &ring->overflow_count, 0);
    roti_fifo_init(&ring->overflow);
}

/* Appends to the overflow list, which thieves see once the count is written. */
static void overflow_push(struct roti_ring *ring, struct roti_link *item)
{
    roti_spin_lock(&ring->overflow_lock);
    ROTI_PLAIN_WRITE(&ring->overflow);
    roti_fifo_push(&ring->overflow, item);
    /* [R4] relaxed: written under the lock; whoever reads it without only decides whether to lock. */
    uint64_t count = roti_load(R4, relaxed, &ring->overflow_count);
    /* [R5] release: pairs with [R13] of a parked loop's last look; see roti_ring_empty(). */
    roti_store(R5, release, &ring->overflow_count, count + 1);
    roti_spin_unlock(&ring->overflow_lock);
}

/* Takes up to `max` of the overflow list, oldest first. Returns how many. */
static int overflow_take(struct roti_ring *ring, struct roti_link **out, int max)
{
    int taken = 0;
    roti_spin_lock(&ring->overflow_lock);
    ROTI_PLAIN_WRITE(&ring->overflow);
    while (taken < max && (out[taken] = roti_fifo_pop(&ring->overflow)) != NULL)
        taken++;
    /* [R6] relaxed, as [R4]. */
    uint64_t count = roti_load(R6, relaxed, &ring->overflow_count);
    /* [R7] relaxed: it only falls here; a reader of the old value locks in vain. */
    roti_store(R7, relaxed, &ring->overflow_count, count - (uint64_t)taken);
    roti_spin_unlock(&ring->overflow_lock);
    return taken;
}

/* Appends to the ring itself. False when it is full. */
static bool ring_append(struct roti_ring *ring, struct roti_link *item)
{
    /* [R8] relaxed: only the owner writes the tail. */
    uint64_t tail = roti_load(R8, relaxed, &ring->tail);
    /* [R9] acquire: pairs with [R19]; a thief has read the slots that it has passed, before they are
     * written again below. */
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
    /* [R12] relaxed: only the owner raises it; a thief that empties it meanwhile does no harm. */
    if (roti_load(R12, relaxed, &ring->overflow_count) != 0 || !ring_append(ring, item))
        overflow_push(ring, item);
}

bool roti_ring_empty(const struct roti_ring *ring)
{
    /* [R13] acquire: pairs with [R5]. Before the ring itself: a refill empties the list first. */
    if (roti_load(R13, acquire, &ring->overflow_count) != 0)
        return false;
    /* [R14], [R15] acquire: a parked loop's last look stands behind the heavy Dekker function, which
     * orders it; elsewhere the answer is a hint. */
    uint64_t head = roti_load(R14, acquire, &ring->head);
    return roti_load(R15, acquire, &ring->tail) == head;
}

uint64_t roti_ring_count(const struct roti_ring *ring)
{
    uint64_t head = roti_load(R14, acquire, &ring->head);
    uint64_t tail = roti_load(R15, acquire, &ring->tail);
    uint64_t count = tail - head <= ROTI_RING_CAPACITY ? tail - head : 0;
    return count + roti_load(R13, acquire, &ring->overflow_count);
}

/* Refills an empty ring by half from the overflow list. False if there was nothing. */
static bool ring_refill(struct roti_ring *ring)
{
    struct roti_link *items[ROTI_STEAL_MAX];
    if (roti_load(R12, relaxed, &ring->overflow_count) == 0)
        return false;
    int count = overflow_take(ring, items, ROTI_STEAL_MAX);
    for (int i = 0; i < count; i++) {
        bool appended = ring_append(ring, items[i]);
        ROTI_ASSERT(appended); /* [I1]: half a ring fits into an empty one */
    }
    return count > 0;
}

struct roti_link *roti_ring_pop(struct roti_ring *ring)
{
    for (;;) {
        /* [R8] as above: the owner's own counter. */
        uint64_t tail = roti_load(R8, relaxed, &ring->tail);
        /* [R16] relaxed: the slots below the tail are the owner's own stores. */
        uint64_t head = roti_load(R16, relaxed, &ring->head);
        while (head != tail) {
            struct roti_link *item = roti_load(R20, relaxed, &ring->slot[head & ROTI_RING_MASK]);
            /* [R21] relaxed: orders nothing but who gets the item; a thief's [R19] before it stays in
             * the release sequence that [R9] reads. */
            if (roti_cas_weak(R21, relaxed, &ring->head, &head, head + 1))
                return item;
        }
        if (!ring_refill(ring))
            return NULL;
    }
}

int roti_ring_steal(struct roti_ring *ring, struct roti_link **out)
{
    /* [R22] acquire: pairs with [R19] of an earlier thief, so that [R17] reads a tail that is not
     * older than the head. */
    uint64_t head = roti_load(R22, acquire, &ring->head);
    /* [R17] acquire: pairs with [R11]; the slots below the tail, and the items, are visible. */
    uint64_t tail = roti_load(R17, acquire, &ring->tail);
    if (tail == head)
        return roti_load(R13, acquire, &ring->overflow_count) == 0
                   ? 0
                   : overflow_take(ring, out, ROTI_STEAL_MAX);
    if (tail - head > ROTI_RING_CAPACITY)
        return ROTI_STEAL_LOST; /* the head moved on between the two loads */

    uint64_t count = (tail - head + 1) / 2;
    for (uint64_t i = 0; i < count; i++)
        /* [R18] relaxed: if the owner reuses the slot meanwhile, the head has moved and [R19] fails. */
        out[i] = roti_load(R18, relaxed, &ring->slot[(head + i) & ROTI_RING_MASK]);
    /* [R19] acq_rel: the release half keeps [R18] before the reuse of the slots, see [R9]; the
     * acquire half keeps the order of several thieves. */
    if (!roti_cas(R19, acq_rel, &ring->head, &head, head + count))
        return ROTI_STEAL_LOST;
    return (int)count;
}
