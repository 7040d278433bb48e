/* SPDX-License-Identifier: MIT */
/*
 * task_state.c - the transitions of a task's wait word. The essay is in the header.
 *
 * Every change is a compare-and-swap of the whole word, so that state, winner and counts are always
 * from one moment. All are acq_rel on the same word and pair with each other: whoever makes a
 * transition sees what was done before the one that it follows. The word is the only thing that two
 * wakers share.
 */
#include "sched/task_state.h"

#include "sched/base/assert.h"

#define WINNER_NONE ((uint64_t)ROTI_WINNER_NONE << ROTI_WINNER_SHIFT)
#define WINNER_CANCEL ((uint64_t)ROTI_WINNER_CANCEL << ROTI_WINNER_SHIFT)
#define UNDELIVERED_MASK (ROTI_COUNT_MAX << ROTI_UNDELIVERED_SHIFT)

/* [W1] relaxed: a guess, which the compare-and-swap after it checks. */
#define word_guess(word) roti_load(W1, relaxed, word)

/* [W2] acq_rel: see the top of this file. */
#define word_change(word, from, to) roti_cas_weak(W2, acq_rel, word, from, to)

static uint64_t with_state(uint64_t word, enum roti_state state)
{
    return (word & ~ROTI_STATE_MASK) | (uint64_t)state;
}

/* Adds one to a saturating 16-bit count. */
static uint64_t count_up(uint64_t word, unsigned shift)
{
    return ((word >> shift) & ROTI_COUNT_MAX) == ROTI_COUNT_MAX ? word
                                                                : word + (UINT64_C(1) << shift);
}

/* Takes one from a count, not below zero. */
static uint64_t count_down(uint64_t word, unsigned shift)
{
    return ((word >> shift) & ROTI_COUNT_MAX) == 0 ? word : word - (UINT64_C(1) << shift);
}

/* Adds one to the wrapping count of deliveries, the highest field. */
static uint64_t delivered(uint64_t word)
{
    return word + (UINT64_C(1) << ROTI_DELIVERIES_SHIFT);
}

void roti_state_init(roti_word *word)
{
    /* [W3] relaxed: [RG4] publishes it to whoever finds the slot through the registry, and a queue
     * to whoever runs the task. */
    roti_store(W3, relaxed, word, (uint64_t)ROTI_ACTIVE | WINNER_NONE);
}

bool roti_state_begin(roti_word *word, uint64_t flags)
{
    uint64_t from = word_guess(word);
    for (;;) {
        ROTI_ASSERT(roti_word_state(from) == ROTI_ACTIVE);
        bool deliver = roti_word_undelivered(from) > 0 && (flags & ROTI_ABSORBS) == 0;
        if (deliver && (flags & ROTI_KEEPS) != 0)
            return false;
        uint64_t to =
            deliver ? delivered(from & ~UNDELIVERED_MASK)
                    : (with_state(from, ROTI_PARKING) & ~(ROTI_WAIT_FLAGS | ROTI_WINNER_MASK)) |
                          flags | WINNER_NONE;
        if (word_change(word, &from, to))
            return !deliver;
    }
}

bool roti_state_stay(roti_word *word, bool abandon)
{
    uint64_t from = word_guess(word);
    do {
        enum roti_state state = roti_word_state(from);
        if (state != ROTI_NOTIFIED && !(abandon && state == ROTI_PARKING))
            return false;
    } while (!word_change(word, &from, with_state(from, ROTI_ACTIVE)));
    return true;
}

enum roti_next roti_state_parked(roti_word *word)
{
    uint64_t from = word_guess(word);
    for (;;) {
        enum roti_state state = roti_word_state(from);
        ROTI_ASSERT(state == ROTI_PARKING || state == ROTI_CLAIMED || state == ROTI_NOTIFIED);
        uint64_t to = with_state(from, state == ROTI_PARKING ? ROTI_WAITING : ROTI_ACTIVE);
        if (word_change(word, &from, to))
            return state == ROTI_NOTIFIED ? ROTI_NEXT_ENQUEUE : ROTI_NEXT_NOTHING;
    }
}

bool roti_state_hold(roti_word *word)
{
    uint64_t from = word_guess(word);
    do {
        if (roti_word_state(from) != ROTI_WAITING)
            return false;
    } while (!word_change(word, &from, with_state(from, ROTI_PARKING)));
    return true;
}

enum roti_next roti_state_claim(roti_word *word, unsigned winner)
{
    ROTI_DEBUG_ASSERT(winner <= ROTI_WAIT_INDEX_MAX);
    uint64_t from = word_guess(word);
    for (;;) {
        enum roti_state state = roti_word_state(from);
        if (state != ROTI_PARKING && state != ROTI_WAITING)
            return ROTI_NEXT_NOTHING;
        uint64_t to = with_state(from, state == ROTI_PARKING ? ROTI_CLAIMED : ROTI_ACTIVE);
        to = (to & ~ROTI_WINNER_MASK) | (uint64_t)winner << ROTI_WINNER_SHIFT;
        if (word_change(word, &from, to))
            return state == ROTI_PARKING ? ROTI_NEXT_RELEASE : ROTI_NEXT_ENQUEUE;
    }
}

enum roti_next roti_state_release(roti_word *word)
{
    /* [W4] acquire: pairs with [W2] of `parked`; the registers are saved, and whoever takes it
     * from a queue must see them. */
    uint64_t from = roti_load(W4, acquire, word);
    do {
        if (roti_word_state(from) == ROTI_ACTIVE)
            return ROTI_NEXT_ENQUEUE;
        ROTI_ASSERT(roti_word_state(from) == ROTI_CLAIMED);
    } while (!word_change(word, &from, with_state(from, ROTI_NOTIFIED)));
    return ROTI_NEXT_NOTHING;
}

/* The word after one more undelivered mark, and what the marker must do. */
static enum roti_next mark_undelivered(uint64_t from, uint64_t *ret_to)
{
    enum roti_state state = roti_word_state(from);
    uint64_t to = count_up(from, ROTI_UNDELIVERED_SHIFT);
    bool waits = state == ROTI_PARKING || state == ROTI_WAITING;
    if (waits && (from & ROTI_ABSORBS) == 0) {
        to = with_state(to, state == ROTI_PARKING ? ROTI_NOTIFIED : ROTI_ACTIVE);
        to = (to & ~ROTI_WINNER_MASK) | WINNER_CANCEL;
    }
    *ret_to = to;
    return roti_word_state(to) == ROTI_ACTIVE && state == ROTI_WAITING ? ROTI_NEXT_ENQUEUE
                                                                       : ROTI_NEXT_NOTHING;
}

enum roti_next roti_state_cancel(roti_word *word, bool forwards, unsigned *ret_deliveries)
{
    uint64_t from = word_guess(word);
    for (;;) {
        enum roti_state state = roti_word_state(from);
        bool waits = state == ROTI_PARKING || state == ROTI_WAITING;
        if (state == ROTI_DONE || state == ROTI_FREE)
            return ROTI_NEXT_DONE;
        uint64_t to = count_up(from, ROTI_REQUESTS_SHIFT);
        enum roti_next next = ROTI_NEXT_FORWARD;
        if (!waits || (from & ROTI_FORWARDS) == 0)
            next = mark_undelivered(to, &to);
        else if (!forwards)
            return ROTI_NEXT_FORWARD;
        if (!word_change(word, &from, to))
            continue;
        *ret_deliveries = roti_word_deliveries(to);
        return next;
    }
}

enum roti_next roti_state_return_request(roti_word *word)
{
    uint64_t from = word_guess(word);
    for (;;) {
        uint64_t to;
        if (roti_word_state(from) == ROTI_DONE || roti_word_state(from) == ROTI_FREE)
            return ROTI_NEXT_DONE;
        enum roti_next next = mark_undelivered(from, &to);
        if (word_change(word, &from, to))
            return next;
    }
}

void roti_state_deliver_forwarded(roti_word *word)
{
    uint64_t from = word_guess(word);
    while (!word_change(word, &from, delivered(from)))
        ;
}

unsigned roti_state_uncancel(roti_word *word, unsigned ticket)
{
    uint64_t from = word_guess(word);
    for (;;) {
        if (roti_word_state(from) == ROTI_DONE || roti_word_requests(from) == 0)
            return 0;
        uint64_t to = count_down(from, ROTI_REQUESTS_SHIFT);
        if (ticket == roti_word_deliveries(from))
            to = count_down(to, ROTI_UNDELIVERED_SHIFT);
        if (roti_word_requests(to) == 0)
            to &= ~UNDELIVERED_MASK;
        if (word_change(word, &from, to))
            return roti_word_requests(to);
    }
}

bool roti_state_deliver_any(roti_word *word)
{
    uint64_t from = word_guess(word);
    do {
        if (roti_word_undelivered(from) == 0)
            return false;
    } while (!word_change(word, &from, delivered(from & ~UNDELIVERED_MASK)));
    return true;
}

uint64_t roti_state_finish(roti_word *word)
{
    uint64_t from = word_guess(word);
    uint64_t to;
    do {
        ROTI_ASSERT(roti_word_state(from) == ROTI_ACTIVE);
        to = with_state(from, ROTI_DONE);
    } while (!word_change(word, &from, to));
    return to;
}
