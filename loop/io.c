/* SPDX-License-Identifier: MIT */
/*
 * io.c - descriptors: opened, counted, closed; and the way from a call to its poller's operation.
 */
#include "loop/io_impl.h"

#include "loop/syscall.h"
#include "sched/base/assert.h"
#include "sched/base/slots.h"
#include "sched/wait.h"

#include <errno.h>
#include <netinet/in.h>
#include <rota/error.h>

static struct roti_slots io_slots = ROTI_SLOTS_INIT(sizeof(struct roti_io));

/* What recv can be asked for: anything else would make a short count mean something else. */
#define RECV_FLAGS (MSG_PEEK | MSG_DONTWAIT | MSG_NOSIGNAL)

/* What send can be asked for. Not MSG_ZEROCOPY: the call would end before the memory is free. */
#define SEND_FLAGS (MSG_MORE | MSG_OOB | MSG_EOR | MSG_DONTWAIT | MSG_NOSIGNAL)

/* ---- Life ---- */

/*
 * A short read tells that the socket is empty for TCP only: a unix socket's reads also stop where
 * descriptors were passed, a datagram's at its end.
 */
static bool is_tcp(int fd)
{
    int value = 0;
    if (roti_sys_getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value) < 0 || value != IPPROTO_TCP)
        return false;
    return roti_sys_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value) == 0 &&
           (value == AF_INET || value == AF_INET6);
}

/* Ends a life: batch entries of it do nothing from now on. Claims who waits, for the caller to
 * wake. False if it had ended before. */
static bool io_end(struct roti_io *io, struct roti_list *woken)
{
    uint64_t held = roti_readiness_lock(&io->readiness);
    if ((held & ROTI_READY_CLOSED) != 0) {
        roti_readiness_unlock(&io->readiness, held);
        return false;
    }
    struct roti_wait *wait;
    while ((wait = roti_wait_first(&io->readers)) != NULL ||
           (wait = roti_wait_first(&io->writers)) != NULL)
        if (roti_wait_claim(wait, ROTA_ECLOSED))
            roti_list_push_back(woken, &wait->link);
    roti_readiness_unlock_closed(&io->readiness, held);
    return true;
}

static void io_free(struct roti_io *io)
{
    struct rota_loop *loop = io->loop;
    ROTI_PLAIN_WRITE(&io->loop);
    roti_slots_put(&io_slots, NULL, io);
    rota_loop_unref(loop);
}

static int io_open(struct roti_io **ret_io, int fd, struct rota_loop *loop, bool shared)
{
    /* [IO1] relaxed: as [LP2]. What is registered too late is never polled, but loop and poller are
     * there until its reference ends. */
    if (roti_load(IO1, relaxed, &loop->closed))
        return ROTA_ECLOSED;
    struct roti_io *io = roti_slots_get(&io_slots, NULL);
    if (io == NULL)
        return -ENOMEM;
    if (io->index == 0)
        io->index = (uint32_t)roti_slots_index(&io_slots, io) + 1;
    ROTI_PLAIN_WRITE(&io->loop);
    io->loop = rota_loop_ref(loop);
    io->fd = fd;
    ROTI_PLAIN_WRITE(&io->readers);
    roti_list_init(&io->readers);
    roti_list_init(&io->writers);
    /* [IO2] [IO3] relaxed: nobody else has the slot; [RD4] publishes it to pollers. */
    roti_store(IO2, relaxed, &io->refs, 1U);
    roti_store(IO3, relaxed, &io->users, 1U);
    roti_readiness_open(&io->readiness,
                        ROTI_READY_READ | ROTI_READY_WRITE | (is_tcp(fd) ? ROTI_READY_DRAINS : 0));
    int r = loop->poller.ops->add(&loop->poller, io, shared);
    if (r < 0) {
        struct roti_list woken;
        roti_list_init(&woken);
        io_end(io, &woken);
        io_free(io);
        return r;
    }
    *ret_io = io;
    return 0;
}

int roti_io_open(struct roti_io **ret_io, int fd, struct rota_loop *loop)
{
    return io_open(ret_io, fd, loop, false);
}

int roti_io_open_shared(struct roti_io **ret_io, int fd, struct rota_loop *loop)
{
    return io_open(ret_io, fd, loop, true);
}

void roti_io_close(struct roti_io *io)
{
    struct roti_list woken;
    roti_list_init(&woken);
    if (!io_end(io, &woken))
        return;
    if (!roti_list_empty(&woken))
        roti_wait_wake_all(&woken);
    io->loop->poller.ops->remove(&io->loop->poller, io);
    /* [IO4] acq_rel: pairs with [IO7] of earlier users: their calls were made before the close; and
     * with [IO7] of later ones, which find the registration ended. */
    uint32_t users = roti_fetch_add(IO4, acq_rel, &io->users, ROTI_IO_CLOSING - 1);
    if (users == 1)
        roti_sys_close(io->fd);
}

int roti_io_enter(struct roti_io *io)
{
    /* [IO5] relaxed: [IO6] decides. */
    uint32_t users = roti_load(IO5, relaxed, &io->users);
    do {
        if ((users & ROTI_IO_CLOSING) != 0)
            return ROTA_ECLOSED;
        /* [IO6] relaxed: the number is constant while the caller's reference lives, and who closes
         * it reads this count by a read-modify-write, [IO4] or [IO7]. */
    } while (!roti_cas_weak(IO6, relaxed, &io->users, &users, users + 1));
    return 0;
}

void roti_io_leave(struct roti_io *io)
{
    /* [IO7] acq_rel: release, that the call was made before another user closes the number;
     * acquire, for the last one: pairs with [IO4] and with every other [IO7]. */
    uint32_t users = roti_fetch_sub(IO7, acq_rel, &io->users, 1U);
    if (users == ROTI_IO_CLOSING + 1)
        roti_sys_close(io->fd);
}

struct roti_io *roti_io_ref(struct roti_io *io)
{
    /* [IO8] relaxed: the caller holds a reference. */
    (void)roti_fetch_add(IO8, relaxed, &io->refs, 1U);
    return io;
}

void roti_io_unref(struct roti_io *io)
{
    /* [IO9] acq_rel: pairs with itself; all uses of the object happened before it is freed. */
    if (roti_fetch_sub(IO9, acq_rel, &io->refs, 1U) > 1)
        return;
    roti_io_close(io);
    /* [IO10] relaxed: nobody else is left [I2]. */
    ROTI_ASSERT(roti_load(IO10, relaxed, &io->users) == ROTI_IO_CLOSING);
    io_free(io);
}

int roti_io_fd(const struct roti_io *io)
{
    return (roti_readiness_look(&io->readiness) & ROTI_READY_CLOSED) != 0 ? -1 : io->fd;
}

struct rota_loop *roti_io_loop(const struct roti_io *io)
{
    ROTI_PLAIN_READ(&io->loop);
    return io->loop;
}

void roti_io_forget(void)
{
    roti_slots_forget(&io_slots);
}

size_t roti_io_live(void)
{
    return roti_slots_used(&io_slots);
}

/* ---- Pollers ---- */

uint64_t roti_io_token(const struct roti_io *io)
{
    uint32_t generation = roti_readiness_generation(roti_readiness_look(&io->readiness));
    return (uint64_t)generation << 32 | (io->index - 1);
}

/* Claims the wait of a direction, if there is one. Under the lock bit. */
static void claim_ready(struct roti_list *waits, struct roti_list *woken)
{
    struct roti_wait *wait;
    while ((wait = roti_wait_first(waits)) != NULL)
        if (roti_wait_claim(wait, 0))
            roti_list_push_back(woken, &wait->link);
}

bool roti_io_edge(uint64_t token, uint64_t flags, struct roti_list *woken)
{
    /* The kernel was given the token when the slot was there. */
    struct roti_io *io = roti_slots_at(&io_slots, (uint32_t)token);
    uint64_t held;
    if (!roti_readiness_lock_generation(&io->readiness, (uint32_t)(token >> 32), &held))
        return false;
    if ((flags & ROTI_READY_READ) != 0)
        claim_ready(&io->readers, woken);
    if ((flags & ROTI_READY_WRITE) != 0)
        claim_ready(&io->writers, woken);
    roti_readiness_unlock_edge(&io->readiness, held, flags);
    return true;
}

/* ---- Operations ---- */

static ssize_t perform(struct roti_io *io, const struct roti_operation *operation)
{
    ROTI_PLAIN_READ(&io->loop);
    return io->loop->poller.ops->perform(io, operation);
}

static ssize_t receive(struct roti_io *io, void *buffer, size_t size, int flags, bool may_suspend)
{
    if (size == 0 || (flags & ~RECV_FLAGS) != 0)
        return -EINVAL;
    return perform(io, &(struct roti_operation){.kind = ROTI_OPERATION_RECV,
                                                .may_suspend = may_suspend,
                                                .flags = flags,
                                                .data = buffer,
                                                .size = size});
}

static ssize_t transmit(struct roti_io *io, const void *data, size_t size, int flags,
                        bool may_suspend)
{
    if ((flags & ~SEND_FLAGS) != 0)
        return -EINVAL;
    return perform(io, &(struct roti_operation){.kind = ROTI_OPERATION_SEND,
                                                .may_suspend = may_suspend,
                                                .flags = flags,
                                                .const_data = data,
                                                .size = size});
}

static ssize_t transmit_message(struct roti_io *io, const struct msghdr *message, int flags,
                                bool may_suspend)
{
    if ((flags & ~SEND_FLAGS) != 0)
        return -EINVAL;
    return perform(io, &(struct roti_operation){.kind = ROTI_OPERATION_SENDMSG,
                                                .may_suspend = may_suspend,
                                                .flags = flags,
                                                .message = message});
}

static int perform_accept(struct roti_io *io, struct sockaddr_storage *ret_peer,
                          socklen_t *ret_size, bool may_suspend)
{
    return (int)perform(io, &(struct roti_operation){.kind = ROTI_OPERATION_ACCEPT,
                                                     .may_suspend = may_suspend,
                                                     .peer = ret_peer,
                                                     .peer_size = ret_size});
}

ssize_t roti_io_recv(struct roti_io *io, void *buffer, size_t size, int flags)
{
    return receive(io, buffer, size, flags, true);
}

ssize_t roti_io_try_recv(struct roti_io *io, void *buffer, size_t size, int flags)
{
    return receive(io, buffer, size, flags, false);
}

ssize_t roti_io_recv_lent(struct roti_io *io, struct roti_lent *ret_lent)
{
    return perform(io, &(struct roti_operation){.kind = ROTI_OPERATION_RECV_LENT,
                                                .may_suspend = true,
                                                .lent = ret_lent});
}

ssize_t roti_io_send(struct roti_io *io, const void *data, size_t size, int flags)
{
    return transmit(io, data, size, flags, true);
}

ssize_t roti_io_try_send(struct roti_io *io, const void *data, size_t size, int flags)
{
    return transmit(io, data, size, flags, false);
}

ssize_t roti_io_sendmsg(struct roti_io *io, const struct msghdr *message, int flags)
{
    return transmit_message(io, message, flags, true);
}

ssize_t roti_io_try_sendmsg(struct roti_io *io, const struct msghdr *message, int flags)
{
    return transmit_message(io, message, flags, false);
}

int roti_io_accept(struct roti_io *io, struct sockaddr_storage *ret_peer, socklen_t *ret_size)
{
    return perform_accept(io, ret_peer, ret_size, true);
}

int roti_io_try_accept(struct roti_io *io, struct sockaddr_storage *ret_peer, socklen_t *ret_size)
{
    return perform_accept(io, ret_peer, ret_size, false);
}

int roti_io_connect(struct roti_io *io, const struct sockaddr *addr, socklen_t size)
{
    return (int)perform(io, &(struct roti_operation){.kind = ROTI_OPERATION_CONNECT,
                                                     .may_suspend = true,
                                                     .addr = addr,
                                                     .addr_size = size});
}

int roti_io_wait_readable(struct roti_io *io)
{
    return (int)perform(
        io, &(struct roti_operation){.kind = ROTI_OPERATION_READABLE, .may_suspend = true});
}

int roti_io_wait_writable(struct roti_io *io)
{
    return (int)perform(
        io, &(struct roti_operation){.kind = ROTI_OPERATION_WRITABLE, .may_suspend = true});
}

int roti_io_shutdown(struct roti_io *io, int how)
{
    int r = roti_io_enter(io);
    if (r < 0)
        return r;
    r = roti_sys_shutdown(io->fd, how);
    roti_io_leave(io);
    return r;
}
