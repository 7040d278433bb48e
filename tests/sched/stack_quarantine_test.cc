/* SPDX-License-Identifier: MIT */
/*
 * stack_quarantine_test.cc - stacks of ended tasks: wiped, or inaccessible for a while.
 */
#include "sched/guard.h"
#include "sched/overflow.h"
#include "sched/pages.h"
#include "sched/stack_quarantine.h"
#include "tests/sched/stacks.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <vector>

namespace {

using stacks::Cache;
using stacks::kib;

/* Whether the kernel can read a byte of it on our behalf. Without the sanitizer, to which an unused
 * stack is forbidden anyway. */
bool accessible(const char *byte)
{
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    bool readable = syscall(SYS_write, ends[1], byte, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return readable;
}

/* With either kind of guard. */
class StackQuarantine : public stacks::EmptyPool, public testing::WithParamInterface<roti_guard> {
protected:
    void SetUp() override
    {
        EmptyPool::SetUp();
        roti_guard_override(ROTI_GUARD_PROBE, 0);
        if (GetParam() == ROTI_GUARD_MARKER && roti_guard_kind() != ROTI_GUARD_MARKER)
            GTEST_SKIP() << "this system has no guard markers";
        roti_guard_override(GetParam(), 0);
    }
    void TearDown() override
    {
        roti_pages_set_hook(nullptr);
        EmptyPool::TearDown();
        roti_guard_override(ROTI_GUARD_PROBE, 0);
    }
};

INSTANTIATE_TEST_SUITE_P(Guards, StackQuarantine,
                         testing::Values(ROTI_GUARD_MARKER, ROTI_GUARD_MPROTECT),
                         [](const auto &info) {
                             return info.param == ROTI_GUARD_MARKER ? "Marker" : "Protection";
                         });

TEST_P(StackQuarantine, StacksAreInaccessibleUntilTheyArePushedOut)
{
    constexpr size_t room = 4;
    Cache cache;
    cache.policy.detain = roti_stack_quarantine_create(room);
    ASSERT_NE(cache.policy.detain, nullptr);
    std::vector<roti_stack *> stacks(3 * room);
    for (auto &stack : stacks) {
        ASSERT_EQ(roti_stack_get(&cache, 64 * kib, &stack), 0);
        memset(stack->low, 1, stack->size);
    }
    for (auto *stack : stacks) {
        char *top = stack->low + stack->size - 1;
        roti_stack_put(&cache, stack);
        EXPECT_FALSE(accessible(top));
        EXPECT_FALSE(accessible(stack->low));
        EXPECT_NE(roti_stack_detained(stack), nullptr);
    }
    for (size_t i = 0; i < stacks.size(); i++) {
        bool detained = i >= stacks.size() - room;
        EXPECT_EQ(accessible(stacks[i]->low), !detained) << i;
        EXPECT_FALSE(accessible(stacks[i]->low - 1)) << i; /* the guard stays */
        EXPECT_EQ(roti_stack_detained(stacks[i]) != nullptr, detained) << i;
    }
    roti_stack_quarantine_free(cache.policy.detain);
    cache.policy.detain = nullptr;
    for (auto *stack : stacks)
        EXPECT_TRUE(accessible(stack->low));
}

TEST_P(StackQuarantine, AStackThatCannotBeTakenAwayIsFree)
{
    Cache cache;
    cache.policy.detain = roti_stack_quarantine_create(2);
    roti_stack *stack, *again;
    ASSERT_EQ(roti_stack_get(&cache, 64 * kib, &stack), 0);
    roti_pages_set_hook([](enum roti_pages_call, int) { return -ENOMEM; });
    roti_stack_put(&cache, stack);
    roti_pages_set_hook(nullptr);
    EXPECT_TRUE(accessible(stack->low));
    ASSERT_EQ(roti_stack_get(&cache, 64 * kib, &again), 0);
    EXPECT_EQ(again, stack);
    roti_stack_put(&cache, again);
    roti_stack_quarantine_free(cache.policy.detain);
    cache.policy.detain = nullptr;
}

/* What cannot be let go stays, and the one that came is free instead. */
TEST_P(StackQuarantine, AStackThatCannotBeLetGoStays)
{
    Cache cache;
    cache.policy.detain = roti_stack_quarantine_create(1);
    roti_stack *first, *second;
    ASSERT_EQ(roti_stack_get(&cache, 64 * kib, &first), 0);
    ASSERT_EQ(roti_stack_get(&cache, 64 * kib, &second), 0);
    roti_stack_put(&cache, first);
    roti_pages_set_hook([](enum roti_pages_call, int) { return -ENOMEM; });
    roti_stack_put(&cache, second);
    roti_pages_set_hook(nullptr);
    EXPECT_FALSE(accessible(first->low));
    EXPECT_TRUE(accessible(second->low));
    roti_stack_quarantine_free(cache.policy.detain);
    cache.policy.detain = nullptr;
}

TEST_P(StackQuarantine, FailingAllocation)
{
    EXPECT_EQ(support::sweep_allocations([] {
                  roti_stack_quarantine *quarantine = roti_stack_quarantine_create(3);
                  roti_stack_quarantine_free(quarantine);
                  return quarantine != nullptr ? 0 : -ENOMEM;
              }),
              1);
}

/* Touches a stack after its owner has given it back. */
void use_after_end()
{
    static roti_overflow_thread thread;
    static char name[] = "till (spawned at shop.c:7)";
    rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    roti_overflow_set_describe([](const roti_stack *stack, char *buf, size_t size) {
        strncpy(buf, static_cast<const char *>(stack->owner), size);
    });
    Cache cache;
    roti_stack *stack;
    cache.policy.detain = roti_stack_quarantine_create(2);
    if (roti_overflow_install_thread(&thread) < 0 || roti_stack_get(&cache, 0, &stack) < 0)
        _exit(90);
    stack->owner = name;
    char *local = stack->low + stack->size - 100;
    *local = 1;
    roti_stack_put(&cache, stack);
    *(volatile char *)local = 2;
    _exit(0);
}

TEST_P(StackQuarantine, NamesTheTaskThatOwnedTheStack)
{
    if (ROTI_ASAN || ROTI_TSAN)
        GTEST_SKIP() << "the sanitizer handles it";
    EXPECT_EXIT(
        use_after_end(), testing::KilledBySignal(SIGSEGV),
        "rota: use of a stack after the end of task till \\(spawned at shop.c:7\\): fault at "
        "0x[0-9a-f]+\n");
}

class StackWipe : public stacks::EmptyPool {
protected:
    void TearDown() override
    {
        roti_pages_set_hook(nullptr);
        EmptyPool::TearDown();
    }
};

bool all_zero(const roti_stack *stack)
{
    return std::all_of(stack->low, stack->low + stack->size, [](char c) { return c == 0; });
}

TEST_F(StackWipe, NothingCanBeReadAgain)
{
    for (size_t size : {16 * kib, 64 * kib, 1024 * kib}) {
        Cache cache;
        cache.policy.wipe = true;
        roti_stack *stack, *again;
        ASSERT_EQ(roti_stack_get(&cache, size, &stack), 0);
        memset(stack->low, 0x5a, stack->size);
        roti_stack_put(&cache, stack);
        ASSERT_EQ(roti_stack_get(&cache, size, &again), 0);
        ASSERT_EQ(again, stack);
        EXPECT_TRUE(all_zero(again)) << size;
        roti_stack_put(&cache, again);
    }
}

/* Where the kernel does not give the pages anew, they are overwritten. */
TEST_F(StackWipe, AlsoWhereMemoryIsLocked)
{
    Cache cache;
    cache.policy.wipe = true;
    roti_stack *stack, *again;
    ASSERT_EQ(roti_stack_get(&cache, 64 * kib, &stack), 0);
    memset(stack->low, 0x5a, stack->size);
    roti_pages_set_hook([](enum roti_pages_call, int) { return -EINVAL; });
    roti_stack_put(&cache, stack);
    roti_pages_set_hook(nullptr);
    ASSERT_EQ(roti_stack_get(&cache, 64 * kib, &again), 0);
    ASSERT_EQ(again, stack);
    EXPECT_TRUE(all_zero(again));
    roti_stack_put(&cache, again);
}

TEST_F(StackWipe, IsNotDoneUnasked)
{
    Cache cache;
    roti_stack *stack;
    ASSERT_EQ(roti_stack_get(&cache, 64 * kib, &stack), 0);
    memset(stack->low, 0x5a, stack->size);
    roti_stack_put(&cache, stack);
    ASSERT_EQ(roti_stack_get(&cache, 64 * kib, &stack), 0);
    EXPECT_FALSE(all_zero(stack));
    roti_stack_put(&cache, stack);
}

} // namespace
