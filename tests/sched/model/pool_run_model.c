/* SPDX-License-Identifier: MIT */
/*
 * pool_run_model.c - a whole run of a pool of one loop, and a thread without a loop in its queues.
 *
 * Virtual thread 0 runs the pool; its first task waits until thread 1 wakes it. So the run may come
 * to its end while thread 1 is still inside the worker's queues, which are freed after the run.
 */
#include "sched/base/assert.h"
#include "sched/cancel.h"
#include "sched/overflow.h"
#include "sched/pool.h"
#include "sched/registry.h"
#include "sched/stack_quarantine.h"
#include "tests/sched/model/never.h"

#include <errno.h>
#include <string.h>

static struct roti_pool pool;
static struct roti_worker worker;
static struct rota_task task;
static struct roti_spawn first;
static _Atomic(bool) woken;
static bool spawn_fails; /* the run has no task */
static int queues;       /* plain: read by who is inside, written by who frees them */
static bool started;     /* own: the task has run */

/* ---- Stand-ins ---- */

static int64_t driver_now(void *loop)
{
    (void)loop;
    return 1;
}

static const struct roti_driver driver = {.now = driver_now};

int roti_task_spawn(struct roti_pool *spawned, struct roti_worker *from,
                    const struct roti_spawn *spawn, struct rota_task **ret_task)
{
    MODEL_ASSERT(roti_pool_admit(spawned, from, false));
    if (spawn_fails) {
        roti_pool_unadmit(spawned, from, false);
        return -ENOMEM;
    }
    first = *spawn;
    *ret_task = &task;
    roti_pool_spawned(spawned, from, false);
    return 0;
}

/* The turn: the first task, then the shutdown. */
void roti_worker_main(struct roti_worker *self)
{
    if (!spawn_fails) {
        MODEL_ASSERT(first.fn(first.arg) == 0);
        first.opts->arg_release(first.arg);
        roti_pool_retire(self->pool, self, false);
    }
    while (roti_pool_phase(self->pool) < ROTI_STOPPING_PHASE)
        roti_pool_supervise(self->pool);
}

int rota_task_status(const struct rota_task *done, int *ret_status)
{
    MODEL_ASSERT(done == &task);
    *ret_status = 0;
    return 0;
}

/* What is not of this test. */
int roti_fiber_adopt_thread(struct roti_fiber *fiber)
{
    (void)fiber;
    return 0;
}

int roti_overflow_install_thread(struct roti_overflow_thread *thread)
{
    (void)thread;
    return 0;
}

int roti_watchdog_start(struct roti_pool *watched)
{
    (void)watched;
    return 0;
}

int roti_fork_watch(struct roti_pool *watched)
{
    (void)watched;
    return 0;
}

int roti_stack_class(size_t size)
{
    (void)size;
    return 0;
}

/* clang-format off */
#define NOTHING(declaration) declaration {}

NOTHING(void roti_overflow_remove_thread(struct roti_overflow_thread *thread))
NOTHING(void roti_watchdog_stop(struct roti_pool *watched))
NEVER(void roti_watchdog_rouse(struct roti_watchdog *watchdog))
NEVER(void roti_sample_enter(struct roti_sample *sample))
NEVER(void roti_sample_leave(struct roti_sample *sample))
NOTHING(void roti_overflow_set_describe(roti_overflow_describe_fn describe))
NOTHING(void roti_context_task_end(struct roti_context_slot *slot))
NOTHING(void roti_context_park(struct roti_thread *thread))
NOTHING(void roti_task_slots_drain(struct roti_worker *drained))
NOTHING(void roti_stack_cache_init(struct roti_stack_cache *cache))
NOTHING(void roti_stack_cache_drain(struct roti_stack_cache *cache))
NOTHING(void roti_stack_quarantine_free(struct roti_stack_quarantine *quarantine))
NOTHING(void roti_worker_notify(struct roti_worker *notified))
NOTHING(void roti_fork_unwatch(struct roti_pool *watched))
NOTHING(void roti_fork_hold(void))
NOTHING(void roti_fork_release(void))
NOTHING(void rota_task_unref(struct rota_task *unneeded))
NOTHING(void roti_task_visit(struct roti_pool *visited, bool internal,
                             void (*visit)(struct rota_task *seen, void *arg), void *arg))

NEVER(struct roti_worker *roti_worker_current(void))
NEVER(struct roti_stack_quarantine *roti_stack_quarantine_create(unsigned count))
NEVER(unsigned roti_worker_help(struct roti_worker *helper, struct roti_worker *blocked))
NEVER(void roti_pool_wake_one(struct roti_pool *told))
NEVER(bool roti_task_cancel_request(struct rota_task *cancelled, unsigned *ret_ticket))
NEVER(bool roti_state_hold(roti_word *word))
NEVER(void roti_task_report(const char *text, struct rota_task *reported, int status))
NEVER(void roti_task_describe(const struct roti_stack *stack, char *buf, size_t size))
/* clang-format on */

/* ---- Threads ---- */

static bool is_woken(void *arg)
{
    (void)arg;
    return roti_load(TQ1, relaxed, &woken);
}

static int waits(void *arg)
{
    (void)arg;
    model_wait_until(is_woken, NULL);
    (void)roti_exchange(TQ2, acquire, &woken, false); /* [TQ2] acquire: as [I7] */
    started = true;
    return 0;
}

static void runs(unsigned thread)
{
    int status = -1;
    (void)thread;
    int r = roti_pool_run(&pool, waits, NULL, 0, &status);
    MODEL_ASSERT(spawn_fails ? r == -ENOMEM : r == 0 && status == 0);
    roti_pool_done(&pool);
    ROTI_PLAIN_WRITE(&queues);
}

static void wakes(unsigned thread)
{
    (void)thread;
    roti_pool_foreign_enter(&pool);
    roti_store(TQ3, release, &woken, true); /* [TQ3] release: as [I5] */
    ROTI_PLAIN_READ(&queues);
    roti_pool_foreign_leave(&pool);
}

/* ---- Before and after a run ---- */

static void reset(void)
{
    static struct roti_worker *const workers[] = {&worker};
    static const struct roti_pool_opts opts = {.worker_count = 1, .driver = &driver};
    memset(&worker, 0, sizeof worker);
    roti_store(TQ4, relaxed, &woken, false);
    roti_store(TQ5, relaxed, &task.flags, 0U);
    started = false;
    spawn_fails = false;
    int r = roti_pool_init(&pool, &opts, workers);
    MODEL_ASSERT(r == 0);
}

static void reset_failing(void)
{
    reset();
    spawn_fails = true;
}

static void check(void)
{
    MODEL_ASSERT(started != spawn_fails && model_live_blocks() == 0);
}

MODEL_SURVIVES("PL1:0", "the run has one loop: see model_pool");
MODEL_SURVIVES("PL2:0", "as PL1");
MODEL_SURVIVES("PL3:0", "as PL1");
MODEL_SURVIVES("PL4:0", "as PL1");
MODEL_SURVIVES("PL17:0", "as PL1");
MODEL_SURVIVES("PL40:0", "as PL1");
MODEL_SURVIVES("D1:0", "as PL1");
MODEL_SURVIVES("D2:0", "as PL1");
MODEL_SURVIVES("I11:0", "nothing is left in a queue here: see model_inbox");
MODEL_SURVIVES("TQ2:0", "the heavy Dekker function behind it is a fence");

MODEL_TEST(pool_run_foreign) = {.threads = {runs, wakes}, .setup = reset, .check = check};
MODEL_TEST(pool_run_without_task) = {.threads = {runs}, .setup = reset_failing, .check = check};
