/* SPDX-License-Identifier: MIT */
/*
 * roles.c - which workers there are, and which of them take work. See sched/pool.h; what a worker
 * does about it is in sched/worker.c.
 */
#include "sched/pool.h"

void roti_pool_append(struct roti_pool *pool, struct roti_worker *worker)
{
    ROTI_PLAIN_WRITE(&pool->workers[worker->index]);
    pool->workers[worker->index] = worker;
    /* [PL41] release: pairs with [PL40]; the table has the worker, and all that belongs to it. */
    roti_store(PL41, release, &pool->worker_count, worker->index + 1);
    roti_figures_update(pool, worker); /* a switch that came before did not find it */
}

void roti_pool_set_active(struct roti_pool *pool, unsigned count)
{
    unsigned before = roti_pool_active_count(pool);
    /* [PL43] release: pairs with [PL42]; who takes part can be found in the table. A worker whose
     * role this changes is notified below, and so looks again after this. */
    roti_store(PL43, release, &pool->active_count, count);
    for (unsigned i = count < before ? count : before; i < count || i < before; i++)
        roti_worker_notify(roti_pool_worker(pool, i));
    roti_worker_notify(roti_pool_worker(pool, 0)); /* it may sleep as one that is alone */
    roti_pool_wake_one(pool);                      /* what a retired one held is for others */
}
