/* SPDX-License-Identifier: MIT */
/*
 * io.h - operations on descriptors that rota opened: the only way net does input and output.
 *
 * A descriptor is registered once, at one loop, for life; any task may operate on it from whatever
 * loop it is on. Operations, not readiness events, are the interface, so that a completion poller
 * can stand behind the same calls. Each suspending operation tries first where the descriptor may
 * be ready, and waits otherwise; cancelled, it has consumed nothing.
 *
 * Threads. Any thread of the runtime, unless said otherwise. One task at a time may wait to read
 * and one to write, else -EBUSY.
 */
#ifndef ROTI_IO_H
#define ROTI_IO_H

#include <rota/base.h>

#include <sys/socket.h>
#include <sys/uio.h>

struct roti_io;

/* Memory lent by the poller of a loop: filled by roti_io_recv_lent(), given back when consumed. */
struct roti_lent {
    char *data;
    size_t size;     /* bytes received */
    size_t capacity; /* bytes of the block */
};

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Takes over the non-blocking descriptor `fd` and registers it at `loop`, for life. 0 with *ret_io
 * set, or -ENOMEM, -EMFILE, -ENOSPC, -EPERM (not pollable), ROTA_ECLOSED (loop): `fd` stays the
 * caller's.
 */
int roti_io_open(struct roti_io **ret_io, int fd, struct rota_loop *loop);

/* The same for a listening socket of which each of several loops opens a descriptor of its own
 * (dup): a new connection is announced to one of them that sleeps, or else to all. */
int roti_io_open_shared(struct roti_io **ret_io, int fd, struct rota_loop *loop);

/*
 * Deregisters, then closes the descriptor. Waiters are woken with ROTA_ECLOSED. Idempotent through
 * the reference: the object goes with its last reference. Does not suspend.
 */
void roti_io_close(struct roti_io *io);

/* Counted references; the opener holds the first. The last one closes. */
struct roti_io *roti_io_ref(struct roti_io *io);
void roti_io_unref(struct roti_io *io);

/* The descriptor, for getsockopt and the like; -1 once closed. Borrowed. */
int roti_io_fd(const struct roti_io *io);

/* The loop of its registration. */
struct rota_loop *roti_io_loop(const struct roti_io *io);

/*
 * ---- Operations that suspend ----
 *
 * A count or 0, else a negative error, -ECANCELED and ROTA_ECLOSED among them; -EBUSY where another
 * task waits in that direction; ROTA_ENOTASK outside a task.
 */

/* Receives 1..size bytes; 0 at the end of the stream. `flags`: MSG_PEEK or none; -EINVAL. */
ROTA_SUSPENDS ssize_t roti_io_recv(struct roti_io *io, void *buffer, size_t size, int flags);

/* Waits until readable holding no memory, then receives into a block of the current loop's pool.
 * >= 0 with *ret_lent filled (size 0 at the end: nothing is lent). */
ROTA_SUSPENDS ssize_t roti_io_recv_lent(struct roti_io *io, struct roti_lent *ret_lent);

/* Sends what fits, at least one byte; never a signal. `flags`: MSG_MORE, MSG_OOB, MSG_EOR; -EINVAL.
 */
ROTA_SUSPENDS ssize_t roti_io_send(struct roti_io *io, const void *data, size_t size, int flags);

/* The same for several pieces. */
ROTA_SUSPENDS ssize_t roti_io_sendmsg(struct roti_io *io, const struct msghdr *message, int flags);

/* Accepts one connection: its non-blocking, close-on-exec descriptor. Errors as accept4, EMFILE
 * among them; ECONNABORTED and EINTR are retried inside. */
ROTA_SUSPENDS int roti_io_accept(struct roti_io *io, struct sockaddr_storage *ret_peer,
                                 socklen_t *ret_size);

/* Connects a fresh socket: 0 or the connection's error; -EAGAIN from a unix listener whose queue is
 * full, of which nothing tells when it has room. Cancelled, the socket is of no more use: close it.
 */
ROTA_SUSPENDS int roti_io_connect(struct roti_io *io, const struct sockaddr *addr, socklen_t size);

/* Waits until reading (writing) would not block, or an error is there: 0. Consumes nothing. */
ROTA_SUSPENDS int roti_io_wait_readable(struct roti_io *io);
ROTA_SUSPENDS int roti_io_wait_writable(struct roti_io *io);

/* ---- The same without suspending: -EAGAIN where they would have to. Any context. ---- */

ssize_t roti_io_try_recv(struct roti_io *io, void *buffer, size_t size, int flags);
ssize_t roti_io_try_send(struct roti_io *io, const void *data, size_t size, int flags);
ssize_t roti_io_try_sendmsg(struct roti_io *io, const struct msghdr *message, int flags);
int roti_io_try_accept(struct roti_io *io, struct sockaddr_storage *ret_peer, socklen_t *ret_size);

/* Ends one direction of a connection, or both (SHUT_RD, SHUT_WR, SHUT_RDWR). 0, ROTA_ECLOSED, or
 * the kernel's error. Any context. */
int roti_io_shutdown(struct roti_io *io, int how);

/* Gives lent memory back to the pool of the current loop. Any thread; `lent` is emptied. */
void roti_lent_return(struct roti_lent *lent);

#ifdef __cplusplus
}
#endif

#endif
