/* SPDX-License-Identifier: MIT */
/*
 * name_model.c - the table of names under weak memory: each text once, whole for whoever finds it.
 *
 * Room for one name of a program: of two threads that come with two names, one finds the table
 * full, or both find their own. A third counts and reads what is counted.
 */
#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/name.h"

#include <string.h>

static char *texts[MODEL_THREADS_MAX]; /* own: what each thread was given */

static void names(unsigned thread, const char *name)
{
    MODEL_ASSERT(roti_name_get(name, &texts[thread]) == 0);
    MODEL_ASSERT(strcmp(texts[thread], name) == 0);
}

static void same(unsigned thread)
{
    names(thread, "same");
}

static void other(unsigned thread)
{
    names(thread, thread == 0 ? "first" : "second");
}

/* What a program calls as the table calls something has the number of that. */
static void reserved(unsigned thread)
{
    names(thread, "(other)");
    MODEL_ASSERT(roti_name_number(texts[thread]) == ROTI_NAME_OTHER);
}

static void reader(unsigned thread)
{
    (void)thread;
    unsigned count = roti_name_count();
    for (unsigned i = 0; i < count; i++)
        MODEL_ASSERT(roti_name_text(i)[0] != '\0');
}

static void reset(void)
{
    roti_names_forget();
    memset(texts, 0, sizeof texts);
}

/* One number for the same text. */
static void check_same(void)
{
    MODEL_ASSERT(texts[0] == texts[1]);
    MODEL_ASSERT(roti_name_number(texts[0]) == ROTI_NAME_FIRST);
    MODEL_ASSERT(roti_name_count() == ROTI_NAME_FIRST + 1);
}

/* There was room for one of the two. */
static void check_other(void)
{
    unsigned one = roti_name_number(texts[0]);
    unsigned two = roti_name_number(texts[1]);
    MODEL_ASSERT(one + two == ROTI_NAME_FIRST + ROTI_NAME_OTHER && one != two);
    roti_name_put(texts[0]);
    roti_name_put(texts[1]);
    MODEL_OUTCOME(one);
}

static void check_reserved(void)
{
    MODEL_ASSERT(texts[0] == texts[1]);
    MODEL_ASSERT(roti_name_count() == ROTI_NAME_FIRST);
}

MODEL_TEST(name_same) = {.threads = {same, same, reader}, .setup = reset, .check = check_same};
MODEL_TEST(name_other) = {.threads = {other, other}, .setup = reset, .check = check_other};
MODEL_TEST(name_reserved) = {
    .threads = {reserved, reserved}, .setup = reset, .check = check_reserved};
