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

/* A node with everything but its state; NULL without memory. From the calling thread's cache:
 * `current` is the loop that it runs, or NULL. */
struct roti_handle_node *roti_handle_new(struct rota_loop *current, rota_callback_fn fn, void *arg,
                                         struct rota_context *context);

/* Ends its life, whatever the state: frees what the node holds, and gives it to the calling
 * thread's cache. The node is in no queue and no wheel. May run the release functions of values. */
void roti_handle_free(struct roti_handle_node *node);

/* In the child of a fork: forgets all nodes, and who waits for one. */
void roti_handle_forget(void);

/* Waits until the life `generation` is over: 0. Cancellation of the waiting task stays pending
 * meanwhile. In a task, or on a thread that runs no loop; ROTA_EFORKED in the child of a fork,
 * where nobody runs the callback any more. */
int roti_handle_await_end(struct roti_handle_node *node, uint64_t generation);

/* Whether somebody holds a token of the node's present life. */
static inline bool roti_handle_shared(const struct roti_handle_node *node)
{
    return (node->work.extra & ROTI_HANDLE_TOKEN) != 0;
}

#ifdef __cplusplus
}
#endif

#endif
