/* SPDX-License-Identifier: MIT */
/*
 * histogram_test.cc - buckets, their bounds and quantiles, against plain arithmetic on the values.
 */
#include "sched/histogram.h"
#include "tests/support/splitmix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace {

constexpr std::uint64_t TOP = std::uint64_t(1) << ROTI_HISTOGRAM_TOP;

/* Values around everything that could be a bound, and some at random on a logarithmic scale. */
std::vector<std::uint64_t> interesting_values()
{
    std::vector<std::uint64_t> values;
    for (std::uint64_t i = 0; i < 1000; i++)
        values.push_back(i);
    for (int bits = 4; bits < 64; bits++)
        for (std::uint64_t part = 0; part < 16; part++)
            for (std::uint64_t near = 0; near < 5; near++)
                values.push_back((std::uint64_t(1) << bits) + (part << bits >> 4) + near - 2);
    values.push_back(std::numeric_limits<std::uint64_t>::max());
    std::uint64_t state = 1;
    for (int i = 0; i < 100000; i++)
        values.push_back(splitmix_next(&state) >> splitmix_below(&state, 64));
    return values;
}

std::uint64_t bound(unsigned bucket)
{
    return std::uint64_t(rota_histogram_bound(bucket));
}

TEST(Histogram, BoundsAreAsThePublicHeaderSays)
{
    std::vector<std::uint64_t> expected;
    for (std::uint64_t ns = 1; ns <= 16; ns++)
        expected.push_back(ns);
    for (std::uint64_t low = 16; low < TOP; low *= 2)
        for (std::uint64_t part = 1; part <= 8; part++)
            expected.push_back(low + part * low / 8);
    expected.push_back(std::uint64_t(INT64_MAX));
    ASSERT_EQ(std::size_t(ROTA_HISTOGRAM_BUCKETS), expected.size());
    for (unsigned i = 0; i < ROTA_HISTOGRAM_BUCKETS; i++)
        EXPECT_EQ(expected[i], bound(i)) << i;
    EXPECT_EQ(INT64_MAX, rota_histogram_bound(ROTA_HISTOGRAM_BUCKETS));
    EXPECT_EQ(INT64_MAX, rota_histogram_bound(UINT_MAX));
}

/* A bucket holds what is above the bound before it and not above its own. */
TEST(Histogram, EachValueIsInTheOneBucketThatHoldsIt)
{
    for (std::uint64_t value : interesting_values()) {
        unsigned bucket = roti_histogram_bucket(value);
        ASSERT_LT(bucket, unsigned(ROTA_HISTOGRAM_BUCKETS)) << value;
        bool last = bucket == ROTA_HISTOGRAM_BUCKETS - 1;
        EXPECT_TRUE(last ? value > TOP : value <= bound(bucket)) << value;
        EXPECT_TRUE(bucket == 0 || value > bound(bucket - 1)) << value;
        EXPECT_TRUE(last || value == 0 || double(bound(bucket)) <= 1.125 * double(value)) << value;
    }
}

class Recorded : public testing::Test {
protected:
    void record(std::uint64_t ns)
    {
        roti_histogram_record(&histogram_, ns);
        values_.push_back(ns);
    }

    rota_histogram read() const
    {
        rota_histogram snapshot = {};
        roti_histogram_read(&histogram_, &snapshot);
        return snapshot;
    }

    roti_histogram histogram_ = {};
    std::vector<std::uint64_t> values_;
};

TEST_F(Recorded, SnapshotsHaveAllOfIt)
{
    std::uint64_t sum = 0;
    for (std::uint64_t ns : {0, 1, 5, 5, 1000, 123456789})
        record(ns), sum += ns;
    record(TOP + 1);
    rota_histogram snapshot = read();
    EXPECT_EQ(7u, snapshot.count);
    EXPECT_EQ(sum + TOP + 1, snapshot.sum_ns);
    EXPECT_EQ(TOP + 1, snapshot.max_ns);
    EXPECT_EQ(2u, snapshot.buckets[0]); /* 0 and 1 */
    EXPECT_EQ(2u, snapshot.buckets[4]); /* above 4, up to 5 */
    EXPECT_EQ(1u, snapshot.buckets[ROTA_HISTOGRAM_BUCKETS - 1]);
    EXPECT_EQ(4u, rota_histogram_count_to(&snapshot, 5));
    EXPECT_EQ(4u, rota_histogram_count_to(&snapshot, 959)); /* 1000 is in the bucket up to 1024 */
    EXPECT_EQ(4u, rota_histogram_count_to(&snapshot, 1023));
    EXPECT_EQ(5u, rota_histogram_count_to(&snapshot, 1024));
    EXPECT_EQ(6u, rota_histogram_count_to(&snapshot, std::int64_t(TOP)));
    EXPECT_EQ(7u, rota_histogram_count_to(&snapshot, INT64_MAX));
    EXPECT_EQ(0u, rota_histogram_count_to(&snapshot, 0));
    EXPECT_EQ(0u, rota_histogram_count_to(&snapshot, -1));
    EXPECT_EQ(0u, rota_histogram_count_to(nullptr, 5));
}

/* Against the sorted values: never too low, too high by less than an eighth, exact at the end. */
TEST_F(Recorded, QuantilesAreWithinTheirBound)
{
    std::uint64_t state = 2;
    for (int i = 0; i < 20001; i++)
        record(std::uint64_t(splitmix_below(&state, 1000)) << splitmix_below(&state, 20));
    rota_histogram snapshot = read();
    std::vector<std::uint64_t> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    for (double q : {0.0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0}) {
        auto rank = std::size_t(std::max(1.0, std::ceil(q * double(sorted.size()))));
        auto answer = std::uint64_t(rota_histogram_quantile(&snapshot, q));
        std::uint64_t truth = sorted[rank - 1];
        EXPECT_GE(answer, truth) << q;
        EXPECT_LE(double(answer), std::max(1.0, 1.125 * double(truth))) << q;
    }
    EXPECT_EQ(sorted.back(), std::uint64_t(rota_histogram_quantile(&snapshot, 1)));
}

TEST_F(Recorded, QuantilesOfNothingAndOfOne)
{
    rota_histogram snapshot = read();
    EXPECT_EQ(0, rota_histogram_quantile(&snapshot, 0));
    EXPECT_EQ(0, rota_histogram_quantile(&snapshot, 0.5));
    EXPECT_EQ(0, rota_histogram_quantile(&snapshot, 1));
    record(1000);
    snapshot = read();
    EXPECT_EQ(1000, rota_histogram_quantile(&snapshot, 0)); /* not the bound, as none was longer */
    EXPECT_EQ(1000, rota_histogram_quantile(&snapshot, 0.999));
    EXPECT_EQ(-EINVAL, rota_histogram_quantile(nullptr, 0.5));
    EXPECT_EQ(-EINVAL, rota_histogram_quantile(&snapshot, -0.001));
    EXPECT_EQ(-EINVAL, rota_histogram_quantile(&snapshot, 1.001));
    EXPECT_EQ(-EINVAL, rota_histogram_quantile(&snapshot, std::nan("")));
}

TEST_F(Recorded, AddedAndSubtracted)
{
    record(10);
    record(1000);
    rota_histogram earlier = read();
    record(20);
    record(500000);
    rota_histogram later = read();
    rota_histogram between = later;
    EXPECT_EQ(0, rota_histogram_subtract(&between, &earlier));
    EXPECT_EQ(2u, between.count);
    EXPECT_EQ(500020u, between.sum_ns);
    EXPECT_EQ(500000u, between.max_ns);
    EXPECT_EQ(20, rota_histogram_quantile(&between, 0.5));
    EXPECT_EQ(-EINVAL, rota_histogram_subtract(&between, &later)) << "that has more";
    EXPECT_EQ(2u, between.count) << "changed by a call that failed";
    rota_histogram sum = earlier;
    EXPECT_EQ(0, rota_histogram_add(&sum, &between));
    EXPECT_EQ(0, std::memcmp(&sum, &later, sizeof sum));
    EXPECT_EQ(0, rota_histogram_add(&sum, &sum));
    EXPECT_EQ(8u, sum.count);
    EXPECT_EQ(0, rota_histogram_subtract(&sum, &sum));
    EXPECT_EQ(0u, sum.count);
    EXPECT_EQ(0u, sum.sum_ns);
    EXPECT_EQ(-EINVAL, rota_histogram_add(nullptr, &later));
    EXPECT_EQ(-EINVAL, rota_histogram_add(&sum, nullptr));
    EXPECT_EQ(-EINVAL, rota_histogram_subtract(nullptr, &later));
    EXPECT_EQ(-EINVAL, rota_histogram_subtract(&sum, nullptr));
}

/* A reader may see a bucket before the longest time that belongs to it. */
TEST_F(Recorded, TheLongestAgreesWithTheBuckets)
{
    record(10);
    histogram_.buckets[roti_histogram_bucket(1000)].store(1);
    rota_histogram snapshot = read();
    EXPECT_EQ(1024u, snapshot.max_ns);
    EXPECT_EQ(1024, rota_histogram_quantile(&snapshot, 1));
}

} /* namespace */
