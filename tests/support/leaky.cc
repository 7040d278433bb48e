/* SPDX-License-Identifier: MIT */
/*
 * leaky.cc - tests that must fail, each for one reason; ctest looks for the reason in their output.
 */
#include "sched/base/alloc.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <thread>
#include <unistd.h>

namespace {

TEST(Leaky, Descriptor)
{
    EXPECT_GE(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}

TEST(Leaky, Bytes)
{
    EXPECT_NE(nullptr, roti_alloc(123));
}

TEST(Leaky, Thread)
{
    std::thread([] { pause(); }).detach();
}

TEST(Leaky, Sweep)
{
    support::sweep_allocations([] {
        roti_free(roti_alloc(1), 1);
        return 0;
    });
}

/* The name that must be seen in the backtrace. */
__attribute__((noinline)) void wait_for_ever()
{
    for (;;)
        pause();
}

TEST(Leaky, Hang)
{
    support::allow_seconds(0.2);
    wait_for_ever();
}

} // namespace
