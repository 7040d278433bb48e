/* SPDX-License-Identifier: MIT */
/*
 * slots.h - type-stable slots: memory that keeps its type for the life of the process.
 *
 * Problem.    Other threads hold stale references to tasks, handles and descriptors. Counting every
 *             reference costs a read-modify-write each; freeing memory under a stale one is a bug.
 * Design.     Objects of one type live in slots that are never unmapped or reused as another type.
 *             A stale reference reads a generation that has moved on, not freed memory. The first
 *             word of a free slot is its list link; nothing else of it is touched, so generation
 *             and state words survive from one life of a slot to the next. Slots are found by
 *             index, so the set of slots is a registry at no cost.
 * Invariants. I1 A slot's address never changes and is never unmapped.
 *             I2 A slot handed out for the first time is zeroed; later it is as its last user left
 *                it, but for the first word.
 *             I3 chunk_count only grows; a chunk is complete before it is counted.
 * Threads.    The set: any thread. A cache: its owner only.
 */
#ifndef ROTI_SLOTS_H
#define ROTI_SLOTS_H

#include "sched/base/atomic.h"
#include "sched/base/list.h"
#include "sched/base/spin.h"

#ifndef ROTI_SLOTS_CHUNK_SIZE
#define ROTI_SLOTS_CHUNK_SIZE ((size_t)64 << 10)
#endif
#define ROTI_SLOTS_CHUNK_MAX 16384 /* 1 GiB: 8.4 million tasks of 128 bytes */
#define ROTI_SLOTS_CACHE_MAX 64
#define ROTI_SLOTS_BATCH 32

/* All slots of one type. Defined statically by ROTI_SLOTS_INIT. */
struct roti_slots {
    uint32_t slot_size;          /* a multiple of 64; constant */
    struct roti_spin lock;       /* free, free_count, and growth */
    struct roti_link *free;      /* under lock */
    size_t free_count;           /* under lock */
    _Atomic(size_t) chunk_count; /* written under lock, read by any thread */
    _Atomic(char *) chunks[ROTI_SLOTS_CHUNK_MAX];
};

#define ROTI_SLOTS_INIT(size)                                                                      \
    {                                                                                              \
        .slot_size = (size)                                                                        \
    }

/* Free slots of one owner; no locks. */
struct roti_slots_cache {
    struct roti_link *free;
    uint32_t count;
};

#ifdef __cplusplus
extern "C" {
#endif

/* A free slot, from `cache` or (NULL) from the set; NULL when memory is short or none is left. */
void *roti_slots_get(struct roti_slots *slots, struct roti_slots_cache *cache);

/* Gives a slot back. */
void roti_slots_put(struct roti_slots *slots, struct roti_slots_cache *cache, void *slot);

/* Gives all of a cache to the set. */
void roti_slots_drain(struct roti_slots *slots, struct roti_slots_cache *cache);

/* How many slots exist, free ones included. Only grows. */
size_t roti_slots_count(const struct roti_slots *slots);

/* The slot with that index, below roti_slots_count(). */
void *roti_slots_at(const struct roti_slots *slots, size_t index);

/* The index of a slot of the set: what roti_slots_at() takes. Looks at the newest chunk first, so
 * it is quick for a slot that has just been made. */
size_t roti_slots_index(const struct roti_slots *slots, const void *slot);

/* In the child of a fork, on its only thread: forgets every slot, which stay mapped. */
void roti_slots_forget(struct roti_slots *slots);

/* Slots handed out and not given back, caches counted as given out. For tests. */
size_t roti_slots_used(struct roti_slots *slots);

#ifdef __cplusplus
}
#endif

#endif
