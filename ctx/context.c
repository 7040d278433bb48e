/* SPDX-License-Identifier: MIT */
/*
 * context.c - contexts: copied, entered, written and read.
 *
 * Problem.  A context is a mutable name for an immutable map. Most contexts never need the name: a
 *           callback's or task's own copy can be reached by its code only. A context object can be
 *           given to several tasks and callbacks on several loops, and must neither be changed by
 *           two at a time nor torn under a reader.
 * Design.   The current context is a slot of two words. Plain, it holds the root of a map, and all
 *           of this file is a few moves of pointers. As an object it holds the object, whose state
 *           word says who may write its root:
 *
 *             from              event                             to
 *             idle              run, callback of another loop     ENTERED
 *             idle              callback of the home loop         TURN
 *             idle, TURN, n     task spawned (pinned to home)     one task more
 *             n tasks           callback of the home loop         TURN, n
 *             ENTERED, TURN     leaving                           the bit cleared
 *             all others                                          -EBUSY
 *
 *           Tasks do nothing at each switch: they and the callbacks counted as TURN all run on one
 *           thread, in turns. A run excludes all others since it may suspend in the middle.
 *           Readers from outside (copying, looking up) ask for no permission: the writer stores a
 *           new root under the object's spinlock, and they take a reference under it. In-place
 *           edits of a map happen under it too, and there only where nothing is allocated and no
 *           function of the user's is called; else the path is copied outside and the root swapped.
 *           A writer whose reference to the object is the only one needs none of that.
 * Rejected. Refusing to copy a context that is entered elsewhere: the answer would depend on
 *           timing, and the reading calls have no room for an error. A thread identity in the state
 *           word: a task inside rota_context_run() may go on on another thread.
 */
#include "ctx/context_cell.h"
#include "ctx/credit.h"
#include "ctx/hamt_impl.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"

#include <errno.h>
#include <string.h>

#define ID_BLOCK 1024 /* identities that a thread takes at once */

static _Atomic(uint64_t) id_last;

/* ---- Life of objects ---- */

static uint64_t next_id(struct roti_thread *thread)
{
    if (thread->context_id_next == thread->context_id_end) {
        /* [C5] relaxed: only the numbers must differ. */
        thread->context_id_next = roti_fetch_add(C5, relaxed, &id_last, ID_BLOCK) + 1;
        thread->context_id_end = thread->context_id_next + ID_BLOCK;
    }
    return thread->context_id_next++;
}

static inline struct rota_context *cell_create(struct roti_thread *thread)
{
    struct rota_context *cell = thread->context_spare;
    thread->context_spare = NULL;
    if (cell == NULL)
        cell = roti_alloc(sizeof *cell);
    if (cell == NULL)
        return NULL;
    memset(cell, 0, sizeof *cell);
    /* [C6] relaxed: nobody else knows the object. */
    roti_store(C6, relaxed, &cell->refs, 1U);
    cell->id = next_id(thread);
    return cell;
}

struct rota_context *roti_context_cell_create(struct roti_thread *thread)
{
    return cell_create(thread);
}

/* Frees an object, or keeps it: copies often come one after the other. */
static inline void cell_free(struct roti_thread *thread, struct rota_context *cell)
{
    if (thread->context_spare == NULL && roti_credit_guard(thread))
        thread->context_spare = cell;
    else
        roti_free(cell, sizeof *cell);
}

int rota_context_create(struct rota_context **ret_context)
{
    struct rota_context *cell = roti_context_cell_create(roti_thread_self());
    if (cell == NULL)
        return -ENOMEM;
    *ret_context = cell;
    return 0;
}

int rota_context_copy_current(struct rota_context **ret_context)
{
    struct roti_thread *thread = roti_thread_self();
    struct rota_context *cell = cell_create(thread);
    if (cell == NULL)
        return -ENOMEM;
    cell->root = roti_context_current_root(roti_thread_context(thread));
    roti_credit_take(thread, cell->root);
    *ret_context = cell;
    return 0;
}

/* A counted reference to the map that `context` holds now, for those who have not entered it. */
static struct roti_map *snapshot(struct rota_context *context)
{
    roti_spin_lock(&context->lock);
    ROTI_PLAIN_READ(&context->root);
    struct roti_map *root = context->root;
    roti_map_ref(root, 1);
    roti_spin_unlock(&context->lock);
    return root;
}

int rota_context_copy(struct rota_context *context, struct rota_context **ret_context)
{
    struct rota_context *cell = roti_context_cell_create(roti_thread_self());
    if (cell == NULL)
        return -ENOMEM;
    cell->root = snapshot(context);
    *ret_context = cell;
    return 0;
}

struct rota_context *rota_context_ref(struct rota_context *context)
{
    /* [C7] relaxed: the caller holds a reference. */
    (void)roti_fetch_add(C7, relaxed, &context->refs, 1U);
    return context;
}

void rota_context_unref(struct rota_context *context)
{
    if (context == NULL)
        return;
    /* [C9] acq_rel: release for [C8] and for the last holder, acquire for being that one. */
    if (!roti_context_is_alone(context) && roti_fetch_sub(C9, acq_rel, &context->refs, 1U) > 1)
        return;
    struct roti_thread *thread = roti_thread_self();
    ROTI_PLAIN_WRITE(&context->root);
    struct roti_map *root = context->root;
    cell_free(thread, context);
    roti_credit_give(thread, root);
}

/* ---- Who may use an object ---- */

void *roti_context_home(struct rota_context *context, void *self)
{
    void *home = NULL;
    /* [C10] relaxed: an identity, never followed; only who was first matters. */
    return roti_cas(C10, relaxed, &context->home, &home, self) ? self : home;
}

int roti_context_cell_enter(struct rota_context *cell, void *loop)
{
    bool turn = loop != NULL && roti_context_home(cell, loop) == loop;
    uint32_t obstacles = turn ? ROTI_CONTEXT_ENTERED | ROTI_CONTEXT_TURN : UINT32_MAX;
    /* [C11] relaxed: [C12] decides. */
    uint32_t state = roti_load(C11, relaxed, &cell->state);
    do {
        if ((state & obstacles) != 0)
            return -EBUSY;
        /* [C12] acquire: pairs with [C13] and [C16]; the last user's root is visible. */
    } while (!roti_cas_weak(C12, acquire, &cell->state, &state,
                            state | (turn ? ROTI_CONTEXT_TURN : ROTI_CONTEXT_ENTERED)));
    return 0;
}

void roti_context_cell_leave(struct rota_context *cell)
{
    /* [C13] release: pairs with [C12] and [C15] of the next user. */
    uint32_t before =
        roti_fetch_and(C13, release, &cell->state, ~(ROTI_CONTEXT_ENTERED | ROTI_CONTEXT_TURN));
    ROTI_ASSERT((before & (ROTI_CONTEXT_ENTERED | ROTI_CONTEXT_TURN)) != 0);
}

int rota_context_run(struct rota_context *context, int (*fn)(void *arg), void *arg)
{
    int r = roti_context_cell_enter(context, NULL);
    if (r < 0)
        return r;
    struct roti_context_slot *slot = roti_thread_context(roti_thread_self());
    struct roti_context_slot saved = *slot;
    *slot = (struct roti_context_slot){.cell = rota_context_ref(context), .root = NULL};

    r = fn(arg);

    /* A task's slot is the same on whatever thread it goes on. What was entered was left. */
    ROTI_ASSERT(roti_thread_context(roti_thread_self()) == slot && slot->cell == context);
    *slot = saved;
    roti_context_cell_leave(context);
    rota_context_unref(context);
    return r;
}

/* ---- Callbacks and tasks ---- */

struct roti_context_ref roti_context_capture_more(struct roti_thread *thread,
                                                  struct rota_context *context)
{
    if (context != NULL)
        return (struct roti_context_ref){.cell = rota_context_ref(context), .root = NULL};
    struct roti_map *root = roti_context_current_root(roti_thread_context(thread));
    roti_credit_take(thread, root);
    return (struct roti_context_ref){.cell = NULL, .root = root};
}

void roti_context_release_more(struct roti_thread *thread, struct roti_context_ref *ref)
{
    struct roti_context_ref held = *ref;
    *ref = (struct roti_context_ref){.cell = NULL, .root = NULL};
    rota_context_unref(held.cell);
    roti_credit_give(thread, held.root);
}

struct roti_context_ref roti_context_capture(struct rota_context *context)
{
    return roti_context_capture_on(roti_thread_self(), context);
}

void roti_context_ref_release(struct roti_context_ref *ref)
{
    roti_context_release_on(roti_thread_self(), ref);
}

int roti_context_enter(struct roti_context_ref *ref, void *loop,
                       struct roti_context_slot *ret_saved)
{
    return roti_context_enter_on(roti_thread_context(roti_thread_self()), ref, loop, ret_saved);
}

void roti_context_exit(struct roti_context_ref *ref, const struct roti_context_slot *saved)
{
    roti_context_exit_on(roti_thread_context(roti_thread_self()), ref, saved);
}

int roti_context_task_init(struct roti_context_slot *slot, struct rota_context *context, void *loop,
                           void **ret_home)
{
    if (context == NULL) {
        struct roti_context_ref copy = roti_context_capture(NULL);
        *slot = (struct roti_context_slot){.cell = NULL, .root = copy.root};
        *ret_home = NULL;
        return 0;
    }
    /* [C14] relaxed: [C15] decides. */
    uint32_t state = roti_load(C14, relaxed, &context->state);
    do {
        if ((state & ROTI_CONTEXT_ENTERED) != 0)
            return -EBUSY;
        /* [C15] acquire: pairs with [C13]; the spawn hands on what is seen here to the task. */
    } while (!roti_cas_weak(C15, acquire, &context->state, &state, state + ROTI_CONTEXT_TASK));
    *ret_home = roti_context_home(context, loop);
    *slot = (struct roti_context_slot){.cell = rota_context_ref(context), .root = NULL};
    return 0;
}

void roti_context_task_end(struct roti_context_slot *slot)
{
    struct roti_context_slot held = *slot;
    *slot = (struct roti_context_slot){.cell = NULL, .root = NULL};
    if (held.cell == NULL) {
        roti_credit_give(roti_thread_self(), held.root);
        return;
    }
    /* An object that the task made of its own copy counts no tasks; others may race on this one.
     * [C17] relaxed: whether it counts this task does not change meanwhile. */
    if (roti_load(C17, relaxed, &held.cell->state) >= ROTI_CONTEXT_TASK)
        /* [C16] release: pairs with [C12] of the next user. */
        (void)roti_fetch_sub(C16, release, &held.cell->state, ROTI_CONTEXT_TASK);
    rota_context_unref(held.cell);
}

void roti_context_park(struct roti_thread *thread)
{
    roti_credit_return(thread);
}

/* ---- Reading an object ---- */

int rota_context_get(struct rota_context *context, const struct rota_context_var *var,
                     void **ret_value)
{
    struct roti_map *root = snapshot(context);
    bool found = roti_map_find(root, var, ret_value);
    roti_map_unref(root, 1);
    return found ? 0 : ROTA_ELOOKUP;
}

bool rota_context_contains(struct rota_context *context, const struct rota_context_var *var)
{
    void *value;
    return rota_context_get(context, var, &value) == 0;
}

size_t rota_context_len(struct rota_context *context)
{
    struct roti_map *root = snapshot(context);
    size_t len = roti_map_len(root);
    roti_map_unref(root, 1);
    return len;
}

int rota_context_iterate(struct rota_context *context, rota_context_visit_fn visit, void *arg)
{
    struct roti_map *root = snapshot(context);
    int r = roti_map_iterate(root, visit, arg);
    roti_map_unref(root, 1);
    return r;
}

bool rota_context_equal(struct rota_context *left, struct rota_context *right)
{
    struct roti_map *left_root = snapshot(left);
    struct roti_map *right_root = snapshot(right);
    bool equal = roti_map_equal(left_root, right_root);
    roti_map_unref(left_root, 1);
    roti_map_unref(right_root, 1);
    return equal;
}
