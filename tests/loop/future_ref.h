/* SPDX-License-Identifier: MIT */
/*
 * future_ref.h - a future that is given back at the end of its scope, and a callback that is told.
 */
#ifndef ROTA_TESTS_FUTURE_REF_H
#define ROTA_TESTS_FUTURE_REF_H

#include <rota/future.h>
#include <rota/loop.h>

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace loops {

/* A reference that is given back at the end of its scope. */
class FutureRef {
public:
    explicit FutureRef(rota_future_opts opts = {})
    {
        EXPECT_EQ(0, rota_future_create(&future_, &opts));
    }
    ~FutureRef()
    {
        drop();
    }
    FutureRef(const FutureRef &) = delete;
    FutureRef &operator=(const FutureRef &) = delete;

    rota_future *get() const
    {
        return future_;
    }
    operator rota_future *() const
    {
        return future_;
    }
    void drop()
    {
        rota_future_unref(std::exchange(future_, nullptr));
    }

private:
    rota_future *future_ = nullptr;
};

/* A done-callback that appends its letter. */
struct DoneLetter {
    char letter;
    std::string *log;
    rota_future *told = nullptr;
    rota_loop *on = nullptr;
    int answer = 0;

    static int call(rota_future *future, void *arg)
    {
        auto *self = static_cast<DoneLetter *>(arg);
        self->log->push_back(self->letter);
        self->told = future;
        self->on = rota_running_loop();
        return self->answer;
    }
};

} // namespace loops

#endif
