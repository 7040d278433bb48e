/* SPDX-License-Identifier: MIT */
/*
 * guard_test.cc - guards below stacks, by either means, and their budget (H31).
 */
#include "sched/guard.h"
#include "tests/sched/stacks.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <unistd.h>
#include <vector>

namespace {

using stacks::Cache;
using stacks::kib;

class Guard : public stacks::EmptyPool {};

/* The byte below a stack kills; the test is the same for every kind of guard. */
void touch_guard(enum roti_guard kind)
{
    roti_guard_override(kind, 0);
    roti_stack *stack;
    if (roti_stack_get(nullptr, 16 * kib, &stack) == 0)
        *(volatile char *)(stack->low - 1) = 1;
    _exit(0); /* no guard */
}

TEST_F(Guard, MarkerKills)
{
    if (roti_guard_kind() != ROTI_GUARD_MARKER)
        GTEST_SKIP() << "this system has no guard markers";
    EXPECT_DEATH(touch_guard(ROTI_GUARD_MARKER), "");
}

TEST_F(Guard, ByProtectionKills)
{
    EXPECT_DEATH(touch_guard(ROTI_GUARD_MPROTECT), "");
}

/* The probe believes effects only: what it chose must make a page that the kernel cannot read. */
TEST_F(Guard, IsProbedByEffect)
{
    roti_stack *stack;
    int ends[2];
    roti_guard_override(ROTI_GUARD_PROBE, 0);
    EXPECT_NE(roti_guard_kind(), ROTI_GUARD_PROBE);
    ASSERT_EQ(roti_stack_get(nullptr, 16 * kib, &stack), 0);
    ASSERT_EQ(pipe(ends), 0);
    EXPECT_EQ(write(ends[1], stack->low - 1, 1), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(write(ends[1], stack->low - roti_guard_size(), 1), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(write(ends[1], stack->low, 1), 1);
    close(ends[0]);
    close(ends[1]);
    roti_stack_put(nullptr, stack);
}

TEST_F(Guard, ProtectionStopsAtItsBudget)
{
    constexpr size_t mappings = 2 * 10;
    roti_guard_override(ROTI_GUARD_MPROTECT, mappings);
    for (int round = 0; round < 3; round++) {
        Cache cache;
        std::vector<roti_stack *> stacks;
        roti_stack *stack = nullptr;
        int r;
        while ((r = roti_stack_get(&cache, 16 * kib, &stack)) == 0)
            stacks.push_back(stack);
        EXPECT_EQ(r, -ENOMEM);
        ASSERT_EQ(stacks.size(), mappings / 2);
        EXPECT_EQ(stack, stacks.back()); /* untouched on failure */
        /* What is guarded already goes on being usable. */
        roti_stack_put(&cache, stacks.back());
        EXPECT_EQ(roti_stack_get(&cache, 16 * kib, &stacks.back()), 0);
        for (auto *each : stacks)
            roti_stack_put(&cache, each);
        roti_stack_cache_drain(&cache);
        EXPECT_EQ(roti_stack_live_count(), 0u);
        roti_stack_pool_drain(); /* gives the mappings back for the next round */
    }
    roti_guard_override(ROTI_GUARD_PROBE, 0);
}

TEST_F(Guard, BudgetFromTheSystem)
{
    roti_guard_override(ROTI_GUARD_MPROTECT, 0);
    std::vector<roti_stack *> stacks(100);
    for (auto &stack : stacks)
        ASSERT_EQ(roti_stack_get(nullptr, 16 * kib, &stack), 0);
    for (auto *stack : stacks)
        roti_stack_put(nullptr, stack);
    roti_stack_pool_drain();
    roti_guard_override(ROTI_GUARD_PROBE, 0);
}

} // namespace
