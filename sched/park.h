/* SPDX-License-Identifier: MIT */
/*
 * park.h - the two functions at every Dekker point.
 *
 * Problem.  A pusher publishes work, then looks whether anybody sleeps; a parker announces its
 *           sleep, then looks for work. Each stores to one location and loads from another. Unless
 *           both are ordered, each may miss the other, and a task is lost until the next event.
 * Design.   The pusher is frequent, the parker rare, so the parker pays: membarrier makes every
 *           other thread of the process pass a full barrier, and the pusher keeps only the
 *           compiler from reordering. Where the kernel refuses membarrier both sides fence. Under
 *           ThreadSanitizer, which does not understand fences, both sides change one shared word.
 * Rejected. A sequentially consistent store and load on both sides: neither ThreadSanitizer nor
 *           emulated aarch64 gets it right, and a reader does not see the pair.
 */
#ifndef ROTI_PARK_H
#define ROTI_PARK_H

#ifdef __cplusplus
extern "C" {
#endif

/* Registers the process for membarrier, once. Before the first worker starts. */
void roti_dekker_init(void);

/* Between a pusher's store and its look at the sleepers. Any thread. */
void roti_dekker_light(void);

/* Between a parker's announcement and its last look at every source of work. Any thread. */
void roti_dekker_heavy(void);

#ifdef __cplusplus
}
#endif

#endif
