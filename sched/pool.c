/* SPDX-License-Identifier: MIT */
/*
 * pool.c - the workers of one runtime, and the protocol by which they stop. See the header.
 */
#include "sched/pool.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/cancel.h"
#include "sched/overflow.h"
#include "sched/park.h"
#include "sched/registry.h"
#include "sched/stack_quarantine.h"

#include <errno.h>
#include <rota/error.h>
#include <signal.h>
#include <string.h>

#define TABLE_SIZE (ROTI_LOOP_MAX * sizeof(struct roti_worker *))

/* ---- Threads without a loop ---- */

void roti_pool_foreign_enter(struct roti_pool *pool)
{
    /* [PL7] relaxed: the task in hand is not done, so the pool cannot be on its way out. */
    (void)roti_fetch_add(PL7, relaxed, &pool->foreign, 1U);
}

void roti_pool_foreign_leave(struct roti_pool *pool)
{
    /* [PL8] release: pairs with [PL9]; the last access to the pool. */
    (void)roti_fetch_sub(PL8, release, &pool->foreign, 1U);
}

/* ---- Phases ---- */

/* Goes on to the next phase; only the transition that wins does what belongs to it. */
static bool phase_advance(struct roti_pool *pool, enum roti_phase from, enum roti_phase to)
{
    int expected = (int)from;
    /* [PL2] release: pairs with [PL1]. */
    return roti_cas(PL2, release, &pool->phase, &expected, (int)to);
}

/* Phase 1 -> 2: from now on worker 0 looks after the leftovers. Any thread of the pool. */
static void begin_draining(struct roti_pool *pool)
{
    if (!phase_advance(pool, ROTI_RUNNING_PHASE, ROTI_DRAINING_PHASE))
        return;
    /* [D2] The phase comes before worker 0's look at the accounts. Pairs with [D1] of
     * tell_supervisor(). */
    roti_dekker_heavy();
    roti_worker_notify(pool->workers[0]);
}

/* Phase 2 -> 3 -> 4, or back: every worker leaves its loop. `force`: whatever is left. Worker 0. */
static void try_stopping(struct roti_pool *pool, bool force)
{
    if (!phase_advance(pool, ROTI_DRAINING_PHASE, ROTI_CLOSING_PHASE))
        return;
    /* [D2] Closed before the last look at the accounts. Pairs with [D1] of roti_pool_admit(). */
    roti_dekker_heavy();
    if (!force && (roti_pool_live(pool) > 0 || roti_pool_internal_live(pool) > 0)) {
        phase_advance(pool, ROTI_CLOSING_PHASE, ROTI_DRAINING_PHASE);
        return;
    }
    roti_fork_hold(); /* no thread is being started, and none is from here on */
    phase_advance(pool, ROTI_CLOSING_PHASE, ROTI_STOPPING_PHASE);
    unsigned count = roti_pool_worker_count(pool);
    for (unsigned i = 1; i < count; i++)
        roti_worker_notify(pool->workers[i]);
    roti_fork_release();
}

void roti_pool_exit(struct roti_pool *pool)
{
    /* [PL10] relaxed: read when all threads of the pool are joined, [PL11]. */
    roti_store(PL10, relaxed, &pool->exit, true);
    begin_draining(pool);
}

/* Cancels a task that is left over, once. */
static void cancel_leftover(struct rota_task *task, void *arg)
{
    (void)arg;
    /* [PL12] relaxed: only worker 0 does this. */
    uint32_t flags = roti_fetch_or(PL12, relaxed, &task->flags, ROTI_TASK_DRAINED);
    if ((flags & ROTI_TASK_DRAINED) == 0)
        (void)roti_task_cancel_request(task, NULL);
    rota_task_unref(task);
}

/* Names a task that outlived the deadline, and keeps it from ever being woken. */
static void report_straggler(struct rota_task *task, void *arg)
{
    struct roti_pool *pool = arg;
    pool->straggler_count++;
    (void)roti_state_hold(&task->word);
    roti_task_report("a task outlived the shutdown deadline", task, -ETIMEDOUT);
    rota_task_unref(task);
}

void roti_pool_supervise(struct roti_pool *pool)
{
    struct roti_worker *worker = pool->workers[0];
    if (pool->drain_deadline_ns == INT64_MAX && pool->shutdown_timeout_ns > 0) {
        int64_t now_ns = worker->driver->now(worker->loop);
        bool fits = pool->shutdown_timeout_ns < INT64_MAX - now_ns;
        pool->drain_deadline_ns = fits ? now_ns + pool->shutdown_timeout_ns : INT64_MAX;
    }
    uint64_t spawned = roti_pool_spawned_total(pool);
    if (spawned != pool->drained_spawns) {
        pool->drained_spawns = spawned;
        roti_task_visit(pool, false, cancel_leftover, pool);
    }
    bool late = worker->driver->now(worker->loop) >= pool->drain_deadline_ns;
    if (roti_pool_live(pool) > 0 && !late)
        return;
    /* The runtime's own tasks end last. They do as they are told: no deadline. */
    if (roti_pool_internal_live(pool) == 0)
        try_stopping(pool, late);
    else
        roti_task_visit(pool, true, cancel_leftover, pool);
}

/* ---- Workers ---- */

static void worker_init(struct roti_worker *worker, struct roti_pool *pool, unsigned index,
                        bool serves)
{
    worker->serves = serves;
    worker->pool = pool;
    worker->driver = pool->driver;
    worker->index = index;
    worker->slept = true;
    roti_fifo_init(&worker->local);
    roti_fifo_init(&worker->due);
    roti_stack_cache_init(&worker->stack_cache);
    worker->stack_cache.policy =
        (struct roti_stack_policy){.wipe = pool->wipe_stacks, .detain = pool->quarantine};
    roti_search_init(&worker->waits);
    roti_ring_init(&worker->ring);
    roti_inbox_init(&worker->inbox);
    roti_figures_join(pool, worker);
}

int roti_pool_init(struct roti_pool *pool, const struct roti_pool_opts *opts,
                   struct roti_worker *const *workers)
{
    if (opts->worker_count == 0 || opts->worker_count > ROTI_LOOP_MAX)
        return -EINVAL;
    int stack_class = roti_stack_class(opts->stack_size);
    if (stack_class < 0)
        return stack_class;
    memset(pool, 0, sizeof *pool);
    pool->workers = roti_zalloc(TABLE_SIZE);
    if (pool->workers == NULL)
        return -ENOMEM;
    if (opts->quarantine_count > 0) {
        pool->quarantine = roti_stack_quarantine_create(opts->quarantine_count);
        if (pool->quarantine == NULL) {
            roti_free(pool->workers, TABLE_SIZE);
            return -ENOMEM;
        }
    }
    sem_init(&pool->entered, 0, 0);
    memcpy(pool->workers, workers, opts->worker_count * sizeof(struct roti_worker *));
    /* [PL45] [PL46] relaxed: before the pool's threads exist. */
    roti_store(PL45, relaxed, &pool->worker_count, opts->worker_count);
    roti_store(PL46, relaxed, &pool->active_count, opts->worker_count);
    pool->stack_class = (unsigned)stack_class;
    pool->wipe_stacks = opts->wipe_stacks;
    pool->debug = opts->debug;
    roti_pool_set_spin(pool, opts->spin_ns);
    pool->slow_ns = opts->debug ? opts->slow_ns : 0;
    pool->driver = opts->driver;
    pool->thread_start = opts->thread_start;
    pool->thread_stop = opts->thread_stop;
    pool->drain_deadline_ns = INT64_MAX;
    /* [PL18] relaxed: before the pool's threads exist. */
    roti_store(PL18, relaxed, &pool->phase, (int)ROTI_RUNNING_PHASE);
    roti_idle_init(&pool->idle, opts->worker_count);
    roti_figures_init(pool, opts->figures);
    roti_sentinel_init(pool, !opts->no_help);
    pool->watchdog.stall_ns = opts->stall_ns;
    pool->watchdog.stalled = opts->stalled;
    for (unsigned i = 0; i < opts->worker_count; i++)
        worker_init(pool->workers[i], pool, i, true);
    return 0;
}

void roti_pool_done(struct roti_pool *pool)
{
    sem_destroy(&pool->entered);
    roti_stack_quarantine_free(pool->quarantine);
    pool->quarantine = NULL;
    roti_free(pool->workers, TABLE_SIZE);
    pool->workers = NULL;
}

/* Makes the calling thread run `worker`. */
static int worker_enter(struct roti_worker *worker)
{
    int r = roti_fiber_adopt_thread(&worker->fiber);
    if (r < 0)
        return r;
    r = roti_overflow_install_thread(&worker->overflow_thread);
    if (r < 0)
        return r;
    worker->thread_object = roti_thread_self();
    worker->thread_object->worker = worker;
    worker->thread_object->context = &worker->context;
    if (worker->pool->watchdog.stall_ns > 0)
        roti_sample_enter(&worker->sample);
    r = worker->pool->thread_start != NULL ? worker->pool->thread_start(worker->loop) : 0;
    return r;
}

/* Ends what worker_enter() began: caches go back, the thread is an ordinary one again. */
static void worker_leave(struct roti_worker *worker)
{
    struct roti_thread *thread = worker->thread_object;
    if (worker->pool->thread_stop != NULL)
        worker->pool->thread_stop(worker->loop);
    thread->context = &thread->top;
    roti_context_task_end(&worker->context);
    roti_context_park(thread);
    roti_task_slots_drain(worker);
    roti_stack_cache_drain(&worker->stack_cache);
    if (worker->pool->watchdog.stall_ns > 0)
        roti_sample_leave(&worker->sample);
    thread->worker = NULL;
    worker->thread_object = NULL;
    roti_overflow_remove_thread(&worker->overflow_thread);
}

/* A worker's own thread. Its signals are blocked but for those that a fault raises. */
static void *worker_thread(void *arg)
{
    struct roti_worker *worker = arg;
    int r = worker_enter(worker);
    if (r < 0)
        /* [PL13] relaxed: the semaphore publishes it. */
        roti_store(PL13, relaxed, &worker->pool->enter_error, r);
    sem_post(&worker->pool->entered);
    if (r < 0)
        return NULL;
    roti_worker_main(worker);
    worker_leave(worker);
    return NULL;
}

/* Blocks every signal, so that the program's handlers run on its own threads, but those that a
 * fault of the thread raises, and a profiler's, which asks whichever thread uses the CPU. */
static void block_signals(sigset_t *ret_before)
{
    static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGPROF};
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        sigdelset(&all, open[i]);
    pthread_sigmask(SIG_SETMASK, &all, ret_before);
}

/* One worker's thread. 0, -EAGAIN, or -ENOMEM where a test has memory fail. */
static int start_thread(struct roti_worker *worker)
{
    if (!roti_alloc_permitted(ROTI_STACK_SIZE_DEFAULT))
        return -ENOMEM;
    return -pthread_create(&worker->thread, NULL, worker_thread, worker);
}

/* Waits until one more thread has entered its loop, or failed to. */
static void await_entry(struct roti_pool *pool)
{
    while (sem_wait(&pool->entered) != 0)
        ; /* interrupted by a signal */
}

/* Starts the threads of workers 1 and up, and waits until each has entered its loop. *ret_started
 * counts the threads to join, worker 0 as one. */
static int start_threads(struct roti_pool *pool, unsigned *ret_started)
{
    unsigned started = 1;
    int r = 0;
    unsigned count = roti_pool_worker_count(pool);
    block_signals(&pool->signals_before);
    while (started < count && (r = start_thread(pool->workers[started])) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &pool->signals_before, NULL);
    for (unsigned i = 1; i < started; i++)
        await_entry(pool);
    *ret_started = started;
    /* [PL19] relaxed: as [PL13]. */
    return r < 0 ? r : roti_load(PL19, relaxed, &pool->enter_error);
}

/* ---- More loops, and fewer ---- */

int roti_pool_add(struct roti_pool *pool, struct roti_worker *worker)
{
    sigset_t before;
    worker_init(worker, pool, roti_pool_worker_count(pool), false);
    block_signals(&before);
    int r = start_thread(worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0)
        return r;
    await_entry(pool);
    /* [PL47] relaxed: as [PL13]. */
    r = roti_exchange(PL47, relaxed, &pool->enter_error, 0);
    if (r < 0) {
        pthread_join(worker->thread, NULL);
        return r;
    }
    roti_pool_append(pool, worker);
    return 0;
}

/* ---- The run ---- */

/* The first task: the user's function. */
static int main_task(void *arg)
{
    struct roti_pool *pool = arg;
    return pool->main_fn(pool->main_arg);
}

/* Its end begins the shutdown, though its body may never have run: see sched/task.c. */
static void main_task_ends(void *arg)
{
    struct roti_pool *pool = arg;
    /* [PL23] relaxed: published with the phase. It is as good as done: no leftover. */
    (void)roti_fetch_or(PL23, relaxed, &pool->main_task->flags, ROTI_TASK_DRAINED);
    begin_draining(pool);
}

/* Closes a worker's queues and gives back what will never run. After all threads are joined. */
static void close_queues(struct roti_worker *worker)
{
    struct roti_fifo left;
    struct roti_link *link;
    roti_fifo_init(&left);
    roti_fifo_append(&left, &worker->due);
    roti_fifo_append(&left, &worker->local);
    roti_inbox_close(&worker->inbox.posts, &left);
    roti_inbox_close(&worker->inbox.tasks, &left);
    while ((link = roti_fifo_pop(&left)) != NULL) {
        struct roti_work *work = roti_container_of(link, struct roti_work, link);
        if (work->kind != ROTI_WORK_TASK)
            worker->driver->drop(worker->loop, work);
    }
}

/* Phase 4 -> 5. The last `unstarted` workers have no thread. */
static void stop_threads(struct roti_pool *pool, unsigned unstarted)
{
    unsigned count = roti_pool_worker_count(pool);
    for (unsigned i = 1; i < count - unstarted; i++)
        pthread_join(pool->workers[i]->thread, NULL);
    /* Stragglers first: once they are held, no other thread can make them runnable. */
    if (roti_pool_live(pool) > 0)
        roti_task_visit(pool, false, report_straggler, pool);
    phase_advance(pool, ROTI_STOPPING_PHASE, ROTI_STOPPED_PHASE);
    /* [PL9] acquire: pairs with [PL8]; nobody is inside the queues any more. */
    while (roti_load(PL9, acquire, &pool->foreign) != 0)
        roti_pause();
    for (unsigned i = 0; i < count; i++)
        close_queues(pool->workers[i]);
}

void roti_pool_abandon(struct roti_pool *pool)
{
    struct roti_worker *own = roti_worker_current();
    struct roti_fifo left; /* what it held stays where it is */
    if (own != NULL && own->pool == pool && pool->watchdog.stall_ns > 0)
        roti_sample_leave(&own->sample);
    if (own != NULL && own->pool == pool && own->index > 0)
        pthread_sigmask(SIG_SETMASK, &pool->signals_before, NULL);
    roti_fifo_init(&left);
    /* [PL24] relaxed: there is one thread. */
    roti_store(PL24, relaxed, &pool->phase, ROTI_STOPPED_PHASE);
    unsigned count = roti_pool_worker_count(pool);
    for (unsigned i = 0; i < count; i++) {
        roti_inbox_close(&pool->workers[i]->inbox.posts, &left);
        roti_inbox_close(&pool->workers[i]->inbox.tasks, &left);
    }
}

/* Starts everything and runs worker 0 until the end. On the thread that has entered worker 0. */
static int run_entered(struct roti_pool *pool)
{
    static const struct rota_task_opts opts = {.name = "main", .arg_release = main_task_ends};
    struct roti_spawn spawn = {.fn = main_task, .arg = pool, .opts = &opts};
    unsigned started = 1;
    int r = roti_watchdog_start(pool);
    if (r == 0)
        r = start_threads(pool, &started);
    unsigned unstarted = roti_pool_worker_count(pool) - started;
    if (r == 0)
        r = roti_task_spawn(pool, pool->workers[0], &spawn, &pool->main_task);
    if (r < 0)
        begin_draining(pool); /* there is no task: the first look ends it */
    roti_worker_main(pool->workers[0]);
    stop_threads(pool, unstarted);
    roti_watchdog_stop(pool);
    return r;
}

int roti_pool_run(struct roti_pool *pool, int (*fn)(void *arg), void *arg,
                  int64_t shutdown_timeout_ns, int *ret_status)
{
    pool->main_fn = fn;
    pool->main_arg = arg;
    pool->shutdown_timeout_ns = shutdown_timeout_ns;
    roti_dekker_init();
    roti_overflow_set_describe(roti_task_describe);
    int r = roti_fork_watch(pool);
    if (r < 0)
        return r;
    r = worker_enter(pool->workers[0]);
    if (r < 0) {
        roti_fork_unwatch(pool);
        return r;
    }
    r = run_entered(pool);
    if (r == 0 && rota_task_status(pool->main_task, ret_status) < 0)
        *ret_status = -ETIMEDOUT; /* it outlived the deadline itself */
    /* [PL11] relaxed: see [PL10]. */
    if (r == 0 && roti_load(PL11, relaxed, &pool->exit))
        *ret_status = ROTA_EXIT;
    rota_task_unref(pool->main_task);
    pool->main_task = NULL;
    worker_leave(pool->workers[0]);
    roti_fork_unwatch(pool);
    return r;
}
