/* SPDX-License-Identifier: MIT */
/*
 * latencies.h - a histogram of times, exact to an eighth.
 */
#ifndef ROTA_TESTS_LATENCIES_H
#define ROTA_TESTS_LATENCIES_H

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace stress {

class Latencies {
public:
    void add(std::int64_t ns)
    {
        counts_[slot_of(static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0)))]++;
    }
    void operator+=(const Latencies &other)
    {
        for (std::size_t i = 0; i < counts_.size(); i++)
            counts_[i] += other.counts_[i];
    }
    /* The time in microseconds that this share of all stays below; 0 where there is none. */
    double percentile_us(double share) const
    {
        std::uint64_t all = 0, seen = 0;
        for (std::uint64_t count : counts_)
            all += count;
        for (std::size_t slot = 0; slot < counts_.size(); slot++) {
            seen += counts_[slot];
            if (seen > 0 && static_cast<double>(seen) >= share * static_cast<double>(all))
                return end_of(slot) / 1e3;
        }
        return 0;
    }

private:
    /* Eight slots for each power of two. */
    static std::size_t slot_of(std::uint64_t ns)
    {
        unsigned shift = ns < 16 ? 0 : static_cast<unsigned>(std::bit_width(ns)) - 4;
        return shift * 8 + static_cast<std::size_t>(ns >> shift);
    }
    static double end_of(std::size_t slot)
    {
        std::size_t shift = slot < 16 ? 0 : slot / 8 - 1;
        return static_cast<double>(slot - shift * 8 + 1) *
               static_cast<double>(std::uint64_t{1} << shift);
    }

    std::array<std::uint64_t, std::size_t{8} * 64> counts_{};
};

} // namespace stress

#endif
