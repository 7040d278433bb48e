/* SPDX-License-Identifier: MIT */
/*
 * task_state.h - the wait word of a task: state, winner, and cancellation, in one atomic word.
 *
 * Problem.    A task that waits can be woken by an event, by cancellation and by both at once, from
 *             any thread, at any moment: before its registers are saved, while its stack is being
 *             read by a dump, after it was woken already. It must run exactly once per suspension,
 *             and what woke it must be known.
 * Design.     One 64-bit word holds the state, who won the wake, and the cancellation counts, so
 *             that each decision is one compare-and-swap. The function of each transition returns
 *             what its caller must do next.
 *
 *             from      by              to        what its caller does then
 *             --------  --------------  --------  -----------------------------------
 *             FREE      init            ACTIVE    enqueues
 *             ACTIVE    begin           PARKING   links waits, switches away
 *             PARKING   parked          WAITING   nothing
 *                       stay (abandon)  ACTIVE    goes on
 *                       claim           CLAIMED   unlocks the object, then release
 *                       cancel          NOTIFIED  nothing
 *             CLAIMED   release         NOTIFIED  nothing
 *                       parked          ACTIVE    nothing: release finds it and enqueues
 *             NOTIFIED  parked          ACTIVE    enqueues
 *                       stay            ACTIVE    goes on
 *             WAITING   claim, cancel   ACTIVE    enqueues
 *                       hold            PARKING   reads the stack, then parked
 *             ACTIVE    finish          DONE      wakes the joiners
 *
 *             ACTIVE is a task that runs, is in a queue, or is on its way there: to wakers and
 *             cancellers it is all the same, and so neither a resume nor a yield changes the word.
 *             Who has the task in hand is known to the queues, which hand it over.
 *
 *             A waker that claims a task which is still PARKING must unlock its object before the
 *             task may run: it goes to CLAIMED, and its release to NOTIFIED. Whichever of
 *             release and parked comes second finds the other's mark and queues the task. A dump
 *             that must read the stack of a WAITING task holds it by going back to PARKING, and
 *             lets go by `parked`: the same rendezvous, no state of its own.
 * Invariants. I1 Each suspension ends in one transition to ACTIVE; whoever makes it enqueues, or
 *                leaves it to the release that follows.
 *             I2 The winner is written by the claim that succeeds, and by no other.
 *             I3 requests >= 1 whenever a cancel won. undelivered <= requests at the time it was
 *                raised. A delivery zeroes undelivered and adds one to deliveries.
 * Threads.    roti_state_begin, _stay, _finish, _deliver: whoever has the ACTIVE task in hand. All
 *             others: any thread that holds a reference.
 */
#ifndef ROTI_TASK_STATE_H
#define ROTI_TASK_STATE_H

#include "sched/base/atomic.h"

enum roti_state {
    ROTI_FREE,     /* the slot has no task */
    ROTI_ACTIVE,   /* it runs, or is in a queue or on its way there */
    ROTI_PARKING,  /* about to suspend, or held by a dump */
    ROTI_CLAIMED,  /* a waker has won, and has not let go: its object may be locked */
    ROTI_NOTIFIED, /* a waker has won and let go before the task was parked */
    ROTI_WAITING,  /* suspended */
    ROTI_DONE,     /* the body has returned */
};

/* The word's fields, from the lowest bit. */
#define ROTI_STATE_MASK UINT64_C(0x0f)
#define ROTI_FORWARDS UINT64_C(0x10) /* waits for another task: a cancel goes to that one */
#define ROTI_ABSORBS UINT64_C(0x20)  /* this wait takes requests without being woken by them */
#define ROTI_KEEPS UINT64_C(0x40)    /* a request ends this wait, and stays undelivered */
#define ROTI_WAIT_FLAGS (ROTI_FORWARDS | ROTI_ABSORBS | ROTI_KEEPS)
#define ROTI_WINNER_SHIFT 8 /* 8 bits: index of the wait that won */
#define ROTI_WINNER_MASK (UINT64_C(0xff) << ROTI_WINNER_SHIFT)
#define ROTI_REQUESTS_SHIFT 16    /* 16 bits, saturating */
#define ROTI_UNDELIVERED_SHIFT 32 /* 16 bits, saturating */
#define ROTI_DELIVERIES_SHIFT 48  /* 16 bits, wrapping: compared only with tickets */
#define ROTI_COUNT_MAX UINT64_C(0xffff)

/* Winners that are not the index of a wait. */
#define ROTI_WINNER_NONE 0xff
#define ROTI_WINNER_CANCEL 0xfe
#define ROTI_WAIT_INDEX_MAX 0xfd

static inline enum roti_state roti_word_state(uint64_t word)
{
    return (enum roti_state)(word & ROTI_STATE_MASK);
}

static inline unsigned roti_word_winner(uint64_t word)
{
    return (unsigned)((word & ROTI_WINNER_MASK) >> ROTI_WINNER_SHIFT);
}

static inline unsigned roti_word_requests(uint64_t word)
{
    return (unsigned)((word >> ROTI_REQUESTS_SHIFT) & ROTI_COUNT_MAX);
}

static inline unsigned roti_word_undelivered(uint64_t word)
{
    return (unsigned)((word >> ROTI_UNDELIVERED_SHIFT) & ROTI_COUNT_MAX);
}

static inline unsigned roti_word_deliveries(uint64_t word)
{
    return (unsigned)((word >> ROTI_DELIVERIES_SHIFT) & ROTI_COUNT_MAX);
}

typedef _Atomic(uint64_t) roti_word;

/* What the caller of a transition must do now. */
enum roti_next {
    ROTI_NEXT_NOTHING, /* the transition was lost, or somebody else goes on */
    ROTI_NEXT_RELEASE, /* unlock the object, then call roti_state_release() */
    ROTI_NEXT_ENQUEUE, /* unlock the object, then put the task into a queue */
    ROTI_NEXT_FORWARD, /* a cancel of a task that awaits another: see sched/cancel.c */
    ROTI_NEXT_DONE,    /* the task is done: nothing happened */
};

#ifdef __cplusplus
extern "C" {
#endif

/* FREE -> ACTIVE: a new task, all counts zero. Before the slot is visible to others. */
void roti_state_init(roti_word *word);

/*
 * ACTIVE -> PARKING with `flags` of ROTI_WAIT_FLAGS, winner none. False, and the state stays
 * ACTIVE, when a cancellation is undelivered and the wait does not absorb it: it is delivered now,
 * unless the wait keeps it.
 */
bool roti_state_begin(roti_word *word, uint64_t flags);

/* PARKING or NOTIFIED -> ACTIVE without a switch. False while a waker has not let go (CLAIMED);
 * true tells that the task goes on: look at the winner. From PARKING only if `abandon`. */
bool roti_state_stay(roti_word *word, bool abandon);

/* PARKING -> WAITING, or CLAIMED -> ACTIVE, or NOTIFIED -> ACTIVE. Called after the switch from the
 * other stack, and by a holder that lets go. ENQUEUE only in the last case. */
enum roti_next roti_state_parked(roti_word *word);

/* WAITING -> PARKING: the stack will not move until roti_state_parked(). False if not waiting. */
bool roti_state_hold(roti_word *word);

/* A wait has won: PARKING -> CLAIMED (RELEASE), WAITING -> ACTIVE (ENQUEUE); else NOTHING: lost.
 * The caller holds the lock of the wait's object. */
enum roti_next roti_state_claim(roti_word *word, unsigned winner);

/* CLAIMED -> NOTIFIED (NOTHING); ENQUEUE if the task was parked meanwhile. */
enum roti_next roti_state_release(roti_word *word);

/*
 * One more request. Wakes a waiting task (ENQUEUE), or leaves the request undelivered (NOTHING).
 * `forwards` false: a task that awaits another is left alone and FORWARD is returned, nothing
 * counted; true: the request is counted, and will travel to the awaited task. *ret_deliveries is
 * the ticket, from the same compare-and-swap.
 */
enum roti_next roti_state_cancel(roti_word *word, bool forwards, unsigned *ret_deliveries);

/* An undelivered mark without a request: one that was forwarded and came back. As cancel(). */
enum roti_next roti_state_return_request(roti_word *word);

/* A request that was forwarded was delivered down there: counts as a delivery here. */
void roti_state_deliver_forwarded(roti_word *word);

/* Takes one request back; the undelivered mark too if `ticket` is still the count of deliveries, or
 * when no request is left. Returns the requests left. ROTI_TICKET_NONE: only the latter. */
unsigned roti_state_uncancel(roti_word *word, unsigned ticket);
#define ROTI_TICKET_NONE 0x10000U

/* The same where there may be something. */
bool roti_state_deliver_any(roti_word *word);

/* Delivers what is undelivered. True if there was anything. */
static inline bool roti_state_deliver(roti_word *word)
{
    /* [W5] relaxed: a request that is not seen yet is told at the next suspension. */
    uint64_t seen = roti_load(W5, relaxed, word);
    return __builtin_expect(roti_word_undelivered(seen) > 0, 0) && roti_state_deliver_any(word);
}

/* ACTIVE -> DONE. Returns the final word. */
uint64_t roti_state_finish(roti_word *word);

#ifdef __cplusplus
}
#endif

#endif
