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
 *                  spawn           resume            begin            parked
 *             FREE -----> QUEUED ---------> RUNNING --------> PARKING ------> WAITING
 *                            ^                 |  ^              | |            | |
 *                            |                 |  |  stay  claim | | cancel     | | claim, cancel
 *                            |                 |  +--------------|-|--NOTIFIED  | |
 *                            |                 v     release     v |     ^      | |
 *                            |               DONE    CLAIMED ----|-|-----+      | |
 *                            |                          | parked | |            | |
 *                            +--------------------------+--------+-+------------+-+
 *
 *             A waker that claims a task which is still PARKING must unlock its object before the
 *             task may run: it goes to CLAIMED, and its release to NOTIFIED. Whichever of
 *             release and parked comes second finds the other's mark and queues the task. A dump
 *             that must read the stack of a WAITING task holds it by going back to PARKING, and
 *             lets go by `parked`: the same rendezvous, no state of its own. Not drawn: a yield
 *             goes from RUNNING to QUEUED, a wait that is abandoned from PARKING to RUNNING, the
 *             dump's hold from WAITING to PARKING.
 * Invariants. I1 Only the transition that leads to QUEUED entitles to enqueue, once.
 *             I2 The winner is written by the claim that succeeds, and by no other.
 *             I3 requests >= 1 whenever a cancel won. undelivered <= requests at the time it was
 *                raised. A delivery zeroes undelivered and adds one to deliveries.
 * Threads.    roti_state_run, _begin, _stay, _finish, _deliver: the task's own thread. All others:
 *             any thread that holds a reference.
 */
#ifndef ROTI_TASK_STATE_H
#define ROTI_TASK_STATE_H

#include "sched/base/atomic.h"

enum roti_state {
    ROTI_FREE,     /* the slot has no task */
    ROTI_QUEUED,   /* in a queue, or in the hands of whoever is about to put it there */
    ROTI_RUNNING,  /* on a thread */
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

/* FREE -> QUEUED: a new task, all counts zero. Before the slot is visible to others. */
void roti_state_init(roti_word *word);

/* QUEUED -> RUNNING. Returns the word as it is now. */
uint64_t roti_state_run(roti_word *word);

/* RUNNING -> QUEUED: a yield. Called after the switch, from the other stack. */
void roti_state_requeue(roti_word *word);

/*
 * RUNNING -> PARKING with `flags` of ROTI_WAIT_FLAGS, winner none. False, and the state stays
 * RUNNING, when a cancellation is undelivered and the wait does not absorb it: it is delivered now,
 * unless the wait keeps it.
 */
bool roti_state_begin(roti_word *word, uint64_t flags);

/* PARKING or NOTIFIED -> RUNNING without a switch. False while a waker has not let go (CLAIMED);
 * true tells that the task goes on: look at the winner. From PARKING only if `abandon`. */
bool roti_state_stay(roti_word *word, bool abandon);

/* PARKING -> WAITING, or CLAIMED -> QUEUED, or NOTIFIED -> QUEUED. Called after the switch from the
 * other stack, and by a holder that lets go. ENQUEUE only in the last case. */
enum roti_next roti_state_parked(roti_word *word);

/* WAITING -> PARKING: the stack will not move until roti_state_parked(). False if not waiting. */
bool roti_state_hold(roti_word *word);

/* A wait has won: PARKING -> CLAIMED (RELEASE), WAITING -> QUEUED (ENQUEUE); else NOTHING: lost.
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

/* Delivers what is undelivered. True if there was anything. */
bool roti_state_deliver(roti_word *word);

/* RUNNING -> DONE. Returns the final word. */
uint64_t roti_state_finish(roti_word *word);

#ifdef __cplusplus
}
#endif

#endif
