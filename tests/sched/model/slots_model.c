/* SPDX-License-Identifier: MIT */
/*
 * slots_model.c - type-stable slots under weak memory: caches, the set, chunks that appear.
 *
 * Two owners take and give back slots, one through its cache and one without, and write plain data
 * into what is theirs; so a slot that is given to both is a race. A third looks at all slots that
 * are counted, as a listing does. Slots are so large that each chunk holds two; two are a batch.
 *
 * In the other test slots go round as nodes of callbacks do: one thread takes them, another gives
 * them back, and whole batches come back to the first through the set.
 */
#include "sched/base/assert.h"
#include "sched/base/slots.h"

#include <string.h>
#include <sys/mman.h>

#define SLOT_SIZE 256
#define CHUNK_MAX 4
#define PASSED 12 /* more than there are: what was given back is taken again */

struct slot {
    struct roti_link link;
    void *second;            /* the set's, as the link is */
    _Atomic(uint32_t) lives; /* survives from one life to the next; any thread reads it */
    int owner;               /* plain: whose it is; 0 nobody's */
};

static struct roti_slots slots = ROTI_SLOTS_INIT(SLOT_SIZE);
static alignas(64) char arena[CHUNK_MAX][ROTI_SLOTS_CHUNK_SIZE];
static unsigned chunks_used;
static struct roti_slots_cache caches[2]; /* of threads 0 and 1 */
static bool cached[2];                    /* whether they use them */
static _Atomic(struct slot *) passed;     /* from thread 0 to thread 1 */

/* In the place of the kernel's, by a definition on the command line. */
void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    (void)address, (void)protection, (void)flags, (void)fd, (void)offset;
    MODEL_ASSERT(size == ROTI_SLOTS_CHUNK_SIZE && chunks_used < CHUNK_MAX);
    return memset(arena[chunks_used++], 0, size);
}

static struct slot *take(unsigned thread)
{
    struct slot *slot = roti_slots_get(&slots, cached[thread] ? &caches[thread] : NULL);
    ROTI_PLAIN_WRITE(&slot->owner);
    MODEL_ASSERT(slot->owner == 0);
    slot->owner = (int)thread + 1;
    (void)roti_fetch_add(TL1, relaxed, &slot->lives, 1U);
    MODEL_ASSERT(roti_slots_at(&slots, roti_slots_index(&slots, slot)) == slot);
    return slot;
}

static void give(unsigned thread, struct slot *slot)
{
    ROTI_PLAIN_WRITE(&slot->owner);
    MODEL_ASSERT(slot->owner == (int)thread + 1);
    slot->owner = 0;
    roti_slots_put(&slots, cached[thread] ? &caches[thread] : NULL, slot);
}

static void owner(unsigned thread)
{
    struct slot *one = take(thread);
    struct slot *two = take(thread);
    give(thread, one);
    one = take(thread);
    give(thread, two);
    give(thread, one);
    roti_slots_drain(&slots, &caches[thread]);
}

static bool is_empty(void *arg)
{
    (void)arg;
    return roti_load(TL4, relaxed, &passed) == NULL;
}

static bool is_full(void *arg)
{
    (void)arg;
    return roti_load(TL5, relaxed, &passed) != NULL;
}

static void poster(unsigned thread)
{
    for (int i = 0; i < PASSED; i++) {
        struct slot *slot = take(thread);
        model_wait_until(is_empty, NULL);
        roti_store(TL6, release, &passed, slot);
    }
    roti_slots_drain(&slots, &caches[thread]);
}

static void receiver(unsigned thread)
{
    for (int i = 0; i < PASSED; i++) {
        model_wait_until(is_full, NULL);
        struct slot *slot = roti_load(TL7, acquire, &passed);
        while (slot == NULL)
            slot = roti_load(TL8, acquire, &passed);
        roti_store(TL9, relaxed, &passed, NULL);
        ROTI_PLAIN_WRITE(&slot->owner);
        MODEL_ASSERT(slot->owner == 1);
        slot->owner = (int)thread + 1;
        give(thread, slot);
    }
    roti_slots_drain(&slots, &caches[thread]);
}

/* A chunk that is counted is there, with all of its slots. */
static void visitor(unsigned thread)
{
    (void)thread;
    for (int pass = 0; pass < 2; pass++) {
        size_t count = roti_slots_count(&slots);
        for (size_t i = 0; i < count; i++) {
            struct slot *slot = roti_slots_at(&slots, i);
            MODEL_ASSERT(slot != NULL);
            MODEL_ASSERT(roti_load(TL2, relaxed, &slot->lives) <= 4);
        }
    }
}

static void reset(void)
{
    roti_slots_forget(&slots);
    for (unsigned i = 0; i < CHUNK_MAX; i++)
        roti_store(TL3, relaxed, &slots.chunks[i], NULL);
    chunks_used = 0;
    memset(caches, 0, sizeof caches);
    cached[0] = true;
    cached[1] = false;
    roti_store(TL10, relaxed, &passed, NULL);
}

static void reset_passing(void)
{
    reset();
    cached[1] = true;
}

static void check(void)
{
    MODEL_ASSERT(roti_slots_used(&slots) == 0);
    size_t count = roti_slots_count(&slots);
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = roti_slots_get(&slots, NULL);
        MODEL_ASSERT(slot->owner == 0);
        slot->owner = 1;
    }
    MODEL_ASSERT(roti_slots_used(&slots) == count);
}

MODEL_TEST(slots) = {.threads = {owner, owner, visitor}, .setup = reset, .check = check};
MODEL_TEST(slots_passed) = {.threads = {poster, receiver}, .setup = reset_passing, .check = check};
