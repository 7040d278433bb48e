/* SPDX-License-Identifier: MIT */
/*
 * fork.c - what happens to a process that is forked while loops run. The essay is in the header.
 */
#include "sched/fork.h"

#include "sched/base/assert.h"
#include "sched/base/atomic.h"
#include "sched/base/thread.h"
#include "sched/registry.h"
#include "sched/stack.h"

#include <pthread.h>

#define FORGET_MAX 8

static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;
static int handlers_error;
static _Atomic(uint32_t) runtime_count; /* runtimes that run in this process */
static _Atomic(bool) is_child;
static void (*_Atomic forget_fns[FORGET_MAX])(void);
static _Atomic(uint32_t) forget_count;

/* In the child, on its only thread. */
static void forget_all(void)
{
    /* [FK1] to [FK5] relaxed: there is one thread. */
    if (roti_load(FK1, relaxed, &runtime_count) == 0)
        return;
    struct roti_thread *thread = roti_thread_self();
    thread->worker = NULL;
    thread->context = &thread->top;
    roti_task_slots_forget();
    roti_stack_pool_forked();
    for (uint32_t i = 0; i < roti_load(FK2, relaxed, &forget_count); i++)
        roti_load(FK3, relaxed, &forget_fns[i])();
    roti_store(FK4, relaxed, &runtime_count, 0);
    roti_store(FK5, relaxed, &is_child, true);
}

static void install_handlers(void)
{
    handlers_error = pthread_atfork(NULL, NULL, forget_all);
}

int roti_fork_watch(void)
{
    pthread_once(&handlers_once, install_handlers);
    if (handlers_error != 0)
        return -handlers_error;
    /* [FK6] to [FK9] relaxed: read by the child of a fork only, which is ordered by the fork. */
    roti_fetch_add(FK6, relaxed, &runtime_count, 1);
    roti_store(FK7, relaxed, &is_child, false);
    return 0;
}

void roti_fork_unwatch(void)
{
    roti_fetch_sub(FK8, relaxed, &runtime_count, 1);
}

bool roti_fork_is_child(void)
{
    return roti_load(FK9, relaxed, &is_child);
}

void roti_fork_on_child(void (*forget)(void))
{
    /* [FK10], [FK11] relaxed: as [FK6]. */
    uint32_t index = roti_fetch_add(FK10, relaxed, &forget_count, 1);
    ROTI_ASSERT(index < FORGET_MAX);
    roti_store(FK11, relaxed, &forget_fns[index], forget);
}
