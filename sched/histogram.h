/* SPDX-License-Identifier: MIT */
/*
 * histogram.h - histograms that one thread writes and any thread reads.
 *
 * Problem.    Ready-waits and run times go from some ten nanoseconds to seconds, the tail is what
 *             is asked for, and a record at each step must cost a few nanoseconds.
 * Design.     Log-linear buckets: ROTI_HISTOGRAM_PARTS in each power of two, found by the position
 *             of the highest bit and the bits below it. A bucket is at most an eighth as wide as
 *             its lower end, so a quantile is at most 12.5 % too high, whatever the distribution.
 *             Half as many parts would make that 25 %, twice as many would double the memory, and
 *             neither would change what anybody does about it. Buckets are open below and closed
 *             above, as Prometheus has them, with powers of two among the bounds. The memory is
 *             fixed, there is no rescaling, and two histograms add up bucket by bucket.
 *             One writer, so a load and a store do instead of a read-modify-write. No count is
 *             kept: a snapshot sums its buckets, so that the two always agree. Sum and longest are
 *             read beside the buckets without an order: they may lack, or have too many of, what is
 *             recorded during the snapshot. A longest one that a bucket contradicts is corrected.
 * Rejected.   Buckets by the logarithm, a table look-up and floating point for no better error;
 *             a sketch that merges neighbours (t-digest), whose record may take a microsecond.
 * Threads.    record: the owner. read: any thread, in parallel with it.
 */
#ifndef ROTI_HISTOGRAM_H
#define ROTI_HISTOGRAM_H

#include <rota/histogram.h>

#include "sched/base/atomic.h"

#define ROTI_HISTOGRAM_BITS 3 /* parts in a power of two: 8 */
#define ROTI_HISTOGRAM_PARTS (1U << ROTI_HISTOGRAM_BITS)
#define ROTI_HISTOGRAM_TOP 40 /* the last bound is 2 to this */

struct roti_histogram {
    _Atomic(uint64_t) sum_ns;
    _Atomic(uint64_t) max_ns;
    _Atomic(uint64_t) buckets[ROTA_HISTOGRAM_BUCKETS];
};

/* The bucket that holds a duration. */
static inline unsigned roti_histogram_bucket(uint64_t ns)
{
    uint64_t below = ns - (ns > 0); /* so that a bound belongs to the bucket below it */
    if (below < 2 * ROTI_HISTOGRAM_PARTS)
        return (unsigned)below;
    if (below >= UINT64_C(1) << ROTI_HISTOGRAM_TOP)
        return ROTA_HISTOGRAM_BUCKETS - 1;
    unsigned shift = 63 - ROTI_HISTOGRAM_BITS - (unsigned)__builtin_clzll(below);
    return (shift << ROTI_HISTOGRAM_BITS) + (unsigned)(below >> shift);
}

/* Adds to a figure of which the caller is the only writer. */
static inline void roti_figure_add(_Atomic(uint64_t) *figure, uint64_t amount)
{
    /* [HG1], [HG2] relaxed: one writer; figures order nothing. */
    roti_store(HG1, relaxed, figure, roti_load(HG2, relaxed, figure) + amount);
}

static inline void roti_histogram_record(struct roti_histogram *histogram, uint64_t ns)
{
    roti_figure_add(&histogram->buckets[roti_histogram_bucket(ns)], 1);
    roti_figure_add(&histogram->sum_ns, ns);
    /* [HG3], [HG4] relaxed: as [HG1]. */
    if (ns > roti_load(HG3, relaxed, &histogram->max_ns))
        roti_store(HG4, relaxed, &histogram->max_ns, ns);
}

#ifdef __cplusplus
extern "C" {
#endif

/* Adds what has been recorded so far to a snapshot. */
void roti_histogram_read(const struct roti_histogram *histogram, struct rota_histogram *sum);

#ifdef __cplusplus
}
#endif

#endif
