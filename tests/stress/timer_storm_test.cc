/* SPDX-License-Identifier: MIT */
/*
 * timer_storm_test.cc - timers that four loops set, move and cancel, each other's too (A23, S24,
 * H45, H47).
 *
 * Each loop has a player with timers of his own. He sets them at odd instants, and cancels any
 * player's. What a timer may do follows from its deadline and the one verdict about it: prevented,
 * it never runs; else it runs once, and never early.
 */
#include <rota/error.h>

#include <cstdio>
#include <memory>
#include <mutex>

#include "loop/wheel.h"
#include "tests/stress/latencies.h"
#include "tests/stress/pinned.h"
#include "tests/support/splitmix.h"

namespace {

constexpr unsigned PLAYERS = 4;
constexpr std::uint32_t TIMERS = 300;                /* of one player */
constexpr std::int64_t FAR_NS = 3600 * ROTA_SEC;     /* no test takes so long */
constexpr std::int64_t NEVER_AGAIN = ROTA_NEVER - 1; /* the last instant at which one would fire */

/* One timer: set by its player, in his loop's thread, cancelled by any. */
struct Timer {
    stress::Latencies *latencies = nullptr;
    std::mutex mutex;
    rota_handle handle{};            /* under mutex */
    int verdict = 0;                 /* under mutex; 0: nobody has cancelled it */
    bool set = false;                /* under mutex */
    std::int64_t when_ns = 0;        /* the loop's thread's */
    std::int64_t set_ns = 0;         /* the loop's thread's */
    std::atomic<unsigned> early = 0; /* runs before the deadline */
    std::atomic<unsigned> runs = 0;

    static int run(void *arg)
    {
        auto *timer = static_cast<Timer *>(arg);
        std::int64_t now_ns = rota_time_ns();
        timer->early += now_ns < timer->when_ns;
        timer->latencies->add(now_ns - std::max(timer->when_ns, timer->set_ns));
        timer->runs++;
        return 0;
    }

    /* Whether all that there will be of it has been. */
    bool is_over()
    {
        std::lock_guard lock(mutex);
        return !set || verdict == ROTA_PREVENTED || runs > 0;
    }

    /* Checks what it did against what was done to it. */
    void settle()
    {
        std::lock_guard lock(mutex);
        if (!set)
            return;
        EXPECT_EQ(verdict == ROTA_PREVENTED ? 0u : 1u, runs) << "verdict " << verdict;
        EXPECT_EQ(0u, early);
        set = false;
    }

    void start(std::int64_t deadline_ns)
    {
        std::lock_guard lock(mutex);
        runs = early = 0;
        verdict = 0;
        set = true;
        when_ns = deadline_ns;
        set_ns = rota_time_ns();
        EXPECT_EQ(0, rota_call_at(nullptr, &handle, deadline_ns, run, this, nullptr));
    }

    /* Whether cancel may answer so, after what it has answered before. */
    bool is_possible(int answer, bool had_run) const
    {
        if (verdict == ROTA_PREVENTED)
            return answer == ROTA_ALREADY_CANCELLED && runs == 0;
        if (answer == ROTA_ALREADY_RAN)
            return runs == 1;
        return answer == ROTA_RUNNING ? verdict != ROTA_ALREADY_RAN
                                      : answer == ROTA_PREVENTED && verdict == 0 && !had_run;
    }

    void cancel()
    {
        std::lock_guard lock(mutex);
        if (!set)
            return;
        bool had_run = runs > 0;
        int answer = rota_handle_cancel(&handle);
        EXPECT_TRUE(is_possible(answer, had_run)) << answer << " after " << verdict;
        if (verdict == 0)
            verdict = answer;
        EXPECT_TRUE(rota_handle_cancelled(&handle));
        EXPECT_EQ(when_ns, rota_handle_when(&handle));
    }
};

struct Player {
    Player()
    {
        for (Timer &timer : timers)
            timer.latencies = &latencies;
    }

    std::vector<Timer> timers = std::vector<Timer>(TIMERS);
    stress::Latencies latencies;
    std::uint64_t seed = 0;
    std::uint64_t count = 0; /* of operations */
};

using Players = std::vector<Player>;

/* Where a level of the wheel takes over from the one below, so many of its slots from now. */
std::int64_t edge(std::int64_t now_ns, std::uint32_t level, std::uint32_t slots)
{
    unsigned bits = ROTI_WHEEL_TICK_BITS + ROTI_WHEEL_DIGIT_BITS * level;
    return static_cast<std::int64_t>(((static_cast<std::uint64_t>(now_ns) >> bits) + slots)
                                     << bits);
}

/* Most are soon, many at an edge of something, some so far that they will not fire. */
std::int64_t deadline(std::uint64_t &seed)
{
    std::int64_t now_ns = rota_time_ns();
    std::int64_t step_ns = static_cast<std::int64_t>(splitmix_below(&seed, 3)) - 1;
    switch (splitmix_below(&seed, 16)) {
    case 0:
        return 0;
    case 1:
        return 1;
    case 2:
        return INT64_MIN;
    case 3:
        return now_ns + step_ns;
    case 4:
        return ROTA_NEVER;
    case 5:
        return NEVER_AGAIN;
    case 6:
        return edge(now_ns, splitmix_below(&seed, 2), splitmix_below(&seed, 3)) + step_ns;
    case 7: /* hours, and centuries */
        return now_ns + FAR_NS +
               edge(now_ns, 4 + splitmix_below(&seed, 3), splitmix_below(&seed, 3)) + step_ns;
    default: /* up to 16 ms */
        return now_ns + splitmix_below(&seed, 1u << (4 + splitmix_below(&seed, 21)));
    }
}

/* Sets one of his own timers that is over, or moves it: cancels it, and sets it anew. */
void set_one(Player &player)
{
    Timer &timer = player.timers[splitmix_below(&player.seed, TIMERS)];
    if (!timer.is_over() && splitmix_below(&player.seed, 2) == 0)
        timer.cancel();
    if (!timer.is_over())
        return;
    timer.settle();
    timer.start(deadline(player.seed));
}

int play(Players &players, unsigned self, stress::Finish &finish)
{
    Player &player = players[self];
    while (player.count > 0) {
        for (std::uint32_t i = splitmix_below(&player.seed, 32); i > 0 && player.count > 0; i--) {
            player.count--;
            if (splitmix_below(&player.seed, 4) != 0)
                set_one(player);
            else
                players[splitmix_below(&player.seed, PLAYERS)]
                    .timers[splitmix_below(&player.seed, TIMERS)]
                    .cancel();
        }
        bool sleeps = splitmix_below(&player.seed, 64) == 0;
        EXPECT_EQ(0, sleeps ? rota_sleep(splitmix_below(&player.seed, ROTA_MS)) : rota_yield());
    }
    finish.end();
    return 0;
}

/* A23: 200,000 operations at scale 1. */
TEST(TimerStorm, NoneIsEarlyAndVerdictsAreExact)
{
    support::allow_seconds(3000);
    auto count = static_cast<std::uint64_t>(support::scale(200'000));
    Players players(PLAYERS);
    EXPECT_EQ(0, loops::run(PLAYERS, [&] {
                  stress::Finish finish(PLAYERS);
                  for (unsigned i = 0; i < PLAYERS; i++) {
                      players[i].seed = i + 1;
                      players[i].count = count / PLAYERS;
                      stress::start_on(i,
                                       [&players, &finish, i] { return play(players, i, finish); });
                  }
                  finish.wait();
                  for (Player &player : players)
                      for (Timer &timer : player.timers) {
                          if (timer.when_ns - rota_time_ns() >= FAR_NS / 2)
                              timer.cancel();
                          EXPECT_TRUE(loops::eventually([&] { return timer.is_over(); }));
                      }
                  return 0;
              }));
    stress::Latencies latencies;
    for (Player &player : players) {
        for (Timer &timer : player.timers)
            timer.settle();
        latencies += player.latencies;
    }
    std::printf("figures: %lu operations on timers, none early; late p50 %.0f us, p99.9 %.0f us\n",
                count, latencies.percentile_us(0.5), latencies.percentile_us(0.999));
}

} // namespace
