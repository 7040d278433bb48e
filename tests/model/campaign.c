/* SPDX-License-Identifier: MIT */
/*
 * campaign.c - sites of a program, and whether its tests notice when one is weakened.
 *
 * A mutant that survives means one of three things: the order is stronger than it need be, a test
 * is missing, or the explorer cannot see the difference (see "Gaps" in model.h).
 */
#include "tests/model/batch.h"

#include <stdio.h>
#include <string.h>

#define REACHING_RUNS 2000
#define MUTANT_RUNS_DEFAULT 100000

void model_sites_print(void)
{
    for (struct model_site *site = model_sites(); site != NULL; site = site->next)
        printf("site %s %s %s %s:%d mutants %u\n", site->label[0] != '\0' ? site->label : "-",
               model_operation_name(site->operation), model_order_name(site->declared), site->file,
               site->line, model_variant_count(site));
}

/* Whether an earlier entry of the list has the same label: then its mutants have been tried. */
static bool is_repeated(const struct model_site *site)
{
    for (struct model_site *other = model_sites(); other != site; other = other->next)
        if (strcmp(other->label, site->label) == 0)
            return true;
    return false;
}

/* Half of the runs random, half by priorities; true when one fails. */
static bool is_killed(const struct model_test *test, const struct model_batch *batch, uint64_t runs)
{
    for (enum model_strategy s = MODEL_RANDOM; s <= MODEL_PCT; s++) {
        struct model_search search = batch->search;
        search.strategy = s;
        uint64_t run = model_batch_first_failure(test, &search, runs / 2);
        if (run != 0) {
            printf("killed by %s in run %lu\n", model_strategy_name(s), (unsigned long)run);
            return true;
        }
    }
    puts("SURVIVES");
    return false;
}

bool model_campaign(const struct model_test *test, const struct model_batch *batch)
{
    bool all = true;
    uint64_t runs = batch->runs != 0 ? batch->runs : MUTANT_RUNS_DEFAULT;
    if (test->fails_within != 0 || test->must != NULL || test->never != NULL)
        return true; /* its verdict is not "no run may fail" */
    model_set_mutant(NULL, 0);
    if (model_batch_first_failure(test, &batch->search, REACHING_RUNS) != 0) {
        printf("%s: fails without a mutant\n", test->name);
        return false;
    }
    for (struct model_site *site = model_sites(); site != NULL; site = site->next) {
        if (is_repeated(site))
            continue;
        for (unsigned i = 0; i < model_variant_count(site); i++) {
            printf("%s %s:%u %s %s -> %s: ", test->name, site->label, i,
                   model_operation_name(site->operation), model_order_name(site->declared),
                   model_order_name(model_variant_order(site, i)));
            model_set_mutant(site->label, i);
            all &= is_killed(test, batch, runs);
        }
    }
    model_set_mutant(NULL, 0);
    return all;
}
