/* SPDX-License-Identifier: MIT */
/*
 * loops.c - how many loops a runtime has. The essay is in the header.
 */
#include "loop/loops.h"

#include "loop/loop_impl.h"
#include "sched/fork.h"
#include "sched/registry.h"

#include <errno.h>
#include <rota/error.h>

#define REVIEW_NS ROTA_SEC /* between two looks at the CPUs */

/* ---- The begin ---- */

/* How long a loop may stay awake without work. */
static int64_t spin_of(const struct roti_loops *loops, struct roti_cpus cpus)
{
    int64_t by_default = cpus.count > 1 && !cpus.quota ? ROTI_SPIN_NS : 0;
    if (loops->spin_opt_ns == 0)
        return by_default;
    return loops->spin_opt_ns > 0 ? loops->spin_opt_ns : 0;
}

/* How many CPUs there are now. Under the mutex, or alone. */
static unsigned count_cpus(struct roti_loops *loops)
{
    if (!loops->bound)
        (void)roti_cpu_mask_read(&loops->mask);
    struct roti_cpus cpus = roti_cpus_within(&loops->mask, roti_cgroup_cpu_limit(&loops->cgroup));
    loops->spin_ns = spin_of(loops, cpus);
    return cpus.count;
}

unsigned roti_loops_init(struct roti_loops *loops, const struct rota_run_opts *opts,
                         const char *root)
{
    bool known = roti_cpu_mask_read(&loops->mask);
    loops->bound = opts->pin_cpus && known; /* what cannot be restored is not changed */
    roti_cgroup_init(&loops->cgroup, root);
    loops->spin_opt_ns = opts->spin_ns;
    unsigned cpu_count = count_cpus(loops);
    loops->begun_count = opts->loops != 0 ? opts->loops : cpu_count;
    /* [LO1] [LO2] relaxed: before the threads of loops exist. */
    roti_store(LO1, relaxed, &loops->follows, opts->loops == 0 && !opts->keep_loops);
    roti_store(LO2, relaxed, &loops->review_ns, rota_time_ns() + REVIEW_NS);
    return loops->begun_count;
}

void roti_loops_enter(const struct roti_loops *loops, unsigned index)
{
    if (loops->bound)
        roti_cpu_mask_bind(&loops->mask, index);
    else if (index >= loops->begun_count)
        roti_cpu_mask_apply(&loops->mask); /* the thread that started this one may have another */
}

void roti_loops_leave(const struct roti_loops *loops)
{
    if (loops->bound)
        roti_cpu_mask_apply(&loops->mask);
}

/* ---- More and fewer ---- */

/* Starts a loop behind the last, which takes no work yet. Under the mutex. */
static int add_loop(struct rota_runtime *runtime)
{
    struct rota_loop *loop;
    int r = roti_loop_create(&loop, runtime, runtime->pool.debug);
    if (r < 0)
        return r;
    if (runtime->ticker_fd >= 0)
        r = roti_loop_watch_ticker(loop);
    if (r == 0)
        r = roti_pool_add(&runtime->pool, &loop->worker);
    if (r < 0)
        rota_loop_unref(loop);
    return r;
}

/* Goes as far as it can. Under the mutex. */
static int change_count(struct rota_runtime *runtime, unsigned count)
{
    struct roti_pool *pool = &runtime->pool;
    int r = 0;
    if (roti_pool_phase(pool) >= ROTI_STOPPING_PHASE)
        return ROTA_ESTOP;
    while (r == 0 && roti_pool_worker_count(pool) < count)
        r = add_loop(runtime);
    if (count > roti_pool_worker_count(pool))
        count = roti_pool_worker_count(pool);
    if (count != roti_pool_active_count(pool))
        roti_pool_set_active(pool, count);
    return r;
}

int rota_runtime_set_loops(struct rota_runtime *runtime, unsigned count)
{
    if (runtime == NULL || count > ROTI_LOOP_MAX)
        return -EINVAL;
    if (roti_fork_is_child())
        return ROTA_EFORKED;
    roti_pool_foreign_enter(&runtime->pool);
    roti_fork_hold();
    /* [LO3] relaxed: under the mutex; who reads it without only decides whether to come here. */
    roti_store(LO3, relaxed, &runtime->loops.follows, count == 0);
    int r = change_count(runtime, count != 0 ? count : count_cpus(&runtime->loops));
    roti_fork_release();
    roti_pool_foreign_leave(&runtime->pool);
    return r;
}

/* ---- Following the CPUs ---- */

static bool is_following(const struct roti_loops *loops)
{
    /* [LO4] relaxed: as [LO3]. */
    return roti_load(LO4, relaxed, &loops->follows);
}

/* The body of the runtime's own task. What cannot be had now is tried again at the next look. */
static int follow_cpus(void *arg)
{
    struct rota_runtime *runtime = arg;
    roti_fork_hold();
    if (is_following(&runtime->loops)) {
        (void)change_count(runtime, count_cpus(&runtime->loops));
        roti_pool_set_spin(&runtime->pool, runtime->loops.spin_ns);
    }
    roti_fork_release();
    return 0;
}

int64_t roti_loops_review(struct rota_runtime *runtime, int64_t now_ns)
{
    static const struct rota_task_opts opts = {.name = "loops"};
    const struct roti_spawn spawn = {
        .fn = follow_cpus, .arg = runtime, .opts = &opts, .flags = ROTI_TASK_INTERNAL};
    struct roti_loops *loops = &runtime->loops;
    struct roti_worker *worker = roti_worker_current();
    if (!is_following(loops) || roti_pool_phase(&runtime->pool) != ROTI_RUNNING_PHASE)
        return now_ns + REVIEW_NS;
    /* [LO5] [LO6] relaxed: the swap alone counts, one loop of all wins it. */
    int64_t due_ns = roti_load(LO5, relaxed, &loops->review_ns);
    if (due_ns > now_ns)
        return due_ns;
    if (roti_cas(LO6, relaxed, &loops->review_ns, &due_ns, now_ns + REVIEW_NS))
        (void)roti_task_spawn(&runtime->pool, worker, &spawn, NULL);
    return now_ns + REVIEW_NS;
}

/* ---- Questions ---- */

int rota_runtime_loop_count(const struct rota_runtime *runtime)
{
    return runtime != NULL ? (int)roti_pool_active_count(&runtime->pool) : -EINVAL;
}

struct rota_loop *rota_runtime_loop(const struct rota_runtime *runtime, unsigned index)
{
    if (runtime == NULL || index >= roti_pool_worker_count(&runtime->pool))
        return NULL;
    return roti_pool_worker(&runtime->pool, index)->loop;
}
