/* SPDX-License-Identifier: MIT */
/*
 * stack_promise_test.cc - stacks are promised first and made later; what may fail, and when (H31,
 * A26, A12, A13).
 */
#include "sched/guard.h"
#include "sched/pages.h"
#include "tests/sched/stacks.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <random>
#include <thread>
#include <vector>

namespace {

using stacks::Cache;
using stacks::kib;
using stacks::promise;

class StackPromise : public stacks::EmptyPool {
protected:
    void TearDown() override
    {
        roti_pages_set_hook(nullptr);
        EmptyPool::TearDown();
    }
};

int make(roti_stack_cache *cache, int index, roti_stack **ret_stack)
{
    return roti_stack_make(cache, static_cast<unsigned>(index), ret_stack);
}

TEST_F(StackPromise, CostsNoMemory)
{
    Cache cache;
    /* Guards that are mappings are paid for at the promise, within a budget. */
    std::vector<int> promised(roti_guard_kind() == ROTI_GUARD_MARKER ? 100'000 : 5'000);
    for (int &index : promised)
        ASSERT_GE(index = promise(&cache, 256 * kib), 0);
    EXPECT_GE(roti_stack_live_count(), promised.size());
    /* The warm stack goes round; no other was touched. */
    roti_stack *first = nullptr;
    for (int index : promised) {
        roti_stack *stack;
        ASSERT_EQ(make(&cache, index, &stack), 0);
        if (first == nullptr)
            first = stack;
        ASSERT_EQ(stack, first);
        roti_stack_put(&cache, stack);
    }
}

TEST_F(StackPromise, IsKeptByAnyCache)
{
    Cache caches[3];
    std::minstd_rand random(7);
    std::vector<int> promised;
    std::vector<roti_stack *> made;
    for (long i = 0; i < support::scale(50'000); i++) {
        auto &cache = caches[random() % 3];
        if (random() % 2) {
            int index = promise(&cache, (16 * kib) << random() % 2);
            ASSERT_GE(index, 0);
            promised.push_back(index);
        } else if (!promised.empty() && random() % 4 != 0) {
            roti_stack *stack;
            ASSERT_EQ(make(&cache, promised.back(), &stack), 0);
            promised.pop_back();
            made.push_back(stack);
        } else if (!made.empty()) {
            roti_stack_put(&cache, made.back());
            made.pop_back();
        }
        if (promised.size() > 500) {
            roti_stack_forgo(&cache, static_cast<unsigned>(promised.back()));
            promised.pop_back();
        }
    }
    for (int index : promised)
        roti_stack_forgo(&caches[0], static_cast<unsigned>(index));
    for (auto *stack : made)
        roti_stack_put(nullptr, stack);
}

TEST_F(StackPromise, WithoutACache)
{
    roti_stack *stack;
    int index = promise(nullptr, 0);
    ASSERT_GE(index, 0);
    EXPECT_EQ(roti_stack_live_count(), 1u);
    ASSERT_EQ(make(nullptr, index, &stack), 0);
    roti_stack_put(nullptr, stack);
    index = promise(nullptr, 0);
    roti_stack_forgo(nullptr, static_cast<unsigned>(index));
}

/* Slabs are not unmapped under a promise. */
TEST_F(StackPromise, OutlivesDraining)
{
    roti_stack *stack;
    int index = promise(nullptr, 16 * kib);
    ASSERT_GE(index, 0);
    roti_stack_pool_drain();
    ASSERT_EQ(make(nullptr, index, &stack), 0);
    stack->low[0] = 1;
    roti_stack_put(nullptr, stack);
}

std::atomic<int> failing_call;  /* enum roti_pages_call */
std::atomic<int> failing_errno; /* negative; 0: none */
std::atomic<int> failing_after; /* calls that still go well */

int fail(enum roti_pages_call call, int)
{
    if (call != failing_call || failing_errno == 0 || failing_after-- > 0)
        return 0;
    return failing_errno;
}

void fail_with(enum roti_pages_call call, int error, int after = 0)
{
    failing_call = call;
    failing_errno = error;
    failing_after = after;
    roti_pages_set_hook(fail);
}

/* The kernel has no memory for the mark: the promise holds, and is kept once it has. */
TEST_F(StackPromise, AGuardThatCannotBeMadeIsMadeLater)
{
    if (roti_guard_kind() != ROTI_GUARD_MARKER)
        GTEST_SKIP() << "this system has no guard markers";
    Cache cache;
    roti_stack *stack = nullptr;
    int index = promise(&cache, 16 * kib);
    ASSERT_GE(index, 0);
    fail_with(ROTI_PAGES_advise, -ENOMEM);
    EXPECT_EQ(make(&cache, index, &stack), -ENOMEM);
    EXPECT_EQ(make(nullptr, index, &stack), -ENOMEM);
    EXPECT_EQ(stack, nullptr);
    EXPECT_EQ(roti_stack_get(&cache, 16 * kib, &stack), -ENOMEM);
    failing_errno = 0;
    ASSERT_EQ(make(&cache, index, &stack), 0);
    EXPECT_TRUE(stack->guarded);
    roti_stack_put(&cache, stack);
}

/* Where memory is locked, the first kernels with marks refuse them: guards are mappings then. */
TEST_F(StackPromise, ARefusedMarkBecomesAMapping)
{
    if (roti_guard_kind() != ROTI_GUARD_MARKER)
        GTEST_SKIP() << "this system has no guard markers";
    Cache cache;
    roti_stack *stack;
    fail_with(ROTI_PAGES_advise, -EINVAL);
    ASSERT_EQ(roti_stack_get(&cache, 16 * kib, &stack), 0);
    EXPECT_EQ(roti_guard_kind(), ROTI_GUARD_MPROTECT);
    EXPECT_TRUE(stack->guarded);
    roti_stack_put(&cache, stack);
    roti_stack_cache_drain(&cache);
    roti_stack_pool_drain();
    roti_guard_override(ROTI_GUARD_PROBE, 0);
}

/* The budget is charged when a stack is promised, not when it is made. */
TEST_F(StackPromise, IsRefusedWhereTheBudgetEnds)
{
    roti_guard_override(ROTI_GUARD_MPROTECT, 2 * 5);
    {
        Cache cache;
        std::vector<int> promised;
        std::vector<roti_stack *> made(5);
        int index;
        while ((index = promise(&cache, 16 * kib)) >= 0 && promised.size() < 100)
            promised.push_back(index);
        EXPECT_EQ(index, -ENOMEM);
        ASSERT_EQ(promised.size(), 5u);
        for (size_t i = 0; i < 5; i++)
            ASSERT_EQ(make(&cache, promised[i], &made[i]), 0);
        EXPECT_EQ(promise(&cache, 16 * kib), -ENOMEM);
        for (auto *stack : made)
            roti_stack_put(&cache, stack);
        ASSERT_GE(promise(&cache, 16 * kib), 0); /* one that is there */
        roti_stack_forgo(&cache, 0);
    }
    roti_stack_pool_drain();
    roti_guard_override(ROTI_GUARD_PROBE, 0);
}

TEST_F(StackPromise, AProtectionThatTheKernelRefuses)
{
    roti_guard_override(ROTI_GUARD_MPROTECT, 0);
    {
        Cache cache;
        roti_stack *stack = nullptr;
        fail_with(ROTI_PAGES_protect, -ENOMEM);
        EXPECT_EQ(roti_stack_get(&cache, 16 * kib, &stack), -ENOMEM);
        failing_errno = 0;
        ASSERT_EQ(roti_stack_get(&cache, 16 * kib, &stack), 0);
        roti_stack_put(&cache, stack);
    }
    roti_stack_pool_drain();
    roti_guard_override(ROTI_GUARD_PROBE, 0);
}

/* Slabs grow with their class; where so much address space is not to be had, they grow by less. */
TEST_F(StackPromise, LessAddressSpaceWillDo)
{
    Cache cache;
    std::vector<int> promised;
    size_t before = 0;
    for (int i = 0; i < 1000; i++)
        promised.push_back(promise(&cache, 16 * kib));
    before = roti_stack_live_count();
    fail_with(ROTI_PAGES_reserve, -ENOMEM);
    int index;
    while ((index = promise(&cache, 16 * kib)) >= 0)
        promised.push_back(index);
    EXPECT_EQ(index, -ENOMEM);
    EXPECT_GE(roti_stack_live_count(), before);
    fail_with(ROTI_PAGES_reserve, 0);
    failing_errno = 0;
    /* The first, greater attempts fail; the least slab is had. */
    std::atomic<int> &attempts = failing_after;
    attempts = 0;
    roti_pages_set_hook([](enum roti_pages_call call, int) {
        return call == ROTI_PAGES_reserve && failing_after++ == 0 ? -ENOMEM : 0;
    });
    ASSERT_GE(index = promise(&cache, 16 * kib), 0);
    EXPECT_GT(attempts, 1);
    promised.push_back(index);
    for (int each : promised)
        roti_stack_forgo(&cache, static_cast<unsigned>(each));
}

TEST_F(StackPromise, FailingAllocations)
{
    auto body = [] {
        Cache cache;
        int r = promise(&cache, 0);
        if (r < 0)
            return r;
        roti_stack *stack;
        EXPECT_EQ(make(&cache, r, &stack), 0); /* what is promised is there */
        roti_stack_put(&cache, stack);
        roti_stack_cache_drain(&cache);
        EXPECT_EQ(roti_stack_live_count(), 0u);
        roti_stack_pool_drain();
        return 0;
    };
    /* The stack itself, the slab's record, the slab. */
    EXPECT_EQ(support::sweep_allocations(body), 3);
}

} // namespace
