/* SPDX-License-Identifier: MIT */
/*
 * cancel_test.cc - cancellation of tasks: C1 to C17, B-C, and what tickets must get right.
 */
#include <cerrno>
#include <random>
#include <rota/error.h>
#include <rota/future.h>

#include "sched/task_impl.h"
#include "tests/loop/run_loops.h"

namespace {

using loops::eventually;
using loops::settled;
using loops::Tasks;

class Cancel : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(Cancel);

int sleep_long()
{
    return rota_sleep(1000 * ROTA_SEC);
}

/* Spawns a body and lets it come to its first wait. */
rota_task *spawn_blocked(Tasks &tasks, loops::Body body)
{
    rota_task *task = tasks.spawn(std::move(body));
    EXPECT_TRUE(settled(task));
    return task;
}

/* B-C01, C6. */
TEST_P(Cancel, BeforeTheFirstStepTheBodyNeverRuns)
{
    EXPECT_EQ(0, run([] {
                  static std::atomic<int> ran, released;
                  ran = released = 0;
                  rota_task_opts opts{};
                  opts.pinned = true; /* nobody starts it before we cancel */
                  opts.arg_release = [](void *) { released++; };
                  rota_pin();
                  rota_task *task = nullptr;
                  auto body = [](void *) {
                      ran++;
                      return 0;
                  };
                  EXPECT_EQ(0, rota_task_spawn(&task, body, nullptr, &opts));
                  EXPECT_EQ(1, rota_task_cancel(task));
                  int status = 0;
                  EXPECT_EQ(0, rota_task_await(task, &status));
                  rota_unpin();
                  EXPECT_EQ(-ECANCELED, status);
                  EXPECT_EQ(0, ran);
                  EXPECT_EQ(1, released);
                  rota_task_unref(task);
                  return 0;
              }));
}

/* B-C02, C10. */
TEST_P(Cancel, ABlockedTaskSeesItOnceAtItsSuspension)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  rota_task *task = spawn_blocked(tasks, [] {
                      EXPECT_EQ(-ECANCELED, sleep_long());
                      EXPECT_EQ(1, rota_task_cancelling(rota_current_task()));
                      EXPECT_EQ(0, rota_yield()) << "delivered once";
                      return -ECANCELED;
                  });
                  EXPECT_EQ(1, rota_task_cancel(task));
                  EXPECT_EQ(-ECANCELED, tasks.join()[0]);
                  return 0;
              }));
}

/* C2, C10. */
TEST_P(Cancel, SeveralRequestsAreCountedAndDeliveredAsOne)
{
    EXPECT_EQ(0, run([many = many()] {
                  Tasks tasks;
                  std::atomic<bool> started{false}, go{false};
                  rota_task *task = tasks.spawn([&] {
                      started = true;
                      while (!go)
                          ; /* running: no request can be delivered */
                      EXPECT_EQ(-ECANCELED, sleep_long());
                      EXPECT_EQ(3, rota_task_cancelling(rota_current_task()));
                      EXPECT_EQ(2, rota_task_uncancel(rota_current_task()));
                      EXPECT_EQ(0, rota_yield());
                      EXPECT_EQ(1, rota_task_uncancel(rota_current_task()));
                      EXPECT_EQ(0, rota_task_uncancel(rota_current_task()));
                      EXPECT_EQ(0, rota_task_uncancel(rota_current_task()));
                      return 7;
                  });
                  while (many && !started)
                      ; /* another loop takes it, as this one is busy */
                  for (int i = 0; i < 3; i++)
                      EXPECT_EQ(1, rota_task_cancel(task));
                  EXPECT_EQ(3, rota_task_cancelling(task));
                  go = true;
                  int status = tasks.join()[0];
                  /* Alone on its loop it had not started yet, and so never did. */
                  EXPECT_TRUE(status == 7 || status == -ECANCELED) << status;
                  return 0;
              }));
}

/* B-C09: a request that is taken back before it was delivered is not delivered. */
TEST_P(Cancel, UncancelTakesAnUndeliveredRequestBack)
{
    EXPECT_EQ(0, run([] {
                  rota_task *self = rota_current_task();
                  EXPECT_EQ(1, rota_task_cancel(self));
                  EXPECT_EQ(0, rota_task_uncancel(self));
                  EXPECT_EQ(0, rota_yield());
                  return 0;
              }));
}

/* C8: no suspension, no delivery. B-C05: a task that cancels itself and returns ends with its
 * value. */
TEST_P(Cancel, SelfCancelIsDeliveredAtTheNextSuspension)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  rota_task *done = tasks.spawn([] { return 3; });
                  EXPECT_TRUE(eventually([&] { return rota_task_done(done); }));
                  rota_task *self = rota_current_task();
                  EXPECT_EQ(1, rota_task_cancel(self));
                  int status = 0;
                  EXPECT_EQ(0, rota_task_await(done, &status)) << "completed: does not suspend";
                  EXPECT_EQ(3, status);
                  EXPECT_EQ(-ECANCELED, rota_yield());
                  EXPECT_EQ(0, rota_task_uncancel(self));
                  tasks.spawn([] {
                      EXPECT_EQ(1, rota_task_cancel(rota_current_task()));
                      return 9;
                  });
                  EXPECT_EQ((std::vector<int>{3, 9}), tasks.join());
                  return 0;
              }));
}

/* B-C07: the result wins; the request stays pending for the next suspension. */
TEST_P(Cancel, ACompletedWaitKeepsItsResult)
{
    EXPECT_EQ(
        0, run([] {
            Tasks tasks;
            std::atomic<int> blocked{0};
            rota_future *future = nullptr;
            int marker = 0;
            rota_task_opts pinned{};
            pinned.pinned = true;
            EXPECT_EQ(0, rota_future_create(&future, nullptr));
            rota_pin(); /* the waiter is on this loop, so it cannot resume before we suspend */
            rota_task *waiter = tasks.spawn(
                [&] {
                    void *value = nullptr;
                    blocked++;
                    EXPECT_EQ(0, rota_future_await(future, &value));
                    EXPECT_EQ(&marker, value);
                    EXPECT_EQ(-ECANCELED, rota_yield());
                    return 4;
                },
                pinned);
            while (blocked == 0)
                EXPECT_EQ(0, rota_yield());
            EXPECT_EQ(0, rota_future_set_result(future, &marker));
            EXPECT_EQ(1, rota_task_cancel(waiter));
            rota_unpin();
            EXPECT_EQ(4, tasks.join()[0]);
            rota_future_unref(future);
            return 0;
        }));
}

/* C3: a request travels down a chain to its leaf; each level sees it on the way up. */
TEST_P(Cancel, ForwardsDownAChain)
{
    EXPECT_EQ(
        0, run([] {
            static std::atomic<int> leaf_cancelled;
            static std::atomic<rota_task *> chain[11];
            leaf_cancelled = 0;
            for (auto &level : chain)
                level = nullptr;
            struct Level {
                static int body(void *arg)
                {
                    auto depth = reinterpret_cast<std::intptr_t>(arg);
                    chain[depth] = rota_current_task();
                    if (depth == 0) {
                        int r = sleep_long();
                        leaf_cancelled += r == -ECANCELED;
                        return r;
                    }
                    rota_task *child = nullptr;
                    int r =
                        rota_task_spawn(&child, body, reinterpret_cast<void *>(depth - 1), nullptr);
                    int status = 0;
                    if (r == 0)
                        r = rota_task_await(child, &status);
                    EXPECT_EQ(0, r) << "the wait itself completes";
                    EXPECT_EQ(1, rota_task_cancelling(rota_current_task()));
                    EXPECT_EQ(0, rota_yield()) << "delivered in the child counts as delivered";
                    rota_task_unref(child);
                    return status;
                }
            };
            rota_task *top = nullptr;
            EXPECT_EQ(0, rota_task_spawn(&top, Level::body, reinterpret_cast<void *>(10), nullptr));
            EXPECT_TRUE(eventually([] { return chain[0] != nullptr; }));
            for (auto &level : chain)
                EXPECT_TRUE(settled(level));
            EXPECT_EQ(1, rota_task_cancel(top));
            int status = 0;
            EXPECT_EQ(0, rota_task_await(top, &status));
            EXPECT_EQ(-ECANCELED, status);
            EXPECT_EQ(1, leaf_cancelled);
            rota_task_unref(top);
            return 0;
        }));
}

/* B-C04, C13: the inner one swallows, the outer one just receives its value. */
TEST_P(Cancel, ASwallowedForwardedRequestIsAnswered)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  rota_task *inner = spawn_blocked(tasks, [] {
                      EXPECT_EQ(-ECANCELED, sleep_long());
                      return 11;
                  });
                  rota_task *outer = spawn_blocked(tasks, [&] {
                      int status = 0;
                      EXPECT_EQ(0, rota_task_await(inner, &status));
                      EXPECT_EQ(11, status);
                      EXPECT_EQ(1, rota_task_cancelling(rota_current_task()));
                      EXPECT_EQ(0, rota_yield());
                      return 12;
                  });
                  EXPECT_EQ(1, rota_task_cancel(outer));
                  EXPECT_EQ((std::vector<int>{11, 12}), tasks.join());
                  return 0;
              }));
}

/* A request that was forwarded and never delivered becomes undelivered in the awaiter. */
TEST_P(Cancel, AnUndeliveredForwardedRequestComesBack)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  std::atomic<int> blocked{0};
                  std::atomic<bool> go{false};
                  if (rota_runtime_loop_count(rota_running_runtime()) == 1)
                      return 0; /* the child must run while the canceller does */
                  rota_task *inner = tasks.spawn([&] {
                      blocked++;
                      while (!go)
                          ;
                      return 21; /* returns without any further suspension */
                  });
                  rota_task *outer = tasks.spawn([&] {
                      int status = 0;
                      blocked++;
                      EXPECT_EQ(0, rota_task_await(inner, &status));
                      EXPECT_EQ(21, status);
                      EXPECT_EQ(-ECANCELED, rota_yield());
                      return 22;
                  });
                  while (blocked < 2 || roti_word_state(outer->word) != ROTI_WAITING)
                      ; /* busy: other loops take both, and none of them waits behind this one */
                  EXPECT_EQ(1, rota_task_cancel(outer));
                  EXPECT_EQ(1, rota_task_cancelling(inner));
                  go = true;
                  EXPECT_EQ((std::vector<int>{21, 22}), tasks.join());
                  return 0;
              }));
}

/* B-C12: shield leaves the inner task alone. */
TEST_P(Cancel, ShieldedTasksGoOn)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  rota_future *go = nullptr;
                  EXPECT_EQ(0, rota_future_create(&go, nullptr));
                  rota_task *inner = spawn_blocked(tasks, [&] {
                      EXPECT_EQ(0, rota_future_await(go, nullptr));
                      return 31;
                  });
                  rota_task *outer = spawn_blocked(tasks, [&] {
                      int status = 5;
                      int r = rota_task_shield(inner, &status);
                      EXPECT_EQ(-ECANCELED, r);
                      EXPECT_EQ(5, status);
                      return r;
                  });
                  EXPECT_EQ(1, rota_task_cancel(outer));
                  EXPECT_TRUE(eventually([&] { return rota_task_done(outer); }));
                  EXPECT_FALSE(rota_task_done(inner));
                  EXPECT_EQ(0, rota_future_set_result(go, nullptr));
                  EXPECT_EQ((std::vector<int>{31, -ECANCELED}), tasks.join());
                  EXPECT_EQ(0, rota_task_cancelling(rota_current_task()));
                  rota_future_unref(go);
                  return 0;
              }));
}

/* B-C11, detach: cancelling one waiter of a plain future leaves the other alone. */
TEST_P(Cancel, FuturesKeepTheirOtherWaiters)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  rota_future *future = nullptr;
                  int marker = 0;
                  EXPECT_EQ(0, rota_future_create(&future, nullptr));
                  auto wait = [&] {
                      void *value = nullptr;
                      int r = rota_future_await(future, &value);
                      return r < 0 ? r : value == &marker;
                  };
                  rota_task *first = spawn_blocked(tasks, wait);
                  spawn_blocked(tasks, wait);
                  EXPECT_EQ(1, rota_task_cancel(first));
                  EXPECT_TRUE(eventually([&] { return rota_task_done(first); }));
                  EXPECT_FALSE(rota_future_done(future));
                  EXPECT_EQ(0, rota_future_set_result(future, &marker));
                  EXPECT_EQ((std::vector<int>{-ECANCELED, 1}), tasks.join());
                  rota_future_unref(future);
                  return 0;
              }));
}

/* B-C13: cancel from another thread races with completion; exactly one outcome each, none lost. */
TEST_P(Cancel, RacesWithCompletion)
{
    support::allow_seconds(120);
    EXPECT_EQ(0, run([] {
                  std::mt19937 random(1);
                  std::int64_t cancelled = 0;
                  for (std::int64_t i = 0; i < support::scale(20'000); i++) {
                      rota_future *future = nullptr;
                      EXPECT_EQ(0, rota_future_create(&future, nullptr));
                      Tasks tasks;
                      rota_task *waiter = tasks.spawn([&] {
                          void *value = nullptr;
                          int r = rota_future_await(future, &value);
                          return r < 0 ? r : value == &tasks ? 1 : 2;
                      });
                      tasks.spawn([&] { return rota_future_set_result(future, &tasks); });
                      for (unsigned spin = random() % 200; spin > 0; spin--)
                          asm volatile("");
                      if (random() % 4 == 0 && rota_yield() != 0)
                          return -1;
                      rota_task_cancel(waiter);
                      std::vector<int> statuses = tasks.join();
                      EXPECT_TRUE(statuses[0] == 1 || statuses[0] == -ECANCELED) << statuses[0];
                      EXPECT_EQ(0, statuses[1]);
                      cancelled += statuses[0] != 1;
                      rota_future_unref(future);
                  }
                  EXPECT_GT(cancelled, 0);
                  return 0;
              }));
}

/* Storm: many cancellers, many sleepers, chains between them. Everything ends. */
TEST_P(Cancel, StormOfChains)
{
    support::allow_seconds(120);
    EXPECT_EQ(0, run([] {
                  for (std::int64_t round = 0; round < support::scale(200); round++) {
                      Tasks tasks;
                      std::vector<rota_task *> chain;
                      chain.push_back(tasks.spawn(sleep_long));
                      for (int i = 0; i < 20; i++) {
                          rota_task *below = chain.back();
                          chain.push_back(tasks.spawn([below] {
                              int status = 0;
                              int r = rota_task_await(below, &status);
                              return r < 0 ? r : status;
                          }));
                      }
                      Tasks cancellers;
                      for (int i = 0; i < 8; i++)
                          cancellers.spawn([&chain, i, round] {
                              std::mt19937 random(static_cast<unsigned>(round * 8 + i));
                              for (int k = 0; k < 5; k++) {
                                  rota_task_cancel(chain[random() % chain.size()]);
                                  if (rota_yield() != 0)
                                      return -1;
                              }
                              rota_task_cancel(chain.back());
                              rota_task_cancel(chain.front());
                              return 0;
                          });
                      cancellers.join();
                      for (int status : tasks.join())
                          EXPECT_EQ(-ECANCELED, status);
                  }
                  return 0;
              }));
}

/* Debug: what was swallowed or never seen is named, before the task is seen to end. */
TEST_P(Cancel, DebugNamesSwallowedRequests)
{
    loops::Reports reports;
    rota_run_opts opts{};
    opts.debug = true;
    opts.slow_callback_ns = 1000 * ROTA_SEC;
    opts.exception_handler = loops::Reports::collect;
    opts.exception_arg = &reports;
    EXPECT_EQ(0, run(
                     [&] {
                         Tasks tasks;
                         tasks.spawn([] {
                             rota_task_cancel(rota_current_task());
                             return 1;
                         });
                         tasks.join();
                         EXPECT_EQ(1U, reports.count());
                         tasks.spawn([] {
                             rota_task_cancel(rota_current_task());
                             EXPECT_EQ(-ECANCELED, rota_yield());
                             for (int i = 0; i < 100; i++)
                                 EXPECT_EQ(0, rota_yield());
                             return 1;
                         });
                         tasks.join();
                         return 0;
                     },
                     opts));
    ASSERT_EQ(2U, reports.count());
    EXPECT_EQ("a task ended without seeing its cancellation", reports.list[0].message);
    EXPECT_EQ("a task swallowed its cancellation and goes on", reports.list[1].message);
}

} // namespace
