/* SPDX-License-Identifier: MIT */
/*
 * task_stress_test.cc - many tasks at once, and many parks (A09, A26).
 */
#include <cerrno>
#include <rota/error.h>
#include <rota/future.h>

#include "sched/guard.h"
#include "tests/loop/run_loops.h"

namespace {

/* 2,000 parked tasks at scale 1, 100,000 at scale 50. Where guards are mappings: to the budget, and
 * a clean -ENOMEM beyond it. */
TEST(TaskStress, ManyParkedTasks)
{
    support::allow_seconds(280);
    auto count = static_cast<std::size_t>(support::scale(2000));
    EXPECT_EQ(0, loops::run(2, [count] {
                  static rota_future *gate;
                  EXPECT_EQ(0, rota_future_create(&gate, nullptr));
                  std::vector<rota_task *> tasks;
                  int r = 0;
                  while (tasks.size() < count) {
                      rota_task *task = nullptr;
                      r = rota_task_spawn(
                          &task, [](void *) { return rota_future_await(gate, nullptr); }, nullptr,
                          nullptr);
                      if (r != 0)
                          break;
                      tasks.push_back(task);
                  }
                  bool budget = roti_guard_kind() == ROTI_GUARD_MPROTECT;
                  EXPECT_TRUE(r == 0 || (budget && r == -ENOMEM)) << r;
                  for (rota_task *task : tasks)
                      EXPECT_TRUE(loops::settled(task));
                  EXPECT_EQ(static_cast<ssize_t>(tasks.size()) + 1,
                            rota_runtime_tasks(rota_running_runtime(), nullptr, 0));
                  EXPECT_EQ(0, rota_future_set_result(gate, nullptr));
                  for (rota_task *task : tasks) {
                      int status = 1;
                      EXPECT_EQ(0, rota_task_await(task, &status));
                      EXPECT_EQ(0, status);
                      rota_task_unref(task);
                  }
                  rota_future_unref(gate);
                  return 0;
              }));
}

/* A09: 20,000 pairs of park and unpark at scale 1, 1,000,000 at scale 50; the watchdog looks on. */
TEST(TaskStress, ParkAndUnpark)
{
    support::allow_seconds(280);
    for (unsigned loop_count : {2U, 4U})
        EXPECT_EQ(0, loops::run(loop_count, [] {
                      loops::Tasks tasks;
                      std::int64_t per_pair = support::scale(20'000) / 16;
                      struct Mailbox {
                          std::atomic<rota_future *> sent{nullptr};
                      };
                      std::vector<Mailbox> boxes(8);
                      for (Mailbox &box : boxes) {
                          tasks.spawn([&box, per_pair] {
                              for (std::int64_t i = 0; i < per_pair; i++) {
                                  rota_future *future = nullptr;
                                  if (rota_future_create(&future, nullptr) != 0)
                                      return -1;
                                  box.sent = rota_future_ref(future);
                                  if (rota_future_await(future, nullptr) != 0)
                                      return -2;
                                  rota_future_unref(future);
                              }
                              return 0;
                          });
                          tasks.spawn([&box, per_pair] {
                              for (std::int64_t i = 0; i < per_pair; i++) {
                                  rota_future *future;
                                  while ((future = box.sent.exchange(nullptr)) == nullptr)
                                      if ((i % 64 == 0 ? rota_sleep(20 * ROTA_US) : rota_yield()) !=
                                          0)
                                          return -1;
                                  if (rota_future_set_result(future, nullptr) != 0)
                                      return -2;
                                  rota_future_unref(future);
                              }
                              return 0;
                          });
                      }
                      for (int status : tasks.join())
                          EXPECT_EQ(0, status);
                      return 0;
                  }));
}

} // namespace
