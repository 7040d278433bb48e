/* SPDX-License-Identifier: MIT */
/*
 * stack_test.cc - stacks: classes, caches, the pool, look-up, what is left behind (H31, H39, A12).
 */
#include "sched/guard.h"
#include "tests/sched/stacks.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using stacks::Cache;
using stacks::kib;

constexpr size_t mib = 1024 * kib;

class Stack : public stacks::EmptyPool {};

TEST_F(Stack, SizesAreClasses)
{
    struct {
        size_t asked, given;
    } cases[] = {{0, 256 * kib},           {16 * kib, 16 * kib},   {16 * kib + 1, 32 * kib},
                 {100000, 128 * kib},      {256 * kib, 256 * kib}, {256 * kib + 1, 512 * kib},
                 {64 * mib - 1, 64 * mib}, {64 * mib, 64 * mib}};
    for (const auto &c : cases) {
        roti_stack *stack;
        ASSERT_EQ(roti_stack_get(nullptr, c.asked, &stack), 0) << c.asked;
        EXPECT_EQ(stack->size, c.given);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(roti_stack_top(stack)) % 16, 0u);
        EXPECT_GT(roti_stack_top(stack), stack->low + stack->size - 4096);
        stack->low[0] = 1; /* all of it is usable */
        stack->low[stack->size - 1] = 1;
        roti_stack_put(nullptr, stack);
    }
    roti_stack *untouched = nullptr;
    EXPECT_EQ(roti_stack_get(nullptr, 1, &untouched), -EINVAL);
    EXPECT_EQ(roti_stack_get(nullptr, 16 * kib - 1, &untouched), -EINVAL);
    EXPECT_EQ(roti_stack_get(nullptr, 64 * mib + 1, &untouched), -EINVAL);
    EXPECT_EQ(roti_stack_get(nullptr, SIZE_MAX, &untouched), -EINVAL);
    EXPECT_EQ(untouched, nullptr);
}

TEST_F(Stack, ColoursDiffer)
{
    std::vector<roti_stack *> stacks(32);
    std::vector<int> seen(64);
    for (auto &stack : stacks) {
        ASSERT_EQ(roti_stack_get(nullptr, 0, &stack), 0);
        seen[reinterpret_cast<std::uintptr_t>(roti_stack_top(stack)) / 64 % 64]++;
    }
    for (int count : seen)
        EXPECT_LE(count, 4); /* 32 stacks over at least 8 of the 64 lines of a page */
    for (auto *stack : stacks)
        roti_stack_put(nullptr, stack);
}

TEST_F(Stack, CacheIsLastInFirstOut)
{
    Cache cache;
    roti_stack *a, *b, *again;
    ASSERT_EQ(roti_stack_get(&cache, 0, &a), 0);
    ASSERT_EQ(roti_stack_get(&cache, 0, &b), 0);
    EXPECT_NE(a, b);
    roti_stack_put(&cache, a);
    roti_stack_put(&cache, b);
    ASSERT_EQ(roti_stack_get(&cache, 0, &again), 0);
    EXPECT_EQ(again, b);
    roti_stack_put(&cache, again);
}

/* A refill brings few warm stacks and many cold ones; the warm are used first. */
TEST_F(Stack, CacheUsesWarmStacksFirst)
{
    roti_stack *warm[2], *stack;
    for (auto &each : warm) {
        ASSERT_EQ(roti_stack_get(nullptr, 0, &each), 0);
        each->low[each->size - 1] = 1;
    }
    for (auto *each : warm)
        roti_stack_put(nullptr, each);
    Cache cache;
    ASSERT_EQ(roti_stack_get(&cache, 0, &stack), 0);
    EXPECT_EQ(stack, warm[1]);
    roti_stack_put(&cache, stack);
}

TEST_F(Stack, CacheIsBounded)
{
    Cache cache;
    std::vector<roti_stack *> stacks(1000);
    for (auto &stack : stacks)
        ASSERT_EQ(roti_stack_get(&cache, 0, &stack), 0);
    for (auto *stack : stacks)
        roti_stack_put(&cache, stack);
    EXPECT_LE(roti_stack_live_count(), static_cast<size_t>(ROTI_STACK_CACHE_MAX));
    EXPECT_GT(roti_stack_live_count(), 0u);

    /* Of a class of great stacks it keeps two. */
    std::vector<roti_stack *> great(4);
    roti_stack_cache_drain(&cache);
    for (auto &stack : great)
        ASSERT_EQ(roti_stack_get(&cache, 64 * mib, &stack), 0);
    for (auto *stack : great)
        roti_stack_put(&cache, stack);
    EXPECT_LE(roti_stack_live_count(), 2u);
}

TEST_F(Stack, FoundByAddress)
{
    roti_stack *stack;
    bool in_guard = true;
    ASSERT_EQ(roti_stack_get(nullptr, 32 * kib, &stack), 0);
    EXPECT_EQ(roti_stack_find(stack->low, &in_guard), stack);
    EXPECT_FALSE(in_guard);
    EXPECT_EQ(roti_stack_find(stack->low + stack->size - 1, &in_guard), stack);
    EXPECT_FALSE(in_guard);
    EXPECT_EQ(roti_stack_find(stack->low - 1, &in_guard), stack);
    EXPECT_TRUE(in_guard);
    EXPECT_EQ(roti_stack_find(stack->low - roti_guard_size(), &in_guard), stack);
    EXPECT_TRUE(in_guard);
    EXPECT_NE(roti_stack_find(stack->low - roti_guard_size() - 1, &in_guard), stack);
    EXPECT_NE(roti_stack_find(stack->low + stack->size, &in_guard), stack);
    EXPECT_EQ(roti_stack_find(&stack, &in_guard), nullptr);
    EXPECT_EQ(roti_stack_find(nullptr, &in_guard), nullptr);
    char *low = stack->low;
    roti_stack_put(nullptr, stack);
    roti_stack_pool_drain();
    EXPECT_EQ(roti_stack_find(low, &in_guard), nullptr);
}

TEST_F(Stack, DrainUnmapsWhatIsFreeAndNothingElse)
{
    roti_stack *kept, *freed;
    unsigned char resident;
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    ASSERT_EQ(roti_stack_get(nullptr, 0, &kept), 0);
    ASSERT_EQ(roti_stack_get(nullptr, mib, &freed), 0);
    char *gone = freed->low;
    roti_stack_put(nullptr, freed);
    roti_stack_pool_drain();
    EXPECT_EQ(mincore(gone, page, &resident), -1);
    EXPECT_EQ(errno, ENOMEM); /* not mapped */
    kept->low[100] = 1;
    EXPECT_EQ(roti_stack_live_count(), 1u);
    char *last = kept->low;
    roti_stack_put(nullptr, kept);
    roti_stack_pool_drain();
    EXPECT_EQ(mincore(last, page, &resident), -1);
}

/* Stacks are taken by one thread and given back by another, as migrating tasks do. */
TEST_F(Stack, TravelBetweenCaches)
{
    constexpr int threads = 4;
    const long rounds = support::scale(20000);
    std::atomic<roti_stack *> slots[64] = {};
    std::vector<std::thread> pool;
    std::atomic<int> failures = 0;
    for (int t = 0; t < threads; t++)
        pool.emplace_back([&, t] {
            Cache cache;
            std::minstd_rand random(static_cast<unsigned>(t) + 1);
            for (long i = 0; i < rounds; i++) {
                roti_stack *stack = nullptr;
                size_t size = (16 * kib) << random() % 3;
                if (roti_stack_get(&cache, size, &stack) < 0 || stack->size < size) {
                    failures++;
                    continue;
                }
                stack->owner = &cache;
                stack->low[stack->size - 1 - random() % 64] = 1;
                stack = slots[random() % 64].exchange(stack);
                if (stack != nullptr)
                    roti_stack_put(&cache, stack);
            }
        });
    for (auto &thread : pool)
        thread.join();
    EXPECT_EQ(failures, 0);
    for (auto &slot : slots)
        if (slot.load() != nullptr)
            roti_stack_put(nullptr, slot.load());
}

/* A look-up runs beside growth and draining, and never reads an unmapped record. */
TEST_F(Stack, FindRunsBesideDraining)
{
    std::atomic<bool> stop = false;
    std::atomic<char *> address = nullptr;
    std::thread finder([&] {
        bool in_guard;
        while (!stop) {
            const roti_stack *found = roti_stack_find(address.load(), &in_guard);
            (void)found;
        }
    });
    const long rounds = support::scale(2000);
    for (long i = 0; i < rounds; i++) {
        roti_stack *a, *b;
        ASSERT_EQ(roti_stack_get(nullptr, 16 * kib, &a), 0);
        ASSERT_EQ(roti_stack_get(nullptr, 32 * kib, &b), 0);
        address = i % 2 ? a->low : b->low;
        roti_stack_put(nullptr, a);
        roti_stack_pool_drain();
        roti_stack_put(nullptr, b);
        roti_stack_pool_drain();
    }
    stop = true;
    finder.join();
}

TEST_F(Stack, FailingAllocations)
{
    auto body = [] {
        Cache cache;
        roti_stack *a = nullptr, *b = nullptr;
        int r = roti_stack_get(&cache, 0, &a);
        if (r == 0)
            r = roti_stack_get(&cache, mib, &b);
        if (a != nullptr)
            roti_stack_put(&cache, a);
        if (b != nullptr)
            roti_stack_put(&cache, b);
        roti_stack_cache_drain(&cache);
        EXPECT_EQ(roti_stack_live_count(), 0u);
        roti_stack_pool_drain();
        return r;
    };
    /* For each stack: itself, the slab's record, the slab. */
    EXPECT_EQ(support::sweep_allocations(body), 6);
}

/* H39: the child of a fork starts with an empty pool, whatever other threads were doing. */
TEST_F(Stack, ForkedChildStartsAnew)
{
    roti_stack *stack;
    ASSERT_EQ(roti_stack_get(nullptr, 0, &stack), 0);
    stack->low[5] = 42;
    support::in_child([stack] {
        roti_stack *own;
        bool in_guard;
        roti_stack_pool_forked();
        bool good = roti_stack_live_count() == 0 && roti_stack_get(nullptr, 0, &own) == 0 &&
                    own != stack && stack->low[5] == 42 &&
                    roti_stack_find(stack->low, &in_guard) == stack;
        if (good)
            roti_stack_put(nullptr, own);
        roti_stack_pool_drain();
        good = good && stack->low[5] == 42; /* what ran before the fork may run still */
        return good ? 0 : 1;
    });
    roti_stack_put(nullptr, stack);
}

} // namespace
