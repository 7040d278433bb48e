/* SPDX-License-Identifier: MIT */
/*
 * stack_trim_test.cc - memory of free stacks goes back by high-water marks (H31, A26).
 */
#include "sched/guard.h"
#include "sched/pages.h"
#include "tests/sched/stacks.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

namespace {

using stacks::Cache;
using stacks::kib;
using stacks::promise;
using stacks::resident;

constexpr size_t size = 64 * kib;
constexpr std::int64_t period_ns = 1'000'000'000;

std::atomic<unsigned> advised;
std::atomic<bool> refused;

int count_advice(enum roti_pages_call call, int advice)
{
    if (call != ROTI_PAGES_advise || advice != MADV_DONTNEED)
        return 0;
    advised++;
    return refused ? -EINVAL : 0;
}

class StackTrim : public stacks::EmptyPool {
protected:
    void SetUp() override
    {
        EmptyPool::SetUp();
        advised = 0;
        refused = false;
        roti_pages_set_hook(count_advice);
    }
    void TearDown() override
    {
        roti_pages_set_hook(nullptr);
        EmptyPool::TearDown();
    }

    std::vector<roti_stack *> take(roti_stack_cache *cache, size_t count, size_t depth)
    {
        std::vector<roti_stack *> stacks(count);
        for (auto &stack : stacks) {
            EXPECT_EQ(roti_stack_get(cache, size, &stack), 0);
            memset(stack->low + stack->size - depth, 1, depth);
        }
        return stacks;
    }

    void put(roti_stack_cache *cache, const std::vector<roti_stack *> &stacks)
    {
        for (auto *stack : stacks)
            roti_stack_put(cache, stack);
    }

    /* All batches of one trim, a period after the last one. */
    void trim(roti_stack_cache *cache)
    {
        now_ns_ += period_ns;
        while (roti_stack_trim(cache, now_ns_))
            ;
    }

    size_t resident_of(const std::vector<roti_stack *> &stacks)
    {
        size_t sum = 0;
        for (auto *stack : stacks)
            sum += resident(stack);
        return sum;
    }

    std::int64_t now_ns_ = 0;
};

TEST_F(StackTrim, ABurstIsReturnedAfterIt)
{
    Cache cache;
    trim(&cache);
    std::vector<roti_stack *> burst = take(&cache, 1000, size / 2);
    put(&cache, burst);
    EXPECT_EQ(resident_of(burst), burst.size() * size / 2);
    EXPECT_EQ(advised, 0u); /* nobody who ends a task makes a system call */
    trim(&cache);           /* what was used keeps its first pages */
    EXPECT_EQ(resident_of(burst), burst.size() * 16 * kib);
    trim(&cache);
    trim(&cache);
    EXPECT_EQ(resident_of(burst), 0u);

    /* They are still guarded and usable. */
    std::vector<roti_stack *> again = take(&cache, burst.size(), size);
    for (auto *stack : again)
        EXPECT_TRUE(stack->guarded);
    put(&cache, again);
}

TEST_F(StackTrim, SteadyLoadStaysWarm)
{
    Cache cache;
    std::vector<roti_stack *> burst = take(&cache, 1000, 4 * kib);
    put(&cache, burst);
    for (int period = 0; period < 4; period++) {
        put(&cache, take(&cache, 300, 4 * kib));
        trim(&cache);
    }
    size_t warm = resident_of(burst);
    EXPECT_GE(warm, 300u * 4 * kib);
    EXPECT_LE(warm, (300u + ROTI_STACK_CACHE_MAX) * 4 * kib);
    advised = 0;
    std::vector<roti_stack *> steady = take(&cache, 300, 4 * kib);
    EXPECT_EQ(resident_of(burst), warm); /* it got the warm ones */
    put(&cache, steady);
    EXPECT_EQ(advised, 0u);
}

TEST_F(StackTrim, DepthIsReturnedThoughTheStackIsInSteadyUse)
{
    Cache cache;
    trim(&cache);
    std::vector<roti_stack *> deep = take(&cache, 10, size);
    put(&cache, deep);
    std::vector<roti_stack *> shallow = take(&cache, 10, 4 * kib);
    put(&cache, shallow);
    EXPECT_EQ(resident_of(deep), 10 * size);
    trim(&cache);
    EXPECT_EQ(resident_of(deep), 10 * 16 * kib);
}

TEST_F(StackTrim, ATrimHasItsTime)
{
    Cache cache;
    trim(&cache);
    put(&cache, take(&cache, 500, 4 * kib));
    EXPECT_FALSE(roti_stack_trim(&cache, now_ns_ + period_ns - 1));
    EXPECT_EQ(advised, 0u);
    EXPECT_EQ(roti_stack_trim_deadline(&cache), now_ns_ + period_ns);
    trim(&cache);
    EXPECT_GT(advised, 0u);
}

/* A25: nothing is left to wake up for some periods after the last use. */
TEST_F(StackTrim, AnIdleLoopStopsWakingUp)
{
    Cache cache;
    trim(&cache);
    EXPECT_EQ(roti_stack_trim_deadline(&cache), INT64_MAX);
    put(&cache, take(&cache, 1000, 4 * kib));
    int wakes = 0;
    while (roti_stack_trim_deadline(&cache) != INT64_MAX && wakes < 10) {
        trim(&cache);
        wakes++;
    }
    EXPECT_GT(wakes, 0);
    EXPECT_LE(wakes, 4);
}

/* Another runtime's clock, or a simulated one, may stand before the last trim. */
TEST_F(StackTrim, AClockMayBeginAnew)
{
    Cache cache;
    now_ns_ = 1000 * period_ns;
    std::vector<roti_stack *> burst = take(&cache, 200, 4 * kib);
    put(&cache, burst);
    trim(&cache);
    now_ns_ = 0;
    for (int period = 0; period < 4; period++)
        trim(&cache);
    EXPECT_EQ(resident_of(burst), 0u);
}

/* Locked memory cannot be given back; all goes on without. */
TEST_F(StackTrim, ARefusalIsNoFailure)
{
    Cache cache;
    refused = true;
    std::vector<roti_stack *> burst = take(&cache, 200, 4 * kib);
    put(&cache, burst);
    for (int period = 0; period < 4; period++)
        trim(&cache);
    EXPECT_EQ(resident_of(burst), 200u * 4 * kib);
    refused = false;
    put(&cache, take(&cache, 200, 4 * kib));
}

/* What is promised may be taken at any time, and so it is not out of the pool to be trimmed. */
TEST_F(StackTrim, PromisedStacksStay)
{
    Cache cache, other;
    std::vector<roti_stack *> burst = take(&cache, 200, 4 * kib);
    put(&cache, burst);
    roti_stack_cache_drain(&cache);
    /* All that there is. */
    roti_pages_set_hook(
        [](enum roti_pages_call call, int) { return call == ROTI_PAGES_reserve ? -ENOMEM : 0; });
    int promised = 0;
    while (promise(&other, size) >= 0)
        promised++;
    roti_pages_set_hook(count_advice);
    for (int period = 0; period < 3; period++)
        trim(&cache);
    EXPECT_EQ(advised, 0u);
    EXPECT_EQ(resident_of(burst), burst.size() * 4 * kib);
    int index = promise(nullptr, 2 * size) - 1;
    roti_stack_forgo(nullptr, static_cast<unsigned>(index) + 1);
    for (; promised > 0; promised--)
        roti_stack_forgo(&other, static_cast<unsigned>(index));
}

} // namespace
