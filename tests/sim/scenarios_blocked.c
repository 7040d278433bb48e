/* SPDX-License-Identifier: MIT */
/*
 * scenarios_blocked.c - loops that tasks keep for long, while requests go on: none is lost, and
 * each is answered in a part of the time for which loops are kept.
 */
#include "tests/sim/scenarios.h"

#include <errno.h>
#include <rota/error.h>
#include <rota/server.h>
#include <rota/stream.h>
#include <rota/task.h>
#include <rota/timeout.h>

#define STEPS_MAX 50000000
#define CLIENTS_MAX 4
#define REQUESTS 8
#define BLOCKED_NS (3 * ROTA_SEC) /* or some milliseconds */
#define ANSWERED_NS ROTA_SEC      /* a stalled thread, a slow network: each may take a while */

static struct rota_addr server_addr;
static unsigned loop_count;
static unsigned kept; /* loops that are kept at the moment */
static unsigned clients_left;

/* In one call, as one that reads a file would: time passes, and nothing else of this loop does. */
static int keep(void *arg)
{
    static const char key;
    (void)arg;
    while (clients_left > 0) {
        if (kept + 1 < loop_count) {
            kept++;
            int64_t until_ns = sim_now() + (sim_draw(2) == 0 ? BLOCKED_NS : sim_draw(8) * ROTA_MS);
            while (sim_now() < until_ns && clients_left > 0)
                sim_wait(&key, sim_now() + ROTA_MS, "a call that blocks");
            kept--;
        }
        if (rota_sleep(ROTA_MS) < 0)
            break;
    }
    return 0;
}

static int echo(struct rota_stream *stream, void *arg)
{
    char byte;
    ssize_t n;
    (void)arg;
    while ((n = rota_stream_read(stream, &byte, 1)) > 0)
        if ((n = rota_stream_write(stream, &byte, 1)) < 0)
            break;
    return (int)n;
}

static ssize_t ask(struct rota_stream *stream)
{
    char byte = (char)sim_draw(256);
    char got = 0;
    int64_t begun_ns = rota_time_ns();
    ssize_t n = rota_stream_write(stream, &byte, 1);
    if (n >= 0)
        n = rota_stream_readexactly(stream, &got, 1);
    if (n == 1) {
        SIM_ASSERT(got == byte);
        SIM_ASSERT(rota_time_ns() - begun_ns < ANSWERED_NS);
    }
    return n;
}

static int client(void *arg)
{
    struct rota_stream *stream;
    (void)arg;
    int64_t begun_ns = rota_time_ns();
    ssize_t n = rota_stream_connect(&stream, &server_addr, NULL);
    SIM_ASSERT(rota_time_ns() - begun_ns < ANSWERED_NS);
    if (n == 0) {
        for (int i = 0; i < REQUESTS && n >= 0; i++) {
            n = ask(stream);
            begun_ns = rota_time_ns();
            if (n >= 0)
                n = rota_sleep((1 + sim_draw(4)) * ROTA_MS);
            SIM_ASSERT(rota_time_ns() - begun_ns < ANSWERED_NS);
        }
        rota_stream_close(stream);
        rota_stream_unref(stream);
    }
    clients_left--;
    return 0;
}

static int serve_clients(void *arg)
{
    struct rota_task *tasks[CLIENTS_MAX + 3];
    struct rota_server_opts opts = {.accept = (enum rota_accept)sim_draw(3)};
    struct rota_server *server;
    unsigned count = 0;
    (void)arg;
    loop_count = (unsigned)rota_runtime_loop_count(rota_running_runtime());
    kept = 0;
    SIM_ASSERT(rota_addr_parse(&server_addr, "127.0.0.1:0") == 0);
    if (rota_server_create(&server, &server_addr, echo, NULL, &opts) < 0)
        return 0;
    SIM_ASSERT(rota_server_addr(server, &server_addr) == 0);
    /* Counted before they are spawned: on another loop the first may have ended by then. */
    clients_left = 1 + sim_draw(CLIENTS_MAX);
    for (uint32_t wanted = clients_left; count < wanted; count++)
        if (rota_task_spawn(&tasks[count], client, NULL, NULL) < 0) {
            clients_left -= wanted - count;
            break;
        }
    for (unsigned i = 1; i < loop_count; i++)
        if (rota_task_spawn(&tasks[count], keep, NULL, NULL) == 0)
            count++;
    scenario_join(tasks, count);
    rota_server_close(server);
    rota_server_close_clients(server);
    SIM_ASSERT(rota_server_wait_closed(server) == 0);
    rota_server_unref(server);
    return 0;
}

static void run_blocked(void)
{
    scenario_run_helped(serve_clients, NULL);
}

const struct sim_scenario scenario_blocked = {"blocked", run_blocked, STEPS_MAX};
