/* SPDX-License-Identifier: MIT */
/*
 * handle_test.cc - callbacks: order, failures, context, memory (S3, S4, B-L, H51).
 */
#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>

#include "loop/handle.h"
#include "loop/loop_impl.h"
#include "tests/loop/callbacks.h"
#include "tests/loop/run_loops.h"

namespace {

using loops::count_up;
using loops::eventually;
using loops::Letter;

class Handle : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(Handle);

/* ---- Order ---- */

TEST_P(Handle, BL01_RunsOnceEachInOrder)
{
    std::string log;
    Letter a{'a', &log}, b{'b', &log}, c{'c', &log};
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  for (Letter *letter : {&a, &b, &c})
                      EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, Letter::call, letter, nullptr));
                  EXPECT_EQ("", log);
                  EXPECT_TRUE(eventually([&] { return log.size() == 3; }));
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ("abc", log);
}

TEST_P(Handle, BL02_WhatACallbackSchedulesComesInTheNextPass)
{
    std::string log;
    Letter a2{'2', &log}, b{'b', &log};
    Letter a{'a', &log, [&] {
                 int r = rota_call_soon(nullptr, nullptr, Letter::call, &a2, nullptr);
                 EXPECT_EQ("a", log);
                 return r;
             }};
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, Letter::call, &a, nullptr));
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, Letter::call, &b, nullptr));
                  EXPECT_TRUE(eventually([&] { return log.size() == 3; }));
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ("ab2", log);
}

TEST(HandleStrict, BL03_CallbacksAndTaskStepsShareOneQueue)
{
    std::string log;
    Letter a2{'2', &log};
    Letter a{'a', &log,
             [&] { return rota_call_soon(nullptr, nullptr, Letter::call, &a2, nullptr); }};
    EXPECT_EQ(0, loops::run(1, [&] {
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, Letter::call, &a, nullptr));
                  EXPECT_EQ(0, rota_yield());
                  log += 't'; /* queued behind a, before a2 */
                  EXPECT_EQ(0, rota_yield());
                  log += 'T'; /* queued behind a2 */
                  return 0;
              }));
    EXPECT_EQ("at2T", log);
}

TEST_P(Handle, S4_ThreadsafeOnTheOwnThreadKeepsTheOrder)
{
    std::string log;
    Letter letters[] = {{'a', &log}, {'b', &log}, {'c', &log}, {'d', &log}};
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  rota_loop *loop = rota_running_loop();
                  for (int i = 0; i < 4; i += 2) {
                      EXPECT_EQ(0, rota_call_soon_threadsafe(loop, nullptr, Letter::call,
                                                             &letters[i], nullptr));
                      EXPECT_EQ(
                          0, rota_call_soon(loop, nullptr, Letter::call, &letters[i + 1], nullptr));
                  }
                  EXPECT_TRUE(eventually([&] { return log.size() == 4; }));
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ("abcd", log);
}

TEST_P(Handle, BL09_APostWakesALoopThatSleeps)
{
    /* It would sleep for longer than a test may take. */
    EXPECT_EQ(0, run([] {
                  rota_loop *loop = rota_running_loop();
                  rota_task *self = rota_current_task();
                  auto parks = [loop] {
                      rota_counters counters{};
                      EXPECT_EQ(0, rota_loop_counters(loop, &counters));
                      return counters.parks;
                  };
                  loops::Body body = [self] { return rota_task_cancel(self) == 1 ? 0 : -EINVAL; };
                  std::thread poster([&, before = parks()] {
                      EXPECT_TRUE(support::eventually([&] { return parks() > before; }));
                      EXPECT_EQ(0, rota_call_soon_threadsafe(loop, nullptr, loops::call_body, &body,
                                                             nullptr));
                  });
                  EXPECT_EQ(-ECANCELED, rota_sleep(1000 * ROTA_SEC));
                  poster.join();
                  return 0;
              }));
}

TEST_P(Handle, BL11_ManyPostersLoseNothingAndKeepTheirOrder)
{
    constexpr int posters = 8;
    const int posts = static_cast<int>(support::scale(10'000));
    struct Post {
        int number;
        std::atomic<int> *next; /* the number that must come next, of this poster */
        std::atomic<int> *faults;
    };
    std::vector<std::atomic<int>> next(posters);
    std::atomic<int> faults{0};
    std::vector<std::vector<Post>> all(posters);
    EXPECT_EQ(0, run([&] {
                  rota_runtime *runtime = rota_running_runtime();
                  std::vector<std::thread> threads;
                  for (int p = 0; p < posters; p++) {
                      for (int i = 0; i < posts; i++)
                          all[p].push_back({i, &next[p], &faults});
                      rota_loop *loop = rota_runtime_loop(runtime, p % GetParam());
                      threads.emplace_back([&all, p, loop] {
                          for (Post &post : all[p])
                              EXPECT_EQ(0, rota_call_soon_threadsafe(
                                               loop, nullptr,
                                               [](void *arg) {
                                                   auto *one = static_cast<Post *>(arg);
                                                   if (one->next->fetch_add(1) != one->number)
                                                       ++*one->faults;
                                                   return 0;
                                               },
                                               &post, nullptr));
                      });
                  }
                  EXPECT_TRUE(eventually([&] {
                      return std::accumulate(next.begin(), next.end(), 0, [](int sum, auto &n) {
                                 return sum + n.load();
                             }) == posters * posts;
                  }));
                  for (std::thread &thread : threads)
                      thread.join();
                  return 0;
              }));
    EXPECT_EQ(0, faults);
    for (auto &n : next)
        EXPECT_EQ(posts, n);
}

/* ---- Failures ---- */

TEST_P(Handle, BL06_AFailureIsReportedOnceAndTheOthersRun)
{
    std::string log;
    loops::Reports reports;
    Letter a{'a', &log}, b{'b', &log, [] { return -EPIPE; }}, c{'c', &log};
    rota_loop *loop = nullptr;
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  loop = rota_running_loop();
                  EXPECT_EQ(
                      0, rota_loop_set_exception_handler(loop, loops::Reports::collect, &reports));
                  for (Letter *letter : {&a, &b, &c})
                      EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, Letter::call, letter, nullptr));
                  EXPECT_TRUE(eventually([&] { return log.size() == 3; }));
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ("abc", log);
    ASSERT_EQ(1U, reports.list.size());
    const auto &report = reports.list.front();
    EXPECT_EQ("a callback failed", report.message);
    EXPECT_EQ(-EPIPE, report.error);
    EXPECT_EQ(loop, report.loop);
    EXPECT_EQ(&Letter::call, report.callback);
    EXPECT_EQ(&b, report.arg);
    EXPECT_EQ(nullptr, report.future);
}

TEST_P(Handle, ExitEndsTheRun)
{
    loops::Reports reports;
    rota_run_opts opts = {};
    opts.exception_handler = loops::Reports::collect;
    opts.exception_arg = &reports;
    EXPECT_EQ(ROTA_EXIT,
              run(
                  [&] {
                      EXPECT_EQ(0, rota_call_soon(
                                       nullptr, nullptr, [](void *) -> int { return ROTA_EXIT; },
                                       nullptr, nullptr));
                      EXPECT_EQ(-ECANCELED, rota_sleep(60 * ROTA_SEC));
                      return 0;
                  },
                  opts));
    EXPECT_EQ(0U, reports.count());
}

TEST_P(Handle, DebugNamesSlowCallbacks)
{
    loops::Reports reports;
    rota_run_opts opts = {};
    opts.exception_handler = loops::Reports::collect;
    opts.exception_arg = &reports;
    opts.debug = true;
    opts.slow_callback_ns = 20 * ROTA_MS;
    loops::Body slow = [] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        return 0;
    };
    EXPECT_EQ(0, run(
                     [&] {
                         rota_pin();
                         EXPECT_EQ(
                             0, rota_call_soon(nullptr, nullptr, loops::call_body, &slow, nullptr));
                         EXPECT_TRUE(eventually([&] { return reports.count() > 0; }));
                         rota_unpin();
                         return 0;
                     },
                     opts));
    /* On a busy machine other callbacks and steps may be slow as well. */
    std::erase_if(reports.list, [&](const auto &report) { return report.arg != &slow; });
    ASSERT_EQ(1U, reports.list.size());
    EXPECT_NE(std::string::npos, reports.list[0].message.find("ran for"));
    EXPECT_EQ(&loops::call_body, reports.list[0].callback);
    EXPECT_EQ(0, reports.list[0].error);
}

TEST_P(Handle, BL08_AClosedLoopTakesNothing)
{
    rota_loop *loop = nullptr;
    EXPECT_EQ(0, run([&] {
                  loop = rota_loop_ref(rota_running_loop());
                  return 0;
              }));
    std::atomic<int> calls{0};
    rota_handle handle = {nullptr, 77, 88, 99};
    EXPECT_EQ(ROTA_ECLOSED, rota_call_soon(loop, &handle, count_up, &calls, nullptr));
    EXPECT_EQ(ROTA_ECLOSED, rota_call_soon_threadsafe(loop, &handle, count_up, &calls, nullptr));
    EXPECT_EQ(ROTA_ECLOSED, rota_call_later(loop, &handle, 1, count_up, &calls, nullptr));
    EXPECT_EQ(ROTA_ECLOSED, rota_call_at(loop, &handle, 1, count_up, &calls, nullptr));
    EXPECT_EQ(nullptr, handle.node);
    EXPECT_EQ(77U, handle.generation);
    EXPECT_EQ(88, handle.when_ns);
    EXPECT_EQ(99, handle.verdict);
    rota_loop_unref(loop);
    EXPECT_EQ(0, calls);
}

TEST_P(Handle, H51_PostsThatRaceWithTheCloseRunOrAreRefused)
{
    for (int round = 0; round < support::scale(100); round++) {
        std::atomic<int> calls{0};
        int accepted = 0;
        rota_loop *loop = nullptr;
        std::thread poster;
        EXPECT_EQ(0, run([&] {
                      loop = rota_loop_ref(rota_running_loop());
                      poster = std::thread([&] {
                          int r = 0;
                          while ((r = rota_call_soon_threadsafe(loop, nullptr, count_up, &calls,
                                                                nullptr)) == 0)
                              accepted++;
                          EXPECT_EQ(ROTA_ECLOSED, r);
                      });
                      return 0;
                  }));
        poster.join();
        EXPECT_LE(calls, accepted);
        rota_loop_unref(loop);
    }
}

TEST_P(Handle, MisuseIsAnswered)
{
    EXPECT_EQ(ROTA_ENOLOOP, rota_call_soon(nullptr, nullptr, count_up, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, rota_call_soon_threadsafe(nullptr, nullptr, count_up, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, rota_handle_cancel(nullptr));
    EXPECT_FALSE(rota_handle_cancelled(nullptr));
    EXPECT_EQ(0, rota_handle_when(nullptr));
    rota_handle never = {};
    EXPECT_EQ(-EINVAL, rota_handle_cancel(&never));
    EXPECT_EQ(-EINVAL, rota_handle_cancel_wait(&never));
    EXPECT_FALSE(rota_handle_cancelled(&never));
    EXPECT_EQ(0, run([] {
                  EXPECT_EQ(-EINVAL, rota_call_soon(nullptr, nullptr, nullptr, nullptr, nullptr));
                  EXPECT_EQ(-EINVAL,
                            rota_call_later(nullptr, nullptr, 0, nullptr, nullptr, nullptr));
                  EXPECT_EQ(-EINVAL, rota_call_soon_threadsafe(rota_running_loop(), nullptr,
                                                               nullptr, nullptr, nullptr));
                  return 0;
              }));
}

TEST_P(Handle, BL19_TheWrongThreadIsNamedInDebugMode)
{
    rota_run_opts opts = {};
    opts.debug = true;
    std::atomic<int> calls{0};
    EXPECT_EQ(0, run(
                     [&] {
                         rota_loop *loop = rota_running_loop();
                         std::thread other([&] {
                             EXPECT_EQ(ROTA_EWRONGLOOP,
                                       rota_call_soon(loop, nullptr, count_up, &calls, nullptr));
                             EXPECT_EQ(ROTA_EWRONGLOOP, rota_call_later(loop, nullptr, 0, count_up,
                                                                        &calls, nullptr));
                             EXPECT_EQ(0, rota_call_soon_threadsafe(loop, nullptr, count_up, &calls,
                                                                    nullptr));
                         });
                         other.join();
                         EXPECT_TRUE(eventually([&] { return calls > 0; }));
                         return 0;
                     },
                     opts));
    EXPECT_EQ(1, calls);
}

TEST_P(Handle, TheWrongThreadIsForwardedInRelease)
{
    std::atomic<int> calls{0};
    std::atomic<int> timers{0};
    EXPECT_EQ(0, run([&] {
                  rota_loop *loop = rota_running_loop();
                  std::thread other([&] {
                      EXPECT_EQ(0, rota_call_soon(loop, nullptr, count_up, &calls, nullptr));
                      EXPECT_EQ(
                          0, rota_call_later(loop, nullptr, ROTA_MS, count_up, &timers, nullptr));
                  });
                  other.join();
                  EXPECT_TRUE(eventually([&] { return calls == 1 && timers == 1; }));
                  return 0;
              }));
}

/* ---- Context ---- */

struct Variable {
    Variable()
    {
        EXPECT_EQ(0, rota_context_var_create(&var, "colour", nullptr));
    }
    ~Variable()
    {
        rota_context_var_unref(var);
    }
    const char *get() const
    {
        return static_cast<const char *>(rota_context_var_get_or(var, nullptr));
    }
    void set(const char *value) const
    {
        EXPECT_EQ(0, rota_context_var_set(var, const_cast<char *>(value), nullptr));
    }
    rota_context_var *var = nullptr;
};

TEST_P(Handle, S3_RunsInACopyOfTheContextAtTheCall)
{
    Variable colour;
    std::string seen;
    loops::Body body = [&] {
        seen = colour.get();
        colour.set("green"); /* in the callback's own copy */
        return 0;
    };
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  colour.set("red");
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, loops::call_body, &body, nullptr));
                  colour.set("blue");
                  EXPECT_TRUE(eventually([&] { return !seen.empty(); }));
                  EXPECT_STREQ("blue", colour.get());
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ("red", seen);
}

TEST_P(Handle, S4_AThreadsafePostTakesTheCallingThreadsContext)
{
    Variable colour;
    std::mutex mutex;
    std::string seen;
    loops::Body body = [&] {
        std::lock_guard lock(mutex);
        seen = colour.get();
        return 0;
    };
    EXPECT_EQ(0, run([&] {
                  rota_loop *loop = rota_running_loop();
                  colour.set("red");
                  std::thread([&] {
                      colour.set("grey");
                      EXPECT_EQ(0, rota_call_soon_threadsafe(loop, nullptr, loops::call_body, &body,
                                                             nullptr));
                  }).join();
                  EXPECT_TRUE(eventually([&] {
                      std::lock_guard lock(mutex);
                      return !seen.empty();
                  }));
                  return 0;
              }));
    EXPECT_EQ("grey", seen);
}

TEST_P(Handle, S3_AGivenContextKeepsWhatTheCallbackSets)
{
    Variable colour;
    std::atomic<bool> ran{false};
    loops::Body body = [&] {
        colour.set("green");
        ran = true;
        return 0;
    };
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  rota_context *context = nullptr;
                  EXPECT_EQ(0, rota_context_create(&context));
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, loops::call_body, &body, context));
                  EXPECT_TRUE(eventually([&] { return ran.load(); }));
                  EXPECT_EQ(nullptr, colour.get());
                  void *value = nullptr;
                  EXPECT_EQ(0, rota_context_get(context, colour.var, &value));
                  EXPECT_STREQ("green", static_cast<const char *>(value));
                  rota_context_unref(context);
                  rota_unpin();
                  return 0;
              }));
}

/* A stay in a context, until it is let go. */
struct Stay {
    std::atomic<bool> entered{false};
    std::atomic<bool> let_go{false};

    static int call(void *arg)
    {
        auto *self = static_cast<Stay *>(arg);
        self->entered = true;
        EXPECT_TRUE(eventually([&] { return self->let_go.load(); }));
        return 0;
    }
};

TEST_P(Handle, AContextInUseElsewhereIsReportedAndTheCallbackDoesNotRun)
{
    loops::Reports reports;
    rota_run_opts opts = {};
    opts.exception_handler = loops::Reports::collect;
    opts.exception_arg = &reports;
    std::atomic<int> calls{0};
    Stay stay;
    EXPECT_EQ(0, run(
                     [&] {
                         rota_context *context = nullptr;
                         EXPECT_EQ(0, rota_context_create(&context));
                         loops::Tasks tasks;
                         tasks.spawn([&] { return rota_context_run(context, Stay::call, &stay); });
                         EXPECT_TRUE(eventually([&] { return stay.entered.load(); }));
                         EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, count_up, &calls, context));
                         EXPECT_TRUE(eventually([&] { return reports.count() == 1; }));
                         stay.let_go = true;
                         tasks.join();
                         rota_context_unref(context);
                         return 0;
                     },
                     opts));
    EXPECT_EQ(0, calls);
    ASSERT_EQ(1U, reports.count());
    EXPECT_EQ(-EBUSY, reports.list[0].error);
}

/* ---- Memory ---- */

TEST_P(Handle, NoNodeIsLost)
{
    auto give_back = [] {
        roti_slots_drain(&roti_handle_slots, &roti_thread_self()->handles);
        return roti_slots_used(&roti_handle_slots);
    };
    std::size_t before = give_back();
    std::atomic<int> calls{0};
    EXPECT_EQ(0, run([&] {
                  rota_loop *loop = rota_running_loop();
                  std::thread([&] {
                      for (int i = 0; i < 300; i++) {
                          rota_handle handle = {};
                          EXPECT_EQ(0, rota_call_soon_threadsafe(loop, &handle, count_up, &calls,
                                                                 nullptr));
                          EXPECT_EQ(0, rota_call_later(loop, nullptr, ROTA_SEC * i, count_up,
                                                       &calls, nullptr));
                          if (i % 3 == 0) {
                              EXPECT_GT(rota_handle_cancel(&handle), 0);
                          }
                      }
                  }).join();
                  for (int i = 0; i < 300; i++)
                      EXPECT_EQ(0, rota_call_later(nullptr, nullptr, ROTA_SEC * i, count_up, &calls,
                                                   nullptr));
                  EXPECT_TRUE(eventually([&] { return calls >= 200; }));
                  return 0; /* timers are left over, and what the run's last posts queued */
              }));
    EXPECT_EQ(before, give_back());
}

TEST_P(Handle, A12_WithoutMemoryEveryCallSaysSo)
{
    rota_run_opts opts{};
    opts.no_signals = true; /* the reader of signals starts beside us, and allocates */
    loops::Body body = [] {
        rota_pin();
        std::atomic<int> calls{0};
        std::vector<void *> taken;
        support::AllocationFailure failure(0, support::Failing::all);
        while (void *slot = roti_slots_get(&roti_handle_slots, nullptr))
            taken.push_back(slot);
        /* What this loop has in its cache is left. */
        std::vector<rota_handle> handles(2 * ROTI_SLOTS_CACHE_MAX);
        std::size_t count = 0;
        int r = 0;
        while (count < handles.size() && (r = rota_call_later(nullptr, &handles[count], ROTA_SEC,
                                                              count_up, &calls, nullptr)) == 0)
            count++;
        EXPECT_EQ(-ENOMEM, r);
        EXPECT_EQ(nullptr, handles[count].node);
        EXPECT_EQ(-ENOMEM, rota_call_soon(nullptr, nullptr, count_up, &calls, nullptr));
        EXPECT_EQ(-ENOMEM, rota_call_soon_threadsafe(rota_running_loop(), nullptr, count_up, &calls,
                                                     nullptr));
        for (std::size_t i = 0; i < count; i++)
            EXPECT_EQ(ROTA_PREVENTED, rota_handle_cancel(&handles[i]));
        for (void *slot : taken)
            roti_slots_put(&roti_handle_slots, nullptr, slot);
        rota_unpin();
        return 0;
    };
    EXPECT_EQ(0, run(body, opts));
}

} // namespace
