/* SPDX-License-Identifier: MIT */
/*
 * thread_wait_test.cc - threads that run no loop sleep on an eventcount (H42).
 */
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "sched/wait.h"
#include "tests/support/support.h"

namespace {

constexpr std::int64_t kMs = 1'000'000;

std::int64_t now_ns()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1'000'000'000) + now.tv_nsec;
}

/* An object that can be waited for: a lock and a list, as in sched/wait.h. */
struct Object {
    Object()
    {
        roti_list_init(&waits);
    }

    /* The waiter's half. The result; -ETIMEDOUT where nobody claimed in time. */
    std::int64_t wait_until(std::int64_t deadline_ns)
    {
        roti_wait wait;
        roti_thread_waiter waiter;
        roti_thread_wait_init(&wait, &waiter, ROTI_WAIT_FUTURE, this);
        roti_spin_lock(&lock);
        roti_wait_link(&wait, &waits);
        roti_spin_unlock(&lock);
        int r = roti_thread_wait_sleep(&waiter, deadline_ns);
        if (r < 0) {
            roti_spin_lock(&lock);
            bool linked = wait.linked;
            roti_wait_unlink(&wait);
            roti_spin_unlock(&lock);
            if (!linked)
                r = roti_thread_wait_sleep(&waiter, INT64_MAX);
        }
        std::int64_t result = r < 0 ? r : wait.result;
        /* What a late waker would write to, or read. */
        std::memset(static_cast<void *>(&wait), 0xa5, sizeof wait);
        std::memset(static_cast<void *>(&waiter), 0xa5, sizeof waiter);
        return result;
    }

    /* The waker's half: wakes the oldest. False if nobody waits. */
    bool wake_one(std::int64_t result)
    {
        roti_spin_lock(&lock);
        roti_wait *wait = roti_wait_first(&waits);
        bool claimed = wait != nullptr && roti_wait_claim(wait, result);
        roti_spin_unlock(&lock);
        if (claimed)
            roti_wait_wake(wait);
        return claimed;
    }

    roti_spin lock = {};
    roti_list waits;
};

TEST(ThreadWait, AWakeBeforeTheSleepIsNotLost)
{
    Object object;
    roti_wait wait;
    roti_thread_waiter waiter;
    roti_thread_wait_init(&wait, &waiter, ROTI_WAIT_FUTURE, &object);
    roti_wait_link(&wait, &object.waits);
    EXPECT_TRUE(object.wake_one(7));
    EXPECT_EQ(0, roti_thread_wait_sleep(&waiter, INT64_MAX));
    EXPECT_EQ(7, wait.result);
    EXPECT_FALSE(object.wake_one(8));
}

TEST(ThreadWait, ADeadlineInThePastOnlyLooks)
{
    Object object;
    for (std::int64_t deadline_ns : {INT64_MIN, INT64_C(-1), INT64_C(0), INT64_C(1), now_ns()})
        EXPECT_EQ(-ETIMEDOUT, object.wait_until(deadline_ns));
}

TEST(ThreadWait, ADeadlineComesAndIsNeverEarly)
{
    Object object;
    for (int i = 0; i < 5; i++)
        for (std::int64_t delay_ns : {kMs / 10, kMs, 5 * kMs, 20 * kMs}) {
            std::int64_t deadline_ns = now_ns() + delay_ns;
            EXPECT_EQ(-ETIMEDOUT, object.wait_until(deadline_ns));
            EXPECT_GE(now_ns(), deadline_ns);
        }
}

TEST(ThreadWait, ASleeperIsWoken)
{
    Object object;
    std::thread waker([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        while (!object.wake_one(42))
            std::this_thread::yield();
    });
    EXPECT_EQ(42, object.wait_until(INT64_MAX));
    waker.join();
}

TEST(ThreadWait, ItSleepsAndDoesNotSpin)
{
    Object object;
    timespec before, after;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    EXPECT_EQ(-ETIMEDOUT, object.wait_until(now_ns() + 200 * kMs));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    std::int64_t used_ns =
        (after.tv_sec - before.tv_sec) * INT64_C(1'000'000'000) + (after.tv_nsec - before.tv_nsec);
    EXPECT_LT(used_ns, support::patience_ns(50 * kMs));
}

TEST(ThreadWait, ManyAreWokenTogether)
{
    Object object;
    std::atomic<int> woken{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; i++)
        threads.emplace_back([&] { woken += object.wait_until(INT64_MAX) == 3; });
    int claimed = 0;
    while (claimed < 16) {
        roti_list list;
        roti_list_init(&list);
        roti_spin_lock(&object.lock);
        while (roti_wait *wait = roti_wait_first(&object.waits))
            if (roti_wait_claim(wait, 3)) {
                roti_list_push_back(&list, &wait->link);
                claimed++;
            }
        roti_spin_unlock(&object.lock);
        roti_wait_wake_all(&list);
        std::this_thread::yield();
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(16, woken);
}

TEST(ThreadWait, H42_TheFrameGoesRightAfterTheWake)
{
    /* Waiters return, poison their frame and wait anew, with a deadline now and then; every wake
     * that claimed is seen by exactly one of them. */
    const int rounds = static_cast<int>(support::scale(2'000));
    Object object;
    std::atomic<std::int64_t> woken{0};
    std::atomic<int> left{4};
    std::vector<std::thread> waiters;
    for (int w = 0; w < 4; w++)
        waiters.emplace_back([&, w] {
            for (int i = 0; i < rounds; i++) {
                bool brief = (i + w) % 4 == 0;
                std::int64_t r = object.wait_until(brief ? now_ns() + i % 20 * 1000 : INT64_MAX);
                EXPECT_TRUE(r == 1 || (brief && r == -ETIMEDOUT)) << r;
                woken += r == 1;
            }
            left--;
        });
    std::int64_t claimed = 0;
    while (left > 0) {
        if (object.wake_one(1))
            claimed++;
        else
            std::this_thread::yield();
    }
    for (std::thread &waiter : waiters)
        waiter.join();
    EXPECT_EQ(claimed, woken);
}

} // namespace
