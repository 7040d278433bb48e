/* SPDX-License-Identifier: MIT */
/*
 * server.h - servers: a task for each connection, on every loop.
 *
 * A server belongs to the runtime it was made in. It is freed when it is closed, its last client is
 * gone and the program's references have ended; references that the program never ends are ended
 * with the run, so that a program may leave that to rota_run(). A server must not be touched after
 * the run that it was made in.
 *
 * SIGTERM and rota_runtime_stop() stop a serving server gracefully: it stops accepting, serves what
 * the kernel had accepted for it, lets its handlers finish for the drain timeout, then cancels
 * them, and then aborts their connections.
 */
#ifndef ROTA_SERVER_H
#define ROTA_SERVER_H

#include <rota/addr.h>
#include <rota/base.h>
#include <rota/error.h>
#include <rota/stream.h>

ROTA_BEGIN_DECLS

/*
 * Serves one connection, in a task of its own, in a copy of the context in which the server was
 * created. `stream` is borrowed; it is closed after the return, and what was written is still sent.
 * A negative result is reported to the exception handler, except for -ECANCELED, for -ECONNRESET
 * and -EPIPE, as clients come and go, and for ROTA_ECLOSED where somebody has closed the stream.
 */
typedef int (*rota_client_fn)(struct rota_stream *stream, void *arg);

/* How connections reach the loops. */
enum rota_accept {
    ROTA_ACCEPT_HANDOVER,  /* one acceptor; the one of two loops that has fewer connections */
    ROTA_ACCEPT_REUSEPORT, /* a socket for each loop; the kernel chooses by a hash of addresses */
    ROTA_ACCEPT_EXCLUSIVE, /* one socket; one of the loops that sleep is woken */
};

#define ROTA_SERVER_DRAIN_NS (30 * ROTA_SEC) /* default */

/* Zero in any field means its default; a NULL opts means all defaults. Copied by the callee. */
struct rota_server_opts {
    int backlog;                    /* of listen(2); default SOMAXCONN */
    enum rota_accept accept;        /* default ROTA_ACCEPT_HANDOVER */
    size_t connection_count_max;    /* at the limit, accepting pauses; default none */
    int64_t drain_timeout_ns;       /* of a graceful stop; ROTA_SERVER_DRAIN_NS */
    struct rota_stream_opts stream; /* of each connection */
    size_t stack_size;              /* of each handler; default the runtime's */
    bool pinned;                    /* handlers stay on the loop of their connection */
    bool deferred;                  /* bind only: rota_server_start() listens and serves */
};

/*
 * Listen on `addr` and start a task running fn(stream, arg) for each connection, on all loops. A
 * unix socket's file is replaced if nobody listens on it, and removed when the server is closed.
 *
 * Returns: 0 with *ret_server set.
 * Errors: -EINVAL (NULL, no address, bad options, ROTA_ACCEPT_REUSEPORT with a unix socket),
 * -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EMFILE and other errors of socket(2), bind(2) and
 * listen(2), -ENOMEM, ROTA_ENOLOOP, ROTA_ESTOP. *ret_server is then untouched.
 * Call from: any task or callback. Suspends: no.
 * Ownership: the caller holds one reference, ended by rota_server_unref() or by the end of the run;
 * `arg` must stay valid until rota_server_wait_closed() returns. Source: asyncio.start_server.
 */
ROTA_API int rota_server_create(struct rota_server **ret_server, const struct rota_addr *addr,
                                rota_client_fn fn, void *arg, const struct rota_server_opts *opts);

/*
 * One more counted reference.
 *
 * Returns: `server`.
 * Errors: none; NULL is passed through.
 * Call from: any thread of the runtime that holds a reference. Suspends: no.
 * Ownership: the new reference is ended by rota_server_unref() or by the end of the run.
 */
ROTA_API struct rota_server *rota_server_ref(struct rota_server *server);

/*
 * End one reference. The last one closes the server as rota_server_close() does; clients are served
 * to their end.
 *
 * Returns: nothing.
 * Errors: none; NULL is ignored.
 * Call from: any thread of the runtime, until the run ends. Suspends: no.
 * Ownership: takes the caller's reference.
 */
ROTA_API void rota_server_unref(struct rota_server *server);

/* ---- Serving ---- */

/*
 * Listen and accept, where the options have deferred that. Starting again does nothing.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL), ROTA_ECLOSED, -EADDRINUSE and other errors of listen(2), -ENOMEM,
 * ROTA_ESTOP; on an error of its own the server is closed.
 * Call from: any task or callback of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio Server.start_serving.
 */
ROTA_API int rota_server_start(struct rota_server *server);

/*
 * Serve, from now on if that was deferred, until the server is closed or has been stopped
 * gracefully. When the task is cancelled, the server and the streams of its clients are closed, and
 * the clients waited for; a second request ends that wait.
 *
 * Returns: 0 after a close by somebody else, and after a graceful stop.
 * Errors: -ECANCELED (the task was cancelled), ROTA_ESTATE (another task serves for ever),
 * ROTA_ECLOSED (it was closed before), ROTA_ENOTASK, and those of rota_server_start().
 * Call from: any task of the runtime. Suspends: yes.
 * Ownership: the reference stays the caller's. Source: asyncio Server.serve_forever.
 */
ROTA_API ROTA_SUSPENDS int rota_server_serve_forever(struct rota_server *server);

/*
 * Whether the server accepts connections.
 *
 * Returns: true from the start to the close.
 * Errors: none; false for NULL.
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio Server.is_serving.
 */
ROTA_API bool rota_server_is_serving(struct rota_server *server);

/*
 * Stop accepting: what the kernel has accepted already is still served, up to the maximum of
 * connections, and new connections are refused when this returns. Clients go on. Closing again does
 * nothing.
 *
 * Returns: nothing.
 * Errors: none; NULL is ignored.
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio Server.close.
 */
ROTA_API void rota_server_close(struct rota_server *server);

/*
 * Close the streams of all clients, as rota_stream_close() does.
 *
 * Returns: nothing.
 * Errors: none; NULL is ignored.
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio Server.close_clients.
 */
ROTA_API void rota_server_close_clients(struct rota_server *server);

/*
 * Abort the streams of all clients, as rota_stream_abort() does.
 *
 * Returns: nothing.
 * Errors: none; NULL is ignored.
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's. Source: asyncio Server.abort_clients.
 */
ROTA_API void rota_server_abort_clients(struct rota_server *server);

/*
 * Wait until the server is closed and no client is left: every handler has returned, and every
 * connection is closed. Several tasks may wait.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL), -ECANCELED, ROTA_ENOTASK.
 * Call from: any task of the runtime, but a handler of this server, which would wait for itself.
 * Suspends: yes.
 * Ownership: the reference stays the caller's. Source: asyncio Server.wait_closed.
 */
ROTA_API ROTA_SUSPENDS int rota_server_wait_closed(struct rota_server *server);

/* ---- Questions ---- */

/*
 * The listening descriptors.
 *
 * Returns: how many there are, which may be more than `size`; the first `size` are in `fds`. 0 once
 * the server is closed.
 * Errors: -EINVAL (NULL server, or NULL fds with size above 0).
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: they are the server's; the array is a copy. Source: asyncio Server.sockets.
 */
ROTA_API ssize_t rota_server_sockets(struct rota_server *server, int *fds, size_t size);

/*
 * The address that the server is bound to, with the port that the kernel has chosen.
 *
 * Returns: 0 with *ret_addr set.
 * Errors: -EINVAL (NULL).
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: *ret_addr is the caller's.
 */
ROTA_API int rota_server_addr(const struct rota_server *server, struct rota_addr *ret_addr);

/*
 * How many clients there are: a handler runs, or the connection is not closed yet.
 *
 * Returns: the number; 0 for NULL.
 * Errors: none.
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: the reference stays the caller's.
 */
ROTA_API size_t rota_server_connection_count(struct rota_server *server);

/*
 * The loop on which the server was created; it never changes.
 *
 * Returns: a borrowed pointer; NULL for NULL.
 * Errors: none.
 * Call from: any thread of the runtime. Suspends: no.
 * Ownership: borrowed from the server. Source: asyncio Server.get_loop.
 */
ROTA_API struct rota_loop *rota_server_get_loop(const struct rota_server *server);

ROTA_END_DECLS

#endif
