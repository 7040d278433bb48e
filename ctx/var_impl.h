/* SPDX-License-Identifier: MIT */
/*
 * var_impl.h - the insides of a context variable.
 */
#ifndef ROTI_VAR_IMPL_H
#define ROTI_VAR_IMPL_H

#include <rota/context.h>

#include "sched/base/atomic.h"

struct rota_context_var {
    _Atomic(uint64_t) refs; /* creator and entries of maps; not counted where permanent */
    uint64_t id;            /* never given twice; what tokens compare */
    uint32_t hash;          /* where maps look for it */
    bool permanent;
    bool has_default;
    void *default_value;
    rota_context_value_fn retain; /* both or neither */
    rota_context_value_fn release;
    size_t name_size; /* with its NUL */
    char name[];
};

static inline void roti_var_ref(struct rota_context_var *var)
{
    /* [C1] relaxed: whoever adds a reference holds one, so that nothing has to be made visible. */
    if (!var->permanent)
        (void)roti_fetch_add(C1, relaxed, &var->refs, 1U);
}

/* Adds or drops a reference to a value of `var`, where the variable counts them. */
static inline void roti_var_retain_value(const struct rota_context_var *var, void *value)
{
    if (var->retain != NULL)
        var->retain(value);
}

static inline void roti_var_release_value(const struct rota_context_var *var, void *value)
{
    if (var->release != NULL)
        var->release(value);
}

#endif
