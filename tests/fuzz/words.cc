/* SPDX-License-Identifier: MIT */
/*
 * words.cc - fuzz target: the transitions of two words, of a descriptor's readiness and of a
 * callback's handle, from any generation and tick on, so that they wrap.
 *
 * Oracle: structures with a field for each part, changed as the pages of loop/readiness.h and
 * loop/handle_state.h say. After each transition the word holds what the structure does; old words
 * and old generations, which whoever has slept over a change comes with, get the answer that their
 * life deserves. Orders and races are the explorer's.
 */
#include "loop/handle_state.h"
#include "loop/readiness.h"
#include "tests/fuzz/fuzz.h"

#include <array>

namespace {

/* ---- Readiness ---- */

struct Readiness {
    uint32_t generation = 0;
    uint32_t tick = 0; /* of 23 bits */
    uint8_t flags = ROTI_READY_CLOSED;

    bool is_open() const
    {
        return (flags & ROTI_READY_CLOSED) == 0;
    }
    uint64_t word() const
    {
        return uint64_t{generation} << 32 | uint64_t{tick} << 9 | flags;
    }
};

class Descriptor {
public:
    explicit Descriptor(fuzz_input *input) : input_(input)
    {
        now_.generation = static_cast<uint32_t>(fuzz_number(input, 4));
        now_.tick = static_cast<uint32_t>(fuzz_number(input, 3)) & 0x7fffff;
        word_ = now_.word();
        seen_.fill(now_);
    }

    void step()
    {
        uint8_t byte = fuzz_byte(input_);
        Readiness &seen = seen_[(byte >> 3) % seen_.size()];
        switch (byte % 8) {
        case 0:
            FUZZ_ASSERT(roti_readiness_look(&word_) == now_.word());
            seen = now_;
            break;
        case 1:
            open(fuzz_byte(input_));
            break;
        case 2:
        case 3:
            edge(seen.generation, fuzz_byte(input_));
            break;
        case 4:
        case 5:
            clear(seen, byte >= 128 ? ROTI_READY_READ : ROTI_READY_WRITE);
            break;
        case 6:
            if (byte >= 192)
                shut();
            break;
        default:
            FUZZ_ASSERT(roti_readiness_lock(&word_) == now_.word());
            roti_readiness_unlock(&word_, now_.word());
        }
        FUZZ_ASSERT(roti_readiness_look(&word_) == now_.word());
        FUZZ_ASSERT(roti_readiness_generation(now_.word()) == now_.generation);
        bool ends = (now_.flags &
                     (ROTI_READY_RDHUP | ROTI_READY_HUP | ROTI_READY_ERR | ROTI_READY_PRI)) != 0;
        FUZZ_ASSERT(roti_readiness_short_drains(now_.word()) ==
                    ((now_.flags & ROTI_READY_DRAINS) != 0 && !ends));
    }

private:
    /* A slot that is free, or was never used, which is zero. */
    void open(uint8_t flags)
    {
        if (now_.is_open())
            return;
        now_.flags = flags & static_cast<uint8_t>(~ROTI_READY_CLOSED);
        roti_readiness_open(&word_, now_.flags);
    }

    /* A poller's batch names a generation, which may be over. */
    void edge(uint32_t generation, uint8_t flags)
    {
        uint64_t held = 0;
        bool locked = roti_readiness_lock_generation(&word_, generation, &held);
        FUZZ_ASSERT(locked == (now_.is_open() && generation == now_.generation));
        if (!locked)
            return;
        FUZZ_ASSERT(held == now_.word());
        FUZZ_ASSERT(roti_readiness_look(&word_) == (held | ROTI_READY_LOCK));
        flags &= static_cast<uint8_t>(~ROTI_READY_CLOSED);
        now_.tick = (now_.tick + 1) & 0x7fffff;
        now_.flags |= flags;
        roti_readiness_unlock_edge(&word_, held, flags);
    }

    void clear(const Readiness &seen, uint8_t flags)
    {
        bool is_same = seen.generation == now_.generation && seen.tick == now_.tick;
        FUZZ_ASSERT(roti_readiness_clear(&word_, seen.word(), flags) == is_same);
        if (is_same)
            now_.flags &= static_cast<uint8_t>(~flags);
    }

    void shut()
    {
        if (!now_.is_open())
            return;
        uint64_t held = roti_readiness_lock(&word_);
        FUZZ_ASSERT(held == now_.word());
        roti_readiness_unlock_closed(&word_, held);
        now_ = {now_.generation + 1, 0, ROTI_READY_CLOSED};
    }

    fuzz_input *input_;
    Readiness now_;
    _Atomic(uint64_t) word_ = 0;
    std::array<Readiness, 4> seen_;
};

/* ---- Handles ---- */

class Handle {
public:
    explicit Handle(fuzz_input *input) : input_(input)
    {
        generation_ = fuzz_number(input, 7) << 8;
        word_ = generation_;
        tokens_.fill(generation_);
    }

    void step()
    {
        uint8_t byte = fuzz_byte(input_);
        uint64_t &token = tokens_[(byte >> 3) % tokens_.size()];
        switch (byte % 8) {
        case 0:
        case 1:
            if (state_ == ROTI_HANDLE_FREE)
                begin(byte, token);
            break;
        case 2:
            move(ROTI_HANDLE_QUEUED, ROTI_HANDLE_RUNNING);
            break;
        case 3:
            move(ROTI_HANDLE_ARMING, ROTI_HANDLE_ARMED);
            break;
        case 4:
            move(ROTI_HANDLE_ARMED, ROTI_HANDLE_QUEUED);
            break;
        case 5:
            cancel(token);
            break;
        case 6:
            await(token);
            break;
        default:
            if (state_ == ROTI_HANDLE_RUNNING || state_ == ROTI_HANDLE_CANCELLED)
                end();
        }
        FUZZ_ASSERT(roti_handle_state_of(word_) == state_);
    }

private:
    void begin(uint8_t byte, uint64_t &token)
    {
        static constexpr roti_handle_state states[] = {ROTI_HANDLE_QUEUED, ROTI_HANDLE_ARMING,
                                                       ROTI_HANDLE_ARMED};
        state_ = states[(byte >> 6) % 3];
        token = roti_handle_begin(&word_, state_);
        FUZZ_ASSERT(token == generation_);
    }

    void move(roti_handle_state from, roti_handle_state to)
    {
        bool moved = roti_handle_move(&word_, from, to);
        FUZZ_ASSERT(moved == (state_ == from));
        if (moved)
            state_ = to;
    }

    void cancel(uint64_t token)
    {
        roti_handle_cancel expected = ROTI_HANDLE_CANCEL_SKIP;
        if (token != generation_ || state_ == ROTI_HANDLE_FREE)
            expected = ROTI_HANDLE_CANCEL_GONE;
        else if (state_ == ROTI_HANDLE_RUNNING)
            expected = ROTI_HANDLE_CANCEL_RUNNING;
        else if (state_ == ROTI_HANDLE_CANCELLED)
            expected = ROTI_HANDLE_CANCEL_REPEATED;
        else if (state_ == ROTI_HANDLE_ARMED)
            expected = ROTI_HANDLE_CANCEL_DISARM;
        FUZZ_ASSERT(roti_handle_try_cancel(&word_, token) == expected);
        if (expected == ROTI_HANDLE_CANCEL_SKIP || expected == ROTI_HANDLE_CANCEL_DISARM)
            state_ = ROTI_HANDLE_CANCELLED;
    }

    void await(uint64_t token)
    {
        bool runs = token == generation_ && state_ == ROTI_HANDLE_RUNNING;
        FUZZ_ASSERT(roti_handle_await(&word_, token) == runs);
        awaited_ = awaited_ || runs;
    }

    void end()
    {
        bool told = roti_handle_end(&word_);
        FUZZ_ASSERT(told == awaited_);
        awaited_ = false;
        state_ = ROTI_HANDLE_FREE;
        generation_ += 0x100;
    }

    fuzz_input *input_;
    roti_handle_word word_ = 0;
    uint64_t generation_ = 0;
    roti_handle_state state_ = ROTI_HANDLE_FREE;
    bool awaited_ = false;
    std::array<uint64_t, 4> tokens_ = {};
};

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, size};
    if (fuzz_byte(&input) % 2 == 0) {
        Descriptor descriptor(&input);
        while (input.size > 0)
            descriptor.step();
    } else {
        Handle handle(&input);
        while (input.size > 0)
            handle.step();
    }
    return 0;
}
