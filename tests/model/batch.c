/* SPDX-License-Identifier: MIT */
/*
 * batch.c - many runs of one test, and the verdict.
 *
 * pct lays its points of change over the length of a run, which is measured first, by random runs
 * with fixed seeds: so a seed means the same run whatever the number of runs.
 */
#include "tests/model/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS_DEFAULT 100000
#define RUNS_DFS_MAX 20000000
#define MEASURING_RUNS 16
#define OUTCOMES_MAX 128

struct outcome {
    char name[16];
    uint64_t count;
};

struct tally {
    uint64_t runs;
    uint64_t fails;
    uint64_t first_seed;
    uint64_t steps;
    bool complete; /* dfs: nothing is left */
    char reason[256];
    double seconds;
    unsigned outcome_count;
    struct outcome outcomes[OUTCOMES_MAX];
};

const char *model_strategy_name(enum model_strategy strategy)
{
    static const char *const names[] = {
        [MODEL_RANDOM] = "random", [MODEL_PCT] = "pct", [MODEL_DFS] = "dfs"};
    return names[strategy];
}

/* ---- Preparation ---- */

/* The longest of a few random runs; of those that fail only where all do. */
static unsigned measure_length(const struct model_test *test, const struct model_search *search)
{
    struct model_search random = *search;
    struct model_result result;
    uint64_t longest[2] = {1, 1}; /* of runs that pass, and that fail */
    random.strategy = MODEL_RANDOM;
    for (uint64_t seed = 1; seed <= MEASURING_RUNS; seed++) {
        model_run(test, &random, seed, false, &result);
        if (result.steps > longest[result.failed])
            longest[result.failed] = result.steps;
    }
    return (unsigned)(longest[0] > 1 ? longest[0] : longest[1]);
}

static struct model_search prepare(const struct model_test *test, const struct model_search *asked)
{
    struct model_search search = *asked;
    if (search.strategy == MODEL_PCT)
        search.length = measure_length(test, asked);
    model_search_restart();
    return search;
}

/* Splits "LABEL:n"; the label lives until the next call. */
static bool set_mutant(const char *text)
{
    static char label[64];
    if (text == NULL)
        return model_set_mutant(NULL, 0);
    const char *colon = strchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);
    if (length >= sizeof label)
        return false;
    memcpy(label, text, length);
    label[length] = '\0';
    return model_set_mutant(label, colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : 0);
}

/* ---- Runs ---- */

static void count_outcome(struct tally *tally, const char *name)
{
    unsigned i = 0;
    if (name[0] == '\0')
        return;
    while (i < tally->outcome_count && strcmp(tally->outcomes[i].name, name) != 0)
        i++;
    if (i == OUTCOMES_MAX)
        return;
    if (i == tally->outcome_count)
        memcpy(tally->outcomes[tally->outcome_count++].name, name, sizeof tally->outcomes[i].name);
    tally->outcomes[i].count++;
}

static void count_run(struct tally *tally, const struct model_result *result, uint64_t seed)
{
    tally->runs++;
    tally->steps += result->steps;
    if (!result->failed) {
        count_outcome(tally, result->outcome);
        return;
    }
    if (tally->fails++ == 0) {
        tally->first_seed = seed;
        memcpy(tally->reason, result->reason, sizeof tally->reason);
    }
}

/* Processor time: a rate that does not depend on what else runs. */
double model_batch_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Runs first .. first + runs - 1; stops at the first failure when asked to. */
static void play_runs(const struct model_test *test, const struct model_search *search,
                      uint64_t first, uint64_t runs, bool stop, struct tally *ret_tally)
{
    struct model_result result;
    double start = model_batch_seconds();
    memset(ret_tally, 0, sizeof *ret_tally);
    for (uint64_t seed = first; seed - first < runs; seed++) {
        model_run(test, search, seed, false, &result);
        count_run(ret_tally, &result, seed);
        if (search->strategy == MODEL_DFS && !model_search_advance()) {
            ret_tally->complete = true;
            break;
        }
        if (result.failed && stop)
            break;
    }
    ret_tally->seconds = model_batch_seconds() - start;
}

/* Plays one run again, step by step. dfs walks to it first: a seed is a path's number there. */
static bool play_traced(const struct model_test *test, const struct model_search *search,
                        uint64_t seed)
{
    struct model_result result;
    for (uint64_t path = 1; search->strategy == MODEL_DFS && path < seed; path++) {
        model_run(test, search, path, false, &result);
        if (!model_search_advance())
            break;
    }
    model_run(test, search, seed, true, &result);
    printf("%s seed %lu: %s, %lu steps, trace hash %016lx%s%s\n", test->name, (unsigned long)seed,
           result.failed ? "failed" : "passed", (unsigned long)result.steps,
           (unsigned long)result.hash, result.outcome[0] != '\0' ? ", outcome " : "",
           result.outcome);
    return !result.failed;
}

uint64_t model_batch_first_failure(const struct model_test *test, const struct model_search *asked,
                                   uint64_t runs)
{
    struct tally tally;
    struct model_search search = prepare(test, asked);
    play_runs(test, &search, 1, runs, true, &tally);
    return tally.fails != 0 ? tally.runs : 0;
}

/* A run is a function of its seed, or nothing that was found can be looked at again. */
static bool is_deterministic(const struct model_test *test, const struct model_search *search,
                             uint64_t seed)
{
    struct model_result first, second;
    if (search->strategy == MODEL_DFS)
        return true; /* a path that does not repeat fails in choose.c */
    model_run(test, search, seed, false, &first);
    model_run(test, search, seed, false, &second);
    if (first.hash == second.hash && first.failed == second.failed)
        return true;
    printf("%s: two runs of seed %lu differ: something outside the explorer has a say\n",
           test->name, (unsigned long)seed);
    return false;
}

/* ---- Verdict ---- */

static uint64_t outcome_seen(const struct tally *tally, const char *name, size_t length)
{
    for (unsigned i = 0; i < tally->outcome_count; i++)
        if (strlen(tally->outcomes[i].name) == length &&
            memcmp(tally->outcomes[i].name, name, length) == 0)
            return tally->outcomes[i].count;
    return 0;
}

/* Whether each word of `list` was seen, or none was; says which break that. */
static bool check_outcomes(const struct model_test *test, const struct tally *tally,
                           const char *list, bool wanted)
{
    bool right = true;
    while (list != NULL && *list != '\0') {
        size_t length = strcspn(list, " ");
        bool seen = length != 0 && outcome_seen(tally, list, length) != 0;
        if (length != 0 && seen != wanted) {
            printf("%s: outcome %.*s %s\n", test->name, (int)length, list,
                   wanted ? "was never seen" : "is forbidden");
            right = false;
        }
        list += length + (list[length] == ' ');
    }
    return right;
}

static void print_line(const struct model_test *test, const struct model_batch *batch,
                       const struct tally *tally)
{
    const struct model_search *search = &batch->search;
    double seconds = tally->seconds > 0 ? tally->seconds : 1e-9;
    printf("%s %s", test->name, model_strategy_name(search->strategy));
    if (search->strategy != MODEL_RANDOM)
        printf(":%u", search->depth);
    printf("%s runs %lu%s fails %lu first_seed %lu steps/s %.1fM runs/s %.0fk",
           search->sequential ? " sc" : "", (unsigned long)tally->runs,
           tally->complete ? " (complete)" : "", (unsigned long)tally->fails,
           (unsigned long)tally->first_seed, (double)tally->steps / seconds / 1e6,
           (double)tally->runs / seconds / 1e3);
    for (unsigned i = 0; i < tally->outcome_count; i++)
        printf(" %s:%lu", tally->outcomes[i].name, (unsigned long)tally->outcomes[i].count);
    putchar('\n');
}

static void print_failure(const struct model_test *test, const struct model_batch *batch,
                          const struct tally *tally)
{
    const struct model_search *search = &batch->search;
    printf("  %s\n  replay: --test %s --strategy %s --depth %u --seed %lu%s%s%s\n", tally->reason,
           test->name, model_strategy_name(search->strategy), search->depth,
           (unsigned long)tally->first_seed, search->sequential ? " --sc" : "",
           batch->mutant != NULL ? " --mutant " : "", batch->mutant != NULL ? batch->mutant : "");
}

static bool verdict(const struct model_test *test, const struct model_batch *batch,
                    const struct tally *tally)
{
    bool sequential = batch->search.sequential;
    bool must_fail = test->fails_within != 0 && !(sequential && test->hidden_by_sc);
    if (must_fail && tally->fails == 0) {
        printf("%s: the seeded bug was not found\n", test->name);
        return false;
    }
    bool other_reason = test->fails_with != NULL && strstr(tally->reason, test->fails_with) == NULL;
    if (tally->fails != 0 && (!must_fail || other_reason)) {
        print_failure(test, batch, tally);
        return false;
    }
    bool right = sequential || check_outcomes(test, tally, test->must, true);
    return check_outcomes(test, tally, test->never, false) && right;
}

static uint64_t runs_suggested(const struct model_test *test, const struct model_batch *batch)
{
    if (test->fails_within != 0 && !batch->count)
        return test->fails_within;
    if (batch->runs != 0)
        return batch->runs;
    return batch->search.strategy == MODEL_DFS ? RUNS_DFS_MAX : RUNS_DEFAULT;
}

bool model_batch_wants(const struct model_batch *batch, const struct model_test *test)
{
    return batch->only == NULL || strcmp(batch->only, test->name) == 0;
}

bool model_batch_play(const struct model_test *test, const struct model_batch *batch)
{
    struct tally tally;
    uint64_t first = batch->seed != 0 ? batch->seed : 1;
    if (!set_mutant(batch->mutant != NULL ? batch->mutant : test->mutant)) {
        printf("%s: no such mutant\n", test->name);
        return false;
    }
    struct model_search search = prepare(test, &batch->search);
    if (batch->seed != 0 && batch->runs == 0)
        return play_traced(test, &search, first);
    play_runs(test, &search, first, runs_suggested(test, batch), !batch->count, &tally);
    print_line(test, batch, &tally);
    bool repeats = is_deterministic(test, &search, tally.fails != 0 ? tally.first_seed : first);
    return verdict(test, batch, &tally) && repeats;
}
