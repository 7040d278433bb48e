/* SPDX-License-Identifier: MIT */
/*
 * listener.c - listening sockets: bound, listening, closed.
 *
 * Closing loses no connection that the kernel has accepted before. A unix socket stops listening
 * first, which leaves its queue alone, and is emptied then. A TCP socket drops its queue as it
 * stops listening, so it is emptied before; with several sockets for one port all are, before the
 * first is stopped. What still arrives between the two is reset, which only a front end or
 * net.ipv4.tcp_migrate_req can help.
 */
#include "net/server_impl.h"

#include "loop/io.h"
#include "loop/loop_impl.h"
#include "sched/base/alloc.h"

#include <errno.h>

static size_t listeners_size(const struct rota_server *server)
{
    return server->listener_count * sizeof *server->listeners;
}

void roti_listeners_free(struct rota_server *server)
{
    for (unsigned i = 0; i < server->listener_count; i++)
        if (server->listeners[i].io != NULL)
            roti_io_unref(server->listeners[i].io);
    roti_free(server->listeners, listeners_size(server));
    server->listeners = NULL;
    server->listener_count = 0;
}

/* ---- Binding ---- */

/* The descriptor of the n-th listener, or a negative errno. */
static int bind_one(struct rota_server *server, unsigned n, const struct rota_addr *addr)
{
    struct roti_socket_file none;
    bool reuse_port = server->opts.accept == ROTA_ACCEPT_REUSEPORT;
    if (n > 0 && !reuse_port)
        return roti_sys_dup(server->listeners[0].fd);
    int fd =
        roti_socket_bind(n == 0 ? addr : &server->addr, reuse_port, n == 0 ? &server->file : &none);
    if (fd < 0)
        return fd;
    int r = n == 0 ? roti_socket_name(fd, &server->addr) : 0;
    if (r < 0) {
        roti_sys_close(fd);
        return r;
    }
    server->addr.dual_stack = addr->dual_stack;
    if (!server->opts.stream.delay)
        roti_socket_send_at_once(fd); /* accepted sockets inherit it */
    return fd;
}

int roti_listeners_bind(struct rota_server *server, const struct rota_addr *addr)
{
    struct rota_runtime *runtime = server->runtime;
    bool one = server->opts.accept == ROTA_ACCEPT_HANDOVER;
    server->listener_count = one ? 1 : roti_pool_active_count(&runtime->pool);
    server->listeners = roti_zalloc(listeners_size(server));
    if (server->listeners == NULL) {
        server->listener_count = 0;
        return -ENOMEM;
    }
    for (unsigned i = 0; i < server->listener_count; i++)
        server->listeners[i] = (struct roti_listener){
            .server = server, .loop = one ? server->loop : rota_runtime_loop(runtime, i), .fd = -1};
    for (unsigned i = 0; i < server->listener_count; i++) {
        int fd = bind_one(server, i, addr);
        if (fd < 0) {
            roti_listeners_close(server, false);
            return fd;
        }
        server->listeners[i].fd = fd;
    }
    return 0;
}

/* ---- Listening ---- */

static int start_acceptor(struct roti_listener *listener)
{
    struct rota_server *server = listener->server;
    const struct rota_task_opts opts = {
        .name = "accept",
        .arg_release = roti_accept_release,
    };
    roti_server_hold(server);
    int r = roti_server_spawn(server, listener->loop, roti_accept_run, listener, &opts, 0);
    if (r < 0)
        roti_server_release(server);
    return r;
}

static int start_one(struct roti_listener *listener)
{
    const struct rota_server_opts *opts = &listener->server->opts;
    int r = roti_sys_listen(listener->fd, opts->backlog);
    if (r < 0)
        return r;
    if (opts->accept == ROTA_ACCEPT_EXCLUSIVE)
        r = roti_io_open_shared(&listener->io, listener->fd, listener->loop);
    else
        r = roti_io_open(&listener->io, listener->fd, listener->loop);
    return r;
}

int roti_listeners_start(struct rota_server *server)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < server->listener_count; i++)
        r = start_one(&server->listeners[i]);
    for (unsigned i = 0; r == 0 && i < server->listener_count; i++)
        r = start_acceptor(&server->listeners[i]);
    return r;
}

/* ---- Closing ---- */

/* Ends the listening, at once: the descriptor itself lives until no acceptor is inside a call. */
static void stop_listening(struct rota_server *server)
{
    for (unsigned i = 0; i < server->listener_count; i++)
        if (server->listeners[i].io != NULL)
            (void)roti_io_shutdown(server->listeners[i].io, SHUT_RD);
}

void roti_listeners_close(struct rota_server *server, bool drain)
{
    bool is_local = server->addr.sockaddr.any.sa_family == AF_UNIX;
    roti_socket_remove_file(&server->addr, &server->file);
    if (is_local)
        stop_listening(server);
    for (unsigned i = 0; drain && i < server->listener_count; i++)
        if (server->listeners[i].io != NULL)
            roti_accept_rest(&server->listeners[i]);
    if (!is_local)
        stop_listening(server);
    for (unsigned i = 0; i < server->listener_count; i++) {
        struct roti_listener *listener = &server->listeners[i];
        if (listener->io != NULL)
            roti_io_close(listener->io); /* its acceptor is woken, and ends */
        else if (listener->fd >= 0)
            roti_sys_close(listener->fd);
        listener->fd = -1;
    }
}
