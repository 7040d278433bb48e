/* SPDX-License-Identifier: MIT */
/*
 * fence.c - fences, and membarrier.
 *
 * An acquire fence joins what relaxed loads have left pending; a release fence is a view that later
 * relaxed stores carry. A seq_cst fence does both, and exchanges views with all seq_cst fences
 * before it and with seq_cst operations. It joins views there, never clocks: it orders what is
 * read, but is no happens-before.
 */
#include "tests/model/view.h"

static void fence_seq_cst(struct model_view *current)
{
    model_view_join_places(current, &model.fences.view);
    for (unsigned i = 0; i < model.location_count; i++)
        if (model.locations[i].operations > model_view_get(current, i))
            model_view_raise(current, i, model.locations[i].operations);
    model_view_join_places(&model.fences.view, current);
}

static void fence(unsigned index, enum model_order order)
{
    struct model_thread *thread = &model.threads[index];
    if (model_acquires(order))
        model_view_join(&thread->current.view, &thread->pending.view);
    if (order == MODEL_ORDER_seq_cst)
        fence_seq_cst(&thread->current.view);
    if (model_releases(order)) {
        thread->release_fence = model_view_copy(&thread->current.view);
        thread->current.view.clock[index]++;
    }
}

/*
 * The caller's fence comes first and last. The others' come between, one after the other: the
 * kernel's interrupts do not arrive everywhere at once, and whoever is not stopped runs on.
 */
static void fence_everywhere(void)
{
    unsigned count = model.thread_count;
    unsigned self = (unsigned)model.current;
    for (unsigned i = 0; i <= count; i++) {
        unsigned index = (self + i) % count;
        if (i > 0 && model.threads[index].state != MODEL_DONE)
            model_yield();
        fence(index, MODEL_ORDER_seq_cst);
    }
}

void model_fence(struct model_site *site)
{
    if (model_is_native())
        return;
    model_site_meet(site);
    if (site->operation == MODEL_LIGHT)
        return;
    model_yield();
    if (site->order != MODEL_ORDER_none) {
        if (site->operation == MODEL_MEMBARRIER)
            fence_everywhere();
        else
            fence((unsigned)model.current, site->order);
    }
    model_note((uint64_t)site->operation);
    model_trace(site, "done");
}
