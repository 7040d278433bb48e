/* SPDX-License-Identifier: MIT */
/*
 * trial.cc - one run of a scenario: the subject, its director, and the requests.
 */
#include "tests/sweep/trial.h"

#include <gtest/gtest.h>

#include <rota/loop.h>
#include <rota/runtime.h>
#include <rota/timeout.h>
#include <utility>

#include "sched/task_impl.h"

namespace sweep {

namespace {

std::atomic<Trial *> current;

/* Gives the loop away for a moment. */
void pause()
{
    int r = rota_runtime_loop_count(rota_running_runtime()) > 1 ? rota_sleep(20 * ROTA_US)
                                                                : rota_yield();
    EXPECT_EQ(0, r);
}

} // namespace

Trial::Trial(const Plan &plan) : plan_(plan)
{
    current = this;
    roti_task_set_suspend_hook(suspend_hook);
}

Trial::~Trial()
{
    roti_task_set_suspend_hook(nullptr);
    current = nullptr;
}

void Trial::pin()
{
    pinned_ = true;
    rota_pin();
}

/* ---- The subject ---- */

void Trial::suspend_hook(rota_task *task)
{
    Trial *self = current;
    if (task == self->target_)
        self->suspending(task);
}

int Trial::make_request(void *arg)
{
    auto *self = static_cast<Trial *>(arg);
    EXPECT_EQ(1, rota_task_cancel(self->target_));
    self->made_++;
    return 0;
}

void Trial::suspending(rota_task *task)
{
    int number = suspensions_ + 1;
    int requests = 0;
    if (plan_.way != Way::never && number == plan_.at)
        requests = plan_.times;
    else if (plan_.later > 0 && number == plan_.at + plan_.later)
        requests = 1;
    for (int i = 0; i < requests; i++) {
        fired_++;
        if (plan_.way == Way::parking)
            make_request(this);
        else
            EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, make_request, this, nullptr));
    }
    suspensions_ = number; /* the director acts on it: not before the request */
    EXPECT_EQ(task, rota_current_task());
}

/* Lets every request be made and be seen. */
void Trial::finish()
{
    int made;
    do {
        made = made_; /* what was made before a yield is seen by it */
        note(rota_yield());
    } while (made < fired_);
}

int Trial::subject_main(void *arg)
{
    auto *self = static_cast<Trial *>(arg);
    self->target_ = rota_current_task();
    int status = self->subject_();
    self->own_suspensions_ = self->suspensions_;
    self->own_seen_ = self->seen_;
    self->finish();
    self->target_ = nullptr;
    return status;
}

/* ---- The director ---- */

int Trial::run(std::function<int()> subject, std::function<void(int)> drive)
{
    rota_task *task = nullptr;
    rota_task_opts opts{};
    subject_ = std::move(subject);
    opts.pinned = pinned_;
    int r = rota_task_spawn(&task, subject_main, this, &opts);
    if (r == 0) {
        while (!rota_task_done(task)) {
            drive(suspensions_);
            pause();
        }
        EXPECT_EQ(0, rota_task_status(task, &r));
        rota_task_unref(task);
        was_run_ = true;
    }
    if (pinned_)
        rota_unpin();
    return r == -ECANCELED && made_ > 0 ? 0 : r;
}

void Trial::check_outcome() const
{
    EXPECT_EQ(fired_, made_);
    EXPECT_LE(seen_, made_ + (scoped_ ? 1 : 0)) << "a request was delivered twice";
    EXPECT_GE(seen_, made_ > 0 ? 1 : 0) << "a request was lost";
}

std::function<void(int)> steps(std::vector<std::function<void()>> list)
{
    return [list = std::move(list), next = 0](int suspensions) mutable {
        while (next < static_cast<int>(list.size()) && suspensions > next)
            list[static_cast<std::size_t>(next++)]();
    };
}

} // namespace sweep
