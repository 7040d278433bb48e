/* SPDX-License-Identifier: MIT */
/*
 * ready_ring.cc - fuzz target: operations on a ready ring of four, by one thread.
 *
 * Oracle: a queue. Pops and steals give the oldest items, each once; a steal gives at least one
 * where there is one and at most half a ring, and no race is lost where there is none; the count
 * and the emptiness are the queue's.
 */
#include "sched/ready_ring.h"
#include "tests/fuzz/fuzz.h"

#include <cstdlib>
#include <deque>
#include <memory>

namespace {

static_assert(ROTI_RING_CAPACITY == 4, "small, so that everything overflows");

struct Item {
    roti_link link = {};
    unsigned number = 0;
};

class Rings {
public:
    Rings()
    {
        roti_ring_init(&ring_);
    }

    void push()
    {
        items_.push_back(std::make_unique<Item>());
        items_.back()->number = pushed_++;
        roti_ring_push(&ring_, &items_.back()->link);
    }

    void pop()
    {
        roti_link *link = roti_ring_pop(&ring_);
        FUZZ_ASSERT((link == nullptr) == items_.empty());
        if (link != nullptr)
            take(link);
    }

    void steal()
    {
        roti_link *stolen[ROTI_STEAL_MAX];
        int count = roti_ring_steal(&ring_, stolen);
        FUZZ_ASSERT(count >= (items_.empty() ? 0 : 1));
        FUZZ_ASSERT(count <= ROTI_STEAL_MAX && static_cast<size_t>(count) <= items_.size());
        for (int i = 0; i < count; i++)
            take(stolen[i]);
    }

    void check() const
    {
        FUZZ_ASSERT(roti_ring_count(&ring_) == items_.size());
        FUZZ_ASSERT(roti_ring_empty(&ring_) == items_.empty());
    }

    bool empty() const
    {
        return items_.empty();
    }

private:
    /* The item is freed at once: who gave it away must not look at it any more. */
    void take(roti_link *link)
    {
        FUZZ_ASSERT(link == &items_.front()->link);
        items_.pop_front();
    }

    roti_ring ring_ = {};
    std::deque<std::unique_ptr<Item>> items_;
    unsigned pushed_ = 0;
};

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, size};
    Rings rings;
    while (input.size > 0) {
        uint8_t byte = fuzz_byte(&input);
        for (unsigned times = 1 + (byte >> 5); times > 0; times--) {
            if (byte % 4 < 2)
                rings.push();
            else if (byte % 4 == 2)
                rings.pop();
            else
                rings.steal();
            rings.check();
        }
    }
    while (!rings.empty())
        rings.pop();
    rings.check();
    return 0;
}
