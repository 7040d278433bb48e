/* SPDX-License-Identifier: MIT */
/*
 * context_write.c - writing the current context; who may, and what readers see, is in context.c.
 */
#include "ctx/context_cell.h"
#include "ctx/credit.h"

#include <errno.h>

int roti_context_make_cell(struct roti_thread *thread, struct roti_context_slot *slot)
{
    if (slot->cell != NULL)
        return 0;
    if (slot == &thread->top && !roti_credit_guard(thread))
        return -ENOMEM;
    struct rota_context *cell = roti_context_cell_create(thread);
    if (cell == NULL)
        return -ENOMEM;
    /* [C18] relaxed: only this slot knows the object, and entered it. */
    roti_store(C18, relaxed, &cell->state, ROTI_CONTEXT_ENTERED);
    cell->root = slot->root;
    *slot = (struct roti_context_slot){.cell = cell, .root = NULL};
    return 0;
}

/* Prepares a write: whoever owns the root alone should find its count to be one. */
static int write_begin(struct roti_thread *thread, struct roti_context_slot *slot)
{
    if (slot == &thread->top && !roti_credit_guard(thread))
        return -ENOMEM;
    roti_credit_forget(thread, roti_context_current_root(slot));
    return 0;
}

static void cell_publish(struct rota_context *cell, struct roti_map *root)
{
    roti_spin_lock(&cell->lock);
    ROTI_PLAIN_WRITE(&cell->root);
    cell->root = root;
    roti_spin_unlock(&cell->lock);
}

int roti_context_put(struct roti_thread *thread, struct roti_context_slot *slot,
                     struct rota_context_var *var, void *value, struct roti_map_change *ret_change)
{
    int r = write_begin(thread, slot);
    if (r < 0)
        return r;
    struct rota_context *cell = slot->cell;
    struct roti_map **place = cell != NULL ? &cell->root : &slot->root;
    if (cell == NULL || roti_context_is_alone(cell)) {
        r = roti_map_assoc(*place, true, var, value, ret_change);
        if (r == 0) {
            ROTI_PLAIN_WRITE(place);
            *place = ret_change->root;
        }
        return r;
    }
    roti_spin_lock(&cell->lock);
    bool replaced = roti_map_replace(cell->root, var, value, ret_change);
    roti_spin_unlock(&cell->lock);
    if (replaced)
        return 0;
    r = roti_map_assoc(cell->root, false, var, value, ret_change);
    if (r == 0)
        cell_publish(cell, ret_change->root);
    return r;
}

int roti_context_remove(struct roti_thread *thread, struct roti_context_slot *slot,
                        struct rota_context_var *var, struct roti_map_change *ret_change)
{
    int r = write_begin(thread, slot);
    if (r < 0)
        return r;
    struct rota_context *cell = slot->cell;
    struct roti_map **place = cell != NULL ? &cell->root : &slot->root;
    bool alone = cell == NULL || roti_context_is_alone(cell);
    r = roti_map_without(*place, alone, var, ret_change);
    if (r < 0)
        return r;
    if (!alone) {
        cell_publish(cell, ret_change->root);
        return 0;
    }
    ROTI_PLAIN_WRITE(place);
    *place = ret_change->root;
    return 0;
}
