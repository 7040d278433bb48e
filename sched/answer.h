/* SPDX-License-Identifier: MIT */
/*
 * answer.h - one thread asks another where it is, and may stop waiting for the answer.
 *
 * Problem.    Who asks waits for a limited time; the answer may come when nobody waits any more, or
 *             while the next question is asked, and it takes more than one store.
 * Design.     One word says whose turn it is: NONE -> ASKED by who asks; ASKED -> WRITING -> GIVEN
 *             by the other; ASKED -> NONE where it is taken back. An answer that was given to
 *             nobody is thrown away by the next question.
 * Invariants. I1 Between WRITING and GIVEN only the thread that answers touches the content, else
 *                only the one that asks.
 * Threads.    ask, given, take_back, done: one thread at a time. begin, end: one other, also in a
 *             handler of signals: nothing here waits.
 */
#ifndef ROTI_ANSWER_H
#define ROTI_ANSWER_H

#include "sched/base/atomic.h"

#include <stdbool.h>

#define ROTI_ANSWER_MAX 16

struct roti_answer {
    _Atomic(int) state;
    int count; /* of what was given */
    void *addresses[ROTI_ANSWER_MAX];
};

#ifdef __cplusplus
extern "C" {
#endif

/* Asks. False: the answer to an earlier question is being written; not now. */
bool roti_answer_ask(struct roti_answer *answer);

/* Whether it was given; its content is then visible, until roti_answer_done(). */
bool roti_answer_given(const struct roti_answer *answer);

/* Takes the question back. False: it was answered just now after all, or is being answered. */
bool roti_answer_take_back(struct roti_answer *answer);

/* Gives the content up. */
void roti_answer_done(struct roti_answer *answer);

/* Whether somebody has asked: then the content is to be written, and end() called. */
bool roti_answer_begin(struct roti_answer *answer);
void roti_answer_end(struct roti_answer *answer);

#ifdef __cplusplus
}
#endif

#endif
