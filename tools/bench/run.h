/* SPDX-License-Identifier: MIT */
/*
 * run.h - rounds: each side of a bench once, then again, so that all see the same machine.
 */
#ifndef ROTI_BENCH_RUN_H
#define ROTI_BENCH_RUN_H

#include "tools/bench/bench.h"

#define RUN_ROUNDS_MAX 1000
#define RUN_PEERS_MAX 4

/* What the user asked for. */
struct run_opts {
    uint64_t n;     /* 0: the bench's */
    unsigned loops; /* 0: the bench's */
    unsigned runs;  /* 0: the bench's */
    bool aa;        /* the baseline on both sides */
    bool peers;     /* those that have the bench, in the same rounds */
    bool only_rota; /* no other side, for profilers */
    bool only_baseline;
};

/* The figures of one side, one a round. */
struct run_side {
    const char *name; /* NULL: this side was not run */
    unsigned count;
    double values[RUN_ROUNDS_MAX];
    struct bench_notes notes[RUN_ROUNDS_MAX];
};

struct run_result {
    const struct bench *bench;
    uint64_t n;
    unsigned loops;
    double others_busy; /* the share of all CPUs that others used meanwhile */
    struct run_side rota;
    struct run_side baseline;
    struct run_side peers[RUN_PEERS_MAX];
    unsigned peer_count;
};

/* Runs one bench. 0 with *ret_result filled, or the negative error of the first side that failed.
 */
int run_bench(const struct bench *bench, const struct run_opts *opts,
              struct run_result *ret_result);

#endif
