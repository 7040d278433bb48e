/* SPDX-License-Identifier: MIT */
/*
 * accept.c - acceptors: tasks that take connections from a listener.
 *
 * Problem.    Connections come in bursts, and the acceptor must not keep its loop meanwhile. And
 *             when the process has no descriptor or memory left, accept(2) fails, while the
 *             connection stays where it is: trying again at once is a busy loop, and nothing tells
 *             when it would succeed.
 *
 * Design.     An acceptor takes at most a burst, then lets others run. Room is taken before a
 *             connection is, so that at the maximum connections wait in the kernel. A failure is
 *             reported once and followed by a pause, which doubles until something is accepted
 *             again. With the first failure for want of a descriptor the longest waiting client is
 *             turned away, by means of the one number that the acceptor has kept in reserve: it
 *             learns at once that the server is full. The others are served when the pause is over.
 *             accept(2) takes what it needs before it looks whether anybody is there, so it fails
 *             with nobody waiting too: that is no failure, and the acceptor waits as ever.
 * Rejected.   Turning everybody away: as long as descriptors are short that is a busy loop too, run
 *             by the clients.
 */
#include "net/server_impl.h"

#include "loop/io_impl.h"
#include "loop/loop_impl.h"
#include "net/stream_impl.h"

#include <errno.h>
#include <poll.h>
#include <rota/timeout.h>

#define ACCEPT_BURST_MAX 64
#define PAUSE_MIN_NS (10 * ROTA_MS)
#define PAUSE_MAX_NS (500 * ROTA_MS)
#define REPORT_NS ROTA_SEC /* at most one report in such a time */

/* ---- Failures ---- */

static void report(struct roti_listener *listener, int error)
{
    int64_t now_ns = rota_time_ns();
    if (listener->reported_ns != 0 && now_ns - listener->reported_ns < REPORT_NS)
        return;
    listener->reported_ns = now_ns;
    roti_loop_report(&(struct rota_error_info){
        .message = "a server could not accept a connection, and pauses",
        .error = error,
        .loop = roti_loop_current(),
        .task = rota_current_task(),
    });
}

/* Turns one client away with the number in reserve. */
static void turn_away(struct roti_listener *listener)
{
    if (listener->reserve_fd < 0)
        return;
    roti_sys_close(listener->reserve_fd);
    int fd = roti_io_try_accept(listener->io, NULL, NULL);
    if (fd >= 0)
        roti_sys_close(fd);
    listener->reserve_fd = roti_sys_open_null();
}

/* A connection could not be accepted or served for want of something. */
static int back_off(struct roti_listener *listener, int error)
{
    if (listener->pause_ns == 0) {
        report(listener, error);
        if (error == -EMFILE)
            turn_away(listener);
        listener->pause_ns = PAUSE_MIN_NS;
    } else {
        int64_t doubled_ns = 2 * listener->pause_ns;
        listener->pause_ns = doubled_ns < PAUSE_MAX_NS ? doubled_ns : PAUSE_MAX_NS;
    }
    return rota_sleep(listener->pause_ns);
}

/* Whether the error is one connection's, which is gone with it: the next may do better. */
static bool is_of_connection(int error)
{
    switch (error) {
    case -EPERM: /* a firewall's rule */
    case -ENETDOWN:
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        return true;
    default:
        return false;
    }
}

/* Whether somebody waits to be accepted, or the listener itself has an error to tell. */
static bool is_awaited(struct roti_io *io)
{
    if (roti_io_enter(io) < 0)
        return false;
    int events = roti_sys_poll(io->fd, POLLIN);
    roti_io_leave(io);
    return events != 0;
}

/* ---- Accepting ---- */

/* Asks the kernel, whatever the poller has said so far: it may not have come to that yet. */
static int accept_now(struct roti_io *io, struct sockaddr_storage *ret_peer, socklen_t *ret_size)
{
    int fd = roti_io_enter(io);
    if (fd < 0)
        return fd;
    do {
        *ret_size = sizeof *ret_peer;
        fd = roti_sys_accept(io->fd, ret_peer, ret_size);
    } while (fd == -ECONNABORTED || fd == -EPROTO);
    roti_io_leave(io);
    return fd;
}

/*
 * Accepts one connection by the given call, and starts its handler. 0; -EAGAIN: there is none;
 * ROTA_ELIMIT: there is no room; else an error, which is_of_connection() or not.
 */
static int accept_one(struct roti_listener *listener,
                      int (*call)(struct roti_io *io, struct sockaddr_storage *ret_peer,
                                  socklen_t *ret_size))
{
    struct rota_server *server = listener->server;
    struct sockaddr_storage addr;
    socklen_t size = 0;
    if (!roti_server_admit(server))
        return ROTA_ELIMIT;
    int fd = call(listener->io, &addr, &size);
    if (fd < 0) {
        roti_server_dismiss(server);
        return fd == -EAGAIN || is_awaited(listener->io) ? fd : -EAGAIN;
    }
    struct roti_peer peer = roti_peer_of(&addr, size);
    bool here = server->opts.accept != ROTA_ACCEPT_HANDOVER;
    return roti_connection_start(server, fd, &peer, here ? listener->loop : NULL);
}

static unsigned burst_max(const struct rota_server *server)
{
    unsigned backlog = (unsigned)server->opts.backlog;
    return backlog < ACCEPT_BURST_MAX ? backlog + 1 : ACCEPT_BURST_MAX;
}

/* Accepts a burst, or waits until there is something. 0, or what ends the acceptor. */
static int accept_some(struct roti_listener *listener)
{
    unsigned count = burst_max(listener->server);
    for (unsigned i = 0; i < count; i++) {
        int r = accept_one(listener, roti_io_try_accept);
        if (r == -EAGAIN)
            return roti_io_wait_readable(listener->io);
        if (r == ROTA_ELIMIT || r == ROTA_ECLOSED)
            return r == ROTA_ELIMIT ? 0 : r;
        if (r < 0 && !rota_server_is_serving(listener->server))
            return ROTA_ECLOSED; /* the close has stopped the listening */
        if (r < 0 && !is_of_connection(r))
            return back_off(listener, r);
        if (r == 0)
            listener->pause_ns = 0;
    }
    return rota_yield();
}

static bool has_room(const struct rota_server *server)
{
    return server->state != ROTI_SERVER_SERVING ||
           server->admitted < server->opts.connection_count_max;
}

int roti_accept_run(void *arg)
{
    struct roti_listener *listener = arg;
    struct rota_server *server = listener->server;
    listener->reserve_fd = roti_sys_open_null();
    int r = 0;
    while (r == 0 && rota_server_is_serving(server)) {
        r = roti_server_wait(server, has_room);
        if (r == 0)
            r = accept_some(listener);
    }
    if (listener->reserve_fd >= 0)
        roti_sys_close(listener->reserve_fd);
    return r == -ECANCELED ? r : 0;
}

/* A server whose acceptor was cancelled, by the end of the run or by the program, serves no more.
 */
void roti_accept_release(void *arg)
{
    struct rota_server *server = ((struct roti_listener *)arg)->server;
    roti_server_end(server, false);
    roti_server_release(server);
}

void roti_accept_rest(struct roti_listener *listener)
{
    int r = 0;
    /* The kernel queues one more than the backlog. What comes later need not be served. */
    for (int i = 0; i <= listener->server->opts.backlog && (r == 0 || is_of_connection(r)); i++)
        r = accept_one(listener, accept_now);
}
