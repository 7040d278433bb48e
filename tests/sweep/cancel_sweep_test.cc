/* SPDX-License-Identifier: MIT */
/*
 * cancel_sweep_test.cc - every suspending call, cancelled at its k-th suspension for every k (A11).
 */
#include "tests/sweep/rows.h"

namespace sweep {
namespace {

class CancelSweep : public Sweep {
protected:
    /* One run by a plan. False when the subject never came to the suspension. */
    bool run_plan(const Plan &plan)
    {
        Trial trial(plan);
        SCOPED_TRACE("cancelled at suspension " + std::to_string(plan.at) +
                     (plan.way == Way::parking ? " itself" : " afterwards") + ", times " +
                     std::to_string(plan.times) + ", again after " + std::to_string(plan.later));
        EXPECT_EQ(0, run(trial));
        trial.check_outcome();
        /* With one loop nothing can come between the request and the suspension. */
        bool met = plan.way == Way::parking && plan.at <= trial.suspensions() && loops() == 1;
        EXPECT_TRUE(!met || !row().ends || trial.own_seen() > 0) << "it ended no wait";
        return trial.requests() > 0;
    }
};
ROTA_SWEEP_CASES(CancelSweep);

TEST_P(CancelSweep, WithoutACancellation)
{
    Trial trial;
    EXPECT_EQ(0, run(trial));
    EXPECT_TRUE(trial.was_run());
    trial.check_outcome();
    EXPECT_GE(trial.suspensions(), row().waits ? 1 : 0) << "the scenario waits for nothing";
}

TEST_P(CancelSweep, AtEachSuspension)
{
    constexpr int limit = 1000;
    const Plan variants[] = {{.times = 1}, {.times = 2}, {.later = 1}, {.later = 2}};
    for (Way way : {Way::parking, Way::waiting}) {
        int at = 1;
        for (bool reached = true; reached && at < limit && !HasFailure(); at++) {
            reached = false;
            for (Plan plan : variants) {
                plan.way = way;
                plan.at = at;
                for (std::int64_t i = 0; i < support::scale(2) && !HasFailure(); i++)
                    reached |= run_plan(plan);
            }
        }
        EXPECT_GT(at, 1) << "the subject never suspends";
        EXPECT_LT(at, limit) << "there is no end of suspensions";
    }
}

} // namespace
} // namespace sweep
