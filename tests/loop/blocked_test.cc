/* SPDX-License-Identifier: MIT */
/*
 * blocked_test.cc - a loop that a task keeps for ever does not matter: what waits there goes on
 * elsewhere, but for callbacks and pinned tasks (H15).
 */
#include <cerrno>
#include <optional>
#include <rota/future.h>
#include <thread>

#include "tests/loop/io_tasks.h"
#include "tests/loop/run_loops.h"

namespace {

using io_tasks::is_waiting;
using io_tasks::Pair;
using loops::Body;
using loops::settled;
using loops::Tasks;
using support::eventually; /* keeps the thread */

/* Spawns a task whose first step is on this loop, and which may go on anywhere. */
rota_task *spawn_here(Tasks &tasks, Body body)
{
    rota_task_opts opts{};
    opts.pinned = true;
    return tasks.spawn(
        [body = std::move(body)] {
            rota_unpin(); /* the next time it is queued it may be queued anywhere */
            return body();
        },
        opts);
}

rota_counters counters_of(unsigned index)
{
    rota_counters counters{};
    EXPECT_EQ(0, rota_loop_counters(rota_runtime_loop(rota_running_runtime(), index), &counters));
    return counters;
}

std::uint64_t helps()
{
    std::uint64_t sum = 0;
    for (int i = 0; i < rota_runtime_loop_count(rota_running_runtime()); i++)
        sum += counters_of(static_cast<unsigned>(i)).helps;
    return sum;
}

/* So many loops, of which this test blocks the one that it is on; and then all others but one. */
class Blocked : public testing::TestWithParam<std::pair<unsigned, bool>> {
protected:
    void SetUp() override
    {
        ROTA_NOT_WHEN_TASKS_MOVE("the task may have to move to the loop that is blocked");
    }

    /* Runs `prepare` on a loop, and then, when all tasks of it wait, keeps that loop (and others)
     * while it runs `act` and until `done` holds; then `after`. */
    void run(
        const std::function<void(Tasks &)> &prepare, const std::function<void()> &act,
        const std::function<bool()> &done, const std::function<void()> &after = [] {})
    {
        unsigned count = GetParam().first;
        bool all_but_one = GetParam().second;
        EXPECT_EQ(0, loops::run(count, [&] {
                      Tasks waiting, keepers;
                      std::atomic<bool> over{false};
                      std::atomic<unsigned> kept{0};
                      rota_pin();
                      prepare(waiting);
                      waiting.settle();
                      for (unsigned i = 2; all_but_one && i < count; i++)
                          keepers.spawn([&] {
                              kept++;
                              return eventually([&] { return over.load(); }) ? 0 : -ETIMEDOUT;
                          });
                      EXPECT_TRUE(
                          eventually([&] { return kept == (all_but_one ? count - 2 : 0); }));
                      act();
                      EXPECT_TRUE(eventually([&] { return done() && helps() > 0; }))
                          << "this task keeps its loop meanwhile";
                      over = true;
                      after();
                      rota_unpin();
                      for (int status : keepers.join())
                          EXPECT_EQ(0, status);
                      for (int status : waiting.join())
                          EXPECT_EQ(0, status);
                      return 0;
                  }));
    }
};

INSTANTIATE_TEST_SUITE_P(Loops, Blocked,
                         testing::Values(std::pair(2U, false), std::pair(4U, false),
                                         std::pair(4U, true)),
                         [](const auto &values) {
                             return std::to_string(values.param.first) +
                                    (values.param.second ? "AllButOne" : "");
                         });

/* Bytes that arrive at the blocked loop's poller reach their readers, again and again. */
TEST_P(Blocked, DescriptorsAreServed)
{
    constexpr int ROUNDS = 20;
    std::optional<Pair> pair;
    std::atomic<int> received{0};
    int fd = -1;
    run(
        [&](Tasks &tasks) {
            rota_loop *here = rota_running_loop();
            pair.emplace(here, here);
            fd = roti_io_fd(pair->left);
            spawn_here(tasks, [&] {
                char byte;
                while (received < ROUNDS && roti_io_recv(pair->right, &byte, 1, 0) == 1)
                    received++;
                return received == ROUNDS ? 0 : -1;
            });
        },
        [&] {
            for (int i = 0; i < ROUNDS; i++) {
                EXPECT_EQ(1, write(fd, "x", 1));
                EXPECT_TRUE(eventually([&] { return received > i; }));
            }
        },
        [&] {
            if (received == ROUNDS)
                pair.reset();
            return received == ROUNDS;
        });
}

/* So do connections, and the accepting of them. */
TEST_P(Blocked, ListenersAccept)
{
    io_tasks::Listener listener;
    std::optional<io_tasks::Io> io;
    std::atomic<int> accepted{-1};
    int client = io_tasks::Listener::fresh();
    run(
        [&](Tasks &tasks) {
            io.emplace(listener.fd);
            spawn_here(tasks, [&] {
                sockaddr_storage peer;
                socklen_t size;
                int fd = roti_io_accept(*io, &peer, &size);
                accepted = fd;
                return fd < 0 ? fd : 0;
            });
        },
        [&] {
            (void)connect(client, reinterpret_cast<sockaddr *>(&listener.addr),
                          sizeof listener.addr);
        },
        [&] {
            if (accepted >= 0)
                io.reset();
            return accepted >= 0;
        });
    close(accepted);
    close(client);
}

/* Tasks that sleep wake, and scopes of time expire: more of them than one batch fires. */
TEST_P(Blocked, TimersOfTasksFire)
{
    constexpr int COUNT = 200;
    std::atomic<int> woken{0}, expired{0};
    run(
        [&](Tasks &tasks) {
            for (int i = 0; i < COUNT; i++) {
                spawn_here(tasks, [&] {
                    int r = rota_sleep(30 * ROTA_MS);
                    woken++;
                    return r;
                });
                spawn_here(tasks, [&] {
                    rota_timeout timeout;
                    int r = rota_timeout_begin(&timeout, 30 * ROTA_MS);
                    EXPECT_EQ(0, r);
                    r = rota_timeout_end(&timeout, rota_sleep(ROTA_NEVER));
                    expired++;
                    return r == -ETIMEDOUT ? 0 : -1;
                });
            }
        },
        [] {}, [&] { return woken == COUNT && expired == COUNT; });
}

/* Ready tasks and those that others post to the blocked loop: ring, overflow list, inbox. */
TEST_P(Blocked, ReadyTasksRun)
{
    constexpr int COUNT = 600;
    std::atomic<int> ran{0};
    rota_future *future = nullptr;
    run(
        [&](Tasks &tasks) {
            EXPECT_EQ(0, rota_future_create(&future, nullptr));
            for (int i = 0; i < COUNT; i++)
                spawn_here(tasks, [&] {
                    int r = rota_future_await(future, nullptr);
                    ran++;
                    return r;
                });
        },
        [&] {
            std::thread([&] { EXPECT_EQ(0, rota_future_set_result(future, nullptr)); }).join();
            rota_future_unref(future);
            while (ran < COUNT / 2) /* and what is ready here, while others are helped */
                std::this_thread::yield();
        },
        [&] { return ran == COUNT; });
}

/* What the guarantee leaves out: a pinned task and a callback wait until the loop turns, and then
 * callbacks come by deadline. */
TEST_P(Blocked, CallbacksAndPinnedTasksWait)
{
    static std::atomic<int> called, pinned_ran, slept;
    static std::vector<std::intptr_t> order; /* this loop's */
    called = pinned_ran = slept = 0;
    order.clear();
    Tasks *waiting = nullptr;
    run(
        [&](Tasks &tasks) {
            waiting = &tasks;
            spawn_here(tasks, [&] {
                int r = rota_sleep(100 * ROTA_MS);
                slept++;
                return r;
            });
        },
        [&] {
            rota_task_opts opts{};
            opts.pinned = true;
            auto call = [](void *arg) {
                order.push_back(reinterpret_cast<std::intptr_t>(arg));
                called++;
                return 0;
            };
            std::int64_t now_ns = rota_time_ns(); /* one for all: this may be held up here */
            for (std::intptr_t i : {3, 1, 2})
                EXPECT_EQ(0, rota_call_at(nullptr, nullptr, now_ns + i * ROTA_MS, call,
                                          reinterpret_cast<void *>(i), nullptr));
            waiting->spawn(
                [&] {
                    pinned_ran++;
                    return 0;
                },
                opts);
            EXPECT_TRUE(eventually([&] { return slept == 1; }));
            EXPECT_EQ(0, called) << "a callback of a blocked loop ran elsewhere";
            EXPECT_EQ(0, pinned_ran) << "a pinned task of a blocked loop ran elsewhere";
        },
        [] { return true; }, [] { EXPECT_TRUE(loops::eventually([] { return called == 3; })); });
    EXPECT_EQ(1, pinned_ran);
    EXPECT_EQ((std::vector<std::intptr_t>{1, 2, 3}), order);
}

/* A timer that a helper has laid aside can still be cancelled. */
TEST_P(Blocked, ALateTimerIsCancelled)
{
    std::atomic<int> slept{0};
    run(
        [&](Tasks &tasks) {
            spawn_here(tasks, [&] {
                int r = rota_sleep(100 * ROTA_MS);
                slept++;
                return r;
            });
        },
        [&] {
            rota_handle handle{};
            EXPECT_EQ(0, rota_call_later(
                             nullptr, &handle, ROTA_MS,
                             [](void *) {
                                 ADD_FAILURE() << "it was cancelled";
                                 return 0;
                             },
                             nullptr, nullptr));
            EXPECT_TRUE(eventually([&] { return slept == 1; }));
            EXPECT_EQ(ROTA_PREVENTED, rota_handle_cancel(&handle));
        },
        [] { return true; });
}

/* A callback that keeps its loop blocks it as a task does, and tasks are helped as ever. */
TEST_P(Blocked, ByACallback)
{
    static std::atomic<int> slept, state;
    slept = state = 0;
    unsigned count = GetParam().first;
    EXPECT_EQ(0, loops::run(count, [&] {
                  Tasks tasks;
                  rota_pin();
                  for (int i = 0; i < 10; i++)
                      spawn_here(tasks, [&] {
                          int r = rota_sleep(10 * ROTA_MS);
                          slept++;
                          return r;
                      });
                  tasks.settle();
                  EXPECT_EQ(0, rota_call_soon(
                                   nullptr, nullptr,
                                   [](void *) {
                                       state = eventually([] { return slept == 10; }) ? 1 : -1;
                                       return 0;
                                   },
                                   nullptr, nullptr));
                  EXPECT_EQ(0, rota_yield());
                  EXPECT_EQ(1, state) << "the callback kept the loop until all had slept";
                  rota_unpin();
                  tasks.join();
                  return 0;
              }));
}

/* The loop that comes back finds everything in order: what was posted to it meanwhile, its own
 * timers, the descriptors that others have looked at. */
TEST_P(Blocked, ItComesBackAgainAndAgain)
{
    static std::atomic<int> posted;
    posted = 0;
    support::allow_seconds(120);
    unsigned count = GetParam().first;
    EXPECT_EQ(0, loops::run(count, [] {
                  Tasks tasks;
                  std::atomic<int> echoed{0};
                  rota_pin();
                  rota_loop *here = rota_running_loop();
                  std::optional<Pair> pair(std::in_place, here, here);
                  spawn_here(tasks, [&] {
                      char byte;
                      while (roti_io_recv(pair->right, &byte, 1, 0) == 1)
                          echoed++;
                      return 0;
                  });
                  int rounds = static_cast<int>(support::scale(50));
                  for (int i = 0; i < rounds; i++) {
                      EXPECT_EQ(1, write(roti_io_fd(pair->left), "x", 1));
                      std::thread poster([&] {
                          EXPECT_EQ(0, rota_call_soon_threadsafe(
                                           here, nullptr,
                                           [](void *) {
                                               posted++;
                                               return 0;
                                           },
                                           nullptr, nullptr));
                      });
                      std::int64_t end_ns = rota_time_ns() + (i % 5) * 300 * ROTA_US;
                      while (rota_time_ns() < end_ns)
                          ;
                      poster.join();
                      EXPECT_TRUE(loops::eventually([&] { return posted > i && echoed > i; })) << i;
                  }
                  EXPECT_EQ(0, shutdown(roti_io_fd(pair->left), SHUT_WR));
                  rota_unpin();
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  return 0;
              }));
}

/* New work is not placed where nobody turns. */
TEST_P(Blocked, PlacementSkipsIt)
{
    std::atomic<int> ran{0};
    run([](Tasks &) {},
        [&] {
            rota_runtime *runtime = rota_running_runtime();
            const roti_worker *self = roti_worker_current();
            /* In this step: it may have been so before the first one. */
            EXPECT_TRUE(eventually([&] {
                return self->watch.blocked.load() &&
                       self->watch.heartbeat.load() == roti_sentinel_heartbeat(self);
            }));
            std::thread([&] {
                for (int i = 0; i < 100; i++)
                    EXPECT_EQ(0, rota_task_spawn_threadsafe(
                                     runtime, nullptr,
                                     [](void *arg) {
                                         (*static_cast<std::atomic<int> *>(arg))++;
                                         return 0;
                                     },
                                     &ran, nullptr));
            }).join();
            EXPECT_TRUE(roti_inbox_empty(const_cast<_Atomic(roti_link *) *>(&self->inbox.tasks)));
        },
        [&] { return ran == 100; });
}

/* With the option nobody helps. */
TEST(BlockedNot, HelpedIfTheProgramSaysSo)
{
    ROTA_NOT_WHEN_TASKS_MOVE("the task may have to move to the loop that is blocked");
    rota_run_opts opts{};
    opts.no_help = true;
    EXPECT_EQ(0, loops::run(
                     2,
                     [] {
                         Tasks tasks;
                         std::atomic<int> woken{0};
                         std::int64_t when_ns = rota_time_ns() + 100 * ROTA_MS;
                         rota_pin();
                         spawn_here(tasks, [&] {
                             int r = rota_sleep_until(when_ns);
                             woken++;
                             return r;
                         });
                         tasks.settle();
                         bool in_time = rota_time_ns() < when_ns;
                         while (rota_time_ns() < when_ns + 50 * ROTA_MS)
                             ;
                         EXPECT_TRUE(!in_time || woken == 0);
                         EXPECT_EQ(0U, helps());
                         rota_unpin();
                         tasks.join();
                         return 0;
                     },
                     opts));
}

/* Loops that all sleep are left alone, also after there was something to look at (A25). */
TEST(BlockedNot, NobodyLooksWhileAllSleep)
{
    EXPECT_EQ(0, loops::run(4, [] {
                  rota_runtime *runtime = rota_running_runtime();
                  for (int i = 0; i < 3; i++) {
                      EXPECT_EQ(0, rota_sleep(100 * ROTA_MS));
                      rota_counters before = loops::total(runtime);
                      EXPECT_EQ(0, rota_sleep(300 * ROTA_MS));
                      rota_counters after = loops::total(runtime);
                      /* This task's own, and the few looks until there is rest. */
                      EXPECT_LE(after.parks - before.parks, 10U);
                  }
                  return 0;
              }));
}

} // namespace
