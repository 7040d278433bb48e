/* SPDX-License-Identifier: MIT */
/*
 * slots.h - type-stable slots: memory that keeps its type for the life of the process.
 *
 * Problem.    Other threads hold stale references to tasks, handles and descriptors. Counting every
 *             reference costs a read-modify-write each; freeing memory under a stale one is a bug.
 * Design.     Objects of one type live in slots that are never unmapped or reused as another type.
 *             A stale reference reads a generation that has moved on, not freed memory. The first
 *             word of a free slot is its list link, the second is the set's too where slots go
 *             through caches; nothing else of it is touched, so generation and state words survive
 *             from one life of a slot to the next. Slots are found by index, so the set of slots is
 *             a registry at no cost.
 * Batches.    Slots are often taken by one thread and given back by another: nodes of callbacks,
 *             from posters to loops. So a cache has two chains, one that it takes from and gives to
 *             and perhaps a full one in reserve, and set and caches exchange full chains only, by
 *             their first slot, in a few instructions under the lock. No chain is walked, as each
 *             step would miss the cache of a core. With two, an owner that gives and takes in turn
 *             at the edge of a batch does not come to the set each time.
 *             New slots are cut off a chunk when they are wanted, so that its pages are touched
 *             one after the other, and outside the lock.
 * Pages.      A set that has outgrown 2 MiB takes its chunks from regions of that size, for each of
 *             which it asks for a huge page: slots are visited in an order of their own, and with
 *             small pages nearly each visit of many misses the cache of addresses, too.
 * Invariants. I1 A slot's address never changes and is never unmapped.
 *             I2 A slot handed out for the first time is zeroed; later it is as its last user left
 *                it, but for the first two words.
 *             I3 chunk_count only grows; a chunk is complete before it is counted.
 *             I4 A chain in reserve, and each in `batches`, has ROTI_SLOTS_BATCH slots.
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
#define ROTI_SLOTS_CHUNK_MAX 16384 /* 1 GiB: 5.6 million tasks of 192 bytes */
#define ROTI_SLOTS_REGION 32       /* chunks of a region: a huge page, 2 MiB */
#ifndef ROTI_SLOTS_BATCH
#if defined(ROTI_SMALL) && ROTI_SMALL
#define ROTI_SLOTS_BATCH 2
#else
#define ROTI_SLOTS_BATCH 32
#endif
#endif
#define ROTI_SLOTS_CACHE_MAX (2 * ROTI_SLOTS_BATCH)

struct roti_slots_batch;

/* All slots of one type. Defined statically by ROTI_SLOTS_INIT. */
struct roti_slots {
    uint32_t slot_size;               /* a multiple of 64; constant */
    struct roti_spin lock;            /* all below, and growth */
    struct roti_slots_batch *batches; /* full chains */
    struct roti_link *loose;          /* one chain of any length */
    char *fresh;                      /* the rest of the newest chunk: never handed out */
    size_t fresh_count;               /* slots of it */
    char *region;                     /* the rest of a region: chunks never mapped in */
    size_t region_count;              /* chunks of it */
    size_t free_count;                /* of all three */
    _Atomic(size_t) chunk_count;      /* written under lock, read by any thread */
    _Atomic(char *) chunks[ROTI_SLOTS_CHUNK_MAX];
};

#define ROTI_SLOTS_INIT(size)                                                                      \
    {                                                                                              \
        .slot_size = (size)                                                                        \
    }

/* Free slots of one owner; no locks. Zeroed memory is an empty one. */
struct roti_slots_cache {
    struct roti_link *free;
    uint32_t count;            /* of `free`: at most a batch */
    struct roti_link *reserve; /* a batch, or NULL */
};

#ifdef __cplusplus
extern "C" {
#endif

/* The rest of roti_slots_get() and roti_slots_put(), which alone call them. */
void *roti_slots_get_more(struct roti_slots *slots, struct roti_slots_cache *cache);
void roti_slots_put_more(struct roti_slots *slots, struct roti_slots_cache *cache, void *slot);

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

/* A free slot, from `cache` or (NULL) from the set; NULL when memory is short or none is left. */
static inline void *roti_slots_get(struct roti_slots *slots, struct roti_slots_cache *cache)
{
    if (__builtin_expect(cache == NULL || cache->free == NULL, 0))
        return roti_slots_get_more(slots, cache);
    struct roti_link *link = cache->free;
    cache->free = link->next;
    cache->count--;
    if (link->next != NULL)
        roti_prefetch_write(link->next); /* after a burst the chain goes all over the memory */
    return link;
}

/* Gives a slot back. */
static inline void roti_slots_put(struct roti_slots *slots, struct roti_slots_cache *cache,
                                  void *slot)
{
    if (__builtin_expect(cache == NULL || cache->count == ROTI_SLOTS_BATCH, 0)) {
        roti_slots_put_more(slots, cache, slot);
        return;
    }
    struct roti_link *link = (struct roti_link *)slot;
    link->next = cache->free;
    cache->free = link;
    cache->count++;
}

#endif
