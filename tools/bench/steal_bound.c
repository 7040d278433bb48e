/* SPDX-License-Identifier: MIT */
/*
 * steal_bound.c - what no scheduling could beat: the load of the stall generator, played against
 * one queue from which every thread takes the oldest message, at no cost, and without an idle
 * thread while one waits.
 *
 * Design.     Events in virtual time. The client is one thread with a queue of its own: it works
 *             half of its time per message when it sends, half when it takes the answer. A server
 *             thread works server_ns, and the stall where there is one. There is no other delay: no
 *             wire, no wake, no switch. Where more of them have work than there are CPUs, the
 *             client has one to itself, and the servers share the rest: it is the one thread that
 *             nobody can help, so that whatever slows it down would lower the bound.
 * Parted.     The same with users, a thread and a queue for each: the reference, idealised.
 * Limits.     The queue is first come, first served. An order that lets short work pass would have
 *             lower percentiles, but not more throughput.
 */
#include "tools/bench/steal_bound.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Room for all users: each is in one queue at most. */
struct fifo {
    struct steal_user *items[STEAL_USERS];
    unsigned first;
    unsigned count;
};

/* A thread that works. */
struct worker {
    struct steal_user *user; /* whose message it has; NULL: idle */
    double left_ns;
    bool receives; /* the client: it takes the answer; else it sends */
};

struct bound {
    const struct steal_server *server;
    double now_ns;
    struct fifo to_send;
    struct fifo *to_serve; /* one, or for each thread one */
    struct fifo to_receive;
    struct worker client;
    struct worker *servers;
    struct steal_users users;
};

static void push(struct fifo *fifo, struct steal_user *user)
{
    fifo->items[(fifo->first + fifo->count++) % STEAL_USERS] = user;
}

static struct steal_user *pop(struct fifo *fifo)
{
    if (fifo->count == 0)
        return NULL;
    struct steal_user *user = fifo->items[fifo->first];
    fifo->first = (fifo->first + 1) % STEAL_USERS;
    fifo->count--;
    return user;
}

static struct fifo *queue_of(struct bound *bound, size_t index)
{
    return &bound->to_serve[bound->server->parted ? index % bound->server->threads : 0];
}

/* ---- Work begins ---- */

static void begin_client(struct bound *bound)
{
    /* Answers first, as the client does that has both. */
    struct steal_user *user = pop(&bound->to_receive);
    bool receives = user != NULL;
    if (!receives)
        user = pop(&bound->to_send);
    bound->client = (struct worker){user, bound->server->costs.client_ns / 2, receives};
}

static void begin_server(struct bound *bound, unsigned index)
{
    struct steal_user *user = pop(queue_of(bound, index));
    double stall_ns = user != NULL && user->stalled ? (double)STEAL_STALL_NS : 0;
    bound->servers[index] = (struct worker){user, bound->server->costs.server_ns + stall_ns, false};
}

/* Nobody is idle who could work. */
static void begin(struct bound *bound)
{
    struct steal_user *user;
    while ((user = steal_users_due(&bound->users, (int64_t)bound->now_ns)) != NULL)
        push(&bound->to_send, user);
    if (bound->client.user == NULL)
        begin_client(bound);
    for (unsigned i = 0; i < bound->server->threads; i++)
        if (bound->servers[i].user == NULL)
            begin_server(bound, i);
}

/* ---- Work ends ---- */

static bool is_done(const struct worker *worker)
{
    return worker->user != NULL && worker->left_ns < 1e-3;
}

static void end_client(struct bound *bound)
{
    struct steal_user *user = bound->client.user;
    bound->client.user = NULL;
    if (!bound->client.receives)
        push(queue_of(bound, (size_t)(user - bound->users.users)), user);
    else if (steal_users_answered(&bound->users, user, (int64_t)bound->now_ns))
        push(&bound->to_send, user);
}

static void end(struct bound *bound)
{
    if (is_done(&bound->client))
        end_client(bound);
    for (unsigned i = 0; i < bound->server->threads; i++)
        if (is_done(&bound->servers[i])) {
            push(&bound->to_receive, bound->servers[i].user);
            bound->servers[i].user = NULL;
        }
}

/* ---- Time ---- */

/* The share of a CPU that each server with work has, and the least work that one has left. */
static double share_of(const struct bound *bound, double *ret_least_ns)
{
    unsigned busy = 0;
    double least_ns = INFINITY;
    for (unsigned i = 0; i < bound->server->threads; i++)
        if (bound->servers[i].user != NULL) {
            busy++;
            least_ns = fmin(least_ns, bound->servers[i].left_ns);
        }
    *ret_least_ns = least_ns;
    double cpus = (double)bound->server->cpus - (bound->client.user != NULL);
    return busy <= cpus ? 1 : cpus / busy;
}

/* Goes on to the next thing that happens. */
static void step(struct bound *bound)
{
    double least_ns;
    begin(bound);
    double share = share_of(bound, &least_ns);
    double due_ns = fmax((double)steal_users_next(&bound->users), bound->now_ns + 1);
    double next_ns = fmin(due_ns, share > 0 ? bound->now_ns + least_ns / share : INFINITY);
    if (bound->client.user != NULL)
        next_ns = fmin(next_ns, bound->now_ns + bound->client.left_ns);
    double passed_ns = next_ns - bound->now_ns;
    bound->now_ns = next_ns;
    bound->client.left_ns -= passed_ns;
    for (unsigned i = 0; i < bound->server->threads; i++)
        bound->servers[i].left_ns -= passed_ns * share;
    end(bound);
}

static void play(struct bound *bound, const struct steal_plan *plan, struct steal_seen *seen)
{
    struct steal_users *users = &bound->users;
    for (unsigned i = 0; i < STEAL_USERS; i++)
        if (!plan->skewed || i % bound->server->threads == 0)
            users->victims[users->victim_count++] = &users->users[i];
    steal_users_start(users, plan, seen, 0);
    while (bound->now_ns < (double)users->end_ns)
        step(bound);
    steal_users_end(users, (int64_t)bound->now_ns);
}

int steal_bound(const struct steal_plan *plan, const struct steal_server *server,
                struct steal_seen *ret_seen)
{
    struct bound *bound = calloc(1, sizeof *bound);
    struct worker *workers = calloc(server->threads, sizeof *workers);
    struct fifo *queues = calloc(server->parted ? server->threads : 1, sizeof *queues);
    int r = bound == NULL || workers == NULL || queues == NULL ? -ENOMEM : 0;
    if (r == 0) {
        bound->server = server;
        bound->servers = workers;
        bound->to_serve = queues;
        play(bound, plan, ret_seen);
    }
    free(queues);
    free(workers);
    free(bound);
    return r;
}
