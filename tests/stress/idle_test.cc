/* SPDX-License-Identifier: MIT */
/*
 * idle_test.cc - loops whose tasks all wait take no CPU (A25, H16).
 */
#include <rota/future.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <thread>

#include "tests/loop/run_loops.h"

namespace {

constexpr unsigned LOOPS = 8;

std::int64_t cpu_ns()
{
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * ROTA_SEC + now.tv_nsec;
}

using Counters = std::array<rota_counters, LOOPS>;

Counters counters_of(const rota_runtime *runtime)
{
    Counters counters;
    for (unsigned i = 0; i < LOOPS; i++)
        EXPECT_EQ(0, rota_loop_counters(rota_runtime_loop(runtime, i), &counters[i]));
    return counters;
}

/* What all loops have done, in one number. */
std::uint64_t turns_of(const Counters &counters)
{
    std::uint64_t sum = 0;
    for (const rota_counters &one : counters)
        sum += one.turns + one.parks;
    return sum;
}

/* Waits, on a thread outside, until no loop has done anything for a while. */
void await_calm(const rota_runtime *runtime)
{
    std::uint64_t last = 0;
    EXPECT_TRUE(support::eventually([&] {
        std::uint64_t before = std::exchange(last, turns_of(counters_of(runtime)));
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return last == before;
    }));
}

struct Calm {
    double seconds = 0;
    double cpu_share = 0;    /* of one CPU, per loop */
    std::uint64_t wakes = 0; /* of the loop that had most */
    std::uint64_t turns = 0; /* the same */
};

/* On a thread outside: what the loops do for so long while nobody wants anything of them. */
Calm look_on(const rota_runtime *runtime, std::int64_t seconds)
{
    Calm calm;
    await_calm(runtime);
    Counters before = counters_of(runtime);
    std::int64_t start_ns = rota_time_ns(), start_cpu_ns = cpu_ns();
    std::this_thread::sleep_for(std::chrono::seconds(seconds));
    std::int64_t used_ns = cpu_ns() - start_cpu_ns, passed_ns = rota_time_ns() - start_ns;
    Counters after = counters_of(runtime);
    for (unsigned i = 0; i < LOOPS; i++) {
        calm.wakes = std::max(calm.wakes, after[i].wakes_received - before[i].wakes_received);
        calm.turns = std::max(calm.turns, after[i].turns - before[i].turns);
    }
    calm.seconds = static_cast<double>(passed_ns) / 1e9;
    calm.cpu_share = static_cast<double>(used_ns) / static_cast<double>(passed_ns) / LOOPS;
    return calm;
}

/* A25: 200 tasks and 1 s at scale 1, 10,000 tasks and 60 s from scale 60 on. */
TEST(Idle, LoopsWhoseTasksWaitTakeNoCpu)
{
    support::allow_seconds(200);
    auto tasks = std::min<std::int64_t>(support::scale(200), 10'000);
    auto seconds = std::min<std::int64_t>(support::scale(1), 60);
    Calm calm;
    EXPECT_EQ(0, loops::run(LOOPS, [&] {
                  rota_future *gate = nullptr;
                  EXPECT_EQ(0, rota_future_create(&gate, nullptr));
                  loops::Tasks parked;
                  for (std::int64_t i = 0; i < tasks; i++)
                      parked.spawn([gate] { return rota_future_await(gate, nullptr); });
                  parked.settle();
                  std::thread onlooker([&, runtime = rota_running_runtime()] {
                      calm = look_on(runtime, seconds);
                      EXPECT_EQ(0, rota_future_set_result(gate, nullptr));
                  });
                  for (int status : parked.join())
                      EXPECT_EQ(0, status);
                  onlooker.join();
                  rota_future_unref(gate);
                  return 0;
              }));
    std::printf("figures: %u loops, %ld tasks, %.0f s: %.4f %% of a CPU per loop, "
                "at most %lu wakes and %lu turns of a loop\n",
                LOOPS, tasks, calm.seconds, 100 * calm.cpu_share, calm.wakes, calm.turns);
    /* A loop that a busy machine has held up may still be on its way to sleep. */
    EXPECT_LE(calm.wakes, static_cast<std::uint64_t>(seconds) + 10);
    EXPECT_LE(calm.turns, static_cast<std::uint64_t>(seconds) + 10);
    if (seconds == 60) {
        EXPECT_LT(calm.cpu_share, 0.001);
    }
}

} // namespace
