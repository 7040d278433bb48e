/* SPDX-License-Identifier: MIT */
/*
 * readiness.h - the readiness word of a descriptor: what the poller has said, in one atomic word.
 *
 * Problem.    A descriptor is registered once, edge-triggered, at one loop; tasks on any loop use
 *             it. Each edge is told once: a thread that lost one would wait for ever. And between a
 *             call that answered -EAGAIN and the note "not ready any more" another edge may come,
 *             which the note must not erase. The descriptor may be closed, and its slot serve
 *             another, while an edge of the first is still in some poller's batch.
 * Design.     One word: {generation, tick, lock, flags}, changed by compare-and-swap.
 *
 *                63         32 31        9  8   7                 0
 *               +-------------+-----------+----+-------------------+
 *               | generation  | tick      |lock| flags             |
 *               +-------------+-----------+----+-------------------+
 *
 *             READ and WRITE mean "a call may succeed": set by an edge, and when the descriptor is
 *             new; cleared by whoever met -EAGAIN. Each edge moves the tick, and a clear names the
 *             word that was seen before the call: if the tick has moved since, the clear is stale
 *             and loses. Closing moves the generation; an edge that names an older one does
 *             nothing, so a slot may serve again at once.
 *             The lock bit guards the lists of waits beside the word. While it is set nobody else
 *             changes the word, so that the unlock is one store, which also carries the new flags:
 *             to see a flag and to find the waits are one step.
 *             RDHUP, HUP, ERR and PRI stay set once they were seen. They forbid the short-read
 *             shortcut: a short read tells that a TCP socket was drained only while no end of the
 *             stream, error or urgent mark is there, as their edge may have come together with that
 *             of the data, and nothing would ask the socket again.
 * Rejected.   A flag per waiter ("armed"), as with EPOLLONESHOT: one more system call per wait, and
 *             a hang where the rearming is forgotten. A tick per direction: a lost clear costs one
 *             call that answers -EAGAIN, and is rare.
 * Invariants. I1 A clear that succeeds was preceded by a call that found nothing, made after the
 *                last edge that the word has seen.
 *             I2 With the lock bit free, a linked wait of a direction implies that its flag is
 *                clear and the word is not CLOSED.
 *             I3 A generation is never open twice (until 2^32 closings of one slot).
 * Threads.    Any. roti_readiness_open: who has the slot alone.
 */
#ifndef ROTI_READINESS_H
#define ROTI_READINESS_H

#include "sched/base/atomic.h"

#define ROTI_READY_READ UINT64_C(0x01)   /* reading, accepting: worth a try */
#define ROTI_READY_WRITE UINT64_C(0x02)  /* writing, connecting: worth a try */
#define ROTI_READY_RDHUP UINT64_C(0x04)  /* the peer has shut down its writing half */
#define ROTI_READY_HUP UINT64_C(0x08)    /* both halves are shut down, or were never connected */
#define ROTI_READY_ERR UINT64_C(0x10)    /* an error was pending */
#define ROTI_READY_PRI UINT64_C(0x20)    /* urgent data: reads stop at its mark */
#define ROTI_READY_DRAINS UINT64_C(0x40) /* a TCP socket: a short read tells that it is empty */
#define ROTI_READY_CLOSED UINT64_C(0x80) /* the slot's descriptor is closed, or there was none */
#define ROTI_READY_LOCK UINT64_C(0x100)

#define ROTI_READY_FLAGS UINT64_C(0xff)
#define ROTI_READY_TICK_ONE UINT64_C(0x200)
#define ROTI_READY_TICK_MASK UINT64_C(0xfffffe00)
#define ROTI_READY_GENERATION_SHIFT 32

/* What forbids the short-read shortcut. */
#define ROTI_READY_ENDING (ROTI_READY_RDHUP | ROTI_READY_HUP | ROTI_READY_ERR | ROTI_READY_PRI)

#ifdef __cplusplus
extern "C" {
#endif

static inline uint32_t roti_readiness_generation(uint64_t word)
{
    return (uint32_t)(word >> ROTI_READY_GENERATION_SHIFT);
}

/* Whether a read that returned less than it asked for has emptied the socket, by the word that was
 * seen before it. */
static inline bool roti_readiness_short_drains(uint64_t seen)
{
    return (seen & (ROTI_READY_DRAINS | ROTI_READY_ENDING)) == ROTI_READY_DRAINS;
}

/* The word as it is. A call made after it finds at least what the edges seen here announced. */
uint64_t roti_readiness_look(const _Atomic(uint64_t) *word);

/* A free slot -> open with `flags`. The generation stays what the last closing made it; a zeroed
 * slot starts with 0. */
void roti_readiness_open(_Atomic(uint64_t) *word, uint64_t flags);

/* Takes the lock. Returns the word without the lock bit. */
uint64_t roti_readiness_lock(_Atomic(uint64_t) *word);

/* The same, but false, and nothing is taken, if the generation is another or the word is CLOSED. */
bool roti_readiness_lock_generation(_Atomic(uint64_t) *word, uint32_t generation,
                                    uint64_t *ret_held);

/* ---- The holder lets go, `held` being what the lock returned ---- */

/* ... with nothing changed. */
void roti_readiness_unlock(_Atomic(uint64_t) *word, uint64_t held);

/* ... after an edge: `flags` are set, the tick moves. */
void roti_readiness_unlock_edge(_Atomic(uint64_t) *word, uint64_t held, uint64_t flags);

/* ... closed for good: the generation moves, CLOSED is the only flag. */
void roti_readiness_unlock_closed(_Atomic(uint64_t) *word, uint64_t held);

/*
 * Clears `flags` after a call that found nothing, `seen` being what roti_readiness_look() returned
 * before that call. False if an edge or a closing came since: nothing is cleared, try the call
 * again.
 */
bool roti_readiness_clear(_Atomic(uint64_t) *word, uint64_t seen, uint64_t flags);

#ifdef __cplusplus
}
#endif

#endif
