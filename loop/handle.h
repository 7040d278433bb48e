/* SPDX-License-Identifier: MIT */
/*
 * handle.h - nodes of callbacks: what stands in local queues, inboxes and wheels.
 *
 * A node is a type-stable slot of two cache lines: a token may outlive the callback, the node's
 * next lives and the loop, and still read a generation. Nodes come from the cache of the thread
 * that schedules and go to the cache of the thread that ran them; caches exchange batches with one
 * set for the process (sched/base/slots.h).
 */
#ifndef ROTI_HANDLE_H
#define ROTI_HANDLE_H

#include <rota/loop.h>

#include "ctx/context_impl.h"
#include "loop/handle_state.h"
#include "loop/timer.h"
#include "sched/base/slots.h"
#include "sched/driver.h"

struct rota_future;
struct rota_loop;
struct roti_handle_node;

/* Bits of work.extra. */
#define ROTI_HANDLE_TOKEN UINT32_C(0x1)   /* somebody holds a token of this life */
#define ROTI_HANDLE_OWNED UINT32_C(0x2)   /* `owned` is in use, not `timer` */
#define ROTI_HANDLE_ARRIVES UINT32_C(0x4) /* a timer that was posted and is to be armed */

/* What a done-callback needs besides: it waits in its future until that is done. */
struct roti_handle_owned {
    int (*fn)(struct rota_future *future, void *arg);
    void *arg;
    struct rota_future *future; /* a counted reference once posted; NULL before */
    struct rota_loop *loop;     /* where it will run; a counted reference */
    /* Ends the references; called once, when the life is over, whether it ran or not. */
    void (*release)(struct roti_handle_node *node);
};

struct roti_handle_node {
    struct roti_work work; /* kind ROTI_WORK_CALLBACK; extra: ROTI_HANDLE_* bits */
    roti_handle_word word; /* any thread: loop/handle_state.h; where there is a token */
    rota_callback_fn fn;   /* from here on: whoever has the node in hand */
    void *arg;
    struct roti_context_ref context; /* what fn runs in */
    int64_t when_ns;                 /* ARMING: the deadline */
    union {
        struct roti_timer timer;        /* ARMED: under the timers' lock */
        struct roti_handle_owned owned; /* ROTI_HANDLE_OWNED */
    };
};

#ifdef __cplusplus
extern "C" {
#endif

/* All nodes of the process; for tests and the dump. */
extern struct roti_slots roti_handle_slots;

/* roti_driver.run and roti_driver.drop for a work item of kind ROTI_WORK_CALLBACK. */
void roti_handle_run(struct rota_loop *loop, struct roti_work *work);
void roti_handle_drop(struct rota_loop *loop, struct roti_work *work);

/*
 * Takes all timers out of a closing loop, and gives its thread's nodes back. Waits for cancellers
 * that are about to take a timer out, so that nobody touches the loop's timers afterwards. On the
 * loop's thread, after `closed` was set.
 */
void roti_handle_close(struct rota_loop *loop);

/*
 * A node that is QUEUED but in no queue: everything that running it later needs, so that
 * roti_handle_post() cannot fail for want of memory. `owned` is all zero. NULL without memory.
 */
struct roti_handle_node *roti_handle_reserve(rota_callback_fn fn, void *arg,
                                             struct rota_context *context);

/* Queues a reserved node at `loop`; drops it where that is closed. Any thread. */
void roti_handle_post(struct rota_loop *loop, struct roti_handle_node *node);

#ifdef __cplusplus
}
#endif

#endif
