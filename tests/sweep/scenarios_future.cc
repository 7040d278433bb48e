/* SPDX-License-Identifier: MIT */
/*
 * scenarios_future.cc - scenarios of futures and contexts.
 */
#include "tests/sweep/scenarios.h"
#include "tests/sweep/table.h"

#include <rota/context.h>

namespace sweep {

/* ---- rota_future_await ---- */

/* Cancelling a waiter leaves the future and its other waiters alone. */
int await_result(Trial &trial)
{
    int marker = 0;
    Future future;
    Child other;
    int r = future.create();
    if (r == 0)
        r = other.spawn([&] { return rota_future_await(future, nullptr); });
    if (r < 0)
        return r;
    r = trial.run(
        [&] {
            void *value = nullptr;
            int r = trial.note(rota_future_await(future, &value));
            EXPECT_EQ(r == 0 ? &marker : nullptr, value);
            return r;
        },
        steps({[&] { future.set(&marker); }}));
    EXPECT_FALSE(rota_future_cancelled(future));
    future.set(&marker);
    int status = 1;
    EXPECT_EQ(0, rota_task_shield(other, &status));
    EXPECT_EQ(0, status);
    return r;
}

int await_error(Trial &trial)
{
    Future future;
    int r = future.create();
    if (r < 0)
        return r;
    r = trial.run(
        [&] {
            int r = trial.note(rota_future_await(future, nullptr));
            return r == -EDOM ? 0 : r;
        },
        steps({[&] { EXPECT_EQ(0, rota_future_set_error(future, -EDOM)); }}));
    EXPECT_EQ(rota_future_done(future) ? -EDOM : ROTA_ESTATE, rota_future_result(future, nullptr));
    return r;
}

/* The last reference goes while somebody waits. */
int await_closed(Trial &trial)
{
    Future future;
    int r = future.create();
    if (r < 0)
        return r;
    rota_future *awaited = future;
    return trial.run(
        [&, awaited] {
            int r = trial.note(rota_future_await(awaited, nullptr));
            return r == ROTA_ECLOSED ? 0 : r;
        },
        steps({[&] { future.drop(); }}));
}

/* ---- rota_context_run, rota_context_iterate ---- */

namespace {

/* A context and a variable, released at the end. */
struct Variable {
    ~Variable()
    {
        rota_context_unref(context);
        rota_context_var_unref(var);
    }
    int create(const char *name)
    {
        int r = rota_context_var_create(&var, name, nullptr);
        return r == 0 ? rota_context_create(&context) : r;
    }

    rota_context_var *var = nullptr;
    rota_context *context = nullptr;
};

/* A function that can be given to C. */
struct Call {
    std::function<int()> body;

    static int run(void *arg)
    {
        return static_cast<Call *>(arg)->body();
    }
};

int run_in(rota_context *context, std::function<int()> body)
{
    Call call{std::move(body)};
    return rota_context_run(context, Call::run, &call);
}

} // namespace

/* Whatever comes between, both contexts are left again, and keep what was set in them. */
int run_in_contexts(Trial &trial)
{
    Variable outer, inner;
    Future future;
    int values[2] = {1, 2};
    int r = outer.create("outer");
    if (r == 0)
        r = inner.create("inner");
    if (r == 0)
        r = future.create();
    if (r < 0)
        return r;
    auto wait_inside = [&] {
        int r = rota_context_var_set(outer.var, &values[1], nullptr);
        return r < 0 ? r : trial.note(rota_future_await(future, nullptr));
    };
    r = trial.run(
        [&] {
            int r = run_in(outer.context, [&] {
                int r = rota_context_var_set(outer.var, &values[0], nullptr);
                r = r < 0 ? r : run_in(inner.context, wait_inside);
                void *value = rota_context_var_get_or(outer.var, nullptr);
                EXPECT_TRUE(value == &values[0] || r == -ENOMEM);
                return r < 0 ? r : trial.note(rota_yield());
            });
            EXPECT_EQ(nullptr, rota_context_var_get_or(outer.var, nullptr));
            return r;
        },
        steps({[&] { future.set(); }}));
    EXPECT_EQ(9, run_in(outer.context, [] { return 9; })) << "it is entered still";
    EXPECT_EQ(9, run_in(inner.context, [] { return 9; })) << "it is entered still";
    return r;
}

int iterate_and_wait(Trial &trial)
{
    Variable variables[3];
    for (Variable &variable : variables) {
        int r = variable.create("variable");
        if (r == 0)
            r = run_in(variables[0].context,
                       [&] { return rota_context_var_set(variable.var, &variable, nullptr); });
        if (r < 0)
            return r;
    }
    struct Visit {
        Trial &trial;
        int seen;
    } visit{trial, 0};
    int r = trial.run(
        [&] {
            auto visitor = [](rota_context_var *, void *, void *arg) {
                auto *visit = static_cast<Visit *>(arg);
                visit->seen++;
                return visit->trial.note(rota_yield());
            };
            int r = rota_context_iterate(variables[0].context, visitor, &visit);
            EXPECT_TRUE(r < 0 || visit.seen == 3) << visit.seen;
            return r;
        },
        steps({}));
    EXPECT_EQ(3U, rota_context_len(variables[0].context));
    return r;
}

} // namespace sweep
