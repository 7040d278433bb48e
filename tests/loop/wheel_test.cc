/* SPDX-License-Identifier: MIT */
/*
 * wheel_test.cc - the timing wheel: exact order, never early, whatever the distance (H45 to H48).
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "loop/wheel.h"
#include "tests/support/support.h"

namespace {

constexpr int64_t kNever = INT64_MAX;
constexpr int64_t kSecond = 1000 * 1000 * 1000;
constexpr int64_t kHour = 3600 * kSecond;
constexpr int64_t kYear = 365 * 24 * kHour;
constexpr int64_t kTick = int64_t{1} << ROTI_WHEEL_TICK_BITS;

/* The width of a slot of `level`; that of level 8 would be past the end of time. */
constexpr int64_t slot_width(int level)
{
    return kTick << (level * ROTI_WHEEL_DIGIT_BITS);
}

class Wheel : public ::testing::Test {
protected:
    void start(int64_t now_ns)
    {
        roti_wheel_init(&wheel, now_ns);
    }

    /* The next due timer, over as many calls as a large cascade takes. */
    roti_wheel_node *expire(int64_t now_ns)
    {
        for (;;) {
            roti_wheel_node *node = roti_wheel_expire(&wheel, now_ns);
            if (node != nullptr || roti_wheel_next_deadline(&wheel) > now_ns)
                return node;
        }
    }

    /* How often a loop without other work wakes from now until its wheel is empty. */
    int count_wakes()
    {
        int wake_count = 0;
        while (roti_wheel_next_deadline(&wheel) != kNever) {
            int64_t now_ns = roti_wheel_next_deadline(&wheel);
            wake_count++;
            while (expire(now_ns) != nullptr)
                continue;
        }
        return wake_count;
    }

    roti_wheel wheel;
};

std::vector<roti_wheel_node> make_nodes(size_t count)
{
    return std::vector<roti_wheel_node>(count);
}

TEST_F(Wheel, EmptyWheelNeverFires)
{
    start(0);
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), kNever);
    EXPECT_EQ(roti_wheel_expire(&wheel, 0), nullptr);
    EXPECT_EQ(roti_wheel_expire(&wheel, kNever), nullptr);
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), kNever);
    EXPECT_EQ(roti_wheel_drain(&wheel), nullptr);
    EXPECT_EQ(wheel.count, 0u);
}

/* ---- H46: boundaries, overflow, never ---- */

/* One timer, met first at each of `visits`, then one nanosecond early, then on time. */
void expect_fires_exactly(int64_t now_ns, int64_t deadline_ns, const std::vector<int64_t> &visits)
{
    SCOPED_TRACE(testing::Message() << "now " << now_ns << ", deadline " << deadline_ns);
    auto wheel = std::make_unique<roti_wheel>();
    roti_wheel_node node = {};
    roti_wheel_init(wheel.get(), now_ns);
    roti_wheel_add(wheel.get(), &node, deadline_ns);
    for (int64_t visit_ns : visits) {
        if (visit_ns < now_ns || visit_ns >= deadline_ns)
            continue;
        ASSERT_EQ(roti_wheel_expire(wheel.get(), visit_ns), nullptr);
        ASSERT_EQ(roti_wheel_next_deadline(wheel.get()), deadline_ns);
    }
    if (deadline_ns > now_ns) {
        ASSERT_EQ(roti_wheel_expire(wheel.get(), deadline_ns - 1), nullptr);
    }
    ASSERT_EQ(roti_wheel_next_deadline(wheel.get()), deadline_ns);
    ASSERT_EQ(roti_wheel_expire(wheel.get(), std::max(now_ns, deadline_ns)), &node);
    ASSERT_EQ(roti_wheel_expire(wheel.get(), std::max(now_ns, deadline_ns)), nullptr);
    ASSERT_EQ(node.place, ROTI_WHEEL_OUT);
    ASSERT_EQ(node.deadline_ns, deadline_ns);
    ASSERT_EQ(wheel->count, 0u);
}

TEST(WheelH46, FiresExactlyAtEveryLevelEdge)
{
    std::mt19937_64 random(46);
    for (int64_t now_ns : {int64_t{0}, int64_t{12345}, kTick - 1, kTick, 10 * kYear + 1}) {
        for (int level = 0; level < ROTI_WHEEL_LEVEL_COUNT; level++) {
            int64_t width = slot_width(level);
            int64_t aligned = (now_ns / width + 1) * width;
            for (int64_t edge : {width, now_ns + width, aligned, aligned + 62 * (width / 64)}) {
                for (int64_t deadline : {edge - 1, edge, edge + 1}) {
                    std::vector<int64_t> visits;
                    for (int i = 0; i < 8 && deadline > now_ns; i++)
                        visits.push_back(
                            now_ns + static_cast<int64_t>(random() % uint64_t(deadline - now_ns)));
                    visits.push_back(deadline - deadline % width);
                    std::sort(visits.begin(), visits.end());
                    expect_fires_exactly(now_ns, deadline, visits);
                    expect_fires_exactly(now_ns, deadline, {});
                }
            }
        }
    }
}

TEST(WheelH46, HugeDeadlinesDoNotOverflow)
{
    const int64_t two_62 = int64_t{1} << 62;
    for (int64_t now_ns : {int64_t{0}, kYear, 200 * kYear})
        for (int64_t deadline : {two_62 - 1, two_62, two_62 + 1, kNever - 2, kNever - 1})
            expect_fires_exactly(now_ns, deadline,
                                 {now_ns, now_ns + 1, now_ns + kHour, now_ns + 10 * kYear});
    expect_fires_exactly(kNever - 1, kNever - 1, {});
    expect_fires_exactly(kNever - 2, kNever - 1, {kNever - 2});
}

TEST_F(Wheel, H46NeverIsKeptOutAndStillRemovable)
{
    start(kSecond);
    roti_wheel_node never[2] = {};
    roti_wheel_node last = {};
    roti_wheel_add(&wheel, &never[0], kNever);
    roti_wheel_add(&wheel, &never[1], kNever);
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), kNever);
    EXPECT_EQ(roti_wheel_expire(&wheel, 100 * kYear), nullptr);
    roti_wheel_add(&wheel, &last, kNever - 1);
    EXPECT_EQ(roti_wheel_expire(&wheel, kNever), &last);
    EXPECT_EQ(roti_wheel_expire(&wheel, kNever), nullptr);
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), kNever);
    EXPECT_EQ(wheel.count, 2u);
    EXPECT_TRUE(roti_wheel_remove(&wheel, &never[0]));
    EXPECT_FALSE(roti_wheel_remove(&wheel, &never[0]));
    EXPECT_EQ(roti_wheel_drain(&wheel), &never[1]);
    EXPECT_EQ(wheel.count, 0u);
}

/* ---- S5: order ---- */

TEST_F(Wheel, PastDeadlinesAreDueAtOnceInOrder)
{
    start(kHour);
    roti_wheel_node node[6] = {};
    const int64_t deadline[6] = {kHour, -1, 0, INT64_MIN, kHour - 1, -1};
    for (int i = 0; i < 6; i++)
        roti_wheel_add(&wheel, &node[i], deadline[i]);
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), INT64_MIN);
    for (int i : {3, 1, 5, 2, 4, 0})
        EXPECT_EQ(roti_wheel_expire(&wheel, kHour), &node[i]);
    EXPECT_EQ(roti_wheel_expire(&wheel, kHour), nullptr);
}

TEST_F(Wheel, S5TiesAreFirstInFirstOut)
{
    const int64_t base = 7 * kHour + 1;
    for (int64_t distance : {int64_t{0}, int64_t{1}, kTick, 100 * kTick, kSecond, kHour, kYear}) {
        start(base);
        auto nodes = make_nodes(3 * ROTI_WHEEL_CASCADE_MAX);
        for (size_t i = 0; i < nodes.size(); i++) {
            roti_wheel_add(&wheel, &nodes[i], base + distance);
            /* Some arrive after time has begun to spread the others. */
            if (i == nodes.size() / 2 && distance > 0) {
                ASSERT_EQ(roti_wheel_expire(&wheel, base + distance - 1), nullptr);
            }
        }
        for (auto &node : nodes)
            ASSERT_EQ(expire(base + distance), &node);
        ASSERT_EQ(expire(base + distance), nullptr);
    }
}

TEST_F(Wheel, OneSlotFiresByNanosecond)
{
    std::mt19937_64 random(48);
    for (int64_t base : {int64_t{0}, kSecond, kHour}) {
        start(0);
        auto nodes = make_nodes(500);
        std::set<std::pair<int64_t, uint64_t>> order;
        for (auto &node : nodes) {
            roti_wheel_add(&wheel, &node, base + static_cast<int64_t>(random() % kTick));
            order.emplace(node.deadline_ns, node.sequence);
        }
        int64_t time_ns = 0;
        for (auto [deadline_ns, sequence] : order) {
            if (deadline_ns > time_ns) {
                ASSERT_EQ(expire(deadline_ns - 1), nullptr);
            }
            time_ns = deadline_ns;
            roti_wheel_node *node = expire(deadline_ns);
            ASSERT_NE(node, nullptr);
            ASSERT_EQ(std::pair(node->deadline_ns, node->sequence),
                      std::pair(deadline_ns, sequence));
        }
        ASSERT_EQ(wheel.count, 0u);
    }
}

/* Sorting a slot by insertion would take minutes for this. */
TEST_F(Wheel, OneSlotOfManyIsNotQuadratic)
{
    constexpr int kCount = 300 * 1000;
    std::clock_t began = std::clock();
    for (int64_t base : {-kTick, kHour}) { /* late already; in a slot far away */
        start(0);
        auto nodes = make_nodes(kCount);
        for (int i = 0; i < kCount; i++)
            roti_wheel_add(&wheel, &nodes[i], base + (kCount - i) % kTick);
        for (int i = 0; i < kCount; i++) {
            roti_wheel_node *node = expire(base + kTick);
            ASSERT_NE(node, nullptr);
            /* Later ones join while the slot is fired, and are taken out again. */
            roti_wheel_add(&wheel, node, base + kTick - 1 - i % kTick);
            if (i % 2 == 0) {
                ASSERT_TRUE(roti_wheel_remove(&wheel, node));
            }
        }
    }
    EXPECT_LT((std::clock() - began) / CLOCKS_PER_SEC, support::patience_ns(20));
}

TEST_F(Wheel, ManyEqualDeadlinesFireInOrder)
{
    constexpr int kCount = 100 * 1000;
    auto nodes = make_nodes(kCount);
    start(0);
    for (auto &node : nodes)
        roti_wheel_add(&wheel, &node, kHour);
    ASSERT_EQ(expire(kHour - 1), nullptr);
    for (auto &node : nodes)
        ASSERT_EQ(expire(kHour), &node);
    EXPECT_EQ(wheel.count, 0u);
}

/* ---- H47: jumps of the clock ---- */

TEST_F(Wheel, H47JumpsForward)
{
    for (int64_t jump : {kHour, 10 * kYear, 290 * kYear}) {
        for (int64_t base : {int64_t{0}, 3 * kHour + 17}) {
            start(base);
            std::vector<int64_t> distances = {1,        kTick, kSecond, jump / 2,
                                              jump - 1, jump,  jump + 1};
            auto nodes = make_nodes(distances.size());
            for (size_t i = 0; i < nodes.size(); i++)
                roti_wheel_add(&wheel, &nodes[nodes.size() - 1 - i],
                               base + distances[nodes.size() - 1 - i]);
            for (size_t i = 0; i < nodes.size() - 1; i++)
                ASSERT_EQ(expire(base + jump), &nodes[i]);
            ASSERT_EQ(expire(base + jump), nullptr);
            ASSERT_EQ(roti_wheel_next_deadline(&wheel), base + jump + 1);
            ASSERT_EQ(expire(base + jump + 1), &nodes.back());
        }
    }
}

TEST_F(Wheel, H47AddingAfterAJumpThatTheWheelHasNotSeen)
{
    start(0);
    roti_wheel_node node[2] = {};
    int64_t now_ns = kYear;
    roti_wheel_add(&wheel, &node[0], now_ns + 1001);
    roti_wheel_add(&wheel, &node[1], now_ns + 1000);
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), now_ns + 1000);
    EXPECT_EQ(expire(now_ns), nullptr);
    EXPECT_EQ(expire(now_ns + 1000), &node[1]);
    EXPECT_EQ(expire(now_ns + 1000), nullptr);
    EXPECT_EQ(expire(now_ns + 1001), &node[0]);
}

/* Levels are reckoned from now, though no timer has marked the way: no needless cascades. */
TEST_F(Wheel, H47TimeThatPassesUnusedIsSkipped)
{
    start(0);
    roti_wheel_node node[2] = {};
    roti_wheel_add(&wheel, &node[0], kNever - 1);
    int64_t now_ns = 100 * slot_width(3);
    EXPECT_EQ(expire(now_ns), nullptr);
    roti_wheel_add(&wheel, &node[1], now_ns + kTick);
    EXPECT_EQ(node[1].place, ROTI_WHEEL_SLOT);
    EXPECT_EQ(node[1].level, 0);
}

TEST_F(Wheel, H47TimeThatGoesBackIsIgnored)
{
    start(kSecond);
    roti_wheel_node node[3] = {};
    roti_wheel_add(&wheel, &node[0], 2 * kSecond);
    roti_wheel_add(&wheel, &node[1], 2 * kSecond + kTick);
    EXPECT_EQ(expire(2 * kSecond - 1), nullptr);
    EXPECT_EQ(expire(kSecond), nullptr);
    EXPECT_EQ(expire(INT64_MIN), nullptr);
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), 2 * kSecond);
    /* An instant that was reached once stays reached. */
    roti_wheel_add(&wheel, &node[2], 2 * kSecond - 1);
    EXPECT_EQ(expire(2 * kSecond - 2), &node[2]);
    EXPECT_EQ(expire(2 * kSecond - 2), nullptr);
    EXPECT_EQ(expire(2 * kSecond), &node[0]);
    EXPECT_EQ(expire(2 * kSecond - kTick), nullptr);
    EXPECT_EQ(expire(2 * kSecond + kTick), &node[1]);
}

/* ---- H45, B-T06: cancelling ---- */

TEST_F(Wheel, BT06CancelledTimersAreGoneAtOnce)
{
    start(kHour);
    auto nodes = make_nodes(101);
    for (size_t i = 0; i < nodes.size(); i++)
        roti_wheel_add(&wheel, &nodes[i], kHour + static_cast<int64_t>(i + 1) * kSecond);
    EXPECT_EQ(wheel.count, 101u);
    for (size_t i = 0; i < 51; i++)
        EXPECT_TRUE(roti_wheel_remove(&wheel, &nodes[i]));
    EXPECT_EQ(wheel.count, 50u);
    EXPECT_GT(roti_wheel_next_deadline(&wheel), nodes[25].deadline_ns);
    EXPECT_LE(roti_wheel_next_deadline(&wheel), nodes[51].deadline_ns);
    for (size_t i = 51; i < 101; i++)
        EXPECT_EQ(expire(2 * kHour), &nodes[i]);
    EXPECT_EQ(wheel.count, 0u);
}

TEST_F(Wheel, H45CancelOnEveryLevel)
{
    start(0);
    roti_wheel_node other = {};
    roti_wheel_add(&wheel, &other, kNever - 1);
    for (int level = 0; level < ROTI_WHEEL_LEVEL_COUNT; level++) {
        roti_wheel_node pair[2] = {};
        roti_wheel_add(&wheel, &pair[0], slot_width(level));
        roti_wheel_add(&wheel, &pair[1], slot_width(level) + 1);
        ASSERT_EQ(pair[0].place, ROTI_WHEEL_SLOT);
        ASSERT_EQ(pair[0].level, level);
        ASSERT_EQ(roti_wheel_next_deadline(&wheel), slot_width(level));
        ASSERT_TRUE(roti_wheel_remove(&wheel, &pair[0]));
        ASSERT_FALSE(roti_wheel_remove(&wheel, &pair[0]));
        ASSERT_EQ(roti_wheel_next_deadline(&wheel), slot_width(level) + 1);
        ASSERT_TRUE(roti_wheel_remove(&wheel, &pair[1]));
        ASSERT_EQ(wheel.occupied[level] &
                      ~(level == ROTI_WHEEL_LEVEL_COUNT - 1 ? UINT64_C(1) << 31 : 0),
                  0u);
        ASSERT_EQ(roti_wheel_next_deadline(&wheel), kNever - 1);
    }
    EXPECT_EQ(wheel.count, 1u);
}

TEST_F(Wheel, H45CancelInEveryState)
{
    start(kSecond);
    roti_wheel_node run = {}, heap = {}, slot = {}, never = {}, fired = {}, unused = {};
    roti_wheel_add(&wheel, &fired, 0);
    EXPECT_EQ(expire(kSecond), &fired);
    roti_wheel_add(&wheel, &run, 2);
    roti_wheel_add(&wheel, &heap, 1);
    roti_wheel_add(&wheel, &slot, 2 * kSecond);
    roti_wheel_add(&wheel, &never, kNever);
    EXPECT_EQ(run.place, ROTI_WHEEL_RUN);
    EXPECT_EQ(heap.place, ROTI_WHEEL_HEAP);
    EXPECT_EQ(slot.place, ROTI_WHEEL_SLOT);
    EXPECT_EQ(never.place, ROTI_WHEEL_NEVER);
    EXPECT_FALSE(roti_wheel_remove(&wheel, &fired));
    EXPECT_FALSE(roti_wheel_remove(&wheel, &unused));
    size_t left = 4;
    for (roti_wheel_node *node : {&heap, &slot, &never, &run}) {
        EXPECT_TRUE(roti_wheel_remove(&wheel, node));
        EXPECT_EQ(node->place, ROTI_WHEEL_OUT);
        EXPECT_EQ(wheel.count, --left);
        EXPECT_FALSE(roti_wheel_remove(&wheel, node));
    }
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), kNever);
    /* What was cancelled may be armed again. */
    roti_wheel_add(&wheel, &heap, 3 * kSecond);
    EXPECT_EQ(expire(3 * kSecond - 1), nullptr);
    EXPECT_EQ(expire(3 * kSecond), &heap);
}

/* Every position of a heap in turn, for heaps of several shapes. */
TEST_F(Wheel, H45CancelAnywhereInTheHeap)
{
    constexpr int kCount = 40;
    std::mt19937_64 random(45);
    for (int victim = 0; victim < kCount; victim++) {
        for (int fired_first = 0; fired_first < 4; fired_first++) {
            start(kSecond);
            auto nodes = make_nodes(kCount);
            std::set<std::pair<int64_t, roti_wheel_node *>> order;
            for (auto &node : nodes) {
                roti_wheel_add(&wheel, &node, static_cast<int64_t>(random() % kSecond));
                order.emplace(node.deadline_ns, &node);
            }
            for (int i = 0; i < fired_first; i++) {
                ASSERT_EQ(expire(kSecond), order.begin()->second);
                order.erase(order.begin());
            }
            bool linked = order.erase({nodes[victim].deadline_ns, &nodes[victim]}) > 0;
            ASSERT_EQ(roti_wheel_remove(&wheel, &nodes[victim]), linked);
            for (auto [deadline_ns, node] : order)
                ASSERT_EQ(expire(kSecond), node);
            ASSERT_EQ(expire(kSecond), nullptr);
        }
    }
}

TEST_F(Wheel, H45CancelDuringACascade)
{
    start(0);
    auto nodes = make_nodes(3 * ROTI_WHEEL_CASCADE_MAX);
    int64_t base = slot_width(3);
    for (auto &node : nodes)
        roti_wheel_add(&wheel, &node, base + kTick + (&node - nodes.data()));
    ASSERT_EQ(roti_wheel_expire(&wheel, base + kSecond), nullptr);
    ASSERT_LE(roti_wheel_next_deadline(&wheel), base + kSecond); /* unfinished, so do not sleep */
    ASSERT_EQ(nodes.front().level, 0);
    ASSERT_EQ(nodes.back().level, 3);
    /* An addition in between is neither lost nor out of order. */
    roti_wheel_node first = {}, last = {};
    roti_wheel_add(&wheel, &first, base + 1);
    roti_wheel_add(&wheel, &last, base + kSecond);
    size_t count = nodes.size() + 2;
    for (size_t i = 0; i < nodes.size(); i += 2) {
        ASSERT_TRUE(roti_wheel_remove(&wheel, &nodes[i]));
        ASSERT_EQ(wheel.count, --count);
    }
    ASSERT_EQ(expire(base + kSecond), &first);
    for (size_t i = 1; i < nodes.size(); i += 2)
        ASSERT_EQ(expire(base + kSecond), &nodes[i]);
    ASSERT_EQ(expire(base + kSecond), &last);
    ASSERT_EQ(wheel.count, 0u);

    /* And all of the rest cancelled: nothing is left to do. */
    start(0);
    for (auto &node : nodes)
        roti_wheel_add(&wheel, &node, base + kTick);
    ASSERT_EQ(roti_wheel_expire(&wheel, base + kSecond), nullptr);
    for (auto &node : nodes)
        ASSERT_TRUE(roti_wheel_remove(&wheel, &node));
    ASSERT_EQ(roti_wheel_next_deadline(&wheel), kNever);
    ASSERT_EQ(roti_wheel_expire(&wheel, base + kSecond), nullptr);
}

/* While a cascade is unfinished, what is left of it may be the earliest of all. */
TEST_F(Wheel, H48NoSleepDuringACascade)
{
    start(0);
    int64_t base = slot_width(4);
    auto nodes = make_nodes(ROTI_WHEEL_CASCADE_MAX + 1);
    for (auto &node : nodes)
        roti_wheel_add(&wheel, &node, base + (&node == &nodes.back() ? kSecond : 2 * kSecond));
    ASSERT_EQ(roti_wheel_expire(&wheel, base), nullptr);
    ASSERT_LE(roti_wheel_next_deadline(&wheel), base);
    ASSERT_EQ(roti_wheel_expire(&wheel, base), nullptr);
    ASSERT_EQ(roti_wheel_next_deadline(&wheel), base + kSecond);
}

TEST_F(Wheel, DrainEmptiesEveryPlace)
{
    start(kSecond);
    auto nodes = make_nodes(2 * ROTI_WHEEL_CASCADE_MAX);
    for (auto &node : nodes)
        roti_wheel_add(&wheel, &node, kHour + slot_width(3));
    ASSERT_EQ(roti_wheel_expire(&wheel, kHour + slot_width(4)), nullptr); /* half of a cascade */
    roti_wheel_node other[4] = {};
    const int64_t deadline[4] = {2, 1, kYear, kNever};
    for (int i = 0; i < 4; i++)
        roti_wheel_add(&wheel, &other[i], deadline[i]);
    std::set<roti_wheel_node *> drained;
    while (roti_wheel_node *node = roti_wheel_drain(&wheel)) {
        EXPECT_EQ(node->place, ROTI_WHEEL_OUT);
        EXPECT_TRUE(drained.insert(node).second);
    }
    EXPECT_EQ(drained.size(), nodes.size() + 4);
    EXPECT_EQ(wheel.count, 0u);
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), kNever);
}

/* ---- H48: sleeping ---- */

TEST_F(Wheel, H48AnIdleLoopWakesOncePerDeadline)
{
    start(kHour + 12345);
    auto nodes = make_nodes(ROTI_WHEEL_SCAN_MAX);
    int64_t distance = 1000;
    for (auto &node : nodes) {
        distance *= 7;
        if (distance > 10 * kYear)
            distance %= kTick;
        roti_wheel_add(&wheel, &node, kHour + 12345 + distance);
    }
    EXPECT_EQ(count_wakes(), ROTI_WHEEL_SCAN_MAX);
    EXPECT_EQ(wheel.count, 0u);
}

TEST_F(Wheel, H48ACrowdedSlotCostsAtMostOneWakePerLevel)
{
    start(0);
    auto nodes = make_nodes(100 * ROTI_WHEEL_SCAN_MAX);
    for (auto &node : nodes)
        roti_wheel_add(&wheel, &node, kYear + 12345);
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), kYear + 12345);
    EXPECT_TRUE(roti_wheel_remove(&wheel, &nodes[0]));
    EXPECT_LT(roti_wheel_next_deadline(&wheel), kYear);
    EXPECT_LE(count_wakes(), ROTI_WHEEL_LEVEL_COUNT);
    EXPECT_EQ(wheel.count, 0u);
}

TEST_F(Wheel, H48TheBoundFollowsAdditionsAndCancellations)
{
    start(0);
    auto nodes = make_nodes(20);
    for (int i = 19; i >= 0; i--) {
        roti_wheel_add(&wheel, &nodes[i], kSecond << i);
        EXPECT_EQ(roti_wheel_next_deadline(&wheel), kSecond << i);
    }
    auto crowd = make_nodes(2 * ROTI_WHEEL_SCAN_MAX);
    for (auto &node : crowd)
        roti_wheel_add(&wheel, &node, kSecond / 2 + (&node - crowd.data()));
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), kSecond / 2);
    EXPECT_TRUE(roti_wheel_remove(&wheel, &crowd[0]));
    int64_t bound_ns = roti_wheel_next_deadline(&wheel); /* too many to look at */
    EXPECT_LE(bound_ns, kSecond / 2);
    EXPECT_GT(bound_ns, kSecond / 4);
    for (size_t i = 1; i < crowd.size(); i++)
        EXPECT_TRUE(roti_wheel_remove(&wheel, &crowd[i]));
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(roti_wheel_next_deadline(&wheel), kSecond << i);
        EXPECT_TRUE(roti_wheel_remove(&wheel, &nodes[i]));
    }
    EXPECT_EQ(roti_wheel_next_deadline(&wheel), kNever);
}

} // namespace
