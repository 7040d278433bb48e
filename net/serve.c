/* SPDX-License-Identifier: MIT */
/*
 * serve.c - waiting for a server: for its end, and for its last client.
 */
#include "net/server_impl.h"

#include "sched/worker.h"

#include <errno.h>

static bool is_over(const struct rota_server *server)
{
    return server->state == ROTI_SERVER_CLOSED && !server->closing && !server->stopping;
}

static bool is_closed_and_idle(const struct rota_server *server)
{
    return server->state == ROTI_SERVER_CLOSED && !server->closing && roti_server_is_idle(server);
}

int rota_server_wait_closed(struct rota_server *server)
{
    if (server == NULL)
        return -EINVAL;
    roti_server_hold(server);
    int r = roti_server_wait(server, is_closed_and_idle);
    roti_server_release(server);
    return r;
}

/* Takes the right to serve for ever, and holds the server. */
static int begin_forever(struct rota_server *server)
{
    int r = 0;
    roti_spin_lock(&server->lock);
    if (server->state == ROTI_SERVER_CLOSED)
        r = ROTA_ECLOSED;
    else if (server->forever)
        r = ROTA_ESTATE;
    else
        server->forever = true;
    server->holds += r == 0;
    roti_spin_unlock(&server->lock);
    return r;
}

static void end_forever(struct rota_server *server)
{
    roti_spin_lock(&server->lock);
    server->forever = false;
    roti_spin_unlock(&server->lock);
    roti_server_release(server);
}

int rota_server_serve_forever(struct rota_server *server)
{
    if (server == NULL)
        return -EINVAL;
    if (!roti_worker_in_task())
        return ROTA_ENOTASK;
    int r = begin_forever(server);
    if (r < 0)
        return r;
    r = rota_server_start(server);
    if (r == 0)
        r = roti_server_wait(server, is_over);
    if (r == -ECANCELED) {
        rota_server_close(server);
        rota_server_close_clients(server);
        (void)roti_server_wait(server, is_closed_and_idle); /* unless it is cancelled again */
    }
    end_forever(server);
    return r;
}
