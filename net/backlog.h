/* SPDX-License-Identifier: MIT */
/*
 * backlog.h - bytes that were written to a stream and not yet taken by the kernel.
 *
 * A list of chunks. Small writes share one, a large one has its own. Memory is taken and given back
 * outside the stream's lock: the calls below only link, unlink and copy a little.
 *
 * Threads. Under the stream's lock, but for roti_chunk_create() and roti_chunk_free(). The bytes
 *          that roti_backlog_pieces() has shown stay where they are until they are consumed, so one
 *          task may send them without the lock while others append.
 */
#ifndef ROTI_BACKLOG_H
#define ROTI_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* The smallest chunk, what surrounds its bytes included. */
#define ROTI_CHUNK_SIZE_MIN 4096

struct roti_chunk {
    struct roti_chunk *next;
    size_t start; /* bytes before it are sent */
    size_t end;   /* bytes from it on are free */
    size_t capacity;
    char data[];
};

struct roti_backlog {
    struct roti_chunk *head;
    struct roti_chunk *tail; /* NULL when empty */
    size_t size;             /* bytes */
};

/* Several pieces of a caller's memory, of which the first `skip` bytes are done with. */
struct roti_pieces {
    const struct iovec *list;
    size_t count;
    size_t size; /* of all, without what is skipped */
    size_t skip;
};

#ifdef __cplusplus
extern "C" {
#endif

/* A chunk that holds a copy of all the pieces; NULL when memory is exhausted. */
struct roti_chunk *roti_chunk_create(const struct roti_pieces *pieces);

/* Frees a list of chunks, or nothing. */
void roti_chunk_free(struct roti_chunk *chunks);

/* Copies the pieces behind the last byte if that chunk has room for them all. */
bool roti_backlog_fill(struct roti_backlog *backlog, const struct roti_pieces *pieces);

/* Puts a chunk behind (before) all others. */
void roti_backlog_push_back(struct roti_backlog *backlog, struct roti_chunk *chunk);
void roti_backlog_push_front(struct roti_backlog *backlog, struct roti_chunk *chunk);

/* Shows the first bytes, in at most `count_max` pieces. Returns how many pieces there are. */
size_t roti_backlog_pieces(const struct roti_backlog *backlog, struct iovec *ret_list,
                           size_t count_max);

/* Drops the first `size` bytes. Returns the chunks that are empty now, to be freed. */
struct roti_chunk *roti_backlog_consume(struct roti_backlog *backlog, size_t size);

/* Takes all chunks out, to be freed. */
struct roti_chunk *roti_backlog_clear(struct roti_backlog *backlog);

#ifdef __cplusplus
}
#endif

#endif
