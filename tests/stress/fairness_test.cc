/* SPDX-License-Identifier: MIT */
/*
 * fairness_test.cc - nobody waits for ever because others are busy (A24): a pair that wakes each
 * other all the time among a thousand tasks, a task that keeps its loop, and tasks that block it.
 *
 * At the scale of every change nothing depends on the clock but that it goes on in the end. From
 * scale 50 on times are held to limits.
 */
#include <rota/future.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <thread>

#include "loop/loop_impl.h"
#include "tests/loop/moves.h"
#include "tests/net/streams.h"
#include "tests/stress/latencies.h"
#include "tests/stress/pinned.h"

namespace {

constexpr unsigned LOOPS = 4;
constexpr double P99_MAX_US = 20'000;

bool full_scale()
{
    return support::scale(1) >= 50;
}

/* A task that is not pinned, on this loop at first. */
void spawn(loops::Body body)
{
    rota_task_opts opts = {};
    opts.arg_release = [](void *copy) { delete static_cast<loops::Body *>(copy); };
    EXPECT_EQ(0,
              rota_task_spawn(nullptr, loops::call_body, new loops::Body(std::move(body)), &opts));
}

/* ---- Who runs before whom ---- */

/* A task became ready: a number that grows, where that was, and what that loop had stolen. */
struct Ready {
    std::uint64_t ticket;
    unsigned loop;
    std::uint64_t stolen;
};

std::uint64_t stolen_by(const rota_loop *loop)
{
    rota_counters counters = {};
    EXPECT_EQ(0, rota_loop_counters(loop, &counters));
    return counters.tasks_stolen;
}

/* The order in which each loop runs what is ready. */
class Order {
public:
    explicit Order(unsigned loops) : steps_(loops) {}

    Ready ready()
    {
        const rota_loop *loop = roti_loop_current();
        return {tickets_++, loop->worker.index, stolen_by(loop)};
    }
    /* By a task's first act when it runs again. */
    void run(const Ready &ready)
    {
        const rota_loop *loop = roti_loop_current();
        unsigned here = loop->worker.index;
        bool stayed = ready.loop == here && ready.stolen == stolen_by(loop);
        steps_[here].push_back({ready.ticket, stayed});
    }

    /* How many steps at most ran before one that was ready earlier. Of tasks that have changed
     * loops, or may have gone and come back, it is not known since when they were there: they
     * overtake, and are not asked. */
    std::uint64_t overtakes_max() const
    {
        std::uint64_t most = 0;
        for (const auto &steps : steps_)
            most = std::max(most, overtakes_max(steps));
        return most;
    }
    std::size_t count() const
    {
        std::size_t sum = 0;
        for (const auto &steps : steps_)
            sum += steps.size();
        return sum;
    }
    std::size_t stayed() const
    {
        std::size_t sum = 0;
        for (const auto &steps : steps_)
            sum += static_cast<std::size_t>(
                std::count_if(steps.begin(), steps.end(), [](Step step) { return step.stayed; }));
        return sum;
    }

private:
    struct Step {
        std::uint64_t ticket;
        bool stayed;
    };

    /* A binary indexed tree of the tickets that have run. */
    std::uint64_t overtakes_max(const std::vector<Step> &steps) const
    {
        std::vector<std::uint32_t> tree(tickets_ + 1);
        std::uint64_t most = 0, ran = 0;
        for (const Step &step : steps) {
            std::uint64_t earlier = 0;
            for (std::uint64_t i = step.ticket + 1; i > 0; i &= i - 1)
                earlier += tree[i];
            if (step.stayed)
                most = std::max(most, ran - earlier);
            for (std::uint64_t i = step.ticket + 1; i < tree.size(); i += i & (~i + 1))
                tree[i]++;
            ran++;
        }
        return most;
    }

    std::atomic<std::uint64_t> tickets_{0};
    std::vector<std::vector<Step>> steps_; /* of each loop, by its thread */
};

/* Two players and a ball: whoever has it makes the other ready and waits. */
class Pair {
public:
    Pair(Order &order, std::uint64_t throws_max) : order_(order), throws_max_(throws_max)
    {
        for (Seat &seat : seats_)
            EXPECT_EQ(0, rota_future_create(&seat.turn, nullptr));
    }
    ~Pair()
    {
        for (Seat &seat : seats_)
            rota_future_unref(seat.turn);
    }
    Pair(const Pair &) = delete;
    Pair &operator=(const Pair &) = delete;

    /* Until stop(), or until nobody else gets on; player 0 begins. */
    int play(unsigned player)
    {
        if (player == 1 && !wait_for_turn(player))
            return 0;
        do
            throws_++;
        while (hand_over(player) && wait_for_turn(player));
        return 0;
    }
    void stop()
    {
        stopped_ = true;
    }
    std::uint64_t throws() const
    {
        return throws_;
    }

private:
    struct Seat {
        rota_future *turn = nullptr; /* complete when it is this player's */
        Ready ready{};
        bool last = false; /* the other one has left */
    };

    /* False: this was the last time. */
    bool hand_over(unsigned player)
    {
        Seat &other = seats_[1 - player];
        bool last = stopped_ || throws_ >= throws_max_;
        other.last = last;
        other.ready = order_.ready();
        EXPECT_EQ(0, rota_future_set_result(other.turn, nullptr));
        return !last;
    }
    bool wait_for_turn(unsigned player)
    {
        Seat &seat = seats_[player];
        EXPECT_EQ(0, rota_future_await(seat.turn, nullptr));
        order_.run(seat.ready);
        /* The other one waits, or has left: nobody else looks at it now. */
        rota_future_unref(seat.turn);
        EXPECT_EQ(0, rota_future_create(&seat.turn, nullptr));
        return !seat.last;
    }

    Order &order_;
    std::uint64_t throws_max_;
    Seat seats_[2];
    std::atomic<std::uint64_t> throws_{0};
    std::atomic<bool> stopped_{false};
};

/* A task among many: `ready` when it was spawned, and again and again. */
int yield_often(Order &order, Ready ready, std::int64_t yields)
{
    order.run(ready);
    for (std::int64_t i = 0; i < yields; i++) {
        ready = order.ready();
        EXPECT_EQ(0, rota_yield());
        order.run(ready);
    }
    return 0;
}

class Fairness : public testing::TestWithParam<unsigned> {};

/* A24: a LIFO slot or a cycle of two would starve the others. */
TEST_P(Fairness, APairDoesNotOvertakeAThousand)
{
    if (GetParam() > 1)
        ROTA_NOT_WHEN_TASKS_MOVE("what has moved is in the local queue, which runs four steps for "
                                 "each of the ring, where those are that never ran");
    constexpr std::size_t TASKS = 1000;
    support::allow_seconds(280);
    std::int64_t yields = std::min<std::int64_t>(support::scale(20), 2000);
    Order order(GetParam());
    std::uint64_t throws = 0;
    EXPECT_EQ(0, loops::run(GetParam(), [&] {
                  Pair pair(order, 5'000'000);
                  loops::Tasks players, others;
                  for (unsigned player : {0U, 1U})
                      players.spawn([&pair, player] { return pair.play(player); });
                  for (std::size_t i = 0; i < TASKS; i++)
                      others.spawn([&order, yields, ready = order.ready()] {
                          return yield_often(order, ready, yields);
                      });
                  others.join();
                  pair.stop();
                  players.join();
                  throws = pair.throws();
                  return 0;
              }));
    std::uint64_t most = order.overtakes_max();
    std::printf("figures: %u loops, %zu steps, %zu of tasks that stayed, %lu throws, at most %lu "
                "overtakes\n",
                GetParam(), order.count(), order.stayed(), throws, most);
    EXPECT_LE(TASKS * static_cast<std::size_t>(yields + 1), order.count());
    EXPECT_LT(most, 1000U);
}

INSTANTIATE_TEST_SUITE_P(Loops, Fairness, testing::Values(1U, 2U, LOOPS),
                         [](const auto &values) { return std::to_string(values.param); });

/* ---- Input and output beside tasks that keep their loop ---- */

/* Pairs of tasks with a socket pair each: one asks, the other answers, as fast as they can. Both
 * descriptors belong to the loop where the pair is started. */
class Echoes {
public:
    explicit Echoes(std::size_t pairs) : finish_(2 * pairs), rounds_(pairs) {}

    /* The next `count` pairs, at one loop. */
    void start(unsigned loop, std::size_t count)
    {
        for (std::size_t i = 0; i < count; i++)
            stress::start_on(loop, [this, pair = started_++] { return open(pair); });
    }
    /* Round trips of all. */
    std::uint64_t rounds() const
    {
        std::uint64_t sum = 0;
        for (const auto &one : rounds_)
            sum += one;
        return sum;
    }
    std::uint64_t rounds_min() const
    {
        return *std::min_element(rounds_.begin(), rounds_.end());
    }
    stress::Latencies stop()
    {
        stopped_ = true;
        finish_.wait();
        return latencies_;
    }

private:
    using Socket = std::shared_ptr<streams::Stream>;

    int open(std::size_t pair)
    {
        int fds[2];
        EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
        auto asking = std::make_shared<streams::Stream>(fds[0]);
        auto answering = std::make_shared<streams::Stream>(fds[1]);
        spawn([this, pair, asking] { return ask(pair, *asking); });
        spawn([this, answering] { return answer(*answering); });
        return 0;
    }

    int ask(std::size_t pair, const streams::Stream &stream)
    {
        char question[64] = {};
        stress::Latencies latencies;
        while (!stopped_) {
            std::int64_t start_ns = rota_time_ns();
            EXPECT_EQ(64, rota_stream_write(stream, question, sizeof question));
            EXPECT_EQ(64, rota_stream_readexactly(stream, question, sizeof question));
            latencies.add(rota_time_ns() - start_ns);
            rounds_[pair]++;
        }
        rota_stream_close(stream);
        {
            std::lock_guard lock(mutex_);
            latencies_ += latencies;
        }
        finish_.end();
        return 0;
    }

    int answer(const streams::Stream &stream)
    {
        char question[64];
        while (rota_stream_readexactly(stream, question, sizeof question) == sizeof question)
            EXPECT_EQ(64, rota_stream_write(stream, question, sizeof question));
        rota_stream_close(stream);
        finish_.end();
        return 0;
    }

    stress::Finish finish_;
    std::vector<std::atomic<std::uint64_t>> rounds_;
    std::size_t started_ = 0;
    std::atomic<bool> stopped_{false};
    std::mutex mutex_;
    stress::Latencies latencies_; /* under mutex_ */
};

/* Keeps the calling thread busy for a time, and for as long as nobody else gets on. */
void hog(const Echoes &echoes, std::int64_t time_ns)
{
    std::uint64_t before = echoes.rounds();
    std::int64_t start_ns = rota_time_ns();
    std::int64_t limit_ns = start_ns + support::patience_ns(20 * ROTA_SEC);
    auto gets_on = [&] { return echoes.rounds() >= before + 100; };
    while (rota_time_ns() < start_ns + time_ns || (!gets_on() && rota_time_ns() < limit_ns))
        continue;
    EXPECT_TRUE(gets_on());
}

/* A24: a task that computes for 100 ms at a time, and input and output of the other loops. */
TEST(FairnessOfLoops, AHogHoldsUpItsOwnLoopOnly)
{
    ROTA_NOT_WHEN_TASKS_MOVE("they have to move to the loop that is held");
    constexpr std::size_t PAIRS = 2; /* of each loop */
    support::allow_seconds(280);
    std::int64_t hogs = std::min<std::int64_t>(support::scale(2), 100);
    stress::Latencies latencies;
    std::uint64_t rounds = 0;
    EXPECT_EQ(0, loops::run(LOOPS, [&] {
                  Echoes echoes(PAIRS * (LOOPS - 1));
                  for (unsigned loop = 1; loop < LOOPS; loop++)
                      echoes.start(loop, PAIRS);
                  for (std::int64_t i = 0; i < hogs; i++) {
                      hog(echoes, 100 * ROTA_MS);
                      EXPECT_EQ(0, rota_yield());
                  }
                  latencies = echoes.stop();
                  rounds = echoes.rounds();
                  return 0;
              }));
    std::printf("figures: %ld x 100 ms on one of %u loops, %lu round trips on the others, "
                "p50 %.0f us, p99 %.0f us, p99.9 %.0f us\n",
                hogs, LOOPS, rounds, latencies.percentile_us(0.5), latencies.percentile_us(0.99),
                latencies.percentile_us(0.999));
    if (full_scale()) {
        EXPECT_LT(latencies.percentile_us(0.99), P99_MAX_US);
    }
}

/* A24: one task of ten blocks its thread for 10 ms, and then waits for 90 ms. */
TEST(FairnessOfLoops, TasksThatBlockHoldUpNobodyForLong)
{
    constexpr std::size_t BLOCKERS = 10, PAIRS = 11; /* pairs of each loop: 88 tasks */
    support::allow_seconds(280);
    std::int64_t blocks = std::min<std::int64_t>(support::scale(4), 200);
    stress::Latencies latencies;
    std::uint64_t rounds = 0;
    EXPECT_EQ(0, loops::run(LOOPS, [&] {
                  Echoes echoes(PAIRS * LOOPS);
                  for (unsigned loop = 0; loop < LOOPS; loop++)
                      echoes.start(loop, PAIRS);
                  loops::Tasks blockers;
                  for (std::size_t i = 0; i < BLOCKERS; i++)
                      blockers.spawn([blocks] {
                          for (std::int64_t k = 0; k < blocks; k++) {
                              std::this_thread::sleep_for(std::chrono::milliseconds(10));
                              EXPECT_EQ(0, rota_sleep(90 * ROTA_MS));
                          }
                          return 0;
                      });
                  blockers.join();
                  EXPECT_TRUE(loops::eventually([&] { return echoes.rounds_min() > 0; }));
                  latencies = echoes.stop();
                  rounds = echoes.rounds();
                  return 0;
              }));
    std::printf("figures: %zu of %zu tasks block for 10 ms, %ld times each, %u loops, %lu round "
                "trips, p50 %.0f us, p99 %.0f us, p99.9 %.0f us\n",
                BLOCKERS, BLOCKERS + 2 * PAIRS * LOOPS, blocks, LOOPS, rounds,
                latencies.percentile_us(0.5), latencies.percentile_us(0.99),
                latencies.percentile_us(0.999));
    if (full_scale()) {
        EXPECT_LT(latencies.percentile_us(0.99), P99_MAX_US);
    }
}

} // namespace
