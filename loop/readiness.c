/* SPDX-License-Identifier: MIT */
/*
 * readiness.c - the transitions of the readiness word, one function each.
 */
#include "loop/readiness.h"

#include "sched/base/assert.h"

#include <sched.h>

#define SPINS_BEFORE_YIELD 64

/* The word once its lock is free. A holder may be preempted, so a long wait gives the core away. */
static uint64_t wait_unlocked(const _Atomic(uint64_t) *word)
{
    for (int spins = 1;; spins++) {
        /* [RD1] relaxed: only a guess; the compare-and-swap after it decides: [RD5], [RD6], [RD8].
         */
        uint64_t seen = roti_load(RD1, relaxed, word);
        if ((seen & ROTI_READY_LOCK) == 0)
            return seen;
        roti_pause();
        if (spins % SPINS_BEFORE_YIELD == 0)
            sched_yield();
    }
}

uint64_t roti_readiness_look(const _Atomic(uint64_t) *word)
{
    /* [RD2] acquire: pairs with [RD7]. The call that follows must find what the edge announced, or
     * the clear after it would erase an edge that nobody has acted on (invariant I1). */
    return roti_load(RD2, acquire, word);
}

void roti_readiness_open(_Atomic(uint64_t) *word, uint64_t flags)
{
    /* [RD3] relaxed: the last life's changes happened before the slot was free. */
    uint64_t seen = roti_load(RD3, relaxed, word);
    ROTI_ASSERT((seen & ROTI_READY_LOCK) == 0);
    ROTI_ASSERT((seen & ROTI_READY_CLOSED) != 0 || seen == 0);
    ROTI_DEBUG_ASSERT((flags & ~(ROTI_READY_FLAGS & ~ROTI_READY_CLOSED)) == 0);
    /* [RD4] release: pairs with [RD6] of a poller, which finds the slot complete. */
    roti_store(RD4, release, word, (seen & ~ROTI_READY_FLAGS) | flags);
}

uint64_t roti_readiness_lock(_Atomic(uint64_t) *word)
{
    uint64_t seen;
    do
        seen = wait_unlocked(word);
    /* [RD5] acquire: pairs with [RD7]; the last holder's lists are visible. */
    while (!roti_cas_weak(RD5, acquire, word, &seen, seen | ROTI_READY_LOCK));
    return seen;
}

bool roti_readiness_lock_generation(_Atomic(uint64_t) *word, uint32_t generation,
                                    uint64_t *ret_held)
{
    uint64_t seen;
    do {
        seen = wait_unlocked(word);
        if (roti_readiness_generation(seen) != generation || (seen & ROTI_READY_CLOSED) != 0)
            return false;
        /* [RD6] acquire: as [RD5]; and pairs with [RD4]. Comparing the whole word, it takes the
         * lock of the same generation only [I3]. */
    } while (!roti_cas_weak(RD6, acquire, word, &seen, seen | ROTI_READY_LOCK));
    *ret_held = seen;
    return true;
}

/* The one store of an unlock. Nobody else changes the word while the lock bit is set. */
static void let_go(_Atomic(uint64_t) *word, uint64_t value)
{
    ROTI_DEBUG_ASSERT((value & ROTI_READY_LOCK) == 0);
    /* [RD7] release: pairs with [RD5], [RD6] of the next holder (the lists), and with [RD2] (what
     * an edge announced is there). */
    roti_store(RD7, release, word, value);
}

void roti_readiness_unlock(_Atomic(uint64_t) *word, uint64_t held)
{
    let_go(word, held);
}

void roti_readiness_unlock_edge(_Atomic(uint64_t) *word, uint64_t held, uint64_t flags)
{
    ROTI_DEBUG_ASSERT((held & ROTI_READY_CLOSED) == 0);
    uint64_t tick = (held + ROTI_READY_TICK_ONE) & ROTI_READY_TICK_MASK;
    let_go(word, (held & ~ROTI_READY_TICK_MASK) | tick | flags);
}

void roti_readiness_unlock_closed(_Atomic(uint64_t) *word, uint64_t held)
{
    uint64_t generation = (uint64_t)(roti_readiness_generation(held) + UINT32_C(1));
    let_go(word, (generation << ROTI_READY_GENERATION_SHIFT) | ROTI_READY_CLOSED);
}

bool roti_readiness_clear(_Atomic(uint64_t) *word, uint64_t seen, uint64_t flags)
{
    const uint64_t same = ROTI_READY_TICK_MASK | (UINT64_MAX << ROTI_READY_GENERATION_SHIFT);
    uint64_t now;
    do {
        now = wait_unlocked(word);
        if (((now ^ seen) & same) != 0)
            return false;
        /* [RD8] relaxed: it publishes nothing but the absence of something. It continues the
         * release sequence of [RD7], so that a reader of the word still sees the last edge's. */
    } while (!roti_cas_weak(RD8, relaxed, word, &now, now & ~flags));
    return true;
}
