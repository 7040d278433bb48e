/* SPDX-License-Identifier: MIT */
/*
 * fence.c - fences, and membarrier.
 *
 * An acquire fence joins what relaxed loads have left pending; a release fence is a view that later
 * relaxed stores carry. A seq_cst fence does both, and exchanges views with all seq_cst fences
 * before it and with seq_cst operations. It joins views there, never clocks: it orders what is
 * read, but is no happens-before.
 *
 * membarrier is a fence on every thread, wherever each is just then. But between two compiler
 * barriers a compiler may have moved what a thread does, so that only these places count: what
 * membarrier makes others see of a thread is what it had done at its last light barrier, and what
 * it makes the thread see is sure to be seen from the next one on. Without light barriers it orders
 * nothing.
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

/* The kernel stops a thread for a fence. */
static void interrupt(struct model_thread *thread)
{
    struct model_own_view *fences = &model.fences;
    if (thread->light != NULL)
        model_view_join_places(&fences->view, thread->light);
    for (unsigned i = 0; i < model.location_count; i++)
        if (model.locations[i].operations > model_view_get(&fences->view, i))
            model_view_raise(&fences->view, i, model.locations[i].operations);
    thread->interrupted = model_view_copy(&fences->view);
}

/*
 * The caller's fence comes first and last. The others' come between, one after the other: the
 * kernel's interrupts do not arrive everywhere at once, and whoever is not stopped runs on.
 */
static void fence_everywhere(void)
{
    unsigned count = model.thread_count;
    unsigned self = (unsigned)model.current;
    fence(self, MODEL_ORDER_seq_cst);
    for (unsigned i = 1; i < count; i++) {
        struct model_thread *other = &model.threads[(self + i) % count];
        if (other->state != MODEL_DONE)
            model_yield();
        interrupt(other);
    }
    fence(self, MODEL_ORDER_seq_cst);
}

static void light_barrier(struct model_thread *self)
{
    if (self->interrupted != NULL)
        model_view_join_places(&self->current.view, self->interrupted);
    self->interrupted = NULL;
    self->light = model_view_copy(&self->current.view);
}

void model_fence(struct model_site *site)
{
    if (model_is_native())
        return;
    model_site_meet(site);
    model_yield();
    if (site->order != MODEL_ORDER_none) {
        if (site->operation == MODEL_MEMBARRIER)
            fence_everywhere();
        else if (site->operation == MODEL_LIGHT)
            light_barrier(model_running());
        else
            fence((unsigned)model.current, site->order);
    }
    model_note((uint64_t)site->operation);
    model_trace(site, "done");
}
