/* SPDX-License-Identifier: MIT */
/*
 * stall_test.cc - tasks and callbacks that keep their loop are told of, once, with name and place
 * (H15); and looking for them disturbs nobody.
 */
#include <rota/future.h>
#include <rota/stall.h>

#include <cerrno>
#include <csignal>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "loop/loop_impl.h"
#include "loop/stall.h"
#include "loop/symbol.h"
#include "tests/loop/run_loops.h"

namespace {

/* What a handler was told. */
struct Told {
    struct Report {
        std::string name, function, spawned, file, where;
        bool has_task, over, in_kernel;
        int loop, line;
        std::int64_t duration_ns;
        std::uint64_t folded, dropped, task_id;
        std::vector<std::string> stack;
    };
    mutable std::mutex mutex;
    std::vector<Report> list;

    static std::string text(const char *string)
    {
        return string != nullptr ? string : "";
    }
    static void collect(const rota_stall *stall, void *arg)
    {
        auto *self = static_cast<Told *>(arg);
        std::vector<std::string> stack;
        for (std::size_t i = 0; i < stall->stack_count; i++)
            stack.push_back(text(stall->stack[i].function));
        std::lock_guard lock(self->mutex);
        self->list.push_back(
            {text(stall->name), text(stall->function.function), text(stall->spawned.function),
             text(stall->function.file), stack.empty() ? "" : stack[0], stall->task != nullptr,
             stall->loop == nullptr, stall->in_kernel,
             stall->loop != nullptr ? rota_loop_index(stall->loop) : -1, stall->function.line,
             stall->duration_ns, stall->folded, stall->dropped,
             stall->task != nullptr ? rota_task_id(stall->task) : 0, stack});
    }
    std::vector<Report> reports(const std::string &name) const
    {
        std::lock_guard lock(mutex);
        std::vector<Report> some;
        for (const Report &report : list)
            if (report.name == name)
                some.push_back(report);
        return some;
    }
};

/* Computes until it was told of, as a test of what is told must not depend on the clock. */
volatile std::uint64_t computed;

extern "C" __attribute__((noinline)) void rota_test_compute(const std::function<bool()> &until)
{
    std::int64_t end_ns = rota_time_ns() + support::patience_ns(20 * ROTA_SEC);
    while (!until() && rota_time_ns() < end_ns)
        for (int i = 0; i < 10'000; i++)
            computed = computed + static_cast<std::uint64_t>(i);
}

const std::function<bool()> *condition;

extern "C" int rota_test_computes(void *)
{
    rota_test_compute(*condition);
    return 0;
}

class Stall : public loops::OneAndMany {
protected:
    Told told_;
    int watched(loops::Body body, rota_run_opts opts = {})
    {
        opts.stall_handler = Told::collect;
        opts.stall_arg = &told_;
        return run(std::move(body), opts);
    }
};
ROTA_ONE_AND_MANY(Stall);

TEST_P(Stall, ATaskThatComputesIsNamed)
{
    std::uint64_t id = 0;
    std::function<bool()> until = [&] { return !told_.reports("busy").empty(); };
    condition = &until;
    EXPECT_EQ(0, watched([&] {
                  rota_task *task = nullptr;
                  rota_task_opts opts = {};
                  opts.name = "busy";
                  EXPECT_EQ(0, rota_task_spawn(&task, rota_test_computes, nullptr, &opts));
                  id = rota_task_id(task);
                  EXPECT_EQ(0, rota_task_await(task, nullptr));
                  rota_task_unref(task);
                  return 0;
              }));
    auto reports = told_.reports("busy");
    ASSERT_FALSE(reports.empty());
    const auto &report = reports[0];
    EXPECT_EQ(id, report.task_id);
    EXPECT_GE(report.duration_ns, 10 * ROTA_MS);
    EXPECT_GE(report.loop, 0);
    EXPECT_FALSE(report.in_kernel);
    EXPECT_EQ(0U, report.folded);
#if ROTA_LIBDW
    EXPECT_EQ("rota_test_computes", report.function);
    EXPECT_NE(std::string::npos, report.file.find("stall_test.cc"));
    EXPECT_LT(0, report.line);
    EXPECT_FALSE(report.spawned.empty());
#endif
}

/* The signal finds the thread in what it computes. */
TEST_P(Stall, WhereItComputesIsKnown)
{
    if (ROTI_TSAN || support::emulated())
        GTEST_SKIP() << "signals are handled late, or /proc says nothing of emulated threads";
#if !ROTA_LIBDW
    GTEST_SKIP() << "libdw is not there";
#endif
    std::function<bool()> until = [&] {
        for (const auto &report : told_.reports("busy"))
            for (const std::string &frame : report.stack)
                if (frame == "rota_test_compute")
                    return true;
        return false;
    };
    condition = &until;
    bool found = false;
    EXPECT_EQ(0, watched([&] {
                  rota_task *task = nullptr;
                  rota_task_opts opts = {};
                  opts.name = "busy";
                  EXPECT_EQ(0, rota_task_spawn(&task, rota_test_computes, nullptr, &opts));
                  EXPECT_EQ(0, rota_task_await(task, nullptr));
                  found = until();
                  rota_task_unref(task);
                  return 0;
              }));
    EXPECT_TRUE(found);
}

/* What waits in the kernel is found there, and is not interrupted. */
TEST_P(Stall, ATaskThatSleepsInTheKernelIsLeftAlone)
{
    int interrupted = 0;
    EXPECT_EQ(0, watched([&] {
                  loops::Tasks tasks;
                  rota_task_opts opts = {};
                  opts.name = "asleep";
                  tasks.spawn(
                      [&] {
                          for (int i = 0; told_.reports("asleep").empty() && i < 100; i++) {
                              timespec time = {.tv_sec = 0, .tv_nsec = 50'000'000};
                              interrupted += nanosleep(&time, nullptr) != 0;
                          }
                          return 0;
                      },
                      opts);
                  tasks.join();
                  return 0;
              }));
    EXPECT_EQ(0, interrupted);
    auto reports = told_.reports("asleep");
    ASSERT_FALSE(reports.empty());
    EXPECT_GE(reports[0].duration_ns, 10 * ROTA_MS);
    EXPECT_TRUE(support::emulated() || reports[0].in_kernel);
}

TEST_P(Stall, ACallbackIsNamedByItsFunction)
{
    std::function<bool()> until = [&] { return !told_.reports("callback").empty(); };
    condition = &until;
    EXPECT_EQ(0, watched([&] {
                  EXPECT_EQ(0,
                            rota_call_soon(nullptr, nullptr, rota_test_computes, nullptr, nullptr));
                  EXPECT_TRUE(loops::eventually(until));
                  return 0;
              }));
    auto reports = told_.reports("callback");
    ASSERT_FALSE(reports.empty());
    EXPECT_FALSE(reports[0].has_task);
#if ROTA_LIBDW
    EXPECT_EQ("rota_test_computes", reports[0].function);
#endif
}

/* The first task is named by the program's function, not by the library's. */
TEST_P(Stall, TheFirstTaskIsNamedByTheProgramsFunction)
{
    std::function<bool()> until = [&] { return !told_.reports("main").empty(); };
    rota_run_opts opts = {};
    opts.loops = GetParam();
    opts.stall_handler = Told::collect;
    opts.stall_arg = &told_;
    condition = &until;
    EXPECT_EQ(0, rota_run(rota_test_computes, nullptr, &opts));
    auto reports = told_.reports("main");
    ASSERT_FALSE(reports.empty());
#if ROTA_LIBDW
    EXPECT_EQ("rota_test_computes", reports[0].function);
#endif
}

/* One that goes on is told again when it has lasted ten times as long. */
TEST_P(Stall, OneThatGoesOnIsToldAgain)
{
    std::function<bool()> until = [&] { return told_.reports("main").size() >= 2; };
    EXPECT_EQ(0, watched([&] {
                  rota_test_compute(until);
                  return 0;
              }));
    auto reports = told_.reports("main");
    ASSERT_LE(2U, reports.size());
    EXPECT_GE(reports[1].duration_ns, 10 * reports[0].duration_ns / ROTA_MS * ROTA_MS / 2);
}

/* The counter counts stalls, not reports. */
TEST_P(Stall, IsCountedAtItsLoop)
{
    EXPECT_EQ(0, watched([&] {
                  auto *runtime = rota_running_runtime();
                  auto count = [=] {
                      std::uint64_t sum = 0;
                      for (int i = 0; i < rota_runtime_loop_count(runtime); i++) {
                          rota_counters counters = {};
                          EXPECT_EQ(0, rota_loop_counters(
                                           rota_runtime_loop(runtime, static_cast<unsigned>(i)),
                                           &counters));
                          sum += counters.stalls;
                      }
                      return sum;
                  };
                  for (std::uint64_t stalls = 1; stalls <= 3; stalls++) {
                      rota_test_compute([&] { return count() >= stalls; });
                      EXPECT_EQ(0, rota_yield());
                  }
                  EXPECT_LE(3U, count());
                  return 0;
              }));
    std::uint64_t folded = 0;
    for (const auto &report : told_.reports("main"))
        folded += report.folded + (report.over ? 0 : 1);
    EXPECT_LE(3U, folded) << "what was folded is told at the end";
}

TEST_P(Stall, NobodyLooksWhereThatIsNotWanted)
{
    rota_run_opts opts = {};
    opts.stall_ns = -1;
    EXPECT_EQ(0, watched(
                     [&] {
                         std::this_thread::sleep_for(std::chrono::milliseconds(100));
                         EXPECT_EQ(nullptr, rota_running_runtime()->pool.watchdog.watches);
                         return 0;
                     },
                     opts));
    EXPECT_TRUE(told_.list.empty());
}

/* ---- Rest ---- */

/* A25: while all loops sleep the thread does, too. */
TEST_P(Stall, TheThreadSleepsWhileAllLoopsDo)
{
    if (support::emulated())
        GTEST_SKIP() << "the emulator's threads are not the program's";
    EXPECT_EQ(0, watched([&] {
                  roti_watchdog *watchdog = &rota_running_runtime()->pool.watchdog;
                  bool rested = false;
                  /* Others may wake this machine's loops: in one of many times they do not. */
                  for (int i = 0; i < 100 && !rested; i++) {
                      std::atomic<bool> before{false}, after{false};
                      std::thread outside([&] {
                          before = support::eventually([&] { return watchdog->resting.load(); });
                          std::this_thread::sleep_for(std::chrono::milliseconds(50));
                          after = watchdog->resting.load();
                      });
                      EXPECT_EQ(0, rota_sleep(100 * ROTA_MS));
                      outside.join();
                      rested = before && after;
                  }
                  EXPECT_TRUE(rested);
                  return 0;
              }));
}

/* And it looks again once they have something to do. */
TEST_P(Stall, AfterARestItLooksAgain)
{
    std::function<bool()> until = [&] { return !told_.reports("main").empty(); };
    EXPECT_EQ(0, watched([&] {
                  roti_watchdog *watchdog = &rota_running_runtime()->pool.watchdog;
                  std::thread outside([&] {
                      EXPECT_TRUE(support::eventually([&] { return watchdog->resting.load(); }));
                  });
                  EXPECT_EQ(0, rota_sleep(200 * ROTA_MS));
                  outside.join();
                  rota_test_compute(until);
                  return 0;
              }));
    EXPECT_TRUE(until());
}

/* ---- Processes ---- */

/* The child of a fork, made by a task, has a watchdog of its own. */
TEST_P(Stall, AChildOfAForkIsWatched)
{
    if (ROTI_TSAN || support::emulated())
        GTEST_SKIP() << "children of fork cannot start threads there";
    EXPECT_EQ(0, watched([&] {
                  support::in_child([&] {
                      Told told;
                      std::function<bool()> until = [&] { return !told.reports("main").empty(); };
                      rota_run_opts opts = {};
                      opts.stall_handler = Told::collect;
                      opts.stall_arg = &told;
                      int r = loops::run(
                          GetParam(),
                          [&] {
                              rota_test_compute(until);
                              return 0;
                          },
                          opts);
                      return r != 0 || !until();
                  });
                  return 0;
              }));
}

/* ---- The signal ---- */

void ignore_signal(int) {}

/* A program that handles SIGURG keeps it; and what we have set is taken back at the end. */
TEST(StallSignal, IsNotTakenFromTheProgram)
{
    struct sigaction program = {}, found = {};
    program.sa_handler = ignore_signal;
    ASSERT_EQ(0, sigaction(SIGURG, &program, nullptr));
    EXPECT_EQ(0, loops::run(2, [&] {
                  EXPECT_EQ(0, sigaction(SIGURG, nullptr, &found));
                  return 0;
              }));
    EXPECT_EQ(ignore_signal, found.sa_handler);
    program.sa_handler = SIG_DFL;
    ASSERT_EQ(0, sigaction(SIGURG, &program, nullptr));
    EXPECT_EQ(0, loops::run(2, [&] {
                  EXPECT_EQ(0, sigaction(SIGURG, nullptr, &found));
                  EXPECT_EQ(SA_SIGINFO, found.sa_flags & SA_SIGINFO);
                  /* One that somebody else sends does nothing. */
                  EXPECT_EQ(0, raise(SIGURG));
                  return 0;
              }));
    ASSERT_EQ(0, sigaction(SIGURG, nullptr, &found));
    EXPECT_EQ(SIG_DFL, found.sa_handler);
}

std::atomic<int> urgent_count;

/* Also where it takes it while loops run: then it is not sent. */
TEST(StallSignal, IsNotSentToAProgramThatTookItSince)
{
    struct sigaction program = {}, before = {};
    program.sa_handler = [](int) { urgent_count++; };
    urgent_count = 0;
    Told told;
    rota_run_opts opts{};
    opts.stall_handler = Told::collect;
    opts.stall_arg = &told;
    ASSERT_EQ(0, sigaction(SIGURG, nullptr, &before));
    EXPECT_EQ(0, loops::run(
                     1,
                     [&] {
                         EXPECT_EQ(0, rota_task_set_name(rota_current_task(), "busy"));
                         EXPECT_EQ(0, sigaction(SIGURG, &program, nullptr));
                         rota_test_compute([&] { return !told.reports("busy").empty(); });
                         return 0;
                     },
                     opts));
    EXPECT_FALSE(told.reports("busy").empty());
    EXPECT_EQ(0, urgent_count);
    EXPECT_EQ(0, sigaction(SIGURG, &before, &program)); /* and it is left there */
    EXPECT_EQ(0, program.sa_flags & SA_SIGINFO);

    /* What the program has put back is taken the next time. */
    EXPECT_EQ(0, loops::run(1, [&] {
                  EXPECT_EQ(0, sigaction(SIGURG, nullptr, &program));
                  EXPECT_NE(0, program.sa_flags & SA_SIGINFO);
                  return 0;
              }));
    EXPECT_EQ(0, sigaction(SIGURG, nullptr, &program));
    EXPECT_EQ(SIG_DFL, program.sa_handler);
}

/* ---- Folding, at times of the test's own ---- */

class StallFolding : public testing::Test {
protected:
    void SetUp() override
    {
        ASSERT_EQ(0, roti_stalls_init(&stalls_, nullptr, nullptr));
    }
    void TearDown() override
    {
        roti_stalls_free(&stalls_);
    }
    /* A stall of the function number `fn`. True: it is to be told. */
    bool count(std::uintptr_t fn, std::int64_t kept_ms, std::int64_t now_ms, bool first = true)
    {
        roti_stall found = {};
        found.kept_ns = kept_ms * ROTA_MS;
        found.first = first;
        group_ = roti_stalls_count(&stalls_, reinterpret_cast<void *>(fn), nullptr, &found,
                                   now_ms * ROTA_MS);
        return group_ != nullptr;
    }

    roti_stalls stalls_ = {};
    roti_stall_group *group_ = nullptr;
};

TEST_F(StallFolding, OneFunctionIsToldOnceInTenSeconds)
{
    EXPECT_TRUE(count(1, 10, 1000));
    for (int i = 1; i < 10; i++)
        EXPECT_FALSE(count(1, 10 + i, 1000 + 1000 * i)) << i;
    EXPECT_TRUE(count(1, 10, 11'000));
    EXPECT_EQ(9U, group_->folded);
    EXPECT_EQ(19 * ROTA_MS, group_->folded_longest_ns);
}

TEST_F(StallFolding, WhatIsTenTimesAsLongIsNews)
{
    EXPECT_TRUE(count(1, 10, 1000));
    EXPECT_FALSE(count(1, 99, 1100, false));
    EXPECT_TRUE(count(1, 100, 1200, false));
    EXPECT_EQ(0U, group_->folded) << "it is the same stall";
    EXPECT_FALSE(count(1, 500, 1300));
    EXPECT_TRUE(count(1, 1000, 1400));
}

TEST_F(StallFolding, FiveAreToldInASecond)
{
    for (std::uintptr_t fn = 1; fn <= 8; fn++)
        EXPECT_EQ(fn <= ROTI_STALLS_PER_SECOND, count(fn, 10, 1000)) << fn;
    EXPECT_EQ(3U, stalls_.dropped);
    EXPECT_STREQ("callback", stalls_.groups[7].name) << "it is told at the end of the run";
    EXPECT_TRUE(count(8, 10, 2000)) << "the next second";
    EXPECT_EQ(1U, group_->folded) << "what was left out is not lost";
}

TEST_F(StallFolding, TheOldestGroupGivesWay)
{
    for (std::uintptr_t fn = 1; fn <= ROTI_STALL_GROUPS + 1; fn++)
        EXPECT_TRUE(count(fn, 10, 1000 * static_cast<std::int64_t>(fn)));
    EXPECT_EQ(ROTI_STALL_GROUPS, static_cast<int>(stalls_.group_count));
    EXPECT_FALSE(count(ROTI_STALL_GROUPS, 10, 1000 * (ROTI_STALL_GROUPS + 2)));
    EXPECT_TRUE(count(1, 10, 1000 * (ROTI_STALL_GROUPS + 3))) << "was forgotten";
    EXPECT_EQ(0U, stalls_.dropped) << "nothing was lost with it";

    for (std::uintptr_t fn = 101; fn < 101 + ROTI_STALL_GROUPS; fn++)
        EXPECT_TRUE(count(fn, 10, 1000 * static_cast<std::int64_t>(fn)));
    EXPECT_EQ(1U, stalls_.dropped) << "a stall of a function that made way";
}

/* ---- Places ---- */

void find_symbols()
{
    roti_symbols symbols;
    roti_symbol symbol;
    roti_symbols_open(&symbols);
    roti_symbols_find(&symbols, nullptr, false, &symbol);
    EXPECT_EQ(nullptr, symbol.place.address);
    EXPECT_EQ(nullptr, symbol.place.function);
    roti_symbols_find(&symbols, reinterpret_cast<void *>(&rota_test_computes), false, &symbol);
    EXPECT_EQ(reinterpret_cast<void *>(&rota_test_computes), symbol.place.address);
    EXPECT_NE(nullptr, symbol.place.module);
#if ROTA_LIBDW
    EXPECT_STREQ("rota_test_computes", symbol.place.function);
    EXPECT_NE(nullptr, symbol.place.file);
    EXPECT_LT(0, symbol.place.line);
#endif
    roti_symbols_find(&symbols, reinterpret_cast<void *>(&getpid), false, &symbol);
    EXPECT_NE(nullptr, symbol.place.function);
    EXPECT_NE(std::string::npos, Told::text(symbol.place.function).find("getpid"));
    roti_symbols_find(&symbols, &symbols, false, &symbol);
    EXPECT_EQ(nullptr, symbol.place.function) << "no code";
    roti_symbols_close(&symbols);
}

/* On a thread of its own, as in a run: AddressSanitizer's search for leaks stumbles over the
 * thread-local objects of what the main thread has loaded. */
TEST(Symbols, OfTheProgramAndOfLibraries)
{
    std::thread(find_symbols).join();
}

/* ---- The default handler ---- */

std::string printed(const rota_stall &stall)
{
    testing::internal::CaptureStderr();
    rota_default_stall_handler(&stall, nullptr);
    return testing::internal::GetCapturedStderr();
}

TEST(StallDefault, PrintsWhatIsKnown)
{
    EXPECT_EQ(0, loops::run(1, [&] {
                  rota_place stack[2] = {};
                  stack[0].address = stack;
                  stack[0].function = "inner";
                  stack[0].file = "/source/inner.c";
                  stack[0].line = 7;
                  stack[1].address = stack;
                  stack[1].module = "/lib/outer.so";
                  stack[1].offset = 0x123;
                  rota_stall stall = {};
                  stall.loop = rota_running_loop();
                  stall.task = rota_current_task();
                  stall.name = "main";
                  stall.duration_ns = 12 * ROTA_MS;
                  stall.cpu_wait_ns = 3 * ROTA_MS;
                  stall.function.address = stack;
                  stall.function.function = "work";
                  stall.stack = stack;
                  stall.stack_count = 2;
                  EXPECT_EQ("rota: task " + std::to_string(rota_task_id(stall.task)) +
                                " [main] keeps loop 0: 12 ms so far (and 3 ms without a CPU)\n"
                                "rota:   it is work\n"
                                "rota:   runs inner (inner.c:7), called by (/lib/outer.so+0x123)\n",
                            printed(stall));
                  stall.cpu_wait_ns = 0;
                  stall.task = nullptr;
                  stall.name = "callback";
                  stall.stack_count = 0;
                  stall.folded = 4;
                  stall.folded_longest_ns = 20 * ROTA_SEC;
                  stall.dropped = 2;
                  EXPECT_EQ("rota: a callback keeps loop 0: 12 ms so far\n"
                            "rota:   it is work\n"
                            "rota:   kept its loop 4 times more since the last report, for up to "
                            "20 s when it was counted\n"
                            "rota:   2 other stalls were left out\n",
                            printed(stall));
                  stall.loop = nullptr;
                  stall.dropped = 0;
                  stall.name = "job";
                  EXPECT_EQ("rota: [job], which is work kept its loop 4 times more since the last "
                            "report, for up to 20 s when it was counted\n",
                            printed(stall));
                  return 0;
              }));
    testing::internal::CaptureStderr();
    rota_default_stall_handler(nullptr, nullptr);
    EXPECT_EQ("", testing::internal::GetCapturedStderr());
}

} // namespace
