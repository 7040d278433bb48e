/* SPDX-License-Identifier: MIT */
/*
 * task.c - the life of a task: spawned, run step by step, finished, its slot given back.
 *
 * A task owns its stack from its first step until it is done, and its slot until the last reference
 * is gone. The runtime holds one reference from spawn to the switch after the end, so that nobody
 * can free the slot under a running task.
 *
 * A spawn only has a stack promised (sched/stack.h): it may be refused, and a task that is queued
 * holds no memory for one. Its first step makes the stack, out of what ended tasks have left warm.
 * Where the kernel refuses that all the same, the task ends with -ENOMEM and its body never runs.
 */
#include "sched/registry.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/cancel.h"
#include "sched/pool.h"

#include <errno.h>
#include <rota/error.h>
#include <string.h>

/* In debug mode a task that goes on waiting so often after a cancellation is reported. */
#define SWALLOWED_WAITS 16

static _Atomic(roti_report_fn) report_hook;
static _Atomic(roti_suspend_fn) suspend_hook;

void roti_task_set_report(roti_report_fn report)
{
    /* [T1] relaxed: before the threads that report, and later the same function again; that reads
     * nothing but what it is given. */
    roti_store(T1, relaxed, &report_hook, report);
}

void roti_task_report(const char *text, struct rota_task *task, int status)
{
    /* [T2] relaxed: as [T1]. */
    roti_report_fn report = roti_load(T2, relaxed, &report_hook);
    if (report != NULL)
        report(roti_worker_current(), text, task, status);
}

/* ---- The body ---- */

/* Debug: named before anyone can see the end, so that a joiner finds the report made. */
static void check_undelivered(struct rota_task *task, int status)
{
    /* [T9] relaxed: requests that come later are too late for the body to see. */
    if (roti_word_undelivered(roti_load(T9, relaxed, &task->word)) > 0 && status != -ECANCELED)
        roti_task_report("a task ended without seeing its cancellation", task, status);
}

/* Publishes the end and wakes the joiners. The last use of the task's lock by the task itself. */
static void task_complete(struct roti_worker *worker, struct rota_task *task, int status)
{
    struct roti_list woken;
    struct roti_wait *wait;
    roti_list_init(&woken);
    roti_spin_lock(&task->lock);
    task->status = status;
    uint64_t word = roti_state_finish(&task->word);
    while ((wait = roti_wait_first(&task->joiners)) != NULL)
        if (roti_wait_claim_by(wait, roti_join_result(wait, word), task->id))
            roti_list_push_back(&woken, &wait->link);
    roti_spin_unlock(&task->lock);
    roti_wait_wake_all_from(worker, &woken);
    if (status == ROTA_EXIT)
        roti_pool_exit(task->pool);
}

/* The first frame of every task. */
static struct roti_fiber_exit task_main(void *arg, void *transfer)
{
    struct rota_task *task = arg;
    (void)transfer;
    /* A request that came before the first step: the body never runs. */
    int status = roti_state_deliver(&task->word) ? -ECANCELED : task->fn(task->arg);
    if (task->arg_release != NULL)
        task->arg_release(task->arg);
    ROTI_ASSERT(task->frame->scope == NULL && "a timeout scope outlives its task");
    if (task->pool->debug)
        check_undelivered(task, status);

    /* Only now is it certain which thread this is, and that it stays so. */
    struct roti_worker *worker = roti_worker_current();
    worker->thread_object->context = &worker->context;
    roti_context_task_end(&task->context);
    task_complete(worker, task, status);
    return (struct roti_fiber_exit){&worker->fiber, (void *)(uintptr_t)ROTI_SWITCH_DONE};
}

/* ---- Spawn ---- */

/* Fills a fresh slot. Its generation, lock and empty list of joiners survive from its last life. */
static void task_fill(struct rota_task *task, struct roti_pool *pool, struct roti_worker *worker,
                      unsigned stack_class, const struct roti_spawn *spawn)
{
    task->frame = NULL;
    task->pool = pool;
    task->status = 0;
    task->work.kind = ROTI_WORK_TASK;
    task->work.queued = 0;
    /* [T3], [T11] relaxed: published with the task, [RG4]. */
    roti_store(T3, relaxed, &task->awaited, NULL);
    roti_store(T11, relaxed, &task->name, NULL);
    task->fn = spawn->fn;
    task->arg = spawn->arg;
    task->arg_release = spawn->opts != NULL ? spawn->opts->arg_release : NULL;
    task->spawned_at = spawn->spawned_at;
    task->stack_class = (uint8_t)stack_class;
    roti_task_set_worker(task, worker);
}

/* The name and the context: what can fail. The task is complete otherwise, and nobody else's yet.
 */
static int task_configure(struct rota_task *task, struct roti_worker *worker,
                          const struct rota_task_opts *opts)
{
    void *home = NULL;
    int r =
        roti_context_task_init(&task->context, opts != NULL ? opts->context : NULL, worker, &home);
    if (r < 0)
        return r;
    task->work.extra = (opts != NULL && opts->pinned) || home != NULL;
    if (home != NULL)
        roti_task_set_worker(task, (struct roti_worker *)home);
    if (opts == NULL || opts->name == NULL)
        return 0;
    char *name;
    r = roti_name_get(opts->name, &name);
    if (r < 0)
        roti_context_task_end(&task->context);
    else
        roti_store(T12, relaxed, &task->name, name); /* [T12] relaxed: as [T11] */
    return r;
}

/* A complete task that nobody knows of yet. `here`: the caller is the worker's own thread. */
static int task_create(struct roti_pool *pool, struct roti_worker *worker, bool here,
                       const struct roti_spawn *spawn, struct rota_task **ret_task)
{
    struct roti_stack_cache *stacks = here ? &worker->stack_cache : NULL;
    size_t size = spawn->opts != NULL ? spawn->opts->stack_size : 0;
    int stack_class = size != 0 ? roti_stack_class(size) : (int)pool->stack_class;
    if (stack_class < 0)
        return stack_class;
    int r = roti_stack_promise(stacks, (unsigned)stack_class);
    if (r < 0)
        return r;
    struct rota_task *task = roti_task_slot_get(here ? worker : NULL);
    if (task == NULL) {
        roti_stack_forgo(stacks, (unsigned)stack_class);
        return -ENOMEM;
    }
    task_fill(task, pool, worker, (unsigned)stack_class, spawn);
    r = task_configure(task, worker, spawn->opts);
    if (r < 0) {
        roti_stack_forgo(stacks, (unsigned)stack_class);
        roti_task_slot_put(here ? worker : NULL, task);
        return r;
    }
    *ret_task = task;
    return 0;
}

/* Spawns on `worker`. `here`: the caller is that worker's own thread. */
static int spawn_on(struct roti_pool *pool, struct roti_worker *worker, bool here,
                    const struct roti_spawn *spawn, struct rota_task **ret_task)
{
    bool internal = (spawn->flags & ROTI_TASK_INTERNAL) != 0;
    struct rota_task *task;
    if (spawn->fn == NULL)
        return -EINVAL;
    if (!roti_pool_admit(pool, here ? worker : NULL, internal))
        return ROTA_ESTOP;
    int r = task_create(pool, worker, here, spawn, &task);
    if (r < 0) {
        roti_pool_unadmit(pool, here ? worker : NULL, internal);
        return r;
    }
    roti_task_publish(here ? worker : NULL, task, spawn->flags, ret_task != NULL ? 2 : 1);
    roti_pool_spawned(pool, here ? worker : NULL, internal);
    if (ret_task != NULL)
        *ret_task = task;
    if (here)
        roti_task_enqueue_from(worker, task);
    else
        roti_task_enqueue(task);
    return 0;
}

int roti_task_spawn(struct roti_pool *pool, struct roti_worker *worker,
                    const struct roti_spawn *spawn, struct rota_task **ret_task)
{
    return spawn_on(pool, worker, roti_worker_current() == worker, spawn, ret_task);
}

int rota_task_spawn(struct rota_task **ret_task, rota_task_fn fn, void *arg,
                    const struct rota_task_opts *opts)
{
    struct roti_worker *worker = roti_worker_current();
    struct roti_spawn spawn = {
        .fn = fn, .arg = arg, .opts = opts, .spawned_at = __builtin_return_address(0)};
    if (worker == NULL)
        return roti_fork_no_loop();
    return spawn_on(worker->pool, worker, true, &spawn, ret_task);
}

/* ---- The first step and the last ---- */

/* Gives back what the runtime has of a task that is done. */
static void release(struct roti_worker *worker, struct rota_task *task)
{
    /* [T5] relaxed: only marks; see roti_task_visit(). */
    bool internal = (roti_load(T5, relaxed, &task->flags) & ROTI_TASK_INTERNAL) != 0;
    rota_task_unref(task);
    roti_pool_retire(worker->pool, worker, internal);
}

void roti_task_retire(struct roti_worker *worker, struct rota_task *task)
{
    roti_stack_put(&worker->stack_cache, task->frame->stack); /* may describe the task */
    task->frame = NULL;
    release(worker, task);
}

/* The end of a task without a stack. What it was given is released on the loop's stack, in no task,
 * as a callback runs. */
static __attribute__((noinline)) void fail_first_step(struct roti_worker *worker,
                                                      struct rota_task *task, int error)
{
    worker->thread_object->context = &worker->context;
    roti_stack_forgo(&worker->stack_cache, task->stack_class);
    int status = roti_state_deliver(&task->word) ? -ECANCELED : error;
    if (task->arg_release != NULL)
        task->arg_release(task->arg);
    roti_context_task_end(&task->context);
    task_complete(worker, task, status);
    release(worker, task);
}

struct roti_task_frame *roti_task_begin(struct roti_worker *worker, struct rota_task *task)
{
    size_t reserved = (sizeof(struct roti_task_frame) + 15) & ~(size_t)15;
    struct roti_stack *stack;
    int r = roti_stack_make(&worker->stack_cache, task->stack_class, &stack);
    if (__builtin_expect(r < 0, 0)) {
        fail_first_step(worker, task, r);
        return NULL;
    }
    struct roti_task_frame *frame = (void *)(roti_stack_top(stack) - reserved);
    /* Field by field: compilers clear so much memory by an instruction that takes 30 cycles. */
    frame->stack = stack;
    frame->wait = NULL;
    frame->ran_on = NULL;
    if (ROTI_MIGRATE)
        frame->stayed = false;
    frame->suspended_by = ROTI_SWITCH_NONE;
    frame->scope = NULL;
    frame->waits_after_cancel = 0;
    /* [T13] relaxed: the task waits for nothing yet that could be woken. */
    roti_store(T13, relaxed, &frame->waker, 0);
    roti_fiber_init(&frame->fiber, stack, reserved, task_main, task);
    stack->owner = task;
    task->frame = frame;
    return frame;
}

/* ---- Steps ---- */

void roti_task_run_call(struct roti_worker *worker)
{
    struct roti_call *call = worker->call;
    worker->on_loop_stack = true;
    call->result = call->fn(call->arg);
    worker->on_loop_stack = false;
}

/* Debug: a task that swallowed its cancellation and goes on waiting is named, once. */
static void check_swallowed(struct rota_task *task)
{
    /* [T7] relaxed: its own counts. */
    uint64_t word = roti_load(T7, relaxed, &task->word);
    if (roti_word_requests(word) == 0 || roti_word_deliveries(word) == 0)
        task->frame->waits_after_cancel = 0;
    else if (++task->frame->waits_after_cancel == SWALLOWED_WAITS)
        roti_task_report("a task swallowed its cancellation and goes on", task, -ECANCELED);
}

void roti_task_set_suspend_hook(roti_suspend_fn hook)
{
    /* [SW1] release: pairs with [SW2]. */
    roti_store(SW1, release, &suspend_hook, hook);
}

/* Before a suspension that somebody wants to hear of. */
static __attribute__((noinline)) void tell_suspension(struct rota_task *task, roti_suspend_fn hook)
{
    if (hook != NULL)
        hook(task);
    if (task->pool->debug)
        check_swallowed(task);
}

int roti_task_switch_out(struct roti_worker *worker, struct rota_task *task, enum roti_switch why)
{
    /* [SW2] acquire: pairs with [SW1], so that what the hook reads was written. */
    roti_suspend_fn hook = roti_load(SW2, acquire, &suspend_hook);
    if (__builtin_expect(hook != NULL || worker->pool->debug, 0) && why != ROTI_SWITCH_CALL)
        tell_suspension(task, hook);
    void *loop_asks = (void *)(intptr_t)why;
    return roti_fiber_switch_last(&task->frame->fiber, &worker->fiber, loop_asks);
}

int rota_yield(void)
{
    struct roti_worker *worker = roti_worker_current();
    if (!roti_worker_may_suspend(worker))
        return ROTA_ENOTASK;
    struct rota_task *task = roti_worker_task(worker);
    if (roti_state_deliver(&task->word))
        return -ECANCELED;
    return roti_task_switch_out(worker, task, ROTI_SWITCH_YIELD);
}

void roti_task_count_call(void)
{
    struct roti_worker *worker = roti_worker_current();
    if (!roti_worker_may_suspend(worker) || --worker->calls_left > 0)
        return;
    (void)roti_task_switch_out(worker, roti_worker_task(worker), ROTI_SWITCH_GIVE);
}

void rota_pin(void)
{
    struct rota_task *task = rota_current_task();
    if (task == NULL)
        return;
    ROTI_ASSERT(task->work.extra < ROTI_WORK_EXTRA_MAX && "too many pins of one task");
    task->work.extra++;
}

void rota_unpin(void)
{
    struct rota_task *task = rota_current_task();
    if (task == NULL)
        return;
    ROTI_ASSERT(roti_task_pinned(task) && "rota_unpin() without rota_pin()");
    task->work.extra--;
}

int rota_call_on_loop_stack(int (*fn)(void *arg), void *arg)
{
    if (fn == NULL)
        return -EINVAL;
    struct roti_worker *worker = roti_worker_current();
    if (!roti_worker_may_suspend(worker))
        return fn(arg);
    struct roti_call call = {.fn = fn, .arg = arg};
    worker->call = &call;
    (void)roti_task_switch_out(worker, roti_worker_task(worker), ROTI_SWITCH_CALL);
    return call.result;
}
