/* SPDX-License-Identifier: MIT */
/*
 * all_tasks_test.cc - listings of all tasks under fire: each task that is alive throughout is in
 * each listing exactly once, whatever is stolen, spawned and ended meanwhile (B-Z04).
 */
#include <rota/error.h>
#include <rota/future.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <thread>
#include <vector>

#include "tests/loop/run_loops.h"

namespace {

constexpr unsigned LOOPS = 4;

/* A task that is alive throughout. */
struct Steady {
    rota_task *task = nullptr;
    std::uint32_t pass = 0; /* the last listing that it was seen in; the lister's */
};

struct Fire {
    std::vector<Steady> steady;
    std::atomic<bool> stop{false};
    std::atomic<std::int64_t> begun{0};
    std::atomic<std::uint64_t> wrong_loops{0}, resumes{0}, children{0};
    rota_future *gate = nullptr;
};

/* At each resume: the task's loop is the one that runs it. */
void check_loop(Fire &fire)
{
    fire.resumes.fetch_add(1, std::memory_order_relaxed);
    if (rota_task_get_loop(rota_current_task()) != rota_running_loop())
        fire.wrong_loops++;
}

/* A task that runs now and then. Timers make many of them ready at once, on one loop; the others,
 * which have just become idle, steal them. */
int run_on(Fire &fire)
{
    fire.begun++;
    while (!fire.stop) {
        for (int i = 0; i < 4; i++) {
            if (rota_yield() != 0)
                return -1;
            check_loop(fire);
        }
        if (rota_sleep(ROTA_MS) != 0)
            return -1;
        check_loop(fire);
    }
    return 0;
}

/* One that waits for most of the time, as most tasks do. */
int wait_on(Fire &fire)
{
    fire.begun++;
    int r = rota_future_await(fire.gate, nullptr);
    check_loop(fire);
    return r;
}

/* Spawns and ends others, so that slots are used again. It rests, too: only an idle loop steals. */
int breed(Fire &fire)
{
    while (!fire.stop) {
        rota_task *child = nullptr;
        if (rota_task_spawn(
                &child,
                [](void *arg) {
                    int r = rota_yield();
                    check_loop(*static_cast<Fire *>(arg));
                    return r;
                },
                &fire, nullptr) != 0 ||
            rota_task_await(child, nullptr) != 0)
            return -1;
        check_loop(fire);
        rota_task_unref(child);
        if (fire.children++ % 16 == 0 && rota_sleep(200 * ROTA_US) != 0)
            return -1;
    }
    return 0;
}

/* One that keeps its loop until what it has spawned there was stolen, again and again. */
int hold(Fire &fire)
{
    while (!fire.stop) {
        std::atomic<bool> stolen{false};
        loops::Tasks children;
        rota_loop *here = rota_running_loop();
        for (int i = 0; i < 16; i++)
            children.spawn([&fire, &stolen, here] {
                stolen = stolen || rota_running_loop() != here;
                int r = rota_yield();
                check_loop(fire);
                return r;
            });
        std::int64_t end_ns = rota_time_ns() + ROTA_SEC;
        while (!stolen && !fire.stop && rota_time_ns() < end_ns)
            ;
        for (int status : children.join())
            if (status != 0)
                return status;
        fire.children += 16;
    }
    return 0;
}

/* Listings by a thread outside, which nobody else waits for. */
struct Lister {
    Lister(Fire &fire, rota_runtime *runtime)
        : fire(fire), runtime(runtime), entries(fire.steady.size() + 4096)
    {
        for (std::size_t i = 0; i < fire.steady.size(); i++)
            order.push_back({fire.steady[i].task, static_cast<std::uint32_t>(i)});
        std::sort(order.begin(), order.end());
    }

    /* One listing: how many tasks were not in it exactly once. */
    std::uint64_t pass()
    {
        number++;
        ssize_t count = rota_runtime_tasks(runtime, entries.data(), entries.size());
        std::uint64_t seen = 0, wrong = 0;
        for (ssize_t i = 0; i < count && i < static_cast<ssize_t>(entries.size()); i++) {
            wrong += entries[i].loop == nullptr;
            Steady *steady = find(entries[i].task);
            if (steady != nullptr) {
                wrong += steady->pass == number;
                steady->pass = number;
                seen++;
            }
            rota_task_unref(entries[i].task);
        }
        return wrong + (fire.steady.size() - seen);
    }

private:
    struct Place {
        rota_task *task;
        std::uint32_t index;
        bool operator<(const Place &other) const
        {
            return task < other.task;
        }
    };

    /* Slots of one chunk follow each other in a listing: the next place is the likely one. */
    Steady *find(rota_task *task)
    {
        if (next >= order.size() || order[next].task != task) {
            auto place = std::lower_bound(order.begin(), order.end(), Place{task, 0});
            if (place == order.end() || place->task != task)
                return nullptr;
            next = static_cast<std::size_t>(place - order.begin());
        }
        return &fire.steady[order[next++].index];
    }

    Fire &fire;
    rota_runtime *runtime;
    std::vector<rota_task_entry> entries;
    std::vector<Place> order;
    std::size_t next = 0;
    std::uint32_t number = 0;
};

struct Outcome {
    std::int64_t passes = 0;
    std::uint64_t wrong = 0, stolen = 0, children = 0, resumes = 0;
    double seconds = 0;
};

std::uint64_t stolen_by_all(const rota_runtime *runtime)
{
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < LOOPS; i++) {
        rota_counters counters;
        EXPECT_EQ(0, rota_loop_counters(rota_runtime_loop(runtime, i), &counters));
        sum += counters.tasks_stolen;
    }
    return sum;
}

/* Spawns the steady tasks: the first ones run all the time, the others wait. */
void kindle(Fire &fire, std::size_t running_count)
{
    static Fire *burning;
    burning = &fire;
    ASSERT_EQ(0, rota_future_create(&fire.gate, nullptr));
    for (std::size_t i = 0; i < fire.steady.size(); i++) {
        rota_task_fn running = [](void *) { return run_on(*burning); };
        rota_task_fn waiting = [](void *) { return wait_on(*burning); };
        ASSERT_EQ(0, rota_task_spawn(&fire.steady[i].task, i < running_count ? running : waiting,
                                     nullptr, nullptr));
    }
    EXPECT_TRUE(loops::eventually(
        [&] { return fire.begun == static_cast<std::int64_t>(fire.steady.size()); }));
}

void put_out(Fire &fire)
{
    fire.stop = true;
    EXPECT_EQ(0, rota_future_set_result(fire.gate, nullptr));
    for (Steady &steady : fire.steady) {
        int status = 1;
        EXPECT_EQ(0, rota_task_shield(steady.task, &status));
        EXPECT_EQ(0, status);
        rota_task_unref(steady.task);
    }
    rota_future_unref(fire.gate);
}

Outcome list_under_fire(std::size_t count, std::int64_t passes)
{
    Outcome outcome;
    EXPECT_EQ(0, loops::run(LOOPS, [&] {
                  Fire fire{std::vector<Steady>(count)};
                  kindle(fire, 200);
                  loops::Tasks breeders;
                  for (int i = 0; i < 8; i++)
                      breeders.spawn([&fire, i] { return i < 1 ? hold(fire) : breed(fire); });
                  rota_runtime *runtime = rota_running_runtime();
                  rota_future *done = nullptr;
                  EXPECT_EQ(0, rota_future_create(&done, nullptr));
                  std::thread lister([&] {
                      Lister all(fire, runtime);
                      std::uint64_t stolen = stolen_by_all(runtime);
                      std::int64_t start_ns = rota_time_ns();
                      auto more = [&] { /* a short test may see no loop idle */
                                        outcome.stolen = stolen_by_all(runtime) - stolen;
                                        return outcome.stolen == 0 &&
                                               rota_time_ns() - start_ns <
                                                   support::patience_ns(20 * ROTA_SEC);
                      };
                      while (outcome.passes < passes || more()) {
                          outcome.wrong += all.pass();
                          outcome.passes++;
                      }
                      outcome.seconds = static_cast<double>(rota_time_ns() - start_ns) / 1e9;
                      EXPECT_EQ(0, rota_future_set_result(done, nullptr));
                  });
                  EXPECT_EQ(0, rota_future_await(done, nullptr));
                  lister.join();
                  rota_future_unref(done);
                  put_out(fire);
                  for (int status : breeders.join())
                      EXPECT_EQ(0, status);
                  outcome.wrong += fire.wrong_loops;
                  outcome.children = fire.children;
                  outcome.resumes = fire.resumes;
                  return 0;
              }));
    return outcome;
}

void report(const char *what, std::size_t count, const Outcome &outcome)
{
    std::printf("figures: %s: %ld listings of %zu tasks in %.1f s, %lu wrong; meanwhile %lu tasks "
                "stolen, %lu ended, %lu resumes each on the task's loop\n",
                what, static_cast<long>(outcome.passes), count, outcome.seconds, outcome.wrong,
                outcome.stolen, outcome.children, outcome.resumes);
    EXPECT_EQ(0u, outcome.wrong);
    EXPECT_GT(outcome.stolen, 0u);
}

/* 10,000 tasks at scale 1, a million from scale 100 on; ten listings for each unit up to 1,000. */
TEST(AllTasks, AMillionAreListedOnceEach)
{
    support::allow_seconds(280);
    auto count =
        static_cast<std::size_t>(std::min<std::int64_t>(support::scale(10'000), 1'000'000));
    std::int64_t passes = std::min<std::int64_t>(support::scale(10), 1000);
    report("many", count, list_under_fire(count, passes));
}

/* 10,000 tasks; 200 listings for each unit of the scale up to 100,000. */
TEST(AllTasks, TensOfThousandsOfListings)
{
    support::allow_seconds(280);
    auto count = static_cast<std::size_t>(std::min<std::int64_t>(support::scale(2'000), 10'000));
    std::int64_t passes = std::min<std::int64_t>(support::scale(200), 100'000);
    report("often", count, list_under_fire(count, passes));
}

/* ---- What it costs the others ---- */

std::size_t crowd_size()
{
    return static_cast<std::size_t>(std::min<std::int64_t>(support::scale(500), 10'000));
}

/* What the lister does for as long when it does not list: the same load for the machine. */
void spin(std::int64_t duration_ns)
{
    std::int64_t end_ns = rota_time_ns() + duration_ns;
    while (rota_time_ns() < end_ns)
        ;
}

/* Keeps one loop busy, with listings or without, until the probe on the other one is done. */
void keep_busy(const std::atomic<bool> &done, bool listing)
{
    std::vector<rota_task_entry> entries(2 * crowd_size());
    std::int64_t listing_ns = 0;
    for (int i = 0; !done; i++) {
        std::int64_t start_ns = rota_time_ns();
        if (listing || i < 3) {
            ssize_t count =
                rota_runtime_tasks(rota_running_runtime(), entries.data(), entries.size());
            for (ssize_t j = 0; j < count; j++)
                rota_task_unref(entries[j].task);
            listing_ns = rota_time_ns() - start_ns;
        } else {
            spin(listing_ns);
        }
        EXPECT_EQ(0, rota_yield());
    }
}

/* On a loop of its own: how long sixteen turns of it take, again and again; the 99th of 100. */
std::int64_t probe_p99_ns(std::int64_t rounds)
{
    std::vector<std::int64_t> took;
    rota_pin();
    for (std::int64_t i = 0; i < rounds; i++) {
        std::int64_t start_ns = rota_time_ns();
        for (int turn = 0; turn < 16; turn++)
            EXPECT_EQ(0, rota_yield());
        took.push_back(rota_time_ns() - start_ns);
    }
    rota_unpin();
    std::sort(took.begin(), took.end());
    return took[took.size() * 99 / 100];
}

std::int64_t p99_ns(bool listing, std::int64_t rounds)
{
    std::int64_t p99 = 0;
    EXPECT_EQ(0, loops::run(2, [&] {
                  rota_pin();
                  int here = rota_loop_index(rota_running_loop());
                  Fire fire{std::vector<Steady>(crowd_size())};
                  kindle(fire, 0);
                  std::atomic<bool> done{false};
                  loops::Tasks probe;
                  probe.spawn([&, here] {
                      while (rota_loop_index(rota_running_loop()) == here)
                          EXPECT_EQ(0, rota_yield());
                      p99 = probe_p99_ns(rounds);
                      done = true;
                      return 0;
                  });
                  keep_busy(done, listing);
                  probe.join();
                  put_out(fire);
                  rota_unpin();
                  return 0;
              }));
    return p99;
}

double ratio(bool first, bool second, std::int64_t rounds)
{
    auto one = static_cast<double>(p99_ns(first, rounds));
    return static_cast<double>(p99_ns(second, rounds)) / one;
}

/* Pairs without listings, and pairs with one side that lists, ten of each from scale 5 on. At scale
 * 100 and above the median of the latter must lie within the spread of the former. */
TEST(AllTasks, OtherLoopsDoNotNotice)
{
    support::allow_seconds(280);
    auto rounds = std::min<std::int64_t>(support::scale(100), 10'000);
    std::vector<double> same, listing;
    auto pairs = std::min<std::int64_t>(support::scale(2), 10);
    for (std::int64_t pair = 0; pair < pairs; pair++) {
        same.push_back(ratio(false, false, rounds));
        listing.push_back(ratio(false, true, rounds));
    }
    std::sort(same.begin(), same.end());
    std::sort(listing.begin(), listing.end());
    double median = (listing[(listing.size() - 1) / 2] + listing[listing.size() / 2]) / 2;
    std::printf(
        "figures: p99 of another loop's turns with listings / without: median %.2f (%.2f to "
        "%.2f), without / without %.2f to %.2f\n",
        median, listing.front(), listing.back(), same.front(), same.back());
    EXPECT_GT(listing.front(), 0.0);
    if (rounds == 10'000) {
        EXPECT_LE(median, same.back());
    }
}

} // namespace
