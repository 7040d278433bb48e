/* SPDX-License-Identifier: MIT */
/*
 * readiness_test.cc - the readiness word: edges, stale clears, generations, the lock bit (H54,
 * H56).
 */
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "loop/readiness.h"
#include "tests/support/support.h"

namespace {

class Readiness : public ::testing::Test {
protected:
    Readiness()
    {
        roti_readiness_open(&word, ROTI_READY_READ | ROTI_READY_WRITE);
    }

    std::uint64_t look()
    {
        return roti_readiness_look(&word);
    }
    std::uint64_t flags()
    {
        return look() & ROTI_READY_FLAGS;
    }
    void edge(std::uint64_t flags)
    {
        roti_readiness_unlock_edge(&word, roti_readiness_lock(&word), flags);
    }
    void close()
    {
        roti_readiness_unlock_closed(&word, roti_readiness_lock(&word));
    }

    _Atomic(std::uint64_t) word{0};
};

TEST_F(Readiness, ANewDescriptorIsWorthATryInBothDirections)
{
    EXPECT_EQ(ROTI_READY_READ | ROTI_READY_WRITE, flags());
    EXPECT_EQ(0U, roti_readiness_generation(look()));
}

TEST_F(Readiness, AClearTakesItsFlagAndNoOther)
{
    EXPECT_TRUE(roti_readiness_clear(&word, look(), ROTI_READY_READ));
    EXPECT_EQ(ROTI_READY_WRITE, flags());
    EXPECT_TRUE(roti_readiness_clear(&word, look(), ROTI_READY_WRITE));
    EXPECT_EQ(0U, flags());
}

TEST_F(Readiness, AnEdgeSetsFlagsAndMovesTheTick)
{
    roti_readiness_clear(&word, look(), ROTI_READY_READ | ROTI_READY_WRITE);
    std::uint64_t before = look();
    edge(ROTI_READY_READ | ROTI_READY_RDHUP);
    EXPECT_EQ(ROTI_READY_READ | ROTI_READY_RDHUP, flags());
    EXPECT_EQ(before + ROTI_READY_TICK_ONE, look() & ~ROTI_READY_FLAGS);
}

TEST_F(Readiness, AStaleClearLosesEvenIfTheFlagsAreTheSame)
{
    std::uint64_t seen = look();
    edge(ROTI_READY_READ);
    EXPECT_FALSE(roti_readiness_clear(&word, seen, ROTI_READY_READ));
    EXPECT_NE(0U, flags() & ROTI_READY_READ);
    EXPECT_TRUE(roti_readiness_clear(&word, look(), ROTI_READY_READ));
}

TEST_F(Readiness, AClearOfTheOtherDirectionDoesNotMakeAClearStale)
{
    std::uint64_t seen = look();
    EXPECT_TRUE(roti_readiness_clear(&word, seen, ROTI_READY_WRITE));
    EXPECT_TRUE(roti_readiness_clear(&word, seen, ROTI_READY_READ));
    EXPECT_EQ(0U, flags());
}

TEST_F(Readiness, TheTickWrapsWithoutTouchingTheGeneration)
{
    close();
    roti_readiness_open(&word, 0);
    std::uint64_t held = roti_readiness_lock(&word);
    roti_readiness_unlock(&word, held | ROTI_READY_TICK_MASK);
    edge(ROTI_READY_WRITE);
    EXPECT_EQ(1U, roti_readiness_generation(look()));
    EXPECT_EQ(0U, look() & ROTI_READY_TICK_MASK);
    EXPECT_EQ(ROTI_READY_WRITE, flags());
}

TEST_F(Readiness, ClosingMovesTheGenerationAndLeavesOnlyThat)
{
    edge(ROTI_READY_HUP | ROTI_READY_ERR);
    close();
    EXPECT_EQ(1U, roti_readiness_generation(look()));
    EXPECT_EQ(ROTI_READY_CLOSED, flags());
    roti_readiness_open(&word, ROTI_READY_READ);
    EXPECT_EQ(1U, roti_readiness_generation(look()));
    EXPECT_EQ(ROTI_READY_READ, flags());
}

TEST_F(Readiness, TheGenerationWraps)
{
    roti_readiness_unlock(&word, UINT64_C(0xffffffff00000000) |
                                     (roti_readiness_lock(&word) & ROTI_READY_FLAGS));
    close();
    EXPECT_EQ(0U, roti_readiness_generation(look()));
    EXPECT_EQ(ROTI_READY_CLOSED, flags());
}

TEST_F(Readiness, H54AnEdgeOfAnEarlierLifeDoesNothing)
{
    std::uint64_t held;
    ASSERT_TRUE(roti_readiness_lock_generation(&word, 0, &held));
    roti_readiness_unlock(&word, held);
    EXPECT_FALSE(roti_readiness_lock_generation(&word, 1, &held));
    close();
    EXPECT_FALSE(roti_readiness_lock_generation(&word, 0, &held));
    EXPECT_FALSE(roti_readiness_lock_generation(&word, 1, &held)) << "closed, not open again";
    roti_readiness_open(&word, ROTI_READY_READ);
    EXPECT_FALSE(roti_readiness_lock_generation(&word, 0, &held));
    ASSERT_TRUE(roti_readiness_lock_generation(&word, 1, &held));
    roti_readiness_unlock(&word, held);
}

TEST_F(Readiness, AClearThatWasBegunBeforeAClosingLoses)
{
    std::uint64_t seen = look();
    close();
    EXPECT_FALSE(roti_readiness_clear(&word, seen, ROTI_READY_READ));
    roti_readiness_open(&word, ROTI_READY_READ);
    EXPECT_FALSE(roti_readiness_clear(&word, seen, ROTI_READY_READ));
    EXPECT_EQ(ROTI_READY_READ, flags());
}

TEST_F(Readiness, H56AShortReadDrainsOnlyTcpAndOnlyBeforeAnyEnd)
{
    EXPECT_FALSE(roti_readiness_short_drains(ROTI_READY_READ));
    EXPECT_TRUE(roti_readiness_short_drains(ROTI_READY_READ | ROTI_READY_DRAINS));
    EXPECT_TRUE(
        roti_readiness_short_drains(ROTI_READY_READ | ROTI_READY_WRITE | ROTI_READY_DRAINS));
    for (std::uint64_t end : {ROTI_READY_RDHUP, ROTI_READY_HUP, ROTI_READY_ERR, ROTI_READY_PRI})
        EXPECT_FALSE(roti_readiness_short_drains(ROTI_READY_READ | ROTI_READY_DRAINS | end)) << end;
}

TEST_F(Readiness, TheLockExcludes)
{
    std::int64_t count = support::scale(100'000);
    std::int64_t guarded = 0;
    auto body = [&] {
        for (std::int64_t i = 0; i < count; i++) {
            std::uint64_t held = roti_readiness_lock(&word);
            guarded++;
            if (i % 2 == 0)
                roti_readiness_unlock(&word, held);
            else
                roti_readiness_unlock_edge(&word, held, ROTI_READY_READ);
        }
    };
    std::thread other(body);
    body();
    other.join();
    EXPECT_EQ(2 * count, guarded);
    std::uint64_t ticks = static_cast<std::uint64_t>(count / 2 * 2) * ROTI_READY_TICK_ONE;
    EXPECT_EQ(ticks & ROTI_READY_TICK_MASK, look() & ROTI_READY_TICK_MASK) << "no edge was lost";
}

/* A producer announces each item by an edge; a consumer clears whenever it finds nothing. Whatever
 * the interleaving, the flag is set while an item is there that it has not been told of. */
TEST_F(Readiness, NoEdgeIsLostBetweenAnEmptyCallAndItsClear)
{
    std::int64_t count = support::scale(200'000);
    std::atomic<std::int64_t> produced{0};
    std::int64_t taken = 0;
    std::thread producer([&] {
        for (std::int64_t i = 0; i < count; i++) {
            produced.fetch_add(1, std::memory_order_relaxed);
            edge(ROTI_READY_READ);
        }
    });
    while (taken < count) {
        std::uint64_t seen = look();
        if ((seen & ROTI_READY_READ) == 0) {
            std::this_thread::yield();
            continue;
        }
        std::int64_t there = produced.load(std::memory_order_relaxed);
        if (there == taken)
            roti_readiness_clear(&word, seen, ROTI_READY_READ);
        taken = there;
    }
    producer.join();
    EXPECT_EQ(count, taken);
}

} // namespace
