/* SPDX-License-Identifier: MIT */
/*
 * hamt_copy.c - the persistent map: copies of nodes, and nodes that change their kind.
 */
#include "ctx/hamt_edit.h"

#define CHILDREN_MAX_IN_BITMAP 16
#define CHILDREN_MIN_IN_ARRAY 8

struct roti_map *roti_map_packed_copy(struct roti_map_edit *edit, struct roti_map *node,
                                      uint32_t hole, uint32_t count)
{
    struct roti_map *copy = roti_map_packed_create(node->kind, count);
    if (copy == NULL)
        return NULL;
    roti_map_set_places(copy, node);
    copy->size = node->size;
    copy->used = node->used;
    for (uint32_t i = 0; i < node->used; i++) {
        struct roti_map_entry *entry = &roti_map_entries(node)[i];
        ROTI_PLAIN_READ(&entry->value);
        if (i == hole) {
            roti_map_entries(copy)[i] = (struct roti_map_entry){.var = NULL, .child = NULL};
            continue;
        }
        roti_map_entries(copy)[i] = *entry;
        roti_map_entry_share(entry);
    }
    roti_map_note_dropped(edit, node);
    return copy;
}

struct roti_map *roti_map_array_copy(struct roti_map_edit *edit, struct roti_map *node,
                                     uint32_t hole)
{
    struct roti_map *copy = roti_map_array_create();
    if (copy == NULL)
        return NULL;
    copy->size = node->size;
    copy->used = node->used;
    for (uint32_t i = 0; i < ROTI_MAP_WIDTH; i++) {
        if (i == hole)
            continue;
        roti_map_children(copy)[i] = roti_map_children(node)[i];
        roti_map_ref(roti_map_children(copy)[i], 1);
    }
    roti_map_note_dropped(edit, node);
    return copy;
}

void roti_map_gap_open(struct roti_map *node, uint32_t index)
{
    struct roti_map_entry *place = &roti_map_entries(node)[index];
    memmove(place + 1, place, (node->used - index) * sizeof *place);
    node->used++;
}

void roti_map_gap_close(struct roti_map *node, uint32_t index)
{
    struct roti_map_entry *place = &roti_map_entries(node)[index];
    node->used--;
    memmove(place, place + 1, (node->used - index) * sizeof *place);
}

struct roti_map_entry *roti_map_lone_pair(const struct roti_map *node)
{
    if (node->kind == ROTI_MAP_ARRAY || node->used != 1)
        return NULL;
    struct roti_map_entry *entry = roti_map_entries(node);
    return entry->var != NULL ? entry : NULL;
}

struct roti_map *roti_map_single_create(struct roti_map_entry pair, unsigned level)
{
    struct roti_map *node = roti_map_packed_create(ROTI_MAP_BITMAP, 1);
    if (node == NULL)
        return NULL;
    roti_map_set_bitmap(node, 1U << roti_map_place(pair.var->hash, level));
    node->size = 1;
    node->used = 1;
    roti_map_entries(node)[0] = pair;
    return node;
}

/* ---- Changing the kind of a node ---- */

struct roti_map *roti_map_to_array_if_full(struct roti_map *node, unsigned level)
{
    uint32_t child_count = 0;
    for (uint32_t i = 0; i < node->used; i++)
        child_count += roti_map_entries(node)[i].var == NULL;
    if (child_count <= CHILDREN_MAX_IN_BITMAP)
        return node;

    struct roti_map *array = roti_map_array_create();
    if (array == NULL)
        return node;
    array->size = node->size;
    array->used = node->used;
    uint32_t index = 0;
    for (uint32_t place = 0; place < ROTI_MAP_WIDTH; place++) {
        if (!roti_map_has_place(node, place))
            continue;
        struct roti_map_entry entry = roti_map_entries(node)[index++];
        struct roti_map *child = entry.child;
        if (entry.var != NULL) {
            child = roti_map_single_create(entry, level + 1);
            if (child == NULL)
                goto give_up;
        }
        roti_map_children(array)[place] = child;
    }
    roti_map_shell_free(node);
    return array;

give_up:
    index = 0;
    for (uint32_t place = 0; place < ROTI_MAP_WIDTH; place++) {
        if (!roti_map_has_place(node, place))
            continue;
        if (roti_map_entries(node)[index++].var != NULL && roti_map_children(array)[place] != NULL)
            roti_map_shell_free(roti_map_children(array)[place]);
    }
    roti_map_shell_free(array);
    return node;
}

struct roti_map *roti_map_to_bitmap_if_sparse(struct roti_map *node)
{
    if (node->used > CHILDREN_MIN_IN_ARRAY)
        return node;
    struct roti_map *packed = roti_map_packed_create(ROTI_MAP_BITMAP, node->used);
    if (packed == NULL)
        return node;
    packed->size = node->size;
    uint32_t bitmap = 0;
    for (uint32_t place = 0; place < ROTI_MAP_WIDTH; place++) {
        struct roti_map *child = roti_map_children(node)[place];
        if (child == NULL)
            continue;
        struct roti_map_entry entry = {.var = NULL, .child = child};
        /* A lone pair moves up, unless another map shares the node that it is in. */
        if (roti_map_lone_pair(child) != NULL && roti_map_is_alone(child)) {
            entry = *roti_map_lone_pair(child);
            roti_map_shell_free(child);
        }
        roti_map_entries(packed)[packed->used++] = entry;
        bitmap |= 1U << place;
    }
    roti_map_set_bitmap(packed, bitmap);
    roti_map_shell_free(node);
    return packed;
}
