/* SPDX-License-Identifier: MIT */
/*
 * var.c - context variables: their life, and reading, setting and resetting them.
 *
 * Tokens. A token names its context and variable by identities that are never given twice, so that
 *         one that outlives either is recognised, and holds nothing of theirs. Only the value
 *         before needs keeping: where values are counted the token has a reference to it, together
 *         with the function that drops it. To be named, a context must be an object; the first set
 *         with a token makes the current one such.
 */
#include "ctx/context_cell.h"
#include "ctx/credit.h"
#include "ctx/hamt_impl.h"
#include "ctx/var_impl.h"

#include "sched/base/alloc.h"

#include <errno.h>
#include <string.h>

#define TOKEN_ARMED 1U     /* good for one reset */
#define TOKEN_HAD_VALUE 2U /* old_value is to be brought back; else the entry is to be removed */

static _Atomic(uint64_t) var_id_last;

/* ---- Life ---- */

static int var_create(struct rota_context_var **ret_var, const char *name,
                      const struct rota_context_var_opts *opts, const uint32_t *hash)
{
    static const struct rota_context_var_opts defaults = {.has_default = false};
    if (opts == NULL)
        opts = &defaults;
    if ((opts->retain == NULL) != (opts->release == NULL))
        return -EINVAL;
    if (name == NULL)
        name = "";
    size_t name_size = strlen(name) + 1;
    struct rota_context_var *var = roti_alloc(sizeof *var + name_size);
    if (var == NULL)
        return -ENOMEM;
    /* [C3] relaxed: only the numbers must differ. */
    var->id = roti_fetch_add(C3, relaxed, &var_id_last, 1U) + 1;
    var->hash = hash != NULL ? *hash : (uint32_t)(var->id - 1);
    var->permanent = opts->permanent;
    var->has_default = opts->has_default;
    var->default_value = opts->has_default ? opts->default_value : NULL;
    var->retain = opts->retain;
    var->release = opts->release;
    var->name_size = name_size;
    memcpy(var->name, name, name_size);
    /* [C4] relaxed: nobody else knows the variable. */
    roti_store(C4, relaxed, &var->refs, 1U);
    if (var->has_default)
        roti_var_retain_value(var, var->default_value);
    *ret_var = var;
    return 0;
}

int rota_context_var_create(struct rota_context_var **ret_var, const char *name,
                            const struct rota_context_var_opts *opts)
{
    return var_create(ret_var, name, opts, NULL);
}

int roti_context_var_create_hashed(struct rota_context_var **ret_var, const char *name,
                                   const struct rota_context_var_opts *opts, uint32_t hash)
{
    return var_create(ret_var, name, opts, &hash);
}

struct rota_context_var *rota_context_var_ref(struct rota_context_var *var)
{
    roti_var_ref(var);
    return var;
}

void rota_context_var_unref(struct rota_context_var *var)
{
    if (var == NULL || var->permanent)
        return;
    /* [C2] acq_rel: release for what this holder did with the variable, acquire of what all others
     * did before the last one frees it. */
    if (roti_fetch_sub(C2, acq_rel, &var->refs, 1U) > 1)
        return;
    ROTI_PLAIN_WRITE(&var->hash);
    if (var->has_default)
        roti_var_release_value(var, var->default_value);
    roti_free(var, sizeof *var + var->name_size);
}

const char *rota_context_var_name(const struct rota_context_var *var)
{
    return var->name;
}

/* ---- Reading ---- */

int rota_context_var_get(const struct rota_context_var *var, void **ret_value)
{
    if (roti_map_find(roti_context_current_root(roti_thread_context(roti_thread_self())), var,
                      ret_value))
        return 0;
    if (!var->has_default)
        return ROTA_ELOOKUP;
    *ret_value = var->default_value;
    return 0;
}

void *rota_context_var_get_or(const struct rota_context_var *var, void *fallback)
{
    void *value = fallback;
    (void)roti_map_find(roti_context_current_root(roti_thread_context(roti_thread_self())), var,
                        &value);
    return value;
}

/* ---- Setting ---- */

/* Ends a change: fills the token, if there is one, and releases what is left over. */
static void finish(const struct rota_context_var *var, struct roti_map_change change,
                   const struct rota_context *cell, struct rota_context_token *ret_token)
{
    bool had_value = change.old != ROTI_MAP_MISSING;
    if (ret_token != NULL) {
        if (change.old == ROTI_MAP_BORROWED)
            roti_var_retain_value(var, change.old_value);
        *ret_token = (struct rota_context_token){
            .context_id = cell->id,
            .var_id = var->id,
            .old_value = had_value ? change.old_value : NULL,
            .release = var->release,
            .state = TOKEN_ARMED | (had_value ? TOKEN_HAD_VALUE : 0),
        };
    }
    /* The context is whole again: release functions may use it. */
    roti_map_unref(change.dropped, 1);
    if (ret_token == NULL && change.old == ROTI_MAP_MOVED)
        roti_var_release_value(var, change.old_value);
}

int rota_context_var_set(struct rota_context_var *var, void *value,
                         struct rota_context_token *ret_token)
{
    struct roti_thread *thread = roti_thread_self();
    struct roti_context_slot *slot = roti_thread_context(thread);
    if (ret_token != NULL) {
        int r = roti_context_make_cell(thread, slot);
        if (r < 0)
            return r;
    }
    struct rota_context *cell = slot->cell;
    struct roti_map_change change;
    roti_var_retain_value(var, value);
    int r = roti_context_put(thread, slot, var, value, &change);
    if (r < 0) {
        roti_var_release_value(var, value);
        return r;
    }
    finish(var, change, cell, ret_token);
    return 0;
}

int rota_context_var_reset(struct rota_context_var *var, struct rota_context_token *token)
{
    if ((token->state & TOKEN_ARMED) == 0)
        return ROTA_EUSED;
    if (token->var_id != var->id)
        return ROTA_EVAR;
    struct roti_thread *thread = roti_thread_self();
    struct roti_context_slot *slot = roti_thread_context(thread);
    if (slot->cell == NULL || slot->cell->id != token->context_id)
        return ROTA_ECTX;

    struct roti_map_change change;
    int r = (token->state & TOKEN_HAD_VALUE) != 0
                ? roti_context_put(thread, slot, var, token->old_value, &change)
                : roti_context_remove(thread, slot, var, &change);
    if (r < 0)
        return r;
    *token = (struct rota_context_token){.state = 0};
    finish(var, change, NULL, NULL);
    return 0;
}

void rota_context_token_discard(struct rota_context_token *token)
{
    if (token == NULL)
        return;
    struct rota_context_token held = *token;
    *token = (struct rota_context_token){.state = 0};
    if ((held.state & TOKEN_HAD_VALUE) != 0 && held.release != NULL)
        held.release(held.old_value);
}
