/* SPDX-License-Identifier: MIT */
/*
 * watchdog.h - the end of a test that hangs.
 */
#ifndef ROTA_TESTS_WATCHDOG_H
#define ROTA_TESTS_WATCHDOG_H

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace support {

/*
 * A thread that, when a test outlives its limit, prints where each thread of the process is and
 * aborts. All signals are blocked in it, so that it never runs a handler of the test's.
 */
class Watchdog {
public:
    Watchdog();
    ~Watchdog();
    Watchdog(const Watchdog &) = delete;
    Watchdog &operator=(const Watchdog &) = delete;

    void start(const std::string &test, std::chrono::nanoseconds limit);
    void stop();

    /* Counts anew from now, with another limit; nothing when no test runs. */
    void restart(std::chrono::nanoseconds limit);

private:
    using Clock = std::chrono::steady_clock;

    void watch();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::string test_;           /* under mutex_; empty: no test runs */
    Clock::time_point start_;    /* under mutex_ */
    Clock::time_point deadline_; /* under mutex_ */
    bool ended_ = false;         /* under mutex_ */
    std::thread thread_;
};

} // namespace support

#endif
