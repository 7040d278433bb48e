/* SPDX-License-Identifier: MIT */
/*
 * answer_model.c - questions and answers between two threads, under weak memory: what is read is
 * one whole answer, and is not written meanwhile, whoever gives up when.
 */
#include "sched/answer.h"
#include "sched/base/assert.h"

#include <stdint.h>

#define QUESTIONS 3

static struct roti_answer answer;
static unsigned answers; /* own: of the thread that answers */

static void read_answer(void)
{
    ROTI_PLAIN_READ(&answer.count);
    ROTI_PLAIN_READ(&answer.addresses[0]);
    MODEL_ASSERT(answer.count > 0);
    MODEL_ASSERT((uintptr_t)answer.addresses[0] == (uintptr_t)answer.count);
    roti_answer_done(&answer);
}

static void asks(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < QUESTIONS; i++) {
        if (!roti_answer_ask(&answer))
            continue;
        if (roti_answer_given(&answer) || !roti_answer_take_back(&answer))
            if (roti_answer_given(&answer))
                read_answer();
    }
}

static void answers_once(void)
{
    if (!roti_answer_begin(&answer))
        return;
    answers++;
    ROTI_PLAIN_WRITE(&answer.count);
    answer.count = (int)answers;
    ROTI_PLAIN_WRITE(&answer.addresses[0]);
    answer.addresses[0] = (void *)(uintptr_t)answers;
    roti_answer_end(&answer);
}

static void answers_all(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < QUESTIONS; i++)
        answers_once();
}

static void setup(void)
{
    answer = (struct roti_answer){0};
    answers = 0;
}

/* It can be asked again, and answered. */
static void check(void)
{
    MODEL_ASSERT(roti_answer_ask(&answer) || roti_answer_take_back(&answer));
}

MODEL_TEST(answer) = {.threads = {asks, answers_all}, .setup = setup, .check = check};
