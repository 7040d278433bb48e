/* SPDX-License-Identifier: MIT */
/*
 * scenarios.h - what scenarios are made of. All that can fail for want of memory returns its error.
 */
#ifndef ROTA_TESTS_SCENARIOS_H
#define ROTA_TESTS_SCENARIOS_H

#include <gtest/gtest.h>

#include <functional>
#include <rota/future.h>
#include <rota/loop.h>
#include <rota/task.h>
#include <thread>
#include <utility>

#include "tests/sweep/trial.h"

namespace sweep {

/* A future, released at the end. */
class Future {
public:
    Future() = default;
    ~Future()
    {
        drop();
    }
    Future(const Future &) = delete;
    Future &operator=(const Future &) = delete;

    int create()
    {
        return rota_future_create(&future_, nullptr);
    }
    operator rota_future *() const
    {
        return future_;
    }
    /* Completes it, if it is not. */
    void set(void *value = nullptr)
    {
        int r = rota_future_set_result(future_, value);
        EXPECT_TRUE(r == 0 || r == ROTA_ESTATE) << r;
    }
    void drop()
    {
        rota_future_unref(std::exchange(future_, nullptr));
    }

private:
    rota_future *future_ = nullptr;
};

/* A task that ends before this object does. */
class Child {
public:
    Child() = default;
    ~Child()
    {
        if (task_ == nullptr)
            return;
        while (!rota_task_done(task_)) {
            rota_task_cancel(task_);
            if (rota_task_shield(task_, nullptr) != 0)
                ADD_FAILURE() << "an unfinished child of a cancelled task";
        }
        rota_task_unref(task_);
    }
    Child(const Child &) = delete;
    Child &operator=(const Child &) = delete;

    int spawn(std::function<int()> body)
    {
        body_ = std::move(body);
        return rota_task_spawn(&task_, main, this, nullptr);
    }
    operator rota_task *() const
    {
        return task_;
    }

    /* Awaits it: its status, or the error of the wait. */
    int status_of_await() const
    {
        int status = 0;
        int r = rota_task_await(task_, &status);
        return r < 0 ? r : status;
    }

    /* The same in a subject. Its end is waited for in any case. */
    int await(Trial &trial)
    {
        int r = trial.note(status_of_await());
        end(trial);
        return r;
    }

    /* Cancels it, and waits for its end whatever comes between. In a subject. */
    void end(Trial &trial)
    {
        while (task_ != nullptr && !rota_task_done(task_)) {
            rota_task_cancel(task_);
            (void)trial.note(rota_task_shield(task_, nullptr));
        }
    }

private:
    static int main(void *arg)
    {
        return static_cast<Child *>(arg)->body_();
    }

    std::function<int()> body_;
    rota_task *task_ = nullptr;
};

} // namespace sweep

#endif
