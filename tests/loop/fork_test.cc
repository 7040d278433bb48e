/* SPDX-License-Identifier: MIT */
/*
 * fork_test.cc - a process that is forked while loops run (B-M06, D35, H39).
 */
#include <cerrno>
#include <csignal>
#include <rota/error.h>
#include <rota/future.h>
#include <unistd.h>

#include "tests/loop/io_tasks.h"
#include "tests/loop/run_loops.h"

namespace {

class Fork : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(Fork);

/* Whatever a callback or a task of the parent's would do in the child. */
int nothing(void *arg)
{
    (void)arg;
    return 0;
}

using support::in_child;

/* The end of a child: the line of what went wrong. */
#define CHILD_EXPECT(condition)                                                                    \
    do                                                                                             \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    while (0)

TEST_P(Fork, TheChildStartsAnew)
{
    if (support::emulated())
        GTEST_SKIP() << "the emulator's children of fork cannot start threads";
    EXPECT_EQ(0, run([] {
                  in_child([] {
                      CHILD_EXPECT(rota_running_loop() == nullptr);
                      CHILD_EXPECT(rota_task_spawn(nullptr, nothing, nullptr, nullptr) ==
                                   ROTA_EFORKED);
                      int r = loops::run(2, [] { return rota_sleep(ROTA_MS) == 0 ? 6 : -1; });
                      CHILD_EXPECT(r == 6);
                      return 0;
                  });
                  EXPECT_EQ(0, rota_yield());
                  return 0;
              }));
}

/* What schedules or waits fails, before the child has a runtime of its own and after. */
TEST_P(Fork, TheParentsLoopsAreClosedInTheChild)
{
    EXPECT_EQ(
        0, run([] {
            rota_runtime *runtime = rota_running_runtime();
            rota_loop *loop = rota_running_loop();
            rota_future *pending = nullptr;
            EXPECT_EQ(0, rota_future_create(&pending, nullptr));
            auto closed = [=] {
                for (int i = 0; i < rota_runtime_loop_count(runtime); i++) {
                    rota_loop *each = rota_runtime_loop(runtime, static_cast<unsigned>(i));
                    CHILD_EXPECT(ROTA_ECLOSED == rota_call_soon_threadsafe(each, nullptr, nothing,
                                                                           nullptr, nullptr));
                    CHILD_EXPECT(ROTA_ECLOSED == rota_call_later(each, nullptr, ROTA_MS, nothing,
                                                                 nullptr, nullptr));
                    CHILD_EXPECT(ROTA_ECLOSED == rota_all_tasks(each, nullptr, 0));
                }
                return 0;
            };
            in_child([=] {
                rota_future *future = nullptr;
                CHILD_EXPECT(closed() == 0);
                CHILD_EXPECT(ROTA_EFORKED ==
                             rota_call_soon(nullptr, nullptr, nothing, nullptr, nullptr));
                CHILD_EXPECT(ROTA_EFORKED == rota_future_create(&future, nullptr));
                CHILD_EXPECT(ROTA_EFORKED == rota_future_wait(pending, ROTA_SEC, nullptr));
                CHILD_EXPECT(ROTA_EFORKED == rota_dump_tasks(stderr));
                CHILD_EXPECT(ROTA_EFORKED == rota_task_spawn_threadsafe(runtime, nullptr, nothing,
                                                                        nullptr, nullptr));
                CHILD_EXPECT(0 == rota_runtime_tasks(runtime, nullptr, 0));
                int r = loops::run(1, [=] {
                    CHILD_EXPECT(closed() == 0);
                    CHILD_EXPECT(ROTA_ESTOP == rota_task_spawn_threadsafe(runtime, nullptr, nothing,
                                                                          nullptr, nullptr));
                    return 0;
                });
                return r;
            });
            rota_future_unref(pending);
            EXPECT_EQ(0, rota_call_soon_threadsafe(loop, nullptr, nothing, nullptr, nullptr));
            return 0;
        }));
}

/* The kernel's objects are shared: what a child closes must stay registered for the parent. */
TEST_P(Fork, WhatTheChildClosesStaysRegisteredInTheParent)
{
    EXPECT_EQ(0, run([] {
                  io_tasks::Pair pair;
                  in_child([&] {
                      roti_io_close(pair.left);
                      roti_io_close(pair.right);
                      return 0;
                  });
                  std::string got;
                  io_tasks::Task reader([&] {
                      got = pair.left.recv();
                      return 0;
                  });
                  io_tasks::yield_until([&] { return is_waiting(pair.left, ROTI_IO_READ); });
                  EXPECT_EQ(3, pair.right.send("abc"));
                  EXPECT_EQ(0, reader.join());
                  EXPECT_EQ("abc", got);
                  return 0;
              }));
}

/* A signal that reaches the child only is not the parent's, and the child's runs handle theirs. */
int handle_signals_in_child(void *arg)
{
    in_child([] {
        struct sigaction action {};
        CHILD_EXPECT(sigaction(SIGTERM, nullptr, &action) == 0);
        CHILD_EXPECT(action.sa_handler == SIG_DFL);
        auto body = [](void *) {
            kill(getpid(), SIGTERM);
            return rota_sleep(1000 * ROTA_SEC);
        };
        rota_run_opts one{};
        one.loops = 1;
        one.stall_ns = -1; /* as loops::run() has it there */
        CHILD_EXPECT(rota_run(body, nullptr, &one) == ROTA_EINTERRUPT);
        return 0;
    });
    if (arg != nullptr)
        *static_cast<std::atomic<bool> *>(arg) = true;
    return 0;
}

/* Threads of loops block signals; a child that one of them forks must not. */
TEST_P(Fork, SignalsOfTheChildAreItsOwn)
{
    auto parent = [](void *) {
        EXPECT_EQ(0, handle_signals_in_child(nullptr));
        rota_runtime *runtime = rota_running_runtime();
        auto last = static_cast<unsigned>(rota_runtime_loop_count(runtime)) - 1;
        std::atomic<bool> done{false};
        EXPECT_EQ(0, rota_call_soon_threadsafe(rota_runtime_loop(runtime, last), nullptr,
                                               handle_signals_in_child, &done, nullptr));
        EXPECT_TRUE(loops::eventually([&] { return done.load(); })) << "and was not interrupted";
        return 7;
    };
    rota_run_opts opts{};
    opts.loops = GetParam();
    EXPECT_EQ(7, rota_run(parent, nullptr, &opts));
}

} // namespace
