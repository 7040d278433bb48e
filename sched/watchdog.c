/* SPDX-License-Identifier: MIT */
/*
 * watchdog.c - looks for loops that do not turn. The essay is in the header.
 */
#include "sched/watchdog.h"

#include "sched/base/alloc.h"
#include "sched/park.h"
#include "sched/pool.h"
#include "sched/registry.h"
#include "sched/task_impl.h"
#include "sched/worker.h"

#include <errno.h>
#include <rota/base.h>
#include <signal.h>
#include <string.h>
#include <time.h>

/* A stall that goes on is told again when it has lasted so many times as long. */
#define TELL_AGAIN 10

#define WATCHES_SIZE (ROTI_LOOP_MAX * sizeof(struct roti_stall_watch))

static int64_t now_of(const struct roti_pool *pool)
{
    return pool->driver->now(pool->workers[0]->loop);
}

/* ---- Rest ---- */

void roti_watchdog_rouse(struct roti_watchdog *watchdog)
{
    /* [WD1] relaxed: decides who posts; the semaphore orders the rest. */
    if (roti_exchange(WD1, relaxed, &watchdog->resting, false))
        sem_post(&watchdog->wake);
}

static bool all_parked(const struct roti_pool *pool)
{
    unsigned count = roti_pool_worker_count(pool);
    for (unsigned i = 0; i < count; i++)
        if (!roti_inbox_parked(&roti_pool_worker(pool, i)->inbox))
            return false;
    return true;
}

bool roti_watchdog_rest(struct roti_pool *pool)
{
    /* [WD2] relaxed: the Dekker functions order it. */
    roti_store(WD2, relaxed, &pool->watchdog.resting, true);
    /* [D2] The mark comes before the look at who is parked. Pairs with [D1] of a loop that has
     * slept. */
    roti_dekker_heavy();
    if (all_parked(pool))
        return true;
    /* [WD3] relaxed: as [WD1]. Whoever takes it away posts. */
    return !roti_exchange(WD3, relaxed, &pool->watchdog.resting, false);
}

/* ---- Looks ---- */

/* Tells of a stall, if it still lasts. */
static void tell(struct roti_worker *worker, const struct roti_stall_watch *watch,
                 struct roti_stall *stall)
{
    struct roti_pool *pool = worker->pool;
    stall->worker = worker;
    stall->task = roti_task_ref_running(worker);
    stall->pc_count = roti_sample_take(&worker->sample, stall->pcs, &stall->whereabouts);
    stall->first = watch->tell_ns == pool->watchdog.stall_ns;
    bool blamed =
        roti_sentinel_heartbeat(worker) == watch->heartbeat && pool->watchdog.stalled(stall);
    if (blamed && stall->first)
        roti_count(worker, stalls, 1); /* that one counter is written by this thread */
    if (stall->task != NULL)
        rota_task_unref(stall->task);
}

/* A loop that has not moved since an earlier look. True: it was told, which may take long. */
static bool look_closer(struct roti_worker *worker, struct roti_stall_watch *watch, int64_t now_ns)
{
    pid_t tid = roti_sample_tid(&worker->sample);
    if (watch->tell_ns == 0) {
        watch->tell_ns = worker->pool->watchdog.stall_ns;
        watch->cpu_wait_ns = roti_sample_cpu_wait_ns(tid);
    }
    if (now_ns - watch->since_ns < watch->tell_ns)
        return false;
    uint64_t cpu_wait_ns = roti_sample_cpu_wait_ns(tid);
    struct roti_stall stall = {0};
    if (cpu_wait_ns > watch->cpu_wait_ns)
        stall.cpu_wait_ns = (int64_t)(cpu_wait_ns - watch->cpu_wait_ns);
    stall.kept_ns = now_ns - watch->since_ns - stall.cpu_wait_ns;
    if (stall.kept_ns < watch->tell_ns)
        return false;
    tell(worker, watch, &stall);
    while (watch->tell_ns <= stall.kept_ns && watch->tell_ns <= INT64_MAX / TELL_AGAIN)
        watch->tell_ns *= TELL_AGAIN;
    return true;
}

bool roti_watchdog_look(struct roti_pool *pool, int64_t now_ns)
{
    bool awake = false;
    bool moved = false;
    unsigned count = roti_pool_worker_count(pool);
    for (unsigned i = 0; i < count; i++) {
        struct roti_worker *worker = roti_pool_worker(pool, i);
        struct roti_stall_watch *watch = &pool->watchdog.watches[i];
        /* A thread that has not begun, or has ended, keeps nobody waiting. */
        bool parked = roti_inbox_parked(&worker->inbox) || roti_sample_tid(&worker->sample) == 0;
        uint64_t heartbeat = roti_sentinel_heartbeat(worker);
        bool same = heartbeat == watch->heartbeat;
        awake = awake || !parked;
        moved = moved || !same;
        if (same && !parked && watch->seen && look_closer(worker, watch, now_ns))
            now_ns = now_of(pool);
        if (!same || parked || !watch->seen)
            *watch = (struct roti_stall_watch){
                .heartbeat = heartbeat, .since_ns = now_ns, .seen = !parked};
    }
    return awake || moved;
}

/* ---- The thread ---- */

static void sleep_until(struct roti_watchdog *watchdog, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / ROTA_SEC, .tv_nsec = until_ns % ROTA_SEC};
    (void)sem_clockwait(&watchdog->wake, CLOCK_MONOTONIC, &until);
}

static bool is_stopping(const struct roti_watchdog *watchdog)
{
    /* [WD4] relaxed: the semaphore's post comes after it, or the next look is soon. */
    return roti_load(WD4, relaxed, &watchdog->stopping);
}

/* Until a loop takes the mark away, or the run ends. */
static void sleep_marked(struct roti_watchdog *watchdog)
{
    /* [WD5] relaxed: as [WD1]. */
    while (roti_load(WD5, relaxed, &watchdog->resting) && !is_stopping(watchdog))
        (void)sem_wait(&watchdog->wake);
}

static void *watchdog_main(void *arg)
{
    struct roti_pool *pool = arg;
    struct roti_watchdog *watchdog = &pool->watchdog;
    int64_t interval_ns = watchdog->stall_ns / 2;
    int64_t now_ns = now_of(pool);
    while (!is_stopping(watchdog)) {
        if (!roti_watchdog_look(pool, now_ns) && roti_watchdog_rest(pool))
            sleep_marked(watchdog);
        else
            sleep_until(watchdog, now_ns + interval_ns);
        now_ns = now_of(pool);
    }
    struct roti_stall last = {.worker = pool->workers[0], .over = true};
    (void)watchdog->stalled(&last);
    return NULL;
}

/* With every signal blocked: the program's handlers run elsewhere. */
static int start_thread(struct roti_pool *pool)
{
    sigset_t all, before;
    if (!roti_alloc_permitted(ROTI_STACK_SIZE_DEFAULT))
        return -ENOMEM;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&pool->watchdog.thread, NULL, watchdog_main, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int roti_watchdog_start(struct roti_pool *pool)
{
    struct roti_watchdog *watchdog = &pool->watchdog;
    size_t size = WATCHES_SIZE;
    if (watchdog->stall_ns == 0)
        return 0;
    watchdog->watches = roti_zalloc(size);
    if (watchdog->watches == NULL)
        return -ENOMEM;
    sem_init(&watchdog->wake, 0, 0);
    roti_sample_open();
    int r = start_thread(pool);
    if (r < 0) {
        roti_sample_close();
        sem_destroy(&watchdog->wake);
        roti_free(watchdog->watches, size);
        watchdog->watches = NULL;
    }
    return r;
}

void roti_watchdog_stop(struct roti_pool *pool)
{
    struct roti_watchdog *watchdog = &pool->watchdog;
    if (watchdog->watches == NULL)
        return;
    /* [WD6] relaxed: see [WD4]. */
    roti_store(WD6, relaxed, &watchdog->stopping, true);
    sem_post(&watchdog->wake);
    pthread_join(watchdog->thread, NULL);
    roti_sample_close();
    sem_destroy(&watchdog->wake);
    roti_free(watchdog->watches, WATCHES_SIZE);
    watchdog->watches = NULL;
}
