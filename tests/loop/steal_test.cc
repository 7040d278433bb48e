/* SPDX-License-Identifier: MIT */
/*
 * steal_test.cc - work reaches idle loops, blocked loops lose theirs, nothing is lost (B-Z01, H08,
 * H10, A09).
 */
#include <cerrno>
#include <chrono>
#include <random>
#include <rota/error.h>
#include <rota/future.h>
#include <thread>

#include "tests/loop/run_loops.h"

namespace {

using loops::eventually;
using loops::Tasks;
using loops::total;

void burn(std::chrono::microseconds time)
{
    auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end)
        ;
}

/* B-Z01: tasks that keep one loop busy spread over the idle ones. */
TEST(Steal, BurningTasksSpread)
{
    EXPECT_EQ(0, loops::run(4, [] {
                  Tasks tasks;
                  std::atomic<unsigned> seen{0};
                  for (int i = 0; i < 64; i++)
                      tasks.spawn([&] {
                          seen |= 1U << rota_loop_index(rota_running_loop());
                          while (seen != 0xf) /* each keeps its loop until all have one */
                              std::this_thread::yield();
                          return 0;
                      });
                  tasks.join();
                  return 0;
              }));
}

/* The ready tasks of a loop that a task keeps for itself run elsewhere. */
TEST(Steal, ABlockedLoopLosesItsReadyTasks)
{
    EXPECT_EQ(0, loops::run(2, [] {
                  static std::atomic<int> ran;
                  ran = 0;
                  for (int i = 0; i < 300; i++) /* more than the ring holds */
                      EXPECT_EQ(0, rota_task_spawn(
                                       nullptr,
                                       [](void *) {
                                           ran++;
                                           return 0;
                                       },
                                       nullptr, nullptr));
                  EXPECT_TRUE(support::eventually([] { return ran == 300; })) << "never suspends";
                  return 0;
              }));
}

/* A post to an unpinned task's loop that is blocked reaches the task all the same. */
TEST(Steal, AForeignWakeReachesATaskOfABlockedLoop)
{
    ROTA_NOT_WHEN_TASKS_MOVE("the task may have to move to the loop that is blocked");
    EXPECT_EQ(0, loops::run(2, [] {
                  for (std::int64_t i = 0; i < support::scale(200); i++) {
                      rota_future *future = nullptr;
                      EXPECT_EQ(0, rota_future_create(&future, nullptr));
                      std::atomic<bool> waiting{false}, woken{false};
                      Tasks tasks;
                      tasks.spawn([&] {
                          waiting = true;
                          int r = rota_future_await(future, nullptr);
                          woken = true;
                          return r;
                      });
                      EXPECT_TRUE(eventually([&] { return waiting.load(); }));
                      std::thread thread(
                          [&] { EXPECT_EQ(0, rota_future_set_result(future, nullptr)); });
                      EXPECT_TRUE(support::eventually([&] { return woken.load(); }))
                          << "this loop is blocked; the task may have been waiting on it";
                      thread.join();
                      EXPECT_EQ(0, tasks.join()[0]);
                      rota_future_unref(future);
                  }
                  return 0;
              }));
}

/* A09: park and unpark, task against task over loops; a lost wake would hang here. */
TEST(Steal, ParkAndUnparkPairs)
{
    support::allow_seconds(120);
    for (unsigned count : {2U, 4U, 8U})
        EXPECT_EQ(0, loops::run(count, [] {
                      Tasks tasks;
                      struct Pair {
                          std::atomic<rota_future *> ball{nullptr};
                      };
                      std::vector<Pair> pairs(8);
                      std::int64_t rounds = support::scale(2000);
                      for (auto &pair : pairs) {
                          auto side = [&pair, rounds](bool serves) {
                              for (std::int64_t i = 0; i < rounds; i++) {
                                  if (serves) {
                                      rota_future *future = nullptr;
                                      if (rota_future_create(&future, nullptr) != 0)
                                          return -1;
                                      rota_future_ref(future);
                                      rota_future *none = nullptr;
                                      while (!pair.ball.compare_exchange_weak(none, future)) {
                                          none = nullptr;
                                          if (rota_yield() != 0)
                                              return -2;
                                      }
                                      if (rota_future_await(future, nullptr) != 0)
                                          return -3;
                                      rota_future_unref(future);
                                  } else {
                                      rota_future *future;
                                      while ((future = pair.ball.exchange(nullptr)) == nullptr)
                                          if (rota_yield() != 0)
                                              return -4;
                                      if (rota_future_set_result(future, nullptr) != 0)
                                          return -5;
                                      rota_future_unref(future);
                                  }
                              }
                              return 0;
                          };
                          tasks.spawn([side] { return side(true); });
                          tasks.spawn([side] { return side(false); });
                      }
                      for (int status : tasks.join())
                          EXPECT_EQ(0, status);
                      return 0;
                  }));
}

/* Everything asleep, then one wake from outside, again and again: none is lost (H08). */
TEST(Steal, WakesFromOutsideFindASleepingRuntime)
{
    support::allow_seconds(120);
    EXPECT_EQ(0, loops::run(4, [] {
                  std::atomic<rota_future *> slot{nullptr};
                  std::atomic<bool> stop{false};
                  std::thread waker([&] {
                      std::mt19937 random(7);
                      while (!stop) {
                          rota_future *future = slot.exchange(nullptr);
                          if (future == nullptr) {
                              std::this_thread::yield();
                              continue;
                          }
                          burn(std::chrono::microseconds(random() % 60));
                          rota_future_set_result(future, nullptr);
                          rota_future_unref(future);
                      }
                  });
                  for (std::int64_t i = 0; i < support::scale(3000); i++) {
                      rota_future *future = nullptr;
                      EXPECT_EQ(0, rota_future_create(&future, nullptr));
                      slot = rota_future_ref(future);
                      EXPECT_EQ(0, rota_future_await(future, nullptr));
                      rota_future_unref(future);
                  }
                  stop = true;
                  waker.join();
                  return 0;
              }));
}

/* A task that gives way to nobody goes on at once: no other loop is woken to steal it. */
TEST(Steal, ATaskThatYieldsAloneIsLeftAlone)
{
    ROTA_NOT_WHEN_TASKS_MOVE("each resume is a post to another loop");
    EXPECT_EQ(0, loops::run(2, [] {
                  auto *runtime = rota_running_runtime();
                  std::uint64_t stolen_before = total(runtime).tasks_stolen;
                  for (int i = 0; i < 100'000; i++)
                      EXPECT_EQ(0, rota_yield());
                  /* Some, by a loop that looked before it went to sleep; hundreds if it is told. */
                  EXPECT_LE(total(runtime).tasks_stolen - stolen_before, 100U);
                  return 0;
              }));
}

/* But the second one is for whoever is idle. */
TEST(Steal, TasksThatYieldSpread)
{
    EXPECT_EQ(0, loops::run(2, [] {
                  Tasks tasks;
                  std::atomic<unsigned> seen{0};
                  for (int i = 0; i < 2; i++)
                      tasks.spawn([&] {
                          while (seen != 3) {
                              seen |= 1U << rota_loop_index(rota_running_loop());
                              EXPECT_EQ(0, rota_yield());
                          }
                          return 0;
                      });
                  tasks.join();
                  return 0;
              }));
}

/* Spawned and finished agree, whatever was stolen in between. */
TEST(Steal, AccountsAgree)
{
    EXPECT_EQ(0, loops::run(4, [] {
                  Tasks tasks;
                  for (int i = 0; i < 500; i++)
                      tasks.spawn([] {
                          for (int step = 0; step < 20; step++)
                              if ((step % 7 == 0 ? rota_sleep(20 * ROTA_US) : rota_yield()) != 0)
                                  return -1;
                          return 0;
                      });
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  EXPECT_TRUE(eventually([] {
                      rota_counters sum = total(rota_running_runtime());
                      return sum.spawned == sum.finished + 1; /* this task */
                  }));
                  EXPECT_GE(total(rota_running_runtime()).switches, 500U * 20U);
                  return 0;
              }));
}

/* An idle runtime sleeps: it does not turn, and is not woken (A25 in small). */
TEST(Steal, IdleLoopsSleep)
{
    EXPECT_EQ(0, loops::run(4, [] {
                  rota_runtime *runtime = rota_running_runtime();
                  for (unsigned i = 0; i < 4; i++)
                      EXPECT_TRUE(eventually([=] {
                          rota_counters counters{};
                          EXPECT_EQ(0,
                                    rota_loop_counters(rota_runtime_loop(runtime, i), &counters));
                          return counters.parks > 0;
                      }));
                  rota_counters before = total(runtime);
                  EXPECT_EQ(0, rota_sleep(300 * ROTA_MS));
                  rota_counters after = total(runtime);
                  EXPECT_LE(after.parks - before.parks, 8U);
                  return 0;
              }));
}

} // namespace
