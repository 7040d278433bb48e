/* SPDX-License-Identifier: MIT */
/*
 * task_test.cc - tasks: spawned, awaited, named, listed, pinned (S8, S9, S10, B-T07, B-V, B-Z02).
 */
#include <cerrno>
#include <cstring>
#include <map>
#include <rota/error.h>
#include <set>
#include <string>

#include "sched/task_impl.h"
#include "tests/loop/run_loops.h"

namespace {

using loops::eventually;
using loops::Tasks;

class Task : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(Task);

int add_one(void *arg)
{
    ++*static_cast<std::atomic<int> *>(arg);
    return 0;
}

int return_argument(void *arg)
{
    return static_cast<int>(reinterpret_cast<std::intptr_t>(arg));
}

int sleep_long(void *)
{
    return rota_sleep(1000 * ROTA_SEC);
}

/* ---- Spawn and await ---- */

TEST_P(Task, AwaitGivesTheWaitsOutcomeAndTheTasksStatus)
{
    EXPECT_EQ(0, run([] {
                  for (int status : {0, 7, -EPIPE}) {
                      rota_task *task = nullptr;
                      void *arg = reinterpret_cast<void *>(static_cast<std::intptr_t>(status));
                      EXPECT_EQ(0, rota_task_spawn(&task, return_argument, arg, nullptr));
                      int seen = 99;
                      EXPECT_EQ(0, rota_task_await(task, &seen));
                      EXPECT_EQ(status, seen);
                      EXPECT_TRUE(rota_task_done(task));
                      seen = 99;
                      EXPECT_EQ(0, rota_task_await(task, &seen)) << "again";
                      EXPECT_EQ(status, seen);
                      EXPECT_EQ(0, rota_task_status(task, nullptr));
                      rota_task_unref(task);
                  }
                  return 0;
              }));
}

TEST_P(Task, BodyDoesNotRunInsideSpawn)
{
    EXPECT_EQ(0, run([] {
                  /* Pinned, so that no other loop may start it between the two lines. */
                  std::atomic<int> count{0};
                  rota_task_opts opts{};
                  opts.pinned = true;
                  rota_task *task = nullptr;
                  EXPECT_EQ(0, rota_task_spawn(&task, add_one, &count, &opts));
                  rota_pin();
                  EXPECT_EQ(0, count);
                  EXPECT_EQ(0, rota_task_await(task, nullptr));
                  rota_unpin();
                  EXPECT_EQ(1, count);
                  rota_task_unref(task);
                  return 0;
              }));
}

TEST(TaskOrder, FirstStepsComeInTheOrderOfCreation)
{
    EXPECT_EQ(0, loops::run(1, [] {
                  Tasks tasks;
                  std::string log;
                  for (char letter = 'a'; letter <= 'z'; letter++)
                      tasks.spawn([&log, letter] {
                          log += letter;
                          return 0;
                      });
                  tasks.join();
                  EXPECT_EQ("abcdefghijklmnopqrstuvwxyz", log);
                  return 0;
              }));
}

/* B-L03: what was queued before a yield runs before the yielding task goes on. */
TEST(TaskOrder, YieldGoesBehindWhatIsQueued)
{
    EXPECT_EQ(0, loops::run(1, [] {
                  static std::string log;
                  log.clear();
                  auto append = [](void *arg) {
                      log += *static_cast<const char *>(arg);
                      return 0;
                  };
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, append, const_cast<char *>("a"),
                                              nullptr));
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, append, const_cast<char *>("b"),
                                              nullptr));
                  EXPECT_EQ(0, rota_yield());
                  log += '.';
                  EXPECT_EQ("ab.", log);
                  return 0;
              }));
}

TEST_P(Task, DetachedTasksRunToTheirEnd)
{
    EXPECT_EQ(0, run([] {
                  static std::atomic<int> count;
                  count = 0;
                  for (int i = 0; i < 1000; i++)
                      EXPECT_EQ(0, rota_task_spawn(nullptr, add_one, &count, nullptr));
                  EXPECT_TRUE(eventually([] { return count == 1000; }));
                  return 0;
              }));
}

TEST_P(Task, ManyJoinersOfOneTaskAllWake)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  rota_task *target =
                      tasks.spawn([] { return rota_sleep(5 * ROTA_MS) < 0 ? -1 : 42; });
                  std::atomic<int> woken{0};
                  for (int i = 0; i < 200; i++)
                      tasks.spawn([&] {
                          int status = 0;
                          EXPECT_EQ(0, rota_task_await(target, &status));
                          woken += status == 42;
                          return 0;
                      });
                  tasks.join();
                  EXPECT_EQ(200, woken);
                  return 0;
              }));
}

/* ---- Misuse ---- */

TEST_P(Task, MisuseIsAnswered)
{
    rota_task *task = nullptr;
    EXPECT_EQ(ROTA_ENOLOOP, rota_task_spawn(&task, sleep_long, nullptr, nullptr));
    EXPECT_EQ(nullptr, task);
    EXPECT_EQ(ROTA_ENOTASK, rota_yield());
    EXPECT_EQ(ROTA_ENOTASK, rota_sleep(ROTA_MS));
    EXPECT_EQ(nullptr, rota_current_task());
    EXPECT_EQ(nullptr, rota_running_loop());
    EXPECT_EQ(-EINVAL, rota_task_await(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, rota_task_shield(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, rota_task_cancel(nullptr));
    EXPECT_EQ(-EINVAL, rota_task_cancelling(nullptr));
    EXPECT_EQ(-EINVAL, rota_task_uncancel(nullptr));
    EXPECT_EQ(-EINVAL, rota_task_status(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, rota_task_get_name(nullptr, nullptr, 0));
    EXPECT_EQ(-EINVAL, rota_task_set_name(nullptr, "name"));
    EXPECT_EQ(-EINVAL, rota_call_on_loop_stack(nullptr, nullptr));
    EXPECT_FALSE(rota_task_done(nullptr));
    rota_task_unref(nullptr);
    EXPECT_EQ(0, run([&] {
                  rota_task_opts opts{};
                  EXPECT_EQ(-EINVAL, rota_task_spawn(&task, nullptr, nullptr, nullptr));
                  opts.stack_size = 100;
                  EXPECT_EQ(-EINVAL, rota_task_spawn(&task, sleep_long, nullptr, &opts));
                  opts.stack_size = SIZE_MAX;
                  EXPECT_EQ(-EINVAL, rota_task_spawn(&task, sleep_long, nullptr, &opts));
                  EXPECT_EQ(nullptr, task);
                  return 0;
              }));
}

/* C16. */
TEST_P(Task, AwaitOfOneselfIsADeadlock)
{
    EXPECT_EQ(0, run([] {
                  int status = 5;
                  EXPECT_EQ(-EDEADLK, rota_task_await(rota_current_task(), &status));
                  EXPECT_EQ(5, status);
                  EXPECT_EQ(ROTA_ESTATE, rota_task_status(rota_current_task(), &status));
                  return 0;
              }));
}

/* Use after the last unref cannot be answered: it is an assertion, not a wait for ever. */
TEST_P(Task, AwaitAfterTheLastUnrefIsAnAssertion)
{
    if (support::emulated() && many())
        GTEST_SKIP() << "the emulator's children of fork cannot start threads";
    EXPECT_DEATH(run([] {
                     rota_task *task = nullptr;
                     EXPECT_EQ(0, rota_task_spawn(&task, return_argument, nullptr, nullptr));
                     EXPECT_EQ(0, rota_task_await(task, nullptr));
                     rota_task_unref(task);
                     while (task->refs != 0)
                         if (rota_yield() != 0)
                             return -1;
                     return rota_task_await(task, nullptr);
                 }),
                 "assertion failed");
}

TEST_P(Task, NothingSuspendsInACallback)
{
    EXPECT_EQ(0, run([] {
                  static std::atomic<int> seen;
                  seen = 0;
                  auto callback = [](void *) {
                      EXPECT_EQ(nullptr, rota_current_task());
                      seen = rota_yield();
                      return 0;
                  };
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, callback, nullptr, nullptr));
                  EXPECT_TRUE(eventually([] { return seen != 0; }));
                  EXPECT_EQ(ROTA_ENOTASK, seen);
                  return 0;
              }));
}

/* ---- The loop's stack ---- */

struct Deep {
    rota_task *task;
    int depth;

    static int call(void *arg)
    {
        auto *self = static_cast<Deep *>(arg);
        char big[256 * 1024]; /* more than a task's stack holds, twice */
        std::memset(big, self->depth, sizeof big);
        EXPECT_EQ(self->task, rota_current_task());
        EXPECT_EQ(ROTA_ENOTASK, rota_yield());
        EXPECT_EQ(ROTA_ENOTASK, rota_sleep(1));
        Deep next{self->task, self->depth - 1};
        int below = next.depth > 0 ? rota_call_on_loop_stack(call, &next) : 0;
        return below + big[sizeof big - 1];
    }
};

TEST_P(Task, CallOnLoopStackKeepsTheTaskAndMayNotSuspend)
{
    EXPECT_EQ(0, run([] {
                  Deep deep{rota_current_task(), 3};
                  EXPECT_EQ(6, rota_call_on_loop_stack(Deep::call, &deep));
                  EXPECT_EQ(0, rota_yield());
                  return 0;
              }));
}

/* ---- Names, numbers, references ---- */

TEST_P(Task, NamesAreCopiedAndCut)
{
    EXPECT_EQ(0, run([] {
                  char name[64] = "";
                  EXPECT_EQ(4, rota_task_get_name(rota_current_task(), name, sizeof name));
                  EXPECT_STREQ("main", name);
                  std::string long_name(100, 'x');
                  EXPECT_EQ(0, rota_task_set_name(rota_current_task(), long_name.c_str()));
                  EXPECT_EQ(ROTA_TASK_NAME_SIZE - 1,
                            rota_task_get_name(rota_current_task(), name, sizeof name));
                  EXPECT_EQ(std::string(ROTA_TASK_NAME_SIZE - 1, 'x'), name);
                  EXPECT_EQ(ROTA_TASK_NAME_SIZE - 1,
                            rota_task_get_name(rota_current_task(), name, 3));
                  EXPECT_STREQ("xx", name);
                  rota_task *task = nullptr;
                  EXPECT_EQ(0, rota_task_spawn(&task, return_argument, nullptr, nullptr));
                  rota_task_get_name(task, name, sizeof name);
                  EXPECT_EQ("Task-" + std::to_string(rota_task_id(task)), name);
                  EXPECT_EQ(0, rota_task_await(task, nullptr));
                  EXPECT_EQ(ROTA_ESTATE, rota_task_set_name(task, "late"));
                  rota_task_unref(task);
                  return 0;
              }));
}

/* B-C10, C1: what is done cannot be cancelled, whoever still refers to it. */
TEST_P(Task, ReferencesOutliveTheRun)
{
    static rota_task *kept;
    EXPECT_EQ(0, run([] {
                  EXPECT_EQ(0, rota_task_spawn(&kept, return_argument, reinterpret_cast<void *>(5),
                                               nullptr));
                  EXPECT_EQ(0, rota_task_await(kept, nullptr));
                  return 0;
              }));
    int status = 0;
    EXPECT_EQ(0, rota_task_status(kept, &status));
    EXPECT_EQ(5, status);
    EXPECT_EQ(0, rota_task_await(kept, &status)) << "done: nothing to suspend for";
    EXPECT_EQ(0, rota_task_cancel(kept));
    EXPECT_EQ(nullptr, rota_task_get_loop(kept));
    rota_task_unref(kept);
}

/* H12: a stale pair of slot and generation is told from the slot's next life. */
TEST_P(Task, AStaleReferenceIsRefused)
{
    EXPECT_EQ(0, run([] {
                  rota_task *task = nullptr;
                  EXPECT_EQ(0, rota_task_spawn(&task, return_argument, nullptr, nullptr));
                  std::uint64_t generation = task->generation;
                  EXPECT_TRUE(roti_task_try_ref(task, generation));
                  rota_task_unref(task);
                  EXPECT_EQ(0, rota_task_await(task, nullptr));
                  rota_task_unref(task);
                  EXPECT_TRUE(eventually([&] { return task->generation != generation; }));
                  EXPECT_FALSE(roti_task_try_ref(task, generation));
                  Tasks tasks;
                  for (int i = 0; i < 500; i++)
                      tasks.spawn([] { return 0; });
                  EXPECT_FALSE(roti_task_try_ref(task, generation)) << "recycled";
                  tasks.join();
                  return 0;
              }));
}

/* ---- Failures that nobody sees ---- */

/* S17: reported once when the last reference goes, not if the status was read or it was cancelled.
 */
TEST_P(Task, UnreadFailureIsReportedOnce)
{
    loops::Reports reports;
    rota_run_opts opts{};
    opts.exception_handler = loops::Reports::collect;
    opts.exception_arg = &reports;
    EXPECT_EQ(0, run(
                     [&] {
                         auto *status =
                             reinterpret_cast<void *>(static_cast<std::intptr_t>(-EPIPE));
                         rota_task *task = nullptr;
                         EXPECT_EQ(0, rota_task_spawn(nullptr, return_argument, status, nullptr));
                         EXPECT_TRUE(eventually([&] { return reports.count() == 1; }));
                         EXPECT_EQ(0, rota_task_spawn(&task, return_argument, status, nullptr));
                         EXPECT_EQ(0, rota_task_await(task, nullptr));
                         rota_task_unref(task);
                         EXPECT_EQ(0, rota_task_spawn(&task, return_argument, status, nullptr));
                         EXPECT_TRUE(eventually([&] { return rota_task_done(task); }));
                         EXPECT_EQ(0, rota_task_cancel(task));
                         rota_task_unref(task);
                         EXPECT_EQ(0, rota_sleep(5 * ROTA_MS));
                         return 0;
                     },
                     opts));
    ASSERT_EQ(1U, reports.count());
    EXPECT_EQ(-EPIPE, reports.list[0].error);
}

/* ---- Where a task is ---- */

/* B-Z02: inside a task three answers agree, from the first instruction after each resume. */
TEST_P(Task, LoopOfATaskIsTheLoopThatRunsIt)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  std::atomic<int> wrong{0};
                  for (int i = 0; i < 64; i++)
                      tasks.spawn([&] {
                          for (int step = 0; step < 200; step++) {
                              rota_task *self = rota_current_task();
                              wrong += rota_task_get_loop(self) != rota_running_loop();
                              if (rota_yield() != 0)
                                  return -1;
                              wrong += self != rota_current_task();
                              wrong += rota_task_get_loop(self) != rota_running_loop();
                          }
                          return 0;
                      });
                  tasks.join();
                  EXPECT_EQ(0, wrong);
                  return 0;
              }));
}

/* B-Z03. */
TEST_P(Task, APinnedTaskNeverLeavesItsLoop)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  std::atomic<int> moved{0};
                  rota_task_opts pinned{};
                  pinned.pinned = true;
                  for (int i = 0; i < 32; i++)
                      tasks.spawn(
                          [&] {
                              rota_loop *home = rota_running_loop();
                              for (int step = 0; step < 100; step++) {
                                  if ((step % 10 == 0 ? rota_sleep(10 * ROTA_US) : rota_yield()) !=
                                      0)
                                      return -1;
                                  moved += rota_running_loop() != home;
                              }
                              return 0;
                          },
                          pinned);
                  for (int i = 0; i < 32; i++)
                      tasks.spawn([&] {
                          for (int step = 0; step < 50; step++) {
                              rota_pin();
                              rota_pin();
                              rota_loop *home = rota_running_loop();
                              for (int k = 0; k < 5; k++) {
                                  if (rota_yield() != 0)
                                      return -1;
                                  moved += rota_running_loop() != home;
                                  if (k == 2)
                                      rota_unpin();
                              }
                              rota_unpin();
                              if (rota_yield() != 0)
                                  return -1;
                          }
                          return 0;
                      });
                  tasks.join();
                  EXPECT_EQ(0, moved);
                  return 0;
              }));
}

/* ---- Listings ---- */

TEST_P(Task, ListingsShowEachLiveTaskOnce)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  std::atomic<int> begun{0};
                  std::set<rota_task *> expected{rota_current_task()};
                  for (int i = 0; i < 100; i++)
                      expected.insert(tasks.spawn([&] {
                          begun++;
                          int r = rota_sleep(1000 * ROTA_SEC);
                          return r == -ECANCELED ? 0 : -1;
                      }));
                  /* From then on none moves from a loop to another between two of the listings. */
                  EXPECT_TRUE(eventually([&] { return begun == 100; }));
                  rota_runtime *runtime = rota_running_runtime();
                  EXPECT_EQ(101, rota_runtime_tasks(runtime, nullptr, 0));
                  std::vector<rota_task_entry> entries(200);
                  EXPECT_EQ(101, rota_runtime_tasks(runtime, entries.data(), entries.size()));
                  std::set<rota_task *> seen;
                  for (int i = 0; i < 101; i++) {
                      seen.insert(entries[i].task);
                      rota_task_unref(entries[i].task);
                  }
                  EXPECT_EQ(expected, seen);
                  ssize_t total = 0;
                  for (int i = 0; i < rota_runtime_loop_count(runtime); i++)
                      total += rota_all_tasks(rota_runtime_loop(runtime, i), nullptr, 0);
                  EXPECT_EQ(101, total);
                  EXPECT_EQ(-EINVAL, rota_all_tasks(nullptr, nullptr, 0));
                  EXPECT_EQ(-EINVAL, rota_runtime_tasks(runtime, nullptr, 1));
                  for (rota_task *task : expected)
                      EXPECT_EQ(1, task == rota_current_task() ? 1 : rota_task_cancel(task));
                  tasks.join();
                  EXPECT_EQ(1, rota_runtime_tasks(runtime, nullptr, 0));
                  return 0;
              }));
}

/* B-Z04: alive throughout is listed exactly once, whatever moves, starts and ends meanwhile. */
TEST_P(Task, ListingsUnderFire)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  std::atomic<bool> stop{false};
                  std::set<rota_task *> steady;
                  for (int i = 0; i < 50; i++)
                      steady.insert(tasks.spawn([&] {
                          while (!stop)
                              if (rota_yield() != 0)
                                  return -1;
                          return 0;
                      }));
                  for (int i = 0; i < 8; i++)
                      tasks.spawn([&] {
                          while (!stop) {
                              rota_task *child = nullptr;
                              if (rota_task_spawn(&child, return_argument, nullptr, nullptr) != 0 ||
                                  rota_task_await(child, nullptr) != 0)
                                  return -1;
                              rota_task_unref(child);
                          }
                          return 0;
                      });
                  std::vector<rota_task_entry> entries(1000);
                  for (std::int64_t pass = 0; pass < support::scale(200); pass++) {
                      ssize_t count = rota_runtime_tasks(rota_running_runtime(), entries.data(),
                                                         entries.size());
                      std::map<rota_task *, int> seen;
                      for (ssize_t i = 0; i < count; i++) {
                          seen[entries[i].task]++;
                          EXPECT_NE(nullptr, entries[i].loop);
                          rota_task_unref(entries[i].task);
                      }
                      for (rota_task *task : steady)
                          EXPECT_EQ(1, seen[task]);
                      if (rota_yield() != 0)
                          return -1;
                  }
                  stop = true;
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  return 0;
              }));
}

TEST_P(Task, DumpNamesWhatATaskWaitsFor)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  rota_task_opts opts{};
                  opts.name = "dozer";
                  rota_task *sleeper =
                      tasks.spawn([] { return rota_sleep(1000 * ROTA_SEC) < 0 ? 0 : 1; }, opts);
                  opts.name = "joiner";
                  tasks.spawn([&] { return rota_task_await(sleeper, nullptr); }, opts);
                  tasks.settle();
                  char *text = nullptr;
                  std::size_t size = 0;
                  FILE *stream = open_memstream(&text, &size);
                  EXPECT_EQ(3, rota_dump_tasks(stream));
                  std::fclose(stream);
                  std::string dump(text, size);
                  std::free(text);
                  EXPECT_NE(std::string::npos, dump.find("[main]")) << dump;
                  EXPECT_NE(std::string::npos, dump.find("running")) << dump;
                  EXPECT_NE(std::string::npos, dump.find("[dozer]")) << dump;
                  EXPECT_NE(std::string::npos, dump.find("waiting for a timer")) << dump;
                  EXPECT_NE(std::string::npos, dump.find("waiting for a task")) << dump;
                  EXPECT_NE(std::string::npos, dump.find("stack")) << dump;
                  EXPECT_EQ(-EINVAL, rota_dump_tasks(nullptr));
                  EXPECT_EQ(1, rota_task_cancel(sleeper));
                  tasks.join();
                  return 0;
              }));
    EXPECT_EQ(ROTA_ENOLOOP, rota_dump_tasks(stderr));
}

/* The dump holds tasks that others wake at that very moment; none is lost. */
TEST_P(Task, DumpRacesWithWakes)
{
    EXPECT_EQ(0, run([] {
                  Tasks tasks;
                  std::atomic<bool> stop{false};
                  for (int i = 0; i < 16; i++)
                      tasks.spawn([&] {
                          while (!stop) {
                              rota_task *child = nullptr;
                              if (rota_task_spawn(
                                      &child, [](void *) { return rota_yield(); }, nullptr,
                                      nullptr) != 0 ||
                                  rota_task_await(child, nullptr) != 0)
                                  return -1;
                              rota_task_unref(child);
                          }
                          return 0;
                      });
                  FILE *sink = std::fopen("/dev/null", "w");
                  for (std::int64_t i = 0; i < support::scale(100); i++) {
                      EXPECT_GE(rota_dump_tasks(sink), 1);
                      if (rota_yield() != 0)
                          return -1;
                  }
                  std::fclose(sink);
                  stop = true;
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  return 0;
              }));
}

} // namespace
