/* SPDX-License-Identifier: MIT */
/*
 * hamt_assoc.c - the persistent map: putting a value. The rules of editing are in hamt_edit.h.
 */
#include "ctx/hamt_edit.h"

#include <errno.h>
#include <string.h>

static struct roti_map *assoc(struct roti_map_edit *edit, struct roti_map *node, unsigned level,
                              bool alone);

/* The new pair, with a reference to its variable, moved into a place. The end of every assoc. */
static struct roti_map_entry edit_pair(struct roti_map_edit *edit)
{
    roti_var_ref(edit->var);
    return (struct roti_map_entry){.var = edit->var, .value = edit->value};
}

static struct roti_map *pair_replace(struct roti_map_edit *edit, struct roti_map *node,
                                     uint32_t index, bool alone)
{
    struct roti_map_entry *entry = &roti_map_entries(node)[index];
    if (alone) {
        ROTI_PLAIN_WRITE(&entry->value);
        edit->change.old = ROTI_MAP_MOVED;
        edit->change.old_value = entry->value;
        entry->value = edit->value;
        return node;
    }
    struct roti_map *copy = roti_map_packed_copy(edit, node, index, node->used);
    if (copy == NULL)
        return NULL;
    edit->change.old = ROTI_MAP_BORROWED;
    edit->change.old_value = entry->value;
    roti_map_entries(copy)[index] = edit_pair(edit);
    return copy;
}

/* A larger node with what `node` held; its holder is alone. */
static struct roti_map *packed_grow(struct roti_map *node)
{
    struct roti_map *larger = roti_map_packed_create(node->kind, node->used + 1);
    if (larger == NULL)
        return NULL;
    roti_map_set_places(larger, node);
    larger->size = node->size;
    larger->used = node->used;
    memcpy(roti_map_entries(larger), roti_map_entries(node),
           node->used * sizeof(struct roti_map_entry));
    roti_map_shell_free(node);
    return larger;
}

static struct roti_map *pair_insert(struct roti_map_edit *edit, struct roti_map *node,
                                    uint32_t index, bool alone)
{
    if (!alone)
        node = roti_map_packed_copy(edit, node, node->used, node->used + 1);
    else if (node->used == node->capacity)
        node = packed_grow(node);
    if (node == NULL)
        return NULL;
    roti_map_gap_open(node, index);
    roti_map_entries(node)[index] = edit_pair(edit);
    node->size++;
    return node;
}

/* Puts the new pair into an empty place of a bitmap node. */
static struct roti_map *place_insert(struct roti_map_edit *edit, struct roti_map *node,
                                     uint32_t place, bool alone)
{
    uint32_t bit = 1U << place;
    uint32_t index = (uint32_t)__builtin_popcount(node->bitmap & (bit - 1));
    node = pair_insert(edit, node, index, alone);
    if (node != NULL)
        roti_map_set_bitmap(node, node->bitmap | bit);
    return node;
}

/* Frees what pairs_join() made; the pairs are not touched. */
static void join_free(struct roti_map *node)
{
    while (node != NULL) {
        struct roti_map_entry first = roti_map_entries(node)[0];
        roti_map_shell_free(node);
        node = first.var == NULL ? first.child : NULL;
    }
}

/* The smallest map on `level` that holds two pairs. Neither pair gains a reference. */
static struct roti_map *pairs_join(struct roti_map_entry one, struct roti_map_entry two,
                                   unsigned level)
{
    bool collision = level == ROTI_MAP_LEVELS;
    struct roti_map *node =
        roti_map_packed_create(collision ? ROTI_MAP_COLLISION : ROTI_MAP_BITMAP, 2);
    if (node == NULL)
        return NULL;
    node->size = 2;
    node->used = 2;
    struct roti_map_entry *entries = roti_map_entries(node);
    entries[0] = one;
    entries[1] = two;
    if (collision)
        return node;

    uint32_t place_one = roti_map_place(one.var->hash, level);
    uint32_t place_two = roti_map_place(two.var->hash, level);
    roti_map_set_bitmap(node, 1U << place_one | 1U << place_two);
    if (place_one > place_two) {
        entries[0] = two;
        entries[1] = one;
    } else if (place_one == place_two) {
        struct roti_map *child = pairs_join(one, two, level + 1);
        if (child == NULL) {
            roti_map_shell_free(node);
            return NULL;
        }
        node->used = 1;
        entries[0] = (struct roti_map_entry){.var = NULL, .child = child};
    }
    return node;
}

/* Makes the pair at `index` and the new one a child, since they share the place. */
static struct roti_map *pair_split(struct roti_map_edit *edit, struct roti_map *node,
                                   uint32_t index, unsigned level, bool alone)
{
    struct roti_map_entry present = roti_map_entries(node)[index];
    struct roti_map_entry added = {.var = edit->var, .value = edit->value};
    struct roti_map *child = pairs_join(present, added, level + 1);
    if (child == NULL)
        return NULL;
    if (!alone) {
        node = roti_map_packed_copy(edit, node, index, node->used);
        if (node == NULL) {
            join_free(child);
            return NULL;
        }
        roti_map_entry_share(&present);
    }
    roti_var_ref(edit->var);
    roti_map_entries(node)[index] = (struct roti_map_entry){.var = NULL, .child = child};
    node->size++;
    return roti_map_to_array_if_full(node, level);
}

/* Puts the value somewhere below the child at `index` of a packed or array node. */
static struct roti_map *assoc_below(struct roti_map_edit *edit, struct roti_map *node,
                                    uint32_t index, unsigned level, bool alone)
{
    bool array = node->kind == ROTI_MAP_ARRAY;
    struct roti_map *child =
        array ? roti_map_children(node)[index] : roti_map_entries(node)[index].child;
    if (!alone) {
        node = array ? roti_map_array_copy(edit, node, index)
                     : roti_map_packed_copy(edit, node, index, node->used);
        if (node == NULL)
            return NULL;
    }
    child = assoc(edit, child, level + 1, alone);
    if (child == NULL) {
        if (!alone)
            roti_map_unref(node, 1);
        return NULL;
    }
    if (array)
        roti_map_children(node)[index] = child;
    else
        roti_map_entries(node)[index].child = child;
    node->size += edit->change.old == ROTI_MAP_MISSING;
    return node;
}

/* Puts the value into an empty place of an array node. */
static struct roti_map *array_insert(struct roti_map_edit *edit, struct roti_map *node,
                                     uint32_t place, unsigned level, bool alone)
{
    struct roti_map_entry added = {.var = edit->var, .value = edit->value};
    struct roti_map *child = roti_map_single_create(added, level + 1);
    if (child == NULL)
        return NULL;
    if (!alone) {
        node = roti_map_array_copy(edit, node, place);
        if (node == NULL) {
            roti_map_shell_free(child);
            return NULL;
        }
    }
    roti_var_ref(edit->var);
    roti_map_children(node)[place] = child;
    node->used++;
    node->size++;
    return node;
}

/* The node that replaces `node` (often itself), or NULL when memory is exhausted. */
static struct roti_map *assoc(struct roti_map_edit *edit, struct roti_map *node, unsigned level,
                              bool alone)
{
    alone = alone && roti_map_is_alone(node);
    if (node->kind == ROTI_MAP_COLLISION) {
        uint32_t index = roti_map_collision_index(node, edit->var);
        return index < node->used ? pair_replace(edit, node, index, alone)
                                  : pair_insert(edit, node, index, alone);
    }
    uint32_t place = roti_map_place(edit->var->hash, level);
    if (node->kind == ROTI_MAP_ARRAY)
        return roti_map_children(node)[place] != NULL
                   ? assoc_below(edit, node, place, level, alone)
                   : array_insert(edit, node, place, level, alone);
    if (!roti_map_has_place(node, place))
        return place_insert(edit, node, place, alone);

    uint32_t index = node->index[place];
    const struct rota_context_var *present = roti_map_entries(node)[index].var;
    if (present == edit->var)
        return pair_replace(edit, node, index, alone);
    if (present != NULL)
        return pair_split(edit, node, index, level, alone);
    return assoc_below(edit, node, index, level, alone);
}

int roti_map_assoc(struct roti_map *root, bool alone, struct rota_context_var *var, void *value,
                   struct roti_map_change *ret_change)
{
    struct roti_map_edit edit = {.var = var, .value = value};
    if (root != NULL) {
        edit.change.root = assoc(&edit, root, 0, alone);
    } else {
        edit.change.root =
            roti_map_single_create((struct roti_map_entry){.var = var, .value = value}, 0);
        if (edit.change.root != NULL)
            roti_var_ref(var);
    }
    if (edit.change.root == NULL)
        return -ENOMEM;
    *ret_change = edit.change;
    return 0;
}

bool roti_map_replace(struct roti_map *root, const struct rota_context_var *var, void *value,
                      struct roti_map_change *ret_change)
{
    struct roti_map *node = root;
    for (unsigned level = 0; node != NULL && roti_map_is_alone(node); level++) {
        uint32_t index;
        if (node->kind == ROTI_MAP_COLLISION) {
            index = roti_map_collision_index(node, var);
            if (index == node->used)
                return false;
        } else {
            uint32_t place = roti_map_place(var->hash, level);
            if (node->kind == ROTI_MAP_ARRAY) {
                node = roti_map_children(node)[place];
                continue;
            }
            if (!roti_map_has_place(node, place))
                return false;
            index = node->index[place];
        }
        struct roti_map_entry *entry = &roti_map_entries(node)[index];
        if (entry->var == NULL) {
            node = entry->child;
            continue;
        }
        if (entry->var != var)
            return false;
        ROTI_PLAIN_WRITE(&entry->value);
        *ret_change = (struct roti_map_change){
            .root = root, .dropped = NULL, .old_value = entry->value, .old = ROTI_MAP_MOVED};
        entry->value = value;
        return true;
    }
    return false;
}
