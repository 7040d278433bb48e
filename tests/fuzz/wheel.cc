/* SPDX-License-Identifier: MIT */
/*
 * wheel.cc - fuzz target: timers added to, removed from and expired by a timing wheel.
 *
 * Oracle: a sorted set of (deadline, order of addition). Timers expire in that order, all that are
 * due and no other; the next deadline is never later than the earliest, and equal to it where the
 * wheel has few timers; the count is the set's.
 */
#include "loop/wheel.h"
#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <set>
#include <utility>

namespace {

constexpr int64_t NEVER = INT64_MAX;
constexpr size_t NODES = 48;

class Wheels {
public:
    explicit Wheels(fuzz_input *input) : input_(input), now_ns_(distance())
    {
        roti_wheel_init(&wheel_, now_ns_);
    }

    void step()
    {
        uint8_t byte = fuzz_byte(input_);
        roti_wheel_node &node = nodes_[(byte >> 2) % NODES];
        switch (byte % 4) {
        case 0:
        case 1:
            if (node.place == ROTI_WHEEL_OUT)
                add(node, deadline());
            else
                remove(node);
            break;
        case 2:
            now_ns_ += std::min(distance(), NEVER - 1 - now_ns_);
            fire(byte >> 4);
            break;
        default:
            if (int64_t next_ns = roti_wheel_next_deadline(&wheel_); next_ns != NEVER)
                now_ns_ = std::max(now_ns_, next_ns);
            fire(byte >> 4);
        }
        check();
    }

    /* Tears down, as a loop that closes: each node once, in any order. */
    void finish()
    {
        while (roti_wheel_node *node = roti_wheel_drain(&wheel_))
            FUZZ_ASSERT(order_.erase({node->deadline_ns, node->sequence}) == 1);
        FUZZ_ASSERT(order_.empty());
        FUZZ_ASSERT(roti_wheel_next_deadline(&wheel_) == NEVER);
    }

private:
    /* As often near as far: a byte says how many bits it has. */
    int64_t distance()
    {
        unsigned bits = fuzz_byte(input_) % 63;
        uint64_t number = fuzz_number(input_, (bits + 7) / 8);
        return static_cast<int64_t>(number & ((uint64_t{1} << bits) - 1));
    }

    int64_t deadline()
    {
        uint8_t byte = fuzz_byte(input_);
        int64_t later_ns = now_ns_ + std::min(distance(), NEVER - now_ns_);
        switch (byte % 8) {
        case 0:
            return NEVER;
        case 1: /* before now, and before all time */
            return now_ns_ - (later_ns - now_ns_) - 1;
        case 2: /* a tie with the first */
            return order_.empty() ? now_ns_ : order_.begin()->first;
        case 3: /* an edge of some level */
            return later_ns &
                   -(int64_t{1} << (ROTI_WHEEL_TICK_BITS +
                                    (byte >> 3) % ROTI_WHEEL_LEVEL_COUNT * ROTI_WHEEL_DIGIT_BITS));
        default:
            return later_ns;
        }
    }

    void add(roti_wheel_node &node, int64_t deadline_ns)
    {
        roti_wheel_add(&wheel_, &node, deadline_ns);
        FUZZ_ASSERT(node.deadline_ns == deadline_ns);
        FUZZ_ASSERT(order_.emplace(node.deadline_ns, node.sequence).second);
    }

    void remove(roti_wheel_node &node)
    {
        FUZZ_ASSERT(roti_wheel_remove(&wheel_, &node));
        FUZZ_ASSERT(!roti_wheel_remove(&wheel_, &node));
        FUZZ_ASSERT(order_.erase({node.deadline_ns, node.sequence}) == 1);
    }

    /* All that is due, in order; with a budget only so many. */
    void fire(unsigned budget)
    {
        for (unsigned fired = 0; budget == 0 || fired < budget; fired++) {
            roti_wheel_node *node = roti_wheel_expire(&wheel_, now_ns_);
            if (node == nullptr && roti_wheel_next_deadline(&wheel_) <= now_ns_)
                continue; /* a cascade goes on */
            if (node == nullptr) {
                FUZZ_ASSERT(order_.empty() || order_.begin()->first > now_ns_ ||
                            order_.begin()->first == NEVER);
                FUZZ_ASSERT(roti_wheel_next_deadline(&wheel_) > now_ns_);
                return;
            }
            FUZZ_ASSERT(node->deadline_ns <= now_ns_);
            FUZZ_ASSERT(*order_.begin() == std::pair(node->deadline_ns, node->sequence));
            order_.erase(order_.begin());
        }
    }

    void check()
    {
        FUZZ_ASSERT(wheel_.count == order_.size());
        int64_t earliest_ns = order_.empty() ? NEVER : order_.begin()->first;
        int64_t next_ns = roti_wheel_next_deadline(&wheel_);
        FUZZ_ASSERT(next_ns <= earliest_ns);
        if (order_.size() <= ROTI_WHEEL_SCAN_MAX && earliest_ns > now_ns_)
            FUZZ_ASSERT(next_ns == earliest_ns);
    }

    fuzz_input *input_;
    int64_t now_ns_;
    roti_wheel wheel_ = {};
    roti_wheel_node nodes_[NODES] = {};
    std::set<std::pair<int64_t, uint64_t>> order_;
};

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, size};
    Wheels wheels(&input);
    while (input.size > 0)
        wheels.step();
    wheels.finish();
    return 0;
}
