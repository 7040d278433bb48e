/* SPDX-License-Identifier: MIT */
/*
 * stacks.h - tests that begin and end with an empty pool of stacks.
 */
#ifndef ROTA_TESTS_STACKS_H
#define ROTA_TESTS_STACKS_H

#include "sched/stack.h"

#include <gtest/gtest.h>

namespace stacks {

constexpr size_t kib = 1024;

/* A cache that goes back to the pool, and the pool to the system. */
struct Cache : roti_stack_cache {
    Cache()
    {
        roti_stack_cache_init(this);
    }
    ~Cache()
    {
        roti_stack_cache_drain(this);
    }
    Cache(const Cache &) = delete;
    Cache &operator=(const Cache &) = delete;
};

class EmptyPool : public testing::Test {
protected:
    void SetUp() override
    {
        roti_stack_pool_drain();
        ASSERT_EQ(roti_stack_live_count(), 0u);
    }
    void TearDown() override
    {
        EXPECT_EQ(roti_stack_live_count(), 0u);
        roti_stack_pool_drain();
    }
};

} // namespace stacks

#endif
