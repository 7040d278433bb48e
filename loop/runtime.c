/* SPDX-License-Identifier: MIT */
/*
 * runtime.c - rota_run(): the one place where workers are given their loops.
 */
#include "loop/doorbell.h"
#include "loop/handle_node.h"
#include "loop/io_impl.h"
#include "loop/loop_impl.h"
#include "loop/stop.h"
#include "loop/syscall.h"
#include "sched/base/alloc.h"
#include "sched/base/random.h"
#include "sched/fork.h"
#include "sched/registry.h"

#include <errno.h>
#include <pthread.h>
#include <rota/error.h>

#define SLOW_CALLBACK_NS (100 * ROTA_MS)
#define STALL_NS (10 * ROTA_MS)
#define QUARANTINE_MAX 65536 /* stacks: 16 GiB of address space at the default size */

/* Whoever adds an option checks it in check_opts() and hands it on in run_init(). */
_Static_assert(sizeof(struct rota_run_opts) == 104, "an option was added");

/* What a run is made of. It is freed at its end, unless a task outlived the shutdown: somebody may
 * still wake that. */
struct run {
    struct rota_runtime runtime;
    struct roti_stop stop;
    int64_t shutdown_timeout_ns;
};

/* ---- Options ---- */

static int check_opts(const struct rota_run_opts *opts)
{
    if (opts->loops > ROTI_LOOP_MAX || opts->shutdown_timeout_ns < 0 ||
        opts->slow_callback_ns < 0 || opts->stack_quarantine > QUARANTINE_MAX)
        return -EINVAL;
    if (opts->stack_size != 0 &&
        (opts->stack_size < ROTI_STACK_SIZE_MIN || opts->stack_size > ROTI_STACK_SIZE_MAX))
        return -EINVAL;
    return 0;
}

/* ---- Threads ---- */

static int thread_start(void *arg)
{
    struct rota_loop *loop = arg;
    roti_loops_enter(&loop->runtime->loops, loop->worker.index);
    return 0;
}

static void thread_stop(void *arg)
{
    struct rota_loop *loop = arg;
    roti_loop_close(loop);
    if (loop->worker.index == 0)
        roti_loops_leave(&loop->runtime->loops);
}

/* ---- Creation ---- */

static void report_task(struct roti_worker *worker, const char *text, struct rota_task *task,
                        int status)
{
    struct rota_error_info info = {
        .message = text,
        .error = status,
        .loop = worker != NULL ? worker->loop : NULL,
        .task = task,
    };
    roti_loop_report(&info);
}

static void release_loops(struct roti_worker *const *workers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        rota_loop_unref(workers[i]->loop);
}

/* The timer by which sleeping loops come to look after the others: see sched/sentinel.h. */
static int create_ticker(struct rota_runtime *runtime, struct roti_worker *const *workers,
                         unsigned count)
{
    int r = roti_sys_timerfd();
    if (r < 0)
        return r;
    runtime->ticker_fd = r;
    r = 0;
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = roti_loop_watch_ticker(workers[i]->loop);
    return r;
}

static void close_ticker(struct rota_runtime *runtime)
{
    if (runtime->ticker_fd >= 0)
        roti_sys_close(runtime->ticker_fd);
    runtime->ticker_fd = -1;
}

/* From when on a loop counts as stalled; 0: nobody looks. */
static int64_t stall_ns_of(const struct rota_run_opts *opts)
{
    int64_t stall_ns = opts->stall_ns != 0 ? opts->stall_ns : STALL_NS;
    return stall_ns > 0 && roti_loop_driver.real_time ? stall_ns : 0;
}

/* The loops that the run begins with, and the pool of their workers. */
static int create_loops(struct rota_runtime *runtime, const struct rota_run_opts *opts,
                        unsigned count)
{
    struct roti_worker **workers = roti_alloc(count * sizeof *workers);
    struct rota_loop *loop;
    unsigned created = 0;
    int r = 0;
    if (workers == NULL)
        return -ENOMEM;
    while (created < count && (r = roti_loop_create(&loop, runtime, opts->debug)) == 0)
        workers[created++] = &loop->worker;
    if (r == 0 && !opts->no_help) /* with one loop, too: there may be more */
        r = create_ticker(runtime, workers, count);
    if (r == 0 && stall_ns_of(opts) > 0)
        r = roti_stalls_init(&runtime->stalls, opts->stall_handler, opts->stall_arg);
    const struct roti_pool_opts pool_opts = {
        .worker_count = count,
        .stack_size = opts->stack_size,
        .figures = opts->figures,
        .debug = opts->debug,
        .spin_ns = runtime->loops.spin_ns,
        .slow_ns = runtime->slow_callback_ns,
        .wipe_stacks = opts->wipe_stacks,
        .quarantine_count = opts->stack_quarantine,
        .no_help = opts->no_help,
        .stall_ns = stall_ns_of(opts),
        .stalled = roti_stall_found,
        .driver = &roti_loop_driver,
        .thread_start = thread_start,
        .thread_stop = thread_stop,
    };
    if (r == 0)
        r = roti_pool_init(&runtime->pool, &pool_opts, workers);
    if (r < 0) {
        roti_stalls_free(&runtime->stalls);
        close_ticker(runtime);
        release_loops(workers, created);
    }
    roti_free(workers, count * sizeof *workers);
    return r;
}

static int run_init(struct run *run, const struct rota_run_opts *opts, const char *root)
{
    struct rota_runtime *runtime = &run->runtime;
    run->shutdown_timeout_ns = opts->shutdown_timeout_ns;
    runtime->ticker_fd = -1;
    roti_list_init(&runtime->leftovers);
    runtime->exception_fn = opts->exception_handler;
    runtime->exception_arg = opts->exception_arg;
    runtime->slow_callback_ns = opts->slow_callback_ns ? opts->slow_callback_ns : SLOW_CALLBACK_NS;
    return create_loops(runtime, opts, roti_loops_init(&runtime->loops, opts, root));
}

/* Runs it from the first task to the last. */
static int run_all(struct run *run, rota_task_fn fn, void *arg, bool signals)
{
    int status = 0;
    int r = roti_stop_init(&run->stop, &run->runtime, fn, arg, signals);
    if (r < 0)
        return r;
    r = roti_pool_run(&run->runtime.pool, roti_stop_main, &run->stop, run->shutdown_timeout_ns,
                      &status);
    bool interrupted = roti_stop_done(&run->stop);
    if (r < 0)
        return r;
    return interrupted && status == -ECANCELED ? ROTA_EINTERRUPT : status;
}

void roti_runtime_leave(struct rota_runtime *runtime, struct roti_leftover *leftover)
{
    roti_spin_lock(&runtime->lock);
    roti_list_push_back(&runtime->leftovers, &leftover->node);
    roti_spin_unlock(&runtime->lock);
}

/* On the only thread that is left. */
static void free_leftovers(struct rota_runtime *runtime)
{
    struct roti_list *node;
    while ((node = roti_list_pop_front(&runtime->leftovers)) != NULL) {
        struct roti_leftover *leftover = roti_container_of(node, struct roti_leftover, node);
        leftover->run_ended(leftover);
    }
    roti_context_park(roti_thread_self()); /* what they held of contexts goes now */
}

/* When no thread of it is left. */
static void run_done(struct run *run)
{
    struct roti_pool *pool = &run->runtime.pool;
    free_leftovers(&run->runtime);
    close_ticker(&run->runtime);
    release_loops(pool->workers, roti_pool_worker_count(pool));
    roti_pool_done(pool);
}

/* In the child of a fork: the slots of this layer are as other threads left them, and its loops are
 * the parent's. */
static void forget_parent(struct roti_pool *pool)
{
    struct rota_runtime *runtime = roti_container_of(pool, struct rota_runtime, pool);
    roti_handle_forget();
    roti_io_forget();
    unsigned count = roti_pool_worker_count(pool);
    for (unsigned i = 0; i < count; i++)
        roti_loop_abandon(roti_pool_worker(pool, i)->loop);
    close_ticker(runtime);
    roti_doorbell_forget();
    (void)roti_stop_done(runtime->stop);
}

static void watch_forks(void)
{
    roti_fork_on_child(forget_parent);
}

int roti_run_rooted(rota_task_fn fn, void *arg, const struct rota_run_opts *opts, const char *root)
{
    static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
    static const struct rota_run_opts defaults;
    if (opts == NULL)
        opts = &defaults;
    if (fn == NULL || check_opts(opts) < 0)
        return -EINVAL;
    if (roti_worker_current() != NULL)
        return ROTA_ESTATE;
    pthread_once(&fork_once, watch_forks);
    roti_task_set_report(report_task);
    struct run *run = roti_zalloc_aligned(_Alignof(struct run), sizeof *run);
    if (run == NULL)
        return -ENOMEM;
    int r = run_init(run, opts, root);
    if (r == 0) {
        r = run_all(run, fn, arg, !opts->no_signals);
        roti_stalls_free(&run->runtime.stalls);
        if (run->runtime.pool.straggler_count > 0)
            return r;
        run_done(run);
    }
    roti_free_aligned(run, _Alignof(struct run), sizeof *run);
    roti_stack_pool_drain();
    return r;
}

int rota_run(rota_task_fn fn, void *arg, const struct rota_run_opts *opts)
{
    return roti_run_rooted(fn, arg, opts, "");
}

/* ---- Questions ---- */

struct rota_runtime *rota_running_runtime(void)
{
    struct rota_loop *loop = roti_loop_current();
    return loop != NULL ? loop->runtime : NULL;
}

void roti_runtime_exit(struct rota_runtime *runtime)
{
    roti_pool_exit(&runtime->pool);
}

/* The less loaded of two loops, by what is queued there. */
static struct roti_worker *choose_worker(struct roti_pool *pool)
{
    uint64_t random = roti_random(roti_thread_self());
    unsigned count = roti_pool_active_count(pool);
    struct roti_worker *one = roti_pool_worker(pool, (unsigned)(random >> 32) % count);
    struct roti_worker *two = roti_pool_worker(pool, (unsigned)random % count);
    one = roti_sentinel_avoid_blocked(one);
    two = roti_sentinel_avoid_blocked(two);
    return roti_ring_count(&one->ring) <= roti_ring_count(&two->ring) ? one : two;
}

int rota_task_spawn_threadsafe(struct rota_runtime *runtime, struct rota_task **ret_task,
                               rota_task_fn fn, void *arg, const struct rota_task_opts *opts)
{
    struct roti_spawn spawn = {
        .fn = fn, .arg = arg, .opts = opts, .spawned_at = __builtin_return_address(0)};
    if (runtime == NULL)
        return -EINVAL;
    if (roti_fork_is_child())
        return ROTA_EFORKED;
    struct roti_worker *self = roti_worker_current();
    if (self != NULL && self->pool == &runtime->pool)
        return rota_task_spawn(ret_task, fn, arg, opts);
    return roti_task_spawn(&runtime->pool, choose_worker(&runtime->pool), &spawn, ret_task);
}
