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

/* The first slot of a chain that the set holds as one. */
struct roti_slots_batch {
    struct roti_link link;
    struct roti_slots_batch *next;
};

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

/* Maps a region where a huge page may begin, and asks for one. The kernel may have none to give,
 * and then gives small pages. False: there is not so much address space. */
static bool region_map(struct roti_slots *slots)
{
    size_t size = ROTI_SLOTS_REGION * ROTI_SLOTS_CHUNK_SIZE;
    char *memory = map(2 * size);
    if (memory == NULL)
        return false;
    size_t before = (size_t)(-(uintptr_t)memory) % size;
    if (before > 0)
        (void)munmap(memory, before);
    (void)munmap(memory + before + size, size - before);
    (void)madvise(memory + before, size, MADV_HUGEPAGE);
    slots->region = memory + before;
    slots->region_count = ROTI_SLOTS_REGION;
    return true;
}

/* Memory of one more chunk, the `index`-th; NULL where there is none. */
static char *chunk_map(struct roti_slots *slots, size_t index)
{
    if (slots->region_count == 0 && (index < ROTI_SLOTS_REGION || !region_map(slots)))
        return map(ROTI_SLOTS_CHUNK_SIZE);
    char *chunk = slots->region;
    slots->region += ROTI_SLOTS_CHUNK_SIZE;
    slots->region_count--;
    return chunk;
}

/* Maps one more chunk. Under the lock; no new slot is left. */
static bool slots_grow(struct roti_slots *slots)
{
    /* [SL1] relaxed: only changed under the lock, which is held. */
    size_t count = roti_load(SL1, relaxed, &slots->chunk_count);
    if (count == ROTI_SLOTS_CHUNK_MAX || !roti_alloc_permitted(ROTI_SLOTS_CHUNK_SIZE))
        return false;
    char *chunk = chunk_map(slots, count);
    if (chunk == NULL)
        return false;
    slots->fresh = chunk;
    slots->fresh_count = slots_per_chunk(slots);
    slots->free_count += slots->fresh_count;
    /* [SL2] relaxed: [SL3] publishes it. */
    roti_store(SL2, relaxed, &slots->chunks[count], chunk);
    /* [SL3] release: pairs with [SL4]; a chunk that is counted is there. */
    roti_store(SL3, release, &slots->chunk_count, count + 1);
    return true;
}

/* Makes a chain of new slots, lowest address first. */
static struct roti_link *chain_fresh(const struct roti_slots *slots, char *start, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct roti_link *link = (struct roti_link *)(start + i * slots->slot_size);
        link->next = NULL;
        if (i + 1 < count)
            link->next = (struct roti_link *)(start + (i + 1) * slots->slot_size);
    }
    return (struct roti_link *)start;
}

/* Cuts up to `count` slots off the front of the loose chain. Returns how many. Under the lock. */
static size_t cut_loose(struct roti_slots *slots, size_t count)
{
    struct roti_link **last = &slots->loose;
    size_t taken = 0;
    for (; taken < count && *last != NULL; taken++)
        last = &(*last)->next;
    slots->loose = *last;
    *last = NULL;
    return taken;
}

/* A full chain, or NULL. Under the lock. */
static struct roti_link *pop_batch(struct roti_slots *slots)
{
    struct roti_slots_batch *batch = slots->batches;
    if (batch == NULL)
        return NULL;
    slots->batches = batch->next;
    return &batch->link;
}

/* A chain of up to `count` slots, one or a batch; the number, 0 where there is no memory. */
static uint32_t slots_take(struct roti_slots *slots, size_t count, struct roti_link **ret_chain)
{
    char *fresh = NULL;
    size_t taken = 0;
    roti_spin_lock(&slots->lock);
    struct roti_link *chain = count == ROTI_SLOTS_BATCH ? pop_batch(slots) : NULL;
    if (chain == NULL && slots->loose == NULL)
        slots->loose = pop_batch(slots);
    if (chain != NULL) {
        taken = ROTI_SLOTS_BATCH;
    } else if (slots->loose != NULL) {
        chain = slots->loose;
        taken = cut_loose(slots, count);
    } else if (slots->fresh_count > 0 || slots_grow(slots)) {
        taken = slots->fresh_count < count ? slots->fresh_count : count;
        fresh = slots->fresh;
        slots->fresh += taken * slots->slot_size;
        slots->fresh_count -= taken;
    }
    slots->free_count -= taken;
    roti_spin_unlock(&slots->lock);
    *ret_chain = fresh != NULL ? chain_fresh(slots, fresh, taken) : chain;
    return (uint32_t)taken;
}

/* Gives a full chain back to the set. */
static void give_batch(struct roti_slots *slots, struct roti_link *first)
{
    struct roti_slots_batch *batch = roti_container_of(first, struct roti_slots_batch, link);
    roti_spin_lock(&slots->lock);
    batch->next = slots->batches;
    slots->batches = batch;
    slots->free_count += ROTI_SLOTS_BATCH;
    roti_spin_unlock(&slots->lock);
}

/* Gives the chain first..last of `count` slots back to the set. */
static void give_loose(struct roti_slots *slots, struct roti_link *first, struct roti_link *last,
                       uint32_t count)
{
    roti_spin_lock(&slots->lock);
    last->next = slots->loose;
    slots->loose = first;
    slots->free_count += count;
    roti_spin_unlock(&slots->lock);
}

void *roti_slots_get_more(struct roti_slots *slots, struct roti_slots_cache *cache)
{
    struct roti_link *link;
    if (cache == NULL)
        return slots_take(slots, 1, &link) > 0 ? link : NULL;
    if (cache->reserve != NULL) {
        cache->free = cache->reserve;
        cache->count = ROTI_SLOTS_BATCH;
        cache->reserve = NULL;
    } else {
        cache->count = slots_take(slots, ROTI_SLOTS_BATCH, &cache->free);
    }
    return cache->free != NULL ? roti_slots_get(slots, cache) : NULL;
}

void roti_slots_put_more(struct roti_slots *slots, struct roti_slots_cache *cache, void *slot)
{
    struct roti_link *link = slot;
    if (cache == NULL) {
        give_loose(slots, link, link, 1);
        return;
    }
    struct roti_link *full = cache->reserve;
    cache->reserve = cache->free; /* [I4] */
    link->next = NULL;
    cache->free = link;
    cache->count = 1;
    if (full != NULL)
        give_batch(slots, full);
}

void roti_slots_drain(struct roti_slots *slots, struct roti_slots_cache *cache)
{
    struct roti_slots_cache held = *cache;
    *cache = (struct roti_slots_cache){.free = NULL, .count = 0, .reserve = NULL};
    if (held.reserve != NULL)
        give_batch(slots, held.reserve);
    if (held.free == NULL)
        return;
    struct roti_link *last = held.free;
    while (last->next != NULL)
        last = last->next;
    give_loose(slots, held.free, last, held.count);
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
    slots->batches = NULL;
    slots->loose = NULL;
    slots->fresh_count = 0;
    slots->region_count = 0;
    slots->free_count = 0;
    /* [SL7] relaxed: this is the process's only thread. */
    roti_store(SL7, relaxed, &slots->chunk_count, 0);
}
