/* SPDX-License-Identifier: MIT */
/*
 * steal_echo.c - rota's side of the stall generator: an echo server as anybody would write it.
 */
#include "tools/bench/steal.h"

#include "loop/io_impl.h"
#include "net/stream_impl.h"

#include <errno.h>
#include <rota/runtime.h>
#include <rota/server.h>

/* The loop where the connection is registered for life. The public interface does not tell. */
static uint64_t home_of(const struct rota_stream *stream)
{
    return stream->io->loop->worker.index;
}

static int echo(struct rota_stream *stream, void *arg)
{
    struct steal_message message;
    uint64_t home = home_of(stream);
    ssize_t n;
    while ((n = rota_stream_readexactly(stream, &message, sizeof message)) > 0) {
        steal_handle(arg, &message, home);
        if ((n = rota_stream_write(stream, &message, sizeof message)) < 0)
            break;
    }
    return n == ROTA_EINCOMPLETE ? 0 : (int)n; /* the client has gone */
}

static void look(void *server, struct steal_work *work)
{
    struct rota_runtime *runtime = server;
    int count = rota_runtime_loop_count(runtime);
    for (int i = 0; i < count; i++) {
        struct rota_counters counters = {0};
        (void)rota_loop_counters(rota_runtime_loop(runtime, (unsigned)i), &counters);
        work->turns += counters.turns;
        work->searches += counters.steals_tried;
        work->stolen += counters.tasks_stolen;
        work->wakes += counters.wakes_sent;
        work->parks += counters.parks;
        work->migrations += counters.migrations;
        work->helps += counters.helps;
        work->rescued += counters.rescued;
    }
}

static void stop(void *server)
{
    (void)rota_runtime_stop(server);
}

static int serve(void *arg)
{
    struct steal_session *session = arg;
    struct rota_addr addr;
    struct rota_server *server;
    int r = rota_addr_parse(&addr, "127.0.0.1:0");
    if (r == 0)
        r = rota_server_create(&server, &addr, echo, session, NULL);
    if (r == 0)
        r = rota_server_addr(server, &addr);
    if (r < 0)
        return r;
    session->port = (uint16_t)rota_addr_port(&addr);
    session->look = look;
    session->stop = stop;
    session->server = rota_running_runtime();
    r = steal_conduct(session);
    if (r < 0)
        return r;
    r = rota_server_serve_forever(server);
    steal_conducted(session); /* it has stopped the server, and ends */
    return r;
}

int steal_serve_rota(struct steal_session *session)
{
    return rota_run(serve, session,
                    &(struct rota_run_opts){.loops = session->threads, .no_signals = true});
}
