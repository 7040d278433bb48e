/* SPDX-License-Identifier: MIT */
/*
 * site.c - the places in the source that ran, their orders, and mutants of these.
 *
 * A site joins the list when it first runs. A mutant is a label and a variant; it holds for all
 * sites of that label (an inline function has one per file), also for those that run only later.
 */
#include "tests/model/engine.h"

#include <string.h>

#define VARIANTS_MAX 2

static struct model_site *sites;
static const char *mutant_label;
static unsigned mutant_variant;

/* The weaker orders of a site, one step each; returns how many. */
static unsigned variants_of(const struct model_site *site, enum model_order *ret_orders)
{
    bool fence = site->operation == MODEL_FENCE || site->operation == MODEL_MEMBARRIER ||
                 site->operation == MODEL_LIGHT;
    if (site->declared == MODEL_ORDER_relaxed)
        return 0;
    if (fence) {
        ret_orders[0] = MODEL_ORDER_none;
        ret_orders[1] = MODEL_ORDER_acq_rel;
        return site->operation == MODEL_FENCE && site->declared == MODEL_ORDER_seq_cst ? 2 : 1;
    }
    switch (site->declared) {
    case MODEL_ORDER_seq_cst:
        ret_orders[0] = MODEL_ORDER_acq_rel;
        if (site->operation == MODEL_LOAD)
            ret_orders[0] = MODEL_ORDER_acquire;
        if (site->operation == MODEL_STORE)
            ret_orders[0] = MODEL_ORDER_release;
        return 1;
    case MODEL_ORDER_acq_rel:
        ret_orders[0] = MODEL_ORDER_acquire;
        ret_orders[1] = MODEL_ORDER_release;
        return 2;
    default:
        ret_orders[0] = MODEL_ORDER_relaxed;
        return 1;
    }
}

unsigned model_variant_count(const struct model_site *site)
{
    enum model_order orders[VARIANTS_MAX];
    return variants_of(site, orders);
}

enum model_order model_variant_order(const struct model_site *site, unsigned variant)
{
    enum model_order orders[VARIANTS_MAX];
    return variant < variants_of(site, orders) ? orders[variant] : site->declared;
}

static void apply(struct model_site *site)
{
    bool mutated = mutant_label != NULL && strcmp(site->label, mutant_label) == 0;
    site->order = mutated ? model_variant_order(site, mutant_variant) : site->declared;
}

static __attribute__((cold)) void site_add(struct model_site *site)
{
    site->known = true;
    site->next = sites;
    sites = site;
    apply(site);
}

void model_site_meet(struct model_site *site)
{
    if (__builtin_expect(!site->known, 0))
        site_add(site);
    site->hits++;
}

bool model_set_mutant(const char *label, unsigned variant)
{
    bool fits = true;
    mutant_label = label;
    mutant_variant = variant;
    for (struct model_site *site = sites; site != NULL; site = site->next) {
        apply(site);
        if (label != NULL && strcmp(site->label, label) == 0)
            fits = variant < model_variant_count(site);
    }
    return fits;
}

struct model_site *model_sites(void)
{
    return sites;
}

const char *model_order_name(enum model_order order)
{
    switch (order) {
    case MODEL_ORDER_none:
        return "none";
    case MODEL_ORDER_relaxed:
        return "relaxed";
    case MODEL_ORDER_acquire:
        return "acquire";
    case MODEL_ORDER_release:
        return "release";
    case MODEL_ORDER_acq_rel:
        return "acq_rel";
    case MODEL_ORDER_seq_cst:
        return "seq_cst";
    }
    return "?";
}

const char *model_operation_name(enum model_operation operation)
{
    static const char *const names[] = {
        [MODEL_LOAD] = "load",     [MODEL_STORE] = "store",   [MODEL_EXCHANGE] = "exchange",
        [MODEL_ADD] = "fetch_add", [MODEL_SUB] = "fetch_sub", [MODEL_OR] = "fetch_or",
        [MODEL_AND] = "fetch_and", [MODEL_CAS] = "cas",       [MODEL_CAS_WEAK] = "cas_weak",
        [MODEL_FENCE] = "fence",   [MODEL_LIGHT] = "light",   [MODEL_MEMBARRIER] = "membarrier"};
    return names[operation];
}
