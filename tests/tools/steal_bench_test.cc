/* SPDX-License-Identifier: MIT */
/*
 * steal_bench_test.cc - the instrument by which stealing is judged: rota-bench's users, their
 * stalls, what is counted of slow answers, and the bound, all in virtual time.
 */
#include <gtest/gtest.h>

#include <map>
#include <memory>

extern "C" {
#include "tools/bench/steal_bound.h"
}

namespace {

constexpr double STALLS = 640;

/* Users of a server that answers after as long as it is told, with any number of threads. */
class Load {
public:
    explicit Load(steal_plan plan) : plan_(plan), users_(new steal_users{}), seen_(new steal_seen{})
    {
        users_->victim_count = STEAL_USERS;
        for (unsigned i = 0; i < STEAL_USERS; i++)
            users_->victims[i] = &users_->users[i];
        steal_users_start(users_.get(), &plan_, seen_.get(), 0);
    }

    /* Plays to the end of the window. Negative answer_ns: nobody ever answers. */
    const steal_seen &play(std::int64_t answer_ns)
    {
        std::int64_t now_ns = 0;
        while (now_ns < users_->end_ns) {
            while (steal_user *user = steal_users_due(users_.get(), now_ns))
                sent(user, now_ns, answer_ns);
            while (!answers_.empty() && answers_.begin()->first <= now_ns) {
                steal_user *user = answers_.begin()->second;
                answers_.erase(answers_.begin());
                if (steal_users_answered(users_.get(), user, now_ns))
                    sent(user, now_ns, answer_ns);
            }
            std::int64_t next_ns = steal_users_next(users_.get());
            if (!answers_.empty())
                next_ns = std::min(next_ns, answers_.begin()->first);
            now_ns = std::max(now_ns + 1, std::min(next_ns, users_->end_ns));
        }
        steal_users_end(users_.get(), now_ns);
        return *seen_;
    }
    std::uint64_t stalls_sent() const
    {
        return stalls_sent_;
    }

private:
    void sent(steal_user *user, std::int64_t now_ns, std::int64_t answer_ns)
    {
        stalls_sent_ += user->stalled;
        if (answer_ns >= 0)
            answers_.emplace(now_ns + answer_ns, user);
    }

    steal_plan plan_;
    std::unique_ptr<steal_users> users_;
    std::unique_ptr<steal_seen> seen_;
    std::multimap<std::int64_t, steal_user *> answers_;
    std::uint64_t stalls_sent_ = 0;
};

steal_plan plan_of(std::int64_t think_ns, double stall_rate)
{
    return {.warm_ns = 100 * ROTA_MS,
            .window_ns = 10 * ROTA_SEC,
            .think_ns = think_ns,
            .stall_rate = stall_rate,
            .skewed = false,
            .blocked = false,
            .apart = false};
}

/* ---- Users ---- */

TEST(StealUsers, AQuickServerIsAskedAsOftenAsUsersThink)
{
    Load load(plan_of(4 * ROTA_MS, 0));
    const steal_seen &seen = load.play(0);
    EXPECT_NEAR(256 / 0.004 * 10, static_cast<double>(seen.answers), 0.01 * 640'000);
    EXPECT_EQ(0U, seen.stalls);
    EXPECT_EQ(0U, seen.unanswered);
    EXPECT_EQ(0, seen.overdue_ns);
    EXPECT_LE(seen.answers, seen.in_time);
    EXPECT_LE(steal_times_us(&seen.paced, 1), 0.01);
}

TEST(StealUsers, StallsArriveWhateverTheServerDoes)
{
    Load quick(plan_of(4 * ROTA_MS, STALLS)), slow(plan_of(4 * ROTA_MS, STALLS)),
        dead(plan_of(4 * ROTA_MS, STALLS));
    const steal_seen &answered = quick.play(0);
    EXPECT_NEAR(STALLS * 10, static_cast<double>(answered.stalls), 0.05 * STALLS * 10);
    /* 300 ms for each: users come to 853 messages a second, of which 640 are stalls. */
    const steal_seen &late = slow.play(300 * ROTA_MS);
    EXPECT_NEAR(STALLS * 10, static_cast<double>(late.stalls), 0.1 * STALLS * 10);
    EXPECT_LE(300'000, steal_times_us(&late.all, 0.5));
    EXPECT_EQ(0U, late.in_time);
    /* Each that was never sent counts with its age: of 10 s, half have waited for 5 s. */
    const steal_seen &never = dead.play(-1);
    EXPECT_EQ(0U, never.answers);
    EXPECT_NEAR(STALLS * 10.1 + 256, static_cast<double>(never.unanswered), 0.05 * STALLS * 10);
    EXPECT_NEAR(5e6, steal_times_us(&never.all, 0.5), 0.5e6);
    EXPECT_EQ(quick.stalls_sent() / 100, (never.unanswered - 256 + dead.stalls_sent()) / 100);
}

/* A user whose answer takes ten times as long as it thinks keeps nine more messages back. */
TEST(StealUsers, WhatWaitingUsersDoNotSendIsPaced)
{
    Load load(plan_of(4 * ROTA_MS, 0));
    const steal_seen &seen = load.play(40 * ROTA_MS);
    EXPECT_NEAR(256 / 0.044 * 10, static_cast<double>(seen.answers), 0.01 * 58'000);
    EXPECT_NEAR(10.0, static_cast<double>(seen.paced.count) / static_cast<double>(seen.all.count),
                0.1);
    EXPECT_NEAR(20'000, steal_times_us(&seen.paced, 0.5), 2100);
    EXPECT_NEAR(40'000, steal_times_us(&seen.all, 0.5), 700);
    /* Of 44 ms a message is late for 35. */
    EXPECT_NEAR(256 * 35.0 / 44.0, static_cast<double>(seen.overdue_ns) / 10e9, 3);
}

/* ---- Times ---- */

TEST(StealTimes, AreExactToAPart)
{
    for (std::int64_t time_ns = 1; time_ns < 100 * ROTA_SEC; time_ns = time_ns * 5 / 4 + 1) {
        auto times = std::make_unique<steal_times>();
        steal_times_add(times.get(), time_ns);
        double shown_ns = steal_times_us(times.get(), 0.5) * 1e3;
        EXPECT_GE(shown_ns, static_cast<double>(time_ns));
        EXPECT_LE(shown_ns, static_cast<double>(time_ns) * (1 + 1.0 / 64) + 1);
    }
}

TEST(StealTimes, SharesAreOfAll)
{
    auto times = std::make_unique<steal_times>();
    EXPECT_EQ(0, steal_times_us(times.get(), 0.99));
    for (int i = 1; i <= 1000; i++)
        steal_times_add(times.get(), i * ROTA_US);
    EXPECT_NEAR(500, steal_times_us(times.get(), 0.5), 8);
    EXPECT_NEAR(990, steal_times_us(times.get(), 0.99), 16);
    EXPECT_NEAR(1000, steal_times_us(times.get(), 1), 16);
    steal_times_add(times.get(), -1);
    EXPECT_GE(0.001, steal_times_us(times.get(), 0));
}

/* ---- The bound ---- */

std::unique_ptr<steal_seen> bound_of(steal_plan plan, steal_costs costs, unsigned servers,
                                     unsigned cpus, bool parted = false)
{
    auto seen = std::make_unique<steal_seen>();
    plan.window_ns = ROTA_SEC;
    steal_server server{.costs = costs, .threads = servers, .cpus = cpus, .parted = parted};
    EXPECT_EQ(0, steal_bound(&plan, &server, seen.get()));
    return seen;
}

TEST(StealBound, ASaturatedServerAnswersWhatItsCpusAllow)
{
    /* Three threads on two CPUs: 20 us of work for each message. */
    auto shared = bound_of(plan_of(0, 0), {.server_ns = 12e3, .client_ns = 8e3}, 2, 2);
    EXPECT_NEAR(100'000, static_cast<double>(shared->answers), 1000);
    EXPECT_NEAR(256 / 0.1, steal_times_us(&shared->all, 0.5), 100); /* by Little's law */
    /* On ten the client's one thread is what they wait for, or the servers. */
    auto client = bound_of(plan_of(0, 0), {.server_ns = 4e3, .client_ns = 8e3}, 2, 10);
    EXPECT_NEAR(125'000, static_cast<double>(client->answers), 1300);
    auto server = bound_of(plan_of(0, 0), {.server_ns = 40e3, .client_ns = 8e3}, 4, 10);
    EXPECT_NEAR(100'000, static_cast<double>(server->answers), 1000);
}

TEST(StealBound, AnIdleServerAnswersAtOnce)
{
    auto seen = bound_of(plan_of(400 * ROTA_MS, 0), {.server_ns = 5e3, .client_ns = 5e3}, 2, 2);
    EXPECT_NEAR(640, static_cast<double>(seen->answers), 60);
    EXPECT_NEAR(10, steal_times_us(&seen->all, 0.5), 0.3);
    EXPECT_EQ(0, seen->overdue_ns);
}

TEST(StealBound, StallsTakeTheirTimeAndNoMore)
{
    /* 1.6 CPUs in stalls leave 0.4 for messages of 10 us each. */
    auto seen = bound_of(plan_of(0, 1600), {.server_ns = 5e3, .client_ns = 5e3}, 2, 2);
    EXPECT_NEAR(1600, static_cast<double>(seen->stalls), 160);
    double left = 2 - static_cast<double>(seen->stalls) / 1000;
    EXPECT_NEAR(left / 10e-6, static_cast<double>(seen->answers - seen->stalls), 3000);
    EXPECT_LE(1000, steal_times_us(&seen->all, 1));
    /* One thread with both CPUs cannot use more than one. */
    auto one = bound_of(plan_of(0, 1600), {.server_ns = 5e3, .client_ns = 5e3}, 1, 2);
    EXPECT_NEAR(1000, static_cast<double>(one->stalls), 30);
}

TEST(StealBound, SkewedStallsHitOnlyAPart)
{
    steal_plan plan = plan_of(0, 1600);
    plan.skewed = true;
    auto seen = bound_of(plan, {.server_ns = 5e3, .client_ns = 5e3}, 4, 4);
    /* All threads serve them: nothing is late for want of a CPU. */
    EXPECT_NEAR(1600, static_cast<double>(seen->stalls), 160);
    EXPECT_LT(seen->unanswered, 300U);
}

/* Where stalls hit everybody alike, one queue answers at least as much as several. */
TEST(StealBound, OneQueueIsNoWorseThanSeveral)
{
    for (double stalls : {0.0, 64.0, 640.0})
        for (std::int64_t think_ns : {std::int64_t{0}, ROTA_MS, 4 * ROTA_MS}) {
            steal_plan plan = plan_of(think_ns, stalls);
            auto one = bound_of(plan, {.server_ns = 7e3, .client_ns = 7e3}, 2, 2);
            auto several = bound_of(plan, {.server_ns = 7e3, .client_ns = 7e3}, 2, 2, true);
            EXPECT_LE(0.995 * static_cast<double>(several->answers),
                      static_cast<double>(one->answers))
                << stalls << " " << think_ns;
            EXPECT_LE(steal_times_us(&one->all, 0.999), 1.05 * steal_times_us(&several->all, 0.999))
                << stalls << " " << think_ns;
        }
}

/* A queue for each thread: skewed stalls drown one, and leave the other alone. */
TEST(StealBound, PartedUsersWaitForTheirOwnThread)
{
    steal_plan plan = plan_of(4 * ROTA_MS, 1600);
    plan.skewed = true;
    steal_costs costs{.server_ns = 2e3, .client_ns = 1e3};
    auto parted = bound_of(plan, costs, 2, 3, true);
    EXPECT_NEAR(1000, static_cast<double>(parted->stalls), 30);
    EXPECT_NEAR(128 / 0.004, static_cast<double>(parted->in_time), 1500);
    EXPECT_LE(100'000, steal_times_us(&parted->all, 0.999));
    /* Where both serve all, their users get on: 2,000 ms of work for 1,728 that come. */
    auto together = bound_of(plan, costs, 2, 3);
    EXPECT_LE(1.5 * static_cast<double>(parted->in_time), static_cast<double>(together->in_time));
    EXPECT_GT(0.3 * steal_times_us(&parted->all, 0.999), steal_times_us(&together->all, 0.999));
}

} // namespace
