/* SPDX-License-Identifier: MIT */
/*
 * connection.c - one client: its room, its loop, its handler and its end.
 */
#include "net/server_impl.h"

#include "loop/loop_impl.h"
#include "net/stream_impl.h"
#include "sched/base/alloc.h"
#include "sched/base/random.h"
#include "sched/cancel.h"

#include <errno.h>

#define BATCH_MAX 64 /* connections looked at under one lock */

/* ---- Room ---- */

bool roti_server_admit(struct rota_server *server)
{
    roti_spin_lock(&server->lock);
    bool room = server->admitted < server->opts.connection_count_max;
    server->admitted += room;
    roti_spin_unlock(&server->lock);
    return room;
}

/* Gives room back, under the lock. Acceptors wait for it where it was full, others for the last
 * client of a closed server. */
static void dismiss(struct rota_server *server, struct roti_list *woken)
{
    bool was_full = server->admitted == server->opts.connection_count_max;
    server->admitted--;
    if (was_full || (server->state == ROTI_SERVER_CLOSED && server->admitted == 0))
        roti_server_changed(server, woken);
}

void roti_server_dismiss(struct rota_server *server)
{
    struct roti_list woken;
    roti_list_init(&woken);
    roti_spin_lock(&server->lock);
    dismiss(server, &woken);
    roti_spin_unlock(&server->lock);
    roti_wait_wake_all(&woken);
}

/* ---- Its place ---- */

/* The loop, or another one where that is blocked. */
static unsigned unblocked(const struct rota_server *server, unsigned index)
{
    return roti_sentinel_avoid_blocked(roti_pool_worker(&server->runtime->pool, index))->index;
}

/* The one of two active loops that has fewer connections. Under the lock. */
static unsigned choose_loop(const struct rota_server *server, uint64_t random)
{
    unsigned count = roti_pool_active_count(&server->runtime->pool);
    if (count == 1)
        return 0;
    unsigned one = (unsigned)(random % count);
    unsigned two = (one + 1 + (unsigned)((random >> 32) % (count - 1))) % count;
    one = unblocked(server, one);
    two = unblocked(server, two);
    return server->loop_counts[two] < server->loop_counts[one] ? two : one;
}

/* Counts a connection at `loop`, or, without one or where it is retired, at one of its choice. */
static void take_place(struct roti_connection *connection, const struct rota_loop *loop)
{
    struct rota_server *server = connection->server;
    uint64_t random = roti_random(roti_thread_self());
    roti_spin_lock(&server->lock);
    bool here = loop != NULL && roti_loop_is_active(loop);
    connection->loop_index =
        here ? unblocked(server, loop->worker.index) : choose_loop(server, random);
    server->loop_counts[connection->loop_index]++;
    roti_spin_unlock(&server->lock);
}

/* ---- Among the others ---- */

static void link_connection(struct roti_connection *connection)
{
    struct rota_server *server = connection->server;
    roti_spin_lock(&server->lock);
    connection->parts = 2;
    server->connection_count++;
    server->open_streams++;
    server->holds++;
    roti_list_push_back(&server->connections, &connection->node);
    roti_spin_unlock(&server->lock);
}

/* Under the lock. */
static void unlink_connection(struct roti_connection *connection, struct roti_list *woken)
{
    struct rota_server *server = connection->server;
    roti_list_remove(&connection->node);
    server->loop_counts[connection->loop_index]--;
    server->connection_count--;
    server->holds--;
    dismiss(server, woken);
}

/* The next of the connections, which goes behind the others. NULL: there is none. Under the lock.
 */
static struct roti_connection *rotate(struct rota_server *server)
{
    struct roti_list *node = roti_list_pop_front(&server->connections);
    if (node == NULL)
        return NULL;
    roti_list_push_back(&server->connections, node);
    return roti_container_of(node, struct roti_connection, node);
}

/*
 * Does something to the stream of each connection that there is now: without the lock, which the
 * end of a stream takes, and with a reference. Those that come or go meanwhile may be met or not.
 */
static void for_each_stream(struct rota_server *server, void (*act)(struct rota_stream *stream))
{
    struct rota_stream *batch[BATCH_MAX];
    struct roti_connection *connection;
    size_t left = rota_server_connection_count(server);
    while (left > 0) {
        size_t count = 0;
        roti_spin_lock(&server->lock);
        while (count < BATCH_MAX && count < left && (connection = rotate(server)) != NULL)
            batch[count++] = rota_stream_ref(connection->stream);
        roti_spin_unlock(&server->lock);
        left = count > 0 ? left - count : 0;
        for (size_t i = 0; i < count; i++) {
            act(batch[i]);
            rota_stream_unref(batch[i]);
        }
    }
}

void rota_server_close_clients(struct rota_server *server)
{
    if (server != NULL)
        for_each_stream(server, rota_stream_close);
}

void rota_server_abort_clients(struct rota_server *server)
{
    if (server != NULL)
        for_each_stream(server, rota_stream_abort);
}

void roti_connections_cancel(struct rota_server *server)
{
    struct roti_connection *connection;
    size_t left = rota_server_connection_count(server);
    while (left > 0) {
        size_t count = 0;
        roti_spin_lock(&server->lock);
        for (; count < BATCH_MAX && count < left && (connection = rotate(server)) != NULL;
             count++) {
            /* A task that runs takes itself out under this lock. Once is enough. */
            if (connection->task != NULL && !connection->cancelled)
                (void)roti_task_cancel_request(connection->task, NULL);
            connection->cancelled = true;
        }
        roti_spin_unlock(&server->lock);
        left = count > 0 ? left - count : 0;
    }
}

/* ---- Its end ---- */

/* One of the two parts has ended; with the other one the connection is gone. */
static void part_ended(struct roti_connection *connection, bool is_stream)
{
    struct rota_server *server = connection->server;
    struct roti_list woken;
    roti_list_init(&woken);
    roti_spin_lock(&server->lock);
    server->open_streams -= is_stream;
    if (server->open_streams == 0 && server->state == ROTI_SERVER_CLOSED)
        roti_server_changed(server, &woken);
    bool gone = --connection->parts == 0;
    if (gone)
        unlink_connection(connection, &woken);
    roti_spin_unlock(&server->lock); /* the last access to the server */
    if (gone) {
        rota_stream_unref(connection->stream);
        roti_free(connection, sizeof *connection);
    }
    roti_wait_wake_all(&woken);
}

static void stream_closed(void *arg)
{
    part_ended(arg, true);
}

/* ---- Its handler ---- */

/* Whether a handler's failure is told to the exception handler. */
static bool is_worth_report(const struct roti_connection *connection, int status)
{
    switch (status) {
    case ROTA_ECLOSED:
        return !rota_stream_is_closing(connection->stream);
    case -ECONNRESET: /* the client has left */
    case -EPIPE:
    case -ECANCELED:
    case ROTA_EXIT:
        return false;
    default:
        return status < 0;
    }
}

/* The body of a connection's task. */
static int serve(void *arg)
{
    struct roti_connection *connection = arg;
    struct rota_server *server = connection->server;
    roti_spin_lock(&server->lock);
    connection->task = rota_current_task();
    bool cancelled = connection->cancelled;
    roti_spin_unlock(&server->lock);
    int status = cancelled ? -ECANCELED : server->fn(connection->stream, server->arg);
    if (is_worth_report(connection, status))
        roti_loop_report(&(struct rota_error_info){
            .message = "the handler of a connection failed",
            .error = status,
            .loop = roti_loop_current(),
            .task = rota_current_task(),
            .arg = server->arg,
        });
    roti_spin_lock(&server->lock);
    connection->task = NULL;
    roti_spin_unlock(&server->lock);
    return status == -ECANCELED || status == ROTA_EXIT ? status : 0;
}

/* The end of that task, also where it was cancelled before its first step. */
static void serve_release(void *arg)
{
    struct roti_connection *connection = arg;
    rota_stream_close(connection->stream);
    part_ended(connection, false);
}

/* ---- Its beginning ---- */

int roti_server_spawn(struct rota_server *server, struct rota_loop *loop, rota_task_fn fn,
                      void *arg, const struct rota_task_opts *opts, uint32_t flags)
{
    struct roti_spawn spawn = {.fn = fn, .arg = arg, .opts = opts, .flags = flags};
    struct roti_context_slot saved;
    struct roti_context_ref context = server->context; /* a plain copy: entering it cannot fail */
    (void)roti_context_enter(&context, loop, &saved);
    int r = roti_task_spawn(&server->runtime->pool, &loop->worker, &spawn, NULL);
    roti_context_exit(&context, &saved);
    return r;
}

static int spawn_handler(struct roti_connection *connection)
{
    struct rota_server *server = connection->server;
    const struct rota_task_opts opts = {
        .name = "connection",
        .stack_size = server->opts.stack_size,
        .arg_release = serve_release,
        .pinned = server->opts.pinned,
    };
    struct rota_loop *loop = rota_runtime_loop(server->runtime, connection->loop_index);
    int r = roti_server_spawn(server, loop, serve, connection, &opts, 0);
    if (r < 0) {
        rota_stream_abort(connection->stream);
        part_ended(connection, false);
    }
    return r;
}

/* Makes the stream of a connection that has its place. */
static int open_stream(struct roti_connection *connection, int fd, const struct roti_peer *peer)
{
    struct rota_server *server = connection->server;
    const struct roti_stream_init init = {
        .peer = *peer, .on_closed = stream_closed, .on_closed_arg = connection};
    int r = roti_stream_create(&connection->stream, &init, &server->opts.stream);
    if (r == 0)
        r = roti_stream_open(connection->stream, fd,
                             rota_runtime_loop(server->runtime, connection->loop_index));
    return r;
}

int roti_connection_start(struct rota_server *server, int fd, const struct roti_peer *peer,
                          struct rota_loop *loop)
{
    struct roti_connection *connection = roti_zalloc(sizeof *connection);
    int r = -ENOMEM;
    if (connection != NULL) {
        connection->server = server;
        take_place(connection, loop);
        r = open_stream(connection, fd, peer);
    }
    if (r == 0) {
        link_connection(connection);
        return spawn_handler(connection);
    }
    if (connection != NULL) {
        roti_spin_lock(&server->lock);
        server->loop_counts[connection->loop_index]--;
        roti_spin_unlock(&server->lock);
        roti_free(connection, sizeof *connection);
    }
    roti_sys_close(fd);
    roti_server_dismiss(server);
    return r;
}
