/* SPDX-License-Identifier: MIT */
/*
 * context.h - context variables: values that travel with a task instead of with a thread.
 *
 * A *variable* is an identity with a name and an optional default. A *context* maps variables to
 * values. Some context is always current: the running task's, the one that a callback was
 * scheduled with, or the thread's own. A task, callback or timer starts in a copy of the context
 * that was current when it was scheduled, unless it was given a context object; copying takes
 * constant time whatever the context holds, and later writes on either side are invisible to the
 * other. A plain call gets no context of its own: what it sets, its caller sees.
 *
 * Values are `void *`. rota copies the pointer and never looks behind it; a variable created with
 * a retain and a release function counts the references that contexts hold. A value that is read
 * is borrowed: it stays valid until its variable is set or reset in the context it was read from,
 * or until that context ends.
 *
 * A context object is used by one at a time: it is entered by one rota_context_run() or callback,
 * or it is the context of tasks that are all pinned to one loop and take turns. Reading and
 * copying it are allowed from any thread at any time.
 */
#ifndef ROTA_CONTEXT_H
#define ROTA_CONTEXT_H

#include <rota/base.h>
#include <rota/error.h>

ROTA_BEGIN_DECLS

/* ---- Variables ---- */

/* Adds or drops one reference on a value. Runs on any thread; must neither fail nor suspend. */
typedef void (*rota_context_value_fn)(void *value);

/* Zero in any field means its default; a NULL opts means all defaults. Copied by the callee. */
struct rota_context_var_opts {
    void *default_value; /* what get answers where no context holds a value; see has_default */
    bool has_default;    /* false: the variable has no default, default_value is ignored */

    /*
     * The variable lives as long as the process, and contexts count no references to it. This is
     * the cheapest kind, and the right one for variables created once and kept in a static
     * pointer: setting one writes no memory that other cores read. rota_context_var_unref() does
     * nothing to it.
     */
    bool permanent;

    /*
     * Called for each reference to a value that a context adds or drops; both or neither. They
     * may run more often than the variable is set (contexts share values in groups), but each
     * retain is matched by exactly one release, on whatever thread drops the last holder, and
     * perhaps as late as that thread's next idle moment. `retain` must be short and call nothing
     * of rota's.
     */
    rota_context_value_fn retain;
    rota_context_value_fn release;
};

/*
 * Creates a variable. `name` is for people; two variables of one name are two variables.
 *
 * Returns: 0 with *ret_var set.
 * Errors: -EINVAL (only one of retain and release was given), -ENOMEM.
 * Call from: anywhere. Suspends: no.
 * Ownership: the caller holds one reference, ended by rota_context_var_unref(). `name` is copied
 * (NULL: an empty one); a default value is retained until the variable ends.
 */
ROTA_API int rota_context_var_create(struct rota_context_var **ret_var, const char *name,
                                     const struct rota_context_var_opts *opts);

/*
 * Adds a reference to a variable.
 *
 * Returns: `var`. Errors: none.
 * Call from: any thread. Suspends: no.
 * Ownership: the caller holds one reference more.
 */
ROTA_API struct rota_context_var *rota_context_var_ref(struct rota_context_var *var);

/*
 * Drops a reference to a variable; NULL is ignored. Nothing happens to a permanent one.
 *
 * Returns: nothing. Errors: none.
 * Call from: any thread. Suspends: no.
 * Ownership: the caller's reference ends. Contexts that hold a value of the variable keep it
 * alive; with the last holder it is freed, and its default released.
 */
ROTA_API void rota_context_var_unref(struct rota_context_var *var);

/*
 * The name that the variable was created with.
 *
 * Returns: a string, never NULL. Errors: none.
 * Call from: anywhere. Suspends: no.
 * Ownership: the variable's, for as long as it lives.
 */
ROTA_API const char *rota_context_var_name(const struct rota_context_var *var);

/*
 * Reads a variable: its value in the current context, else its default.
 *
 * Returns: 0 with *ret_value set. Errors: ROTA_ELOOKUP (neither value nor default).
 * Call from: anywhere but signal handlers. Suspends: no.
 * Ownership: the value is borrowed from the context, or from the variable.
 */
ROTA_API int rota_context_var_get(const struct rota_context_var *var, void **ret_value);

/*
 * Reads a variable: its value in the current context, else `fallback`, which goes before the
 * variable's own default.
 *
 * Returns: the value or `fallback`. Errors: none.
 * Call from: anywhere but signal handlers. Suspends: no.
 * Ownership: the value is borrowed from the context; `fallback` stays the caller's.
 */
ROTA_API void *rota_context_var_get_or(const struct rota_context_var *var, void *fallback);

/*
 * What undoes one set: the context and variable it was, and the value before. Caller-owned, with
 * fields that only rota reads; zero-initialised it is a used token.
 *
 * A token of a variable with a release function holds a reference to the value before, and so
 * must end in a successful rota_context_var_reset() or in rota_context_token_discard(). Any other
 * token may simply be forgotten. A token may be moved, by assignment, but not used in two copies;
 * filling a token forgets what it held.
 */
struct rota_context_token {
    uint64_t context_id;
    uint64_t var_id;
    void *old_value;
    rota_context_value_fn release;
    uint32_t state;
};

/*
 * Sets a variable in the current context, and says in *ret_token (unless NULL) how to undo it.
 *
 * Returns: 0; *ret_token is then good for one reset. Errors: -ENOMEM (nothing changed).
 * Call from: anywhere but signal handlers. Suspends: no.
 * Ownership: the context retains `value` (where the variable has functions for it) and the
 * variable. The token is the caller's; see struct rota_context_token for how it ends.
 */
ROTA_API int rota_context_var_set(struct rota_context_var *var, void *value,
                                  struct rota_context_token *ret_token);

/*
 * Undoes one set: the variable gets the value it had before, or none. Tokens may be reset in any
 * order, each brings back *its* value, and once.
 *
 * Returns: 0; the token is then used.
 * Errors: checked in this order, with nothing changed and the token as good as it was:
 * ROTA_EUSED (the token was used or never filled), ROTA_EVAR (it is another variable's), ROTA_ECTX
 * (it is another context's, such as a parent task's), -ENOMEM.
 * Call from: the context in which the token was made; anywhere but signal handlers. Suspends: no.
 * Ownership: what the token held moves to the context; the value replaced is released.
 */
ROTA_API int rota_context_var_reset(struct rota_context_var *var, struct rota_context_token *token);

/*
 * Gives up a token without a reset; a used one, a zero one and NULL are ignored.
 *
 * Returns: nothing; the token is then used. Errors: none.
 * Call from: any thread, in any context. Suspends: no.
 * Ownership: the reference that the token held is released.
 */
ROTA_API void rota_context_token_discard(struct rota_context_token *token);

/* ---- Contexts ---- */

/*
 * Creates an empty context.
 *
 * Returns: 0 with *ret_context set. Errors: -ENOMEM.
 * Call from: any thread. Suspends: no.
 * Ownership: the caller holds one reference, ended by rota_context_unref().
 */
ROTA_API int rota_context_create(struct rota_context **ret_context);

/*
 * Creates a copy of the current context, in constant time.
 *
 * Returns: 0 with *ret_context set. Errors: -ENOMEM.
 * Call from: any thread. Suspends: no.
 * Ownership: the caller holds one reference. Values are shared, not copied.
 */
ROTA_API int rota_context_copy_current(struct rota_context **ret_context);

/*
 * Creates a copy of `context`, in constant time, also while it is entered elsewhere.
 *
 * Returns: 0 with *ret_context set. Errors: -ENOMEM.
 * Call from: any thread. Suspends: no.
 * Ownership: the caller holds one reference to the copy. Values are shared, not copied.
 */
ROTA_API int rota_context_copy(struct rota_context *context, struct rota_context **ret_context);

/*
 * Adds a reference to a context.
 *
 * Returns: `context`. Errors: none.
 * Call from: any thread. Suspends: no.
 * Ownership: the caller holds one reference more.
 */
ROTA_API struct rota_context *rota_context_ref(struct rota_context *context);

/*
 * Drops a reference to a context; NULL is ignored.
 *
 * Returns: nothing. Errors: none.
 * Call from: any thread. Suspends: no.
 * Ownership: the caller's reference ends; with the last one the context's values are released.
 */
ROTA_API void rota_context_unref(struct rota_context *context);

/*
 * Calls fn(arg) with `context` as the current one, and makes the one before current again,
 * whatever fn returns. What fn sets stays in `context`. While fn is suspended `context` stays
 * entered. Different contexts may be nested.
 *
 * Returns: what fn returned.
 * Errors: -EBUSY (`context` is entered already, here or elsewhere, or belongs to tasks that are
 * not done; fn was not called), and whatever fn returns.
 * Call from: any thread or task. Suspends: yes, if fn does.
 * Ownership: the call holds its own reference to `context`.
 */
ROTA_API ROTA_SUSPENDS int rota_context_run(struct rota_context *context, int (*fn)(void *arg),
                                            void *arg);

/*
 * Reads a variable's value in `context`, which need not be current; defaults do not count.
 *
 * Returns: 0 with *ret_value set. Errors: ROTA_ELOOKUP (`context` holds no value).
 * Call from: any thread. Suspends: no.
 * Ownership: the value is borrowed; where another thread may set the variable meanwhile, read
 * from a copy instead.
 */
ROTA_API int rota_context_get(struct rota_context *context, const struct rota_context_var *var,
                              void **ret_value);

/*
 * Says whether `context` holds a value of `var`.
 *
 * Returns: true or false. Errors: none.
 * Call from: any thread. Suspends: no.
 * Ownership: nothing changes hands.
 */
ROTA_API bool rota_context_contains(struct rota_context *context,
                                    const struct rota_context_var *var);

/*
 * The number of variables that have a value in `context`.
 *
 * Returns: the number, in constant time. Errors: none.
 * Call from: any thread. Suspends: no.
 * Ownership: nothing changes hands.
 */
ROTA_API size_t rota_context_len(struct rota_context *context);

/* Sees one variable and its value, both borrowed; other than 0 ends the iteration. */
typedef int (*rota_context_visit_fn)(struct rota_context_var *var, void *value, void *arg);

/*
 * Calls visit(var, value, arg) for each variable that had a value in `context` when the call
 * began, each once, in no particular order. What is set meanwhile is not seen.
 *
 * Returns: 0, or the first other value that `visit` returned. Errors: whatever `visit` returns.
 * Call from: any thread. Suspends: yes, if `visit` does.
 * Ownership: what `visit` sees is valid until the iteration ends.
 */
ROTA_API ROTA_SUSPENDS int rota_context_iterate(struct rota_context *context,
                                                rota_context_visit_fn visit, void *arg);

/*
 * Says whether two contexts hold the same variables with the same values, pointer for pointer.
 *
 * Returns: true or false. Errors: none.
 * Call from: any thread. Suspends: no.
 * Ownership: nothing changes hands.
 */
ROTA_API bool rota_context_equal(struct rota_context *left, struct rota_context *right);

ROTA_END_DECLS

#endif
