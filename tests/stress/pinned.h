/* SPDX-License-Identifier: MIT */
/*
 * pinned.h - tasks that stay on a loop of the test's choice, and the wait for their end.
 */
#ifndef ROTA_TESTS_PINNED_H
#define ROTA_TESTS_PINNED_H

#include <rota/future.h>

#include "tests/loop/run_loops.h"

namespace stress {

/* In a task: runs a body as a pinned task of one loop. */
inline void start_on(unsigned index, loops::Body body)
{
    auto spawn = [](void *arg) {
        rota_task_opts opts = {};
        opts.pinned = true;
        opts.arg_release = [](void *copy) { delete static_cast<loops::Body *>(copy); };
        return rota_task_spawn(nullptr, loops::call_body, arg, &opts);
    };
    rota_loop *loop = rota_runtime_loop(rota_running_runtime(), index);
    EXPECT_EQ(0, rota_call_soon_threadsafe(loop, nullptr, spawn, new loops::Body(std::move(body)),
                                           nullptr));
}

/* Counts players down. Made, and waited for once, in a task; ended by any thread. */
class Finish {
public:
    explicit Finish(std::size_t players) : left_(players)
    {
        EXPECT_EQ(0, rota_future_create(&over_, nullptr));
    }
    ~Finish()
    {
        rota_future_unref(over_);
    }
    Finish(const Finish &) = delete;
    Finish &operator=(const Finish &) = delete;

    void end()
    {
        rota_future *over = rota_future_ref(over_); /* the last one ends this object, too */
        if (--left_ == 0) {
            EXPECT_EQ(0, rota_future_set_result(over, nullptr));
        }
        rota_future_unref(over);
    }
    void wait()
    {
        EXPECT_EQ(0, rota_future_await(over_, nullptr));
    }

private:
    rota_future *over_ = nullptr;
    std::atomic<std::size_t> left_;
};

} // namespace stress

#endif
