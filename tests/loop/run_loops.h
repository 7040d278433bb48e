/* SPDX-License-Identifier: MIT */
/*
 * run_loops.h - test bodies that run as the first task of a runtime.
 */
#ifndef ROTA_TESTS_RUN_LOOPS_H
#define ROTA_TESTS_RUN_LOOPS_H

#include <rota/loop.h>
#include <rota/runtime.h>
#include <rota/task.h>
#include <rota/timeout.h>

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <utility>
#include <vector>

#include "sched/task_impl.h"
#include "tests/loop/moves.h"
#include "tests/support/support.h"

namespace loops {

using Body = std::function<int()>;

inline int call_body(void *arg)
{
    return (*static_cast<Body *>(arg))();
}

/* Runs `body` as the first task on `count` loops. Returns what rota_run() returns. */
inline int run(unsigned count, Body body, rota_run_opts opts = {})
{
    opts.loops = count;
    if (support::is_child() && opts.stall_handler == nullptr)
        opts.stall_ns = -1;
    return rota_run(call_body, &body, &opts);
}

/* In a task: gives the loop away until `condition` holds; false when it never did. */
inline bool eventually(const std::function<bool()> &condition)
{
    std::int64_t end_ns = rota_time_ns() + support::patience_ns(20 * ROTA_SEC);
    while (!condition()) {
        if (rota_time_ns() > end_ns || rota_sleep(100 * ROTA_US) != 0)
            return false;
    }
    return true;
}

/* In a task: waits until another one waits, for whatever it is, or is done. */
inline bool settled(rota_task *task)
{
    return eventually([=] {
        enum roti_state state = roti_word_state(task->word.load());
        return state == ROTI_WAITING || state == ROTI_DONE;
    });
}

/* Tasks that live no longer than this object's join(). Their bodies may capture references. */
class Tasks {
public:
    rota_task *spawn(Body body, rota_task_opts opts = {})
    {
        auto *copy = new Body(std::move(body));
        opts.arg_release = [](void *arg) { delete static_cast<Body *>(arg); };
        rota_task *task = nullptr;
        EXPECT_EQ(0, rota_task_spawn(&task, call_body, copy, &opts));
        tasks_.push_back(task);
        return task;
    }

    /* Until each of them waits or is done: nothing of theirs is under way any more. */
    void settle()
    {
        for (rota_task *task : tasks_)
            EXPECT_TRUE(settled(task));
    }

    /* Waits for all and returns their statuses, in the order of spawning. All stay valid until the
     * last has ended, as they may wait for each other. */
    std::vector<int> join()
    {
        std::vector<int> statuses;
        for (rota_task *task : tasks_) {
            int status = 1;
            EXPECT_EQ(0, rota_task_shield(task, &status));
            statuses.push_back(status);
        }
        for (rota_task *task : tasks_)
            rota_task_unref(task);
        tasks_.clear();
        return statuses;
    }

private:
    std::vector<rota_task *> tasks_;
};

/* What an exception handler was told, in order. */
struct Reports {
    struct Report {
        std::string message;
        int error;
        rota_loop *loop;
        rota_task *task;
        rota_future *future;
        rota_callback_fn callback;
        void *arg;
    };

    static void collect(const rota_error_info *info, void *arg)
    {
        auto *self = static_cast<Reports *>(arg);
        std::lock_guard lock(self->mutex);
        self->list.push_back({info->message, info->error, info->loop, info->task, info->future,
                              info->callback, info->arg});
    }

    std::size_t count()
    {
        std::lock_guard lock(mutex);
        return list.size();
    }

    std::mutex mutex;
    std::vector<Report> list; /* under mutex */
};

/* Cases that hold with one loop and with four. */
class OneAndMany : public testing::TestWithParam<unsigned> {
protected:
    int run(Body body, rota_run_opts opts = {})
    {
        return loops::run(GetParam(), std::move(body), opts);
    }
    bool many() const
    {
        return GetParam() > 1;
    }
};

#define ROTA_ONE_AND_MANY(suite)                                                                   \
    INSTANTIATE_TEST_SUITE_P(Loops, suite, testing::Values(1U, 4U),                                \
                             [](const auto &values) { return std::to_string(values.param); })

} // namespace loops

#endif
