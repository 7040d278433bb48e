/* SPDX-License-Identifier: MIT */
/*
 * wait.h - the one wait mechanism: how a task, or a foreign thread, waits for an object.
 *
 * Concept.  An object that can be waited for (a descriptor, a future, a timer, a task) has a spin
 *           lock and a list of waits. A wait lives on its waiter's stack, and is linked under the
 *           object's lock. Timeouts and cancellation need no wait of their own: they act on the
 *           waiter's word (sched/task_state.h).
 *
 * The waiter:                                 The waker, on any thread:
 *   lock(object)                                lock(object)
 *   if (the result is there) take it, unlock    while ((wait = roti_wait_first(&object->waits)))
 *   roti_wait_init(&wait, kind, object, 0)          if (roti_wait_claim(wait, result))
 *   r = roti_wait_begin(flags)                          roti_list_push_back(&woken, &wait->link)
 *   if (r < 0) unlock, return r                 unlock(object)
 *   roti_wait_link(&wait, &object->waits)       roti_wait_wake_all(&woken)
 *   unlock(object)
 *   r = roti_wait_suspend()
 *   if (r < 0) { lock(object); roti_wait_unlink(&wait); unlock(object); }
 *
 * Rules.    W1 A waker unlinks a wait before it claims it, all under the object's lock, and wakes
 *              only after the unlock: its last access to object and waiter.
 *           W2 A wait that lost its claim is unlinked and forgotten; the waker takes the next.
 *           W3 A woken waiter that linked other waits, or was cancelled, unlinks under their locks
 *              before it returns. Nothing of a wait is touched after that.
 *           W4 Nothing is linked, claimed or unlinked without the object's lock.
 */
#ifndef ROTI_WAIT_H
#define ROTI_WAIT_H

#include "sched/base/list.h"
#include "sched/base/spin.h"
#include "sched/task_state.h"

struct rota_task;
struct roti_worker;
struct roti_thread_waiter;

/* X(kind, text): what a wait is for, and what its object is. The dump prints it. */
#define ROTI_WAIT_KINDS(X)                                                                         \
    X(ROTI_WAIT_NONE, "nothing")                                                                   \
    X(ROTI_WAIT_TASK, "a task")                                                                    \
    X(ROTI_WAIT_FUTURE, "a future")                                                                \
    X(ROTI_WAIT_TIMER, "a timer")                                                                  \
    X(ROTI_WAIT_READ, "reading a descriptor")                                                      \
    X(ROTI_WAIT_WRITE, "writing a descriptor")                                                     \
    X(ROTI_WAIT_STREAM, "a stream")                                                                \
    X(ROTI_WAIT_SERVER, "a server")                                                                \
    X(ROTI_WAIT_HANDLE, "a callback that runs")

enum roti_wait_kind {
#define ROTI_WAIT_KIND(kind, text) kind,
    ROTI_WAIT_KINDS(ROTI_WAIT_KIND)
#undef ROTI_WAIT_KIND
};

struct roti_wait {
    struct roti_list link;             /* under the object's lock; then the waker's */
    struct rota_task *task;            /* the waiter; NULL: a foreign thread */
    struct roti_thread_waiter *thread; /* that thread */
    const void *object;                /* for the dump */
    int64_t result;                    /* written by the claim that won */
    uint8_t kind;                      /* enum roti_wait_kind */
    uint8_t index;                     /* among the waits of one suspension */
    uint8_t next;                      /* enum roti_next of the claim */
    bool linked;                       /* under the object's lock */
    bool forwarded;                    /* requests were passed on to `object`, a task; its lock */
    uint16_t first_ticket;             /* deliveries of that task at the first of them */
    uint16_t last_ticket;              /* and at the last */
};

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The waiter: a task ---- */

/* Fills in a wait of `task`, the current one. `index` is 0 where there is one wait only. */
static inline void roti_wait_init_of(struct roti_wait *wait, struct rota_task *task,
                                     enum roti_wait_kind kind, const void *object, unsigned index)
{
    wait->task = task;
    wait->thread = NULL;
    wait->object = object;
    wait->result = 0;
    wait->kind = (uint8_t)kind;
    wait->index = (uint8_t)index;
    wait->next = 0;
    wait->linked = false;
    wait->forwarded = false;
    wait->first_ticket = 0;
    wait->last_ticket = 0;
    roti_list_init(&wait->link);
}

/* The same, of whatever task is the current one. */
void roti_wait_init(struct roti_wait *wait, enum roti_wait_kind kind, const void *object,
                    unsigned index);

/*
 * Announces a suspension of the current task. 0; -ECANCELED when a request was pending and `flags`
 * (of ROTI_WAIT_FLAGS) do not absorb it: it is delivered now, but with ROTI_KEEPS it stays
 * undelivered, for a call that has done its work and only waits to slow its caller down;
 * ROTA_ENOTASK outside a task or on the loop's stack. May be called under one object's lock. After
 * 0 exactly one of roti_wait_suspend() and roti_wait_abandon() follows.
 */
int roti_wait_begin(uint64_t flags);

/* Links a wait under its object's lock. The first of a suspension is what the dump shows. */
void roti_wait_link(struct roti_wait *wait, struct roti_list *waits);

/* Unlinks it if it is still linked, under its object's lock. */
void roti_wait_unlink(struct roti_wait *wait);

/* Suspends until a claim or a cancellation. The index (>= 0) of the wait that won, or -ECANCELED.
 * No lock may be held. The caller may be on another thread afterwards. */
int roti_wait_suspend(void);

/* The same for a caller that knows on which worker it is. */
int roti_wait_suspend_on(struct roti_worker *worker);

/* What a wait of `task` that is over returns, which counts as told: for whoever resumes it. */
intptr_t roti_wait_outcome(struct rota_task *task);

/* Takes a roti_wait_begin() back: nothing was linked, or everything is unlinked again. A request
 * that arrived meanwhile stays undelivered. */
void roti_wait_abandon(void);

/* ---- The waiter: a foreign thread ---- */

/* What one thread sleeps on. On the waiter's stack; the essay is in sched/thread_wait.c. */
struct roti_thread_waiter {
    alignas(8) unsigned char event[8]; /* a ck_ec32, which C++ cannot include */
    struct roti_spin waking;           /* held from init until the waker's last access */
};

/* Fills in a wait of the calling thread, which runs no loop, and its `waiter`. */
void roti_thread_wait_init(struct roti_wait *wait, struct roti_thread_waiter *waiter,
                           enum roti_wait_kind kind, const void *object);

/* Wakes it. Its last access to `waiter`: who sleeps there may return and free it. Any thread. */
void roti_thread_wait_wake(struct roti_thread_waiter *waiter);

/* Sleeps until the wait is woken or the deadline (CLOCK_MONOTONIC, ns) has passed: 0 or -ETIMEDOUT.
 * After -ETIMEDOUT the caller locks the object; if the wait is not linked any more it was claimed:
 * call again without a deadline. */
int roti_thread_wait_sleep(struct roti_thread_waiter *waiter, int64_t deadline_ns);

/* ---- The waker: any thread ---- */

/* The oldest wait of an object, unlinked; NULL if none. Under the object's lock. */
struct roti_wait *roti_wait_first(struct roti_list *waits);

/* Gives the unlinked wait its result if its waiter has not been won by another. Under the object's
 * lock. True: it must be given to roti_wait_wake() after the unlock; its link is the caller's. */
bool roti_wait_claim(struct roti_wait *wait, int64_t result);

/* The same, where the waker is known: a task's number, 0 for none. */
bool roti_wait_claim_by(struct roti_wait *wait, int64_t result, uint64_t waker);

/* Makes a claimed waiter runnable. No lock held. The wait must not be touched afterwards. */
void roti_wait_wake(struct roti_wait *wait);

/* The same for a list of claimed waits, which is empty afterwards. The first 64 go to this loop,
 * further ones to the loops on which they last ran. */
void roti_wait_wake_all(struct roti_list *woken);

/* The same for a caller that knows on which worker it is; NULL: on none. */
void roti_wait_wake_all_from(struct roti_worker *self, struct roti_list *woken);

#ifdef __cplusplus
}
#endif

#endif
