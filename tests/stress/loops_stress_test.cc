/* SPDX-License-Identifier: MIT */
/*
 * loops_stress_test.cc - loops that are added and retired under everything else: tasks that spawn,
 * yield and sleep, posts to loops whatever they are, timers, threads from outside.
 */
#include <cstdio>
#include <thread>

#include "tests/loop/run_loops.h"
#include "tests/support/splitmix.h"

namespace {

constexpr unsigned LOOPS = 6;

/* What has been begun, and what of it has ended. */
struct Account {
    std::atomic<std::int64_t> begun{0};
    std::atomic<std::int64_t> ended{0};

    bool is_settled() const
    {
        return begun == ended;
    }
};

Account tasks;
Account posts;
Account timers;
std::atomic<std::int64_t> changes;

std::uint32_t draw(std::uint32_t count)
{
    static std::atomic<std::uint64_t> seed{1};
    std::uint64_t state = seed.fetch_add(0x9E3779B97F4A7C15U);
    return splitmix_below(&state, count);
}

int live(void *arg)
{
    auto depth = reinterpret_cast<std::uintptr_t>(arg);
    for (std::uint32_t i = 0; i < 4; i++) {
        int r = draw(4) == 0 ? rota_sleep(draw(200) * ROTA_US) : rota_yield();
        if (r < 0)
            return r;
        if (depth > 0 && draw(3) == 0) {
            rota_task_opts opts{};
            opts.pinned = draw(4) == 0;
            opts.arg_release = [](void *) { tasks.ended++; };
            tasks.begun++;
            if (rota_task_spawn(nullptr, live, reinterpret_cast<void *>(depth - 1), &opts) < 0)
                tasks.ended++;
        }
    }
    return 0;
}

void begin_task(rota_runtime *runtime)
{
    rota_task_opts opts{};
    opts.arg_release = [](void *) { tasks.ended++; };
    tasks.begun++;
    if (rota_task_spawn_threadsafe(runtime, nullptr, live, reinterpret_cast<void *>(2), &opts) < 0)
        tasks.ended++;
}

/* A timer of this loop, wherever it stands. */
int arm()
{
    auto fire = [](void *) {
        timers.ended++;
        return 0;
    };
    timers.begun++;
    return rota_call_later(nullptr, nullptr, draw(500) * ROTA_US, fire, nullptr, nullptr);
}

void post(rota_runtime *runtime)
{
    rota_loop *loop = rota_runtime_loop(runtime, draw(LOOPS));
    auto run = [](void *) {
        posts.ended++;
        return draw(2) == 0 ? 0 : arm();
    };
    if (loop == nullptr)
        return;
    posts.begun++;
    EXPECT_EQ(0, rota_call_soon_threadsafe(loop, nullptr, run, nullptr, nullptr));
}

/* One thing of a thread from outside, or of a task. */
void act(rota_runtime *runtime)
{
    switch (draw(8)) {
    case 0:
        EXPECT_EQ(0, rota_runtime_set_loops(runtime, 1 + draw(LOOPS)));
        changes++;
        break;
    case 1:
    case 2:
        begin_task(runtime);
        break;
    default:
        post(runtime);
    }
}

TEST(LoopsStress, NothingIsLostAsTheyComeAndGo)
{
    support::allow_seconds(280);
    std::int64_t rounds = support::scale(3000);
    EXPECT_EQ(0, loops::run(1, [&] {
                  rota_runtime *runtime = rota_running_runtime();
                  std::vector<std::thread> threads;
                  std::atomic<int> left{2};
                  for (int i = 0; i < 2; i++)
                      threads.emplace_back([&, runtime] {
                          for (std::int64_t k = 0; k < rounds; k++)
                              act(runtime);
                          left--;
                      });
                  while (left > 0) {
                      act(runtime);
                      if (int r = rota_yield(); r < 0)
                          return r;
                  }
                  for (std::thread &thread : threads)
                      thread.join();
                  EXPECT_TRUE(loops::eventually([] {
                      return tasks.is_settled() && posts.is_settled() && timers.is_settled();
                  }));
                  return 0;
              }));
    std::printf("figures: %ld changes of the number of loops, 1 to %u; %ld of %ld tasks, "
                "%ld of %ld posts, %ld of %ld timers\n",
                changes.load(), LOOPS, tasks.ended.load(), tasks.begun.load(), posts.ended.load(),
                posts.begun.load(), timers.ended.load(), timers.begun.load());
}

} // namespace
