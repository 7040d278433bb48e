/* SPDX-License-Identifier: MIT */
/*
 * accounts.c - how many tasks a pool has: admitted, spawned, finished; and who is told of changes.
 *
 * Problem.    Whether any task is left must be known exactly once it is zero, and at no cost
 *             before: no counter may be shared by all loops.
 * Design.     Each worker counts for itself; worker 0 sums up, when the shutdown asks. A task is
 *             admitted before it is made, counted as spawned once listings can see it, and as
 *             finished after its last reference of the runtime's is gone. Admissions less
 *             finishes are the tasks alive; spawns tell that a round of cancels would find
 *             somebody new.
 * Invariants. I1 Finishes that are seen make their admissions visible.
 *             I2 From CLOSING on no admission succeeds.
 */
#include "sched/park.h"
#include "sched/pool.h"

static uint64_t read_count(const _Atomic(uint64_t) *count)
{
    /* [PL3] acquire: pairs with [PL4]; a finish that is seen makes its spawn visible. */
    return roti_load(PL3, acquire, count);
}

uint64_t roti_pool_spawned_total(struct roti_pool *pool)
{
    uint64_t total = read_count(&pool->foreign_spawned);
    unsigned count = roti_pool_worker_count(pool);
    for (unsigned i = 0; i < count; i++)
        total += read_count(&roti_pool_worker(pool, i)->counters.spawned);
    return total;
}

size_t roti_pool_live(struct roti_pool *pool)
{
    /* Finishes first: a task that is counted as finished is then counted as admitted. If the sums
     * are equal there was a moment between the two without a task, and tasks only come from tasks
     * (or from callbacks and threads, which are refused from CLOSING on). A worker that is added
     * meanwhile has an admission behind each finish that is seen elsewhere: whoever saw the task
     * there saw the worker before. Finishes there that are missed only make the sum larger. */
    uint64_t finished = 0;
    unsigned count = roti_pool_worker_count(pool);
    for (unsigned i = 0; i < count; i++)
        finished += read_count(&roti_pool_worker(pool, i)->counters.finished);
    uint64_t admitted = read_count(&pool->foreign_admitted);
    count = roti_pool_worker_count(pool);
    for (unsigned i = 0; i < count; i++)
        admitted += read_count(&roti_pool_worker(pool, i)->admitted);
    return (size_t)(admitted - finished);
}

uint32_t roti_pool_internal_live(const struct roti_pool *pool)
{
    /* [PL17] acquire: pairs with [PL16]. */
    return roti_load(PL17, acquire, &pool->internal_live);
}

/* Counts with release, so that whoever sums up sees what came before. Owner only. */
static void count_released(_Atomic(uint64_t) *count, int change)
{
    /* [PL4] release: pairs with [PL3]. [PL5] relaxed: the owner's own last store. */
    roti_store(PL4, release, count, roti_load(PL5, relaxed, count) + (uint64_t)(int64_t)change);
}

/* After an account was changed: worker 0 looks again if it is looking after the shutdown. */
static void tell_supervisor(struct roti_pool *pool)
{
    /* [D1] Accounted before the look at the phase. Pairs with [D2] of begin_draining(): either this
     * is seen by worker 0's first look at the accounts, or it is told to look again. */
    roti_dekker_light();
    if (roti_pool_phase(pool) >= ROTI_DRAINING_PHASE)
        roti_worker_notify(roti_pool_worker(pool, 0));
}

bool roti_pool_admit(struct roti_pool *pool, struct roti_worker *worker, bool internal)
{
    if (internal)
        /* [PL15] relaxed: [D1] orders it and the look at the phase. */
        (void)roti_fetch_add(PL15, relaxed, &pool->internal_live, 1U);
    else if (worker != NULL)
        count_released(&worker->admitted, 1);
    else
        /* [PL6] relaxed: whoever sees that such a task has finished, [PL4], sees this too. */
        (void)roti_fetch_add(PL6, relaxed, &pool->foreign_admitted, 1);
    /* [D1] Accounted before the look at the phase. Pairs with [D2] of try_stopping(). */
    roti_dekker_light();
    if (roti_pool_phase(pool) < ROTI_CLOSING_PHASE)
        return true;
    roti_pool_unadmit(pool, worker, internal);
    return false;
}

void roti_pool_unadmit(struct roti_pool *pool, struct roti_worker *worker, bool internal)
{
    if (internal)
        /* [PL21] relaxed: as [PL15]; that task's own end tells of what it has done. */
        (void)roti_fetch_sub(PL21, relaxed, &pool->internal_live, 1U);
    else if (worker != NULL)
        count_released(&worker->admitted, -1);
    else
        /* [PL20] relaxed: as [PL6], taken back. */
        (void)roti_fetch_sub(PL20, relaxed, &pool->foreign_admitted, 1);
    tell_supervisor(pool);
}

void roti_pool_spawned(struct roti_pool *pool, struct roti_worker *worker, bool internal)
{
    if (!internal && worker != NULL)
        count_released(&worker->counters.spawned, 1);
    else if (!internal)
        /* [PL22] release: pairs with [PL3]; the task is visible to the listing that follows. */
        (void)roti_fetch_add(PL22, release, &pool->foreign_spawned, 1);
    tell_supervisor(pool); /* its next round of cancels has this one in it */
}

void roti_pool_retire(struct roti_pool *pool, struct roti_worker *worker, bool internal)
{
    if (internal)
        /* [PL16] release: pairs with [PL17]. */
        (void)roti_fetch_sub(PL16, release, &pool->internal_live, 1U);
    else
        count_released(&worker->counters.finished, 1);
    tell_supervisor(pool);
}
