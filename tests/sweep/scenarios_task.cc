/* SPDX-License-Identifier: MIT */
/*
 * scenarios_task.cc - scenarios of tasks, sleeps and callbacks.
 */
#include "tests/sweep/scenarios.h"
#include "tests/sweep/table.h"

#include <rota/runtime.h>
#include <rota/timeout.h>

namespace sweep {

/* ---- rota_task_await, rota_task_shield ---- */

int await_child(Trial &trial)
{
    Future future;
    int r = future.create();
    if (r < 0)
        return r;
    return trial.run(
        [&] {
            Child child;
            int r = child.spawn([&] { return rota_future_await(future, nullptr); });
            return r < 0 ? r : child.await(trial);
        },
        steps({[&] { future.set(); }}));
}

/* A request travels down to the last one. */
int await_chain(Trial &trial)
{
    Future future;
    int r = future.create();
    if (r < 0)
        return r;
    return trial.run(
        [&] {
            Child leaf;
            Child middle;
            Child top;
            int r = leaf.spawn([&] { return rota_future_await(future, nullptr); });
            if (r == 0)
                r = middle.spawn([&] { return leaf.status_of_await(); });
            if (r == 0)
                r = top.spawn([&] { return middle.status_of_await(); });
            r = r < 0 ? r : top.await(trial);
            top.end(trial);
            middle.end(trial);
            leaf.end(trial);
            return r;
        },
        steps({[&] { future.set(); }}));
}

/*
 * A child that has its result, but has not run since: it returns without seeing the request that
 * was passed on to it, which comes back then.
 */
int await_unstoppable(Trial &trial)
{
    Future future;
    int r = future.create();
    if (r < 0)
        return r;
    return trial.run(
        [&] {
            Child child;
            std::atomic<bool> started{false};
            int r = child.spawn([&] {
                started = true;
                int r = rota_future_await(future, nullptr);
                return r < 0 ? r : 7;
            });
            while (r == 0 && !started)
                r = trial.note(rota_yield());
            future.set();
            if (r < 0) {
                child.end(trial);
                return r;
            }
            r = child.await(trial);
            EXPECT_NE(0, r);
            return r == 7 ? 0 : r;
        },
        steps({}));
}

int shield_child(Trial &trial)
{
    Future future;
    Child child;
    int r = future.create();
    if (r == 0)
        r = child.spawn([&] {
            EXPECT_EQ(0, rota_future_await(future, nullptr)) << "a request came through";
            return 7;
        });
    if (r < 0)
        return r;
    r = trial.run(
        [&] {
            int status = 0;
            int r = trial.note(rota_task_shield(child, &status));
            EXPECT_EQ(r == 0 ? 7 : 0, status);
            return r;
        },
        steps({[&] { future.set(); }}));
    future.set();
    int status = 0;
    EXPECT_EQ(0, rota_task_shield(child, &status));
    EXPECT_EQ(7, status);
    return r;
}

/* ---- rota_yield, rota_sleep, rota_sleep_until ---- */

int yield_thrice(Trial &trial)
{
    return trial.run(
        [&] {
            int r = 0;
            for (int i = 0; i < 3 && r == 0; i++)
                r = trial.note(rota_yield());
            return r;
        },
        steps({}));
}

int sleep_shortly(Trial &trial)
{
    return trial.run(
        [&] {
            std::int64_t begun_ns = rota_time_ns();
            int r = trial.note(rota_sleep(200 * ROTA_US));
            EXPECT_TRUE(r < 0 || rota_time_ns() - begun_ns >= 200 * ROTA_US);
            return r < 0 ? r : trial.note(rota_sleep(0));
        },
        steps({}));
}

int sleep_until_instant(Trial &trial)
{
    return trial.run(
        [&] {
            std::int64_t when_ns = rota_time_ns() + 200 * ROTA_US;
            int r = trial.note(rota_sleep_until(when_ns));
            EXPECT_TRUE(r < 0 || rota_time_ns() >= when_ns);
            return r;
        },
        steps({}));
}

/* Scopes that never expire leave the requests of others alone. */
int sleep_in_scopes(Trial &trial)
{
    return trial.run(
        [&] {
            rota_timeout outer{}, inner{};
            EXPECT_EQ(0, rota_timeout_begin(&outer, ROTA_NEVER));
            EXPECT_EQ(0, rota_timeout_begin(&inner, 1000 * ROTA_SEC));
            int r = trial.note(rota_sleep(200 * ROTA_US));
            EXPECT_EQ(r, rota_timeout_end(&inner, r));
            EXPECT_EQ(r, rota_timeout_end(&outer, r));
            return r;
        },
        steps({}));
}

/* A scope that expires, with somebody else's request before, after and at once with its own. */
int sleep_past_scope(Trial &trial)
{
    trial.has_scope();
    return trial.run(
        [&] {
            rota_timeout scope{};
            EXPECT_EQ(0, rota_timeout_begin(&scope, 200 * ROTA_US));
            int r = rota_sleep(ROTA_NEVER);
            EXPECT_EQ(-ECANCELED, r);
            r = trial.note(rota_timeout_end(&scope, r));
            return r == -ETIMEDOUT ? 0 : r;
        },
        steps({}));
}

/* ---- rota_handle_cancel_wait ---- */

namespace {

/* A callback that occupies its loop until it is let go. */
struct Occupation {
    std::atomic<bool> runs{false};
    std::atomic<bool> may_end{false};

    static int callback(void *arg)
    {
        auto *self = static_cast<Occupation *>(arg);
        self->runs = true;
        while (!self->may_end)
            std::this_thread::yield();
        self->runs = false;
        return 0;
    }
};

} // namespace

/* Requests are absorbed: when it returns, the callback has ended, whatever else was asked for. */
int cancel_running_callback(Trial &trial)
{
    trial.pin(); /* the other loop does nothing but the callback */
    Occupation occupation;
    rota_handle handle{};
    rota_runtime *runtime = rota_running_runtime();
    int other = (rota_loop_index(rota_running_loop()) + 1) % rota_runtime_loop_count(runtime);
    rota_loop *loop = rota_runtime_loop(runtime, static_cast<unsigned>(other));
    int r = rota_call_soon_threadsafe(loop, &handle, Occupation::callback, &occupation, nullptr);
    if (r < 0) {
        rota_unpin();
        return r;
    }
    while (!occupation.runs)
        std::this_thread::yield();
    r = trial.run(
        [&] {
            int verdict = trial.note(rota_handle_cancel_wait(&handle));
            EXPECT_EQ(ROTA_ALREADY_RAN, verdict);
            EXPECT_FALSE(occupation.runs);
            return verdict < 0 ? verdict : 0;
        },
        steps({[&] { occupation.may_end = true; }}));
    occupation.may_end = true;
    while (occupation.runs)
        std::this_thread::yield();
    return r;
}

} // namespace sweep
