/* SPDX-License-Identifier: MIT */
/*
 * wheel_oracle_test.cc - a million random operations on the timing wheel and on an ordered set.
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "loop/wheel.h"

namespace {

constexpr int64_t kNever = INT64_MAX;
constexpr int64_t kHour = int64_t{3600} * 1000 * 1000 * 1000;

class Oracle {
public:
    Oracle(uint64_t seed, size_t node_count, int64_t start_ns)
        : random(seed), nodes(node_count), now_ns(start_ns)
    {
        roti_wheel_init(&wheel, start_ns);
    }

    void step()
    {
        roti_wheel_node &node = nodes[random() % nodes.size()];
        switch (random() % 8) {
        case 0:
            advance();
            break;
        case 1:
        case 2:
            cancel(node);
            break;
        default:
            if (node.place == ROTI_WHEEL_OUT)
                add(node);
            else if (random() % 4 == 0)
                cancel(node);
        }
        check();
    }

    void finish()
    {
        while (order.size() > never_count && !::testing::Test::HasFatalFailure()) {
            now_ns = std::max(now_ns, order.begin()->first);
            fire();
        }
    }

private:
    /* As often near as far: the number of bits is uniform, not the number. */
    int64_t distance(unsigned bits_max)
    {
        return static_cast<int64_t>(random() >> (64 - bits_max + random() % bits_max));
    }

    int64_t deadline()
    {
        int64_t room_ns = kNever - now_ns;
        int64_t later_ns = now_ns + std::min(distance(62), room_ns);
        switch (random() % 16) {
        case 0:
            return now_ns - std::min(distance(40), now_ns + 1);
        case 1:
            return kNever;
        case 2: /* an edge of some level */
            return later_ns &
                   -(int64_t{1} << (ROTI_WHEEL_TICK_BITS +
                                    random() % ROTI_WHEEL_LEVEL_COUNT * ROTI_WHEEL_DIGIT_BITS));
        case 3:
        case 4: /* a tie */
            return order.empty() ? now_ns : order.begin()->first;
        default:
            return later_ns;
        }
    }

    void add(roti_wheel_node &node)
    {
        roti_wheel_add(&wheel, &node, deadline());
        ASSERT_TRUE(order.emplace(node.deadline_ns, node.sequence).second);
        never_count += node.deadline_ns == kNever;
    }

    void cancel(roti_wheel_node &node)
    {
        bool linked = node.place != ROTI_WHEEL_OUT;
        ASSERT_EQ(roti_wheel_remove(&wheel, &node), linked);
        if (linked) {
            ASSERT_EQ(order.erase({node.deadline_ns, node.sequence}), 1u);
            never_count -= node.deadline_ns == kNever;
        }
    }

    void advance()
    {
        if (random() % 2 == 0)
            now_ns += std::min(distance(random() % 64 == 0 ? 56 : 30), kNever - 1 - now_ns);
        else if (int64_t next_ns = roti_wheel_next_deadline(&wheel); next_ns != kNever)
            if (next_ns - now_ns < kHour || random() % 64 == 0)
                now_ns = std::max(now_ns, next_ns);
        fire();
    }

    /* All that is due, in order; sometimes not all of it, as a loop with a budget does. */
    void fire()
    {
        bool stops_early = random() % 8 == 0;
        for (;;) {
            roti_wheel_node *node = roti_wheel_expire(&wheel, now_ns);
            if (node == nullptr && roti_wheel_next_deadline(&wheel) <= now_ns)
                continue; /* a cascade goes on */
            if (node == nullptr)
                break;
            ASSERT_LE(node->deadline_ns, now_ns);
            ASSERT_FALSE(order.empty());
            ASSERT_EQ(*order.begin(), std::pair(node->deadline_ns, node->sequence));
            order.erase(order.begin());
            if (stops_early && random() % 4 == 0)
                return;
        }
        ASSERT_TRUE(order.empty() || order.begin()->first > now_ns);
        ASSERT_GT(roti_wheel_next_deadline(&wheel), now_ns);
    }

    void check()
    {
        ASSERT_EQ(wheel.count, order.size());
        int64_t earliest_ns = order.empty() ? kNever : order.begin()->first;
        int64_t next_ns = roti_wheel_next_deadline(&wheel);
        ASSERT_LE(next_ns, earliest_ns);
        if (nodes.size() <= ROTI_WHEEL_SCAN_MAX && earliest_ns > now_ns) {
            ASSERT_EQ(next_ns, earliest_ns);
        }
    }

    std::mt19937_64 random;
    std::vector<roti_wheel_node> nodes;
    std::set<std::pair<int64_t, uint64_t>> order;
    size_t never_count = 0;
    int64_t now_ns;
    roti_wheel wheel;
};

class WheelOracle : public ::testing::TestWithParam<size_t> {};

/* Over all sizes: 10^6 operations. */
TEST_P(WheelOracle, RandomOperationsAgree)
{
    for (uint64_t seed = 1; seed <= 25; seed++) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Oracle oracle(seed, GetParam(), seed % 3 == 0 ? 0 : static_cast<int64_t>(seed) * kHour + 1);
        for (int i = 0; i < 10 * 1000 && !HasFatalFailure(); i++)
            oracle.step();
        oracle.finish();
    }
}

INSTANTIATE_TEST_SUITE_P(NodeCounts, WheelOracle,
                         ::testing::Values(ROTI_WHEEL_SCAN_MAX, 100, 1000, 5000));

} // namespace
