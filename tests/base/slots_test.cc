/* SPDX-License-Identifier: MIT */
/*
 * slots_test.cc - type-stable slots: what is handed out, how chains travel, where chunks lie.
 */
#include "sched/base/slots.h"
#include "tests/support/support.h"

#include <cstring>
#include <gtest/gtest.h>
#include <set>
#include <vector>

namespace {

constexpr std::size_t batch = ROTI_SLOTS_BATCH;

/* Sets are never unmapped, so that each test has one of its own for the life of the process. */
struct Set : roti_slots {
    explicit Set(std::uint32_t size) : roti_slots{}
    {
        slot_size = size;
    }
};

Set travelling(128);
Set edge(128);
Set kept(64);
Set short_of_memory(ROTI_SLOTS_CHUNK_SIZE);
Set large(ROTI_SLOTS_CHUNK_SIZE); /* a slot is a chunk */

std::vector<void *> take(roti_slots *slots, roti_slots_cache *cache, std::size_t count)
{
    std::vector<void *> taken;
    for (std::size_t i = 0; i < count; i++)
        taken.push_back(roti_slots_get(slots, cache));
    EXPECT_EQ(count, std::set<void *>(taken.begin(), taken.end()).size());
    return taken;
}

TEST(Slots, ChainsTravelFromTheCacheThatGivesToTheOneThatTakes)
{
    roti_slots_cache poster = {};
    roti_slots_cache loop = {};
    std::size_t in_a_chunk = ROTI_SLOTS_CHUNK_SIZE / 128;
    for (std::size_t round = 0; round < 2 * in_a_chunk / batch; round++) {
        std::vector<void *> taken = take(&travelling, &poster, 3 * batch);
        for (void *slot : taken)
            roti_slots_put(&travelling, &loop, slot);
        EXPECT_LE(roti_slots_used(&travelling), 4 * batch); /* two chains in each cache */
    }
    EXPECT_EQ(in_a_chunk, roti_slots_count(&travelling)); /* what was given was taken again */
    roti_slots_drain(&travelling, &poster);
    roti_slots_drain(&travelling, &loop);
    EXPECT_EQ(0u, roti_slots_used(&travelling));
}

TEST(Slots, AnOwnerAtTheEdgeOfABatchKeepsWhatItHas)
{
    roti_slots_cache cache = {};
    std::vector<void *> taken = take(&edge, &cache, 2 * batch);
    for (void *slot : taken)
        roti_slots_put(&edge, &cache, slot);
    std::size_t used = roti_slots_used(&edge);
    EXPECT_EQ(2 * batch, used);
    for (std::size_t i = 0; i < 4 * batch; i++) {
        void *slot = roti_slots_get(&edge, &cache);
        void *other = roti_slots_get(&edge, &cache);
        EXPECT_EQ(used, roti_slots_used(&edge)) << "it went to the set";
        roti_slots_put(&edge, &cache, other);
        roti_slots_put(&edge, &cache, slot);
    }
    roti_slots_put(&edge, &cache, roti_slots_get(&edge, nullptr)); /* a third chain goes back */
    EXPECT_EQ(batch + 1, roti_slots_used(&edge));
    roti_slots_drain(&edge, &cache);
    EXPECT_EQ(0u, roti_slots_used(&edge));
}

TEST(Slots, WhatASlotHoldsStaysButForTwoWords)
{
    roti_slots_cache cache = {};
    std::vector<void *> taken = take(&kept, &cache, 3 * batch);
    for (void *slot : taken) {
        const auto *bytes = static_cast<const unsigned char *>(slot);
        for (std::size_t i = sizeof(void *); i < 64; i++)
            EXPECT_EQ(0, bytes[i]);
        std::memset(slot, 0x5a, 64);
    }
    for (void *slot : taken)
        roti_slots_put(&kept, &cache, slot);
    roti_slots_drain(&kept, &cache);
    for (void *slot : take(&kept, nullptr, 3 * batch)) {
        const auto *bytes = static_cast<const unsigned char *>(slot);
        for (std::size_t i = 2 * sizeof(void *); i < 64; i++)
            EXPECT_EQ(0x5a, bytes[i]);
        roti_slots_put(&kept, nullptr, slot);
    }
}

TEST(Slots, A12_WithoutMemoryThereIsNoneAndNothingIsLost)
{
    roti_slots_cache cache = {};
    void *slot = roti_slots_get(&short_of_memory, &cache);
    ASSERT_NE(nullptr, slot);
    {
        support::AllocationFailure failure(0, support::Failing::all);
        EXPECT_EQ(nullptr, roti_slots_get(&short_of_memory, &cache));
        EXPECT_EQ(nullptr, roti_slots_get(&short_of_memory, nullptr));
    }
    roti_slots_put(&short_of_memory, &cache, slot);
    EXPECT_EQ(slot, roti_slots_get(&short_of_memory, &cache));
    roti_slots_put(&short_of_memory, nullptr, slot);
    EXPECT_EQ(0u, roti_slots_used(&short_of_memory));
}

TEST(Slots, ALargeSetLiesInRegionsWhereAHugePageFits)
{
    constexpr std::size_t region_size = ROTI_SLOTS_REGION * ROTI_SLOTS_CHUNK_SIZE;
    std::vector<void *> taken = take(&large, nullptr, 3 * ROTI_SLOTS_REGION);
    for (std::size_t i = ROTI_SLOTS_REGION; i < taken.size(); i++) {
        auto address = reinterpret_cast<std::uintptr_t>(taken[i]);
        EXPECT_EQ(i % ROTI_SLOTS_REGION * ROTI_SLOTS_CHUNK_SIZE, address % region_size);
        EXPECT_EQ(i, roti_slots_index(&large, taken[i]));
        EXPECT_EQ(taken[i], roti_slots_at(&large, i));
        std::memset(taken[i], 1, ROTI_SLOTS_CHUNK_SIZE); /* it is all there */
    }
    for (void *slot : taken)
        roti_slots_put(&large, nullptr, slot);
    EXPECT_EQ(0u, roti_slots_used(&large));
}

} // namespace
