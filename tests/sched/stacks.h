/* SPDX-License-Identifier: MIT */
/*
 * stacks.h - tests that begin and end with an empty pool of stacks.
 */
#ifndef ROTA_TESTS_STACKS_H
#define ROTA_TESTS_STACKS_H

#include "sched/stack.h"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>
#include <vector>

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

/* Memory of a stack that is resident, in bytes. */
inline size_t resident(const roti_stack *stack)
{
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> flags((stack->size + page - 1) / page);
    EXPECT_EQ(mincore(stack->low, stack->size, flags.data()), 0);
    size_t count = 0;
    for (unsigned char flag : flags)
        count += flag & 1;
    return count * page;
}

/* Promises a stack. Returns its class, or a negative error. */
inline int promise(roti_stack_cache *cache, size_t size)
{
    int stack_class = roti_stack_class(size);
    if (stack_class < 0)
        return stack_class;
    int r = roti_stack_promise(cache, static_cast<unsigned>(stack_class));
    return r < 0 ? r : stack_class;
}

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
