/* SPDX-License-Identifier: MIT */
/*
 * hamt_edit.h - the persistent map: how it is changed, and what putting and removing share.
 *
 * Editing. A function that edits is given a node and whether the editor is `alone`, that is,
 *          whether no other reference leads to the node or to one above it. If so the node itself
 *          is edited, else a copy is; the editor's reference to the node is consumed in both cases.
 *          What a copy replaces stays as it is and is dropped by the caller of the whole change:
 *          since nodes are copied from the top down, one reference covers it all, that to the
 *          topmost node copied.
 * Failure. A copy is made with a hole, in the place where the change will be, before the change
 *          below is tried; on failure the copy is destroyed around its hole. The last step, which
 *          moves the new value in, cannot fail. So a change that fails has changed nothing, and
 *          never touched the reference to the new value. Changing the kind of a node is no part of
 *          the contract and is given up silently when memory is short.
 */
#ifndef ROTI_HAMT_EDIT_H
#define ROTI_HAMT_EDIT_H

#include "ctx/hamt_impl.h"

#include <string.h>

/* One change on its way down. */
struct roti_map_edit {
    struct rota_context_var *var;
    void *value;
    struct roti_map_change change;
};

/* The first node copied is the topmost one, and keeps all that is below it. */
static inline void roti_map_note_dropped(struct roti_map_edit *edit, struct roti_map *node)
{
    if (edit->change.dropped == NULL)
        edit->change.dropped = node;
}

/* Takes over which places are taken; in a collision node there are none. */
static inline void roti_map_set_places(struct roti_map *node, const struct roti_map *from)
{
    node->bitmap = from->bitmap;
    memcpy(node->index, from->index, sizeof node->index);
}

/*
 * A copy of a packed node with room for `count` entries, sharing all that it holds except the entry
 * at `hole`, which is left an empty child. NULL when memory is exhausted.
 */
struct roti_map *roti_map_packed_copy(struct roti_map_edit *edit, struct roti_map *node,
                                      uint32_t hole, uint32_t count);

/* The same for an array node. */
struct roti_map *roti_map_array_copy(struct roti_map_edit *edit, struct roti_map *node,
                                     uint32_t hole);

/* Makes room for an entry at `index`, which must fit; or closes the place of one. */
void roti_map_gap_open(struct roti_map *node, uint32_t index);
void roti_map_gap_close(struct roti_map *node, uint32_t index);

/* The only entry of a packed node, if it has one and that is a pair; else NULL. */
struct roti_map_entry *roti_map_lone_pair(const struct roti_map *node);

/* A node on `level` that holds one pair, which gains no reference; NULL when memory is exhausted.
 */
struct roti_map *roti_map_single_create(struct roti_map_entry pair, unsigned level);

/* `node`, a bitmap whose holder is alone, as an array if it has that many children. */
struct roti_map *roti_map_to_array_if_full(struct roti_map *node, unsigned level);

/* `node`, an array whose holder is alone, as a bitmap if few children are left. */
struct roti_map *roti_map_to_bitmap_if_sparse(struct roti_map *node);

#endif
