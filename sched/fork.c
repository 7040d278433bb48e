/* SPDX-License-Identifier: MIT */
/*
 * fork.c - what happens to a process that is forked while loops run. The essay is in the header.
 */
#include "sched/fork.h"

#include "sched/base/assert.h"
#include "sched/base/atomic.h"
#include "sched/base/thread.h"
#include "sched/name.h"
#include "sched/overflow.h"
#include "sched/pool.h"
#include "sched/registry.h"
#include "sched/stack.h"

#include <pthread.h>
#include <rota/error.h>

#define FORGET_MAX 8

static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;
static int handlers_error;
static _Atomic(bool) is_child;

/* A fork is made with the mutex held, so that the child finds the lists whole. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct roti_list pools = {&pools, &pools};              /* that run in this process */
static void (*forget_fns[FORGET_MAX])(struct roti_pool *pool); /* of the layers above */
static unsigned forget_count;

/* ---- The child ---- */

/* In the child, on its only thread. */
static void forget_all(void)
{
    if (roti_list_empty(&pools))
        return;
    roti_task_slots_forget();
    roti_names_forget();
    roti_stack_pool_forked();
    roti_overflow_forked();
    roti_sample_forked();
    struct roti_list *node;
    while ((node = roti_list_pop_front(&pools)) != NULL) {
        struct roti_pool *pool = roti_container_of(node, struct roti_pool, fork_node);
        roti_pool_abandon(pool);
        for (unsigned i = 0; i < forget_count; i++)
            forget_fns[i](pool);
    }
    struct roti_thread *thread = roti_thread_self();
    thread->worker = NULL;
    thread->context = &thread->top;
    thread->handles = (struct roti_slots_cache){0};
    /* [FK1] relaxed: there is one thread. */
    roti_store(FK1, relaxed, &is_child, true);
}

static void before_fork(void)
{
    pthread_mutex_lock(&mutex);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&mutex);
}

static void after_fork_in_child(void)
{
    forget_all();
    pthread_mutex_unlock(&mutex);
}

/* ---- Whoever runs loops ---- */

static void install_handlers(void)
{
    handlers_error = pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

int roti_fork_watch(struct roti_pool *pool)
{
    pthread_once(&handlers_once, install_handlers);
    if (handlers_error != 0)
        return -handlers_error;
    pthread_mutex_lock(&mutex);
    roti_list_push_back(&pools, &pool->fork_node);
    pthread_mutex_unlock(&mutex);
    /* [FK2] relaxed: [FK3] may come before or after. */
    roti_store(FK2, relaxed, &is_child, false);
    return 0;
}

void roti_fork_unwatch(struct roti_pool *pool)
{
    pthread_mutex_lock(&mutex);
    roti_list_remove(&pool->fork_node);
    pthread_mutex_unlock(&mutex);
}

void roti_fork_hold(void)
{
    pthread_mutex_lock(&mutex);
}

void roti_fork_release(void)
{
    pthread_mutex_unlock(&mutex);
}

bool roti_fork_is_child(void)
{
    /* [FK3] relaxed: set by the fork, before there was a second thread. */
    return roti_load(FK3, relaxed, &is_child);
}

int roti_fork_no_loop(void)
{
    return roti_fork_is_child() ? ROTA_EFORKED : ROTA_ENOLOOP;
}

void roti_fork_on_child(void (*forget)(struct roti_pool *pool))
{
    pthread_mutex_lock(&mutex);
    ROTI_ASSERT(forget_count < FORGET_MAX);
    forget_fns[forget_count++] = forget;
    pthread_mutex_unlock(&mutex);
}
