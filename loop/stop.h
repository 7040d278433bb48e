/* SPDX-License-Identifier: MIT */
/*
 * stop.h - how a run is asked to end: signals, and the graceful stop that servers listen to.
 *
 * Problem. A signal may arrive on any thread, at any instruction, also when loop 0 is blocked by
 *          a task that does not suspend. What it must do (cancel a task, drain servers) cannot
 *          be done in a handler.
 * Design.  The handler counts and writes one byte to a socket (loop/doorbell.h). The other end is
 *          an ordinary descriptor of the runtime; an unpinned task of the runtime's own reads it,
 *          and so runs on whatever loop is free. SIGINT cancels the first task. SIGTERM tells the
 *          listeners, or where there is none does the same. A second signal restores the default
 *          and raises itself again.
 * Threads. roti_stop_request(), _add(), _remove(): any thread of the runtime or a foreign one.
 *          All others: the thread of rota_run().
 */
#ifndef ROTI_STOP_H
#define ROTI_STOP_H

#include <rota/task.h>

#include "sched/base/list.h"
#include "sched/base/spin.h"

struct rota_runtime;

/* One who wants to be told of the graceful stop, once. Embedded in a server. */
struct roti_stop_listener {
    struct roti_list node; /* under the stop's lock */
    /* Under the stop's lock: may wake tasks, must not suspend or call user code. */
    void (*told)(struct roti_stop_listener *listener);
};

struct roti_io;

struct roti_stop {
    struct rota_runtime *runtime;
    rota_task_fn fn; /* the user's first task */
    void *arg;
    bool handles[2];           /* which dispositions were taken over: SIGINT, SIGTERM */
    int sockets[2];            /* the handler's end, the runtime's end; -1 each without signals */
    struct roti_io *io;        /* the runtime's end, once it is read */
    _Atomic(bool) interrupted; /* a signal has cancelled the first task */
    struct roti_spin lock;
    bool requested;             /* under lock */
    struct roti_list listeners; /* under lock */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Prepares; installs handlers where the disposition is the default. 0 or a negative errno. */
int roti_stop_init(struct roti_stop *stop, struct rota_runtime *runtime, rota_task_fn fn, void *arg,
                   bool wants_signals);

/* The body of the first task: starts the reader of signals, then runs the user's function. */
int roti_stop_main(void *stop);

/* Restores dispositions and closes; the child of a fork does so too. True if a signal has cancelled
 * the first task. */
bool roti_stop_done(struct roti_stop *stop);

/* The graceful stop. */
void roti_stop_request(struct roti_stop *stop);

/* Adds (removes) a listener; one that is added after the request is told at once. Removing twice is
 * harmless; after remove returns, `told` does not run. */
void roti_stop_add(struct roti_stop *stop, struct roti_stop_listener *listener);
void roti_stop_remove(struct roti_stop *stop, struct roti_stop_listener *listener);

#ifdef __cplusplus
}
#endif

#endif
