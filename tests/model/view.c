/* SPDX-License-Identifier: MIT */
/*
 * view.c - released views: in an arena that the next run takes over, shared, never changed.
 */
#include "tests/model/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define ARENA_SIZE ((size_t)1 << 28) /* address space; pages come with use */

void model_views_begin(void)
{
    if (model.arena == NULL) {
        model.arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (model.arena == MAP_FAILED) {
            perror("arena");
            exit(2);
        }
        model.arena_size = ARENA_SIZE;
    }
    model.arena_used = 0;
}

/* A view, yet unset, with room for `length` locations. */
static struct model_view *arena_view(uint32_t length)
{
    size_t size = (sizeof(struct model_view) + length * sizeof(int16_t) + 15) / 16 * 16;
    if (model.arena_used + size > model.arena_size)
        model_fail("the run is too large for the explorer's arena");
    struct model_view *view = (struct model_view *)(model.arena + model.arena_used);
    model.arena_used += size;
    view->length = length;
    view->at = (int16_t *)(view + 1);
    return view;
}

const struct model_view *model_view_copy(const struct model_view *from)
{
    struct model_view *view = arena_view(from->length);
    memcpy(view->clock, from->clock, sizeof view->clock);
    memcpy(view->at, from->at, from->length * sizeof from->at[0]);
    return view;
}

const struct model_view *model_view_union(const struct model_view *one,
                                          const struct model_view *other)
{
    if (one == NULL || one == other)
        return other;
    if (other == NULL)
        return one;
    uint32_t length = one->length > other->length ? one->length : other->length;
    struct model_view *view = arena_view(length);
    model_view_reset(view, view->at);
    model_view_join(view, one);
    model_view_join(view, other);
    return view;
}
