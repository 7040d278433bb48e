/* SPDX-License-Identifier: MIT */
/*
 * alloc_test.cc - blocks, their balance, and allocations that are made to fail.
 */
#include "sched/base/alloc.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace {

using support::AllocationFailure;
using support::Failing;

bool all_bytes_are(const void *block, std::size_t size, int value)
{
    const auto *bytes = static_cast<const unsigned char *>(block);
    return std::all_of(bytes, bytes + size, [value](unsigned char byte) { return byte == value; });
}

TEST(Alloc, GivesAlignedWritableBlocks)
{
    for (std::size_t size : {1, 7, 16, 100, 4096, 100'000}) {
        void *block = roti_alloc(size);
        ASSERT_NE(nullptr, block);
        std::memset(block, 0x5a, size);
        if (size >= alignof(std::max_align_t)) {
            EXPECT_EQ(0u, reinterpret_cast<std::uintptr_t>(block) % alignof(std::max_align_t));
        }
        roti_free(block, size);
    }
}

TEST(Alloc, ZeroedBlocksAreZeroAlsoWhenRecycled)
{
    for (std::size_t size : {1, 48, 4096, 300'000}) {
        for (int round = 0; round < 8; round++) {
            void *block = roti_zalloc(size);
            ASSERT_NE(nullptr, block);
            ASSERT_TRUE(all_bytes_are(block, size, 0)) << size;
            std::memset(block, 0xff, size);
            roti_free(block, size);
        }
    }
}

TEST(Alloc, EmptyBlocksAreDistinctAndFreed)
{
    void *first = roti_alloc(0);
    void *second = roti_zalloc(0);
    EXPECT_NE(nullptr, first);
    EXPECT_NE(nullptr, second);
    EXPECT_NE(first, second);
    roti_free(first, 0);
    roti_free(second, 0);
}

TEST(Alloc, FreeIgnoresNull)
{
    std::ptrdiff_t before = support::live_bytes();
    roti_free(nullptr, 100);
    EXPECT_EQ(before, support::live_bytes());
}

TEST(Alloc, BalanceFollowsEachCall)
{
    std::ptrdiff_t before = support::live_bytes();
    void *first = roti_alloc(10);
    void *second = roti_zalloc(20);
    EXPECT_EQ(before + 30, support::live_bytes());
    roti_free(first, 10);
    EXPECT_EQ(before + 20, support::live_bytes());
    roti_free(second, 20);
    EXPECT_EQ(before, support::live_bytes());
}

TEST(Alloc, FailureIsNullAndChangesNothing)
{
    std::ptrdiff_t before = support::live_bytes();
    {
        AllocationFailure failure(0, Failing::all);
        EXPECT_EQ(nullptr, roti_alloc(10));
        EXPECT_EQ(nullptr, roti_zalloc(10));
        EXPECT_FALSE(roti_alloc_permitted(10));
        EXPECT_EQ(before, support::live_bytes());
    }
    EXPECT_TRUE(roti_alloc_permitted(10));
}

TEST(Alloc, TooMuchIsNull)
{
    const std::size_t size = PTRDIFF_MAX / 2;
    std::ptrdiff_t before = support::live_bytes();
    EXPECT_EQ(nullptr, roti_alloc(size));
    EXPECT_EQ(nullptr, roti_zalloc(size));
    EXPECT_EQ(before, support::live_bytes());
}

TEST(Alloc, HookSeesTheSize)
{
    static std::size_t last;
    roti_alloc_set_hook([](std::size_t size) {
        last = size;
        return true;
    });
    void *block = roti_alloc(77);
    EXPECT_EQ(77u, last);
    EXPECT_TRUE(roti_alloc_permitted(99));
    EXPECT_EQ(99u, last);
    roti_alloc_set_hook(nullptr);
    roti_free(block, 77);
}

TEST(Alloc, ThreadsAllocateAndFreeEachOthersBlocks)
{
    constexpr int threads = 4;
    const auto rounds = static_cast<int>(support::scale(20'000));
    struct Block {
        std::size_t size;
        unsigned char bytes[];
    };
    std::atomic<Block *> slots[64] = {};
    auto work = [&slots, rounds](unsigned seed) {
        std::mt19937 random(seed);
        for (int i = 0; i < rounds; i++) {
            std::size_t size = sizeof(Block) + random() % 500;
            auto *block = static_cast<Block *>(random() % 2 ? roti_alloc(size) : roti_zalloc(size));
            block->size = size;
            Block *other = slots[random() % std::size(slots)].exchange(block);
            if (other)
                roti_free(other, other->size);
        }
    };
    std::ptrdiff_t before = support::live_bytes();
    std::vector<std::thread> pool;
    for (unsigned i = 0; i < threads; i++)
        pool.emplace_back(work, i);
    for (std::thread &thread : pool)
        thread.join();
    for (auto &slot : slots) {
        if (Block *block = slot.load())
            roti_free(block, block->size);
    }
    EXPECT_EQ(before, support::live_bytes());
}

} // namespace
