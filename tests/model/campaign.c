/* SPDX-License-Identifier: MIT */
/*
 * campaign.c - sites of a program, and whether its tests notice when one is weakened.
 *
 * A mutant that survives means one of three things: the order is stronger than it need be, a test
 * is missing, or the explorer cannot see the difference (see "Gaps" in model.h). The last is said
 * with MODEL_SURVIVES, in the test program, together with the reason.
 * A program that was built with a fault in it is a mutant itself: some test of it must fail.
 */
#include "tests/model/batch.h"

#include <stdio.h>
#include <string.h>

#define REACHING_RUNS 1000
#define MUTANT_RUNS_DEFAULT 100000
#define TESTS_MAX 64

static struct model_survivor *survivors;

void model_survives(struct model_survivor *survivor)
{
    survivor->next = survivors;
    survivors = survivor;
}

void model_sites_print(void)
{
    for (struct model_site *site = model_sites(); site != NULL; site = site->next)
        printf("site %s %s %s %s:%d mutants %u\n", site->label[0] != '\0' ? site->label : "-",
               model_operation_name(site->operation), model_order_name(site->declared), site->file,
               site->line, model_variant_count(site));
}

static const struct model_survivor *find_survivor(const char *label, unsigned variant)
{
    char name[80];
    struct model_survivor *survivor = survivors;
    snprintf(name, sizeof name, "%s:%u", label, variant);
    while (survivor != NULL && strcmp(survivor->mutant, name) != 0)
        survivor = survivor->next;
    return survivor;
}

/* Whether an earlier entry of the list has the same label: then its mutants have been tried. */
static bool is_repeated(const struct model_site *site)
{
    for (struct model_site *other = model_sites(); other != site; other = other->next)
        if (strcmp(other->label, site->label) == 0)
            return true;
    return false;
}

static uint64_t hits_of(const char *label)
{
    uint64_t hits = 0;
    for (struct model_site *site = model_sites(); site != NULL; site = site->next)
        if (strcmp(site->label, label) == 0)
            hits += site->hits;
    return hits;
}

/* Half of the runs random, half by priorities. Returns 0, or the run that failed. */
static uint64_t play_faulty(const struct model_test *test, const struct model_batch *batch,
                            enum model_strategy *ret_strategy)
{
    uint64_t runs = batch->runs != 0 ? batch->runs : MUTANT_RUNS_DEFAULT;
    struct model_search search = batch->search;
    search.strategy = *ret_strategy = MODEL_RANDOM;
    uint64_t run = model_batch_first_failure(test, &search, (runs + 1) / 2);
    if (run != 0)
        return run;
    search.strategy = *ret_strategy = MODEL_PCT;
    return model_batch_first_failure(test, &search, (runs + 1) / 2);
}

/* The same; few runs where the site is not reached. */
static uint64_t play_mutant(const struct model_test *test, const struct model_batch *batch,
                            const char *label, enum model_strategy *ret_strategy)
{
    uint64_t hits = hits_of(label);
    struct model_search search = batch->search;
    search.strategy = *ret_strategy = MODEL_RANDOM;
    uint64_t run = model_batch_first_failure(test, &search, REACHING_RUNS);
    if (run != 0 || hits_of(label) == hits)
        return run;
    return play_faulty(test, batch, ret_strategy);
}

static void print_killed(const struct model_test *test, enum model_strategy strategy, uint64_t run,
                         double start)
{
    printf("killed by %s, %s, in run %lu, %.2f s", test->name, model_strategy_name(strategy),
           (unsigned long)run, model_batch_seconds() - start);
}

/* Weakens one site by one variant; true when a test fails, or the survival is explained. */
static bool try_mutant(const struct model_test *const *tests, unsigned count,
                       const struct model_batch *batch, const struct model_site *site,
                       unsigned variant)
{
    const struct model_survivor *survivor = find_survivor(site->label, variant);
    enum model_strategy strategy;
    double start = model_batch_seconds();
    printf("%s:%u %s %s -> %s: ", site->label, variant, model_operation_name(site->operation),
           model_order_name(site->declared), model_order_name(model_variant_order(site, variant)));
    if (batch->list) {
        printf("%s%s\n", survivor != NULL ? "survives: " : "not played",
               survivor != NULL ? survivor->reason : "");
        return true;
    }
    model_set_mutant(site->label, variant);
    for (unsigned i = 0; i < count; i++) {
        uint64_t run = play_mutant(tests[i], batch, site->label, &strategy);
        if (run == 0)
            continue;
        print_killed(tests[i], strategy, run, start);
        printf("%s\n", survivor != NULL ? " (MODEL_SURVIVES is wrong)" : "");
        return survivor == NULL;
    }
    printf("%s%s\n", survivor != NULL ? "survives: " : "SURVIVES",
           survivor != NULL ? survivor->reason : "");
    return survivor != NULL;
}

/* Whether "no run may fail" is the test's verdict. */
static bool is_plain(const struct model_test *test)
{
    return test->fails_within == 0 && test->must == NULL && test->never == NULL;
}

/* The tests to play, each run for a while to reach its sites; false when one fails as it is. */
static bool collect(const struct model_test *tests, const struct model_batch *batch,
                    const struct model_test **ret_tests, unsigned *ret_count)
{
    unsigned count = 0;
    model_set_mutant(NULL, 0);
    for (const struct model_test *test = tests; test != NULL; test = test->next) {
        if (!model_batch_wants(batch, test) || !is_plain(test))
            continue;
        if (count == TESTS_MAX) {
            printf("more than %d tests in one program\n", TESTS_MAX);
            return false;
        }
        if (model_batch_first_failure(test, &batch->search, REACHING_RUNS) != 0) {
            printf("%s: fails without a mutant\n", test->name);
            return false;
        }
        ret_tests[count++] = test;
    }
    *ret_count = count;
    return true;
}

bool model_campaign(const struct model_test *tests, const struct model_batch *batch)
{
    const struct model_test *chosen[TESTS_MAX];
    unsigned count;
    bool all = true;
    if (!collect(tests, batch, chosen, &count))
        return false;
    for (struct model_site *site = model_sites(); site != NULL; site = site->next)
        for (unsigned i = 0; !is_repeated(site) && i < model_variant_count(site); i++)
            all &= try_mutant(chosen, count, batch, site, i);
    model_set_mutant(NULL, 0);
    return all;
}

bool model_finds(const struct model_test *tests, const struct model_batch *batch)
{
    enum model_strategy strategy;
    double start = model_batch_seconds();
    model_set_mutant(NULL, 0);
    for (const struct model_test *test = tests; test != NULL; test = test->next) {
        if (!model_batch_wants(batch, test) || !is_plain(test))
            continue;
        uint64_t run = play_faulty(test, batch, &strategy);
        if (run == 0)
            continue;
        print_killed(test, strategy, run, start);
        putchar('\n');
        return true;
    }
    printf("SURVIVES\n");
    return false;
}
