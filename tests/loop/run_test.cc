/* SPDX-License-Identifier: MIT */
/*
 * run_test.cc - rota_run(): results, leftovers, deadlines, signals, nesting (S7, B-M01, B-M03,
 * H50).
 */
#include <cerrno>
#include <csignal>
#include <rota/error.h>
#include <rota/future.h>
#include <thread>
#include <unistd.h>

#include "tests/loop/run_loops.h"

namespace {

using loops::eventually;
using loops::Tasks;

class Run : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(Run);

TEST_P(Run, ReturnsWhatTheFirstTaskReturned)
{
    for (int status : {0, 42, -EPIPE})
        EXPECT_EQ(status, run([=] { return status; }));
}

TEST_P(Run, ManyRunsOneAfterTheOther)
{
    for (int i = 0; i < 50; i++)
        EXPECT_EQ(i, run([=] { return rota_yield() == 0 ? i : -1; }));
}

TEST_P(Run, RunsInSeveralThreadsAtOnce)
{
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&, i] {
            good += i == run([=] {
                        Tasks tasks;
                        for (int k = 0; k < 50; k++)
                            tasks.spawn([] { return rota_sleep(ROTA_MS); });
                        EXPECT_GE(51, rota_runtime_tasks(rota_running_runtime(), nullptr, 0))
                            << "each runtime lists its own";
                        tasks.join();
                        return i;
                    });
        });
    for (auto &thread : threads)
        thread.join();
    EXPECT_EQ(4, good);
}

TEST_P(Run, BadOptionsAreRefused)
{
    rota_run_opts opts{};
    auto body = [](void *) { return 0; };
    EXPECT_EQ(-EINVAL, rota_run(nullptr, nullptr, nullptr));
    opts.loops = 257;
    EXPECT_EQ(-EINVAL, rota_run(body, nullptr, &opts));
    opts = {};
    opts.stack_size = 1;
    EXPECT_EQ(-EINVAL, rota_run(body, nullptr, &opts));
    opts = {};
    opts.shutdown_timeout_ns = -1;
    EXPECT_EQ(-EINVAL, rota_run(body, nullptr, &opts));
    opts = {};
    opts.slow_callback_ns = -1;
    EXPECT_EQ(-EINVAL, rota_run(body, nullptr, &opts));
    EXPECT_EQ(0, rota_run(body, nullptr, nullptr));
}

/* B-M03. */
TEST_P(Run, InsideARunIsRefusedAndHarmless)
{
    EXPECT_EQ(5, run([] {
                  auto body = [](void *) { return 1; };
                  EXPECT_EQ(ROTA_ESTATE, rota_run(body, nullptr, nullptr));
                  EXPECT_EQ(0, rota_yield());
                  return 5;
              }));
}

/* B-M01, S11: each leftover is cancelled, and its clean-up awaited; so is what clean-up spawns. */
TEST_P(Run, LeftoversAreCancelledAndAwaited)
{
    static std::atomic<int> begun, cleaned, spawned_late;
    begun = cleaned = spawned_late = 0;
    EXPECT_EQ(3, run([] {
                  auto late = [](void *) {
                      int r = rota_sleep(1000 * ROTA_SEC);
                      spawned_late += r == -ECANCELED;
                      return r;
                  };
                  static rota_task_fn late_fn;
                  late_fn = late;
                  auto body = [](void *) {
                      begun++;
                      int r = rota_sleep(1000 * ROTA_SEC);
                      if (r != -ECANCELED || rota_sleep(5 * ROTA_MS) != 0)
                          return -1;
                      if (rota_task_spawn(nullptr, late_fn, nullptr, nullptr) != 0)
                          return -2;
                      cleaned++;
                      return r;
                  };
                  for (int i = 0; i < 20; i++)
                      EXPECT_EQ(0, rota_task_spawn(nullptr, body, nullptr, nullptr));
                  EXPECT_TRUE(eventually([] { return begun == 20; }));
                  return 3;
              }));
    EXPECT_EQ(20, cleaned);
    /* A late task that was cancelled before its first step never ran: fewer may have seen it. */
    EXPECT_LE(spawned_late, 20);
}

/* A leftover that ignores its cancellation is named when the deadline has passed. */
TEST(RunDeadline, StragglersAreNamed)
{
    if (support::emulated())
        GTEST_SKIP() << "the emulator's children of fork cannot start threads";
    support::in_child([] {
        /* In a process of its own: a straggler's memory stays for ever, by design. */
        static loops::Reports reports;
        static std::atomic<bool> begun;
        rota_run_opts opts{};
        opts.loops = 2;
        opts.shutdown_timeout_ns = 20 * ROTA_MS;
        opts.exception_handler = loops::Reports::collect;
        opts.exception_arg = &reports;
        opts.stall_ns = -1; /* as loops::run() has it there */
        auto body = [](void *) {
            rota_task_opts named{};
            named.name = "stubborn";
            auto stubborn = [](void *) {
                begun = true;
                for (;;)
                    if (rota_sleep(1000 * ROTA_SEC) == 0)
                        return 0;
            };
            if (rota_task_spawn(nullptr, stubborn, nullptr, &named) != 0)
                return -1;
            return eventually([] { return begun.load(); }) ? 9 : -1;
        };
        int r = rota_run(body, nullptr, &opts);
        bool named = reports.count() == 1 && reports.list[0].error == -ETIMEDOUT &&
                     reports.list[0].message == "a task outlived the shutdown deadline";
        return r == 9 && named ? 0 : 1;
    });
}

/* B-L07: the fatal class ends the run; a new one works. */
TEST_P(Run, ExitOfACallbackEndsTheRun)
{
    auto callback = [](void *) -> int { return ROTA_EXIT; };
    EXPECT_EQ(ROTA_EXIT, run([=] {
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, callback, nullptr, nullptr));
                  return rota_sleep(1000 * ROTA_SEC);
              }));
    EXPECT_EQ(ROTA_EXIT, run([] {
                  auto task = [](void *) -> int { return ROTA_EXIT; };
                  EXPECT_EQ(0, rota_task_spawn(nullptr, task, nullptr, nullptr));
                  return rota_sleep(1000 * ROTA_SEC);
              }));
    EXPECT_EQ(1, run([] { return 1; }));
}

TEST_P(Run, AllocationFailures)
{
    support::sweep_allocations([this] {
        return run([] {
            rota_task *task = nullptr;
            int status = 0;
            int r = rota_task_spawn(
                &task, [](void *) { return rota_yield(); }, nullptr, nullptr);
            if (r == 0) {
                r = rota_task_await(task, &status);
                rota_task_unref(task);
            }
            return r < 0 ? r : status;
        });
    });
}

/* ---- Foreign threads ---- */

TEST_P(Run, SpawnFromForeignThreads)
{
    EXPECT_EQ(0, run([] {
                  static std::atomic<int> ran;
                  ran = 0;
                  rota_runtime *runtime = rota_running_runtime();
                  std::vector<std::thread> threads;
                  std::atomic<int> errors{0};
                  for (int i = 0; i < 4; i++)
                      threads.emplace_back([&] {
                          for (int k = 0; k < 250; k++)
                              errors += rota_task_spawn_threadsafe(
                                            runtime, nullptr,
                                            [](void *) {
                                                ran++;
                                                return rota_yield();
                                            },
                                            nullptr, nullptr) != 0;
                      });
                  EXPECT_TRUE(eventually([] { return ran == 1000; }));
                  for (auto &thread : threads)
                      thread.join();
                  EXPECT_EQ(0, errors);
                  EXPECT_EQ(-EINVAL, rota_task_spawn_threadsafe(nullptr, nullptr, nullptr, nullptr,
                                                                nullptr));
                  EXPECT_EQ(-EINVAL, rota_task_spawn_threadsafe(runtime, nullptr, nullptr, nullptr,
                                                                nullptr));
                  return 0;
              }));
}

/* A loop that a foreign thread keeps answers after its end. */
TEST_P(Run, AKeptLoopAnswersAfterItsEnd)
{
    static rota_loop *kept;
    auto callback = [](void *) { return 0; };
    EXPECT_EQ(0, run([] {
                  kept = rota_loop_ref(rota_running_loop());
                  return rota_loop_index(kept) >= 0 ? 0 : -1;
              }));
    rota_counters counters{};
    EXPECT_EQ(ROTA_ECLOSED, rota_call_soon_threadsafe(kept, nullptr, callback, nullptr, nullptr));
    EXPECT_EQ(ROTA_ECLOSED, rota_all_tasks(kept, nullptr, 0));
    EXPECT_EQ(0, rota_loop_counters(kept, &counters));
    EXPECT_GT(counters.turns, 0U);
    rota_loop_unref(kept);
}

/* A failed future that is dropped after its run is still told to the handler of that run. */
TEST_P(Run, AFailureAfterTheEndIsReported)
{
    static rota_future *failed;
    loops::Reports reports;
    rota_run_opts opts{};
    opts.exception_handler = loops::Reports::collect;
    opts.exception_arg = &reports;
    EXPECT_EQ(0, run(
                     [] {
                         EXPECT_EQ(0, rota_future_create(&failed, nullptr));
                         return rota_future_set_error(failed, -EPIPE);
                     },
                     opts));
    EXPECT_EQ(0U, reports.count());
    rota_future_unref(failed);
    ASSERT_EQ(1U, reports.count());
    EXPECT_EQ(-EPIPE, reports.list[0].error);
}

/* ---- Signals ---- */

/* A program's handlers run on its own threads; a profiler sees all that use the CPU. */
TEST_P(Run, LoopsBlockSignalsButFaultsAndAProfilers)
{
    static std::atomic<unsigned> as_expected;
    auto look = [](void *) {
        sigset_t mask;
        bool own = rota_loop_index(rota_running_loop()) == 0;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        if (sigismember(&mask, SIGSEGV) == 0 && sigismember(&mask, SIGPROF) == 0 &&
            sigismember(&mask, SIGTERM) == (own ? 0 : 1))
            as_expected++;
        return 0;
    };
    as_expected = 0;
    EXPECT_EQ(0, run([=] {
                  rota_runtime *runtime = rota_running_runtime();
                  for (unsigned i = 0; i < GetParam(); i++)
                      EXPECT_EQ(0, rota_call_soon_threadsafe(rota_runtime_loop(runtime, i), nullptr,
                                                             look, nullptr, nullptr));
                  EXPECT_TRUE(eventually([=] { return as_expected == GetParam(); }));
                  return 0;
              }));
}

/* SIGINT cancels the first task; also while loop 0 is blocked by a task that does not suspend. */
TEST_P(Run, InterruptCancelsTheFirstTask)
{
    EXPECT_EQ(ROTA_EINTERRUPT, run([] {
                  kill(getpid(), SIGINT);
                  return rota_sleep(1000 * ROTA_SEC);
              }));
    EXPECT_EQ(4, run([] {
                  kill(getpid(), SIGINT);
                  EXPECT_EQ(-ECANCELED, rota_sleep(1000 * ROTA_SEC));
                  return 4; /* swallowed */
              }));
}

TEST_P(Run, TerminateDoesTheSameWithoutServers)
{
    EXPECT_EQ(ROTA_EINTERRUPT, run([] {
                  kill(getpid(), SIGTERM);
                  return rota_sleep(1000 * ROTA_SEC);
              }));
    EXPECT_EQ(ROTA_EINTERRUPT, run([] {
                  EXPECT_EQ(0, rota_runtime_stop(rota_running_runtime()));
                  EXPECT_EQ(-EINVAL, rota_runtime_stop(nullptr));
                  return rota_sleep(1000 * ROTA_SEC);
              }));
}

/* B-M04, the third part. */
TEST_P(Run, TheSecondInterruptIsTheDefaultOne)
{
    if (support::emulated() && many())
        GTEST_SKIP() << "the emulator's children of fork cannot start threads";
    EXPECT_EXIT(
        {
            run([] {
                kill(getpid(), SIGINT);
                EXPECT_EQ(-ECANCELED, rota_sleep(1000 * ROTA_SEC));
                kill(getpid(), SIGINT);
                return rota_sleep(1000 * ROTA_SEC);
            });
        },
        testing::KilledBySignal(SIGINT), "");
}

TEST_P(Run, DispositionsAreLeftAloneAndRestored)
{
    rota_run_opts opts{};
    opts.no_signals = true;
    auto own = [](int) {};
    std::signal(SIGTERM, own);
    EXPECT_EQ(0, run([&] {
                  struct sigaction now;
                  sigaction(SIGTERM, nullptr, &now);
                  EXPECT_EQ(static_cast<void (*)(int)>(own), now.sa_handler);
                  sigaction(SIGINT, nullptr, &now);
                  EXPECT_NE(SIG_DFL, now.sa_handler);
                  return 0;
              }));
    std::signal(SIGTERM, SIG_DFL);
    EXPECT_EQ(0, run(
                     [] {
                         struct sigaction now;
                         sigaction(SIGINT, nullptr, &now);
                         EXPECT_EQ(SIG_DFL, now.sa_handler);
                         return 0;
                     },
                     opts));
    struct sigaction now;
    sigaction(SIGINT, nullptr, &now);
    EXPECT_EQ(SIG_DFL, now.sa_handler);
}

} // namespace
