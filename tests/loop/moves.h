/* SPDX-License-Identifier: MIT */
/*
 * moves.h - builds in which every unpinned task moves to another loop on each resume: the check
 * that they do, and the tests that cannot hold there.
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
        sum.resumes += one.resumes;
        sum.tasks_stolen += one.tasks_stolen;
        sum.migrations += one.migrations;
        sum.spawned += one.spawned;
        sum.finished += one.finished;
        sum.parks += one.parks;
        sum.wakes_sent += one.wakes_sent;
    }
    return sum;
}

/* At the end of a first task: where tasks have to move, those that were resumed have moved. */
inline void expect_moves()
{
    rota_runtime *runtime = rota_running_runtime();
    if (!ROTI_MIGRATE || rota_runtime_loop_count(runtime) < 2)
        return;
    rota_counters sum = total(runtime);
    EXPECT_EQ(sum.resumes > 0, sum.migrations > 0)
        << sum.resumes << " resumes, " << sum.migrations << " migrations";
}

} // namespace loops

/* Leaves a test out of the builds that move tasks, and says why. docs/testing.md lists them. */
#define ROTA_NOT_WHEN_TASKS_MOVE(reason)                                                           \
    do {                                                                                           \
        if (ROTI_MIGRATE)                                                                          \
            GTEST_SKIP() << "not when tasks move: " reason;                                        \
    } while (false)

#endif
