/* SPDX-License-Identifier: MIT */
/*
 * handle_cancel_test.cc - callbacks that are cancelled: before, during and after (S16, B-L04,
 * B-L05, B-L12 to B-L14, H45).
 */
#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "tests/loop/callbacks.h"
#include "tests/loop/run_loops.h"

namespace {

using loops::Blocker;
using loops::count_up;
using loops::eventually;
using loops::Letter;

class HandleCancel : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(HandleCancel);

/* ---- Cancelling ---- */

TEST_P(HandleCancel, BL04_ACancelledCallbackIsSkipped)
{
    std::string log;
    Letter a{'a', &log}, b{'b', &log};
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  rota_handle handle = {};
                  EXPECT_EQ(0, rota_call_soon(nullptr, &handle, Letter::call, &a, nullptr));
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, Letter::call, &b, nullptr));
                  EXPECT_FALSE(rota_handle_cancelled(&handle));
                  EXPECT_EQ(ROTA_PREVENTED, rota_handle_cancel(&handle));
                  EXPECT_TRUE(rota_handle_cancelled(&handle));
                  rota_handle copy = handle;
                  copy.verdict = 0;
                  EXPECT_EQ(ROTA_ALREADY_CANCELLED,
                            rota_handle_cancel(&copy)); /* in its queue still */
                  EXPECT_TRUE(eventually([&] { return log.size() == 1; }));
                  EXPECT_EQ(ROTA_ALREADY_CANCELLED, rota_handle_cancel(&handle));
                  EXPECT_EQ(ROTA_ALREADY_CANCELLED, rota_handle_cancel_wait(&handle));
                  EXPECT_TRUE(rota_handle_cancelled(&handle));
                  EXPECT_EQ(0, rota_handle_when(&handle));
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ("b", log);
}

TEST_P(HandleCancel, BL05_CancelAfterTheRunIsRememberedAndChangesNothing)
{
    std::atomic<int> calls{0};
    EXPECT_EQ(0, run([&] {
                  rota_handle handle = {};
                  EXPECT_EQ(0, rota_call_soon(nullptr, &handle, count_up, &calls, nullptr));
                  EXPECT_TRUE(eventually([&] { return calls == 1; }));
                  EXPECT_FALSE(rota_handle_cancelled(&handle));
                  EXPECT_TRUE(
                      eventually([&] { return rota_handle_cancel(&handle) != ROTA_RUNNING; }));
                  EXPECT_EQ(ROTA_ALREADY_RAN, rota_handle_cancel(&handle));
                  EXPECT_TRUE(rota_handle_cancelled(&handle));
                  return 0;
              }));
    EXPECT_EQ(1, calls);
}

TEST_P(HandleCancel, BL12_AnotherThreadPrevents)
{
    std::atomic<int> calls{0};
    EXPECT_EQ(
        0, run([&] {
            rota_pin();
            rota_handle handle = {};
            EXPECT_EQ(0, rota_call_soon(nullptr, &handle, count_up, &calls, nullptr));
            std::thread([&] { EXPECT_EQ(ROTA_PREVENTED, rota_handle_cancel(&handle)); }).join();
            EXPECT_EQ(0, rota_sleep(5 * ROTA_MS));
            rota_unpin();
            return 0;
        }));
    EXPECT_EQ(0, calls);
}

TEST_P(HandleCancel, BL13_CancelWaitReturnsAfterTheEnd)
{
    Blocker blocker;
    EXPECT_EQ(0, run([&] {
                  rota_handle handle = {};
                  EXPECT_EQ(0, rota_call_soon(nullptr, &handle, Blocker::call, &blocker, nullptr));
                  std::atomic<int> waiting{0};
                  std::vector<std::thread> waiters;
                  for (int i = 0; i < 3; i++)
                      waiters.emplace_back([&, copy = handle]() mutable {
                          while (!blocker.running)
                              std::this_thread::yield();
                          EXPECT_EQ(ROTA_RUNNING, rota_handle_cancel(&copy));
                          waiting++;
                          EXPECT_EQ(ROTA_ALREADY_RAN, rota_handle_cancel_wait(&copy));
                          EXPECT_TRUE(blocker.ended);
                          EXPECT_TRUE(rota_handle_cancelled(&copy));
                      });
                  std::thread release([&] {
                      while (waiting < 3)
                          std::this_thread::yield();
                      blocker.go = true;
                  });
                  EXPECT_TRUE(eventually([&] { return blocker.ended.load(); }));
                  for (std::thread &waiter : waiters)
                      waiter.join();
                  release.join();
                  return 0;
              }));
}

TEST_P(HandleCancel, BL14_CancellingItselfLetsItComplete)
{
    rota_handle handle = {};
    int plain = 0;
    int waiting = 0;
    std::atomic<bool> ran{false};
    loops::Body body = [&] {
        plain = rota_handle_cancel(&handle);
        waiting = rota_handle_cancel_wait(&handle);
        ran = true;
        return 0;
    };
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  EXPECT_EQ(0, rota_call_soon(nullptr, &handle, loops::call_body, &body, nullptr));
                  EXPECT_TRUE(eventually([&] { return ran.load(); }));
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ(ROTA_RUNNING, plain);
    EXPECT_EQ(ROTA_RUNNING, waiting);
    EXPECT_TRUE(rota_handle_cancelled(&handle));
}

TEST(HandleCancelMany, ATaskWaitsOutACallbackOfAnotherLoop)
{
    Blocker blocker;
    EXPECT_EQ(0, loops::run(4, [&] {
                  rota_pin();
                  rota_runtime *runtime = rota_running_runtime();
                  unsigned here = rota_loop_index(rota_running_loop());
                  rota_handle handle = {};
                  EXPECT_EQ(0,
                            rota_call_soon_threadsafe(rota_runtime_loop(runtime, (here + 1) % 4),
                                                      &handle, Blocker::call, &blocker, nullptr));
                  EXPECT_TRUE(eventually([&] { return blocker.running.load(); }));
                  /* A request that comes meanwhile does not end this wait, and is delivered after
                   * it. */
                  rota_task *self = rota_current_task();
                  std::thread canceller([&] {
                      EXPECT_TRUE(support::eventually(
                          [&] { return roti_word_state(self->word.load()) == ROTI_WAITING; }));
                      EXPECT_EQ(1, rota_task_cancel(self));
                      blocker.go = true;
                  });
                  EXPECT_EQ(ROTA_ALREADY_RAN, rota_handle_cancel_wait(&handle));
                  EXPECT_TRUE(blocker.ended);
                  EXPECT_EQ(-ECANCELED, rota_yield());
                  EXPECT_EQ(0, rota_task_uncancel(self));
                  canceller.join();
                  rota_unpin();
                  return 0;
              }));
}

TEST(HandleCancelMany, ACallbackMayNotWaitForAnotherLoop)
{
    Blocker blocker;
    std::atomic<int> answer{0};
    EXPECT_EQ(0, loops::run(2, [&] {
                  rota_pin();
                  rota_runtime *runtime = rota_running_runtime();
                  unsigned here = rota_loop_index(rota_running_loop());
                  rota_handle handle = {};
                  EXPECT_EQ(0,
                            rota_call_soon_threadsafe(rota_runtime_loop(runtime, 1 - here), &handle,
                                                      Blocker::call, &blocker, nullptr));
                  EXPECT_TRUE(eventually([&] { return blocker.running.load(); }));
                  loops::Body body = [&] {
                      answer = rota_handle_cancel_wait(&handle);
                      blocker.go = true;
                      return 0;
                  };
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, loops::call_body, &body, nullptr));
                  EXPECT_TRUE(eventually([&] { return blocker.ended.load(); }));
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ(ROTA_ESTATE, answer);
}

TEST_P(HandleCancel, ATokenOfAnEarlierLifeDoesNotTouchTheNode)
{
    std::atomic<int> calls{0};
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  rota_handle old = {};
                  EXPECT_EQ(0, rota_call_soon(nullptr, &old, count_up, &calls, nullptr));
                  EXPECT_TRUE(eventually([&] { return calls == 1; }));
                  bool reused = false;
                  for (int i = 0; i < 200 && !reused; i++) {
                      rota_handle next = {};
                      EXPECT_EQ(0, rota_call_soon(nullptr, &next, count_up, &calls, nullptr));
                      reused = next.node == old.node;
                      EXPECT_NE(next.generation, reused ? old.generation : next.generation + 1);
                      EXPECT_EQ(ROTA_ALREADY_RAN, rota_handle_cancel(&old));
                      EXPECT_TRUE(eventually([&] { return calls == i + 2; }));
                  }
                  EXPECT_TRUE(reused);
                  rota_unpin();
                  return 0;
              }));
}

TEST_P(HandleCancel, CancelAndRunExcludeEachOther)
{
    /* One thread posts, another cancels the same tokens a little later: each runs, or was
     * prevented. */
    const int posts = static_cast<int>(support::scale(20'000));
    std::vector<std::atomic<int>> calls(posts);
    std::vector<rota_handle> handles(posts);
    std::atomic<int> posted{0};
    std::atomic<int> prevented{0};
    EXPECT_EQ(0, run([&] {
                  rota_loop *loop = rota_running_loop();
                  std::thread poster([&] {
                      for (int i = 0; i < posts; i++) {
                          EXPECT_EQ(0, rota_call_soon_threadsafe(loop, &handles[i], count_up,
                                                                 &calls[i], nullptr));
                          posted.store(i + 1, std::memory_order_release);
                      }
                  });
                  std::thread canceller([&] {
                      for (int i = 0; i < posts; i++) {
                          while (posted.load(std::memory_order_acquire) <= i)
                              std::this_thread::yield();
                          int verdict = rota_handle_cancel_wait(&handles[i]);
                          EXPECT_TRUE(verdict == ROTA_PREVENTED || verdict == ROTA_ALREADY_RAN)
                              << verdict;
                          prevented += verdict == ROTA_PREVENTED;
                          EXPECT_EQ(verdict == ROTA_PREVENTED ? 0 : 1, calls[i]);
                      }
                  });
                  std::atomic<bool> over{false};
                  std::thread joiner([&] {
                      poster.join();
                      canceller.join();
                      over = true;
                  });
                  EXPECT_TRUE(eventually([&] { return over.load(); }));
                  joiner.join();
                  return 0;
              }));
    int ran = 0;
    for (auto &count : calls)
        ran += count;
    EXPECT_EQ(posts, ran + prevented);
}

} // namespace
