/* SPDX-License-Identifier: MIT */
/*
 * slots.c - type-stable slots: chunks that are mapped once, and a free list.
 */
#include "sched/base/slots.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"

#include <sys/mman.h>

static size_t slots_per_chunk(const struct roti_slots *slots)
{
    return ROTI_SLOTS_CHUNK_SIZE / slots->slot_size;
}

/* Maps one more chunk and frees its slots, lowest address first. Under the lock. */
static bool slots_grow(struct roti_slots *slots)
{
    /* [SL1] relaxed: only changed under the lock, which is held. */
    size_t count = roti_load(SL1, relaxed, &slots->chunk_count);
    if (count == ROTI_SLOTS_CHUNK_MAX || !roti_alloc_permitted(ROTI_SLOTS_CHUNK_SIZE))
        return false;
    char *chunk = mmap(NULL, ROTI_SLOTS_CHUNK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED)
        return false;
    for (size_t i = slots_per_chunk(slots); i-- > 0;) {
        struct roti_link *link = (struct roti_link *)(chunk + i * slots->slot_size);
        link->next = slots->free;
        slots->free = link;
    }
    slots->free_count += slots_per_chunk(slots);
    /* [SL2] relaxed: [SL3] publishes it. */
    roti_store(SL2, relaxed, &slots->chunks[count], chunk);
    /* [SL3] release: pairs with [SL4]; a chunk that is counted is there. */
    roti_store(SL3, release, &slots->chunk_count, count + 1);
    return true;
}

/* Moves up to `count` slots of the set to the front of *list. Returns how many. */
static uint32_t slots_take(struct roti_slots *slots, struct roti_link **list, uint32_t count)
{
    uint32_t taken = 0;
    roti_spin_lock(&slots->lock);
    while (taken < count && (slots->free != NULL || (taken == 0 && slots_grow(slots)))) {
        struct roti_link *link = slots->free;
        slots->free = link->next;
        slots->free_count--;
        link->next = *list;
        *list = link;
        taken++;
    }
    roti_spin_unlock(&slots->lock);
    return taken;
}

/* Gives the chain first..last of `count` slots back to the set. */
static void slots_give(struct roti_slots *slots, struct roti_link *first, struct roti_link *last,
                       uint32_t count)
{
    roti_spin_lock(&slots->lock);
    last->next = slots->free;
    slots->free = first;
    slots->free_count += count;
    roti_spin_unlock(&slots->lock);
}

void *roti_slots_get(struct roti_slots *slots, struct roti_slots_cache *cache)
{
    struct roti_link *link = NULL;
    if (cache == NULL)
        return slots_take(slots, &link, 1) ? link : NULL;
    if (cache->free == NULL)
        cache->count = slots_take(slots, &cache->free, ROTI_SLOTS_BATCH);
    link = cache->free;
    if (link == NULL)
        return NULL;
    cache->free = link->next;
    cache->count--;
    return link;
}

void roti_slots_put(struct roti_slots *slots, struct roti_slots_cache *cache, void *slot)
{
    struct roti_link *link = slot;
    if (cache == NULL) {
        slots_give(slots, link, link, 1);
        return;
    }
    link->next = cache->free;
    cache->free = link;
    if (++cache->count <= ROTI_SLOTS_CACHE_MAX)
        return;
    struct roti_link *last = cache->free;
    for (int i = 1; i < ROTI_SLOTS_BATCH; i++)
        last = last->next;
    struct roti_link *first = cache->free;
    cache->free = last->next;
    cache->count -= ROTI_SLOTS_BATCH;
    slots_give(slots, first, last, ROTI_SLOTS_BATCH);
}

void roti_slots_drain(struct roti_slots *slots, struct roti_slots_cache *cache)
{
    if (cache->free == NULL)
        return;
    struct roti_link *last = cache->free;
    while (last->next != NULL)
        last = last->next;
    slots_give(slots, cache->free, last, cache->count);
    cache->free = NULL;
    cache->count = 0;
}

size_t roti_slots_count(const struct roti_slots *slots)
{
    /* [SL4] acquire: pairs with [SL3]. */
    return roti_load(SL4, acquire, &slots->chunk_count) * slots_per_chunk(slots);
}

void *roti_slots_at(const struct roti_slots *slots, size_t index)
{
    size_t per_chunk = slots_per_chunk(slots);
    ROTI_ASSERT(index < roti_slots_count(slots)); /* in every build, for its [SL4] */
    /* [SL5] relaxed: the count was read by [SL4], so the chunk is visible. */
    char *chunk = roti_load(SL5, relaxed, &slots->chunks[index / per_chunk]);
    return chunk + index % per_chunk * slots->slot_size;
}

size_t roti_slots_index(const struct roti_slots *slots, const void *slot)
{
    size_t per_chunk = slots_per_chunk(slots);
    size_t chunk = roti_slots_count(slots) / per_chunk;
    for (;;) {
        ROTI_ASSERT(chunk > 0);
        chunk--;
        /* [SL6] relaxed: as [SL5]. */
        uintptr_t start = (uintptr_t)roti_load(SL6, relaxed, &slots->chunks[chunk]);
        uintptr_t offset = (uintptr_t)slot - start;
        if (offset < per_chunk * slots->slot_size)
            return chunk * per_chunk + offset / slots->slot_size;
    }
}

size_t roti_slots_used(struct roti_slots *slots)
{
    roti_spin_lock(&slots->lock);
    size_t used = roti_slots_count(slots) - slots->free_count;
    roti_spin_unlock(&slots->lock);
    return used;
}

void roti_slots_forget(struct roti_slots *slots)
{
    roti_spin_unlock(&slots->lock); /* whoever held it is not in this process */
    slots->free = NULL;
    slots->free_count = 0;
    /* [SL7] relaxed: this is the process's only thread. */
    roti_store(SL7, relaxed, &slots->chunk_count, 0);
}
