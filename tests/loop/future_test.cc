/* SPDX-License-Identifier: MIT */
/*
 * future_test.cc - futures: completed once, awaited, waited for, read or reported (S14, B-F, B-C11,
 * H42, H43).
 */
#include <rota/future.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>

#include "loop/handle.h"
#include "loop/loop_impl.h"
#include "tests/loop/future_ref.h"
#include "tests/loop/run_loops.h"

namespace {

using loops::eventually;
using Letter = loops::DoneLetter;
using Ref = loops::FutureRef;

class Future : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(Future);

int value_one = 1;
int value_two = 2;

/* ---- State ---- */

TEST_P(Future, BF01_PendingHasNoResult)
{
    EXPECT_EQ(0, run([&] {
                  Ref future;
                  void *value = &value_two;
                  EXPECT_FALSE(rota_future_done(future));
                  EXPECT_FALSE(rota_future_cancelled(future));
                  EXPECT_EQ(ROTA_ESTATE, rota_future_result(future, &value));
                  EXPECT_EQ(&value_two, value);
                  return 0;
              }));
}

TEST_P(Future, BF02_DoneIsSetOnce)
{
    EXPECT_EQ(0, run([&] {
                  Ref future;
                  EXPECT_EQ(0, rota_future_set_result(future, &value_one));
                  EXPECT_TRUE(rota_future_done(future));
                  EXPECT_EQ(ROTA_ESTATE, rota_future_set_result(future, &value_two));
                  EXPECT_EQ(ROTA_ESTATE, rota_future_set_error(future, -EIO));
                  EXPECT_EQ(0, rota_future_cancel(future));
                  EXPECT_FALSE(rota_future_cancelled(future));
                  for (int i = 0; i < 2; i++) {
                      void *value = nullptr;
                      EXPECT_EQ(0, rota_future_result(future, &value));
                      EXPECT_EQ(&value_one, value);
                      value = nullptr;
                      EXPECT_EQ(0, rota_future_await(future, &value));
                      EXPECT_EQ(&value_one, value);
                      EXPECT_EQ(0, rota_future_await(future, nullptr));
                  }
                  return 0;
              }));
}

TEST_P(Future, ErrorsAndCancellationAreResults)
{
    EXPECT_EQ(0, run([&] {
                  Ref failed;
                  EXPECT_EQ(-EINVAL, rota_future_set_error(failed, 0));
                  EXPECT_EQ(-EINVAL, rota_future_set_error(failed, 1));
                  EXPECT_EQ(0, rota_future_set_error(failed, -EIO));
                  EXPECT_EQ(-EIO, rota_future_result(failed, nullptr));
                  EXPECT_EQ(-EIO, rota_future_await(failed, nullptr));
                  EXPECT_FALSE(rota_future_cancelled(failed));
                  Ref cancelled;
                  EXPECT_EQ(1, rota_future_cancel(cancelled));
                  EXPECT_EQ(0, rota_future_cancel(cancelled));
                  EXPECT_TRUE(rota_future_done(cancelled));
                  EXPECT_TRUE(rota_future_cancelled(cancelled));
                  EXPECT_EQ(-ECANCELED, rota_future_result(cancelled, nullptr));
                  EXPECT_EQ(-ECANCELED, rota_future_await(cancelled, nullptr));
                  EXPECT_EQ(ROTA_ESTATE, rota_future_set_result(cancelled, &value_one));
                  Ref same;
                  EXPECT_EQ(0, rota_future_set_error(same, -ECANCELED));
                  EXPECT_TRUE(rota_future_cancelled(same));
                  EXPECT_EQ(0, rota_task_cancelling(rota_current_task()));
                  return 0;
              }));
}

TEST_P(Future, MisuseIsAnswered)
{
    rota_future *none = nullptr;
    EXPECT_EQ(ROTA_ENOLOOP, rota_future_create(&none, nullptr));
    EXPECT_EQ(nullptr, none);
    EXPECT_EQ(-EINVAL, rota_future_set_result(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, rota_future_set_error(nullptr, -EIO));
    EXPECT_EQ(-EINVAL, rota_future_cancel(nullptr));
    EXPECT_EQ(-EINVAL, rota_future_result(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, rota_future_await(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, rota_future_wait(nullptr, 0, nullptr));
    EXPECT_EQ(-EINVAL, rota_future_add_done_callback(nullptr, Letter::call, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, rota_future_remove_done_callback(nullptr, Letter::call, nullptr));
    EXPECT_FALSE(rota_future_done(nullptr));
    EXPECT_FALSE(rota_future_cancelled(nullptr));
    EXPECT_EQ(nullptr, rota_future_get_loop(nullptr));
    EXPECT_EQ(nullptr, rota_future_ref(nullptr));
    rota_future_unref(nullptr);
    EXPECT_EQ(
        0, run([&] {
            EXPECT_EQ(-EINVAL, rota_future_create(nullptr, nullptr));
            Ref future;
            EXPECT_EQ(-EINVAL, rota_future_add_done_callback(future, nullptr, nullptr, nullptr));
            EXPECT_EQ(-EINVAL, rota_future_remove_done_callback(future, nullptr, nullptr));
            EXPECT_EQ(ROTA_ESTATE, rota_future_wait(future, 0, nullptr));
            std::thread([&] {
                EXPECT_EQ(ROTA_ENOLOOP, rota_future_await(future, nullptr));
                EXPECT_EQ(ROTA_ENOLOOP,
                          rota_future_add_done_callback(future, Letter::call, nullptr, nullptr));
            }).join();
            return 0;
        }));
}

TEST_P(Future, S14_TheLoopNeverChanges)
{
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  rota_loop *loop = rota_running_loop();
                  Ref future;
                  EXPECT_EQ(loop, rota_future_get_loop(future));
                  rota_loop *last = rota_runtime_loop(rota_running_runtime(), GetParam() - 1);
                  rota_future_opts opts = {};
                  opts.loop = last;
                  Ref elsewhere(opts);
                  EXPECT_EQ(last, rota_future_get_loop(elsewhere));
                  rota_unpin();
                  for (int i = 0; i < 20; i++)
                      EXPECT_EQ(0, rota_sleep(ROTA_MS / 10));
                  EXPECT_EQ(loop, rota_future_get_loop(future));
                  return 0;
              }));
}

int released;

TEST_P(Future, TheValueIsReleasedOnceAndALoserKeepsIts)
{
    rota_future_opts opts = {};
    opts.release = [](void *value) { released += *static_cast<int *>(value); };
    released = 0;
    EXPECT_EQ(0, run([&] {
                  Ref future(opts);
                  EXPECT_EQ(0, rota_future_set_result(future, &value_one));
                  EXPECT_EQ(ROTA_ESTATE, rota_future_set_result(future, &value_two));
                  rota_future *second = rota_future_ref(future);
                  future.drop();
                  EXPECT_EQ(0, released);
                  rota_future_unref(second);
                  EXPECT_EQ(1, released);
                  Ref pending(opts);
                  Ref failed(opts);
                  EXPECT_EQ(1, rota_future_cancel(failed));
                  return 0;
              }));
    EXPECT_EQ(1, released);
}

/* ---- Awaiting ---- */

TEST_P(Future, ManyTasksAwaitOne)
{
    EXPECT_EQ(0, run([&] {
                  Ref future;
                  loops::Tasks tasks;
                  for (int i = 0; i < 200; i++)
                      tasks.spawn([&] {
                          void *value = nullptr;
                          int r = rota_future_await(future, &value);
                          EXPECT_EQ(&value_one, value);
                          return r;
                      });
                  tasks.settle();
                  EXPECT_EQ(0, rota_future_set_result(future, &value_one));
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  return 0;
              }));
}

TEST_P(Future, BC11_CancellingAWaiterLeavesTheFutureToOthers)
{
    EXPECT_EQ(0, run([&] {
                  Ref future;
                  loops::Tasks tasks;
                  rota_task *one = tasks.spawn([&] { return rota_future_await(future, nullptr); });
                  tasks.spawn([&] { return rota_future_await(future, nullptr); });
                  tasks.settle();
                  EXPECT_EQ(1, rota_task_cancel(one));
                  EXPECT_TRUE(eventually([&] { return rota_task_done(one); }));
                  EXPECT_FALSE(rota_future_done(future));
                  EXPECT_EQ(0, rota_future_set_result(future, nullptr));
                  EXPECT_EQ((std::vector<int>{-ECANCELED, 0}), tasks.join());
                  return 0;
              }));
}

TEST_P(Future, ACancelledFutureEndsItsWaitersWithoutCancellingThem)
{
    EXPECT_EQ(0, run([&] {
                  Ref future;
                  loops::Tasks tasks;
                  tasks.spawn([&] {
                      EXPECT_EQ(-ECANCELED, rota_future_await(future, nullptr));
                      return rota_task_cancelling(rota_current_task());
                  });
                  tasks.settle();
                  EXPECT_EQ(1, rota_future_cancel(future));
                  EXPECT_EQ(0, tasks.join()[0]);
                  return 0;
              }));
}

TEST_P(Future, H43_TheResultWinsAndTheRequestStays)
{
    EXPECT_EQ(0, run([&] {
                  Ref future;
                  loops::Tasks tasks;
                  rota_pin();
                  rota_task_opts opts = {};
                  opts.pinned = true;
                  rota_task *task = tasks.spawn(
                      [&] {
                          EXPECT_EQ(0, rota_future_await(future, nullptr));
                          return rota_yield();
                      },
                      opts);
                  EXPECT_TRUE(loops::settled(task));
                  EXPECT_EQ(0, rota_future_set_result(
                                   future, nullptr)); /* it is woken, and cannot run yet */
                  EXPECT_EQ(1, rota_task_cancel(task));
                  EXPECT_EQ(-ECANCELED, tasks.join()[0]);
                  rota_unpin();
                  return 0;
              }));
}

TEST_P(Future, TheLastReferenceWakesWaitersAndDropsCallbacks)
{
    std::string log;
    Letter a{'a', &log};
    EXPECT_EQ(
        0, run([&] {
            Ref future;
            loops::Tasks tasks;
            rota_future *borrowed = future;
            for (int i = 0; i < 3; i++)
                tasks.spawn([borrowed] { return rota_future_await(borrowed, nullptr); });
            EXPECT_EQ(0, rota_future_add_done_callback(future, Letter::call, &a, nullptr));
            tasks.settle();
            future.drop();
            EXPECT_EQ((std::vector<int>{ROTA_ECLOSED, ROTA_ECLOSED, ROTA_ECLOSED}), tasks.join());
            return 0;
        }));
    EXPECT_EQ("", log);
}

TEST_P(Future, ACallbackMayAwaitOnlyWhatIsDone)
{
    int pending = 0;
    int done = 1;
    std::atomic<bool> ran{false};
    EXPECT_EQ(0, run([&] {
                  Ref one, two;
                  EXPECT_EQ(0, rota_future_set_result(two, nullptr));
                  loops::Body body = [&] {
                      pending = rota_future_await(one, nullptr);
                      done = rota_future_await(two, nullptr);
                      ran = true;
                      return 0;
                  };
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, loops::call_body, &body, nullptr));
                  EXPECT_TRUE(eventually([&] { return ran.load(); }));
                  return 0;
              }));
    EXPECT_EQ(ROTA_ENOTASK, pending);
    EXPECT_EQ(0, done);
}

TEST(FutureMany, BF07_AFutureOfAnotherRuntimeIsRefused)
{
    EXPECT_EQ(0, loops::run(1, [&] {
                  Ref pending, done;
                  EXPECT_EQ(0, rota_future_set_result(done, nullptr));
                  std::thread([&] {
                      EXPECT_EQ(0, loops::run(2, [&] {
                                    EXPECT_EQ(ROTA_EOTHERRUNTIME,
                                              rota_future_await(pending, nullptr));
                                    EXPECT_EQ(ROTA_EOTHERRUNTIME, rota_future_await(done, nullptr));
                                    return 0;
                                }));
                  }).join();
                  return 0;
              }));
}

/* ---- Threads ---- */

TEST_P(Future, AThreadWaits)
{
    EXPECT_EQ(0, run([&] {
                  Ref future, failed, never;
                  std::atomic<bool> looked{false}, over{false};
                  std::thread thread([&] {
                      void *value = &value_two;
                      EXPECT_EQ(-ETIMEDOUT, rota_future_wait(future, 0, &value));
                      EXPECT_EQ(-ETIMEDOUT, rota_future_wait(future, -1, &value));
                      std::int64_t start_ns = rota_time_ns();
                      EXPECT_EQ(-ETIMEDOUT, rota_future_wait(never, 20 * ROTA_MS, &value));
                      EXPECT_GE(rota_time_ns() - start_ns, 20 * ROTA_MS);
                      EXPECT_EQ(&value_two, value);
                      looked = true;
                      EXPECT_EQ(0, rota_future_wait(future, ROTA_NEVER, &value));
                      EXPECT_EQ(&value_one, value);
                      EXPECT_EQ(0, rota_future_wait(future, 0, &value));
                      EXPECT_EQ(-EIO, rota_future_wait(failed, 60 * ROTA_SEC, &value));
                      over = true;
                  });
                  EXPECT_TRUE(eventually([&] { return looked.load(); }));
                  EXPECT_EQ(0, rota_sleep(5 * ROTA_MS));
                  EXPECT_EQ(0, rota_future_set_result(future, &value_one));
                  EXPECT_EQ(0, rota_sleep(5 * ROTA_MS));
                  EXPECT_EQ(0, rota_future_set_error(failed, -EIO));
                  EXPECT_TRUE(eventually([&] { return over.load(); }));
                  thread.join();
                  return 0;
              }));
}

/* Whether a thread of this process sleeps in the kernel. */
bool sleeps(pid_t thread)
{
    std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
    std::string line;
    std::getline(stat, line);
    return line.find(") S ") != std::string::npos;
}

TEST_P(Future, AThreadThatWaitsIsToldOfTheLastReference)
{
    EXPECT_EQ(0, run([&] {
                  Ref future;
                  std::atomic<bool> over{false};
                  std::atomic<pid_t> id{0};
                  std::thread thread([&, borrowed = static_cast<rota_future *>(future)] {
                      id = gettid();
                      EXPECT_EQ(ROTA_ECLOSED, rota_future_wait(borrowed, 60 * ROTA_SEC, nullptr));
                      over = true;
                  });
                  /* It has no reference, so it must have come to its wait. */
                  EXPECT_TRUE(eventually([&] { return id != 0 && sleeps(id); }));
                  future.drop();
                  EXPECT_TRUE(eventually([&] { return over.load(); }));
                  thread.join();
                  return 0;
              }));
}

TEST_P(Future, H42_ManyShortWaitsOfThreadsAndTasks)
{
    /* The waiter's frame is gone right after the wake, and so is the future. */
    const int rounds = static_cast<int>(support::scale(2000));
    EXPECT_EQ(0, run([&] {
                  rota_loop *loop = rota_running_loop();
                  std::atomic<rota_future *> offered{nullptr};
                  std::atomic<bool> over{false};
                  std::thread thread([&] {
                      for (int i = 0; i < rounds; i++) {
                          rota_future_opts opts = {};
                          opts.loop = loop;
                          rota_future *future = nullptr;
                          EXPECT_EQ(0, rota_future_create(&future, &opts));
                          offered = rota_future_ref(future);
                          void *value = nullptr;
                          std::int64_t timeout_ns = i % 3 == 0 ? i % 50 * ROTA_US : ROTA_NEVER;
                          int r = rota_future_wait(future, timeout_ns, &value);
                          EXPECT_TRUE(r == 0 || (timeout_ns < ROTA_NEVER && r == -ETIMEDOUT)) << r;
                          EXPECT_EQ(r == 0 ? &value_one : nullptr, value);
                          rota_future_unref(future);
                          while (offered != nullptr)
                              std::this_thread::yield();
                      }
                      over = true;
                  });
                  while (!over) {
                      rota_future *future = offered;
                      if (future != nullptr) {
                          EXPECT_EQ(0, rota_future_set_result(future, &value_one));
                          rota_future_unref(future);
                          offered = nullptr;
                      }
                      EXPECT_EQ(0, rota_yield());
                  }
                  thread.join();
                  return 0;
              }));
}

TEST_P(Future, D11_OfManyWhoCompleteOneWins)
{
    const int rounds = static_cast<int>(support::scale(300));
    EXPECT_EQ(0, run([&] {
                  for (int i = 0; i < rounds; i++) {
                      Ref future;
                      std::atomic<int> winners{0}, ready{0};
                      auto compete = [&](int self) {
                          ready++;
                          while (ready < 3)
                              std::this_thread::yield();
                          int r = self == 0   ? rota_future_set_result(future, &value_one)
                                  : self == 1 ? rota_future_set_error(future, -EIO)
                                              : rota_future_cancel(future) - 1;
                          winners += r == 0;
                      };
                      std::thread one(compete, 0), two(compete, 1), three(compete, 2);
                      int r = rota_future_await(future, nullptr);
                      EXPECT_TRUE(r == 0 || r == -EIO || r == -ECANCELED) << r;
                      one.join();
                      two.join();
                      three.join();
                      EXPECT_EQ(1, winners);
                  }
                  return 0;
              }));
}

/* ---- Errors that nobody reads ---- */

TEST_P(Future, BF06_AnUnreadErrorIsReportedOnce)
{
    loops::Reports reports;
    rota_run_opts opts = {};
    opts.exception_handler = loops::Reports::collect;
    opts.exception_arg = &reports;
    rota_loop *loop = nullptr;
    EXPECT_EQ(0, run(
                     [&] {
                         rota_pin();
                         loop = rota_running_loop();
                         Ref unread, read, awaited, cancelled, first_cancelled, fine;
                         for (rota_future *future :
                              {unread.get(), read.get(), awaited.get(), cancelled.get()})
                             EXPECT_EQ(0, rota_future_set_error(future, -EIO));
                         EXPECT_EQ(-EIO, rota_future_result(read, nullptr));
                         EXPECT_EQ(-EIO, rota_future_await(awaited, nullptr));
                         EXPECT_EQ(0, rota_future_cancel(cancelled));
                         EXPECT_EQ(1, rota_future_cancel(first_cancelled));
                         EXPECT_EQ(0, rota_future_set_result(fine, nullptr));
                         EXPECT_EQ(0U, reports.count());
                         rota_unpin();
                         return 0;
                     },
                     opts));
    ASSERT_EQ(1U, reports.count());
    EXPECT_EQ("a future failed, and nobody read its error", reports.list[0].message);
    EXPECT_EQ(-EIO, reports.list[0].error);
    EXPECT_EQ(loop, reports.list[0].loop);
    EXPECT_NE(nullptr, reports.list[0].future);
}

TEST_P(Future, BF06_AWaiterThatIsAlreadyWokenCountsAsAReader)
{
    loops::Reports reports;
    rota_run_opts opts = {};
    opts.exception_handler = loops::Reports::collect;
    opts.exception_arg = &reports;
    EXPECT_EQ(0, run(
                     [&] {
                         Ref future;
                         rota_future *borrowed = future;
                         loops::Tasks tasks;
                         tasks.spawn([&] { return -rota_future_await(borrowed, nullptr); });
                         tasks.settle();
                         EXPECT_EQ(0, rota_future_set_error(future, -EIO));
                         future.drop();
                         EXPECT_EQ(EIO, tasks.join()[0]);
                         return 0;
                     },
                     opts));
    EXPECT_EQ(0U, reports.count());
}

/* ---- Memory ---- */

TEST_P(Future, A12_WithoutMemoryCreateSaysSo)
{
    rota_run_opts opts{};
    opts.no_signals = true; /* the reader of signals starts beside us, and allocates */
    EXPECT_EQ(0, run(
                     [&] {
                         rota_pin();
                         std::int64_t allocations = support::sweep_allocations([] {
                             rota_future *future = nullptr;
                             int r = rota_future_create(&future, nullptr);
                             EXPECT_EQ(r == 0, future != nullptr);
                             if (r == 0)
                                 r = rota_future_set_result(future, nullptr);
                             rota_future_unref(future);
                             return r;
                         });
                         EXPECT_EQ(1, allocations);
                         rota_unpin();
                         return 0;
                     },
                     opts));
}

} // namespace
