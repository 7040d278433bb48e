/* SPDX-License-Identifier: MIT */
/*
 * idle.c - which loops sleep, which search, and who is woken. The essay is in the header.
 */
#include "sched/idle.h"

#include "sched/base/assert.h"
#include "sched/park.h"

#include <string.h>

#define MEMBER_ONE (UINT64_C(1) << 48)
#define SEARCHING_ONE (UINT64_C(1) << 32)

static unsigned members_of(uint64_t counts)
{
    return (unsigned)(counts >> 48);
}

static unsigned searching_of(uint64_t counts)
{
    return (unsigned)(counts >> 32) & UINT16_MAX;
}

static unsigned sleeping_of(uint64_t counts)
{
    return (unsigned)counts;
}

void roti_idle_init(struct roti_idle *idle, unsigned member_count)
{
    /* [ID1] relaxed: before the pool's threads exist. */
    roti_store(ID1, relaxed, &idle->counts, member_count * MEMBER_ONE);
    memset(idle->sleepers, 0, sizeof idle->sleepers);
    idle->next = 0;
    idle->index_count = member_count;
}

void roti_idle_join(struct roti_idle *idle, unsigned index)
{
    roti_spin_lock(&idle->lock);
    if (index >= idle->index_count)
        idle->index_count = index + 1;
    roti_spin_unlock(&idle->lock);
    /* [ID4] relaxed: as [ID3]. */
    (void)roti_fetch_add(ID4, relaxed, &idle->counts, MEMBER_ONE);
}

void roti_idle_leave(struct roti_idle *idle)
{
    /* [ID5] relaxed: as [ID3]. */
    (void)roti_fetch_sub(ID5, relaxed, &idle->counts, MEMBER_ONE);
}

/* [ID2] relaxed: a guess that a swap checks, or the look that a Dekker function orders. */
static uint64_t idle_counts(const struct roti_idle *idle)
{
    return roti_load(ID2, relaxed, &idle->counts);
}

/* The one function that changes idle state. False, with *counts anew, if another was faster. */
static bool idle_change(struct roti_idle *idle, uint64_t *counts, int searching, int sleeping)
{
    int64_t now_searching = (int64_t)searching_of(*counts) + searching;
    int64_t now_sleeping = (int64_t)sleeping_of(*counts) + sleeping;
    ROTI_ASSERT(now_sleeping >= 0 && now_searching >= 0);                      /* [I1] */
    ROTI_ASSERT(now_searching + now_sleeping <= (int64_t)members_of(*counts)); /* [I1] */
    /* [ID3] relaxed: pairs with [ID2] of a pusher and of a parker through the Dekker functions. */
    return roti_cas_weak(ID3, relaxed, &idle->counts, counts,
                         members_of(*counts) * MEMBER_ONE +
                             (uint64_t)now_searching * SEARCHING_ONE + (uint64_t)now_sleeping);
}

/* The same whatever others do meanwhile. The counts as they were before. */
static uint64_t idle_add(struct roti_idle *idle, int searching, int sleeping)
{
    uint64_t counts = idle_counts(idle);
    while (!idle_change(idle, &counts, searching, sleeping))
        ;
    return counts;
}

/* Takes one sleeper out of the set, beginning behind the last pick. Under the lock. */
static int sleeper_take(struct roti_idle *idle)
{
    for (unsigned i = 0; i < idle->index_count; i++) {
        unsigned index = (idle->next + i) % idle->index_count;
        uint64_t bit = UINT64_C(1) << (index % 64);
        if ((idle->sleepers[index / 64] & bit) == 0)
            continue;
        idle->sleepers[index / 64] &= ~bit;
        idle->next = (index + 1) % idle->index_count;
        return (int)index;
    }
    ROTI_ASSERT(idle->index_count == 0); /* a sleeper was counted, so one is in the set */
    return -1;
}

int roti_idle_pick(struct roti_idle *idle)
{
    /* [D1] The work was published before; now look for sleepers. Pairs with [D2] of the parker. */
    roti_dekker_light();
    uint64_t counts = idle_counts(idle);
    if (sleeping_of(counts) == 0 || searching_of(counts) > 0)
        return -1;
    int index = -1;
    roti_spin_lock(&idle->lock);
    counts = idle_counts(idle);
    while (index < 0 && sleeping_of(counts) > 0 && searching_of(counts) == 0)
        if (idle_change(idle, &counts, 1, -1))
            index = sleeper_take(idle);
    roti_spin_unlock(&idle->lock);
    return index;
}

bool roti_idle_search_begin(struct roti_idle *idle)
{
    uint64_t counts = idle_counts(idle);
    for (;;) {
        unsigned awake = members_of(counts) - sleeping_of(counts);
        unsigned most = awake > 3 ? awake / 2 : 1;
        if (searching_of(counts) >= (most < ROTI_SEARCHERS_MAX ? most : ROTI_SEARCHERS_MAX))
            return false;
        if (idle_change(idle, &counts, 1, 0))
            return true;
    }
}

bool roti_idle_search_end(struct roti_idle *idle, bool found)
{
    return searching_of(idle_add(idle, -1, 0)) == 1 && found;
}

bool roti_idle_searched(const struct roti_idle *idle)
{
    return searching_of(idle_counts(idle)) > 0;
}

void roti_idle_sleep(struct roti_idle *idle, unsigned index)
{
    roti_spin_lock(&idle->lock);
    ROTI_ASSERT((idle->sleepers[index / 64] & UINT64_C(1) << (index % 64)) == 0);
    idle->sleepers[index / 64] |= UINT64_C(1) << (index % 64);
    (void)idle_add(idle, 0, 1);
    roti_spin_unlock(&idle->lock);
}

bool roti_idle_wake(struct roti_idle *idle, unsigned index)
{
    uint64_t bit = UINT64_C(1) << (index % 64);
    roti_spin_lock(&idle->lock);
    bool picked = (idle->sleepers[index / 64] & bit) == 0; /* [I2] */
    if (!picked) {
        idle->sleepers[index / 64] &= ~bit;
        (void)idle_add(idle, 0, -1);
    }
    roti_spin_unlock(&idle->lock);
    return picked;
}
