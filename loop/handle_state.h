/* SPDX-License-Identifier: MIT */
/*
 * handle_state.h - the word of a callback's node: which life, and what has become of it.
 *
 * Problem.    A token {node, generation} may be used on any thread and at any time: while the
 *             callback is queued, armed, running or long gone, and its node serves another. Exactly
 *             one of "runs" and "was prevented" must come true, and the answer must be right.
 * Design.     One word holds the generation and the state, so that a compare-and-swap for one life
 *             never touches the next. The generation moves on as the node becomes free.
 *
 *               FREE --> QUEUED --> RUNNING --> FREE, next generation
 *                 |        |  ^
 *                 |        |  +------- fire ------+
 *                 |        v cancel               |
 *                 |      CANCELLED --> FREE       |
 *                 |        ^  ^                   |
 *                 |        |  +---- cancel -----+ |
 *                 +--> ARMING ---- armed ----> ARMED   (and FREE --> ARMED on the own thread)
 *
 *             A queued node cannot be taken out of its queue: it is marked, and whoever pops it
 *             recycles it. An armed one is taken out of the wheel by who marked it.
 *             Most callbacks are scheduled without a token. Nobody can ask for such a life, and it
 *             leaves the word alone: FREE, in the generation of the next life that has a token.
 *             What their consumer must know stands in the node (ROTI_HANDLE_ARRIVES).
 * Orders.     Every change is a release or continues a release sequence, and cancel acquires:
 *             who is told that the callback has run may free what it used.
 * Invariants. I1 Only the queue's consumer changes QUEUED to RUNNING, and CANCELLED to FREE where
 *                the node was queued.
 *             I2 Only who changed ARMED to CANCELLED takes the node out of the wheel and frees it.
 * Threads.    cancel, await: any. begin: the node's owner. All others: the loop's thread. All of
 *             them for lives with a token only.
 */
#ifndef ROTI_HANDLE_STATE_H
#define ROTI_HANDLE_STATE_H

#include "sched/base/assert.h"
#include "sched/base/atomic.h"

enum roti_handle_state {
    ROTI_HANDLE_FREE,      /* no life: in a cache, or about to be */
    ROTI_HANDLE_QUEUED,    /* in a local queue or an inbox, or held by a future */
    ROTI_HANDLE_ARMING,    /* in an inbox, on its way to a wheel */
    ROTI_HANDLE_ARMED,     /* in a wheel */
    ROTI_HANDLE_RUNNING,   /* its function is being called */
    ROTI_HANDLE_CANCELLED, /* will not run; where it is, it stays until it is taken out */
};

#define ROTI_HANDLE_STATE_MASK UINT64_C(0x0f)
#define ROTI_HANDLE_AWAITED UINT64_C(0x10) /* RUNNING: somebody waits for its end */
#define ROTI_HANDLE_GENERATION UINT64_C(0x100)
#define ROTI_HANDLE_GENERATION_MASK (~(ROTI_HANDLE_GENERATION - 1))

typedef _Atomic(uint64_t) roti_handle_word;

/* What an attempt to cancel has come to. */
enum roti_handle_cancel {
    ROTI_HANDLE_CANCEL_GONE,   /* that life is over */
    ROTI_HANDLE_CANCEL_SKIP,   /* prevented: the queue's consumer recycles the node */
    ROTI_HANDLE_CANCEL_DISARM, /* prevented: the caller takes it out of the wheel and recycles it */
    ROTI_HANDLE_CANCEL_RUNNING,  /* too late, not over */
    ROTI_HANDLE_CANCEL_REPEATED, /* was prevented before */
};

static inline enum roti_handle_state roti_handle_state_of(uint64_t word)
{
    return (enum roti_handle_state)(word & ROTI_HANDLE_STATE_MASK);
}

/* FREE -> `state`: QUEUED, ARMING or ARMED. Returns the generation, for tokens. */
static inline uint64_t roti_handle_begin(roti_handle_word *word, enum roti_handle_state state)
{
    /* [HN1] relaxed: the node is the caller's, so the word stands still. */
    uint64_t free_word = roti_load(HN1, relaxed, word);
    ROTI_DEBUG_ASSERT(roti_handle_state_of(free_word) == ROTI_HANDLE_FREE);
    /* [HN2] release: pairs with [HN6]. A token of an earlier life that reads this store sees that
     * life's end, which was before in this thread's or a queue's order. */
    roti_store(HN2, release, word, free_word | (uint64_t)state);
    return free_word & ROTI_HANDLE_GENERATION_MASK;
}

/* `from` -> `to`; false if it was cancelled instead. */
static inline bool roti_handle_move(roti_handle_word *word, enum roti_handle_state from,
                                    enum roti_handle_state to)
{
    /* [HN3] relaxed: what the consumer needs of the node came with the queue or the wheel. */
    uint64_t old = roti_load(HN3, relaxed, word);
    if (roti_handle_state_of(old) != from)
        return false;
    uint64_t next = (old & ROTI_HANDLE_GENERATION_MASK) | (uint64_t)to;
    /* [HN5] release: pairs with [HN6]. For ARMED: who cancels reads which wheel holds the timer. */
    return roti_cas(HN5, release, word, &old, next);
}

/* One attempt to keep the life `generation` from running. */
static inline enum roti_handle_cancel roti_handle_try_cancel(roti_handle_word *word,
                                                             uint64_t generation)
{
    /* [HN6] acquire: pairs with [HN2], [HN5], [HN10] and [HN11]; see there. */
    uint64_t old = roti_load(HN6, acquire, word);
    for (;;) {
        if ((old & ROTI_HANDLE_GENERATION_MASK) != generation)
            return ROTI_HANDLE_CANCEL_GONE;
        enum roti_handle_state state = roti_handle_state_of(old);
        if (state == ROTI_HANDLE_FREE)
            return ROTI_HANDLE_CANCEL_GONE;
        if (state == ROTI_HANDLE_RUNNING)
            return ROTI_HANDLE_CANCEL_RUNNING;
        if (state == ROTI_HANDLE_CANCELLED)
            return ROTI_HANDLE_CANCEL_REPEATED;
        /* [HN7] acquire: a failure reads another value, with the needs of [HN6]. */
        if (roti_cas(HN7, acquire, word, &old, generation | ROTI_HANDLE_CANCELLED))
            return state == ROTI_HANDLE_ARMED ? ROTI_HANDLE_CANCEL_DISARM : ROTI_HANDLE_CANCEL_SKIP;
    }
}

/* Asks that the end of a running life be told. False if it is over. */
static inline bool roti_handle_await(roti_handle_word *word, uint64_t generation)
{
    uint64_t old = generation | ROTI_HANDLE_RUNNING;
    /* [HN8] acquire: pairs with [HN11]; who finds the life over goes on as after a wait. A success
     * needs no order: the list of those who wait has a lock. */
    return roti_cas(HN8, acquire, word, &old, old | ROTI_HANDLE_AWAITED) ||
           old == (generation | ROTI_HANDLE_RUNNING | ROTI_HANDLE_AWAITED);
}

/* Ends a life, from whatever state: FREE, next generation. True if somebody waits for it. */
static inline bool roti_handle_end(roti_handle_word *word)
{
    /* [HN9] relaxed: only the end of a life changes the generation, and that is here. */
    uint64_t old = roti_load(HN9, relaxed, word);
    uint64_t next = (old & ROTI_HANDLE_GENERATION_MASK) + ROTI_HANDLE_GENERATION;
    if (roti_handle_state_of(old) == ROTI_HANDLE_CANCELLED) {
        /* Nobody waits for it, and nobody else changes it any more.
         * [HN10] release: as [HN2]. */
        roti_store(HN10, release, word, next);
        return false;
    }
    /* [HN11] release: pairs with [HN6] and [HN8]; what the callback did is visible to who learns
     * that it has run. */
    return (roti_exchange(HN11, release, word, next) & ROTI_HANDLE_AWAITED) != 0;
}

#endif
