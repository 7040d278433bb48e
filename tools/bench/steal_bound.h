/* SPDX-License-Identifier: MIT */
/*
 * steal_bound.h - the load of the stall generator against a simulated server.
 */
#ifndef ROTI_BENCH_STEAL_BOUND_H
#define ROTI_BENCH_STEAL_BOUND_H

#include "tools/bench/steal_users.h"

/* Processor time that a message without a stall takes. */
struct steal_costs {
    double server_ns;
    double client_ns;
};

/* The machine and the server of a simulation. */
struct steal_server {
    struct steal_costs costs;
    unsigned threads;
    unsigned cpus;
    bool parted; /* each thread has users and a queue of its own; else one queue for all */
};

/* Plays the plan's load against such a server. 0 with what the client would see in *ret_seen, which
 * is zero before; or -ENOMEM. */
int steal_bound(const struct steal_plan *plan, const struct steal_server *server,
                struct steal_seen *ret_seen);

#endif
