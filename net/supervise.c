/* SPDX-License-Identifier: MIT */
/*
 * supervise.c - the supervisor: the graceful stop of a server, and its end.
 *
 * The graceful stop: no more is accepted but what the kernel has accepted before; the handlers have
 * the drain timeout to end by themselves; those that are left are cancelled and have a short time
 * to clean up; the connections of those that are still left are aborted.
 *
 * The supervisor ends when nobody refers to the server any more, and frees it; or, being the
 * runtime's own, when all tasks of the program have ended: then it closes what is still open, and
 * leaves a server to which the program refers to the end of the run, as callbacks may use it until
 * their loops stop. A task that has outlived the deadline of the shutdown keeps it for ever.
 */
#include "net/server_impl.h"

#include "loop/loop_impl.h"

#include <errno.h>
#include <rota/timeout.h>

#define CLEANUP_NS (2 * ROTA_SEC) /* for handlers that were cancelled, or lost their connection */

static bool has_work(const struct rota_server *server)
{
    return server->stopping || roti_server_is_unheld(server);
}

/* Waits for the last client. 0, -ETIMEDOUT, -ECANCELED. */
static int wait_idle(struct rota_server *server, int64_t timeout_ns)
{
    struct rota_timeout timeout = {0};
    int r = rota_timeout_begin(&timeout, timeout_ns);
    if (r == 0)
        r = rota_timeout_end(&timeout, roti_server_wait(server, roti_server_is_idle));
    return r;
}

static int stop_gracefully(struct rota_server *server)
{
    struct roti_list woken;
    roti_list_init(&woken);
    rota_server_close(server);
    int r = wait_idle(server, server->opts.drain_timeout_ns);
    if (r == -ETIMEDOUT) {
        roti_connections_cancel(server);
        r = wait_idle(server, CLEANUP_NS);
    }
    if (r == -ETIMEDOUT) {
        rota_server_abort_clients(server);
        r = wait_idle(server, CLEANUP_NS);
    }
    roti_spin_lock(&server->lock);
    server->stopping = false;
    roti_server_changed(server, &woken);
    roti_spin_unlock(&server->lock);
    roti_wait_wake_all(&woken);
    return r == -ECANCELED ? r : 0;
}

static bool is_stopping(struct rota_server *server)
{
    roti_spin_lock(&server->lock);
    bool stopping = server->stopping;
    roti_spin_unlock(&server->lock);
    return stopping;
}

static int supervise(void *arg)
{
    struct rota_server *server = arg;
    int r = roti_server_wait(server, has_work);
    while (r == 0 && is_stopping(server)) {
        r = stop_gracefully(server);
        if (r == 0)
            r = roti_server_wait(server, has_work);
    }
    return r;
}

static bool has_no_streams(const struct rota_server *server)
{
    return server->open_streams == 0;
}

/* The end of the supervisor, also where it was cancelled before its first step. */
static void supervise_release(void *arg)
{
    struct rota_server *server = arg;
    roti_server_end(server, false);
    rota_server_abort_clients(server);
    /* Flushers that were about to close their streams do so now. Nobody cancels this wait. */
    (void)roti_server_wait(server, has_no_streams);
    roti_spin_lock(&server->lock);
    bool gone = roti_server_is_unheld(server);
    roti_spin_unlock(&server->lock);
    if (gone)
        roti_server_free(server);
    else
        roti_runtime_leave(server->runtime, &server->leftover);
}

int roti_server_supervise(struct rota_server *server)
{
    static const struct rota_task_opts opts = {.name = "server", .arg_release = supervise_release};
    return roti_server_spawn(server, server->loop, supervise, server, &opts, ROTI_TASK_INTERNAL);
}
