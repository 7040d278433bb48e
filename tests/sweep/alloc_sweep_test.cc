/* SPDX-License-Identifier: MIT */
/*
 * alloc_sweep_test.cc - every suspending call with its k-th allocation failing, for every k (A12).
 */
#include "tests/sweep/rows.h"

namespace sweep {
namespace {

class AllocSweep : public Sweep {};
ROTA_SWEEP_CASES(AllocSweep);

TEST_P(AllocSweep, EachAllocationFails)
{
    support::allow_seconds(120);
    std::int64_t count = support::sweep_allocations(
        [this] {
            Trial trial;
            trial.set_failing();
            int r = run(trial);
            trial.check_outcome();
            return r;
        },
        support::Absorbing::allowed);
    EXPECT_GT(count, 3);
    Trial after;
    EXPECT_EQ(0, run(after)) << "unusable after its failures";
}

} // namespace
} // namespace sweep
