/* SPDX-License-Identifier: MIT */
/*
 * handle_node.h - what handle.c needs of handle_node.c.
 */
#ifndef ROTI_HANDLE_NODE_H
#define ROTI_HANDLE_NODE_H

#include "loop/handle.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The rest of the functions below, which alone call them: the thread's cache of nodes, once it is
 * sure to be given back at the thread's exit, else NULL; and a wake of those who wait for the last
 * life of the node to end. */
struct roti_slots_cache *roti_handle_guard(struct roti_thread *thread);
void roti_handle_wake_awaiting(const struct roti_handle_node *node);

/* In the child of a fork: forgets all nodes, and who waits for one. */
void roti_handle_forget(void);

/* Waits until the life `generation` is over: 0. Cancellation of the waiting task stays pending
 * meanwhile. In a task, or on a thread that runs no loop; ROTA_EFORKED in the child of a fork,
 * where nobody runs the callback any more. */
int roti_handle_await_end(struct roti_handle_node *node, uint64_t generation);

/* Whether somebody may hold a token of the node's present life. */
static inline bool roti_handle_has_token(const struct roti_handle_node *node)
{
    return (node->work.extra & ROTI_HANDLE_TOKEN) != 0;
}

/* The cache of the calling thread; NULL where it could not be given back at exit. */
static inline struct roti_slots_cache *roti_handle_cache(struct roti_thread *thread)
{
    return __builtin_expect(thread->handles_guarded, 1) ? &thread->handles
                                                        : roti_handle_guard(thread);
}

/* A node with everything but its state, and with `extra`; NULL without memory. From the cache of
 * `thread`, which is the calling one. */
static inline struct roti_handle_node *roti_handle_new(struct roti_thread *thread,
                                                       rota_callback_fn fn, void *arg,
                                                       struct rota_context *context, uint32_t extra)
{
    struct roti_handle_node *node =
        (struct roti_handle_node *)roti_slots_get(&roti_handle_slots, roti_handle_cache(thread));
    if (node == NULL)
        return NULL;
    node->work.queued = 0; /* with the two after it one store */
    node->work.kind = ROTI_WORK_CALLBACK;
    node->work.extra = extra & ROTI_WORK_EXTRA_MAX;
    node->fn = fn;
    node->arg = arg;
    node->context = roti_context_capture_on(thread, context);
    return node;
}

/* Ends its life, whatever the state: frees what the node holds, and gives it to the cache of
 * `thread`, which is the calling one. The node is in no queue and no wheel. May run the release
 * functions of values. */
static inline void roti_handle_free(struct roti_thread *thread, struct roti_handle_node *node)
{
    if ((node->work.extra & ROTI_HANDLE_OWNED) != 0)
        node->owned.release(node);
    roti_context_release_on(thread, &node->context);
    if (roti_handle_has_token(node) && roti_handle_end(&node->word))
        roti_handle_wake_awaiting(node);
    roti_slots_put(&roti_handle_slots, roti_handle_cache(thread), node);
}

#ifdef __cplusplus
}
#endif

#endif
