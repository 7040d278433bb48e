/* SPDX-License-Identifier: MIT */
/*
 * context_impl.h - what the upper layers use of contexts, and the insides of context objects.
 *
 * The current context is wherever `roti_thread_self()->context` points: sched points it at the
 * slot in the running task, a loop keeps one slot for its callbacks. A slot holds either the root
 * of an immutable map (the plain case: a copy that nobody else can name) or a counted reference
 * to a context object, whose own root is then the one in force.
 *
 *   a task        roti_context_task_init() at spawn, roti_context_task_end() at its end; between
 *                 them the slot is only pointed at.
 *   a callback    roti_context_capture() when it is scheduled, roti_context_enter() and _exit()
 *                 around the call, roti_context_ref_release() when it will not run again.
 *   a loop        roti_context_park() before it sleeps.
 */
#ifndef ROTI_CONTEXT_IMPL_H
#define ROTI_CONTEXT_IMPL_H

#include <rota/context.h>

#include "sched/base/assert.h"
#include "sched/base/atomic.h"
#include "sched/base/spin.h"
#include "sched/base/thread.h"

/*
 * A context object. `state` says who uses it; ctx/context.c has the table of transitions:
 *   ENTERED   by one rota_context_run(), or by a callback of a loop that is not its home: alone;
 *   TURN      by a callback of its home loop, which takes turns with the tasks counted above it;
 *   TASK      the unit of the count of tasks that have it as their context.
 */
#define ROTI_CONTEXT_ENTERED 1U
#define ROTI_CONTEXT_TURN 2U
#define ROTI_CONTEXT_TASK 4U

struct rota_context {
    _Atomic(uint64_t) refs;
    _Atomic(uint32_t) state;
    struct roti_spin lock; /* orders a write of `root` with readers that have not entered */
    struct roti_map *root; /* the user's by `state`: it reads without the lock, writes under it */
    uint64_t id;           /* never given twice; constant; what tokens compare */
    _Atomic(void *) home;  /* the loop that first used it for a task or callback; set once */
};

/* A captured context: what a callback, timer or reader keeps until it runs. May be moved. */
struct roti_context_ref {
    struct rota_context *cell; /* a context object by counted reference, or NULL: */
    struct roti_map *root;     /* the map of a plain copy, by counted reference; NULL is empty */
};

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What a callback scheduled with `context` will run in: that object, or for NULL a copy of the
 * current context. Allocates nothing and cannot fail; in the steady state no read-modify-write.
 *
 * The caller owns the result: roti_context_ref_release(), or a move.
 */
struct roti_context_ref roti_context_capture(struct rota_context *context);

/* Ends a captured context, which is empty afterwards. May run the release functions of values. */
void roti_context_ref_release(struct roti_context_ref *ref);

/*
 * Makes *ref current in this thread's slot, for one callback of `loop` (an identity, never
 * followed). *ret_saved takes what was current, to be given back by roti_context_exit().
 *
 * Returns 0, or -EBUSY before anything was touched: a context object that is entered elsewhere.
 * Constant time; one compare-and-swap for an object, none for a plain copy.
 */
int roti_context_enter(struct roti_context_ref *ref, void *loop,
                       struct roti_context_slot *ret_saved);

/*
 * Ends what roti_context_enter() began, with the same arguments. What the callback set is in *ref
 * afterwards, so that a reader's next call sees it. Same slot, and so the same task or thread.
 */
void roti_context_exit(struct roti_context_ref *ref, const struct roti_context_slot *saved);

/*
 * Fills the slot of a new task: with a copy of the current context where `context` is NULL, else
 * with that object, which counts the task. *ret_home is NULL for a copy; for an object it is the
 * loop that the task must be pinned to: the object's home, which is `loop` if it had none.
 *
 * Returns 0, or -EBUSY with nothing changed: the object is entered by a rota_context_run(), or by
 * a callback outside its home loop, whose steps would not take turns with the task's.
 */
int roti_context_task_init(struct roti_context_slot *slot, struct rota_context *context, void *loop,
                           void **ret_home);

/*
 * Empties the slot of a task that is done, or of one that never ran. The slot must not be current
 * any more: this may run the release functions of values.
 */
void roti_context_task_end(struct roti_context_slot *slot);

/* The loop that first used `context` for a task or callback; `self` becomes it if there is none. */
void *roti_context_home(struct rota_context *context, void *self);

/*
 * Gives the reference credits of the calling thread's object back. A loop calls it before it
 * announces sleep, as this may run the release functions of values; a thread's exit does so too.
 */
void roti_context_park(struct roti_thread *thread);

/* The rest of the functions below, which alone call them: where there is a context to speak of. */
struct roti_context_ref roti_context_capture_more(struct roti_thread *thread,
                                                  struct rota_context *context);
void roti_context_release_more(struct roti_thread *thread, struct roti_context_ref *ref);

/* Enters an object for a callback of `loop`, or exclusively where that is NULL; 0 or -EBUSY. */
int roti_context_cell_enter(struct rota_context *cell, void *loop);
void roti_context_cell_leave(struct rota_context *cell);

/* A variable with a chosen hash, so that tests can force collisions. */
int roti_context_var_create_hashed(struct rota_context_var **ret_var, const char *name,
                                   const struct rota_context_var_opts *opts, uint32_t hash);

#ifdef __cplusplus
}
#endif

/*
 * The same four for callers that have their thread's object at hand: each callback goes through all
 * of them, and most callbacks have the empty context, which costs a few moves here and no call.
 */
static inline struct roti_context_ref roti_context_capture_on(struct roti_thread *thread,
                                                              struct rota_context *context)
{
    const struct roti_context_slot *slot = roti_thread_context(thread);
    struct roti_context_ref empty = {NULL, NULL};
    if (context == NULL && slot->cell == NULL && slot->root == NULL)
        return empty;
    return roti_context_capture_more(thread, context);
}

static inline void roti_context_release_on(struct roti_thread *thread, struct roti_context_ref *ref)
{
    if (ref->cell != NULL || ref->root != NULL)
        roti_context_release_more(thread, ref);
}

/* These two with the slot that is current, the same one for both. */
static inline int roti_context_enter_on(struct roti_context_slot *slot,
                                        struct roti_context_ref *ref, void *loop,
                                        struct roti_context_slot *ret_saved)
{
    if (ref->cell != NULL) {
        int r = roti_context_cell_enter(ref->cell, loop);
        if (r < 0)
            return r;
    }
    *ret_saved = *slot;
    slot->cell = ref->cell;
    slot->root = ref->root;
    return 0;
}

static inline void roti_context_exit_on(struct roti_context_slot *slot,
                                        struct roti_context_ref *ref,
                                        const struct roti_context_slot *saved)
{
    ROTI_ASSERT(ref->cell == NULL || slot->cell == ref->cell);
    ref->cell = slot->cell;
    ref->root = slot->root;
    *slot = *saved;
    if (ref->cell != NULL)
        roti_context_cell_leave(ref->cell);
}

#endif
