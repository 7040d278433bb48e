/* SPDX-License-Identifier: MIT */
/*
 * var_test.cc - V1 to V5, V10, V12: variables, defaults, tokens (B-V05), counted values.
 */
#include "tests/ctx/fixtures.h"

#include <string>

namespace {

using namespace ctx_test;

class VarTest : public CtxTest {};

rota_context_var_opts with_default(void *value)
{
    rota_context_var_opts opts = {};
    opts.has_default = true;
    opts.default_value = value;
    return opts;
}

TEST_F(VarTest, V1_NameIsForPeopleIdentityIsTheAddress)
{
    std::string name = "request";
    Var one(name.c_str()), two(name.c_str()), unnamed(nullptr);
    name = "changed";
    EXPECT_STREQ("request", rota_context_var_name(one));
    EXPECT_STREQ("", rota_context_var_name(unnamed));
    Context().inside([&] {
        EXPECT_EQ(0, rota_context_var_set(one, val(1), nullptr));
        EXPECT_EQ(val(1), one.get());
        EXPECT_EQ(val(-1), two.get());
    });
}

TEST_F(VarTest, V1_RetainAndReleaseComeTogether)
{
    rota_context_var *var = reinterpret_cast<rota_context_var *>(1);
    rota_context_var_opts opts = {};
    opts.retain = Counted::retain;
    EXPECT_EQ(-EINVAL, rota_context_var_create(&var, "half", &opts));
    opts.retain = nullptr;
    opts.release = Counted::release;
    EXPECT_EQ(-EINVAL, rota_context_var_create(&var, "half", &opts));
    EXPECT_EQ(reinterpret_cast<rota_context_var *>(1), var);
}

TEST_F(VarTest, V2_OrderOfLookUp)
{
    Var bare("bare"), with("with", with_default(val(7))), null("null", with_default(nullptr));
    Context().inside([&] {
        void *value = val(-1);
        EXPECT_EQ(ROTA_ELOOKUP, rota_context_var_get(bare, &value));
        EXPECT_EQ(val(-1), value);
        EXPECT_EQ(0, rota_context_var_get(with, &value));
        EXPECT_EQ(val(7), value);
        EXPECT_EQ(0, rota_context_var_get(null, &value));
        EXPECT_EQ(nullptr, value);
        EXPECT_EQ(val(5), rota_context_var_get_or(bare, val(5)));
        EXPECT_EQ(val(5), rota_context_var_get_or(with, val(5))); /* the call's goes first */

        EXPECT_EQ(0, rota_context_var_set(with, val(8), nullptr));
        EXPECT_EQ(0, rota_context_var_set(bare, nullptr, nullptr)); /* NULL is a value */
        EXPECT_EQ(val(8), with.get());
        EXPECT_EQ(val(8), rota_context_var_get_or(with, val(5)));
        EXPECT_EQ(nullptr, bare.get());
        EXPECT_EQ(nullptr, rota_context_var_get_or(bare, val(5)));
    });
}

TEST_F(VarTest, V3_V4_ResetBringsBackTheValueOrNone)
{
    Var var("var", with_default(val(7)));
    Context context;
    context.inside([&] {
        rota_context_token first, second;
        EXPECT_EQ(0, rota_context_var_set(var, val(1), &first));
        EXPECT_EQ(0, rota_context_var_set(var, val(2), &second));
        EXPECT_EQ(val(2), var.get());
        EXPECT_EQ(0, rota_context_var_reset(var, &second));
        EXPECT_EQ(val(1), var.get());
        EXPECT_TRUE(rota_context_contains(context, var));
        EXPECT_EQ(0, rota_context_var_reset(var, &first));
        EXPECT_EQ(val(7), var.get()); /* the entry is gone, the default shows */
        EXPECT_FALSE(rota_context_contains(context, var));
    });
}

TEST_F(VarTest, V4_ResetsInAnyOrderEachBringItsOwnValue)
{
    Var var;
    Context().inside([&] {
        rota_context_token first, second, third;
        EXPECT_EQ(0, rota_context_var_set(var, val(1), &first));
        EXPECT_EQ(0, rota_context_var_set(var, val(2), &second));
        EXPECT_EQ(0, rota_context_var_set(var, val(3), &third));
        EXPECT_EQ(0, rota_context_var_reset(var, &second));
        EXPECT_EQ(val(1), var.get());
        EXPECT_EQ(0, rota_context_var_reset(var, &first));
        EXPECT_EQ(val(-1), var.get());
        EXPECT_EQ(0, rota_context_var_reset(var, &third));
        EXPECT_EQ(val(2), var.get());
    });
}

/* B-V05: three distinct errors, checked in the order used, variable, context. */
TEST_F(VarTest, BV05_ThreeErrorsInTheirOrder)
{
    Var var("var"), other("other");
    Context here, elsewhere;
    rota_context_token token = {}, spent;
    EXPECT_EQ(ROTA_EUSED, rota_context_var_reset(var, &token)); /* never filled */
    here.inside([&] {
        EXPECT_EQ(0, rota_context_var_set(var, val(1), &spent));
        EXPECT_EQ(0, rota_context_var_reset(var, &spent));
        EXPECT_EQ(0, rota_context_var_set(var, val(2), &token));
        EXPECT_EQ(ROTA_EUSED, rota_context_var_reset(var, &spent));
        EXPECT_EQ(ROTA_EVAR, rota_context_var_reset(other, &token));
    });
    elsewhere.inside([&] {
        EXPECT_EQ(ROTA_EUSED, rota_context_var_reset(other, &spent)); /* all three are wrong */
        EXPECT_EQ(ROTA_EVAR, rota_context_var_reset(other, &token));  /* two are */
        EXPECT_EQ(ROTA_ECTX, rota_context_var_reset(var, &token));
        EXPECT_EQ(0, rota_context_var_set(var, val(9), nullptr));
        EXPECT_EQ(ROTA_ECTX, rota_context_var_reset(var, &token));
        EXPECT_EQ(val(9), var.get());
    });
    here.inside([&] {
        EXPECT_EQ(val(2), var.get());
        EXPECT_EQ(0, rota_context_var_reset(var, &token)); /* the errors left it good */
        EXPECT_EQ(val(-1), var.get());
    });
}

TEST_F(VarTest, V4_CopyOfTheContextIsAnotherContext)
{
    Var var;
    Context().inside([&] {
        rota_context_token token;
        EXPECT_EQ(0, rota_context_var_set(var, val(1), &token));
        Context copy = Context::copy_of_current();
        copy.inside([&] { EXPECT_EQ(ROTA_ECTX, rota_context_var_reset(var, &token)); });
        EXPECT_EQ(0, rota_context_var_reset(var, &token));
        EXPECT_EQ(val(1), copy.at(var));
    });
}

/* The plain context of a thread becomes an object at the first token, and stays the same one. */
TEST_F(VarTest, TokensWorkInAThreadsOwnContext)
{
    Var var;
    on_new_thread([&] {
        rota_context_token first, second;
        EXPECT_EQ(0, rota_context_var_set(var, val(1), nullptr));
        EXPECT_EQ(0, rota_context_var_set(var, val(2), &first));
        EXPECT_EQ(0, rota_context_var_set(var, val(3), &second));
        Context().inside([&] { EXPECT_EQ(ROTA_ECTX, rota_context_var_reset(var, &second)); });
        EXPECT_EQ(0, rota_context_var_reset(var, &second));
        EXPECT_EQ(val(2), var.get());
        EXPECT_EQ(0, rota_context_var_reset(var, &first));
        EXPECT_EQ(val(1), var.get());
    });
}

/* A token outlives its context: a later context, at the same address, is not mistaken for it. */
TEST_F(VarTest, TokenOfADeadContextIsForeign)
{
    Var var;
    rota_context_token token;
    {
        Context context;
        context.inside([&] { EXPECT_EQ(0, rota_context_var_set(var, val(1), &token)); });
    }
    Context().inside([&] {
        EXPECT_EQ(0, rota_context_var_set(var, val(2), nullptr));
        EXPECT_EQ(ROTA_ECTX, rota_context_var_reset(var, &token));
        EXPECT_EQ(val(2), var.get());
    });
}

TEST_F(VarTest, TokenOfADeadVariableIsAnotherVariables)
{
    Context context;
    rota_context_token token;
    context.inside([&] {
        Var var;
        EXPECT_EQ(0, rota_context_var_set(var, val(1), &token));
        EXPECT_EQ(0, rota_context_var_reset(var, &token));
        EXPECT_EQ(0, rota_context_var_set(var, val(1), &token));
    });
    Var later;
    context.inside([&] { EXPECT_EQ(ROTA_EVAR, rota_context_var_reset(later, &token)); });
}

/* V5: a token as the guard of a scope: the first reset stays in force. */
TEST_F(VarTest, V5_SecondResetIsRefusedAndChangesNothing)
{
    Var var;
    Context().inside([&] {
        EXPECT_EQ(0, rota_context_var_set(var, val(1), nullptr));
        rota_context_token token;
        EXPECT_EQ(0, rota_context_var_set(var, val(2), &token));
        EXPECT_EQ(0, rota_context_var_reset(var, &token));
        EXPECT_EQ(ROTA_EUSED, rota_context_var_reset(var, &token));
        EXPECT_EQ(val(1), var.get());
    });
}

TEST_F(VarTest, V10_ACalledFunctionsSetIsItsCallersToo)
{
    Var var;
    Context().inside([&] {
        auto callee = [&] { EXPECT_EQ(0, rota_context_var_set(var, val(3), nullptr)); };
        callee();
        EXPECT_EQ(val(3), var.get());
    });
}

/* V12: contexts keep variables alive, and their last holder frees them and their defaults. */
TEST_F(VarTest, V12_ContextsHoldStrongReferences)
{
    Counted fallback, value;
    rota_context_var_opts opts = counted_opts();
    opts.has_default = true;
    opts.default_value = &fallback;
    Context context;
    {
        Var var("held", opts);
        EXPECT_EQ(1, fallback.held());
        context.inside([&] { EXPECT_EQ(0, rota_context_var_set(var, &value, nullptr)); });
        rota_context_var_ref(var);
        rota_context_var_unref(var);
    }
    EXPECT_EQ(1, fallback.held());
    EXPECT_EQ(1, value.held());
    EXPECT_EQ(0, rota_context_iterate(
                     context,
                     [](rota_context_var *var, void *, void *) {
                         EXPECT_STREQ("held", rota_context_var_name(var));
                         return 0;
                     },
                     nullptr));
    {
        Context last = std::move(context);
    }
    park();
    EXPECT_EQ(0, value.held());
    EXPECT_EQ(0, fallback.held());
    rota_context_var_unref(nullptr);
}

class PermanentVarTest : public CtxTest {
protected:
    static void SetUpTestSuite()
    {
        CtxTest::SetUpTestSuite();
        rota_context_var_opts opts = {};
        opts.permanent = true;
        if (var == nullptr) {
            ASSERT_EQ(0, rota_context_var_create(&var, "permanent", &opts));
        }
    }
    static inline rota_context_var *var;
};

TEST_F(PermanentVarTest, IsNeverFreed)
{
    for (int i = 0; i < 3; i++)
        rota_context_var_unref(rota_context_var_ref(var));
    rota_context_var_unref(var);
    rota_context_var_unref(var);
    Context context;
    context.inside([&] { EXPECT_EQ(0, rota_context_var_set(var, val(4), nullptr)); });
    EXPECT_EQ(val(4), context.at(var));
    EXPECT_STREQ("permanent", rota_context_var_name(var));
}

TEST_F(VarTest, TokenHoldsTheValueBeforeUntilItEnds)
{
    Counted one, two;
    Var var("counted", counted_opts());
    {
        Context context;
        context.inside([&] {
            rota_context_token token, none, moved;
            EXPECT_EQ(0, rota_context_var_set(var, &one, &none));
            EXPECT_EQ(0, rota_context_var_set(var, &two, &token));
            EXPECT_EQ(1, one.held()); /* the token's */
            moved = token;
            EXPECT_EQ(0, rota_context_var_reset(var, &moved));
            EXPECT_EQ(&one, var.get());
            EXPECT_EQ(0, two.held());
            EXPECT_EQ(1, one.held()); /* the context's */

            EXPECT_EQ(0, rota_context_var_set(var, &two, &token));
            rota_context_token_discard(&token);
            rota_context_token_discard(&token);
            rota_context_token_discard(nullptr);
            EXPECT_EQ(0, one.held());
            EXPECT_EQ(ROTA_EUSED, rota_context_var_reset(var, &token));
            EXPECT_EQ(&two, var.get());
            rota_context_token_discard(&none); /* holds nothing: there was no value */
        });
    }
    park();
    EXPECT_EQ(0, one.held());
    EXPECT_EQ(0, two.held());
}

/* The same where the map is shared, so that the value before stays in the old map as well. */
TEST_F(VarTest, TokenOfASharedMapHoldsItsOwnReference)
{
    Counted one, two;
    Var var("counted", counted_opts());
    {
        Context context;
        context.inside([&] {
            EXPECT_EQ(0, rota_context_var_set(var, &one, nullptr));
            rota_context_token token;
            {
                Context copy = Context::copy_of_current();
                EXPECT_EQ(0, rota_context_var_set(var, &two, &token));
                EXPECT_EQ(2, one.held());
                EXPECT_EQ(&one, copy.at(var));
            }
            park();
            EXPECT_EQ(1, one.held());
            EXPECT_EQ(0, rota_context_var_reset(var, &token));
            EXPECT_EQ(1, one.held());
            EXPECT_EQ(0, two.held());
        });
    }
    park();
    EXPECT_EQ(0, one.held());
}

/* A release function may use contexts: the change it belongs to is complete. */
TEST_F(VarTest, ReleaseFunctionsMaySetVariables)
{
    static rota_context_var *log;
    Var log_owner("log");
    log = log_owner;
    rota_context_var_opts opts = {};
    opts.retain = [](void *) {};
    opts.release = [](void *value) { EXPECT_EQ(0, rota_context_var_set(log, value, nullptr)); };
    Var var("logging", opts);
    /* A thread's own context: the last value is released at its exit, and sets once more. */
    on_new_thread([&] {
        EXPECT_EQ(0, rota_context_var_set(var, val(1), nullptr));
        EXPECT_EQ(0, rota_context_var_set(var, val(2), nullptr));
        EXPECT_EQ(val(1), log_owner.get());
        EXPECT_EQ(val(2), var.get());
        rota_context_token token;
        EXPECT_EQ(0, rota_context_var_set(var, val(3), &token));
        EXPECT_EQ(0, rota_context_var_reset(var, &token));
        EXPECT_EQ(val(3), log_owner.get());
        EXPECT_EQ(val(2), var.get());
    });
}

TEST_F(VarTest, FailedAllocationChangesNothing)
{
    Counted one, two;
    Var var("counted", counted_opts());
    support::sweep_allocations([&] {
        park();
        rota_context_var *created = nullptr;
        int r = rota_context_var_create(&created, "swept", nullptr);
        if (r < 0) {
            EXPECT_EQ(nullptr, created);
            return r;
        }
        rota_context *raw = nullptr;
        r = rota_context_create(&raw);
        Context context(raw);
        if (r == 0) {
            r = context.run([&] {
                rota_context_token token = {};
                int result = rota_context_var_set(var, &one, nullptr);
                if (result < 0)
                    return result;
                rota_context *copy = nullptr;
                result = rota_context_copy_current(&copy);
                if (result < 0)
                    return result;
                Context owner(copy);
                rota_context *second = nullptr;
                result = rota_context_copy(copy, &second);
                if (result < 0)
                    return result;
                Context second_owner(second);
                result = rota_context_var_set(var, &two, &token);
                if (result < 0) {
                    EXPECT_EQ(ROTA_EUSED, rota_context_var_reset(var, &token));
                    EXPECT_EQ(&one, var.get());
                    return result;
                }
                rota_context *third = nullptr;
                result = rota_context_copy_current(&third);
                Context third_owner(third);
                if (result == 0)
                    result = rota_context_var_reset(var, &token);
                if (result < 0) {
                    EXPECT_EQ(&two, var.get());
                    rota_context_token_discard(&token);
                }
                return result;
            });
        }
        rota_context_var_unref(created);
        {
            Context last = std::move(context);
        }
        park();
        EXPECT_EQ(0, one.held());
        EXPECT_EQ(0, two.held());
        return r;
    });
}

} // namespace
