/* SPDX-License-Identifier: MIT */
/*
 * doorbell.h - the socket that a signal handler writes to.
 *
 * Problem.  A handler runs on any thread of the process, also on one that the runtime does not know
 *           and cannot join. The run may end while it stands between reading the socket's number
 *           and writing to it: the number would be another file's by then.
 * Design.   One word holds the number and how many handlers are inside. Whoever ends the run takes
 *           the number out and waits until nobody is inside. Both sides change the one word, so
 *           that either the handler finds no number or the end finds the handler.
 * Threads.  Any. roti_doorbell_ring() also in a signal handler.
 */
#ifndef ROTI_DOORBELL_H
#define ROTI_DOORBELL_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Hangs up the socket `fd`. False if another one hangs there. */
bool roti_doorbell_hang(int fd);

/* Writes one byte to the socket that hangs there, if one does and has room. */
void roti_doorbell_ring(char byte);

/* Takes `fd` down if it is what hangs there. Nobody writes to it when this returns. */
void roti_doorbell_take(int fd);

/* In the child of a fork, on its only thread: nothing hangs there, and nobody is inside. */
void roti_doorbell_forget(void);

#ifdef __cplusplus
}
#endif

#endif
