/* SPDX-License-Identifier: MIT */
/*
 * loops_test.cc - loops that are added and retired while others run.
 */
#include <dirent.h>
#include <rota/error.h>
#include <rota/future.h>
#include <sys/socket.h>
#include <thread>

#include "loop/io.h"
#include "loop/loop_impl.h"
#include "tests/loop/failing_calls.h"
#include "tests/loop/moves.h"
#include "tests/loop/run_loops.h"

namespace {

using namespace loops;

/* Runs `body` as a pinned task on loop 0 of so many loops. */
int run_on_first(unsigned count, const Body &body)
{
    return loops::run(1, [&] {
        rota_pin();
        EXPECT_EQ(0, rota_runtime_set_loops(rota_running_runtime(), count));
        int r = body();
        rota_unpin();
        return r;
    });
}

int set_loops(unsigned count)
{
    return rota_runtime_set_loops(rota_running_runtime(), count);
}

unsigned loop_count()
{
    return static_cast<unsigned>(rota_runtime_loop_count(rota_running_runtime()));
}

rota_loop *loop_at(unsigned index)
{
    return rota_runtime_loop(rota_running_runtime(), index);
}

int index_now()
{
    return rota_loop_index(rota_running_loop());
}

/* Runs `body` as a callback of a loop, and waits for its end. */
void on_loop(unsigned index, const Body &body)
{
    struct Call {
        const Body &body;
        std::atomic<bool> done = false;
    } call{body};
    auto run_call = [](void *arg) {
        auto *it = static_cast<Call *>(arg);
        EXPECT_EQ(0, it->body());
        it->done = true;
        return 0;
    };
    EXPECT_EQ(0, rota_call_soon_threadsafe(loop_at(index), nullptr, run_call, &call, nullptr));
    EXPECT_TRUE(eventually([&] { return call.done.load(); }));
}

int thread_count()
{
    int count = 0;
    DIR *directory = opendir("/proc/self/task");
    while (const dirent *entry = readdir(directory))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

/* ---- More ---- */

TEST(Loops, AddedOnesTakeWork)
{
    EXPECT_EQ(0, loops::run(1, [] {
                  EXPECT_EQ(nullptr, loop_at(1));
                  EXPECT_EQ(0, set_loops(4));
                  EXPECT_EQ(4U, loop_count());
                  EXPECT_EQ(nullptr, loop_at(4));
                  Tasks tasks;
                  std::atomic<int> there{0};
                  for (int i = 0; i < 4; i++) /* each needs a loop of its own */
                      tasks.spawn([&] {
                          there++;
                          while (there < 4)
                              std::this_thread::yield();
                          return index_now();
                      });
                  std::vector<int> indices = tasks.join();
                  std::sort(indices.begin(), indices.end());
                  EXPECT_EQ((std::vector<int>{0, 1, 2, 3}), indices);
                  return 0;
              }));
}

TEST(Loops, EachHasItsIndexForLife)
{
    EXPECT_EQ(0, run_on_first(3, [] {
                  rota_loop *loops[] = {loop_at(0), loop_at(1), loop_at(2), nullptr};
                  for (unsigned count : {1U, 2U, 4U, 2U, 1U, 4U}) {
                      EXPECT_EQ(0, set_loops(count));
                      EXPECT_EQ(count, loop_count());
                      for (unsigned i = 0; i < 3; i++) {
                          EXPECT_EQ(loops[i], loop_at(i));
                          on_loop(i, [=] { return index_now() - static_cast<int>(i); });
                      }
                      if (count == 4 && loops[3] == nullptr)
                          loops[3] = loop_at(3);
                      EXPECT_EQ(loops[3], loop_at(3));
                  }
                  return 0;
              }));
}

/* Those that were retired are taken first: nothing is started a second time. */
TEST(Loops, RetiredOnesComeBack)
{
    EXPECT_EQ(0, run_on_first(4, [] {
                  int threads = thread_count();
                  for (int i = 0; i < 50; i++) {
                      EXPECT_EQ(0, set_loops(i % 2 == 0 ? 1 : 4));
                      EXPECT_EQ(0, rota_yield());
                  }
                  EXPECT_EQ(threads, thread_count());
                  EXPECT_EQ(0, set_loops(5));
                  EXPECT_EQ(threads + 1, thread_count());
                  return 0;
              }));
}

TEST(Loops, AsManyAsThereCanBe)
{
    EXPECT_EQ(0, run_on_first(2, [] {
                  EXPECT_EQ(-EINVAL, set_loops(257));
                  EXPECT_EQ(2U, loop_count());
                  EXPECT_EQ(0, set_loops(256));
                  EXPECT_EQ(256U, loop_count());
                  on_loop(255, [] { return index_now() - 255; });
                  EXPECT_EQ(0, set_loops(2));
                  on_loop(255, [] { return index_now() - 255; });
                  return 0;
              }));
}

TEST(Loops, NoRuntimeIsRefused)
{
    EXPECT_EQ(-EINVAL, rota_runtime_set_loops(nullptr, 1));
    EXPECT_EQ(-EINVAL, rota_runtime_loop_count(nullptr));
    EXPECT_EQ(nullptr, rota_runtime_loop(nullptr, 0));
}

/* A thread without a loop may ask, until the end; and what it starts has the run's affinity. */
TEST(Loops, AThreadWithoutALoopChangesThem)
{
    EXPECT_EQ(0, run_on_first(1, [] {
                  rota_runtime *runtime = rota_running_runtime();
                  std::atomic<int> result{1};
                  cpu_set_t own;
                  EXPECT_EQ(0, sched_getaffinity(0, sizeof own, &own));
                  std::thread other([&] {
                      cpu_set_t one;
                      CPU_ZERO(&one);
                      for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
                          if (CPU_ISSET(cpu, &own))
                              CPU_SET(cpu, &one);
                      EXPECT_EQ(0, sched_setaffinity(0, sizeof one, &one));
                      result = rota_runtime_set_loops(runtime, 3);
                  });
                  EXPECT_TRUE(eventually([&] { return result <= 0; }));
                  EXPECT_EQ(0, result);
                  other.join();
                  on_loop(2, [&] {
                      cpu_set_t theirs;
                      EXPECT_EQ(0, sched_getaffinity(0, sizeof theirs, &theirs));
                      return CPU_EQUAL(&own, &theirs) ? 0 : -1;
                  });
                  return 0;
              }));
}

/* ---- Fewer ---- */

/* Nothing comes to a retired loop: what a callback there starts runs elsewhere. */
TEST(Loops, ARetiredOnePassesItsTasksOn)
{
    EXPECT_EQ(0, run_on_first(4, [] {
                  EXPECT_EQ(0, set_loops(2));
                  on_loop(3, [] { return 0; }); /* its turn, in which it may see that, ends */
                  Tasks tasks;
                  on_loop(3, [&] {
                      for (int i = 0; i < 300; i++)
                          tasks.spawn([] {
                              int worst = index_now();
                              for (int k = 0; k < 3; k++) {
                                  EXPECT_EQ(0, rota_yield());
                                  worst = std::max(worst, index_now());
                              }
                              return worst;
                          });
                      return 0;
                  });
                  for (int worst : tasks.join())
                      EXPECT_LT(worst, 2);
                  return 0;
              }));
}

/* Also what it had when it was retired, while it is blocked itself. */
TEST(Loops, TheTasksOfABlockedOneRunElsewhere)
{
    EXPECT_EQ(0, run_on_first(3, [] {
                  std::atomic<int> ran{0};
                  std::atomic<bool> retired{false};
                  Tasks tasks;
                  auto count = [&] {
                      while (!retired) /* a thief would take too many too soon */
                          if (int r = rota_sleep(ROTA_MS); r < 0)
                              return r;
                      ran++;
                      return 0;
                  };
                  struct Blocked {
                      std::function<void()> begin;
                      std::atomic<int> &ran;
                      std::atomic<bool> over = false;
                  } blocked{[&] {
                                for (int i = 0; i < 100; i++)
                                    tasks.spawn(count);
                            },
                            ran};
                  auto block = [](void *arg) {
                      auto *it = static_cast<Blocked *>(arg);
                      it->begin();
                      while (it->ran < 100)
                          std::this_thread::yield();
                      it->over = true;
                      return 0;
                  };
                  EXPECT_EQ(
                      0, rota_call_soon_threadsafe(loop_at(2), nullptr, block, &blocked, nullptr));
                  EXPECT_EQ(0, set_loops(1));
                  retired = true;
                  EXPECT_TRUE(eventually([&] { return blocked.over.load(); }));
                  tasks.join();
                  return 0;
              }));
}

/* What is of the loop stays there: its pinned tasks, timers, callbacks. */
TEST(Loops, WhatIsItsOwnStays)
{
    EXPECT_EQ(0, run_on_first(3, [] {
                  Tasks tasks;
                  std::atomic<bool> over{false};
                  static std::atomic<int> fired;
                  fired = 0;
                  on_loop(2, [&] {
                      rota_task_opts opts{};
                      opts.pinned = true;
                      for (int i = 0; i < 5; i++)
                          tasks.spawn(
                              [&] {
                                  int steps = 0;
                                  for (; !over || steps < 10; steps++) {
                                      EXPECT_EQ(2, index_now());
                                      EXPECT_EQ(0, rota_sleep(100 * ROTA_US));
                                  }
                                  return 0;
                              },
                              opts);
                      auto fire = [](void *) {
                          EXPECT_EQ(2, index_now());
                          fired++;
                          return 0;
                      };
                      for (int i = 0; i < 10; i++)
                          EXPECT_EQ(0, rota_call_later(nullptr, nullptr, i * ROTA_MS, fire, nullptr,
                                                       nullptr));
                      return 0;
                  });
                  EXPECT_EQ(0, set_loops(1));
                  EXPECT_TRUE(eventually([] { return fired == 10; }));
                  over = true;
                  EXPECT_EQ(std::vector<int>(5), tasks.join());
                  on_loop(2, [] { return index_now() - 2; });
                  return 0;
              }));
}

/* And its descriptors: who waits for one that is registered there is woken, to run elsewhere. */
TEST(Loops, ItsPollerGoesOn)
{
    EXPECT_EQ(0, run_on_first(3, [] {
                  support::SocketPair sockets;
                  roti_io *io = nullptr;
                  EXPECT_EQ(0, roti_io_open(&io, sockets.release_left(), loop_at(2)));
                  EXPECT_EQ(0, set_loops(1));
                  Tasks tasks;
                  tasks.spawn([=] {
                      int sum = 0;
                      for (int i = 0; i < 20; i++) {
                          char byte = 0;
                          EXPECT_EQ(1, roti_io_recv(io, &byte, 1, 0));
                          EXPECT_EQ(0, index_now());
                          sum += byte;
                      }
                      return sum;
                  });
                  for (char i = 0; i < 20; i++) {
                      EXPECT_EQ(1, send(sockets.right(), &i, 1, 0));
                      EXPECT_EQ(0, rota_sleep(100 * ROTA_US));
                  }
                  EXPECT_EQ(std::vector<int>{190}, tasks.join());
                  roti_io_close(io);
                  roti_io_unref(io);
                  return 0;
              }));
}

/* A run that began with one loop, as these tests' do, helps those that it has now. */
TEST(Loops, ABlockedOneIsPolledByOthers)
{
    ROTA_NOT_WHEN_TASKS_MOVE("the task may have to move to the loop that is blocked");
    EXPECT_EQ(0, run_on_first(2, [] {
                  static std::atomic<bool> blocks, over;
                  blocks = over = false;
                  support::SocketPair sockets;
                  roti_io *io = nullptr;
                  EXPECT_EQ(0, roti_io_open(&io, sockets.release_left(), loop_at(1)));
                  auto block = [](void *) {
                      blocks = true;
                      while (!over)
                          std::this_thread::yield();
                      return 0;
                  };
                  EXPECT_EQ(
                      0, rota_call_soon_threadsafe(loop_at(1), nullptr, block, nullptr, nullptr));
                  EXPECT_TRUE(eventually([] { return blocks.load(); }));
                  Tasks tasks;
                  tasks.spawn([=] {
                      char byte = 0;
                      EXPECT_EQ(1, roti_io_recv(io, &byte, 1, 0));
                      over = true;
                      return static_cast<int>(byte);
                  });
                  tasks.settle();
                  EXPECT_EQ(1, send(sockets.right(), "!", 1, 0));
                  EXPECT_EQ(std::vector<int>{'!'}, tasks.join());
                  roti_io_close(io);
                  roti_io_unref(io);
                  return 0;
              }));
}

/* A task that waits keeps the loop that it was on last; it is not woken to that one. */
TEST(Loops, WaitersOfARetiredOneWakeElsewhere)
{
    EXPECT_EQ(
        0, run_on_first(4, [] {
            Tasks tasks;
            rota_future *future = nullptr;
            EXPECT_EQ(0, rota_future_create(&future, nullptr));
            for (unsigned index = 1; index < 4; index++)
                on_loop(index, [&] {
                    for (int i = 0; i < 50; i++)
                        tasks.spawn([=] {
                            EXPECT_EQ(0, rota_future_await(future, nullptr));
                            return index_now();
                        });
                    return 0;
                });
            tasks.settle();
            EXPECT_EQ(0, set_loops(1));
            std::thread([=] { EXPECT_EQ(0, rota_future_set_result(future, nullptr)); }).join();
            EXPECT_EQ(std::vector<int>(150), tasks.join());
            rota_future_unref(future);
            return 0;
        }));
}

TEST(Loops, TasksOfOtherThreadsGoToActiveOnes)
{
    EXPECT_EQ(0, run_on_first(4, [] {
                  EXPECT_EQ(0, set_loops(2));
                  rota_runtime *runtime = rota_running_runtime();
                  static std::atomic<int> ran, astray;
                  ran = astray = 0;
                  std::thread([=] {
                      auto count = [](void *) {
                          astray += index_now() >= 2;
                          ran++;
                          return 0;
                      };
                      for (int i = 0; i < 200; i++)
                          EXPECT_EQ(0, rota_task_spawn_threadsafe(runtime, nullptr, count, nullptr,
                                                                  nullptr));
                  }).join();
                  EXPECT_TRUE(eventually([] { return ran == 200; }));
                  EXPECT_EQ(0, astray);
                  return 0;
              }));
}

/* Every task that lives is listed once, wherever its loop stands. */
TEST(Loops, ListingsAreExact)
{
    EXPECT_EQ(0, run_on_first(4, [] {
                  rota_task_opts pinned{};
                  pinned.pinned = true;
                  auto wait = [](void *) { return rota_sleep(1000 * ROTA_SEC); };
                  for (unsigned index = 1; index < 4; index++)
                      on_loop(index, [&] {
                          for (int i = 0; i < 10; i++)
                              EXPECT_EQ(0, rota_task_spawn(nullptr, wait, nullptr, &pinned));
                          return 0;
                      });
                  for (unsigned count : {2U, 1U, 5U, 3U}) {
                      EXPECT_EQ(0, set_loops(count));
                      EXPECT_EQ(31, rota_runtime_tasks(rota_running_runtime(), nullptr, 0));
                      for (unsigned index = 1; index < 4; index++)
                          EXPECT_EQ(10, rota_all_tasks(loop_at(index), nullptr, 0));
                  }
                  return 0; /* the others are leftovers */
              }));
}

/* ---- The end ---- */

TEST(Loops, TheEndCancelsWhatRetiredOnesHold)
{
    static std::atomic<int> begun, cancelled;
    begun = cancelled = 0;
    EXPECT_EQ(7, run_on_first(3, [] {
                  auto wait = [](void *) {
                      begun++; /* one that is cancelled before does not run at all */
                      cancelled += rota_sleep(1000 * ROTA_SEC) == -ECANCELED;
                      return 0;
                  };
                  on_loop(2, [&] {
                      rota_task_opts opts{};
                      opts.pinned = true;
                      for (int i = 0; i < 10; i++)
                          EXPECT_EQ(0, rota_task_spawn(nullptr, wait, nullptr, &opts));
                      return 0;
                  });
                  EXPECT_EQ(0, set_loops(1));
                  EXPECT_TRUE(eventually([] { return begun == 10; }));
                  return 7;
              }));
    EXPECT_EQ(10, cancelled);
}

TEST(Loops, ARetiredOneEndsTheRun)
{
    EXPECT_EQ(ROTA_EXIT, run_on_first(3, [] {
                  EXPECT_EQ(0, set_loops(1));
                  auto exit = [](void *) -> int { return ROTA_EXIT; };
                  EXPECT_EQ(0,
                            rota_call_soon_threadsafe(loop_at(2), nullptr, exit, nullptr, nullptr));
                  return rota_sleep(1000 * ROTA_SEC);
              }));
}

/* Callbacks ask for other numbers until they are told that the loops stop; so does a task of the
 * runtime that is left over. */
TEST(Loops, ChangesMeetTheEnd)
{
    for (std::int64_t i = 0; i < support::scale(100); i++)
        EXPECT_EQ(0, run_on_first(2, [] {
                      auto change = [](void *) {
                          static std::atomic<unsigned> next;
                          int r = set_loops(1 + next++ % 6);
                          return r == ROTA_ESTOP ? 0 : r;
                      };
                      auto change_on = [](void *arg) {
                          int r = 0;
                          while (r == 0)
                              if (r = (*static_cast<decltype(change) *>(arg))(nullptr); r == 0)
                                  r = rota_yield();
                          return r;
                      };
                      for (int k = 0; k < 20; k++)
                          EXPECT_EQ(0, rota_call_soon_threadsafe(loop_at(k % 2U), nullptr, change,
                                                                 nullptr, nullptr));
                      for (int k = 0; k < 2; k++)
                          EXPECT_EQ(0, rota_task_spawn(nullptr, change_on, &change, nullptr));
                      return rota_yield();
                  }));
}

TEST(Loops, TheChildOfAForkStartsAnew)
{
    if (support::emulated())
        GTEST_SKIP() << "the emulator's children of fork cannot start threads";
    EXPECT_EQ(0, run_on_first(3, [] {
                  EXPECT_EQ(0, set_loops(2));
                  rota_runtime *runtime = rota_running_runtime();
                  support::in_child([=] {
                      if (rota_runtime_set_loops(runtime, 4) != ROTA_EFORKED)
                          return __LINE__;
                      return loops::run(2, [] { return set_loops(3); });
                  });
                  return 0;
              }));
}

/* ---- Failures ---- */

/* What cannot be had is an error; what there is goes on, and the next request finds it. */
TEST(Loops, ThoseThatCannotBeMadeAreAnError)
{
    struct {
        roti_syscall site;
        int error;
    } const rows[] = {{ROTI_SYSCALL_epoll_create1, -EMFILE},
                      {ROTI_SYSCALL_epoll_create1, -ENOMEM},
                      {ROTI_SYSCALL_eventfd, -ENFILE},
                      {ROTI_SYSCALL_epoll_ctl, -ENOMEM}};
    for (const auto &row : rows) {
        static std::atomic<int> which; /* of the calls from here on; 0: none */
        which = 0;
        failing::Hook hook([&](roti_syscall site) {
            return site == row.site && which > 0 && --which == 0 ? row.error : 0;
        });
        EXPECT_EQ(0, run_on_first(2, [&] {
                      for (int number = 1; number <= 2; number++) {
                          which = number;
                          EXPECT_EQ(row.error, set_loops(5));
                          /* A loop's poller watches two descriptors: its eventfd, the ticker. */
                          bool none = number == 1 || row.site == ROTI_SYSCALL_epoll_ctl;
                          EXPECT_EQ(none ? 2U : 3U, loop_count());
                          EXPECT_EQ(0, set_loops(2));
                      }
                      EXPECT_EQ(0, set_loops(5));
                      EXPECT_EQ(5U, loop_count());
                      on_loop(4, [] { return index_now() - 4; });
                      return 0;
                  }));
    }
}

/* The kernel refuses the thread: one that asks for so large a stack. */
TEST(Loops, AThreadThatIsRefusedIsAnError)
{
    EXPECT_EQ(0, run_on_first(2, [] {
                  int threads = thread_count();
                  pthread_attr_t before, huge;
                  EXPECT_EQ(0, pthread_getattr_default_np(&before));
                  EXPECT_EQ(0, pthread_attr_init(&huge));
                  EXPECT_EQ(0, pthread_attr_setstacksize(&huge, std::size_t{1} << 47));
                  EXPECT_EQ(0, pthread_setattr_default_np(&huge));
                  for (int i = 0; i < 3; i++) {
                      EXPECT_EQ(-EAGAIN, set_loops(4));
                      EXPECT_EQ(2U, loop_count());
                      EXPECT_EQ(nullptr, loop_at(2));
                  }
                  EXPECT_EQ(threads, thread_count());
                  on_loop(1, [] { return index_now() - 1; });
                  EXPECT_EQ(0, set_loops(1)); /* what needs no thread goes on */
                  EXPECT_EQ(0, set_loops(2));
                  EXPECT_EQ(0, pthread_setattr_default_np(&before));
                  EXPECT_EQ(0, pthread_attr_destroy(&huge));
                  EXPECT_EQ(0, pthread_attr_destroy(&before));
                  EXPECT_EQ(0, set_loops(4));
                  on_loop(3, [] { return index_now() - 3; });
                  return 0;
              }));
}

/* A thread that cannot be started among them: start_thread() asks as an allocation does. */
TEST(Loops, A13_EachAllocationFails)
{
    std::int64_t count = support::sweep_allocations([] {
        int result = 0;
        int r = loops::run(1, [&] {
            rota_pin();
            result = set_loops(3);
            EXPECT_TRUE(result == 0 || result == -ENOMEM);
            EXPECT_EQ(result == 0, loop_count() == 3);
            unsigned last = loop_count() - 1;
            auto quiet = [](void *) { return 0; };
            if (int post =
                    rota_call_soon_threadsafe(loop_at(last), nullptr, quiet, nullptr, nullptr);
                result == 0)
                result = post;
            rota_unpin();
            return 0;
        });
        return r < 0 ? r : result;
    });
    EXPECT_GE(count, 6);
}

} // namespace
