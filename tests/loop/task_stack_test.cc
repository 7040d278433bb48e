/* SPDX-License-Identifier: MIT */
/*
 * task_stack_test.cc - the stacks of tasks in a run: options, reports, budgets, memory given back
 * (H31, H32, A25, A26).
 */
#include <rota/error.h>
#include <rota/future.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <set>
#include <sys/resource.h>
#include <thread>

#include "sched/guard.h"
#include "sched/pages.h"
#include "sched/sanitizer.h"
#include "sched/stack_pool.h"
#include "tests/loop/run_loops.h"

namespace {

using loops::Tasks;

/* ---- Options ---- */

TEST(TaskStack, OptionsAreChecked)
{
    rota_run_opts opts{};
    opts.stack_quarantine = 65537;
    EXPECT_EQ(-EINVAL, loops::run(
                           1, [] { return 0; }, opts));
    opts.stack_quarantine = 65536;
    EXPECT_EQ(0, loops::run(
                     1, [] { return 0; }, opts));
}

/* The same pointer, so that the compiler does not see where it comes from. */
volatile char *hidden(volatile char *pointer)
{
    asm volatile("" : "+r"(pointer));
    return pointer;
}

/* Deep enough that what runs later in the task does not overwrite it. */
__attribute__((noinline)) void leave_secret(volatile char **ret_leaked)
{
    volatile char secret[8 << 10];
    for (int i = 0; i < 64; i++)
        secret[i] = 's';
    *ret_leaked = hidden(secret + 32);
}

/* What a pointer into the stack of a task that has ended shows. */
char what_remains(rota_run_opts opts)
{
    char found = 0;
    EXPECT_EQ(0, loops::run(
                     1,
                     [&found] {
                         volatile char *leaked = nullptr;
                         Tasks tasks;
                         tasks.spawn([&leaked] {
                             leave_secret(&leaked);
                             return 0;
                         });
                         tasks.join();
                         found = *leaked;
                         return 0;
                     },
                     opts));
    return found;
}

TEST(TaskStack, IsWipedWhereThatIsWanted)
{
    if (ROTI_ASAN)
        GTEST_SKIP() << "the sanitizer sees the pointer";
    rota_run_opts opts{};
    EXPECT_EQ('s', what_remains(opts));
    opts.wipe_stacks = true;
    EXPECT_EQ(0, what_remains(opts));
}

/* Tasks come and go as ever, on loops that share the quarantine. */
TEST(TaskStack, QuarantineGoesRound)
{
    rota_run_opts opts{};
    opts.stack_quarantine = 8;
    opts.wipe_stacks = true;
    EXPECT_EQ(0, loops::run(
                     4,
                     [] {
                         for (std::int64_t i = 0; i < support::scale(20); i++) {
                             Tasks tasks;
                             for (int j = 0; j < 20; j++)
                                 tasks.spawn([] { return rota_yield(); });
                             for (int status : tasks.join())
                                 EXPECT_EQ(0, status);
                         }
                         return 0;
                     },
                     opts));
}

TEST(TaskStack, FailingAllocationOfTheQuarantine)
{
    rota_run_opts opts{};
    opts.stack_quarantine = 8;
    opts.no_signals = true;
    EXPECT_GT(support::sweep_allocations([opts] {
                  return loops::run(
                      2, [] { return 0; }, opts);
              }),
              3);
}

/* ---- Reports ---- */

void without_core()
{
    rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
}

int leak(void *arg)
{
    volatile char local = 1;
    *static_cast<volatile char **>(arg) = hidden(&local);
    return 0;
}

[[noreturn]] void use_after_end()
{
    without_core();
    rota_run_opts opts{};
    opts.stack_quarantine = 16;
    loops::run(
        1,
        [] {
            static volatile char *leaked;
            rota_task_opts task_opts{};
            task_opts.name = "till";
            rota_task *task = nullptr;
            if (rota_task_spawn(&task, leak, &leaked, &task_opts) < 0 ||
                rota_task_await(task, nullptr) < 0)
                return 90;
            rota_task_unref(task);
            *leaked = 2;
            return 91;
        },
        opts);
    _exit(92);
}

TEST(TaskStack, UseAfterTheEndNamesTheTask)
{
    if (ROTI_ASAN || ROTI_TSAN)
        GTEST_SKIP() << "the sanitizer handles it";
    EXPECT_EXIT(use_after_end(), testing::KilledBySignal(SIGSEGV),
                "rota: use of a stack after the end of task [0-9]+ \\[till\\], spawned at "
                "0x[0-9a-f]+( \\(/.*\\+0x[0-9a-f]+\\))?: fault at 0x[0-9a-f]+\n");
}

volatile bool ever_enough = false;

__attribute__((noinline)) int recurse(volatile char *above)
{
    volatile char here[512];
    here[0] = above == nullptr ? 0 : above[0];
    if (ever_enough)
        return here[0];
    int r = recurse(here);
    return r + here[1];
}

[[noreturn]] void overflow_in_a_run()
{
    without_core();
    loops::run(support::emulated() ? 1 : 2, [] {
        rota_task_opts task_opts{};
        task_opts.name = "till";
        task_opts.stack_size = 64 << 10;
        rota_task *task = nullptr;
        if (rota_task_spawn(
                &task, [](void *) { return recurse(nullptr); }, nullptr, &task_opts) < 0)
            return 90;
        return rota_task_await(task, nullptr);
    });
    _exit(92);
}

TEST(TaskStack, OverflowNamesTheTaskItsSpawnAndItsSize)
{
    if (ROTI_ASAN || ROTI_TSAN)
        GTEST_SKIP() << "the sanitizer handles it";
    EXPECT_EXIT(overflow_in_a_run(), testing::KilledBySignal(SIGSEGV),
                "rota: stack overflow in task [0-9]+ \\[till\\], spawned at "
                "0x[0-9a-f]+( \\(/.*\\+0x[0-9a-f]+\\))?: fault at 0x[0-9a-f]+\n"
                "rota: its stack has 65536 bytes; give it more by stack_size of .*"
                "rota_call_on_loop_stack\\(\\)\n");
}

/* ---- Budgets ---- */

/* Spawns tasks that wait for `gate` until that fails, and says how. */
int spawn_all(rota_future *gate, std::vector<rota_task *> &tasks)
{
    for (;;) {
        rota_task *task = nullptr;
        int r = rota_task_spawn(
            &task,
            [](void *arg) { return rota_future_await(static_cast<rota_future *>(arg), nullptr); },
            gate, nullptr);
        if (r < 0)
            return r;
        tasks.push_back(task);
    }
}

/* A26: a spawn says that there are no mappings for one more guard; and all goes on. */
TEST(TaskStack, SpawnsAreRefusedWhereTheMappingsEnd)
{
    static constexpr std::size_t budget = 300;
    roti_stack_pool_drain();
    roti_guard_override(ROTI_GUARD_MPROTECT, 2 * budget);
    EXPECT_EQ(0, loops::run(2, [] {
                  for (int round = 0; round < 3; round++) {
                      std::vector<rota_task *> tasks;
                      rota_future *gate = nullptr;
                      EXPECT_EQ(0, rota_future_create(&gate, nullptr));
                      EXPECT_EQ(-ENOMEM, spawn_all(gate, tasks));
                      /* Loops keep some for the tasks that they will have. */
                      EXPECT_GE(tasks.size(), budget - 3 * ROTI_STACK_CACHE_MAX);
                      EXPECT_LT(tasks.size(), budget);
                      EXPECT_EQ(0, rota_future_set_result(gate, nullptr));
                      for (rota_task *task : tasks) {
                          int status = 1;
                          EXPECT_EQ(0, rota_task_await(task, &status));
                          EXPECT_EQ(0, status);
                          rota_task_unref(task);
                      }
                      rota_future_unref(gate);
                  }
                  return 0;
              }));
    roti_stack_pool_drain();
    roti_guard_override(ROTI_GUARD_PROBE, 0);
}

std::atomic<bool> without_guards;

int refuse_guards(enum roti_pages_call call, int)
{
    return call != ROTI_PAGES_reserve && without_guards ? -ENOMEM : 0;
}

/* What tests of a first step without a stack share: nothing in the pool has a guard yet. */
class FirstStep : public testing::Test {
protected:
    void SetUp() override
    {
        roti_stack_pool_drain();
        without_guards = false;
        roti_pages_set_hook(refuse_guards);
    }
    void TearDown() override
    {
        roti_pages_set_hook(nullptr);
    }
};

/* The kernel has no memory for a guard when a task is to begin: the task ends, as if its body had
 * returned -ENOMEM, and what it was given is released. All goes on. */
TEST_F(FirstStep, ATaskThatGetsNoStackEndsWithEnomem)
{
    loops::Reports reports;
    rota_run_opts opts{};
    opts.exception_handler = loops::Reports::collect;
    opts.exception_arg = &reports;
    EXPECT_EQ(0, loops::run(
                     1,
                     [] {
                         static int released;
                         released = 0;
                         rota_task_opts task_opts{};
                         task_opts.stack_size = 64 << 10; /* a class that nobody has used yet */
                         task_opts.arg_release = [](void *) {
                             released++;
                             EXPECT_EQ(nullptr, rota_current_task());
                             EXPECT_EQ(ROTA_ENOTASK, rota_yield());
                         };
                         auto never = [](void *) {
                             ADD_FAILURE() << "it has no stack";
                             return 0;
                         };
                         rota_task *task = nullptr, *cancelled = nullptr, *unread = nullptr;
                         EXPECT_EQ(0, rota_task_spawn(&task, never, nullptr, &task_opts));
                         EXPECT_EQ(0, rota_task_spawn(&cancelled, never, nullptr, &task_opts));
                         EXPECT_EQ(0, rota_task_spawn(&unread, never, nullptr, &task_opts));
                         EXPECT_EQ(1, rota_task_cancel(cancelled));
                         int status = 0;
                         without_guards = true;
                         EXPECT_EQ(0, rota_task_await(task, &status));
                         EXPECT_EQ(-ENOMEM, status);
                         EXPECT_EQ(0, rota_task_await(cancelled, &status));
                         EXPECT_EQ(-ECANCELED, status);
                         EXPECT_EQ(3, released);
                         without_guards = false;
                         for (rota_task *each : {task, cancelled, unread})
                             rota_task_unref(each);
                         Tasks tasks;
                         tasks.spawn([] { return rota_yield(); }, task_opts = {});
                         EXPECT_EQ(std::vector<int>{0}, tasks.join());
                         return 0;
                     },
                     opts));
    ASSERT_EQ(1u, reports.list.size());
    EXPECT_EQ(-ENOMEM, reports.list[0].error);
    EXPECT_EQ("a task failed and nobody read its status", reports.list[0].message);
}

/* The first task is one, too: then the run ends. */
TEST_F(FirstStep, ARunWhoseFirstTaskGetsNoStackEndsWithEnomem)
{
    without_guards = true;
    for (unsigned loop_count : {1U, 3U}) {
        rota_run_opts opts{};
        opts.loops = loop_count;
        EXPECT_EQ(-ENOMEM, rota_run([](void *) { return 0; }, nullptr, &opts));
        opts.no_signals = true;
        EXPECT_EQ(-ENOMEM, rota_run([](void *) { return 0; }, nullptr, &opts));
    }
}

/* A task that waits for its first step holds no memory for a stack, and the next ones use the stack
 * that the first has left warm. */
TEST(TaskStack, QueuedTasksHaveNoStacks)
{
    roti_stack_pool_drain();
    EXPECT_EQ(0, loops::run(1, [] {
                  Tasks tasks;
                  static std::set<void *> stacks;
                  stacks.clear();
                  for (int i = 0; i < 1000; i++)
                      tasks.spawn([] {
                          stacks.insert(__builtin_frame_address(0));
                          return 0;
                      });
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  EXPECT_EQ(1u, stacks.size());
                  return 0;
              }));
}

/* ---- Memory that goes back ---- */

/* A25: when the last task of a burst has ended and all loops sleep, the stacks' memory goes back,
 * and then the loops sleep on. */
TEST(TaskStack, AnIdleProcessKeepsNoStacksWarm)
{
    constexpr unsigned loop_count = 3;
    roti_stack_trim_override(20 * ROTA_MS);
    EXPECT_EQ(0, loops::run(loop_count, [] {
                  Tasks tasks;
                  rota_future *end = nullptr;
                  EXPECT_EQ(0, rota_future_create(&end, nullptr));
                  std::atomic<bool> gave_back{false}, calm{false};
                  for (int i = 0; i < 2000; i++)
                      tasks.spawn([] { return rota_yield(); });
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  EXPECT_GT(roti_stack_pool_warm(), 0u);
                  std::thread onlooker([&, runtime = rota_running_runtime()] {
                      auto turns = [runtime] {
                          std::uint64_t sum = 0;
                          for (unsigned i = 0; i < loop_count; i++) {
                              rota_counters counters;
                              EXPECT_EQ(
                                  0, rota_loop_counters(rota_runtime_loop(runtime, i), &counters));
                              sum += counters.turns;
                          }
                          return sum;
                      };
                      gave_back = support::eventually([] { return roti_stack_pool_warm() == 0; });
                      calm = support::eventually([&turns] {
                          std::uint64_t before = turns();
                          std::this_thread::sleep_for(std::chrono::milliseconds(200));
                          return turns() == before;
                      });
                      EXPECT_EQ(0, rota_future_set_result(end, nullptr));
                  });
                  EXPECT_EQ(0, rota_future_await(end, nullptr));
                  onlooker.join();
                  EXPECT_TRUE(gave_back);
                  EXPECT_TRUE(calm);
                  rota_future_unref(end);
                  return 0;
              }));
    roti_stack_trim_override(0);
}

} // namespace
