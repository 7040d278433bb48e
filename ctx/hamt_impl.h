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

/* The number of bits set; inline, where the compiler would call a function of its library. */
static inline uint32_t roti_map_popcount(uint32_t bits)
{
#if defined(__POPCNT__) || defined(__aarch64__)
    return (uint32_t)__builtin_popcount(bits);
#else
    bits = bits - ((bits >> 1) & 0x55555555U);
    bits = (bits & 0x33333333U) + ((bits >> 2) & 0x33333333U);
    return (((bits + (bits >> 4)) & 0x0f0f0f0fU) * 0x01010101U) >> 24;
#endif
}

/* The bit of `hash` in the bitmap of a node on `level`, and the number of entries before it. */
static inline uint32_t roti_map_bit(uint32_t hash, unsigned level)
{
    return 1U << ((hash >> (level * ROTI_MAP_BITS)) & (ROTI_MAP_WIDTH - 1));
}

static inline uint32_t roti_map_index(const struct roti_map *node, uint32_t bit)
{
    return roti_map_popcount(node->bitmap & (bit - 1));
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
    uint32_t hash = var->hash;
    for (; map != NULL; hash >>= ROTI_MAP_BITS) {
        const struct roti_map_entry *entry;
        if (map->kind == ROTI_MAP_ARRAY) {
            map = roti_map_children(map)[hash & (ROTI_MAP_WIDTH - 1)];
            continue;
        }
        if (map->kind == ROTI_MAP_BITMAP) {
            uint32_t bit = roti_map_bit(hash, 0);
            if ((map->bitmap & bit) == 0)
                return false;
            entry = &roti_map_entries(map)[roti_map_index(map, bit)];
        } else {
            uint32_t index = roti_map_collision_index(map, var);
            if (index == map->used)
                return false;
            entry = &roti_map_entries(map)[index];
        }
        ROTI_PLAIN_READ(&entry->value);
        if (entry->var == var) {
            *ret_value = entry->value;
            return true;
        }
        if (entry->var != NULL)
            return false;
        map = entry->child;
    }
    return false;
}

/* ---- What hamt.c offers to hamt_copy.c ---- */

/* A packed node with no entries and one reference; NULL when memory is exhausted. */
struct roti_map *roti_map_packed_create(enum roti_map_kind kind, uint32_t count);

/* An array node without children and with one reference; NULL when memory is exhausted. */
struct roti_map *roti_map_array_create(void);

/* Frees a node, but not what it holds: its entries were moved, or never held anything. */
void roti_map_shell_free(struct roti_map *node);

/* Adds a reference to all that an entry holds. */
void roti_map_entry_share(const struct roti_map_entry *entry);

#ifdef __cplusplus
}
#endif

#endif
