/* SPDX-License-Identifier: MIT */
/*
 * answer.c - a question to another thread, and its answer. The essay is in the header.
 */
#include "sched/answer.h"

enum answer_state {
    ANSWER_NONE, /* as zeroed memory */
    ANSWER_ASKED,
    ANSWER_WRITING,
    ANSWER_GIVEN,
};

bool roti_answer_ask(struct roti_answer *answer)
{
    int none = ANSWER_NONE;
    int late = ANSWER_GIVEN;
    /* [AN1] relaxed: who asks has read the last answer itself. */
    if (roti_cas(AN1, relaxed, &answer->state, &none, ANSWER_ASKED))
        return true;
    /* [AN2] relaxed: nobody reads the late one; the next is written by the same thread. */
    return roti_cas(AN2, relaxed, &answer->state, &late, ANSWER_ASKED);
}

bool roti_answer_given(const struct roti_answer *answer)
{
    /* [AN3] acquire: pairs with [AN6]; the content is visible. */
    return roti_load(AN3, acquire, &answer->state) == ANSWER_GIVEN;
}

bool roti_answer_take_back(struct roti_answer *answer)
{
    int asked = ANSWER_ASKED;
    /* [AN4] relaxed: nothing is read on the strength of it. */
    return roti_cas(AN4, relaxed, &answer->state, &asked, ANSWER_NONE);
}

void roti_answer_done(struct roti_answer *answer)
{
    /* [AN5] release: pairs with [AN7], through the question; what was read was read before the next
     * answer is written. */
    roti_store(AN5, release, &answer->state, ANSWER_NONE);
}

void roti_answer_end(struct roti_answer *answer)
{
    /* [AN6] release: pairs with [AN3]. */
    roti_store(AN6, release, &answer->state, ANSWER_GIVEN);
}

bool roti_answer_begin(struct roti_answer *answer)
{
    int asked = ANSWER_ASKED;
    /* [AN7] acquire: pairs with [AN5]; the question follows it in its release sequence, as a
     * compare-and-swap. */
    return roti_cas(AN7, acquire, &answer->state, &asked, ANSWER_WRITING);
}
