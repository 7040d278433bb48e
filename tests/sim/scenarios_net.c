/* SPDX-License-Identifier: MIT */
/*
 * scenarios_net.c - an echo server on all loops, and clients that check what comes back.
 */
#include "tests/sim/scenarios.h"

#include <errno.h>
#include <rota/error.h>
#include <rota/server.h>
#include <rota/stream.h>
#include <rota/task.h>
#include <rota/timeout.h>
#include <string.h>

#define STEPS_MAX 50000000 /* a byte at a time, where buffers are small */
#define CLIENTS_MAX 6

static struct rota_addr server_addr;

/* How a connection may end that the network has a say in. */
static bool is_network(ssize_t error)
{
    return error == -ECONNRESET || error == -EPIPE || error == -ECONNREFUSED ||
           error == -ECANCELED || error == ROTA_ECLOSED || error == ROTA_EINCOMPLETE ||
           scenario_is_shortage((int)error);
}

static int echo(struct rota_stream *stream, void *arg)
{
    char buffer[200];
    ssize_t n;
    (void)arg;
    while ((n = rota_stream_read(stream, buffer, 1 + sim_draw(sizeof buffer))) > 0)
        if ((n = rota_stream_write(stream, buffer, (size_t)n)) < 0)
            break;
    return (int)n;
}

/* One request: what was sent must come back. A negative result ends the connection. */
static ssize_t ask(struct rota_stream *stream)
{
    char sent[500];
    char got[sizeof sent];
    size_t size = 1 + sim_draw(sizeof sent);
    for (size_t i = 0; i < size; i++)
        sent[i] = (char)sim_draw(256);
    ssize_t n = rota_stream_write(stream, sent, size);
    if (n >= 0)
        n = rota_stream_readexactly(stream, got, size);
    if (n >= 0)
        SIM_ASSERT((size_t)n == size && memcmp(got, sent, size) == 0);
    return n;
}

static int client(void *arg)
{
    struct rota_stream *stream;
    (void)arg;
    ssize_t n = rota_stream_connect(&stream, &server_addr, NULL);
    if (n == 0) {
        for (uint32_t rounds = 1 + sim_draw(5); rounds > 0 && n >= 0; rounds--) {
            n = ask(stream);
            if (n >= 0 && sim_draw(4) == 0)
                n = rota_sleep(sim_draw(3) * ROTA_MS);
        }
        rota_stream_close(stream);
        rota_stream_unref(stream);
    }
    if (n < 0 && !is_network(n))
        sim_fail("a client ended by %s", rota_error_name((int)n));
    return 0;
}

static struct rota_server *serve(void)
{
    struct rota_server_opts opts = {.accept = (enum rota_accept)sim_draw(3),
                                    .backlog = 1 + (int)sim_draw(8)};
    struct rota_server *server;
    struct rota_addr addr;
    bool is_unix = opts.accept != ROTA_ACCEPT_REUSEPORT && sim_draw(3) == 0;
    SIM_ASSERT(rota_addr_parse(&addr, is_unix ? "unix:@sim" : "127.0.0.1:0") == 0);
    int r = rota_server_create(&server, &addr, echo, NULL, &opts);
    if (r < 0 && !is_network(r))
        sim_fail("no server: %s", rota_error_name(r));
    if (r == 0)
        SIM_ASSERT(rota_server_addr(server, &server_addr) == 0);
    return r == 0 ? server : NULL;
}

/* Ends it in one of the ways there are, early or after the last client. */
static void end_server(struct rota_server *server)
{
    switch (sim_draw(4)) {
    case 0:
        SIM_ASSERT(rota_runtime_stop(rota_running_runtime()) == 0);
        break;
    case 1:
        rota_server_close(server);
        rota_server_close_clients(server);
        break;
    case 2:
        rota_server_close(server);
        rota_server_abort_clients(server);
        break;
    default:
        rota_server_close(server);
        break;
    }
}

static int serve_clients(void *arg)
{
    struct rota_task *clients[CLIENTS_MAX];
    struct rota_server *server = serve();
    uint32_t wanted = 1 + sim_draw(CLIENTS_MAX);
    unsigned count = 0;
    (void)arg;
    if (server == NULL)
        return 0;
    while (count < wanted && rota_task_spawn(&clients[count], client, NULL, NULL) == 0)
        count++;
    bool early = sim_draw(3) == 0;
    SIM_ASSERT(rota_sleep(sim_draw(20) * ROTA_MS) == 0);
    if (early)
        end_server(server);
    for (unsigned i = 0; i < count; i++) {
        if (sim_draw(6) == 0)
            (void)rota_task_cancel(clients[i]);
        SIM_ASSERT(rota_task_await(clients[i], NULL) == 0);
        rota_task_unref(clients[i]);
    }
    if (!early)
        end_server(server);
    SIM_ASSERT(rota_server_wait_closed(server) == 0);
    rota_server_unref(server);
    return 0;
}

static void run_echo(void)
{
    scenario_run(serve_clients, NULL);
}

const struct sim_scenario scenario_echo = {"echo", run_echo, STEPS_MAX};
