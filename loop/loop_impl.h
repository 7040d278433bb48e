/* SPDX-License-Identifier: MIT */
/*
 * loop_impl.h - what a loop consists of, for the files of this layer and for net.
 */
#ifndef ROTI_LOOP_IMPL_H
#define ROTI_LOOP_IMPL_H

#include <rota/loop.h>
#include <rota/runtime.h>

#include "loop/loops.h"
#include "loop/poller.h"
#include "loop/stall.h"
#include "loop/timer.h"
#include "sched/pool.h"
#include "sched/task_impl.h"
#include "sched/worker.h"

struct rota_loop {
    struct roti_worker worker;    /* first: its queues, its thread */
    struct rota_runtime *runtime; /* valid until the runtime ends */
    struct roti_poller poller;    /* descriptors; the eventfd */
    struct roti_timers timers;    /* the wheel and its lock */
    _Atomic(uint32_t) refs;
    uint32_t spare_refs;  /* owner only: taken in advance, of those that `refs` counts */
    bool debug;           /* the pool's; constant, as others ask after the runtime's end */
    _Atomic(bool) closed; /* nothing is scheduled any more */
    rota_exception_fn exception_fn; /* owner only; NULL: the inherited one */
    void *exception_arg;
    rota_exception_fn inherited_fn; /* the runtime's, which may end before the loop; constant */
    void *inherited_arg;
    _Atomic(struct roti_handle_node *) running_handle; /* the callback that runs; owner writes */
    _Atomic(void *) running_fn; /* its function, or that of the last one; owner writes */
};

/* An object that a reference of the program keeps until the run ends. Embedded in it. */
struct roti_leftover {
    struct roti_list node; /* under the runtime's lock */
    /* Called when every thread of the run has stopped. */
    void (*run_ended)(struct roti_leftover *leftover);
};

struct rota_runtime {
    struct roti_pool pool;
    struct roti_loops loops; /* how many there are; they themselves are the pool's */
    rota_exception_fn exception_fn;
    void *exception_arg;
    int64_t slow_callback_ns;
    int ticker_fd; /* a timer that all pollers watch; -1: blocked loops are not helped */
    struct roti_stalls stalls;
    struct roti_stop *stop; /* the graceful stop: loop/stop.c */
    struct roti_spin lock;
    struct roti_list leftovers; /* under lock */
};

#ifdef __cplusplus
extern "C" {
#endif

/* The loop of this thread, or NULL; never kept over a suspension. */
static inline struct rota_loop *roti_loop_current(void)
{
    struct roti_worker *worker = roti_worker_current();
    return worker != NULL ? (struct rota_loop *)worker->loop : NULL;
}

/* The same for callers that have their thread's object at hand. A loop and its worker are one
 * address (loop/loop.c). */
static inline struct rota_loop *roti_loop_of(const struct roti_thread *thread)
{
    return (struct rota_loop *)thread->worker;
}

/* Whether it takes new connections and tasks: it is not retired. */
static inline bool roti_loop_is_active(const struct rota_loop *loop)
{
    return loop->worker.index < roti_pool_active_count(loop->worker.pool);
}

/* A loop with one reference; its worker is prepared by the pool. 0 or a negative errno. */
int roti_loop_create(struct rota_loop **ret_loop, struct rota_runtime *runtime, bool debug);

/* A counted reference to the loop `self` is on, without a read-modify-write but once in many; and
 * its end, on whatever thread: `self` is that thread's loop, or NULL. */
void roti_loop_ref_here(struct rota_loop *self);
void roti_loop_unref_on(struct rota_loop *self, struct rota_loop *loop);

/* Its poller watches the runtime's ticker. 0 or a negative errno. */
static inline int roti_loop_watch_ticker(struct rota_loop *loop)
{
    return roti_poller_watch_ticker(&loop->poller, loop->runtime->ticker_fd);
}

/* Nothing is scheduled there any more. On the loop's thread, after its last turn. */
void roti_loop_close(struct rota_loop *loop);

/* In the child of a fork: the loop is closed, and has nothing in common with the parent's. */
void roti_loop_abandon(struct rota_loop *loop);

/* Tells the loop's exception handler, or the runtime's, or the default. `info->loop` chooses. */
void roti_loop_report(const struct rota_error_info *info);

/* Ends the run with ROTA_EXIT, as a callback's return value asks. Any thread of the runtime. */
void roti_runtime_exit(struct rota_runtime *runtime);

/* Leaves an object to the end of the run, as callbacks may use it until their loops stop. Never
 * freed where a task outlives the shutdown. Any thread of the runtime. */
void roti_runtime_leave(struct rota_runtime *runtime, struct roti_leftover *leftover);

/* rota_run(), on a machine whose files are in the folder `root`; "" for this one. */
int roti_run_rooted(rota_task_fn fn, void *arg, const struct rota_run_opts *opts, const char *root);

/* Sums up the figures of the name with that number, below roti_name_count(). False: it has had no
 * step. Any thread while the runtime runs. */
struct rota_name_figures;
bool roti_name_figures_read(struct rota_runtime *runtime, unsigned number,
                            struct rota_name_figures *ret_figures);

/* The driver of every real loop. */
extern const struct roti_driver roti_loop_driver;

#ifdef __cplusplus
}
#endif

#endif
