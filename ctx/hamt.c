/* SPDX-License-Identifier: MIT */
/*
 * hamt.c - the persistent map: a hash array mapped trie, its nodes and how they are read.
 *
 * Problem.  Each task starts with a copy of its creator's variables, and may change its own. The
 *           copy must cost the same for no variable and for a million, and must never see a write.
 * Design.   An immutable trie. Each level looks at five bits of the variable's hash, lowest first.
 *
 *             hash of a  ... 00010 00101          root, level 0: BITMAP, bits {1, 5, 9}
 *             hash of b  ... 00111 00101            +-----------+--------+-----------+
 *             hash of c  ... ..... 00001            | c : value | child  | d : value |
 *             hash of d  ... ..... 01001            +-----------+---|----+-----------+
 *                                                                   v   level 1: BITMAP, {2, 7}
 *                                                       +-----------+-----------+
 *                                                       | a : value | b : value |
 *                                                       +-----------+-----------+
 *
 *           A place that two variables share becomes a child. Entries are packed, in the order of
 *           their places; a byte for each place says which entry is its. Where more than 16 places
 * hold children, the node becomes an ARRAY of 32 pointers, indexed directly, and its pairs move
 * down into nodes of their own; with 8 children left it becomes a BITMAP again. Variables whose
 * hashes are equal meet in a COLLISION node on level 7. So no walk, and no destruction, is deeper
 * than eight nodes.
 *
 *           A change copies the nodes from the root down to it and shares all others:
 *
 *             root --+--> A --+--> B            after set in B:   root --> A --> B
 *                    |        +--> C                              |        |
 *                    +--> D                                       v        v
 *                                                       C, D also under root' --> A' --> B'
 *
 *           Sharing is counted, per node, atomically: copies of one map are on many loops. A node
 *           is edited in place instead where its count is one and so is that of each node above
 *           it, since then no copy can reach it. The references that threads keep as credit are
 *           counted too, so that a root with credits outside is simply a shared one.
 * Hashes.   Variables are numbered as they are created, and the number is the hash. The first 32 of
 *           a program, and so all of most programs, share one node: a get is one look, a set of a
 *           shared map one copied node, with no counting of children. Nobody can attack this hash:
 *           variables are made by code, not by input.
 * Rejected. A list or a sorted array: a set is O(n). Boxed pairs, counted instead of copied: one
 *           read-modify-write of shared memory for each neighbour at each set of a shared map, by
 *           all cores at once; permanent variables with plain values have none.
 * Threads.  See hamt.h. All orders are in [HM1] to [HM4]; everything else in a node is written
 *           before the node is shared, or while its holder is alone.
 */
#include "ctx/hamt_impl.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"

#include <string.h>

/* ---- Nodes ---- */

static size_t packed_size(uint32_t capacity)
{
    return sizeof(struct roti_map_packed) + capacity * sizeof(struct roti_map_entry);
}

void roti_map_set_bitmap(struct roti_map *node, uint32_t bitmap)
{
    uint8_t index = 0;
    node->bitmap = bitmap;
    memset(node->index, 0, sizeof node->index);
    for (; bitmap != 0; bitmap &= bitmap - 1)
        node->index[__builtin_ctz(bitmap)] = index++;
}

static void node_init(struct roti_map *node, enum roti_map_kind kind, uint32_t capacity)
{
    node->kind = kind;
    roti_map_set_bitmap(node, 0);
    node->size = 0;
    node->used = 0;
    node->capacity = capacity;
    /* [HM2] relaxed: nobody else knows the node; how it gets to others orders this. */
    roti_store(HM2, relaxed, &node->refs, 1U);
}

struct roti_map *roti_map_packed_create(enum roti_map_kind kind, uint32_t count)
{
    /* Room for a few more: maps grow one variable at a time. */
    uint32_t capacity = (count + 3U) & ~3U;
    struct roti_map *node = roti_alloc(packed_size(capacity));
    if (node != NULL)
        node_init(node, kind, capacity);
    return node;
}

struct roti_map *roti_map_array_create(void)
{
    struct roti_map *node = roti_zalloc(sizeof(struct roti_map_array));
    if (node != NULL)
        node_init(node, ROTI_MAP_ARRAY, ROTI_MAP_WIDTH);
    return node;
}

void roti_map_shell_free(struct roti_map *node)
{
    roti_free(node, node->kind == ROTI_MAP_ARRAY ? sizeof(struct roti_map_array)
                                                 : packed_size(node->capacity));
}

void roti_map_entry_share(const struct roti_map_entry *entry)
{
    if (entry->var == NULL) {
        roti_map_ref(entry->child, 1);
        return;
    }
    roti_var_ref(entry->var);
    roti_var_retain_value(entry->var, entry->value);
}

static void entry_drop(const struct roti_map_entry *entry)
{
    ROTI_PLAIN_WRITE(&entry->value);
    if (entry->var == NULL) {
        roti_map_unref(entry->child, 1);
        return;
    }
    roti_var_release_value(entry->var, entry->value);
    rota_context_var_unref(entry->var);
}

/* Recursion is bounded by the depth of a map, eight nodes. */
static void node_destroy(struct roti_map *node)
{
    if (node->kind == ROTI_MAP_ARRAY) {
        for (uint32_t i = 0; i < ROTI_MAP_WIDTH; i++)
            roti_map_unref(roti_map_children(node)[i], 1);
    } else {
        for (uint32_t i = 0; i < node->used; i++)
            entry_drop(&roti_map_entries(node)[i]);
    }
    roti_map_shell_free(node);
}

/* ---- References ---- */

void roti_map_ref(struct roti_map *map, uint64_t count)
{
    /* [HM3] relaxed: the caller holds a reference, through which it saw the node already. */
    if (map != NULL)
        (void)roti_fetch_add(HM3, relaxed, &map->refs, count);
}

void roti_map_unref(struct roti_map *map, uint64_t count)
{
    if (map == NULL || count == 0)
        return;
    /* A single holder needs no read-modify-write: nobody is left who could change the count. */
    if (count == 1 && roti_map_is_alone(map)) {
        node_destroy(map);
        return;
    }
    /* [HM4] acq_rel: release, so that our reads of the node come before the writes of whoever finds
     * itself alone by [HM1] or is the last here; acquire for being that last one. */
    uint64_t before = roti_fetch_sub(HM4, acq_rel, &map->refs, count);
    ROTI_ASSERT(before >= count);
    if (before == count)
        node_destroy(map);
}

/* ---- Reading ---- */

size_t roti_map_len(const struct roti_map *map)
{
    return map != NULL ? map->size : 0;
}

int roti_map_iterate(const struct roti_map *map, rota_context_visit_fn visit, void *arg)
{
    if (map == NULL)
        return 0;
    int result = 0;
    if (map->kind == ROTI_MAP_ARRAY) {
        for (uint32_t i = 0; i < ROTI_MAP_WIDTH && result == 0; i++)
            result = roti_map_iterate(roti_map_children(map)[i], visit, arg);
        return result;
    }
    for (uint32_t i = 0; i < map->used && result == 0; i++) {
        const struct roti_map_entry *entry = &roti_map_entries(map)[i];
        result = entry->var != NULL ? visit(entry->var, entry->value, arg)
                                    : roti_map_iterate(entry->child, visit, arg);
    }
    return result;
}

/* Ends the iteration where `arg`, the other map, has no such pair. */
static int pair_differs(struct rota_context_var *var, void *value, void *arg)
{
    void *other = NULL;
    return !(roti_map_find(arg, var, &other) && other == value);
}

bool roti_map_equal(const struct roti_map *left, const struct roti_map *right)
{
    if (left == right)
        return true;
    /* Equal contents may be laid out differently, depending on how they came about. */
    return roti_map_len(left) == roti_map_len(right) &&
           roti_map_iterate(left, pair_differs, (void *)right) == 0;
}
