/* SPDX-License-Identifier: MIT */
/*
 * histogram.h - snapshots of histograms of durations, and what can be asked of them.
 *
 * A bucket holds durations above the bound of the one before it, up to its own bound. Bounds are
 * every nanosecond up to 16, then eight in each power of two up to 2^40 ns, which is 18 minutes;
 * the last bucket has no bound. So whatever is answered by a bound is never too low, and too high
 * by less than an eighth of the true value.
 */
#ifndef ROTA_HISTOGRAM_H
#define ROTA_HISTOGRAM_H

#include <rota/base.h>

ROTA_BEGIN_DECLS

#define ROTA_HISTOGRAM_BUCKETS 305

/* A snapshot. Two of them may be added, or one subtracted from a later one of the same source. */
struct rota_histogram {
    uint64_t count;  /* durations, always the sum of all buckets */
    uint64_t sum_ns; /* of all durations */
    uint64_t max_ns; /* the longest one */
    uint64_t buckets[ROTA_HISTOGRAM_BUCKETS];
};

/*
 * The longest duration that a bucket holds.
 *
 * Returns: nanoseconds; INT64_MAX for the last bucket, and for what is none.
 * Errors: none.
 * Call from: anywhere. Suspends: no.
 * Ownership: none.
 */
ROTA_API int64_t rota_histogram_bound(unsigned bucket);

/*
 * The duration that the share `q` of all durations does not exceed: 0.5 for the median, 0.999 for
 * p99.9, 1 for the longest.
 *
 * Returns: nanoseconds, a bound or max_ns if that is less; 0 for an empty histogram.
 * Errors: -EINVAL (NULL, or `q` not from 0 to 1).
 * Call from: anywhere. Suspends: no.
 * Ownership: `histogram` is borrowed.
 */
ROTA_API int64_t rota_histogram_quantile(const struct rota_histogram *histogram, double q);

/*
 * How many durations were not longer than `limit_ns`, by the buckets whose bounds are not.
 *
 * Returns: the count; 0 for NULL. Too low by what shares a bucket with `limit_ns`, unless that is a
 * bound; every power of two up to 2^40 is one.
 * Errors: none.
 * Call from: anywhere. Suspends: no.
 * Ownership: `histogram` is borrowed.
 */
ROTA_API uint64_t rota_histogram_count_to(const struct rota_histogram *histogram, int64_t limit_ns);

/*
 * Add one histogram to another: that of two loops together, or of two runs.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL).
 * Call from: anywhere. Suspends: no.
 * Ownership: both are the caller's; `other` is borrowed, and may be the same one.
 */
ROTA_API int rota_histogram_add(struct rota_histogram *histogram,
                                const struct rota_histogram *other);

/*
 * Subtract an earlier snapshot from a later one of the same source: what came between. max_ns
 * stays, as nobody knows when that was, and is then only a bound.
 *
 * Returns: 0.
 * Errors: -EINVAL (NULL, or `earlier` has more in some bucket, so that it is none; nothing is
 * changed then).
 * Call from: anywhere. Suspends: no.
 * Ownership: both are the caller's; `earlier` is borrowed, and may be the same one.
 */
ROTA_API int rota_histogram_subtract(struct rota_histogram *histogram,
                                     const struct rota_histogram *earlier);

ROTA_END_DECLS

#endif
