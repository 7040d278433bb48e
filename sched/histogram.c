/* SPDX-License-Identifier: MIT */
/*
 * histogram.c - reading histograms, and what can be asked of a snapshot. The essay is in
 * sched/histogram.h.
 */
#include "sched/histogram.h"

#include <errno.h>

_Static_assert(ROTA_HISTOGRAM_BUCKETS ==
                   (ROTI_HISTOGRAM_TOP - ROTI_HISTOGRAM_BITS + 1) * (1U << ROTI_HISTOGRAM_BITS) + 1,
               "the public header counts the buckets");

void roti_histogram_read(const struct roti_histogram *histogram, struct rota_histogram *sum)
{
    unsigned last = 0;
    /* [HG5], [HG6], [HG7] relaxed: each figure is exact by itself; see the essay. */
    sum->sum_ns += roti_load(HG6, relaxed, &histogram->sum_ns);
    for (unsigned i = 0; i < ROTA_HISTOGRAM_BUCKETS; i++) {
        uint64_t count = roti_load(HG7, relaxed, &histogram->buckets[i]);
        sum->buckets[i] += count;
        sum->count += count;
        last = count > 0 ? i : last;
    }
    uint64_t max_ns = roti_load(HG5, relaxed, &histogram->max_ns);
    if (roti_histogram_bucket(max_ns) < last)
        max_ns = (uint64_t)rota_histogram_bound(last);
    sum->max_ns = sum->max_ns > max_ns ? sum->max_ns : max_ns;
}

int64_t rota_histogram_bound(unsigned bucket)
{
    if (bucket >= ROTA_HISTOGRAM_BUCKETS - 1)
        return INT64_MAX;
    if (bucket < 2 * ROTI_HISTOGRAM_PARTS)
        return (int64_t)bucket + 1;
    unsigned shift = (bucket >> ROTI_HISTOGRAM_BITS) - 1;
    return (int64_t)(bucket % ROTI_HISTOGRAM_PARTS + ROTI_HISTOGRAM_PARTS + 1) << shift;
}

int64_t rota_histogram_quantile(const struct rota_histogram *histogram, double q)
{
    if (histogram == NULL || !(q >= 0 && q <= 1)) /* that is false for what is not a number, too */
        return -EINVAL;
    double rank = q * (double)histogram->count;
    uint64_t seen = 0;
    for (unsigned i = 0; i < ROTA_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && (double)seen >= rank) {
            uint64_t bound_ns = (uint64_t)rota_histogram_bound(i);
            return (int64_t)(bound_ns < histogram->max_ns ? bound_ns : histogram->max_ns);
        }
    }
    return 0;
}

uint64_t rota_histogram_count_to(const struct rota_histogram *histogram, int64_t limit_ns)
{
    uint64_t count = 0;
    if (histogram == NULL)
        return 0;
    for (unsigned i = 0; i < ROTA_HISTOGRAM_BUCKETS && rota_histogram_bound(i) <= limit_ns; i++)
        count += histogram->buckets[i];
    return count;
}

int rota_histogram_add(struct rota_histogram *histogram, const struct rota_histogram *other)
{
    if (histogram == NULL || other == NULL)
        return -EINVAL;
    histogram->count += other->count;
    histogram->sum_ns += other->sum_ns;
    if (histogram->max_ns < other->max_ns)
        histogram->max_ns = other->max_ns;
    for (unsigned i = 0; i < ROTA_HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] += other->buckets[i];
    return 0;
}

int rota_histogram_subtract(struct rota_histogram *histogram, const struct rota_histogram *earlier)
{
    if (histogram == NULL || earlier == NULL)
        return -EINVAL;
    for (unsigned i = 0; i < ROTA_HISTOGRAM_BUCKETS; i++)
        if (earlier->buckets[i] > histogram->buckets[i])
            return -EINVAL;
    histogram->count -= earlier->count;
    /* The sum may lag behind the buckets in one snapshot and not in the other. */
    histogram->sum_ns -= earlier->sum_ns < histogram->sum_ns ? earlier->sum_ns : histogram->sum_ns;
    for (unsigned i = 0; i < ROTA_HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] -= earlier->buckets[i];
    return 0;
}
