/* SPDX-License-Identifier: MIT */
/*
 * pinned.c - the reference: a thread and an epoll for each loop, with its connections for good.
 *
 * What SO_REUSEPORT gives, but that connections are spread evenly. The same kernel and the same
 * costs, and nothing of rota: a thread takes the events of its epoll and serves them one by one.
 */
#include "tests/scaling/cost.h"

#include "loop/syscall.h"

#include <stdlib.h>

#define EVENTS 256
#define BATCH 16
#define SETTLE_NS INT64_C(2000000)

struct server {
    struct sim_thread *thread;
    int epoll_fd;
    unsigned open_count; /* connections that have not ended */
    int place;
};

static struct scale_source **sources;
static int *fds;
static struct load_totals *totals;

static void arrive(unsigned connection, uint64_t request)
{
    scale_source_arrive(sources[connection], request);
}

static void finish(void)
{
    scale_sums_end();
    *totals = scale_sums;
    for (unsigned i = 0; i < load.connections; i++)
        scale_source_end(sources[i]);
}

/* Until nothing is left on the connection, or it ends. */
static void serve_connection(struct server *server, uint64_t connection)
{
    uint64_t requests[BATCH];
    ssize_t n = sizeof requests;
    while (n == (ssize_t)sizeof requests) {
        n = roti_sys_recv(fds[connection], requests, sizeof requests, 0);
        for (ssize_t i = 0; i < n / (ssize_t)sizeof *requests; i++) {
            load_work(&server->place, load_service(requests[i]));
            if (load_done(requests[i]))
                finish();
        }
    }
    if (n != 0)
        return;
    roti_sys_close(fds[connection]); /* an event of its end may be under way */
    fds[connection] = -1;
    server->open_count--;
}

static void *serve(void *arg)
{
    struct server *server = arg;
    struct epoll_event events[EVENTS];
    while (server->open_count > 0) {
        int count = roti_sys_epoll_wait(server->epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            if (fds[events[i].data.u64] >= 0)
                serve_connection(server, events[i].data.u64);
    }
    return NULL;
}

static void open_connections(struct server *servers)
{
    for (unsigned i = 0; i < load.loops; i++)
        servers[i] = (struct server){.epoll_fd = roti_sys_epoll_create(), .place = -1};
    for (unsigned i = 0; i < load.connections; i++) {
        struct server *server = &servers[load_home(i)];
        sources[i] = scale_source_create(&fds[i]);
        (void)roti_sys_epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fds[i], EPOLLIN | EPOLLET, i);
        server->open_count++;
    }
}

/* The first server's thread is this one. */
static void run(void)
{
    struct server *servers = calloc(load.loops, sizeof *servers);
    sources = calloc(load.connections, sizeof(struct scale_source *));
    fds = calloc(load.connections, sizeof *fds);
    if (servers == NULL || sources == NULL || fds == NULL)
        sim_fail("no memory for connections");
    load_figures_begin();
    open_connections(servers);
    for (unsigned i = 1; i < load.loops; i++)
        servers[i].thread = sim_thread_start(serve, &servers[i]);
    sim_wait(servers, sim_now() + SETTLE_NS, "all wait");
    scale_sums_begin();
    load_begin(arrive);
    serve(&servers[0]);
    for (unsigned i = 1; i < load.loops; i++)
        while (!sim_thread_done(servers[i].thread))
            sim_wait(servers[i].thread, INT64_MAX, "join");
}

void load_serve_pinned(struct load_totals *ret_totals, bool fences)
{
    totals = ret_totals;
    scale_play(run, fences);
}
