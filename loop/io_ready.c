/* SPDX-License-Identifier: MIT */
/*
 * io_ready.c - operations by readiness: try while the word says "ready", else wait for an edge.
 *
 * The cycle of every operation: look at the word; if the flag of the direction is set, make the
 * call; if that found nothing, clear the flag by the word that was looked at (a clear that lost to
 * an edge means: call again); wait until the flag is set. A wait that ends with nothing to be had,
 * since another task took it, is waited once more.
 *
 * A descriptor is held by a reference from the first wait on, because whoever holds the others may
 * close it and let go meanwhile. Nothing of the loop is kept over a wait: the task may go on on
 * another one.
 */
#include "loop/io_impl.h"

#include "loop/syscall.h"
#include "sched/wait.h"

#include <errno.h>
#include <poll.h>
#include <rota/error.h>

/* ---- One call each; -EAGAIN: nothing is ready ---- */

static ssize_t attempt_recv(struct roti_io *io, const struct roti_operation *operation)
{
    return roti_sys_recv(io->fd, operation->data, operation->size, operation->flags | MSG_DONTWAIT);
}

static ssize_t attempt_recv_lent(struct roti_io *io, const struct roti_operation *operation)
{
    struct rota_loop *loop = roti_loop_current();
    struct roti_lent_pool *pool = loop != NULL ? &loop->poller.lent : NULL;
    char *block = roti_lent_get(pool);
    if (block == NULL)
        return -ENOMEM;
    ssize_t r = roti_sys_recv(io->fd, block, ROTI_LENT_SIZE, MSG_DONTWAIT);
    if (r <= 0)
        roti_lent_put(pool, block);
    if (r > 0)
        *operation->lent =
            (struct roti_lent){.data = block, .size = (size_t)r, .capacity = ROTI_LENT_SIZE};
    else if (r == 0)
        *operation->lent = (struct roti_lent){0};
    return r;
}

static ssize_t attempt_send(struct roti_io *io, const struct roti_operation *operation)
{
    return roti_sys_send(io->fd, operation->const_data, operation->size,
                         operation->flags | MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t attempt_sendmsg(struct roti_io *io, const struct roti_operation *operation)
{
    return roti_sys_sendmsg(io->fd, operation->message,
                            operation->flags | MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A connection that broke off before it was accepted is no concern of the listener's. Each turn of
 * the loop takes one out of the queue. */
static ssize_t attempt_accept(struct roti_io *io, const struct roti_operation *operation)
{
    int fd;
    socklen_t size;
    do {
        size = sizeof(struct sockaddr_storage);
        fd = roti_sys_accept(io->fd, operation->peer, operation->peer != NULL ? &size : NULL);
    } while (fd == -ECONNABORTED || fd == -EPROTO);
    if (fd >= 0 && operation->peer != NULL)
        *operation->peer_size = size;
    return fd;
}

static ssize_t attempt_poll(struct roti_io *io, short events)
{
    int r = roti_sys_poll(io->fd, events);
    if (r == 0)
        return -EAGAIN;
    return r < 0 ? r : 0;
}

static ssize_t attempt_readable(struct roti_io *io, const struct roti_operation *operation)
{
    (void)operation;
    return attempt_poll(io, POLLIN);
}

static ssize_t attempt_writable(struct roti_io *io, const struct roti_operation *operation)
{
    (void)operation;
    return attempt_poll(io, POLLOUT);
}

typedef ssize_t (*attempt_fn)(struct roti_io *io, const struct roti_operation *operation);

static const attempt_fn attempts[ROTI_OPERATION_COUNT] = {
    [ROTI_OPERATION_RECV] = attempt_recv,         [ROTI_OPERATION_RECV_LENT] = attempt_recv_lent,
    [ROTI_OPERATION_SEND] = attempt_send,         [ROTI_OPERATION_SENDMSG] = attempt_sendmsg,
    [ROTI_OPERATION_ACCEPT] = attempt_accept,     [ROTI_OPERATION_READABLE] = attempt_readable,
    [ROTI_OPERATION_WRITABLE] = attempt_writable,
};

static enum roti_io_direction direction_of(enum roti_operation_kind kind)
{
    switch (kind) {
    case ROTI_OPERATION_SEND:
    case ROTI_OPERATION_SENDMSG:
    case ROTI_OPERATION_CONNECT:
    case ROTI_OPERATION_WRITABLE:
        return ROTI_IO_WRITE;
    default:
        return ROTI_IO_READ;
    }
}

/* Whether this result of a read tells, by the word seen before it, that nothing is left. */
static bool has_drained(const struct roti_operation *operation, ssize_t result, uint64_t seen)
{
    size_t asked = 0;
    if (operation->kind == ROTI_OPERATION_RECV && (operation->flags & MSG_PEEK) == 0)
        asked = operation->size;
    else if (operation->kind == ROTI_OPERATION_RECV_LENT)
        asked = ROTI_LENT_SIZE;
    return result > 0 && (size_t)result < asked && roti_readiness_short_drains(seen);
}

/* ---- The cycle ---- */

/* Makes the call while the word says "ready". -EAGAIN: the flag is clear. */
static ssize_t try_ready(struct roti_io *io, const struct roti_operation *operation, uint64_t flag)
{
    for (;;) {
        uint64_t seen = roti_readiness_look(&io->readiness);
        if ((seen & ROTI_READY_CLOSED) != 0)
            return ROTA_ECLOSED;
        if ((seen & flag) == 0)
            return -EAGAIN;
        int r = roti_io_enter(io);
        if (r < 0)
            return r;
        ssize_t result = attempts[operation->kind](io, operation);
        roti_io_leave(io);
        if (result == -EAGAIN) {
            if (roti_readiness_clear(&io->readiness, seen, flag))
                return -EAGAIN;
            continue;
        }
        if (has_drained(operation, result, seen))
            roti_readiness_clear(&io->readiness, seen, flag);
        return result;
    }
}

/* Suspends until the flag is set. 0; or -ECANCELED, ROTA_ECLOSED, -EBUSY, ROTA_ENOTASK. */
static int wait_ready(struct roti_io *io, enum roti_io_direction direction, uint64_t flag)
{
    struct roti_list *waits = direction == ROTI_IO_READ ? &io->readers : &io->writers;
    struct roti_wait wait;
    int r = 0;
    uint64_t held = roti_readiness_lock(&io->readiness);
    bool ready = (held & flag) != 0;
    if ((held & ROTI_READY_CLOSED) != 0) {
        r = ROTA_ECLOSED;
    } else if (!ready && !roti_list_empty(waits)) {
        r = -EBUSY;
    } else if (!ready) {
        roti_wait_init(&wait, direction == ROTI_IO_READ ? ROTI_WAIT_READ : ROTI_WAIT_WRITE, io, 0);
        r = roti_wait_begin(0);
        if (r == 0)
            roti_wait_link(&wait, waits);
    }
    roti_readiness_unlock(&io->readiness, held);
    if (r < 0 || ready)
        return r;
    r = roti_wait_suspend();
    if (r >= 0) {
        ROTI_PLAIN_READ(&wait.result);
        return (int)wait.result;
    }
    held = roti_readiness_lock(&io->readiness);
    roti_wait_unlink(&wait);
    roti_readiness_unlock(&io->readiness, held);
    return r;
}

static ssize_t operate(struct roti_io *io, const struct roti_operation *operation)
{
    enum roti_io_direction direction = direction_of(operation->kind);
    uint64_t flag = direction == ROTI_IO_READ ? ROTI_READY_READ : ROTI_READY_WRITE;
    if (operation->may_suspend)
        roti_task_count_call();
    ssize_t result = try_ready(io, operation, flag);
    if (result != -EAGAIN || !operation->may_suspend)
        return result;
    roti_io_ref(io);
    do {
        result = wait_ready(io, direction, flag);
        if (result == 0)
            result = try_ready(io, operation, flag);
    } while (result == -EAGAIN);
    roti_io_unref(io);
    return result;
}

/* ---- Connecting ---- */

/* How a connection that was on its way has ended. */
static int connection_error(struct roti_io *io)
{
    int error = 0;
    int r = roti_io_enter(io);
    if (r < 0)
        return r;
    r = roti_sys_getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error);
    roti_io_leave(io);
    return r < 0 ? r : -error;
}

/* A fresh socket is registered before it is connected, and epoll says HUP of it then. Forgets that,
 * unless it holds now; it would forbid the short-read shortcut for life. */
static void forget_unconnected(struct roti_io *io)
{
    uint64_t seen = roti_readiness_look(&io->readiness);
    if ((seen & ROTI_READY_ENDING) == 0 || roti_io_enter(io) < 0)
        return;
    int events = roti_sys_poll(io->fd, POLLRDHUP | POLLPRI);
    roti_io_leave(io);
    if (events == 0)
        roti_readiness_clear(&io->readiness, seen, ROTI_READY_ENDING);
}

static int connect_ready(struct roti_io *io, const struct roti_operation *operation)
{
    int r = roti_io_enter(io);
    if (r < 0)
        return r;
    r = roti_sys_connect(io->fd, operation->addr, operation->addr_size);
    roti_io_leave(io);
    if (r == -EINPROGRESS || r == -EALREADY) {
        const struct roti_operation writable = {.kind = ROTI_OPERATION_WRITABLE,
                                                .may_suspend = operation->may_suspend};
        r = (int)operate(io, &writable);
        if (r == 0)
            r = connection_error(io);
    }
    if (r == 0)
        forget_unconnected(io);
    return r;
}

ssize_t roti_io_perform_ready(struct roti_io *io, const struct roti_operation *operation)
{
    if (operation->kind != ROTI_OPERATION_CONNECT)
        return operate(io, operation);
    roti_io_ref(io);
    int r = connect_ready(io, operation);
    roti_io_unref(io);
    return r;
}
