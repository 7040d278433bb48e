/* SPDX-License-Identifier: MIT */
/*
 * context_test.cc - V6 to V9, B-V11, H52: contexts copied, entered, read; who is refused.
 */
#include "tests/ctx/fixtures.h"

#include <atomic>
#include <map>
#include <semaphore>

namespace {

using namespace ctx_test;

class ContextTest : public CtxTest {};

TEST_F(ContextTest, V6_CopiesAreInvisibleToEachOther)
{
    Var var, other;
    Context original;
    original.inside([&] { EXPECT_EQ(0, rota_context_var_set(var, val(1), nullptr)); });
    Context copy = Context::copy_of(original);
    EXPECT_TRUE(rota_context_equal(original, copy));
    original.inside([&] { EXPECT_EQ(0, rota_context_var_set(var, val(2), nullptr)); });
    copy.inside([&] { EXPECT_EQ(0, rota_context_var_set(other, val(3), nullptr)); });
    EXPECT_EQ(val(2), original.at(var));
    EXPECT_EQ(val(1), copy.at(var));
    EXPECT_EQ(val(-1), original.at(other));
    EXPECT_EQ(val(3), copy.at(other));
    EXPECT_FALSE(rota_context_equal(original, copy));
}

TEST_F(ContextTest, V6_CopyOfCurrentSeesWhatWasSetSoFar)
{
    Var var;
    Context().inside([&] {
        EXPECT_EQ(0, rota_context_var_set(var, val(1), nullptr));
        Context first = Context::copy_of_current();
        EXPECT_EQ(0, rota_context_var_set(var, val(2), nullptr));
        Context second = Context::copy_of_current();
        EXPECT_EQ(0, rota_context_var_set(var, val(3), nullptr));
        EXPECT_EQ(val(1), first.at(var));
        EXPECT_EQ(val(2), second.at(var));
        EXPECT_EQ(val(3), var.get());
    });
}

TEST_F(ContextTest, V7_RunRestoresAlsoAfterAnError)
{
    Var var;
    Context outer, inner;
    outer.inside([&] {
        EXPECT_EQ(0, rota_context_var_set(var, val(1), nullptr));
        EXPECT_EQ(-EDOM, inner.run([&] {
            EXPECT_EQ(val(-1), var.get());
            EXPECT_EQ(0, rota_context_var_set(var, val(2), nullptr));
            return -EDOM;
        }));
        EXPECT_EQ(val(1), var.get());
        EXPECT_EQ(val(2), inner.at(var)); /* what was set stays in it */
        EXPECT_EQ(42, inner.run([&] {
            EXPECT_EQ(val(2), var.get());
            return 42;
        }));
    });
}

TEST_F(ContextTest, V7_EnteringTwiceIsRefusedHereAndElsewhere)
{
    Context one, two;
    one.inside([&] {
        EXPECT_EQ(-EBUSY, one.run([] {
            ADD_FAILURE() << "called";
            return 0;
        }));
        two.inside([&] { EXPECT_EQ(-EBUSY, one.run([] { return 0; })); });
        on_new_thread([&] {
            EXPECT_EQ(-EBUSY, one.run([] { return 0; }));
            EXPECT_EQ(0, two.run([] { return 0; }));
        });
    });
    EXPECT_EQ(0, one.run([] { return 0; }));
}

TEST_F(ContextTest, V7_ContextMayBeGivenUpWhileItRuns)
{
    Var var;
    rota_context *context;
    ASSERT_EQ(0, rota_context_create(&context));
    auto body = [](void *arg) {
        auto *pair = static_cast<std::pair<rota_context *, rota_context_var *> *>(arg);
        rota_context_unref(pair->first);
        return rota_context_var_set(pair->second, val(1), nullptr);
    };
    std::pair<rota_context *, rota_context_var *> arg(context, var);
    EXPECT_EQ(0, rota_context_run(context, body, &arg));
    rota_context_unref(nullptr);
}

TEST_F(ContextTest, V8_ReadingAContext)
{
    std::vector<Var> vars;
    for (int i = 0; i < 100; i++)
        vars.emplace_back("v");
    Var absent;
    Context context;
    EXPECT_EQ(0u, rota_context_len(context));
    context.inside([&] {
        for (int i = 0; i < 100; i++)
            EXPECT_EQ(0, rota_context_var_set(vars[i], val(i), nullptr));
        EXPECT_EQ(100u, rota_context_len(context)); /* also while it is current */
    });
    void *value = val(-1);
    EXPECT_EQ(ROTA_ELOOKUP, rota_context_get(context, absent, &value));
    EXPECT_EQ(val(-1), value);
    EXPECT_FALSE(rota_context_contains(context, absent));
    EXPECT_EQ(val(42), context.at(vars[42]));

    std::map<rota_context_var *, void *> seen;
    EXPECT_EQ(0, rota_context_iterate(
                     context,
                     [](rota_context_var *var, void *held, void *arg) {
                         static_cast<decltype(seen) *>(arg)->emplace(var, held);
                         return 0;
                     },
                     &seen));
    EXPECT_EQ(100u, seen.size());
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(val(i), seen[vars[i]]);
    EXPECT_EQ(-7, rota_context_iterate(
                      context, [](rota_context_var *, void *, void *) { return -7; }, nullptr));
}

/* V8: iteration is over what was there when it began. */
TEST_F(ContextTest, V8_IterationIsOverASnapshot)
{
    struct Visit {
        std::vector<Var> vars;
        int seen = 0;
    } visit;
    for (int i = 0; i < 64; i++)
        visit.vars.emplace_back("v");
    Context context;
    context.inside([&] {
        for (int i = 0; i < 32; i++)
            EXPECT_EQ(0, rota_context_var_set(visit.vars[i], val(1), nullptr));
        EXPECT_EQ(0, rota_context_iterate(
                         context,
                         [](rota_context_var *, void *value, void *arg) {
                             Visit *state = static_cast<Visit *>(arg);
                             EXPECT_EQ(val(1), value);
                             for (Var &var : state->vars)
                                 EXPECT_EQ(0, rota_context_var_set(var, val(2), nullptr));
                             state->seen++;
                             return 0;
                         },
                         &visit));
    });
    EXPECT_EQ(32, visit.seen);
    EXPECT_EQ(64u, rota_context_len(context));
}

TEST_F(ContextTest, V9_EachThreadStartsEmptyAndEndsClean)
{
    Counted value;
    Var var("counted", counted_opts());
    Context().inside([&] {
        EXPECT_EQ(0, rota_context_var_set(var, &value, nullptr));
        on_new_thread([&] {
            EXPECT_EQ(val(-1), var.get());
            EXPECT_EQ(0, rota_context_var_set(var, &value, nullptr));
            Context copy = Context::copy_of_current();
            EXPECT_EQ(&value, var.get());
        });
        EXPECT_EQ(1, value.held()); /* the thread's context ended with it */
        EXPECT_EQ(&value, var.get());
    });
    EXPECT_EQ(0, value.held());
}

/* B-V11: a copy of a million entries takes one object and no time that depends on them. */
TEST_F(ContextTest, BV11_CopyOfAMillionEntriesIsConstant)
{
    support::allow_seconds(120);
    std::int64_t count = support::scale(1'000'000);
    std::vector<Var> vars;
    vars.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; i++)
        vars.emplace_back("v");
    /* In a thread's own context, into which nobody else can look, all is edited in place. */
    on_new_thread([&] {
        for (std::int64_t i = 0; i < count; i++)
            ASSERT_EQ(0, rota_context_var_set(vars[static_cast<std::size_t>(i)], val(i), nullptr));
        park();
        std::ptrdiff_t before = support::live_bytes();
        Context copy = Context::copy_of_current();
        EXPECT_EQ(static_cast<std::ptrdiff_t>(sizeof(rota_context)),
                  support::live_bytes() - before);
        EXPECT_EQ(static_cast<std::size_t>(count), rota_context_len(copy));
        EXPECT_EQ(val(count / 2), copy.at(vars[static_cast<std::size_t>(count / 2)]));
        Context second = Context::copy_of(copy);
        EXPECT_TRUE(rota_context_equal(copy, second)); /* at once: the same root */

        /* And a write on one side copies a path, not the map. */
        before = support::live_bytes();
        EXPECT_EQ(0, rota_context_var_set(vars[0], val(-5), nullptr));
        EXPECT_LT(support::live_bytes() - before, 4096);
        EXPECT_EQ(val(0), copy.at(vars[0]));
    });
}

/* Copying and reading from outside while the owner writes: every copy is one that was. */
TEST_F(ContextTest, CopiedFromOutsideWhileWritten)
{
    Counted low, high;
    rota_context_var_opts opts = counted_opts();
    Var one("one", opts), two("two", opts);
    Context context;
    context.inside([&] {
        EXPECT_EQ(0, rota_context_var_set(one, &low, nullptr));
        EXPECT_EQ(0, rota_context_var_set(two, &low, nullptr));
    });
    std::atomic<bool> stop{false};
    std::atomic<std::int64_t> torn{0}, copies{0};
    std::thread reader([&] {
        while (!stop) {
            Context copy = Context::copy_of(context);
            /* The owner sets `one` first, and so is never behind with it. */
            torn += copy.at(one) == &low && copy.at(two) == &high;
            torn += rota_context_len(context) < 2;
            copies++;
        }
    });
    std::int64_t rounds = support::scale(30'000);
    context.inside([&] {
        for (std::int64_t i = 0; i < rounds || copies < 10; i++) {
            EXPECT_EQ(0, rota_context_var_set(one, &high, nullptr));
            EXPECT_EQ(0, rota_context_var_set(two, &high, nullptr));
            EXPECT_EQ(0, rota_context_var_set(two, &low, nullptr));
            EXPECT_EQ(0, rota_context_var_set(one, &low, nullptr));
        }
    });
    stop = true;
    reader.join();
    EXPECT_EQ(0, torn);
    {
        Context last = std::move(context);
    }
    park();
    EXPECT_EQ(0, low.held());
    EXPECT_EQ(0, high.held());
}

} // namespace
