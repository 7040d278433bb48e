/* SPDX-License-Identifier: MIT */
/*
 * fixtures.h - what the tests of contexts share: owners of variables, contexts and maps, and values
 * that count their references.
 */
#ifndef ROTA_TESTS_CTX_FIXTURES_H
#define ROTA_TESTS_CTX_FIXTURES_H

#include "ctx/context_impl.h"
#include "ctx/hamt.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace ctx_test {

/* A value that nobody looks behind. */
inline void *val(std::intptr_t number)
{
    return reinterpret_cast<void *>(number);
}

/* A value whose references are counted through the functions of its variable. */
struct Counted {
    std::atomic<std::int64_t> retained{0};
    std::atomic<std::int64_t> released{0};

    std::int64_t held() const
    {
        return retained - released;
    }
    static void retain(void *value)
    {
        static_cast<Counted *>(value)->retained++;
    }
    static void release(void *value)
    {
        Counted *counted = static_cast<Counted *>(value);
        if (++counted->released > counted->retained)
            ADD_FAILURE() << "a value was released more often than retained";
    }
};

inline rota_context_var_opts counted_opts()
{
    rota_context_var_opts opts = {};
    opts.retain = Counted::retain;
    opts.release = Counted::release;
    return opts;
}

/* Owns one reference to a variable. */
class Var {
public:
    explicit Var(const char *name = "var")
    {
        EXPECT_EQ(0, rota_context_var_create(&var_, name, nullptr));
    }
    Var(const char *name, const rota_context_var_opts &opts)
    {
        EXPECT_EQ(0, rota_context_var_create(&var_, name, &opts));
    }
    Var(const char *name, std::uint32_t hash, const rota_context_var_opts *opts = nullptr)
    {
        EXPECT_EQ(0, roti_context_var_create_hashed(&var_, name, opts, hash));
    }
    Var(Var &&other) noexcept : var_(other.var_)
    {
        other.var_ = nullptr;
    }
    Var(const Var &) = delete;
    Var &operator=(const Var &) = delete;
    ~Var()
    {
        rota_context_var_unref(var_);
    }
    operator rota_context_var *() const
    {
        return var_;
    }

    /* What get answers here and now; `missing` where it finds nothing. */
    void *get(void *missing = val(-1)) const
    {
        void *value = missing;
        int r = rota_context_var_get(var_, &value);
        EXPECT_TRUE(r == 0 || (r == ROTA_ELOOKUP && value == missing));
        return value;
    }

private:
    rota_context_var *var_ = nullptr;
};

/* Owns one reference to a context. */
class Context {
public:
    Context()
    {
        EXPECT_EQ(0, rota_context_create(&context_));
    }
    explicit Context(rota_context *context) : context_(context) {}
    Context(Context &&other) noexcept : context_(other.context_)
    {
        other.context_ = nullptr;
    }
    Context(const Context &) = delete;
    Context &operator=(const Context &) = delete;
    ~Context()
    {
        rota_context_unref(context_);
    }
    static Context copy_of(rota_context *context)
    {
        rota_context *copy = nullptr;
        EXPECT_EQ(0, rota_context_copy(context, &copy));
        return Context(copy);
    }
    static Context copy_of_current()
    {
        rota_context *copy = nullptr;
        EXPECT_EQ(0, rota_context_copy_current(&copy));
        return Context(copy);
    }
    operator rota_context *() const
    {
        return context_;
    }
    void *at(rota_context_var *var, void *missing = val(-1)) const
    {
        void *value = missing;
        int r = rota_context_get(context_, var, &value);
        EXPECT_EQ(r == 0, rota_context_contains(context_, var));
        return r == 0 ? value : missing;
    }

    /* Runs `body` in this context; the result of rota_context_run(). */
    int run(const std::function<int()> &body) const
    {
        auto call = [](void *arg) { return (*static_cast<const std::function<int()> *>(arg))(); };
        return rota_context_run(context_, call, const_cast<std::function<int()> *>(&body));
    }
    void inside(const std::function<void()> &body) const
    {
        EXPECT_EQ(0, run([&] {
                      body();
                      return 0;
                  }));
    }

private:
    rota_context *context_ = nullptr;
};

/* Runs `body` on a thread of its own, whose context is empty, and waits for its exit. */
inline void on_new_thread(const std::function<void()> &body)
{
    std::thread(body).join();
}

/* Gives back what this thread keeps of maps. */
inline void park()
{
    roti_context_park(roti_thread_self());
}

/* A fixture whose main thread keeps nothing between tests. */
class CtxTest : public testing::Test {
protected:
    static void SetUpTestSuite()
    {
        static bool registered = false;
        if (!registered)
            support::at_test_end(park);
        registered = true;
    }
};

} // namespace ctx_test

#endif
