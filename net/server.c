/* SPDX-License-Identifier: MIT */
/*
 * server.c - the life of a server: made, started, closed. The essay is in
 * server_impl.h.
 */
#include "net/server_impl.h"

#include "loop/loop_impl.h"
#include "net/stream_impl.h"
#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/fork.h"

#include <errno.h>
#include <string.h>

/* ---- Waiting ---- */

void roti_server_changed(struct rota_server *server, struct roti_list *woken)
{
    struct roti_wait *wait;
    while ((wait = roti_wait_first(&server->waits)) != NULL)
        if (roti_wait_claim(wait, 0))
            roti_list_push_back(woken, &wait->link);
}

int roti_server_wait(struct rota_server *server, roti_server_condition_fn condition)
{
    for (;;) {
        struct roti_wait wait;
        roti_wait_init(&wait, ROTI_WAIT_SERVER, server, 0);
        roti_spin_lock(&server->lock);
        bool holds = condition(server);
        int r = holds ? 0 : roti_wait_begin(0);
        if (!holds && r == 0)
            roti_wait_link(&wait, &server->waits);
        roti_spin_unlock(&server->lock);
        if (holds || r < 0)
            return r;
        r = roti_wait_suspend();
        if (r < 0) {
            roti_spin_lock(&server->lock);
            roti_wait_unlink(&wait);
            roti_spin_unlock(&server->lock);
            return r;
        }
    }
}

bool roti_server_is_idle(const struct rota_server *server)
{
    return server->admitted == 0;
}

bool roti_server_is_unheld(const struct rota_server *server)
{
    return server->users == 0 && server->holds == 0;
}

/* ---- References ---- */

void roti_server_hold(struct rota_server *server)
{
    roti_spin_lock(&server->lock);
    server->holds++;
    roti_spin_unlock(&server->lock);
}

/* The unlock is the last access: the supervisor may free the server after it. */
void roti_server_release(struct rota_server *server)
{
    struct roti_list woken;
    roti_list_init(&woken);
    roti_spin_lock(&server->lock);
    server->holds--;
    roti_server_changed(server, &woken);
    roti_spin_unlock(&server->lock);
    roti_wait_wake_all(&woken);
}

struct rota_server *rota_server_ref(struct rota_server *server)
{
    if (server == NULL)
        return NULL;
    roti_spin_lock(&server->lock);
    server->users++;
    roti_spin_unlock(&server->lock);
    return server;
}

void rota_server_unref(struct rota_server *server)
{
    if (server == NULL)
        return;
    roti_spin_lock(&server->lock);
    bool last = --server->users == 0;
    server->holds += last;
    roti_spin_unlock(&server->lock);
    if (!last)
        return;
    rota_server_close(server);
    roti_server_release(server);
}

/* ---- Making ---- */

static int fill_opts(struct rota_server_opts *ret_opts, const struct rota_server_opts *opts)
{
    static const struct rota_server_opts defaults;
    *ret_opts = opts != NULL ? *opts : defaults;
    if (ret_opts->backlog < 0 || ret_opts->drain_timeout_ns < 0 ||
        (unsigned)ret_opts->accept > ROTA_ACCEPT_EXCLUSIVE ||
        roti_stream_check_opts(&ret_opts->stream) < 0)
        return -EINVAL;
    if (ret_opts->stack_size != 0 &&
        (ret_opts->stack_size < ROTI_STACK_SIZE_MIN || ret_opts->stack_size > ROTI_STACK_SIZE_MAX))
        return -EINVAL;
    if (ret_opts->backlog == 0)
        ret_opts->backlog = SOMAXCONN;
    if (ret_opts->connection_count_max == 0)
        ret_opts->connection_count_max = SIZE_MAX;
    if (ret_opts->drain_timeout_ns == 0)
        ret_opts->drain_timeout_ns = ROTA_SERVER_DRAIN_NS;
    return 0;
}

void roti_server_free(struct rota_server *server)
{
    ROTI_ASSERT(roti_list_empty(&server->connections));
    roti_listeners_free(server);
    roti_context_ref_release(&server->context);
    rota_loop_unref(server->loop);
    roti_free(server, sizeof *server);
}

static void free_leftover(struct roti_leftover *leftover)
{
    roti_server_free(roti_container_of(leftover, struct rota_server, leftover));
}

/* The graceful stop was asked for; under the stop's lock. The supervisor does the rest. */
static void told(struct roti_stop_listener *listener)
{
    struct rota_server *server = roti_container_of(listener, struct rota_server, stop);
    struct roti_list woken;
    roti_list_init(&woken);
    roti_spin_lock(&server->lock);
    server->stopping = true;
    roti_server_changed(server, &woken);
    roti_spin_unlock(&server->lock);
    roti_wait_wake_all(&woken);
}

/* A server with its sockets bound, and no supervisor yet. */
static int make(struct rota_server **ret_server, const struct rota_addr *addr,
                const struct rota_server_opts *opts)
{
    struct rota_loop *loop = roti_loop_current();
    struct rota_server *server = roti_zalloc(sizeof *server);
    if (server == NULL)
        return -ENOMEM;
    server->opts = *opts;
    server->loop = rota_loop_ref(loop);
    server->runtime = loop->runtime;
    server->context = roti_context_capture(NULL);
    server->users = 1;
    roti_list_init(&server->connections);
    roti_list_init(&server->waits);
    roti_list_init(&server->stop.node);
    server->stop.told = told;
    server->leftover.run_ended = free_leftover;
    int r = roti_listeners_bind(server, addr);
    if (r < 0) {
        roti_server_free(server);
        return r;
    }
    *ret_server = server;
    return 0;
}

int rota_server_create(struct rota_server **ret_server, const struct rota_addr *addr,
                       rota_client_fn fn, void *arg, const struct rota_server_opts *opts)
{
    struct rota_server *server;
    struct rota_server_opts filled;
    socklen_t size;
    if (ret_server == NULL || fn == NULL || rota_addr_sockaddr(addr, &size) == NULL ||
        fill_opts(&filled, opts) < 0)
        return -EINVAL;
    if (filled.accept == ROTA_ACCEPT_REUSEPORT && addr->sockaddr.any.sa_family == AF_UNIX)
        return -EINVAL;
    if (roti_loop_current() == NULL)
        return roti_fork_no_loop();
    int r = make(&server, addr, &filled);
    if (r < 0)
        return r;
    server->fn = fn;
    server->arg = arg;
    r = roti_server_supervise(server);
    if (r < 0) {
        roti_listeners_close(server, false);
        roti_server_free(server);
        return r;
    }
    if (!filled.deferred)
        r = rota_server_start(server);
    if (r < 0) {
        rota_server_unref(server);
        return r;
    }
    *ret_server = server;
    return 0;
}

/* ---- Starting and closing ---- */

/* Takes the right to start. 1; 0: it is serving already; ROTA_ECLOSED. */
static int begin_start(struct rota_server *server)
{
    int r = 0;
    roti_spin_lock(&server->lock);
    if (server->state == ROTI_SERVER_CLOSED) {
        r = ROTA_ECLOSED;
    } else if (server->state == ROTI_SERVER_BOUND) {
        server->state = ROTI_SERVER_SERVING;
        server->starting = true;
        r = 1;
    }
    roti_spin_unlock(&server->lock);
    return r;
}

/* Gives it back. True if the server was closed meanwhile, and is left for this task to close. */
static bool end_start(struct rota_server *server)
{
    roti_spin_lock(&server->lock);
    server->starting = false;
    bool was_closed = server->state == ROTI_SERVER_CLOSED;
    roti_spin_unlock(&server->lock);
    return was_closed;
}

/* The last step of a close: everybody may see it. */
static void closed(struct rota_server *server)
{
    struct roti_list woken;
    roti_list_init(&woken);
    roti_spin_lock(&server->lock);
    server->closing = false;
    roti_server_changed(server, &woken);
    roti_spin_unlock(&server->lock);
    roti_wait_wake_all(&woken);
}

/* What a close consists of, by whom [I2] says. */
static void close_listeners(struct rota_server *server, bool drain)
{
    roti_stop_remove(server->runtime->stop, &server->stop);
    roti_listeners_close(server, drain);
    closed(server);
}

int rota_server_start(struct rota_server *server)
{
    if (server == NULL)
        return -EINVAL;
    int r = begin_start(server);
    if (r <= 0)
        return r;
    r = roti_listeners_start(server);
    if (r == 0)
        roti_stop_add(server->runtime->stop, &server->stop);
    if (end_start(server)) /* as if it had been closed right afterwards */
        close_listeners(server, true);
    else if (r < 0)
        roti_server_end(server, false);
    return r;
}

void roti_server_end(struct rota_server *server, bool drain)
{
    roti_spin_lock(&server->lock);
    bool first = server->state != ROTI_SERVER_CLOSED;
    bool starting = server->starting;
    server->state = ROTI_SERVER_CLOSED;
    server->closing |= first;
    roti_spin_unlock(&server->lock);
    if (first && !starting) /* else whoever starts it finds it closed */
        close_listeners(server, drain);
}

void rota_server_close(struct rota_server *server)
{
    if (server != NULL)
        roti_server_end(server, true);
}

/* ---- Questions ---- */

bool rota_server_is_serving(struct rota_server *server)
{
    if (server == NULL)
        return false;
    roti_spin_lock(&server->lock);
    bool serving = server->state == ROTI_SERVER_SERVING;
    roti_spin_unlock(&server->lock);
    return serving;
}

ssize_t rota_server_sockets(struct rota_server *server, int *fds, size_t size)
{
    if (server == NULL || (fds == NULL && size > 0))
        return -EINVAL;
    roti_spin_lock(&server->lock);
    unsigned count = server->state != ROTI_SERVER_CLOSED ? server->listener_count : 0;
    for (unsigned i = 0; i < count && i < size; i++)
        fds[i] = server->listeners[i].fd;
    roti_spin_unlock(&server->lock);
    return count;
}

int rota_server_addr(const struct rota_server *server, struct rota_addr *ret_addr)
{
    if (server == NULL || ret_addr == NULL)
        return -EINVAL;
    *ret_addr = server->addr;
    return 0;
}

size_t rota_server_connection_count(struct rota_server *server)
{
    if (server == NULL)
        return 0;
    roti_spin_lock(&server->lock);
    size_t count = server->connection_count;
    roti_spin_unlock(&server->lock);
    return count;
}

struct rota_loop *rota_server_get_loop(const struct rota_server *server)
{
    return server != NULL ? server->loop : NULL;
}
