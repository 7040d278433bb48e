/* SPDX-License-Identifier: MIT */
/*
 * spin_test.cc - staying awake without work where waits have been short (H16, A25).
 *
 * The lengths of waits are the machine's to choose when it is busy. What is asked here holds all
 * the same: a wait that is too long only makes spins fewer.
 */
#include <rota/future.h>
#include <thread>

#include "tests/loop/run_loops.h"

namespace {

int complete(void *arg)
{
    return rota_future_set_result(static_cast<rota_future *>(arg), nullptr);
}

/* Posts to the loop and waits for the answer, so many times. */
void make_trips(rota_loop *loop, int trips)
{
    rota_future_opts opts{};
    opts.loop = loop;
    for (int i = 0; i < trips; i++) {
        rota_future *reply = nullptr;
        ASSERT_EQ(0, rota_future_create(&reply, &opts));
        ASSERT_EQ(0, rota_call_soon_threadsafe(loop, nullptr, complete, reply, nullptr));
        ASSERT_EQ(0, rota_future_wait(reply, ROTA_NEVER, nullptr));
        rota_future_unref(reply);
    }
}

/* Spins of one loop that another thread makes trips to. */
std::uint64_t spins_of_trips(std::int64_t spin_ns, int trips)
{
    rota_run_opts opts{};
    opts.spin_ns = spin_ns;
    std::uint64_t spins = 0;
    auto body = [&] {
        rota_future *done = nullptr;
        EXPECT_EQ(0, rota_future_create(&done, nullptr));
        std::thread thread([&, loop = rota_running_loop()] {
            make_trips(loop, trips);
            EXPECT_EQ(0, rota_future_set_result(done, nullptr));
        });
        EXPECT_EQ(0, rota_future_await(done, nullptr));
        thread.join();
        rota_future_unref(done);
        rota_counters counters{};
        EXPECT_EQ(0, rota_loop_counters(rota_running_loop(), &counters));
        spins = counters.spins;
        return 0;
    };
    EXPECT_EQ(0, loops::run(1, body, opts));
    return spins;
}

TEST(Spin, ALoopWhoseWaitsAreShortStaysAwake)
{
    EXPECT_GT(spins_of_trips(50 * ROTA_MS, 2000), 0U);
}

TEST(Spin, CanBeTurnedOff)
{
    EXPECT_EQ(0U, spins_of_trips(-1, 200));
}

/* 300 waits that are short enough to try, and longer than any spin: tried after 3 of them, after 6
 * more, after 12 more ... */
TEST(Spin, InVainIsSeldomTriedAgain)
{
    rota_run_opts opts{};
    opts.spin_ns = ROTA_MS;
    EXPECT_EQ(0, loops::run(
                     1,
                     [] {
                         for (int i = 0; i < 300; i++)
                             EXPECT_EQ(0, rota_sleep(1500 * ROTA_US));
                         rota_counters counters{};
                         EXPECT_EQ(0, rota_loop_counters(rota_running_loop(), &counters));
                         EXPECT_LE(counters.spins, 7U);
                         return 0;
                     },
                     opts));
}

} // namespace
