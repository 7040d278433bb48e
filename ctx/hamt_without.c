/* SPDX-License-Identifier: MIT */
/*
 * hamt_without.c - the persistent map: removing a value. The rules of editing are in hamt_edit.h.
 */
#include "ctx/hamt_edit.h"

#include <errno.h>

static int without(struct roti_map_edit *edit, struct roti_map *node, unsigned level, bool alone,
                   struct roti_map **ret_node);

/* Takes the pair at `index` out; *ret_node is NULL if nothing is left. */
static int pair_remove(struct roti_map_edit *edit, struct roti_map *node, uint32_t index,
                       bool alone, struct roti_map **ret_node)
{
    struct roti_map_entry pair = roti_map_entries(node)[index];
    if (!alone && node->used > 1) {
        node = roti_map_packed_copy(edit, node, index, node->used);
        if (node == NULL)
            return -ENOMEM;
    } else if (!alone) {
        roti_map_note_dropped(edit, node);
    }
    edit->change.old = alone ? ROTI_MAP_MOVED : ROTI_MAP_BORROWED;
    edit->change.old_value = pair.value;
    if (node->used == 1) {
        if (alone)
            roti_map_shell_free(node);
        node = NULL;
    } else {
        roti_map_gap_close(node, index);
        node->size--;
    }
    if (alone)
        rota_context_var_unref(pair.var);
    *ret_node = node;
    return 0;
}

/* Puts what is left of a child back into its place; both nodes are the editor's alone. */
static struct roti_map *packed_settle(struct roti_map *node, uint32_t place, struct roti_map *child)
{
    uint32_t index = node->index[place];
    node->size--;
    if (child == NULL) {
        roti_map_gap_close(node, index);
        roti_map_set_bitmap(node, node->bitmap & ~(1U << place));
    } else if (roti_map_lone_pair(child) != NULL) {
        roti_map_entries(node)[index] = *roti_map_lone_pair(child);
        roti_map_shell_free(child);
    } else {
        roti_map_entries(node)[index] = (struct roti_map_entry){.var = NULL, .child = child};
    }
    if (node->used > 0)
        return node;
    roti_map_shell_free(node);
    return NULL;
}

static struct roti_map *array_settle(struct roti_map *node, uint32_t place, struct roti_map *child)
{
    node->size--;
    roti_map_children(node)[place] = child;
    node->used -= child == NULL;
    return roti_map_to_bitmap_if_sparse(node);
}

/* Removes the value somewhere below the child at `index`. */
static int without_below(struct roti_map_edit *edit, struct roti_map *node, uint32_t index,
                         unsigned level, bool alone, struct roti_map **ret_node)
{
    bool array = node->kind == ROTI_MAP_ARRAY;
    struct roti_map *child =
        array ? roti_map_children(node)[index] : roti_map_entries(node)[index].child;
    if (!alone) {
        node = array ? roti_map_array_copy(edit, node, index)
                     : roti_map_packed_copy(edit, node, index, node->used);
        if (node == NULL)
            return -ENOMEM;
    }
    int r = without(edit, child, level + 1, alone, &child);
    if (r < 0) {
        if (!alone)
            roti_map_unref(node, 1);
        return r;
    }
    *ret_node = array ? array_settle(node, index, child)
                      : packed_settle(node, roti_map_place(edit->var->hash, level), child);
    return 0;
}

/* The variable is known to be there. */
static int without(struct roti_map_edit *edit, struct roti_map *node, unsigned level, bool alone,
                   struct roti_map **ret_node)
{
    alone = alone && roti_map_is_alone(node);
    if (node->kind == ROTI_MAP_COLLISION)
        return pair_remove(edit, node, roti_map_collision_index(node, edit->var), alone, ret_node);
    uint32_t place = roti_map_place(edit->var->hash, level);
    if (node->kind == ROTI_MAP_ARRAY)
        return without_below(edit, node, place, level, alone, ret_node);
    uint32_t index = node->index[place];
    if (roti_map_entries(node)[index].var == NULL)
        return without_below(edit, node, index, level, alone, ret_node);
    int r = pair_remove(edit, node, index, alone, ret_node);
    if (r == 0 && *ret_node != NULL)
        roti_map_set_bitmap(*ret_node, (*ret_node)->bitmap & ~(1U << place));
    return r;
}

int roti_map_without(struct roti_map *root, bool alone, struct rota_context_var *var,
                     struct roti_map_change *ret_change)
{
    struct roti_map_edit edit = {.var = var, .change = {.root = root}};
    void *value;
    if (roti_map_find(root, var, &value)) {
        int r = without(&edit, root, 0, alone, &edit.change.root);
        if (r < 0)
            return r;
    }
    *ret_change = edit.change;
    return 0;
}
