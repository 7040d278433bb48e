/* SPDX-License-Identifier: MIT */
/*
 * poller_test.cc - the poller alone: waiting, waking, time, old kernels (H59).
 */
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <pthread.h>
#include <thread>
#include <unistd.h>

#include "loop/poller.h"
#include "tests/loop/failing_calls.h"
#include "tests/support/support.h"

namespace {

using failing::Count;
using failing::Failure;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kForever = -1;

std::int64_t now_ns()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1'000'000'000) + now.tv_nsec;
}

class Poller : public ::testing::Test {
protected:
    void SetUp() override
    {
        ASSERT_EQ(0, roti_poller_init(&poller));
    }
    void TearDown() override
    {
        roti_poller_done(&poller);
    }

    /* How long a wait took. */
    std::int64_t wait(std::int64_t timeout_ns)
    {
        std::int64_t start = now_ns();
        roti_poller_wait(&poller, timeout_ns);
        EXPECT_EQ(0U, roti_poller_take(&poller));
        return now_ns() - start;
    }

    struct roti_poller poller;
};

TEST_F(Poller, AWakeBeforeTheWaitEndsIt)
{
    roti_poller_wake(&poller);
    wait(kForever);
}

TEST_F(Poller, AWakeDuringTheWaitEndsIt)
{
    for (int i = 0; i < 20; i++) {
        std::thread waker([this, i] {
            usleep(static_cast<useconds_t>(i * 200));
            roti_poller_wake(&poller);
        });
        wait(kForever);
        waker.join();
    }
}

TEST_F(Poller, ManyWakesEndOneWait)
{
    for (int i = 0; i < 1000; i++)
        roti_poller_wake(&poller);
    wait(kForever);
    EXPECT_GE(wait(5 * kMs), 5 * kMs) << "the wakes were used up by one wait";
}

TEST_F(Poller, EveryWakeAfterAReturnCounts)
{
    for (int i = 0; i < 1000; i++) {
        roti_poller_wake(&poller);
        wait(kForever);
    }
}

TEST_F(Poller, WakesOfManyThreadsAreNotLost)
{
    const int count = static_cast<int>(support::scale(2000));
    std::atomic<int> posted{0};
    auto post = [&] {
        for (int i = 0; i < count; i++) {
            posted++;
            roti_poller_wake(&poller);
        }
    };
    std::thread first(post);
    std::thread second(post);
    while (posted < 2 * count)
        wait(kForever); /* hangs if a wake that came after the last look was lost */
    first.join();
    second.join();
}

TEST_F(Poller, H59AFullEventfdStillWakes)
{
    std::uint64_t almost_full = UINT64_MAX - 1;
    ASSERT_EQ(ssize_t{sizeof almost_full}, write(poller.wake_fd, &almost_full, sizeof almost_full));
    wait(kForever); /* uses up the edge; the counter stays */
    roti_poller_wake(&poller);
    wait(kForever);
}

TEST_F(Poller, ZeroDoesNotBlock)
{
    Count count;
    wait(0);
    EXPECT_EQ(1, count.count(ROTI_SYSCALL_epoll_wait)) << "the cheaper of the two";
}

TEST_F(Poller, TimeIsNeverEarly)
{
    for (std::int64_t timeout :
         {INT64_C(1), INT64_C(999), kMs - 1, kMs, kMs + 1, 2 * kMs + 500'000})
        EXPECT_GE(wait(timeout), timeout);
}

TEST_F(Poller, TimeIsNeverEarlyOnAnOldKernel)
{
    Failure old_kernel(ROTI_SYSCALL_epoll_pwait2, -ENOSYS);
    for (std::int64_t timeout :
         {INT64_C(1), INT64_C(999), kMs - 1, kMs, kMs + 1, 2 * kMs + 500'000})
        EXPECT_GE(wait(timeout), timeout);
    wait(0);
    EXPECT_EQ(1, old_kernel.count(ROTI_SYSCALL_epoll_pwait2)) << "asked once, not again";
    EXPECT_EQ(7, old_kernel.count(ROTI_SYSCALL_epoll_wait));
}

TEST_F(Poller, WakesOnAnOldKernelAndUnderAFilterThatSaysEperm)
{
    for (int error : {-ENOSYS, -EPERM}) {
        Failure old_kernel(ROTI_SYSCALL_epoll_pwait2, error);
        poller.has_pwait2 = true;
        std::thread waker([this] {
            usleep(2000);
            roti_poller_wake(&poller);
        });
        wait(support::patience_ns(10'000 * kMs));
        waker.join();
        EXPECT_FALSE(poller.has_pwait2);
    }
}

TEST_F(Poller, TheLongestTimeoutFitsBothInterfaces)
{
    static_assert(ROTI_POLLER_TIMEOUT_MAX_NS / kMs <= INT32_MAX);
    for (bool has_pwait2 : {true, false}) {
        poller.has_pwait2 = has_pwait2;
        std::atomic<bool> woken{false};
        std::thread waker([&] {
            usleep(5000);
            woken = true;
            roti_poller_wake(&poller);
        });
        wait(INT64_MAX);
        EXPECT_TRUE(woken) << "it did not overflow";
        waker.join();
    }
}

TEST_F(Poller, AnInterruptedWaitReturnsToItsCaller)
{
    Failure interrupted(ROTI_SYSCALL_epoll_pwait2, -EINTR);
    wait(support::patience_ns(10'000 * kMs));
    EXPECT_TRUE(poller.has_pwait2);
    EXPECT_EQ(0, interrupted.count(ROTI_SYSCALL_epoll_wait));
}

TEST_F(Poller, AnInterruptedWakeIsMadeAgain)
{
    Failure interrupted(ROTI_SYSCALL_write, -EINTR, 3);
    roti_poller_wake(&poller);
    wait(kForever);
    EXPECT_EQ(4, interrupted.count(ROTI_SYSCALL_write));
}

/* What init took before it failed is given back: the check around each test sees descriptors. */
TEST(PollerInit, FailsAtEachOfItsCallsAndLeavesNothing)
{
    for (enum roti_syscall site :
         {ROTI_SYSCALL_epoll_create1, ROTI_SYSCALL_eventfd, ROTI_SYSCALL_epoll_ctl})
        for (int error : {-EMFILE, -ENFILE, -ENOMEM}) {
            struct roti_poller poller;
            Failure failure(site, error);
            EXPECT_EQ(error, roti_poller_init(&poller)) << roti_syscall_name(site);
        }
}

TEST(PollerInit, DoneMayBeCalledTwice)
{
    struct roti_poller poller;
    ASSERT_EQ(0, roti_poller_init(&poller));
    roti_poller_done(&poller);
    roti_poller_done(&poller);
}

TEST(Syscall, NamesEachSite)
{
    EXPECT_STREQ("epoll_create1", roti_syscall_name(ROTI_SYSCALL_epoll_create1));
    EXPECT_STREQ("getsockopt", roti_syscall_name(ROTI_SYSCALL_getsockopt));
}

} // namespace
