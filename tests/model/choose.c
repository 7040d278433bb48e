/* SPDX-License-Identifier: MIT */
/*
 * choose.c - the search: uniform random, priorities with points of change, and every path.
 *
 * pct is the algorithm of Burckhardt, Kothari, Musuvathi and Nagarakatte (2010): a bug of depth d
 * among n threads and k steps is found with probability 1/(n k^(d-1)) or better, whatever else the
 * program does. Choices other than of threads are random there.
 * dfs keeps the path of choices made; a run replays it and takes the first option beyond its end,
 * then the last choice that has an option left is moved on. The first option is always the tame
 * one: stay with the running thread, read the newest value, do not fail.
 */
#include "tests/model/engine.h"
#include "tests/support/splitmix.h"

#define PATH_MAX_LENGTH 8192
#define CHANGES_MAX 8
#define SPURIOUS_ONE_IN 32

struct choice {
    uint16_t taken;
    uint16_t count;
};

static struct {
    uint64_t random;
    uint64_t change_steps[CHANGES_MAX];
    unsigned change_count;
    struct choice path[PATH_MAX_LENGTH];
    unsigned path_length; /* choices of the last run that are kept */
    unsigned position;    /* choices made in this run */
    unsigned preemptions;
    unsigned spurious;
} search;

/* ---- Random numbers ---- */

static uint64_t random_next(void)
{
    return splitmix_next(&search.random);
}

static unsigned random_below(unsigned count)
{
    return splitmix_below(&search.random, count);
}

/* ---- dfs ---- */

static unsigned path_choose(unsigned count)
{
    if (count <= 1)
        return 0;
    if (search.position == PATH_MAX_LENGTH)
        model_fail("more than %d choices on one path", PATH_MAX_LENGTH);
    struct choice *choice = &search.path[search.position];
    if (search.position++ == search.path_length) {
        *choice = (struct choice){.taken = 0, .count = (uint16_t)count};
        search.path_length++;
    }
    if (choice->count != count)
        model_fail("the program is not deterministic: a choice of %u became one of %u",
                   choice->count, count);
    return choice->taken;
}

bool model_search_advance(void)
{
    search.path_length = search.position;
    while (search.path_length > 0) {
        struct choice *choice = &search.path[search.path_length - 1];
        if (++choice->taken < choice->count)
            return true;
        search.path_length--;
    }
    return false;
}

void model_search_restart(void)
{
    search.path_length = 0;
}

static int path_choose_thread(const int *enabled, int count, int current)
{
    int own = -1;
    for (int i = 0; i < count; i++)
        own = enabled[i] == current ? i : own;
    if (own < 0)
        return enabled[path_choose((unsigned)count)];
    if (search.preemptions == model.search.depth)
        return current;
    unsigned taken = path_choose((unsigned)count);
    if (taken == 0)
        return current;
    search.preemptions++;
    int other = (int)taken - 1;
    return enabled[other < own ? other : other + 1];
}

/* ---- pct ---- */

static void priorities_begin(unsigned thread_count)
{
    for (unsigned i = 0; i < thread_count; i++)
        model.threads[i].priority = CHANGES_MAX + 1 + (int)i;
    for (unsigned i = thread_count; i > 1; i--) {
        unsigned other = random_below(i);
        int64_t priority = model.threads[i - 1].priority;
        model.threads[i - 1].priority = model.threads[other].priority;
        model.threads[other].priority = priority;
    }
    search.change_count = model.search.depth > 0 ? model.search.depth - 1 : 0;
    if (search.change_count > CHANGES_MAX)
        search.change_count = CHANGES_MAX;
    for (unsigned i = 0; i < search.change_count; i++)
        search.change_steps[i] = 1 + random_below(model.search.length);
}

static int highest(const int *enabled, int count)
{
    int best = enabled[0];
    for (int i = 1; i < count; i++)
        if (model.threads[enabled[i]].priority > model.threads[best].priority)
            best = enabled[i];
    return best;
}

static int priority_choose_thread(const int *enabled, int count, uint64_t step)
{
    int best = highest(enabled, count);
    for (unsigned i = 0; i < search.change_count; i++) {
        if (search.change_steps[i] == step) {
            model.threads[best].priority = i;
            best = highest(enabled, count);
        }
    }
    return best;
}

/* ---- What the engine asks ---- */

void model_search_begin(const struct model_search *kind, uint64_t seed, unsigned thread_count)
{
    search.random = seed * UINT64_C(0xD1342543DE82EF95) + 1;
    search.position = 0;
    search.preemptions = 0;
    search.spurious = 0;
    if (kind->strategy == MODEL_PCT)
        priorities_begin(thread_count);
}

int model_choose_thread(const int *enabled, int count, int current, uint64_t step)
{
    switch (model.search.strategy) {
    case MODEL_PCT:
        return priority_choose_thread(enabled, count, step);
    case MODEL_DFS:
        return path_choose_thread(enabled, count, current);
    default:
        return count == 1 ? enabled[0] : enabled[random_below((unsigned)count)];
    }
}

unsigned model_choose_store(unsigned span)
{
    if (model.search.strategy == MODEL_DFS)
        return path_choose(span);
    uint64_t random = random_next();
    if (random & 1)
        return 0;
    return (unsigned)(((random >> 32) * span) >> 32);
}

/* A weak compare-and-swap that could succeed fails now and then; once per path of dfs. */
bool model_choose_spurious(void)
{
    if (model.search.strategy != MODEL_DFS)
        return random_below(SPURIOUS_ONE_IN) == 0;
    if (search.spurious > 0 || path_choose(2) == 0)
        return false;
    search.spurious++;
    return true;
}

unsigned model_choose(unsigned count)
{
    unsigned taken = model.search.strategy == MODEL_DFS ? path_choose(count) : random_below(count);
    model_note(taken);
    return taken;
}
