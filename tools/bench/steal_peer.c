/* SPDX-License-Identifier: MIT */
/*
 * steal_peer.c - another runtime as the server of the stall generator: a process of its own.
 */
#include "tools/bench/peers.h"
#include "tools/bench/steal.h"

/* It tells nothing of itself. */
static void look(void *server, struct steal_work *work)
{
    (void)server;
    (void)work;
}

static void stop(void *server)
{
    peer_stop(server);
}

int steal_serve_peer(struct steal_session *session)
{
    struct peer_server server;
    int r = peer_serve(session->peer, "steal.", session->threads, &server);
    if (r < 0)
        return r;
    session->port = server.port;
    session->look = look;
    session->stop = stop;
    session->server = &server;
    session->process = server.child;
    r = steal_conduct(session);
    if (r == 0)
        steal_conducted(session);
    else
        peer_stop(&server);
    int ended = peer_wait(&server);
    return r < 0 ? r : ended;
}
