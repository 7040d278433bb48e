/* SPDX-License-Identifier: MIT */
/*
 * flush.c - the flusher: a task of the runtime's own that sends a stream's backlog.
 *
 * It is started with the first byte that the kernel does not take, and ends with the last one that
 * it does. It may outlive every task that knows the stream; its own reference keeps the stream.
 * Being the runtime's own it ends after the tasks of the program: those that write while they are
 * cancelled are still served. When it is told to end itself, what is left is dropped.
 *
 * A close gives it a deadline. As only a task itself can begin a scope of time, the close cancels
 * the flusher (`nudged`), which takes the request back and looks at the state again. Mark and
 * request are made under the stream's lock together, and looked at so.
 */
#include "net/stream_impl.h"

#include "loop/io.h"
#include "loop/loop_impl.h"
#include "sched/base/assert.h"

#include <errno.h>
#include <rota/timeout.h>

#define PIECES_MAX 16    /* of one system call */
#define IDLE_SENDS_MAX 2 /* so many calls may succeed and take nothing */

/* What is to be sent next. */
struct batch {
    struct iovec list[PIECES_MAX];
    size_t count; /* 0: nothing is left, or the stream is CLOSED */
    int64_t deadline_ns;
};

/* Takes a nudge back. Under the lock. False if the flusher is to end all the same. */
static bool take_nudge(struct rota_stream *stream)
{
    if (!stream->nudged)
        return false;
    stream->nudged = false;
    return rota_task_uncancel(rota_current_task()) == 0;
}

/* Looks what is to be sent. */
static void next_batch(struct rota_stream *stream, struct batch *ret_batch)
{
    roti_spin_lock(&stream->lock);
    stream->flusher = rota_current_task();
    (void)take_nudge(stream);
    bool is_closing = stream->state == ROTI_STREAM_CLOSING;
    ret_batch->deadline_ns = is_closing ? stream->close_deadline_ns : ROTA_NEVER;
    ret_batch->count = stream->state == ROTI_STREAM_CLOSED
                           ? 0
                           : roti_backlog_pieces(&stream->backlog, ret_batch->list, PIECES_MAX);
    roti_spin_unlock(&stream->lock);
}

/* Sends once, until the deadline. */
static ssize_t send_batch(struct rota_stream *stream, struct batch *batch)
{
    struct msghdr message = {.msg_iov = batch->list, .msg_iovlen = batch->count};
    struct rota_timeout timeout = {0};
    if (batch->deadline_ns == ROTA_NEVER)
        return roti_io_sendmsg(stream->io, &message, 0);
    int r = rota_timeout_begin_at(&timeout, batch->deadline_ns);
    if (r < 0)
        return r;
    ssize_t n = roti_io_sendmsg(stream->io, &message, 0);
    r = rota_timeout_end(&timeout, n < 0 ? (int)n : 0);
    return n < 0 ? r : n;
}

/* Accounts for what was sent, and lets writers go on. */
static void sent(struct rota_stream *stream, size_t size)
{
    struct roti_stream_after after;
    roti_stream_after_init(&after);
    roti_spin_lock(&stream->lock);
    struct roti_chunk *emptied = roti_backlog_consume(&stream->backlog, size);
    roti_stream_settle(stream, &after);
    roti_spin_unlock(&stream->lock);
    roti_chunk_free(emptied);
    (void)roti_stream_finish(stream, &after); /* `flushing` is set: nothing is started */
}

/* Whether a cancellation was only a nudge. */
static bool was_nudged(struct rota_stream *stream)
{
    roti_spin_lock(&stream->lock);
    bool nudged = take_nudge(stream);
    roti_spin_unlock(&stream->lock);
    return nudged;
}

static int flush(void *arg)
{
    struct rota_stream *stream = arg;
    struct batch batch;
    int idle = 0;
    for (next_batch(stream, &batch); batch.count > 0; next_batch(stream, &batch)) {
        ssize_t n = send_batch(stream, &batch);
        if (n == 0 && ++idle == IDLE_SENDS_MAX)
            n = -EIO;
        if (n > 0) {
            idle = 0;
            sent(stream, (size_t)n);
        } else if (n == -ECANCELED) {
            if (!was_nudged(stream))
                roti_stream_fail(stream, ROTA_ESTOP);
        } else if (n < 0) {
            roti_stream_fail(stream, (int)n);
        }
    }
    return rota_task_cancelling(rota_current_task()) > 0 ? -ECANCELED : 0;
}

/* The end of the flusher, also where it was cancelled before its first step: what it was to send is
 * then dropped. */
static void flush_release(void *arg)
{
    struct rota_stream *stream = arg;
    struct roti_chunk *dropped = NULL;
    struct roti_stream_after after;
    roti_stream_after_init(&after);
    roti_spin_lock(&stream->lock);
    bool ran = stream->flusher != NULL;
    (void)take_nudge(stream);
    stream->flusher = NULL;
    stream->flushing = false;
    if (!ran)
        roti_stream_end(stream, ROTA_ESTOP, &after);
    if (stream->state == ROTI_STREAM_CLOSED)
        dropped = roti_backlog_clear(&stream->backlog);
    roti_stream_settle(stream, &after); /* more may have been written since the last look */
    roti_spin_unlock(&stream->lock);
    roti_chunk_free(dropped);
    (void)roti_stream_finish(stream, &after);
    roti_stream_release(stream);
}

int roti_flush_start(struct rota_stream *stream)
{
    static const struct rota_task_opts opts = {.name = "flush", .arg_release = flush_release};
    const struct roti_spawn spawn = {
        .fn = flush, .arg = stream, .opts = &opts, .flags = ROTI_TASK_INTERNAL};
    struct roti_pool *pool = &roti_io_loop(stream->io)->runtime->pool;
    struct roti_worker *worker = roti_worker_current();
    if (worker == NULL || worker->pool != pool)
        worker = &roti_io_loop(stream->io)->worker;
    roti_stream_hold(stream);
    int r = roti_task_spawn(pool, worker, &spawn, NULL);
    if (r == 0)
        return 0;
    roti_spin_lock(&stream->lock);
    stream->flushing = false;
    roti_spin_unlock(&stream->lock);
    roti_stream_release(stream);
    return r;
}
