/* SPDX-License-Identifier: MIT */
/*
 * lent.c - the pool of blocks for receiving.
 */
#include "loop/lent.h"

#include "loop/io.h"
#include "loop/loop_impl.h"
#include "sched/base/alloc.h"
#include "sched/base/assert.h"

char *roti_lent_get(struct roti_lent_pool *pool)
{
    if (pool == NULL || pool->count == 0)
        return roti_alloc(ROTI_LENT_SIZE);
    return pool->free[--pool->count];
}

void roti_lent_put(struct roti_lent_pool *pool, char *block)
{
    if (pool == NULL || pool->count == ROTI_LENT_CACHE_MAX)
        roti_free(block, ROTI_LENT_SIZE);
    else
        pool->free[pool->count++] = block;
}

void roti_lent_drain(struct roti_lent_pool *pool)
{
    while (pool->count > 0)
        roti_free(pool->free[--pool->count], ROTI_LENT_SIZE);
}

void roti_lent_return(struct roti_lent *lent)
{
    if (lent->data == NULL)
        return;
    ROTI_ASSERT(lent->capacity == ROTI_LENT_SIZE);
    struct rota_loop *loop = roti_loop_current();
    roti_lent_put(loop != NULL ? &loop->poller.lent : NULL, lent->data);
    *lent = (struct roti_lent){0};
}
