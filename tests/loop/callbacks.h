/* SPDX-License-Identifier: MIT */
/*
 * callbacks.h - callbacks that tests schedule.
 */
#ifndef ROTA_TESTS_CALLBACKS_H
#define ROTA_TESTS_CALLBACKS_H

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace loops {

/* A callback that appends its letter to a log, and does what it was given to do. */
struct Letter {
    char letter;
    std::string *log;
    std::function<int()> then = {};

    static int call(void *arg)
    {
        auto *self = static_cast<Letter *>(arg);
        self->log->push_back(self->letter);
        return self->then ? self->then() : 0;
    }
};

inline int count_up(void *arg)
{
    ++*static_cast<std::atomic<int> *>(arg);
    return 0;
}

/* Keeps its loop busy until it is let go. */
struct Blocker {
    std::atomic<bool> running{false};
    std::atomic<bool> go{false};
    std::atomic<bool> ended{false};

    static int call(void *arg)
    {
        auto *self = static_cast<Blocker *>(arg);
        self->running = true;
        while (!self->go)
            std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        self->ended = true;
        return 0;
    }
};

} // namespace loops

#endif
