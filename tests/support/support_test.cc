/* SPDX-License-Identifier: MIT */
/*
 * support_test.cc - the checks of tests/support fail when they should.
 */
#include <gtest/gtest.h>

namespace {

TEST(Support, RunsTests)
{
    EXPECT_GT(testing::UnitTest::GetInstance()->total_test_count(), 0);
}

} // namespace
