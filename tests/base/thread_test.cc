/* SPDX-License-Identifier: MIT */
/*
 * thread_test.cc - each thread has one object, empty at first (H23: and no other thread's).
 */
#include "sched/base/thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <set>
#include <thread>
#include <vector>

namespace {

TEST(Thread, ObjectIsTheSameWithinAThread)
{
    roti_thread *self = roti_thread_self();
    ASSERT_NE(nullptr, self);
    EXPECT_EQ(self, roti_thread_self());
}

TEST(Thread, ObjectIsEmptyAtFirst)
{
    std::thread([] {
        roti_thread *self = roti_thread_self();
        EXPECT_EQ(nullptr, self->worker);
        EXPECT_EQ(nullptr, self->context);
        EXPECT_EQ(&self->top, roti_thread_context(self));
        EXPECT_EQ(nullptr, self->top.cell);
        EXPECT_EQ(nullptr, self->top.root);
        EXPECT_EQ(0u, self->random_state);
    }).join();
}

TEST(Thread, ThreadsThatLiveAtOnceHaveDifferentObjects)
{
    constexpr int count = 8;
    roti_thread *objects[count] = {};
    std::barrier all_seen(count);
    std::vector<std::thread> threads;
    for (int i = 0; i < count; i++) {
        threads.emplace_back([&objects, &all_seen, i] {
            objects[i] = roti_thread_self();
            all_seen.arrive_and_wait();
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    std::set<roti_thread *> distinct(std::begin(objects), std::end(objects));
    distinct.insert(roti_thread_self());
    EXPECT_EQ(count + 1u, distinct.size());
}

TEST(Thread, WhatOneThreadWritesNoOtherSees)
{
    roti_context_slot slot = {};
    roti_thread *self = roti_thread_self();
    roti_context_slot *before = self->context;
    self->context = &slot;
    self->random_state = 42;
    std::thread([&slot] {
        EXPECT_NE(&slot, roti_thread_self()->context);
        EXPECT_EQ(0u, roti_thread_self()->random_state);
    }).join();
    EXPECT_EQ(&slot, roti_thread_self()->context);
    EXPECT_EQ(42u, roti_thread_self()->random_state);
    self->context = before;
    self->random_state = 0;
}

} // namespace
