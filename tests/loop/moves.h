/* SPDX-License-Identifier: MIT */
/*
 * moves.h - builds in which every unpinned task moves to another loop on each resume (which
 * sched/step.h asserts): the tests that cannot hold there; and what the loops of a runtime did.
 */
#ifndef ROTA_TESTS_MOVES_H
#define ROTA_TESTS_MOVES_H

#include <rota/loop.h>
#include <rota/runtime.h>

#include <gtest/gtest.h>

namespace loops {

/* What the loops of a runtime have done, together. */
inline rota_counters total(rota_runtime *runtime)
{
    rota_counters sum{};
    for (int i = 0; i < rota_runtime_loop_count(runtime); i++) {
        rota_counters one{};
        EXPECT_EQ(0, rota_loop_counters(rota_runtime_loop(runtime, i), &one));
        sum.switches += one.switches;
        sum.tasks_stolen += one.tasks_stolen;
        sum.migrations += one.migrations;
        sum.spawned += one.spawned;
        sum.finished += one.finished;
        sum.parks += one.parks;
        sum.wakes_sent += one.wakes_sent;
    }
    return sum;
}

} // namespace loops

/* Leaves a test out of the builds that move tasks, and says why. docs/testing.md lists them. */
#define ROTA_NOT_WHEN_TASKS_MOVE(reason)                                                           \
    do {                                                                                           \
        if (ROTI_MIGRATE)                                                                          \
            GTEST_SKIP() << "not when tasks move: " reason;                                        \
    } while (false)

#endif
