/* SPDX-License-Identifier: MIT */
/*
 * wake_storm_test.cc - players in twos that wake each other and then wait (A09, H08, H09).
 *
 * A ball goes to and fro: whoever gets it makes the future that he will wait for, hands the ball
 * over by completing the other's, and waits. With one ball all loops sleep between two hand-overs,
 * and a wake that is lost is never made good, as nothing else happens: there are no timers, and
 * loops do not look after each other. A thread outside looks on and tells of a stall.
 */
#include <cstdio>
#include <thread>

#include "tests/stress/latencies.h"
#include "tests/stress/pinned.h"

namespace {

/* How the players are placed. */
enum class Kind { unpinned, pinned, thread };

/* Of all balls; written by players, read by the one who looks on. */
std::atomic<std::int64_t> hand_overs;

/* Ends the test where nothing moves for long: the watchdog prints all threads, and aborts. */
class Onlooker {
public:
    Onlooker() : thread_([this] { watch(); }) {}
    ~Onlooker()
    {
        ended_ = true;
        thread_.join();
    }
    Onlooker(const Onlooker &) = delete;
    Onlooker &operator=(const Onlooker &) = delete;

private:
    void watch()
    {
        /* The tests of every change run on machines that are busy. */
        std::int64_t limit_ns = (support::scale(1) > 1 ? 5 : 60) * ROTA_SEC;
        std::int64_t last = -1, since_ns = rota_time_ns();
        while (!ended_) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            if (hand_overs != last) {
                last = hand_overs;
                since_ns = rota_time_ns();
            } else if (rota_time_ns() - since_ns > support::patience_ns(limit_ns)) {
                std::fprintf(stderr, "a wake was lost after %ld\n", last);
                support::allow_seconds(0);
                return;
            }
        }
    }

    std::atomic<bool> ended_{false};
    std::thread thread_;
};

/* What the balls of one game share. */
struct Game {
    std::int64_t throws;     /* by each player */
    rota_loop *loop;         /* of futures that threads make */
    stress::Finish &players; /* each of them */
};

struct Ball {
    Game *game = nullptr;
    rota_future *doors[2] = {}; /* a reference to what each player waits for */
    std::int64_t sent_ns = 0;
    stress::Latencies latencies;

    /* The future that this player waits for next. */
    rota_future *make(int player)
    {
        rota_future *future = nullptr;
        rota_future_opts opts = {.loop = game->loop, .release = nullptr};
        EXPECT_EQ(0, rota_future_create(&future, &opts));
        doors[player] = rota_future_ref(future);
        return future;
    }
    void send_to(int player)
    {
        rota_future *door = doors[player];
        sent_ns = rota_time_ns();
        EXPECT_EQ(0, rota_future_set_result(door, nullptr));
        rota_future_unref(door);
    }
    void wait(rota_future *own, bool in_task)
    {
        int r =
            in_task ? rota_future_await(own, nullptr) : rota_future_wait(own, ROTA_NEVER, nullptr);
        EXPECT_EQ(0, r);
        latencies.add(rota_time_ns() - sent_ns);
        hand_overs.fetch_add(1, std::memory_order_relaxed);
        rota_future_unref(own);
    }

    int begin(bool in_task)
    {
        for (std::int64_t i = 0; i < game->throws; i++) {
            rota_future *own = make(0);
            send_to(1);
            wait(own, in_task);
        }
        game->players.end();
        return 0;
    }
    int answer(rota_future *own)
    {
        for (std::int64_t i = 1; i <= game->throws; i++) {
            wait(own, true);
            own = i < game->throws ? make(1) : nullptr;
            send_to(0);
        }
        game->players.end();
        return 0;
    }
};

/* Plays with so many balls until each was thrown so often by both its players. */
stress::Latencies play(unsigned loop_count, Kind kind, std::size_t ball_count, std::int64_t throws)
{
    std::vector<Ball> balls(ball_count);
    rota_run_opts opts{};
    opts.no_help = true; /* who looks after others would find what was lost */
    auto body = [&] {
        std::vector<std::thread> threads;
        loops::Tasks tasks;
        unsigned place = 0;
        stress::Finish players(2 * ball_count);
        Game game = {throws, rota_running_loop(), players};
        for (Ball &ball : balls) {
            ball.game = &game;
            rota_future *first = ball.make(1);
            auto answer = [&ball, first] { return ball.answer(first); };
            auto begin = [&ball] { return ball.begin(true); };
            if (kind == Kind::pinned) {
                stress::start_on(place++ % loop_count, answer);
                stress::start_on(place % loop_count, begin);
                continue;
            }
            tasks.spawn(answer);
            if (kind == Kind::thread)
                threads.emplace_back([&ball] { ball.begin(false); });
            else
                tasks.spawn(begin);
        }
        players.wait();
        for (std::thread &thread : threads)
            thread.join();
        for (int status : tasks.join())
            EXPECT_EQ(0, status);
        return 0;
    };
    EXPECT_EQ(0, loops::run(loop_count, body, opts));
    stress::Latencies sum;
    for (const Ball &ball : balls)
        sum += ball.latencies;
    return sum;
}

/* A09: 100,000 times somebody is woken at scale 1. */
TEST(WakeStorm, NoWakeIsLost)
{
    support::allow_seconds(3000);
    hand_overs = 0;
    Onlooker onlooker;
    stress::Latencies few, many; /* with as many loops as CPUs here, and with more */
    for (unsigned loop_count : {2U, 3U, 4U, 8U, 16U})
        for (Kind kind : {Kind::unpinned, Kind::pinned, Kind::thread})
            for (unsigned ball_count : {1U, loop_count}) {
                std::int64_t throws = support::scale(100'000) / (30 * 2 * ball_count) + 1;
                (loop_count == 2 ? few : many) += play(loop_count, kind, ball_count, throws);
            }
    std::printf("figures: %ld wakes, none lost; p50 %.0f us, p99.9 %.0f us with 2 loops, "
                "%.0f us, %.0f us with 3 to 16\n",
                hand_overs.load(), few.percentile_us(0.5), few.percentile_us(0.999),
                many.percentile_us(0.5), many.percentile_us(0.999));
    if (support::scale(1) >= 100) {
        EXPECT_LT(few.percentile_us(0.999), 10'000);
    }
}

} // namespace
