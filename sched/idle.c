/* SPDX-License-Identifier: MIT */
/*
 * idle.c - which loops sleep, which search, and who is woken. The essay is in the header.
 */
#include "sched/idle.h"

#include "sched/base/assert.h"
#include "sched/park.h"

#include <string.h>

#define SEARCHING_ONE (UINT64_C(1) << 32)

static unsigned searching_of(uint64_t counts)
{
    return (unsigned)(counts >> 32);
}

static unsigned sleeping_of(uint64_t counts)
{
    return (unsigned)counts;
}

void roti_idle_init(struct roti_idle *idle, unsigned worker_count)
{
    /* [ID1] relaxed: before the pool's threads exist. */
    roti_store(ID1, relaxed, &idle->counts, 0);
    memset(idle->sleepers, 0, sizeof idle->sleepers);
    idle->next = 0;
    idle->worker_count = worker_count;
}

/* [ID2] relaxed: without the lock a hint, or the look that a Dekker function orders. */
static uint64_t idle_counts(const struct roti_idle *idle)
{
    return roti_load(ID2, relaxed, &idle->counts);
}

/* The one function that changes idle state. Under the lock. */
static void idle_change(struct roti_idle *idle, int searching, int sleeping)
{
    uint64_t counts = idle_counts(idle);
    int64_t now_searching = (int64_t)searching_of(counts) + searching;
    int64_t now_sleeping = (int64_t)sleeping_of(counts) + sleeping;
    ROTI_ASSERT(now_sleeping >= 0 && now_searching >= 0);                     /* [I1] */
    ROTI_ASSERT(now_searching + now_sleeping <= (int64_t)idle->worker_count); /* [I1] */
    /* [ID3] relaxed: pairs with [ID2] of a pusher through the Dekker functions; other readers hold
     * the lock. */
    roti_store(ID3, relaxed, &idle->counts,
               (uint64_t)now_searching * SEARCHING_ONE + (uint64_t)now_sleeping);
}

/* Takes one sleeper out of the set, beginning behind the last pick. Under the lock. */
static int sleeper_take(struct roti_idle *idle)
{
    for (unsigned i = 0; i < idle->worker_count; i++) {
        unsigned index = (idle->next + i) % idle->worker_count;
        uint64_t bit = UINT64_C(1) << (index % 64);
        if ((idle->sleepers[index / 64] & bit) == 0)
            continue;
        idle->sleepers[index / 64] &= ~bit;
        idle->next = (index + 1) % idle->worker_count;
        return (int)index;
    }
    ROTI_ASSERT(idle->worker_count == 0); /* a sleeper was counted, so one is in the set */
    return -1;
}

int roti_idle_pick(struct roti_idle *idle)
{
    if (idle->worker_count == 1)
        return -1;
    /* [D1] The work was published before; now look for sleepers. Pairs with [D2] of the parker. */
    roti_dekker_light();
    uint64_t counts = idle_counts(idle);
    if (sleeping_of(counts) == 0 || searching_of(counts) > 0)
        return -1;
    int index = -1;
    roti_spin_lock(&idle->lock);
    counts = idle_counts(idle);
    if (sleeping_of(counts) > 0 && searching_of(counts) == 0) {
        index = sleeper_take(idle);
        idle_change(idle, 1, -1);
    }
    roti_spin_unlock(&idle->lock);
    return index;
}

bool roti_idle_search_begin(struct roti_idle *idle)
{
    bool may = false;
    roti_spin_lock(&idle->lock);
    uint64_t counts = idle_counts(idle);
    unsigned awake = idle->worker_count - sleeping_of(counts);
    if (searching_of(counts) < (awake > 3 ? awake / 2 : 1)) {
        idle_change(idle, 1, 0);
        may = true;
    }
    roti_spin_unlock(&idle->lock);
    return may;
}

void roti_idle_search_join(struct roti_idle *idle)
{
    roti_spin_lock(&idle->lock);
    idle_change(idle, 1, 0);
    roti_spin_unlock(&idle->lock);
}

bool roti_idle_search_end(struct roti_idle *idle, bool found)
{
    roti_spin_lock(&idle->lock);
    idle_change(idle, -1, 0);
    bool last = searching_of(idle_counts(idle)) == 0;
    roti_spin_unlock(&idle->lock);
    return found && last;
}

void roti_idle_sleep(struct roti_idle *idle, unsigned index)
{
    roti_spin_lock(&idle->lock);
    ROTI_ASSERT((idle->sleepers[index / 64] & UINT64_C(1) << (index % 64)) == 0);
    idle->sleepers[index / 64] |= UINT64_C(1) << (index % 64);
    idle_change(idle, 0, 1);
    roti_spin_unlock(&idle->lock);
}

bool roti_idle_wake(struct roti_idle *idle, unsigned index)
{
    uint64_t bit = UINT64_C(1) << (index % 64);
    roti_spin_lock(&idle->lock);
    bool picked = (idle->sleepers[index / 64] & bit) == 0; /* [I2] */
    if (!picked) {
        idle->sleepers[index / 64] &= ~bit;
        idle_change(idle, 0, -1);
    }
    roti_spin_unlock(&idle->lock);
    return picked;
}
