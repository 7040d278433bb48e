/* SPDX-License-Identifier: MIT */
/*
 * peers.h - programs that do some of the benches with another runtime, where they were built.
 *
 * A peer lies beside rota-bench as peers/peer-<name>. `peer-<name> --list` prints the names of its
 * benches, one a line; `peer-<name> NAME N LOOPS` does one run and prints one JSON line with a
 * member "value".
 */
#ifndef ROTI_BENCH_PEERS_H
#define ROTI_BENCH_PEERS_H

#include "tools/bench/run.h"

/* Says on `stderr` which peers are not built, and from which Debian packages they would be. Returns
 * how many are missing. */
unsigned peers_report_missing(void);

/* Names the peers that have this bench in sides[0..]. Returns how many. */
unsigned peers_with(const char *bench, struct run_side sides[RUN_PEERS_MAX]);

/* One run of a peer. 0 with *ret_value set, or a negative error. */
int peer_run(const char *peer, const char *bench, uint64_t n, unsigned loops, double *ret_value);

#endif
