/* SPDX-License-Identifier: MIT */
/*
 * hamt_impl.h - the nodes of the persistent map, and the look-up, which is inlined.
 */
#ifndef ROTI_HAMT_IMPL_H
#define ROTI_HAMT_IMPL_H

#include "ctx/hamt.h"
#include "ctx/var_impl.h"
#include "sched/base/atomic.h"

#define ROTI_MAP_BITS 5U
#define ROTI_MAP_WIDTH 32U
#define ROTI_MAP_LEVELS 7U /* 7 * 5 bits cover a hash; below them all hashes are equal */

enum roti_map_kind {
    ROTI_MAP_BITMAP,    /* up to 32 entries, packed; `bitmap` says which places are taken */
    ROTI_MAP_ARRAY,     /* 32 places for children, indexed without counting bits */
    ROTI_MAP_COLLISION, /* pairs of equal hashes, in no order; on level 7 only */
};

/* The head of every node. Only `refs` changes while a node is referenced more than once. */
struct roti_map {
    _Atomic(uint64_t) refs; /* parents, slots, cells, and credits of threads */
    enum roti_map_kind kind;
    uint32_t bitmap;   /* ROTI_MAP_BITMAP */
    uint32_t size;     /* pairs in this node and below */
    uint32_t used;     /* entries, or children that are not NULL */
    uint32_t capacity; /* entries that fit */

    /* ROTI_MAP_BITMAP: of each place taken, its entry; 0 for others. Follows from `bitmap`, and is
     * here because reading it is cheaper than counting bits. */
    uint8_t index[ROTI_MAP_WIDTH];
};

/* One place of a packed node: a pair, or (where `var` is NULL) a child. */
struct roti_map_entry {
    struct rota_context_var *var; /* counted */
    union {
        void *value;            /* retained by the variable's function */
        struct roti_map *child; /* counted */
    };
};

struct roti_map_packed {
    struct roti_map head;
    struct roti_map_entry entries[];
};

struct roti_map_array {
    struct roti_map head;
    struct roti_map *children[ROTI_MAP_WIDTH];
};

static inline struct roti_map_entry *roti_map_entries(const struct roti_map *node)
{
    return ((struct roti_map_packed *)node)->entries;
}

static inline struct roti_map **roti_map_children(const struct roti_map *node)
{
    return ((struct roti_map_array *)node)->children;
}

/* The place of `hash` in a node on `level`, which is above the last. */
static inline uint32_t roti_map_place(uint32_t hash, unsigned level)
{
    return (hash >> (level * ROTI_MAP_BITS)) & (ROTI_MAP_WIDTH - 1);
}

static inline bool roti_map_has_place(const struct roti_map *node, uint32_t place)
{
    return ((node->bitmap >> place) & 1U) != 0;
}

/* Whether the caller's reference to `node` is the only one. */
static inline bool roti_map_is_alone(const struct roti_map *node)
{
    /* [HM1] acquire: pairs with [HM4]; what former holders read of the node, they read before we
     * write to it or free it. A count of one cannot grow: adding takes a reference. */
    return roti_load(HM1, acquire, &((struct roti_map *)node)->refs) == 1;
}

/* The place of `var` among the pairs of a collision node; `used` where it is not there. */
static inline uint32_t roti_map_collision_index(const struct roti_map *node,
                                                const struct rota_context_var *var)
{
    uint32_t index = 0;
    while (index < node->used && roti_map_entries(node)[index].var != var)
        index++;
    return index;
}

/* The value of `var` in `map`, borrowed from it; false where there is none. */
static inline bool roti_map_find(const struct roti_map *map, const struct rota_context_var *var,
                                 void **ret_value)
{
    ROTI_PLAIN_READ(&var->hash);
    uint32_t hash = var->hash;
    for (; map != NULL; hash >>= ROTI_MAP_BITS) {
        uint32_t place = roti_map_place(hash, 0);
        uint32_t index;
        if (__builtin_expect(map->kind == ROTI_MAP_BITMAP, 1)) {
            index = map->index[place];
        } else if (map->kind == ROTI_MAP_ARRAY) {
            map = roti_map_children(map)[place];
            continue;
        } else {
            index = roti_map_collision_index(map, var);
            if (index == map->used)
                return false;
        }
        const struct roti_map_entry *entry = &roti_map_entries(map)[index];
        ROTI_PLAIN_READ(&entry->value);
        /* At an empty place this looks at an entry of another place, so of another variable. */
        if (__builtin_expect(entry->var == var, 1)) {
            *ret_value = entry->value;
            return true;
        }
        if (entry->var != NULL || !roti_map_has_place(map, place))
            return false;
        map = entry->child;
    }
    return false;
}

/* ---- What hamt.c offers to the files that edit ---- */

#ifdef __cplusplus
extern "C" {
#endif

/* A packed node with no entries and one reference; NULL when memory is exhausted. */
struct roti_map *roti_map_packed_create(enum roti_map_kind kind, uint32_t count);

/* An array node without children and with one reference; NULL when memory is exhausted. */
struct roti_map *roti_map_array_create(void);

/* Says which places of a bitmap node are taken, by entries in the order of their places. */
void roti_map_set_bitmap(struct roti_map *node, uint32_t bitmap);

/* Frees a node, but not what it holds: its entries were moved, or never held anything. */
void roti_map_shell_free(struct roti_map *node);

/* Adds a reference to all that an entry holds. */
void roti_map_entry_share(const struct roti_map_entry *entry);

#ifdef __cplusplus
}
#endif

#endif
