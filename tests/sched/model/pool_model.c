/* SPDX-License-Identifier: MIT */
/*
 * pool_model.c - the accounts of a pool and its shutdown under weak memory.
 *
 * Virtual thread 0 is worker 0, which looks after the shutdown; the others are workers that end the
 * last tasks, spawn more of them at the last moment, and begin the shutdown; or a thread without a
 * loop that spawns. The pool must come to STOPPING, and then no admitted task may be alive. What
 * pool.c needs to start threads stands here as functions that are never called.
 */
#include "sched/base/assert.h"
#include "sched/cancel.h"
#include "sched/pool.h"
#include "sched/registry.h"
#include "sched/stack_quarantine.h"
#include "tests/sched/model/never.h"

#include <string.h>

#define WORKERS 3

static struct roti_pool pool;
static struct roti_worker workers[WORKERS];
static struct roti_worker *worker_pointers[WORKERS];
static _Atomic(bool) notified;        /* worker 0 */
static _Atomic(bool) visible;         /* a sleeping task can be listed */
static _Atomic(bool) cancelled;       /* and was told to end */
static _Atomic(unsigned) stage;       /* of a task that changes its loop */
static int ends[MODEL_THREADS_MAX];   /* plain: what each thread's tasks did last */
static bool alive[MODEL_THREADS_MAX]; /* plain: an admitted task has not ended */

/* ---- Stand-ins ---- */

static int64_t driver_now(void *loop)
{
    (void)loop;
    return 1;
}

static const struct roti_driver driver = {.now = driver_now};

void roti_worker_notify(struct roti_worker *worker)
{
    if (worker->index == 0)
        (void)roti_exchange(TP1, release, &notified, true); /* [TP1] release: as [I6] */
}

/* One task may be asleep, and is listed once it is visible. */
void roti_task_visit(struct roti_pool *visited, bool internal,
                     void (*visit)(struct rota_task *task, void *arg), void *arg)
{
    (void)visited, (void)visit, (void)arg;
    /* [TP6] relaxed, and so is [TP7]: that the account says so is what must make it visible. */
    if (!internal && roti_load(TP6, relaxed, &visible))
        (void)roti_exchange(TP8, relaxed, &cancelled, true);
}

/* clang-format off */
NEVER(int roti_fiber_adopt_thread(struct roti_fiber *fiber))
NEVER(int roti_watchdog_start(struct roti_pool *watched))
NEVER(void roti_watchdog_stop(struct roti_pool *watched))
NEVER(void roti_watchdog_rouse(struct roti_watchdog *watchdog))
NEVER(void roti_sample_enter(struct roti_sample *sample))
NEVER(void roti_sample_leave(struct roti_sample *sample))
NEVER(int roti_overflow_install_thread(struct roti_overflow_thread *thread))
NEVER(void roti_overflow_remove_thread(struct roti_overflow_thread *thread))
NEVER(void roti_overflow_set_describe(roti_overflow_describe_fn describe))
NEVER(void roti_context_task_end(struct roti_context_slot *slot))
NEVER(void roti_context_park(struct roti_thread *thread))
NEVER(void roti_task_slots_drain(struct roti_worker *worker))
NEVER(int roti_stack_class(size_t size))
NEVER(void roti_stack_cache_init(struct roti_stack_cache *cache))
NEVER(void roti_stack_cache_drain(struct roti_stack_cache *cache))
NEVER(void roti_stack_quarantine_free(struct roti_stack_quarantine *quarantine))
NEVER(struct roti_worker *roti_worker_current(void))
NEVER(struct roti_stack_quarantine *roti_stack_quarantine_create(unsigned count))
NEVER(void roti_worker_main(struct roti_worker *worker))
NEVER(unsigned roti_worker_help(struct roti_worker *worker, struct roti_worker *blocked))
NEVER(bool roti_task_cancel_request(struct rota_task *task, unsigned *ret_ticket))
NEVER(bool roti_state_hold(roti_word *word))
NEVER(void roti_task_report(const char *text, struct rota_task *task, int status))
NEVER(int roti_task_spawn(struct roti_pool *spawned, struct roti_worker *worker,
                          const struct roti_spawn *spawn, struct rota_task **ret_task))
NEVER(int rota_task_status(const struct rota_task *task, int *ret_status))
NEVER(void rota_task_unref(struct rota_task *task))
NEVER(void roti_task_describe(const struct roti_stack *stack, char *buf, size_t size))
NEVER(int roti_fork_watch(struct roti_pool *watched))
NEVER(void roti_fork_unwatch(struct roti_pool *watched))
void roti_fork_hold(void) {}
void roti_fork_release(void) {}
NEVER(void roti_pool_wake_one(struct roti_pool *woken))
/* clang-format on */

/* ---- Tasks ---- */

static bool admit(unsigned thread, struct roti_worker *worker)
{
    if (!roti_pool_admit(&pool, worker, false))
        return false;
    ROTI_PLAIN_WRITE(&alive[thread]);
    alive[thread] = true;
    roti_pool_spawned(&pool, worker, false);
    return true;
}

static void end(unsigned thread, struct roti_worker *worker)
{
    ROTI_PLAIN_WRITE(&alive[thread]);
    alive[thread] = false;
    ends[thread]++;
    roti_pool_retire(&pool, worker, false);
}

static bool is_notified(void *arg)
{
    (void)arg;
    return roti_load(TP2, relaxed, &notified);
}

/* As the turn: looks at the shutdown, and sleeps until it is notified. */
static void supervisor(unsigned thread)
{
    ROTI_PLAIN_WRITE(&ends[thread]);
    ends[thread] = 1;
    for (;;) {
        if (roti_pool_phase(&pool) == ROTI_DRAINING_PHASE)
            roti_pool_supervise(&pool);
        if (roti_pool_phase(&pool) >= ROTI_STOPPING_PHASE)
            break;
        model_wait_until(is_notified, NULL);
        (void)roti_exchange(TP3, acquire, &notified, false); /* [TP3] acquire: as [I10] */
    }
    for (unsigned i = 1; i < MODEL_THREADS_MAX; i++) {
        ROTI_PLAIN_READ(&alive[i]);
        MODEL_ASSERT(!alive[i]);
    }
}

/* The first task ends: the shutdown begins. */
static void main_worker(unsigned thread)
{
    roti_pool_exit(&pool);
    end(thread, &workers[thread]);
}

/* Another task ends at the same time. */
static void other_worker(unsigned thread)
{
    end(thread, &workers[thread]);
}

/* A callback spawns, when the last task may have ended. */
static void late_worker(unsigned thread)
{
    if (admit(thread, &workers[thread]))
        end(thread, &workers[thread]);
}

static bool is_cancelled(void *arg)
{
    (void)arg;
    return roti_load(TP9, relaxed, &cancelled);
}

/* Spawns a task that sleeps until it is cancelled. */
static void spawn_sleeper(struct roti_worker *worker)
{
    MODEL_ASSERT(roti_pool_admit(&pool, worker, false));
    roti_store(TP7, relaxed, &visible, true);
    roti_pool_spawned(&pool, worker, false);
}

/* The sleeper's end: somebody must have cancelled it. */
static void end_sleeper(unsigned thread, struct roti_worker *worker)
{
    model_wait_until(is_cancelled, NULL);
    end(thread, worker);
}

/* A leftover spawns a sleeper and ends. */
static void sleeping_worker(unsigned thread)
{
    spawn_sleeper(&workers[thread]);
    end(thread, &workers[thread]);
    end_sleeper(thread, &workers[thread]);
}

/* A thread without a loop spawns a sleeper, while a leftover is there; then that ends. */
static void sleeping_outsider(unsigned thread)
{
    spawn_sleeper(NULL);
    end(thread, &workers[thread]);
    end_sleeper(thread, &workers[thread]);
}

/* A thread without a loop spawns; the task ends on a loop. */
static void outsider(unsigned thread)
{
    if (admit(thread, NULL))
        end(thread, &workers[2]);
}

/* The runtime's own task ends, last. */
static void internal_worker(unsigned thread)
{
    ROTI_PLAIN_WRITE(&alive[thread]);
    alive[thread] = false;
    roti_pool_retire(&pool, &workers[thread], true);
}

static bool is_added(void *arg)
{
    (void)arg;
    return roti_load(TP22, relaxed, &stage) == 1;
}

static bool is_passed_on(void *arg)
{
    (void)arg;
    return roti_load(TP23, relaxed, &stage) == 2;
}

/* A leftover that adds a loop, and ends the task that was spawned there and came from there. */
static void growing_worker(unsigned thread)
{
    roti_pool_exit(&pool);
    roti_pool_append(&pool, &workers[2]);
    roti_store(TP24, relaxed, &stage, 1U);
    model_wait_until(is_passed_on, NULL);
    (void)roti_exchange(TP25, acquire, &stage, 3U); /* [TP25] acquire: as [R17] */
    end(2, &workers[thread]);
    end(thread, &workers[thread]);
}

/* The loop that is added: it spawns a task, which another loop takes. */
static void added_worker(unsigned thread)
{
    model_wait_until(is_added, NULL);
    (void)roti_exchange(TP26, relaxed, &stage, 3U);
    MODEL_ASSERT(admit(thread, &workers[thread]));
    roti_store(TP27, release, &stage, 2U); /* [TP27] release: as [R11] */
}

/* A loop that leaves when it sees the phase: it sees what was done before. */
static void leaver(unsigned thread)
{
    (void)thread;
    while (roti_pool_phase(&pool) < ROTI_STOPPING_PHASE)
        roti_pause();
    ROTI_PLAIN_READ(&ends[0]);
    MODEL_ASSERT(ends[0] == 1);
}

#if defined(ROTI_DEKKER_FENCES) && ROTI_DEKKER_FENCES
MODEL_SURVIVES("TP1:0", "the light Dekker function before it is a fence here");
MODEL_SURVIVES("TP27:0", "as TP1");
#endif
#if !ROTI_TSAN
MODEL_SURVIVES("PL2:0",
               "the heavy Dekker function before it is a fence; killed where it is a word");
MODEL_SURVIVES("PL17:0",
               "the heavy Dekker function after it is a fence; killed where it is a word");
#endif

MODEL_SURVIVES("SP1:0", "nobody switches figures here: see model_spin");
MODEL_SURVIVES("SP3:0", "as SP1");

static void reset(void)
{
    memset(&pool, 0, sizeof pool);
    memset(workers, 0, sizeof workers);
    memset(ends, 0, sizeof ends);
    memset(alive, 0, sizeof alive);
    roti_store(TP12, relaxed, &pool.worker_count, (unsigned)WORKERS);
    roti_store(TP13, relaxed, &pool.active_count, (unsigned)WORKERS);
    pool.workers = worker_pointers;
    pool.driver = &driver;
    pool.drain_deadline_ns = INT64_MAX;
    roti_store(TP4, relaxed, &pool.phase, (int)ROTI_RUNNING_PHASE);
    roti_store(TP5, relaxed, &notified, false);
    roti_store(TP10, relaxed, &visible, false);
    roti_store(TP11, relaxed, &cancelled, false);
    for (unsigned i = 0; i < WORKERS; i++) {
        ROTI_PLAIN_WRITE(&worker_pointers[i]);
        worker_pointers[i] = &workers[i];
        workers[i].pool = &pool;
        workers[i].driver = &driver;
        workers[i].index = i;
    }
    (void)admit(1, &workers[1]);
}

static void reset_with_other(void)
{
    reset();
    (void)admit(2, &workers[2]);
}

static void reset_growing(void)
{
    reset();
    roti_store(TP28, relaxed, &pool.worker_count, 2U);
    roti_store(TP29, relaxed, &stage, 0U);
}

static void reset_with_internal(void)
{
    reset();
    (void)roti_pool_admit(&pool, &workers[2], true);
    alive[2] = true;
}

static void check(void)
{
    MODEL_ASSERT(roti_pool_live(&pool) == 0);
}

MODEL_TEST(pool_ends) = {
    .threads = {supervisor, main_worker, other_worker}, .setup = reset_with_other, .check = check};
MODEL_TEST(pool_internal) = {.threads = {supervisor, main_worker, internal_worker},
                             .setup = reset_with_internal,
                             .check = check};
MODEL_TEST(pool_leaves) = {
    .threads = {supervisor, main_worker, leaver}, .setup = reset, .check = check};
MODEL_TEST(pool_late) = {
    .threads = {supervisor, main_worker, late_worker}, .setup = reset, .check = check};
MODEL_TEST(pool_sleeper) = {.threads = {supervisor, main_worker, sleeping_worker},
                            .setup = reset_with_other,
                            .check = check};
MODEL_TEST(pool_outside_sleeper) = {.threads = {supervisor, main_worker, sleeping_outsider},
                                    .setup = reset_with_other,
                                    .check = check};
MODEL_TEST(pool_outsider) = {
    .threads = {supervisor, main_worker, outsider}, .setup = reset, .check = check};
MODEL_TEST(pool_grows) = {
    .threads = {supervisor, growing_worker, added_worker}, .setup = reset_growing, .check = check};
