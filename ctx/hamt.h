/* SPDX-License-Identifier: MIT */
/*
 * hamt.h - the persistent map from context variables to values.
 *
 * A map is named by its root, a counted reference; NULL is the empty map and costs no counting.
 * Whoever holds a reference sees a map that never changes: only a holder who is alone edits nodes
 * in place, all others get copies of the path from the root to the change. The essay is in hamt.c.
 *
 * Threads. Any number may hold, read and drop references to one root in parallel. A call that takes
 * a map to change consumes the caller's reference to it, and nobody else uses that reference.
 */
#ifndef ROTI_HAMT_H
#define ROTI_HAMT_H

#include <rota/context.h>

struct roti_map;

/* Where the value went that a change replaced or removed. */
enum roti_map_old {
    ROTI_MAP_MISSING,  /* there was none */
    ROTI_MAP_BORROWED, /* `dropped` holds it still */
    ROTI_MAP_MOVED,    /* the map was edited in place: its reference is the caller's now */
};

/* What a change leaves to its caller, who finishes it when no lock is held any more. */
struct roti_map_change {
    struct roti_map *root;    /* the map after the change; the caller's reference */
    struct roti_map *dropped; /* what the change cut off, to be unreferenced; may be NULL */
    void *old_value;
    enum roti_map_old old;
};

#ifdef __cplusplus
extern "C" {
#endif

/* Adds `count` references; the caller holds one, or is otherwise sure of one. NULL is ignored. */
void roti_map_ref(struct roti_map *map, uint64_t count);

/* Drops `count` references; with the last, values are released. NULL is ignored. */
void roti_map_unref(struct roti_map *map, uint64_t count);

/*
 * Puts var -> value. `alone` says that the caller's reference to `root` is the only way for anyone
 * to reach it that the count does not show; false forbids editing in place.
 *
 * Returns 0, having consumed the references to `root` and to `value`; or -ENOMEM with nothing
 * changed. Adds a reference to `var`.
 */
int roti_map_assoc(struct roti_map *root, bool alone, struct rota_context_var *var, void *value,
                   struct roti_map_change *ret_change);

/*
 * Removes the value of `var`; without one, the change is the same root and ROTI_MAP_MISSING.
 *
 * Returns 0, having consumed the reference to `root`, or -ENOMEM with nothing changed.
 */
int roti_map_without(struct roti_map *root, bool alone, struct rota_context_var *var,
                     struct roti_map_change *ret_change);

/*
 * Replaces a value in place, if `var` has one and every node on the way is referenced once. Never
 * allocates, frees or calls user code, so that it may run under a spinlock.
 *
 * Returns true having consumed the references to `root` and `value`, or false with nothing done.
 */
bool roti_map_replace(struct roti_map *root, const struct rota_context_var *var, void *value,
                      struct roti_map_change *ret_change);

/* The number of variables that have a value. */
size_t roti_map_len(const struct roti_map *map);

/* Calls `visit` for each pair until it returns other than 0, and returns that. `map` must be kept
 * alive by a reference. */
int roti_map_iterate(const struct roti_map *map, rota_context_visit_fn visit, void *arg);

/* Whether both hold the same variables with the same pointers. */
bool roti_map_equal(const struct roti_map *left, const struct roti_map *right);

#ifdef __cplusplus
}
#endif

#endif
