/* SPDX-License-Identifier: MIT */
/*
 * figures_test.cc - figures of real loops: they agree with the counters whatever moves, can be read
 * and switched while loops run, and have names.
 */
#include <rota/error.h>
#include <rota/figures.h>
#include <rota/timeout.h>

#include "tests/loop/run_loops.h"

#include <cerrno>
#include <map>
#include <string>
#include <thread>

namespace {

using loops::Tasks;

/* What one loop has said of itself after the run. */
struct Told {
    rota_counters counters;
    rota_histogram wait, run;
};

rota_histogram read(const rota_loop *loop, rota_figure figure)
{
    rota_histogram histogram;
    EXPECT_EQ(0, rota_loop_histogram(loop, figure, &histogram));
    return histogram;
}

/* A name's figures; all zero where it has none. */
rota_name_figures read_name(const std::string &name)
{
    std::vector<rota_name_figures> all(ROTI_NAME_COUNT);
    ssize_t count = rota_runtime_name_figures(rota_running_runtime(), all.data(), all.size());
    EXPECT_LE(0, count);
    for (ssize_t i = 0; i < count; i++)
        if (name == all[i].name)
            return all[i];
    return {};
}

/* Tasks, timers, callbacks and tasks of a thread, wakes across loops. */
void make_work()
{
    rota_loop *loop = rota_running_loop();
    rota_runtime *runtime = rota_running_runtime();
    std::atomic<int> called = 0;
    auto count = [](void *arg) {
        ++*static_cast<std::atomic<int> *>(arg);
        return 0;
    };
    std::thread poster([&] {
        for (int i = 0; i < 200; i++) {
            EXPECT_EQ(0, rota_call_soon_threadsafe(loop, nullptr, count, &called, nullptr));
            EXPECT_EQ(0, rota_task_spawn_threadsafe(runtime, nullptr, count, &called, nullptr));
        }
    });
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(0, rota_call_later(nullptr, nullptr, i * 10 * ROTA_US, count, &called, nullptr));
    Tasks tasks;
    for (int i = 0; i < 50; i++) {
        rota_task_opts opts = {};
        opts.name = i % 2 == 0 ? "even" : "odd";
        opts.pinned = i % 5 == 0;
        tasks.spawn(
            [i] {
                Tasks inner;
                for (int k = 0; k < 3; k++)
                    inner.spawn([] { return rota_yield(); });
                EXPECT_EQ(0, rota_sleep(i % 7 * 100 * ROTA_US));
                for (int k = 0; k < 20; k++)
                    EXPECT_EQ(0, rota_yield());
                inner.join();
                return 0;
            },
            opts);
    }
    tasks.join();
    poster.join();
    EXPECT_TRUE(loops::eventually([&] { return called == 420; }));
}

class FiguresOfLoops : public loops::OneAndMany {
protected:
    /* Runs `body`, and returns what each loop has to say when all is over. */
    std::vector<Told> run_and_tell(loops::Body body, rota_run_opts opts = {})
    {
        std::vector<rota_loop *> held;
        EXPECT_EQ(0, run(
                         [&] {
                             for (unsigned i = 0; i < GetParam(); i++)
                                 held.push_back(
                                     rota_loop_ref(rota_runtime_loop(rota_running_runtime(), i)));
                             return body();
                         },
                         opts));
        std::vector<Told> told;
        for (rota_loop *loop : held) {
            Told &one = told.emplace_back();
            EXPECT_EQ(0, rota_loop_counters(loop, &one.counters));
            one.wait = read(loop, ROTA_FIGURE_WAIT);
            one.run = read(loop, ROTA_FIGURE_RUN);
            rota_loop_unref(loop);
        }
        return told;
    }
};

/* Every step has its time, and every one of them was queued at a time that is known: by its own
 * loop, by others, by a poll, by a timer, by threads, in whatever queue; stolen or not. */
TEST_P(FiguresOfLoops, AgreeWithTheCounters)
{
    rota_run_opts opts = {};
    opts.figures = true;
    std::vector<Told> told = run_and_tell(
        [] {
            make_work();
            return 0;
        },
        opts);
    std::uint64_t all = 0;
    for (const Told &loop : told) {
        std::uint64_t steps = loop.counters.switches + loop.counters.callbacks;
        all += steps;
        EXPECT_EQ(steps, loop.run.count);
        EXPECT_EQ(steps, loop.wait.count);
    }
    EXPECT_LT(1000u, all);
}

TEST_P(FiguresOfLoops, AreOffByDefault)
{
    std::vector<Told> told = run_and_tell([] {
        EXPECT_FALSE(rota_runtime_has_figures(rota_running_runtime()));
        make_work();
        EXPECT_EQ(0, rota_runtime_name_figures(rota_running_runtime(), nullptr, 0));
        return 0;
    });
    for (const Told &loop : told) {
        EXPECT_EQ(0u, loop.run.count + loop.run.sum_ns + loop.run.max_ns);
        EXPECT_EQ(0u, loop.wait.count + loop.wait.sum_ns + loop.wait.max_ns);
    }
}

TEST_P(FiguresOfLoops, OfNamesAddUpToThoseOfLoops)
{
    rota_run_opts opts = {};
    opts.figures = true;
    auto add_up = [] {
        rota_runtime *runtime = rota_running_runtime();
        rota_histogram wait, step;
        std::vector<rota_name_figures> all(ROTI_NAME_COUNT);
        rota_name_figures sum = {};
        EXPECT_EQ(0, rota_runtime_histogram(runtime, ROTA_FIGURE_WAIT, &wait));
        EXPECT_EQ(0, rota_runtime_histogram(runtime, ROTA_FIGURE_RUN, &step));
        ssize_t count = rota_runtime_name_figures(runtime, all.data(), all.size());
        EXPECT_EQ(count, rota_runtime_name_figures(runtime, all.data(), 1));
        for (ssize_t i = 0; i < count; i++) {
            EXPECT_LT(0u, all[i].steps) << all[i].name;
            EXPECT_GE(all[i].started, all[i].finished) << all[i].name;
            sum.steps += all[i].steps;
            sum.run_ns += all[i].run_ns;
            sum.wait_ns += all[i].wait_ns;
        }
        return step.count == sum.steps && step.sum_ns == sum.run_ns && wait.sum_ns == sum.wait_ns;
    };
    auto body = [&] {
        make_work();
        EXPECT_EQ(0, rota_runtime_set_figures(rota_running_runtime(), false));
        EXPECT_TRUE(loops::eventually(add_up)) << "though steps that were timed are over";
        if (ROTI_NAME_COUNT > 16) { /* else they may be "(other)" */
            EXPECT_EQ(25u, read_name("even").finished);
            EXPECT_EQ(25u, read_name("odd").started);
        }
        EXPECT_EQ(350u, read_name("(unnamed)").finished);
        return 0;
    };
    EXPECT_EQ(0, run(body, opts));
}

/* Each bucket only grows, the count is their sum, and switching does no harm. */
TEST_P(FiguresOfLoops, AreReadAndSwitchedWhileLoopsRun)
{
    EXPECT_EQ(0, run([] {
                  rota_runtime *runtime = rota_running_runtime();
                  std::atomic<bool> stop = false;
                  std::thread reader([&] {
                      rota_histogram last = {};
                      std::vector<rota_name_figures> names(ROTI_NAME_COUNT);
                      for (int i = 0; !stop; i++) {
                          rota_histogram next, grown;
                          EXPECT_EQ(0, rota_runtime_histogram(runtime, ROTA_FIGURE_RUN, &next));
                          std::uint64_t sum = 0;
                          for (std::uint64_t count : next.buckets)
                              sum += count;
                          EXPECT_EQ(sum, next.count);
                          grown = next;
                          EXPECT_EQ(0, rota_histogram_subtract(&grown, &last));
                          last = next;
                          EXPECT_LE(0,
                                    rota_runtime_name_figures(runtime, names.data(), names.size()));
                          EXPECT_EQ(0, rota_runtime_set_figures(runtime, i % 3 != 0));
                      }
                  });
                  for (int i = 0; i < 5; i++)
                      make_work();
                  stop = true;
                  reader.join();
                  rota_histogram all;
                  EXPECT_EQ(0, rota_runtime_set_figures(runtime, true));
                  make_work();
                  EXPECT_EQ(0, rota_runtime_histogram(runtime, ROTA_FIGURE_RUN, &all));
                  EXPECT_LT(0u, all.count);
                  return 0;
              }));
}

TEST_P(FiguresOfLoops, MisuseIsRefused)
{
    EXPECT_EQ(0, run([] {
                  rota_runtime *runtime = rota_running_runtime();
                  rota_loop *loop = rota_running_loop();
                  rota_histogram histogram;
                  histogram.count = 77;
                  EXPECT_EQ(-EINVAL, rota_runtime_set_figures(nullptr, true));
                  EXPECT_FALSE(rota_runtime_has_figures(nullptr));
                  EXPECT_EQ(-EINVAL, rota_loop_histogram(nullptr, ROTA_FIGURE_RUN, &histogram));
                  EXPECT_EQ(-EINVAL, rota_loop_histogram(loop, ROTA_FIGURE_RUN, nullptr));
                  EXPECT_EQ(-EINVAL, rota_loop_histogram(loop, rota_figure(0), &histogram));
                  EXPECT_EQ(-EINVAL, rota_loop_histogram(loop, rota_figure(3), &histogram));
                  EXPECT_EQ(-EINVAL, rota_runtime_histogram(nullptr, ROTA_FIGURE_WAIT, &histogram));
                  EXPECT_EQ(-EINVAL, rota_runtime_histogram(runtime, ROTA_FIGURE_WAIT, nullptr));
                  EXPECT_EQ(-EINVAL, rota_runtime_histogram(runtime, rota_figure(3), &histogram));
                  EXPECT_EQ(77u, histogram.count) << "written by a call that failed";
                  rota_name_figures names[2];
                  EXPECT_EQ(-EINVAL, rota_runtime_name_figures(nullptr, names, 2));
                  EXPECT_EQ(-EINVAL, rota_runtime_name_figures(runtime, nullptr, 2));
                  EXPECT_EQ(0, rota_runtime_name_figures(runtime, nullptr, 0));
                  return 0;
              }));
}

/* Whatever clock they are taken by, it runs as the machine's does. */
TEST_P(FiguresOfLoops, TheirClockIsTheMachines)
{
    rota_run_opts opts = {};
    opts.figures = true;
    std::vector<Told> told = run_and_tell(
        [] {
            std::int64_t end_ns = rota_time_ns() + 50 * ROTA_MS;
            while (rota_time_ns() < end_ns)
                ;
            return 0;
        },
        opts);
    std::uint64_t longest = 0;
    for (const Told &loop : told)
        longest = std::max(longest, loop.run.max_ns);
    EXPECT_LT(49 * ROTA_MS, std::int64_t(longest));
    EXPECT_GT(20 * ROTA_SEC, std::int64_t(longest));
}

ROTA_ONE_AND_MANY(FiguresOfLoops);

} /* namespace */
