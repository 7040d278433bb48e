/* SPDX-License-Identifier: MIT */
/*
 * stream.c - the life of a stream: made, counted, closed. The essay is in stream_impl.h.
 */
#include "net/stream_impl.h"

#include "loop/io.h"
#include "loop/loop_impl.h"
#include "net/socket.h"
#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/cancel.h"
#include "sched/wait.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* ---- Making ---- */

/* The marks that the options ask for: 0 or -EINVAL. */
static int choose_marks(const struct rota_stream_opts *opts, size_t *ret_high, size_t *ret_low)
{
    size_t high = opts->high;
    if (high == 0 && opts->low > SIZE_MAX / 4)
        return -EINVAL;
    if (high == 0)
        high = opts->low != 0 ? 4 * opts->low : ROTA_STREAM_HIGH;
    *ret_high = high;
    *ret_low = opts->low != 0 ? opts->low : high / 4;
    return *ret_high >= *ret_low ? 0 : -EINVAL;
}

int roti_stream_check_opts(const struct rota_stream_opts *opts)
{
    size_t high;
    size_t low;
    if (opts->close_timeout_ns < 0 || opts->read_limit > SSIZE_MAX / 2)
        return -EINVAL;
    return choose_marks(opts, &high, &low);
}

int roti_stream_create(struct rota_stream **ret_stream, const struct roti_stream_init *init,
                       const struct rota_stream_opts *opts)
{
    size_t high = 0;
    size_t low = 0;
    int r = roti_stream_check_opts(opts);
    if (r == 0)
        r = choose_marks(opts, &high, &low);
    if (r < 0)
        return r;
    struct rota_stream *stream = roti_zalloc(sizeof *stream);
    if (stream == NULL)
        return -ENOMEM;
    stream->on_closed = init->on_closed;
    stream->on_closed_arg = init->on_closed_arg;
    stream->peer = init->peer;
    stream->read_limit = opts->read_limit != 0 ? opts->read_limit : ROTA_STREAM_READ_LIMIT;
    stream->high = high;
    stream->low = low;
    stream->close_timeout_ns =
        opts->close_timeout_ns != 0 ? opts->close_timeout_ns : ROTA_STREAM_CLOSE_NS;
    roti_list_init(&stream->drainers);
    roti_list_init(&stream->closers);
    /* [ST3] [ST4] relaxed: nobody else knows the stream yet. */
    roti_store(ST3, relaxed, &stream->users, 1U);
    roti_store(ST4, relaxed, &stream->refs, 1U);
    *ret_stream = stream;
    return 0;
}

struct roti_peer roti_peer_of(const struct sockaddr_storage *addr, socklen_t size)
{
    struct roti_peer peer = {0};
    if ((addr->ss_family == AF_INET || addr->ss_family == AF_INET6) && size <= sizeof peer.addr) {
        memcpy(&peer.addr, addr, size);
        peer.size = size;
    }
    return peer;
}

int roti_stream_open(struct rota_stream *stream, int fd, struct rota_loop *loop)
{
    int r = roti_io_open(&stream->io, fd, loop);
    if (r < 0)
        roti_free(stream, sizeof *stream);
    return r;
}

/* ---- References ---- */

void roti_stream_hold(struct rota_stream *stream)
{
    /* [ST5] relaxed: the caller has a reference. */
    (void)roti_fetch_add(ST5, relaxed, &stream->refs, 1U);
}

void roti_stream_release(struct rota_stream *stream)
{
    /* [ST6] acq_rel: pairs with itself; all uses of the stream happened before it is freed. */
    if (roti_fetch_sub(ST6, acq_rel, &stream->refs, 1U) != 1)
        return;
    ROTI_ASSERT(stream->state == ROTI_STREAM_CLOSED && stream->backlog.head == NULL);
    roti_input_clear(&stream->input);
    roti_io_unref(stream->io);
    roti_free(stream, sizeof *stream);
}

struct rota_stream *rota_stream_ref(struct rota_stream *stream)
{
    /* [ST7] relaxed: the caller has a reference. */
    if (stream != NULL)
        (void)roti_fetch_add(ST7, relaxed, &stream->users, 1U);
    return stream;
}

void rota_stream_unref(struct rota_stream *stream)
{
    /* [ST8] acq_rel: pairs with itself, as the last user closes what all have used. */
    if (stream == NULL || roti_fetch_sub(ST8, acq_rel, &stream->users, 1U) != 1)
        return;
    rota_stream_close(stream);
    roti_stream_release(stream);
}

/* ---- Ending ---- */

void roti_stream_after_init(struct roti_stream_after *after)
{
    *after = (struct roti_stream_after){0};
    roti_list_init(&after->woken);
}

/* Claims all waits of a list. Under the lock. */
static void claim_all(struct roti_list *waits, int64_t result, struct roti_list *woken)
{
    struct roti_wait *wait;
    while ((wait = roti_wait_first(waits)) != NULL)
        if (roti_wait_claim(wait, result))
            roti_list_push_back(woken, &wait->link);
}

/* OPEN -> CLOSING or CLOSED: what calls answer from now on. Under the lock. */
static void set_ended(struct rota_stream *stream, int answer)
{
    if (stream->state == ROTI_STREAM_OPEN)
        /* [ST2] release: pairs with [ST1]. */
        roti_store(ST2, release, &stream->ended, answer);
}

void roti_stream_end(struct rota_stream *stream, int error, struct roti_stream_after *after)
{
    if (stream->state == ROTI_STREAM_CLOSED)
        return;
    int answer = error < 0 ? error : ROTA_ECLOSED;
    set_ended(stream, answer);
    stream->state = ROTI_STREAM_CLOSED;
    stream->error = error;
    stream->paused = false;
    claim_all(&stream->drainers, answer, &after->woken);
    after->closed = true;
}

void roti_stream_settle(struct rota_stream *stream, struct roti_stream_after *after)
{
    if (stream->state == ROTI_STREAM_CLOSED)
        return;
    if (stream->backlog.size > stream->high) {
        stream->paused = true;
    } else if (stream->paused && stream->backlog.size <= stream->low) {
        stream->paused = false;
        claim_all(&stream->drainers, 0, &after->woken);
    }
    if (stream->sending || stream->flushing)
        return;
    if (stream->backlog.size > 0) {
        stream->flushing = true;
        after->flush = true;
    } else if (stream->state == ROTI_STREAM_CLOSING) {
        roti_stream_end(stream, 0, after);
    } else if (stream->eof_wanted && !stream->eof_sent) {
        stream->eof_sent = true;
        after->shut = true;
    }
}

/* What follows on CLOSED, after the unlock [I4]. The last look at the stream. */
static void closed(struct rota_stream *stream, struct roti_stream_after *after)
{
    struct roti_chunk *dropped = NULL;
    roti_io_close(stream->io);
    roti_spin_lock(&stream->lock);
    stream->down = true;
    claim_all(&stream->closers, 0, &after->woken);
    if (!stream->flushing) /* else the flusher drops them [I2] */
        dropped = roti_backlog_clear(&stream->backlog);
    roti_spin_unlock(&stream->lock);
    roti_chunk_free(dropped);
    if (stream->on_closed != NULL)
        stream->on_closed(stream->on_closed_arg);
}

int roti_stream_finish(struct rota_stream *stream, struct roti_stream_after *after)
{
    int r = 0;
    if (after->shut) {
        r = roti_io_shutdown(stream->io, SHUT_WR);
        if (r < 0 && r != ROTA_ECLOSED && r != -ENOTCONN)
            roti_stream_fail(stream, r);
        r = 0; /* a lost connection is told by what comes next */
    }
    if (after->flush) {
        r = roti_flush_start(stream);
        if (r < 0)
            roti_stream_fail(stream, r);
    }
    if (after->closed)
        closed(stream, after);
    roti_wait_wake_all(&after->woken);
    return r;
}

void roti_stream_fail(struct rota_stream *stream, int error)
{
    struct roti_stream_after after;
    roti_stream_after_init(&after);
    roti_spin_lock(&stream->lock);
    roti_stream_end(stream, error, &after);
    roti_spin_unlock(&stream->lock);
    (void)roti_stream_finish(stream, &after); /* starts nothing: it cannot fail */
}

void rota_stream_abort(struct rota_stream *stream)
{
    if (stream != NULL)
        roti_stream_fail(stream, 0);
}

void rota_stream_close(struct rota_stream *stream)
{
    struct roti_stream_after after;
    if (stream == NULL)
        return;
    roti_stream_after_init(&after);
    roti_spin_lock(&stream->lock);
    bool first = stream->state == ROTI_STREAM_OPEN;
    if (first) {
        set_ended(stream, ROTA_ECLOSED);
        stream->state = ROTI_STREAM_CLOSING;
        stream->close_deadline_ns = roti_deadline_after(rota_time_ns(), stream->close_timeout_ns);
        if (stream->flusher != NULL) {
            /* It must learn of the deadline. Under the lock, so that it finds the mark and the
             * request together. */
            stream->nudged = true;
            (void)roti_task_cancel_request(stream->flusher, NULL);
        }
        claim_all(&stream->drainers, ROTA_ECLOSED, &after.woken);
        roti_stream_settle(stream, &after);
    }
    roti_spin_unlock(&stream->lock);
    if (first && !after.closed)
        (void)roti_io_shutdown(stream->io, SHUT_RD); /* wakes who reads */
    (void)roti_stream_finish(stream, &after);
}

/* ---- Waiting ---- */

int rota_stream_wait_closed(struct rota_stream *stream)
{
    struct roti_wait wait;
    int r = 0;
    if (stream == NULL)
        return -EINVAL;
    roti_wait_init(&wait, ROTI_WAIT_STREAM, stream, 0);
    roti_spin_lock(&stream->lock);
    bool open = !stream->down;
    int error = stream->error;
    if (open)
        r = roti_wait_begin(0);
    if (open && r == 0) {
        roti_stream_hold(stream); /* for the linked wait */
        roti_wait_link(&wait, &stream->closers);
    }
    roti_spin_unlock(&stream->lock);
    if (!open || r < 0)
        return open ? r : error;
    r = roti_wait_suspend();
    roti_spin_lock(&stream->lock);
    roti_wait_unlink(&wait);
    error = stream->error;
    roti_spin_unlock(&stream->lock);
    roti_stream_release(stream);
    return r < 0 ? r : error;
}

/* ---- Questions ---- */

bool rota_stream_is_closing(const struct rota_stream *stream)
{
    return stream == NULL || roti_stream_ended(stream) < 0;
}

int rota_stream_fd(const struct rota_stream *stream)
{
    if (stream == NULL)
        return -EINVAL;
    int fd = roti_io_fd(stream->io);
    return fd >= 0 ? fd : ROTA_ECLOSED;
}

int rota_stream_local_addr(struct rota_stream *stream, struct rota_addr *ret_addr)
{
    if (stream == NULL || ret_addr == NULL)
        return -EINVAL;
    return roti_socket_local_addr(stream->io, ret_addr);
}

int rota_stream_peer_addr(struct rota_stream *stream, struct rota_addr *ret_addr)
{
    if (stream == NULL || ret_addr == NULL)
        return -EINVAL;
    if (stream->peer.size > 0)
        return rota_addr_from_sockaddr(ret_addr, (const struct sockaddr *)&stream->peer.addr,
                                       stream->peer.size);
    return roti_socket_peer_addr(stream->io, ret_addr);
}
