/* SPDX-License-Identifier: MIT */
/*
 * peers.h - programs that do some of the benches with another runtime, where they were built.
 *
 * A peer lies beside rota-bench as peers/peer-<name>. `peer-<name> --list` prints the names of its
 * benches, one a line; `peer-<name> NAME N LOOPS` does one run and prints one JSON line with a
 * member "value". A name that ends in a dot stands for all benches that begin with it, in which the
 * peer is the server of rota-bench's client: `peer-<name> steal. 1 LOOPS` listens on the loopback
 * device, prints its port as the value, and serves until its input ends.
 */
#ifndef ROTI_BENCH_PEERS_H
#define ROTI_BENCH_PEERS_H

#include "tools/bench/run.h"

#include <stdio.h>
#include <sys/types.h>

/* Says on `stderr` which peers are not built, and from which Debian packages they would be. Returns
 * how many are missing. */
unsigned peers_report_missing(void);

/* Names the peers that have this bench in sides[0..]. Returns how many. */
unsigned peers_with(const char *bench, struct run_side sides[RUN_PEERS_MAX]);

/* One run of a peer. 0 with *ret_value set, or a negative error. */
int peer_run(const char *peer, const char *bench, uint64_t n, unsigned loops, double *ret_value);

/* A peer that serves. */
struct peer_server {
    pid_t child;
    FILE *output;
    int input;
    uint16_t port;
};

/* Starts the server of the benches that begin with `name`, which ends in a dot. 0, or a negative
 * error. */
int peer_serve(const char *peer, const char *name, unsigned loops, struct peer_server *ret_server);

/* Ends its input, once. */
void peer_stop(struct peer_server *server);

/* Waits for its end. 0 if it succeeded. */
int peer_wait(struct peer_server *server);

#endif
