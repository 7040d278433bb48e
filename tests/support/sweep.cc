/* SPDX-License-Identifier: MIT */
/*
 * sweep.cc - failing the k-th allocation, for every k.
 */
#include "sched/base/alloc.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <limits>

namespace support {

namespace {

std::atomic<std::int64_t> seen;   /* allocations asked for since the failure was set up */
std::atomic<std::int64_t> denied; /* how many of them were refused */
std::int64_t first_denied;        /* written before the hook is installed */
std::int64_t last_denied;         /* written before the hook is installed */

bool may_allocate(std::size_t)
{
    std::int64_t index = seen.fetch_add(1, std::memory_order_relaxed);
    if (index < first_denied || index > last_denied)
        return true;
    denied.fetch_add(1, std::memory_order_relaxed);
    return false;
}

/* One run; true when an allocation failed. */
bool run_once(const std::function<int()> &body, std::int64_t index, Failing failing,
              Absorbing absorbing)
{
    std::ptrdiff_t before = live_bytes();
    int result = 0;
    bool happened = false;
    {
        AllocationFailure failure(index, failing);
        result = body();
        happened = failure.happened();
    }
    std::string what =
        "allocation " + std::to_string(index) +
        (failing == Failing::one ? " failing alone" : " failing, and all later ones");
    if (!happened) {
        EXPECT_EQ(0, result) << "without a failed allocation";
    } else if (result != 0 || absorbing == Absorbing::never) {
        EXPECT_EQ(-ENOMEM, result) << what;
    }
    EXPECT_EQ(before, live_bytes()) << what;
    return happened;
}

} // namespace

AllocationFailure::AllocationFailure(std::int64_t index, Failing failing)
{
    seen = 0;
    denied = 0;
    first_denied = index;
    last_denied = failing == Failing::one ? index : std::numeric_limits<std::int64_t>::max();
    roti_alloc_set_hook(may_allocate);
}

AllocationFailure::~AllocationFailure()
{
    roti_alloc_set_hook(nullptr);
}

bool AllocationFailure::happened() const
{
    return denied.load(std::memory_order_relaxed) > 0;
}

std::int64_t sweep_allocations(const std::function<int()> &body, Absorbing absorbing)
{
    constexpr std::int64_t limit = 100'000;
    std::int64_t index = 0;
    while (index < limit && !testing::Test::HasFailure() &&
           run_once(body, index, Failing::one, absorbing)) {
        run_once(body, index, Failing::all, absorbing);
        index++;
    }
    EXPECT_LT(index, limit) << "the body never runs out of allocations";
    return index;
}

} // namespace support
