/* SPDX-License-Identifier: MIT */
/*
 * ring_storm_test.cc - one owner and three thieves at a ring of four, as fast as they can (A01).
 *
 * An item is free, in the ring, or taken. The owner gives it a number that no item had before, and
 * pushes it; who takes it, says so by an exchange that must find it in the ring, adds its number to
 * a sum of its own, and frees it. The numbers are plain memory: only the ring's own orders make the
 * owner's store visible, so ThreadSanitizer sees a missing one.
 */
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#define ROTI_RING_CAPACITY 4 /* as ready_ring.c is compiled for this test */
#include "sched/ready_ring.h"
#include "tests/support/splitmix.h"
#include "tests/support/support.h"

namespace {

enum State : std::uint32_t { FREE, QUEUED, TAKEN };

struct Item {
    roti_link link{};
    std::uint64_t number = 0;
    std::atomic<State> state{FREE};
};

/* What one thread has taken. Sums of the numbers and of their mixes: no two wrong items agree with
 * two right ones in both. */
struct alignas(64) Tally {
    std::uint64_t count = 0;
    std::uint64_t sum = 0;
    std::uint64_t mixed = 0;
    std::uint64_t wrong = 0; /* items that were not in the ring */
    std::uint64_t lost = 0;  /* steals that lost a race */

    static std::uint64_t mix(std::uint64_t number)
    {
        return splitmix_next(&number);
    }
    void add(std::uint64_t number)
    {
        count++;
        sum += number;
        mixed += mix(number);
    }
    void take(roti_link *link)
    {
        Item *item = roti_container_of(link, Item, link);
        /* Relaxed: the order must come from the ring. */
        wrong += item->state.exchange(TAKEN, std::memory_order_relaxed) != QUEUED;
        add(item->number);
        item->state.store(FREE, std::memory_order_release);
    }
    void operator+=(const Tally &other)
    {
        count += other.count;
        sum += other.sum;
        mixed += other.mixed;
        wrong += other.wrong;
        lost += other.lost;
    }
};

class Storm {
public:
    Storm()
    {
        roti_ring_init(ring_.get());
    }

    /* Pushes `count` items in bursts, pops some in between, and all that are left at the end. */
    void own(std::uint64_t count, std::uint64_t seed)
    {
        while (pushed.count < count) {
            std::uint32_t burst = 1 + splitmix_below(&seed, 12);
            while (burst-- > 0 && pushed.count < count)
                push();
            for (std::uint32_t pops = splitmix_below(&seed, 8); pops > 0; pops--)
                pop();
        }
        while (pop())
            ;
        ended_ = true;
    }

    /* Steals until the owner has ended. */
    void steal(Tally &tally)
    {
        std::array<roti_link *, ROTI_STEAL_MAX> links;
        for (int tries = 0; !ended_.load(std::memory_order_relaxed); tries++) {
            int n = roti_ring_steal(ring_.get(), links.data());
            for (int i = 0; i < n; i++)
                tally.take(links[static_cast<std::size_t>(i)]);
            tally.lost += n == ROTI_STEAL_LOST;
            if (tries % 256 == 0) /* the owner may want this CPU */
                std::this_thread::yield();
        }
    }

    Tally pushed, popped;

private:
    bool pop()
    {
        roti_link *link = roti_ring_pop(ring_.get());
        if (link == nullptr)
            return false;
        popped.take(link);
        return true;
    }

    void push()
    {
        Item &item = items_[pushed.count % items_.size()];
        /* It is in the ring yet, or a thief holds it. */
        while (item.state.load(std::memory_order_acquire) != FREE)
            if (!pop())
                std::this_thread::yield();
        item.number = pushed.count;
        item.state.store(QUEUED, std::memory_order_relaxed);
        pushed.add(item.number);
        roti_ring_push(ring_.get(), &item.link);
    }

    std::unique_ptr<roti_ring> ring_ = std::make_unique<roti_ring>();
    std::vector<Item> items_ = std::vector<Item>(1000);
    std::atomic<bool> ended_{false};
};

/* 1,000,000 items at scale 1. */
TEST(RingStorm, EveryItemIsTakenOnce)
{
    support::allow_seconds(3000);
    auto count = static_cast<std::uint64_t>(support::scale(1'000'000));
    Storm storm;
    std::array<Tally, 3> thieves;
    std::vector<std::thread> threads;
    for (Tally &tally : thieves)
        threads.emplace_back([&] { storm.steal(tally); });
    storm.own(count, 1);
    for (std::thread &thread : threads)
        thread.join();

    Tally taken = storm.popped;
    for (const Tally &tally : thieves)
        taken += tally;
    EXPECT_EQ(count, taken.count);
    EXPECT_EQ(storm.pushed.sum, taken.sum);
    EXPECT_EQ(storm.pushed.mixed, taken.mixed);
    EXPECT_EQ(0u, taken.wrong);
    std::printf("figures: %lu items, %lu stolen, %lu races lost\n", count,
                taken.count - storm.popped.count, taken.lost);
}

} // namespace
