/* SPDX-License-Identifier: MIT */
/*
 * ready_ring.h - the work-stealing queue of a loop's ready tasks.
 *
 * Concept.    A bounded ring. The owner appends at the tail; owner and thieves take the oldest at
 *             the head, the owner one at a time, a thief half of them, each claiming by one
 *             compare-and-swap of the head. What does not fit goes to an overflow list under a
 *             lock; while that holds anything, all pushes go there, so order is kept. The owner
 *             refills half a ring from it; thieves take from it when the ring is empty.
 * Rejected.   Chase-Lev, last in first out for the owner: a server's tasks would starve oldest
 *             first; and a deque that grows must keep its old arrays. A queue shared by all loops:
 *             one contended line for every wake.
 * Invariants. I1 head <= tail <= head + capacity, as the owner sees them.
 *             I2 A slot in [head, tail) is not written until head has passed it.
 *             I3 Both counters are 64 bits and only grow: no ABA.
 *             I4 An item is in the ring or in the list at every moment until it is taken.
 * Threads.    push, pop: the owner. steal: any worker but the owner. empty, count: any.
 */
#ifndef ROTI_READY_RING_H
#define ROTI_READY_RING_H

#include "sched/base/atomic.h"
#include "sched/base/list.h"
#include "sched/base/spin.h"

#ifndef ROTI_RING_CAPACITY
#if defined(ROTI_SMALL) && ROTI_SMALL
#define ROTI_RING_CAPACITY 4
#else
#define ROTI_RING_CAPACITY 256
#endif
#endif
#define ROTI_RING_MASK ((uint64_t)ROTI_RING_CAPACITY - 1)
#define ROTI_STEAL_MAX (ROTI_RING_CAPACITY / 2)

/* A thief lost a race: there may be more, do not sleep on it. */
#define ROTI_STEAL_LOST (-1)

struct roti_ring {
    alignas(ROTI_CACHE_LINE) _Atomic(uint64_t) head;      /* the oldest; any thread, by CAS */
    alignas(ROTI_CACHE_LINE) _Atomic(uint64_t) tail;      /* owner writes, any thread reads */
    _Atomic(struct roti_link *) slot[ROTI_RING_CAPACITY]; /* owner writes, any thread reads */
    alignas(ROTI_CACHE_LINE) struct roti_spin overflow_lock;
    _Atomic(uint64_t) overflow_count; /* written under overflow_lock, read by any */
    struct roti_fifo overflow;        /* under overflow_lock */
};

#ifdef __cplusplus
extern "C" {
#endif

void roti_ring_init(struct roti_ring *ring);

/* Appends an item. Owner. May run in parallel with steals. */
void roti_ring_push(struct roti_ring *ring, struct roti_link *item);

/* The oldest item, or NULL. Owner. May run in parallel with steals. */
struct roti_link *roti_ring_pop(struct roti_ring *ring);

/*
 * Takes half of the items, rounded up, oldest first, into `out` (room for ROTI_STEAL_MAX). Any
 * thread but the owner; in parallel with everything. The number taken, 0, or ROTI_STEAL_LOST.
 */
int roti_ring_steal(struct roti_ring *ring, struct roti_link **out);

/* Whether there was nothing at some moment of the call. Any thread. */
static inline bool roti_ring_empty(const struct roti_ring *ring)
{
    /* The list first: a refill appends to the ring before it counts down, so that no item is
     * overlooked on its way.
     * [R13] acquire: pairs with [R7]; items that have left the list are seen in the ring. */
    if (roti_load(R13, acquire, &ring->overflow_count) != 0)
        return false;
    /* [R14], [R15] relaxed: a parked loop's last look stands behind the heavy Dekker function,
     * which orders it; elsewhere the answer is a hint. */
    uint64_t head = roti_load(R14, relaxed, &ring->head);
    return roti_load(R15, relaxed, &ring->tail) == head;
}

/* How many items there are, roughly. Any thread. */
uint64_t roti_ring_count(const struct roti_ring *ring);

#ifdef __cplusplus
}
#endif

#endif
