/* SPDX-License-Identifier: MIT */
/*
 * context_cell.h - the current context, as the files of ctx see it.
 */
#ifndef ROTI_CONTEXT_CELL_H
#define ROTI_CONTEXT_CELL_H

#include "ctx/context_impl.h"
#include "ctx/hamt.h"

/* The map in force; only for the slot that is current, or of a task that is about to be. */
static inline struct roti_map *roti_context_current_root(const struct roti_context_slot *slot)
{
    if (slot->cell == NULL)
        return slot->root;
    ROTI_PLAIN_READ(&slot->cell->root);
    return slot->cell->root;
}

/* Whether the caller's reference is the only one, so that nobody else can look into the object. */
static inline bool roti_context_is_alone(struct rota_context *cell)
{
    /* [C8] acquire: pairs with [C9]; what former holders did with the object is over. */
    return roti_load(C8, acquire, &cell->refs) == 1;
}

#ifdef __cplusplus
extern "C" {
#endif

/* An object with one reference to it and an empty map; NULL when memory is exhausted. */
struct rota_context *roti_context_cell_create(struct roti_thread *thread);

/* Makes the plain context of `slot` an object, entered by it; 0 if it is one, or -ENOMEM. */
int roti_context_make_cell(struct roti_thread *thread, struct roti_context_slot *slot);

/* roti_map_assoc() on the current context; consumes `value` when it succeeds. */
int roti_context_put(struct roti_thread *thread, struct roti_context_slot *slot,
                     struct rota_context_var *var, void *value, struct roti_map_change *ret_change);

/* roti_map_without() on the current context. */
int roti_context_remove(struct roti_thread *thread, struct roti_context_slot *slot,
                        struct rota_context_var *var, struct roti_map_change *ret_change);

#ifdef __cplusplus
}
#endif

#endif
