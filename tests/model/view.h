/* SPDX-License-Identifier: MIT */
/*
 * view.h - views: per location the oldest store that may still be read, and a vector clock.
 *
 * A view beyond its length is 0 everywhere: every location's first value. Lengths are multiples of
 * MODEL_VIEW_STEP, so that joining is a loop over whole vectors.
 */
#ifndef ROTI_TESTS_MODEL_VIEW_H
#define ROTI_TESTS_MODEL_VIEW_H

#include "tests/model/engine.h"

#include <string.h>

static inline uint32_t model_view_rounded(uint32_t length)
{
    return (length + MODEL_VIEW_STEP - 1) / MODEL_VIEW_STEP * MODEL_VIEW_STEP;
}

/* An empty view whose places grow into `room`. */
static inline void model_view_reset(struct model_view *view, int16_t *room)
{
    memset(view->clock, 0, sizeof view->clock);
    view->length = 0;
    view->at = room;
}

/* Makes room for `length` locations; only for views that grow in place. */
static inline void model_view_extend(struct model_view *view, uint32_t length)
{
    if (view->length >= length)
        return;
    length = model_view_rounded(length);
    memset(view->at + view->length, 0, (length - view->length) * sizeof view->at[0]);
    view->length = length;
}

static inline int model_view_get(const struct model_view *view, uint32_t location)
{
    return location < view->length ? view->at[location] : 0;
}

static inline void model_view_raise(struct model_view *view, uint32_t location, int index)
{
    model_view_extend(view, location + 1);
    if (view->at[location] < index)
        view->at[location] = (int16_t)index;
}

static inline void model_view_join_places(struct model_view *view, const struct model_view *from)
{
    model_view_extend(view, from->length);
    for (uint32_t block = 0; block < from->length; block += MODEL_VIEW_STEP)
        for (uint32_t i = block; i < block + MODEL_VIEW_STEP; i++)
            view->at[i] = view->at[i] > from->at[i] ? view->at[i] : from->at[i];
}

static inline void model_view_join(struct model_view *view, const struct model_view *from)
{
    model_view_join_places(view, from);
    for (int i = 0; i < MODEL_THREADS_MAX; i++)
        view->clock[i] = view->clock[i] > from->clock[i] ? view->clock[i] : from->clock[i];
}

/* view.c: copies that stores carry. */
void model_views_begin(void);
const struct model_view *model_view_copy(const struct model_view *from);
/* Either may be NULL, which is nothing. */
const struct model_view *model_view_union(const struct model_view *one,
                                          const struct model_view *other);

static inline bool model_acquires(enum model_order order)
{
    return order == MODEL_ORDER_acquire || order >= MODEL_ORDER_acq_rel;
}

static inline bool model_releases(enum model_order order)
{
    return order >= MODEL_ORDER_release;
}

#endif
