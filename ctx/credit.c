/* SPDX-License-Identifier: MIT */
/*
 * credit.c - references to maps that a thread keeps, so that copying a context counts nothing.
 *
 * Problem.  Each callback, timer and task that is scheduled takes a copy of the current context: a
 *           reference to the root of a map. Counted one by one, that is two read-modify-writes each
 *           time, and where a thread posts to a loop, on a cache line that the two fight over.
 * Design.   A thread takes references to the root it captures in batches, and hands them out with
 *           plain arithmetic. References dropped on it refill the batch of the same root. A loop
 *           keeps a second batch for the root it dropped last, since what others post to it is
 *           mostly of one root, and not its own.
 * Limits.   A batch goes back when the thread captures (or drops) another root, when the current
 *           context is written (else its owner could never edit it in place), when a loop is about
 *           to sleep, and at the thread's exit. Until then it keeps the values of its map alive.
 *           Only loops keep a root merely because it was dropped: another thread might never call
 *           again.
 * Order.    What is kept is replaced before anything is given back: that may run release functions
 *           of the user's, and those may capture.
 */
#include "ctx/credit.h"

#include "ctx/context_impl.h"
#include "ctx/hamt.h"

#include "sched/base/alloc.h"

#include <pthread.h>

static pthread_once_t guard_once = PTHREAD_ONCE_INIT;
static pthread_key_t guard_key;
static bool guard_works;

void roti_credit_take_more(struct roti_thread *thread, struct roti_map *root)
{
    struct roti_context_credit *kept = &thread->captured;
    if (thread->released.root == root && thread->released.count > 0) {
        thread->released.count--;
        return;
    }
    if (!roti_credit_guard(thread)) {
        roti_map_ref(root, 1);
        return;
    }
    roti_map_ref(root, ROTI_CREDIT_BATCH);
    struct roti_context_credit before = *kept;
    *kept = (struct roti_context_credit){.root = root, .count = ROTI_CREDIT_BATCH - 1};
    roti_map_unref(before.root, before.count);
}

/* Adds a reference to what is kept of the same root. */
static void credit_add(struct roti_context_credit *kept)
{
    if (++kept->count <= ROTI_CREDIT_MAX)
        return;
    kept->count -= ROTI_CREDIT_BATCH;
    roti_map_unref(kept->root, ROTI_CREDIT_BATCH);
}

void roti_credit_give_more(struct roti_thread *thread, struct roti_map *root)
{
    if (thread->captured.root == root && thread->captured.count > 0) {
        credit_add(&thread->captured);
    } else if (thread->worker == NULL) {
        roti_map_unref(root, 1);
    } else if (thread->released.root == root) {
        credit_add(&thread->released);
    } else {
        struct roti_context_credit before = thread->released;
        thread->released = (struct roti_context_credit){.root = root, .count = 1};
        roti_map_unref(before.root, before.count);
    }
}

void roti_credit_forget(struct roti_thread *thread, struct roti_map *root)
{
    uint64_t count = 0;
    if (thread->captured.root == root) {
        count += thread->captured.count;
        thread->captured.count = 0;
    }
    if (thread->released.root == root) {
        count += thread->released.count;
        thread->released.count = 0;
    }
    roti_map_unref(root, count);
}

void roti_credit_return(struct roti_thread *thread)
{
    struct roti_context_credit captured = thread->captured;
    struct roti_context_credit released = thread->released;
    thread->captured = (struct roti_context_credit){.root = NULL, .count = 0};
    thread->released = (struct roti_context_credit){.root = NULL, .count = 0};
    roti_free(thread->context_spare, sizeof *thread->context_spare);
    thread->context_spare = NULL;
    roti_map_unref(captured.root, captured.count);
    roti_map_unref(released.root, released.count);
}

/* ---- Exit of a thread ---- */

/* Runs at the exit of a guarded thread, and again if release functions made it guarded anew. */
static void thread_exit(void *arg)
{
    struct roti_thread *thread = arg;
    struct roti_context_slot top = thread->top;
    thread->context_guarded = false;
    thread->top = (struct roti_context_slot){.cell = NULL, .root = NULL};
    rota_context_unref(top.cell);
    roti_map_unref(top.root, 1);
    roti_credit_return(thread);
}

static void guard_create(void)
{
    guard_works = pthread_key_create(&guard_key, thread_exit) == 0;
}

bool roti_credit_guard_thread(struct roti_thread *thread)
{
    thread->context_guarded = pthread_once(&guard_once, guard_create) == 0 && guard_works &&
                              pthread_setspecific(guard_key, thread) == 0;
    return thread->context_guarded;
}
