/* SPDX-License-Identifier: MIT */
/*
 * lent.h - memory that a poller lends to whoever receives, in blocks of one size.
 *
 * A connection that waits for input should own no buffer: of many connections few have data at one
 * moment. So a block is taken once there is something to receive, and given back when that was
 * consumed. Each loop keeps a few free blocks. A block is not bound to the loop it came from: it
 * goes back to the pool of the loop that its holder is on by then.
 *
 * Threads. A pool: the owner, that is the thread that runs the loop. Blocks: whoever holds them.
 */
#ifndef ROTI_LENT_H
#define ROTI_LENT_H

#include <stddef.h>
#include <stdint.h>

#define ROTI_LENT_SIZE                                                                             \
    ((size_t)16 << 10) /* one TLS record, and a bit less than most sockets hold */

/* Free blocks that a pool keeps; more go back to the heap. */
#if defined(ROTI_SMALL) && ROTI_SMALL
#define ROTI_LENT_CACHE_MAX 2
#else
#define ROTI_LENT_CACHE_MAX 16
#endif

struct roti_lent_pool {
    uint32_t count;
    char *free[ROTI_LENT_CACHE_MAX];
};

#ifdef __cplusplus
extern "C" {
#endif

/* A block of ROTI_LENT_SIZE bytes, from `pool` or (pool NULL, or empty) from the heap; NULL when
 * memory is exhausted. */
char *roti_lent_get(struct roti_lent_pool *pool);

/* Gives a block back, to `pool` or (pool NULL, or full) to the heap. */
void roti_lent_put(struct roti_lent_pool *pool, char *block);

/* Gives all free blocks to the heap. */
void roti_lent_drain(struct roti_lent_pool *pool);

#ifdef __cplusplus
}
#endif

#endif
