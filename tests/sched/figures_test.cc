/* SPDX-License-Identifier: MIT */
/*
 * figures_test.cc - waits and run times of steps under a clock that only the tasks move, so that
 * every figure is known: first steps, yields, wakes, callbacks, thefts, switching on and off.
 */
#include "sched/pool.h"
#include "sched/task_impl.h"
#include "tests/support/support.h"

#include <rota/error.h>

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace {

constexpr unsigned WORKERS_MAX = 2;

/* What loops do between steps: nobody's run time. */
constexpr std::int64_t POLL_NS = 7000;
constexpr std::int64_t TIMERS_NS = 90;

/* ---- A pool on a clock of the test's ---- */

std::atomic<std::int64_t> now_ns;

void advance(std::int64_t ns)
{
    now_ns += ns;
}

struct Loop {
    roti_worker worker = {};
    std::mutex mutex;
    std::condition_variable changed;
    bool woken = false; /* under mutex */
    bool held = false;  /* under mutex: a wake does not reach it */
    std::atomic<bool> asleep = false;
    std::vector<std::function<void()>> arrivals; /* own: what polls take, one each */
};

std::int64_t driver_now(void *)
{
    return now_ns;
}

void driver_poll(void *arg, std::int64_t deadline_ns)
{
    auto *loop = static_cast<Loop *>(arg);
    if (deadline_ns != 0 && loop->arrivals.empty()) {
        std::unique_lock lock(loop->mutex);
        loop->asleep = true;
        loop->changed.wait(lock, [=] { return loop->woken && !loop->held; });
        loop->woken = false;
        loop->asleep = false;
    }
    advance(POLL_NS);
    roti_worker_awake(&loop->worker);
    if (loop->arrivals.empty())
        return;
    auto arrival = std::move(loop->arrivals.front());
    loop->arrivals.erase(loop->arrivals.begin());
    arrival();
}

void driver_give_cpu(void *)
{
    std::this_thread::yield();
}

unsigned driver_help(void *)
{
    return 0;
}

bool driver_tick(void *, std::int64_t)
{
    return true;
}

std::int64_t driver_review(void *, std::int64_t)
{
    return INT64_MAX;
}

bool driver_timers_due(void *)
{
    advance(TIMERS_NS);
    return false;
}

void driver_wake(void *arg)
{
    auto *loop = static_cast<Loop *>(arg);
    std::lock_guard lock(loop->mutex);
    loop->woken = true;
    loop->changed.notify_all();
}

/* A callback of the test's. */
struct Callback {
    roti_work work = {};
    std::function<void()> body;
};

void driver_run(void *, roti_work *work)
{
    reinterpret_cast<Callback *>(work)->body();
}

void driver_drop(void *, roti_work *)
{
    ADD_FAILURE() << "a callback was left over";
}

using Body = std::function<void()>;

int call(void *arg)
{
    (*static_cast<Body *>(arg))();
    return 0;
}

class Figures : public testing::Test {
protected:
    /* Room for names in every build, as no other test's task is there. */
    Figures()
    {
        roti_names_forget();
    }
    ~Figures() override
    {
        roti_names_forget();
    }

    /* Runs `body` as the first task. Its run has all figures of `loops` workers afterwards. */
    void run(unsigned count, bool figures, Body body)
    {
        const roti_driver driver = {.now = driver_now,
                                    .real_time = false,
                                    .poll = driver_poll,
                                    .help = driver_help,
                                    .tick = driver_tick,
                                    .timers_due = driver_timers_due,
                                    .give_cpu = driver_give_cpu,
                                    .wake = driver_wake,
                                    .run = driver_run,
                                    .review = driver_review,
                                    .drop = driver_drop};
        roti_worker *workers[WORKERS_MAX];
        for (unsigned i = 0; i < WORKERS_MAX; i++) {
            workers[i] = &loops_[i].worker;
            loops_[i].worker.loop = &loops_[i];
        }
        roti_pool_opts opts = {};
        opts.worker_count = count;
        opts.figures = figures;
        opts.driver = &driver;
        now_ns = 1000;
        int status = 1;
        ASSERT_EQ(0, roti_pool_init(&pool_, &opts, workers));
        EXPECT_EQ(0, roti_pool_run(&pool_, call, &body, 0, &status));
        EXPECT_EQ(0, status);
        roti_pool_done(&pool_);
        roti_stack_pool_drain();
    }

    /* Whether wakes of the loop wait. */
    static void hold(Loop &loop, bool held)
    {
        std::lock_guard lock(loop.mutex);
        loop.held = held;
        loop.changed.notify_all();
    }

    static rota_task *spawn(Body &body, const char *name = nullptr, bool pinned = false)
    {
        rota_task_opts opts = {};
        opts.name = name;
        opts.pinned = pinned;
        rota_task *task = nullptr;
        EXPECT_EQ(0, rota_task_spawn(&task, call, &body, &opts));
        return task;
    }

    static void await(rota_task *task)
    {
        EXPECT_EQ(0, rota_task_await(task, nullptr));
        rota_task_unref(task);
    }

    static rota_histogram read(const roti_histogram &histogram)
    {
        rota_histogram snapshot = {};
        roti_histogram_read(&histogram, &snapshot);
        return snapshot;
    }

    /* That exactly these were recorded. */
    static void expect(const std::vector<std::uint64_t> &expected, const roti_histogram &histogram)
    {
        roti_histogram other = {};
        for (std::uint64_t ns : expected)
            roti_histogram_record(&other, ns);
        rota_histogram want = read(other), have = read(histogram);
        EXPECT_EQ(want.count, have.count);
        EXPECT_EQ(want.sum_ns, have.sum_ns);
        EXPECT_EQ(want.max_ns, have.max_ns);
        for (unsigned i = 0; i < ROTA_HISTOGRAM_BUCKETS; i++)
            EXPECT_EQ(want.buckets[i], have.buckets[i]) << "up to " << rota_histogram_bound(i);
    }

    const roti_figures &figures(unsigned loop = 0) const
    {
        return loops_[loop].worker.figures;
    }

    static void expect_row(const roti_name_figures &row, std::uint64_t started,
                           std::uint64_t finished, std::uint64_t steps, std::uint64_t run_ns,
                           std::uint64_t wait_ns)
    {
        EXPECT_EQ(started, row.started);
        EXPECT_EQ(finished, row.finished);
        EXPECT_EQ(steps, row.steps);
        EXPECT_EQ(run_ns, row.run_ns);
        EXPECT_EQ(wait_ns, row.wait_ns);
    }

    static const roti_name_figures &row(const roti_figures &figures, const char *name)
    {
        char *text = nullptr;
        EXPECT_EQ(0, roti_name_get(name, &text));
        return figures.names[roti_name_number(text)];
    }

    roti_pool pool_ = {};
    Loop loops_[WORKERS_MAX];
};

/* ---- One loop: what runs when is known ---- */

TEST_F(Figures, WaitsAndRunTimesAreExact)
{
    Body a = [] { advance(300); };
    Body b = [] {
        advance(40);
        EXPECT_EQ(0, rota_yield()); /* behind main, which a's end has woken */
        advance(5);
    };
    run(1, true, [&] {
        advance(100);
        rota_task *one = spawn(a, "a"); /* waits 900 */
        advance(50);
        rota_task *two = spawn(b, "b"); /* waits 850, and a's 300 */
        advance(850);
        await(one); /* ready at a's end, while b has 40 to run */
        advance(60);
        await(two); /* b has waited 60; main goes on at its end */
        advance(2);
    });
    expect({0, 900, 1150, 40, 60, 0}, figures().wait);
    expect({1000, 300, 40, 60, 5, 2}, figures().run);
    expect_row(row(figures(), "a"), 1, 1, 1, 300, 900);
    expect_row(row(figures(), "b"), 1, 1, 2, 45, 1210);
    expect_row(row(figures(), "main"), 1, 1, 3, 1062, 40);
}

TEST_F(Figures, CallbacksHaveTheirs)
{
    Callback callback;
    callback.work.kind = ROTI_WORK_CALLBACK;
    callback.body = [] { advance(11); };
    run(1, true, [&] {
        roti_worker *worker = roti_worker_current();
        roti_worker_queues(worker, true, &callback.work);
        roti_worker_push_local(worker, &callback.work);
        advance(500);
        EXPECT_EQ(0, rota_yield()); /* until the callback has run */
        advance(1);
    });
    expect({0, 500, 11}, figures().wait);
    expect({500, 11, 1}, figures().run);
    expect_row(figures().names[ROTI_NAME_CALLBACK], 0, 0, 1, 11, 500);
}

/* What a poll brings is ready from its return on; the time in the poll is nobody's. */
TEST_F(Figures, PollsAreNobodysTime)
{
    Body waits = [] { advance(3); };
    rota_task *task = nullptr;
    run(1, true, [&] {
        Callback *wake = new Callback;
        loops_[0].arrivals.push_back([=, this] {
            advance(25); /* what is taken before it */
            wake->work.kind = ROTI_WORK_CALLBACK;
            wake->body = [=] {
                advance(2);
                delete wake;
            };
            roti_worker_queues(&loops_[0].worker, true, &wake->work);
            roti_worker_push_local(&loops_[0].worker, &wake->work);
        });
        for (int i = 0; i < ROTI_POLL_STEPS; i++) /* one of them polls, and runs the callback */
            EXPECT_EQ(0, rota_yield());
        EXPECT_TRUE(loops_[0].arrivals.empty());
        task = spawn(waits);
        await(task);
    });
    const roti_name_figures &callbacks = figures().names[ROTI_NAME_CALLBACK];
    expect_row(callbacks, 0, 0, 1, 2, 25);
    rota_histogram all = read(figures().run);
    EXPECT_EQ(5u, all.sum_ns);
    EXPECT_EQ(all.count, figures().run.buckets[0] + 2);
}

/* ---- Switching ---- */

TEST_F(Figures, OffThereAreNone)
{
    Body a = [] { advance(300); };
    run(1, false, [&] {
        EXPECT_FALSE(roti_figures_on(&pool_));
        EXPECT_FALSE(roti_figures_known(&pool_));
        await(spawn(a));
    });
    expect({}, figures().wait);
    expect({}, figures().run);
}

TEST_F(Figures, SwitchedOnAndOffWhileTasksRun)
{
    Body a = [] { advance(300); };
    Body off = [this] {
        advance(6);
        roti_figures_switch(&pool_, false);
        advance(6);
    };
    run(1, false, [&] {
        rota_task *before = spawn(a, "queued before");
        advance(1000);
        roti_figures_switch(&pool_, true);
        roti_figures_switch(&pool_, true); /* is as it was */
        EXPECT_TRUE(roti_figures_on(&pool_));
        await(before); /* its step counts, its wait does not; this step began before */
        advance(10);
        rota_task *last = spawn(off, "off"); /* its step began while they were on */
        advance(4);
        await(last);
        EXPECT_TRUE(roti_figures_known(&pool_));
        await(spawn(a, "off again"));
    });
    expect({0, 4}, figures().wait);       /* main's, "off"'s */
    expect({300, 14, 12}, figures().run); /* a, main until it waits for "off", "off" */
    expect_row(row(figures(), "queued before"), 1, 1, 1, 300, 0);
    expect_row(row(figures(), "off again"), 0, 0, 0, 0, 0);
}

/* A time of queueing that was never taken, as its step was not timed, is not taken for the next. */
TEST_F(Figures, OldTimesAreForgotten)
{
    bool stop = false;
    Body yields = [&] {
        while (!stop)
            EXPECT_EQ(0, rota_yield());
    };
    run(1, true, [&] {
        rota_task *task = spawn(yields, "yields"); /* times its queueing */
        roti_figures_switch(&pool_, false);
        EXPECT_EQ(0, rota_yield()); /* it runs, and queues itself, without a time */
        advance(1000000);
        stop = true;
        roti_figures_switch(&pool_, true);
        await(task);
    });
    EXPECT_LT(read(figures().wait).max_ns, 1000000u);
    expect_row(row(figures(), "yields"), 0, 1, 1, 0, 0);
}

/* A name counts for what it is at the end of a step. */
TEST_F(Figures, RenamedTasks)
{
    Body renames = [] {
        advance(10);
        EXPECT_EQ(0, rota_yield());
        advance(20);
        EXPECT_EQ(0, rota_task_set_name(rota_current_task(), "late name"));
        advance(30);
    };
    Body unnamed = [] { advance(1); };
    run(1, true, [&] {
        await(spawn(renames, "early name"));
        await(spawn(unnamed));
    });
    expect_row(row(figures(), "early name"), 1, 0, 1, 10, 0);
    EXPECT_EQ(50u, row(figures(), "late name").run_ns);
    EXPECT_EQ(1u, row(figures(), "late name").finished);
    expect_row(figures().names[ROTI_NAME_UNNAMED], 1, 1, 1, 1, 0);
}

/* ---- Two loops ---- */

/* The wait of a stolen task began where it was queued, and counts where it runs. The thief finds a
 * second one after the first, without sleep: its search is nobody's time. */
TEST_F(Figures, AStolenTaskWaitsForItsThief)
{
    std::atomic<int> running = 0;
    std::atomic<bool> two_is_there = false;
    unsigned here = 0, thief = 1; /* the first task may have been stolen, too */
    Body one = [&] {
        EXPECT_EQ(thief, roti_worker_current()->index);
        running = 1;
        EXPECT_TRUE(support::eventually([&] { return two_is_there.load(); }));
        advance(70);
    };
    Body two = [&] {
        EXPECT_EQ(thief, roti_worker_current()->index);
        advance(30);
        running = 2;
    };
    run(2, true, [&] {
        here = roti_worker_current()->index;
        thief = 1 - here;
        EXPECT_TRUE(support::eventually([&] { return loops_[thief].asleep.load(); }));
        hold(loops_[thief], true);
        rota_task *first = spawn(one, "one");
        advance(5000);
        hold(loops_[thief], false);
        EXPECT_TRUE(support::eventually([&] { return running == 1; }));
        rota_task *second = spawn(two, "two");
        two_is_there = true;
        EXPECT_TRUE(support::eventually([&] { return running == 2; }));
        await(first);
        await(second);
    });
    expect_row(row(figures(thief), "one"), 1, 1, 1, 70, 5000 + POLL_NS + TIMERS_NS);
    expect_row(row(figures(thief), "two"), 1, 1, 1, 30, 70 + TIMERS_NS);
    expect_row(row(figures(here), "one"), 0, 0, 0, 0, 0);
    expect_row(row(figures(here), "two"), 0, 0, 0, 0, 0);
}

} /* namespace */
