/* SPDX-License-Identifier: MIT */
/*
 * errno_test.cc - errno and the thread's object over a migration (H23, H24).
 */
#include <rota/errno.h>

#include "sched/base/thread.h"
#include "sched/fiber.h"
#include "tests/sched/migrating.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <thread>
#include <unistd.h>

namespace {

struct Probe {
    roti_fiber fiber;
    roti_fiber *home;
    migrating_fn function;
    migrating_seen seen;
};

/* What a thread knows of itself, to be compared with what the fiber saw there. */
struct Stay {
    int *errno_at;
    roti_thread *thread;
};

Stay stay(Probe *probe, int own_errno)
{
    roti_fiber thread;
    EXPECT_EQ(roti_fiber_adopt_thread(&thread), 0);
    probe->home = &thread;
    errno = own_errno;
    Stay here = {&errno, roti_thread_self()};
    roti_fiber_switch(&thread, &probe->fiber, nullptr);
    return here;
}

class Migrating : public testing::TestWithParam<migrating_fn> {};

TEST_P(Migrating, SeesTheThreadItRunsOn)
{
    Probe probe{};
    roti_stack *stack;
    probe.function = GetParam();
    ASSERT_EQ(roti_stack_get(nullptr, 0, &stack), 0);
    roti_fiber_init(
        &probe.fiber, stack, 0,
        [](void *arg, void *) -> roti_fiber_exit {
            auto *mine = static_cast<Probe *>(arg);
            mine->function(
                [](void *inner) {
                    auto *moved = static_cast<Probe *>(inner);
                    roti_fiber_switch(&moved->fiber, moved->home, nullptr);
                },
                mine, &mine->seen);
            return {mine->home, nullptr};
        },
        &probe);

    Stay stays[3];
    stays[0] = stay(&probe, 1);
    EXPECT_EQ(errno, 11); /* errno is the thread's: what the fiber set is here */
    std::thread([&] { stays[1] = stay(&probe, 2); }).join();
    stays[2] = stay(&probe, 3);

    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(probe.seen.errno_at[i], stays[i].errno_at) << i;
        EXPECT_EQ(probe.seen.thread[i], stays[i].thread) << i;
    }
    EXPECT_EQ(probe.seen.errno_at[0], probe.seen.errno_at[2]);
    EXPECT_NE(probe.seen.errno_at[0], probe.seen.errno_at[1]);
    EXPECT_EQ(probe.seen.value[0], 2);
    EXPECT_EQ(probe.seen.value[1], 3);
    roti_stack_put(nullptr, stack);
    roti_stack_pool_drain();
}

INSTANTIATE_TEST_SUITE_P(Levels, Migrating,
                         testing::Values(migrating_O0, migrating_O1, migrating_O2, migrating_O3),
                         [](const auto &level) { return "O" + std::to_string(level.index); });

TEST(Errno, IsTheThreadsOwn)
{
    errno = 0;
    EXPECT_EQ(close(-1), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(&errno, rota_errno_location());
    EXPECT_EQ(&errno, __errno_location());
    std::thread([] {
        errno = 5;
        EXPECT_EQ(errno, 5);
    }).join();
    EXPECT_EQ(errno, EBADF);
}

} // namespace
