/* SPDX-License-Identifier: MIT */
/*
 * stream_stand_in.c - what a stream stands on, for its models. See the header.
 */
#include "tests/net/stream_stand_in.h"

#include "loop/io.h"
#include "loop/lent.h"
#include "loop/loop_impl.h"
#include "net/socket.h"
#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "tests/model/absent.h"

#include <errno.h>
#include <rota/timeout.h>
#include <string.h>

struct roti_io {
    _Atomic(bool) closed;
    _Atomic(bool) shut; /* for reading */
};

struct rota_stream *stream;
char wire[WIRE_MAX];
unsigned wire_size;
bool wire_ended;
int closings;

static struct rota_runtime runtime;
static struct rota_loop loop;
static const char *incoming;      /* the reader's */
static struct roti_spawn flusher; /* plain: from who starts it to thread 0 */
static _Atomic(bool) spawned;
static _Atomic(unsigned) done;

/* ---- The socket ---- */

int roti_io_open(struct roti_io **ret_io, int fd, struct rota_loop *at)
{
    (void)fd, (void)at;
    *ret_io = roti_zalloc(sizeof **ret_io);
    return 0;
}

/* Weaker than the product's: what the stream itself orders is what a run depends on. */
void roti_io_close(struct roti_io *io)
{
    bool twice = roti_exchange(TN1, relaxed, &io->closed, true);
    MODEL_ASSERT(!twice);
}

void roti_io_unref(struct roti_io *io)
{
    roti_free(io, sizeof *io);
}

int roti_io_fd(const struct roti_io *io)
{
    return roti_load(TN2, relaxed, &io->closed) ? -1 : 3;
}

struct rota_loop *roti_io_loop(const struct roti_io *io)
{
    (void)io;
    return &loop;
}

int roti_io_shutdown(struct roti_io *io, int how)
{
    if (how == SHUT_RD) {
        roti_store(TN3, relaxed, &io->shut, true);
    } else {
        ROTI_PLAIN_WRITE(&wire);
        MODEL_ASSERT(!wire_ended);
        wire_ended = true;
    }
    return 0;
}

static bool has_ended(void *arg)
{
    struct roti_io *io = arg;
    return roti_load(TN4, relaxed, &io->closed) || roti_load(TN5, relaxed, &io->shut);
}

ssize_t roti_io_recv(struct roti_io *io, void *buffer, size_t size, int flags)
{
    (void)flags;
    if (*incoming != '\0') {
        size_t length = strlen(incoming);
        size = size < length ? size : length;
        memcpy(buffer, incoming, size);
        incoming += size;
        return (ssize_t)size;
    }
    model_wait_until(has_ended, io);
    /* An addition reads the newest value, as the wait word's swap does. */
    return roti_fetch_or(TN6, relaxed, &io->closed, false) ? ROTA_ECLOSED : 0;
}

ssize_t roti_io_recv_lent(struct roti_io *io, struct roti_lent *ret_lent)
{
    char *block = roti_alloc(ROTI_LENT_SIZE);
    ssize_t n = roti_io_recv(io, block, ROTI_LENT_SIZE, 0);
    if (n <= 0)
        roti_free(block, ROTI_LENT_SIZE);
    else
        *ret_lent =
            (struct roti_lent){.data = block, .size = (size_t)n, .capacity = ROTI_LENT_SIZE};
    return n;
}

void roti_lent_return(struct roti_lent *lent)
{
    roti_free(lent->data, ROTI_LENT_SIZE);
}

static ssize_t send_some(const char *data, size_t size)
{
    ROTI_PLAIN_WRITE(&wire);
    MODEL_ASSERT(!wire_ended && wire_size + size <= WIRE_MAX);
    memcpy(wire + wire_size, data, size);
    wire_size += (unsigned)size;
    return (ssize_t)size;
}

ssize_t roti_io_try_send(struct roti_io *io, const void *data, size_t size, int flags)
{
    (void)flags;
    if (roti_load(TN7, relaxed, &io->closed))
        return ROTA_ECLOSED;
    unsigned taken = model_choose(3);
    return taken == 0 ? -EAGAIN : send_some(data, taken == 1 ? 1 : size);
}

/* The flusher's. It may be cancelled where it would suspend. */
ssize_t roti_io_sendmsg(struct roti_io *io, const struct msghdr *message, int flags)
{
    (void)flags;
    int r = roti_wait_begin(0);
    if (r < 0)
        return r;
    roti_wait_abandon();
    if (roti_load(TN8, relaxed, &io->closed))
        return ROTA_ECLOSED;
    return send_some(message->msg_iov->iov_base,
                     model_choose(2) == 0 ? 1 : message->msg_iov->iov_len);
}

MODEL_ABSENT(ssize_t, roti_io_try_sendmsg, struct roti_io *io, const struct msghdr *message,
             int flags)
MODEL_ABSENT(int, roti_socket_local_addr, struct roti_io *io, struct rota_addr *ret_addr)
MODEL_ABSENT(int, roti_socket_peer_addr, struct roti_io *io, struct rota_addr *ret_addr)
MODEL_ABSENT(int, rota_addr_from_sockaddr, struct rota_addr *ret_addr, const struct sockaddr *addr,
             socklen_t size)

/* ---- Time, which does not pass ---- */

int64_t rota_time_ns(void)
{
    return 0;
}

int64_t roti_deadline_after(int64_t now_ns, int64_t delay_ns)
{
    return now_ns + delay_ns;
}

int rota_timeout_begin_at(struct rota_timeout *timeout, int64_t when_ns)
{
    (void)timeout, (void)when_ns;
    return 0;
}

int rota_timeout_end(struct rota_timeout *timeout, int status)
{
    (void)timeout;
    return status;
}

/* ---- The flusher ---- */

int roti_task_spawn(struct roti_pool *pool, struct roti_worker *worker,
                    const struct roti_spawn *spawn, struct rota_task **ret_task)
{
    MODEL_ASSERT(pool == &runtime.pool && worker != NULL && ret_task == NULL);
    ROTI_PLAIN_WRITE(&flusher);
    flusher = *spawn;
    /* [TN9] release: pairs with [TN11]. One flusher at a time. */
    bool twice = roti_exchange(TN9, release, &spawned, true);
    MODEL_ASSERT(!twice);
    return 0;
}

static bool is_wanted(void *arg)
{
    return roti_load(TN10, relaxed, &spawned) ||
           roti_load(TN12, relaxed, &done) == *(unsigned *)arg;
}

void stream_flush_until_done(unsigned others)
{
    for (;;) {
        model_wait_until(is_wanted, &others);
        bool last = roti_fetch_add(TN13, relaxed, &done, 0U) == others;
        /* [TN11] acquire: pairs with [TN9]. */
        if (roti_exchange(TN11, acquire, &spawned, false)) {
            ROTI_PLAIN_READ(&flusher);
            struct roti_spawn now = flusher;
            (void)now.fn(now.arg);
            now.opts->arg_release(now.arg);
        } else if (last) {
            return;
        }
    }
}

void stream_done(void)
{
    (void)roti_fetch_add(TN14, relaxed, &done, 1U);
}

/* ---- Setup and check ---- */

static void on_closed(void *arg)
{
    (void)arg;
    closings++;
}

void stream_feed(const char *text)
{
    incoming = text;
}

void stream_open(unsigned tasks, unsigned users, const struct rota_stream_opts *opts)
{
    static const struct roti_stream_init init = {.on_closed = on_closed};
    stand_in_reset(tasks);
    loop.runtime = &runtime;
    wire_size = 0;
    wire_ended = false;
    closings = 0;
    incoming = "";
    roti_store(TN15, relaxed, &spawned, false);
    roti_store(TN16, relaxed, &done, 0);
    MODEL_ASSERT(roti_stream_create(&stream, &init, opts) == 0);
    MODEL_ASSERT(roti_stream_open(stream, 3, &loop) == 0);
    for (unsigned i = 1; i < users; i++)
        (void)rota_stream_ref(stream);
}

void stream_check_gone(void)
{
    MODEL_ASSERT(closings == 1);
    MODEL_ASSERT(model_live_blocks() == 0);
}
