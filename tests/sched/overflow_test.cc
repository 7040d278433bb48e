/* SPDX-License-Identifier: MIT */
/*
 * overflow_test.cc - a task that runs out of stack is named, and then dies as before (H31, H32).
 */
#include "sched/fiber.h"
#include "sched/overflow.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

namespace {

volatile bool ever_enough = false;

/* Uses up whatever stack there is. */
__attribute__((noinline)) int recurse(volatile char *above)
{
    volatile char here[512];
    here[0] = above == nullptr ? 0 : above[0];
    if (ever_enough)
        return here[0];
    int r = recurse(here);
    return r + here[1];
}

void describe(const roti_stack *stack, char *buf, size_t size)
{
    snprintf(buf, size, "%s (spawned at shop.c:7)", static_cast<const char *>(stack->owner));
}

[[noreturn]] void overflow_in_a_task()
{
    struct Both {
        roti_fiber thread, fiber;
    } both{};
    static char name[] = "till";
    roti_stack *stack;
    if (roti_stack_get(nullptr, 0, &stack) < 0 || roti_fiber_adopt_thread(&both.thread) < 0)
        _exit(90);
    stack->owner = name;
    roti_fiber_init(
        &both.fiber, stack, 0,
        [](void *arg, void *) -> roti_fiber_exit {
            int r = recurse(nullptr);
            return {&static_cast<Both *>(arg)->thread, reinterpret_cast<void *>(intptr_t(r))};
        },
        &both);
    roti_fiber_switch(&both.thread, &both.fiber, nullptr);
    _exit(91);
}

/* For processes that are to die: no core, and what is wanted of the handler. */
void prepare(bool with_describe)
{
    static roti_overflow_thread thread;
    rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (with_describe)
        roti_overflow_set_describe(describe);
    if (roti_overflow_install_thread(&thread) < 0)
        _exit(92);
}

void former(int, siginfo_t *info, void *)
{
    static const char text[] = "the former handler\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    _exit(n > 0 && info->si_addr != reinterpret_cast<void *>(1) ? 42 : 93);
}

/* The handler that was there before ours. */
void set_former()
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = former;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, nullptr);
}

TEST(Overflow, NamesTheTask)
{
    EXPECT_DEATH(
        {
            prepare(true);
            overflow_in_a_task();
        },
        "rota: stack overflow in task till \\(spawned at shop.c:7\\): fault at 0x[0-9a-f]+\n");
}

TEST(Overflow, NamesTheStackWhenNobodyDescribes)
{
    EXPECT_DEATH(
        {
            prepare(false);
            overflow_in_a_task();
        },
        "rota: stack overflow in task on the stack at 0x[0-9a-f]+: fault at 0x[0-9a-f]+\n");
}

TEST(Overflow, DiesByTheSignalWhereNobodyHandlesIt)
{
    if (ROTI_ASAN || ROTI_TSAN)
        GTEST_SKIP() << "the sanitizer handles it";
    EXPECT_EXIT(
        {
            prepare(true);
            overflow_in_a_task();
        },
        testing::KilledBySignal(SIGSEGV), "rota: stack overflow in task till");
}

TEST(Overflow, HandsOnToTheFormerHandler)
{
    EXPECT_EXIT(
        {
            set_former();
            prepare(true);
            overflow_in_a_task();
        },
        testing::ExitedWithCode(42), "in task till.*\n.*the former handler");
}

TEST(Overflow, SaysNothingOfOtherFaults)
{
    EXPECT_EXIT(
        {
            set_former();
            prepare(true);
            raise(SIGSEGV);
        },
        testing::ExitedWithCode(42), "^the former handler");
}

TEST(Overflow, ASentSignalStillKills)
{
    if (ROTI_ASAN || ROTI_TSAN)
        GTEST_SKIP() << "the sanitizer handles it";
    EXPECT_EXIT(
        {
            prepare(true);
            raise(SIGSEGV);
            _exit(0);
        },
        testing::KilledBySignal(SIGSEGV), "");
}

TEST(Overflow, LeavesTheHandlerAsItWas)
{
    struct sigaction before, between, after;
    roti_overflow_thread one, two;
    sigaction(SIGSEGV, nullptr, &before);
    ASSERT_EQ(roti_overflow_install_thread(&one), 0);
    std::thread([&] {
        stack_t alternate;
        ASSERT_EQ(roti_overflow_install_thread(&two), 0);
        ASSERT_EQ(sigaltstack(nullptr, &alternate), 0);
        EXPECT_FALSE(alternate.ss_flags & SS_DISABLE);
        roti_overflow_remove_thread(&two);
    }).join();
    sigaction(SIGSEGV, nullptr, &between);
    EXPECT_NE(between.sa_sigaction, before.sa_sigaction);
    EXPECT_TRUE(between.sa_flags & SA_ONSTACK);
    roti_overflow_remove_thread(&one);
    sigaction(SIGSEGV, nullptr, &after);
    EXPECT_EQ(after.sa_sigaction, before.sa_sigaction);
}

/* A thread that has an alternate stack keeps it. */
TEST(Overflow, KeepsAThreadsOwnAlternateStack)
{
    std::thread([] {
        static char memory[1 << 16];
        stack_t own = {}, now = {}, original = {};
        own.ss_sp = memory;
        own.ss_size = sizeof memory;
        ASSERT_EQ(sigaltstack(&own, &original), 0);
        roti_overflow_thread thread;
        ASSERT_EQ(roti_overflow_install_thread(&thread), 0);
        ASSERT_EQ(sigaltstack(nullptr, &now), 0);
        EXPECT_EQ(now.ss_sp, memory);
        roti_overflow_remove_thread(&thread);
        ASSERT_EQ(sigaltstack(nullptr, &now), 0);
        EXPECT_EQ(now.ss_sp, memory);
        ASSERT_EQ(sigaltstack(&original, nullptr), 0);
    }).join();
}

TEST(Overflow, FailingAllocations)
{
    /* On a thread without an alternate stack. */
    std::thread([] {
        stack_t none = {}, original = {};
        none.ss_flags = SS_DISABLE;
        ASSERT_EQ(sigaltstack(&none, &original), 0);
        std::int64_t count = support::sweep_allocations([] {
            roti_overflow_thread thread;
            int r = roti_overflow_install_thread(&thread);
            if (r == 0)
                roti_overflow_remove_thread(&thread);
            return r;
        });
        EXPECT_EQ(count, 1);
        ASSERT_EQ(sigaltstack(&original, nullptr), 0);
    }).join();
}

} // namespace
