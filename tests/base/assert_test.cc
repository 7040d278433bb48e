/* SPDX-License-Identifier: MIT */
/*
 * assert_test.cc - a failed assertion names its place and ends the program.
 */
#include "sched/base/assert.h"

#include <gtest/gtest.h>

namespace {

TEST(AssertDeathTest, PrintsExpressionFileAndLineAndAborts)
{
    int zero = 0;
    EXPECT_EXIT(ROTI_ASSERT(zero == 1), testing::KilledBySignal(SIGABRT),
                "rota: .*assert_test.cc:[0-9]+: assertion failed: zero == 1");
}

TEST(Assert, EvaluatesItsExpressionOnceAndGoesOn)
{
    int calls = 0;
    ROTI_ASSERT(++calls == 1);
    EXPECT_EQ(1, calls);
}

TEST(AssertDeathTest, DebugAssertionsFollowTheBuild)
{
    int zero = 0;
    (void)zero;
#if ROTI_DEBUG
    EXPECT_EXIT(ROTI_DEBUG_ASSERT(zero == 1), testing::KilledBySignal(SIGABRT), "zero == 1");
#else
    int calls = 0;
    ROTI_DEBUG_ASSERT(++calls == 1);
    EXPECT_EQ(0, calls);
#endif
}

} // namespace
