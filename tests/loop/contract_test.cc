/* SPDX-License-Identifier: MIT */
/*
 * contract_test.cc - what calls refuse where they cannot work, and what a run is asked for.
 */
#include <rota/error.h>

#include "tests/loop/run_loops.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <regex>
#include <sched.h>
#include <thread>

namespace {

using namespace loops;

class Contract : public OneAndMany {};

/* A callback cannot wait, but may ask for what is there. */
TEST_P(Contract, ACallbackCannotAwait)
{
    struct Asked {
        rota_task *task;
        std::atomic<int> results[3];
        std::atomic<bool> asked;
    };
    Asked asked{};
    auto ask = [](void *arg) {
        auto *to = static_cast<Asked *>(arg);
        to->results[0] = rota_task_await(to->task, nullptr);
        to->results[1] = rota_task_shield(to->task, nullptr);
        to->results[2] = rota_yield();
        to->asked = true;
        return 0;
    };
    EXPECT_EQ(0, run([&] {
                  Tasks tasks;
                  asked.task = tasks.spawn([] { return rota_sleep(1000 * ROTA_SEC); });
                  EXPECT_EQ(0, rota_call_soon_threadsafe(rota_running_loop(), nullptr, ask, &asked,
                                                         nullptr));
                  EXPECT_TRUE(eventually([&] { return asked.asked.load(); }));
                  EXPECT_EQ(ROTA_ENOTASK, asked.results[0]);
                  EXPECT_EQ(ROTA_ENOTASK, asked.results[1]);
                  EXPECT_EQ(ROTA_ENOTASK, asked.results[2]);
                  EXPECT_EQ(1, rota_task_cancel(asked.task));
                  EXPECT_EQ(std::vector<int>{-ECANCELED}, tasks.join());
                  return 0;
              }));
}

/* Two runtimes in one process: a task of the one is nothing to wait for in the other. */
TEST_P(Contract, ATaskOfAnotherRuntimeCannotBeAwaited)
{
    std::promise<rota_task *> theirs;
    std::promise<void> over;
    std::thread other([&] {
        EXPECT_EQ(0, loops::run(1, [&] {
                      Tasks tasks;
                      rota_task *task = tasks.spawn([] { return rota_sleep(1000 * ROTA_SEC); });
                      tasks.settle();
                      theirs.set_value(task);
                      over.get_future().wait();
                      EXPECT_EQ(1, rota_task_cancel(task));
                      EXPECT_EQ(std::vector<int>{-ECANCELED}, tasks.join());
                      return 0;
                  }));
    });
    rota_task *task = theirs.get_future().get();
    EXPECT_EQ(0, run([&] {
                  EXPECT_EQ(ROTA_EOTHERRUNTIME, rota_task_await(task, nullptr));
                  EXPECT_EQ(ROTA_EOTHERRUNTIME, rota_task_shield(task, nullptr));
                  return 0;
              }));
    over.set_value();
    other.join();
}

TEST_P(Contract, ARunTakesOneCpuForEachLoopWhereAsked)
{
    cpu_set_t before;
    CPU_ZERO(&before);
    ASSERT_EQ(0, sched_getaffinity(0, sizeof before, &before));
    static std::atomic<int> cpus[4];
    for (std::atomic<int> &count : cpus)
        count = 0;
    auto look = [](void *) {
        cpu_set_t own;
        CPU_ZERO(&own);
        EXPECT_EQ(0, sched_getaffinity(0, sizeof own, &own));
        cpus[rota_loop_index(rota_running_loop())] = CPU_COUNT(&own);
        return 0;
    };
    rota_run_opts opts{};
    opts.pin_cpus = true;
    EXPECT_EQ(0, run(
                     [&] {
                         rota_runtime *runtime = rota_running_runtime();
                         for (unsigned i = 0; i < GetParam(); i++)
                             EXPECT_EQ(0,
                                       rota_call_soon_threadsafe(rota_runtime_loop(runtime, i),
                                                                 nullptr, look, nullptr, nullptr));
                         for (unsigned i = 0; i < GetParam(); i++)
                             EXPECT_TRUE(eventually([=] { return cpus[i] != 0; }));
                         return 0;
                     },
                     opts));
    for (unsigned i = 0; i < GetParam(); i++)
        EXPECT_EQ(1, cpus[i]) << i;
    cpu_set_t after;
    CPU_ZERO(&after);
    ASSERT_EQ(0, sched_getaffinity(0, sizeof after, &after));
    EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

/* ---- Failures that nobody awaits ---- */

TEST_P(Contract, WithoutAHandlerAFailureIsALineOnStderr)
{
    static std::atomic<bool> called;
    called = false;
    auto fail = [](void *) {
        called = true;
        return -EPIPE;
    };
    testing::internal::CaptureStderr();
    int status = run([=] {
        EXPECT_EQ(0, rota_call_soon(rota_running_loop(), nullptr, fail, nullptr, nullptr));
        EXPECT_TRUE(eventually([] { return called.load(); }));
        return 0;
    });
    std::string line = testing::internal::GetCapturedStderr();
    EXPECT_EQ(0, status);
    EXPECT_TRUE(std::regex_match(line, std::regex("rota: [^\n]+: EPIPE \\([^\n]+\\)\n"))) << line;
}

TEST_P(Contract, TheDefaultHandlerNamesTheTask)
{
    std::string line;
    EXPECT_EQ(0, run([&] {
                  EXPECT_EQ(0, rota_task_set_name(rota_current_task(), "copier"));
                  rota_error_info info{};
                  info.message = "it stopped";
                  info.task = rota_current_task();
                  testing::internal::CaptureStderr();
                  rota_default_exception_handler(&info);
                  line = testing::internal::GetCapturedStderr();
                  return 0;
              }));
    EXPECT_EQ("rota: it stopped [copier]\n", line);
}

TEST_P(Contract, ALoopsHandlerIsSetOnItsOwnThread)
{
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  Reports reports;
                  rota_loop *own = rota_running_loop();
                  rota_loop *other = rota_runtime_loop(rota_running_runtime(), GetParam() - 1);
                  EXPECT_EQ(-EINVAL,
                            rota_loop_set_exception_handler(nullptr, Reports::collect, &reports));
                  if (other != own) {
                      EXPECT_EQ(ROTA_EWRONGLOOP,
                                rota_loop_set_exception_handler(other, Reports::collect, &reports));
                  }
                  EXPECT_EQ(0, rota_loop_set_exception_handler(own, nullptr, nullptr));
                  rota_unpin();
                  return 0;
              }));
}

/* In debug mode; a step that spins for longer than the limit cannot be missed. */
TEST_P(Contract, AStepThatKeepsItsLoopIsNamed)
{
    Reports reports;
    rota_run_opts opts{};
    opts.debug = true;
    opts.slow_callback_ns = ROTA_MS;
    opts.exception_handler = Reports::collect;
    opts.exception_arg = &reports;
    rota_task *slow = nullptr;
    EXPECT_EQ(0, run(
                     [&] {
                         Tasks tasks;
                         slow = tasks.spawn([] {
                             std::int64_t begin_ns = rota_time_ns();
                             while (rota_time_ns() - begin_ns < 2 * ROTA_MS)
                                 continue;
                             return 0;
                         });
                         EXPECT_EQ(std::vector<int>{0}, tasks.join());
                         return 0;
                     },
                     opts));
    bool named = false;
    for (const Reports::Report &report : reports.list)
        named = named || (report.task == slow && report.message.find("too long") < SIZE_MAX);
    EXPECT_TRUE(named) << reports.list.size() << " reports";
}

/* ---- Small print ---- */

TEST_P(Contract, NamesAreCopiedOrRefused)
{
    EXPECT_EQ(0, run([] {
                  rota_task *self = rota_current_task();
                  char name[ROTA_TASK_NAME_SIZE];
                  EXPECT_EQ(-EINVAL, rota_task_set_name(nullptr, "nobody"));
                  EXPECT_EQ(-EINVAL, rota_task_set_name(self, nullptr));
                  EXPECT_EQ(0, rota_task_set_name(self, "before"));
                  { /* a name needs memory where the table of names is full */
                      support::AllocationFailure none(0, support::Failing::all);
                      int r = 0;
                      for (unsigned i = 0; r == 0 && i <= ROTI_NAME_COUNT; i++) {
                          EXPECT_EQ(0, rota_task_set_name(self, "before"));
                          r = rota_task_set_name(self, ("after " + std::to_string(i)).c_str());
                      }
                      EXPECT_EQ(-ENOMEM, r);
                  }
                  EXPECT_LE(0, rota_task_get_name(self, name, sizeof name));
                  EXPECT_STREQ("before", name);
                  rota_task *task = nullptr;
                  rota_task_opts opts = {};
                  opts.name = "one too many";
                  support::AllocationFailure none(0, support::Failing::all);
                  EXPECT_EQ(-ENOMEM, rota_task_spawn(
                                         &task, [](void *) { return 0; }, nullptr, &opts));
                  EXPECT_EQ(nullptr, task);
                  return 0;
              }));
    roti_names_forget(); /* as no task is left: for the tests that follow */
}

TEST_P(Contract, ADumpWithoutMemoryIsRefused)
{
    char *text = nullptr;
    std::size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    EXPECT_EQ(0, run([=] {
                  {
                      support::AllocationFailure none(0, support::Failing::all);
                      EXPECT_EQ(-ENOMEM, rota_dump_tasks(stream));
                  }
                  EXPECT_EQ(0, std::ftell(stream)) << "half a dump";
                  EXPECT_EQ(1, rota_dump_tasks(stream));
                  return 0;
              }));
    std::fclose(stream);
    EXPECT_LT(0u, size);
    std::free(text);
}

TEST(ContractOutside, PinsOutsideATaskAreNothing)
{
    EXPECT_EQ(nullptr, rota_current_task());
    rota_pin();
    rota_unpin();
    rota_unpin();
    EXPECT_EQ(ROTA_ENOTASK, rota_yield());
}

ROTA_ONE_AND_MANY(Contract);

} // namespace
