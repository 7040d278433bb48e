/* SPDX-License-Identifier: MIT */
/*
 * backlog.c - bytes that were written to a stream and not yet taken by the kernel.
 */
#include "net/backlog.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"

#include <string.h>

static size_t chunk_bytes(size_t capacity)
{
    return sizeof(struct roti_chunk) + capacity;
}

/* Copies all pieces behind the chunk's last byte, where there is room for them. */
static void chunk_append(struct roti_chunk *chunk, const struct roti_pieces *pieces)
{
    size_t skip = pieces->skip;
    ROTI_DEBUG_ASSERT(chunk->capacity - chunk->end >= pieces->size);
    for (size_t i = 0; i < pieces->count; i++) {
        const struct iovec *piece = &pieces->list[i];
        if (skip >= piece->iov_len) {
            skip -= piece->iov_len;
            continue;
        }
        size_t size = piece->iov_len - skip;
        memcpy(chunk->data + chunk->end, (const char *)piece->iov_base + skip, size);
        chunk->end += size;
        skip = 0;
    }
}

struct roti_chunk *roti_chunk_create(const struct roti_pieces *pieces)
{
    size_t least = ROTI_CHUNK_SIZE_MIN - sizeof(struct roti_chunk);
    size_t capacity = pieces->size > least ? pieces->size : least;
    struct roti_chunk *chunk = roti_alloc(chunk_bytes(capacity));
    if (chunk == NULL)
        return NULL;
    *chunk = (struct roti_chunk){.capacity = capacity};
    chunk_append(chunk, pieces);
    return chunk;
}

void roti_chunk_free(struct roti_chunk *chunks)
{
    while (chunks != NULL) {
        struct roti_chunk *next = chunks->next;
        roti_free(chunks, chunk_bytes(chunks->capacity));
        chunks = next;
    }
}

bool roti_backlog_fill(struct roti_backlog *backlog, const struct roti_pieces *pieces)
{
    struct roti_chunk *tail = backlog->tail;
    if (tail == NULL || tail->capacity - tail->end < pieces->size)
        return false;
    chunk_append(tail, pieces);
    backlog->size += pieces->size;
    return true;
}

void roti_backlog_push_back(struct roti_backlog *backlog, struct roti_chunk *chunk)
{
    chunk->next = NULL;
    if (backlog->tail != NULL)
        backlog->tail->next = chunk;
    else
        backlog->head = chunk;
    backlog->tail = chunk;
    backlog->size += chunk->end - chunk->start;
}

void roti_backlog_push_front(struct roti_backlog *backlog, struct roti_chunk *chunk)
{
    chunk->next = backlog->head;
    backlog->head = chunk;
    if (backlog->tail == NULL)
        backlog->tail = chunk;
    backlog->size += chunk->end - chunk->start;
}

size_t roti_backlog_pieces(const struct roti_backlog *backlog, struct iovec *ret_list,
                           size_t count_max)
{
    size_t count = 0;
    for (struct roti_chunk *chunk = backlog->head; chunk != NULL && count < count_max;
         chunk = chunk->next)
        ret_list[count++] = (struct iovec){.iov_base = chunk->data + chunk->start,
                                           .iov_len = chunk->end - chunk->start};
    return count;
}

struct roti_chunk *roti_backlog_consume(struct roti_backlog *backlog, size_t size)
{
    struct roti_chunk *emptied = NULL;
    struct roti_chunk **last = &emptied;
    ROTI_ASSERT(size <= backlog->size);
    backlog->size -= size;
    while (size > 0) {
        struct roti_chunk *head = backlog->head;
        size_t held = head->end - head->start;
        if (size < held) {
            head->start += size;
            break;
        }
        size -= held;
        backlog->head = head->next;
        head->next = NULL;
        *last = head;
        last = &head->next;
    }
    if (backlog->head == NULL)
        backlog->tail = NULL;
    return emptied;
}

struct roti_chunk *roti_backlog_clear(struct roti_backlog *backlog)
{
    struct roti_chunk *chunks = backlog->head;
    *backlog = (struct roti_backlog){0};
    return chunks;
}
