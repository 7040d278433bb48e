/* SPDX-License-Identifier: MIT */
/*
 * trial.h - one run of a scenario: a task under test, and who cancels it where.
 *
 * A scenario is a function that runs as the first task of a runtime, the director. It sets up what
 * it needs, has Trial::run() start the task under test (the subject), makes happen what the subject
 * waits for, and checks what is left. The same function serves all sweeps: it returns 0, or the
 * error that any of its calls has met, and leaves nothing behind.
 *
 * Where a request is made. The scheduler tells of each suspension of the subject on its own stack,
 * just before the switch. There the request is made at once (the task is about to wait), or by a
 * callback of that loop, which runs when the switch is over (the task waits, or was woken already).
 *
 * Exactly one outcome. The subject passes the result of each of its suspending calls to note(),
 * which counts -ECANCELED. Trial::run() appends yields, until all requests have been made and a
 * further one cannot be pending. So a request that was made must have been seen once, whatever it
 * met: in the call, or, where that call had its result already, in the next one.
 */
#ifndef ROTA_TESTS_TRIAL_H
#define ROTA_TESTS_TRIAL_H

#include <rota/task.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <vector>

namespace sweep {

enum class Way {
    never,
    parking, /* at the suspension itself */
    waiting, /* by a callback, right after it */
};

/* When the subject is cancelled. */
struct Plan {
    Way way = Way::never;
    int at = 0;    /* the number of the suspension, from 1 on */
    int times = 1; /* requests made there */
    int later = 0; /* one more request, so many suspensions later; 0: none */
};

class Trial {
public:
    explicit Trial(const Plan &plan = {});
    ~Trial();
    Trial(const Trial &) = delete;
    Trial &operator=(const Trial &) = delete;

    /*
     * In the director, once: runs the subject to its end. `drive` is called again and again with
     * the number of its suspensions so far, and makes happen what it waits for. Returns the
     * subject's status, 0 for a cancellation that was asked for; or why it could not be started.
     */
    int run(std::function<int()> subject, std::function<void(int)> drive);

    /* Both stay on the director's loop from now on. In the director, before run(). */
    void pin();

    /* A scope of time in the subject may cancel it too: a request of ours may be seen once more. */
    void has_scope()
    {
        scoped_ = true;
    }

    /* In the subject: takes a look at what a suspending call has returned. */
    template <typename Result> Result note(Result result)
    {
        if (result == -ECANCELED)
            seen_++;
        return result;
    }

    /* Some call is made to fail in this run: what the peer gets need not be complete. */
    void set_failing()
    {
        failing_ = true;
    }
    bool is_failing() const
    {
        return failing_;
    }

    bool was_run() const
    {
        return was_run_;
    }
    /* How often the subject suspended in its own calls. */
    int suspensions() const
    {
        return own_suspensions_;
    }
    /* How often it has seen a request in those. */
    int own_seen() const
    {
        return own_seen_;
    }
    /* Requests made. */
    int requests() const
    {
        return made_;
    }
    /* Fails the test unless the requests were seen as often as they must. */
    void check_outcome() const;

private:
    static void suspend_hook(rota_task *task);
    static int subject_main(void *arg);
    static int make_request(void *arg);

    void suspending(rota_task *task);
    void finish();

    const Plan plan_;
    std::function<int()> subject_;
    std::atomic<rota_task *> target_{nullptr};
    std::atomic<int> suspensions_{0};
    std::atomic<int> fired_{0}; /* requests asked for */
    std::atomic<int> made_{0};
    std::atomic<int> seen_{0};
    int own_suspensions_ = 0;
    int own_seen_ = 0;
    bool was_run_ = false;
    bool pinned_ = false;
    bool scoped_ = false;
    bool failing_ = false;
};

/* A drive: the n-th function is called once the subject has suspended n times. */
std::function<void(int)> steps(std::vector<std::function<void()>> list);

} // namespace sweep

#endif
