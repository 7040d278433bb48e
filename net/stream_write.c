/* SPDX-License-Identifier: MIT */
/*
 * stream_write.c - the writing half of a stream, as seen by writers. The essay is in stream_impl.h.
 */
#include "net/stream_impl.h"

#include "loop/io.h"
#include "sched/base/assert.h"
#include "sched/task_impl.h"
#include "sched/wait.h"
#include "sched/worker.h"

#include <errno.h>
#include <limits.h>

/* ---- Being held up ---- */

/* Waits while the stream is paused. 0, what ended the stream, or as roti_wait_begin() with `flags`.
 */
static int wait_resumed(struct rota_stream *stream, uint64_t flags)
{
    struct roti_wait wait;
    roti_wait_init(&wait, ROTI_WAIT_STREAM, stream, 0);
    roti_spin_lock(&stream->lock);
    bool waits = stream->state == ROTI_STREAM_OPEN && stream->paused;
    int r = waits ? roti_wait_begin(flags) : roti_stream_ended(stream);
    if (waits && r == 0) {
        roti_stream_hold(stream); /* for the linked wait */
        roti_wait_link(&wait, &stream->drainers);
    }
    roti_spin_unlock(&stream->lock);
    if (!waits && r == 0)
        roti_task_count_call();
    if (!waits || r < 0)
        return r;
    r = roti_wait_suspend();
    if (r < 0) {
        roti_spin_lock(&stream->lock);
        roti_wait_unlink(&wait);
        roti_spin_unlock(&stream->lock);
    }
    roti_stream_release(stream);
    ROTI_PLAIN_READ(&wait.result);
    return r < 0 ? r : (int)wait.result;
}

int rota_stream_drain(struct rota_stream *stream)
{
    return stream != NULL ? wait_resumed(stream, 0) : -EINVAL;
}

/* ---- Accepting bytes ---- */

/* What becomes of the bytes of a write. */
enum way {
    WAY_REFUSED,  /* the stream does not take them: *ret_error */
    WAY_PAUSED,   /* wait first */
    WAY_DIRECT,   /* try the kernel: `sending` is the caller's */
    WAY_QUEUED,   /* behind what is buffered: a chunk is needed */
    WAY_ACCEPTED, /* they are in the backlog */
};

/* Decides, under the lock. */
static enum way choose_way(struct rota_stream *stream, const struct roti_pieces *pieces,
                           int *ret_error)
{
    *ret_error = roti_stream_ended(stream);
    if (*ret_error < 0)
        return WAY_REFUSED;
    if (stream->eof_wanted) {
        *ret_error = ROTA_ESTATE;
        return WAY_REFUSED;
    }
    if (stream->paused)
        return WAY_PAUSED;
    if (!stream->sending && !stream->flushing) {
        stream->sending = true;
        return WAY_DIRECT;
    }
    return roti_backlog_fill(&stream->backlog, pieces) ? WAY_ACCEPTED : WAY_QUEUED;
}

/* Does what the change of the writing half asks for, and unlocks. */
static int settle_and_unlock(struct rota_stream *stream)
{
    struct roti_stream_after after;
    roti_stream_after_init(&after);
    roti_stream_settle(stream, &after);
    roti_spin_unlock(&stream->lock);
    return roti_stream_finish(stream, &after);
}

/* Adds a chunk to the backlog. `front`: it is the rest of what the caller has begun to send. */
static int add_chunk(struct rota_stream *stream, struct roti_chunk *chunk, bool front)
{
    roti_spin_lock(&stream->lock);
    int ended = stream->state == ROTI_STREAM_CLOSED || !front ? roti_stream_ended(stream) : 0;
    if (front)
        stream->sending = false;
    if (ended < 0) {
        roti_spin_unlock(&stream->lock);
        roti_chunk_free(chunk);
        return ended;
    }
    if (front)
        roti_backlog_push_front(&stream->backlog, chunk);
    else
        roti_backlog_push_back(&stream->backlog, chunk);
    return settle_and_unlock(stream);
}

/* Ends the system call of a direct write that leaves nothing behind. */
static int end_sending(struct rota_stream *stream)
{
    roti_spin_lock(&stream->lock);
    stream->sending = false;
    return settle_and_unlock(stream);
}

static ssize_t try_send(struct rota_stream *stream, const struct roti_pieces *pieces)
{
    if (pieces->count == 1)
        return roti_io_try_send(stream->io, pieces->list[0].iov_base, pieces->list[0].iov_len, 0);
    struct msghdr message = {
        .msg_iov = (struct iovec *)(uintptr_t)pieces->list, /* sendmsg only reads it */
        .msg_iovlen = pieces->count,
    };
    return roti_io_try_sendmsg(stream->io, &message, 0);
}

/* Offers the bytes to the kernel, and buffers what it does not take. `sending` is ours. */
static int write_direct(struct rota_stream *stream, struct roti_pieces *pieces)
{
    ssize_t n = try_send(stream, pieces);
    if (n < 0 && n != -EAGAIN) {
        int error = n == ROTA_ECLOSED ? roti_stream_ended(stream) : (int)n;
        roti_stream_fail(stream, error);
        (void)end_sending(stream);
        return error;
    }
    pieces->skip = n > 0 ? (size_t)n : 0;
    pieces->size -= pieces->skip;
    if (pieces->size == 0)
        return end_sending(stream);
    struct roti_chunk *chunk = roti_chunk_create(pieces);
    if (chunk != NULL)
        return add_chunk(stream, chunk, true);
    if (pieces->skip > 0)
        roti_stream_fail(stream, -ENOMEM); /* the peer has got half of it */
    (void)end_sending(stream);
    return -ENOMEM;
}

static int write_queued(struct rota_stream *stream, struct roti_pieces *pieces)
{
    struct roti_chunk *chunk = roti_chunk_create(pieces);
    return chunk != NULL ? add_chunk(stream, chunk, false) : -ENOMEM;
}

/* Accepts all bytes, once writers are not held up. 0 or an error: nothing was accepted, or the
 * stream has failed. */
static int accept_bytes(struct rota_stream *stream, struct roti_pieces *pieces)
{
    int r = 0;
    for (;;) {
        roti_spin_lock(&stream->lock);
        enum way way = choose_way(stream, pieces, &r);
        if (way == WAY_ACCEPTED)
            return settle_and_unlock(stream);
        roti_spin_unlock(&stream->lock);
        switch (way) {
        case WAY_DIRECT:
            return write_direct(stream, pieces);
        case WAY_QUEUED:
            return write_queued(stream, pieces);
        case WAY_PAUSED:
            r = wait_resumed(stream, 0);
            if (r < 0)
                return r;
            break;
        default:
            return r;
        }
    }
}

static ssize_t write_pieces(struct rota_stream *stream, struct roti_pieces *pieces)
{
    size_t size = pieces->size;
    int r = accept_bytes(stream, pieces);
    if (r < 0)
        return r;
    /* All is accepted. The wait only slows the caller down, so that a request that ends it stays
     * pending, and a close does not undo what it will still send. */
    r = wait_resumed(stream, ROTI_KEEPS);
    bool accepted = r == 0 || r == -ECANCELED || r == ROTA_ENOTASK || r == ROTA_ECLOSED;
    return accepted ? (ssize_t)size : r;
}

ssize_t rota_stream_write(struct rota_stream *stream, const void *data, size_t size)
{
    if (stream == NULL || (data == NULL && size > 0) || size > SSIZE_MAX)
        return -EINVAL;
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size}; /* only read */
    return rota_stream_writev(stream, &piece, 1);
}

ssize_t rota_stream_writev(struct rota_stream *stream, const struct iovec *list, int count)
{
    if (stream == NULL || count < 0 || count > ROTA_STREAM_PIECES_MAX ||
        (list == NULL && count > 0))
        return -EINVAL;
    struct roti_pieces pieces = {.list = list, .count = (size_t)count};
    for (int i = 0; i < count; i++) {
        if ((list[i].iov_base == NULL && list[i].iov_len > 0) ||
            list[i].iov_len > SSIZE_MAX - pieces.size)
            return -EINVAL;
        pieces.size += list[i].iov_len;
    }
    if (pieces.size == 0)
        return roti_stream_ended(stream);
    return write_pieces(stream, &pieces);
}

/* ---- The end of what is written ---- */

int rota_stream_write_eof(struct rota_stream *stream)
{
    if (stream == NULL)
        return -EINVAL;
    roti_spin_lock(&stream->lock);
    int ended = roti_stream_ended(stream);
    if (ended < 0) {
        roti_spin_unlock(&stream->lock);
        return ended == ROTA_ECLOSED ? 0 : ended;
    }
    stream->eof_wanted = true;
    return settle_and_unlock(stream);
}

/* ---- Marks ---- */

int rota_stream_set_limits(struct rota_stream *stream, size_t high, size_t low)
{
    struct roti_stream_after after;
    if (high == ROTA_LIMIT_AUTO)
        high = low == ROTA_LIMIT_AUTO ? ROTA_STREAM_HIGH : low > SIZE_MAX / 4 ? low : 4 * low;
    if (low == ROTA_LIMIT_AUTO)
        low = high / 4;
    if (stream == NULL || high < low)
        return -EINVAL;
    roti_stream_after_init(&after);
    roti_spin_lock(&stream->lock);
    stream->high = high;
    stream->low = low;
    roti_stream_settle(stream, &after);
    roti_spin_unlock(&stream->lock);
    return roti_stream_finish(stream, &after);
}

size_t rota_stream_unsent(struct rota_stream *stream)
{
    if (stream == NULL)
        return 0;
    roti_spin_lock(&stream->lock);
    size_t size = stream->state != ROTI_STREAM_CLOSED ? stream->backlog.size : 0;
    roti_spin_unlock(&stream->lock);
    return size;
}
