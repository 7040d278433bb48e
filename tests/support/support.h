/* SPDX-License-Identifier: MIT */
/*
 * support.h - what tests share: leak checks, limits of time, failing allocations, sockets, files.
 *
 * Every test executable links main() of support.cc. Around each test it compares what the process
 * holds: descriptors, threads, bytes of rota's heap, stacks of fibers, signal dispositions, the
 * signal mask and the affinity. A difference fails the test. A test that runs longer than its limit
 * ends the process, after the backtraces of all threads were printed.
 *
 * Environment. ROTA_TEST_SCALE          multiplies counts of scale(); default 1
 *              ROTA_TEST_TIMEOUT_SCALE  multiplies limits of time; default 1
 */
#ifndef ROTA_TESTS_SUPPORT_H
#define ROTA_TESTS_SUPPORT_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace support {

/* ---- How much, how long ---- */

/* How many times slower than the native release build this one is taken to be. */
int slowness();

/* Whether an emulator runs this program. Under qemu's, children of fork cannot start threads. */
bool emulated();

/* `count` repetitions, scaled by ROTA_TEST_SCALE and divided by slowness(); never less than 1. */
std::int64_t scale(std::int64_t count);

/* A limit of time for this build: `ns` times slowness() and ROTA_TEST_TIMEOUT_SCALE. */
std::int64_t patience_ns(std::int64_t ns);

/* Gives the running test `seconds` (scaled as above) from now on, instead of 60 from its start. */
void allow_seconds(double seconds);

/* Waits until `condition` holds, for `ns` (scaled) at most; false when it never did. */
bool eventually(const std::function<bool()> &condition, std::int64_t ns = 10'000'000'000);

/* ---- What a test may leave behind ---- */

/*
 * Registers a function that is called before each comparison from now on: it gives back what a
 * thread or the process keeps by design, such as a cached reference.
 */
void at_test_end(void (*release)());

/* Bytes that rota's allocator has given out and not taken back. */
std::ptrdiff_t live_bytes();

/* ---- Failing allocations ---- */

/* Which allocations fail once the k-th is reached: it alone, or it and all after it. */
enum class Failing { one, all };

/* Fails allocations of all threads while it exists; the first one counts as number 0. */
class AllocationFailure {
public:
    AllocationFailure(std::int64_t index, Failing failing);
    ~AllocationFailure();
    AllocationFailure(const AllocationFailure &) = delete;
    AllocationFailure &operator=(const AllocationFailure &) = delete;

    /* Whether an allocation was made to fail. */
    bool happened() const;
};

/* Whether a call may succeed although one of its allocations failed (a cache it can do without). */
enum class Absorbing { never, allowed };

/*
 * Runs `body` with its k-th allocation failing, for every k, once alone and once with all later
 * ones, until it needs no more. `body` returns 0 or a negative error and leaves nothing behind.
 * Fails the test unless each run with a failure returns -ENOMEM (or 0, where absorbing is allowed),
 * the last returns 0, and each gave back what it took. Returns the number of allocations.
 */
std::int64_t sweep_allocations(const std::function<int()> &body,
                               Absorbing absorbing = Absorbing::never);

/* ---- Processes ---- */

/* Runs `body` in a child of fork, which it ends. It answers 0, or something that says what went
 * wrong, such as a line; then the test fails. */
void in_child(const std::function<int()> &body);

/* Whether this is such a child, or that of a death test in an emulator. ThreadSanitizer lets one
 * start few threads, and an emulator none: runs there are without a watchdog, unless the test is
 * about that. */
bool is_child();

/* While it exists this process may have `spare` more descriptors than when it was made. */
class FewDescriptors {
public:
    explicit FewDescriptors(unsigned spare);
    ~FewDescriptors();
    FewDescriptors(const FewDescriptors &) = delete;
    FewDescriptors &operator=(const FewDescriptors &) = delete;

private:
    std::uint64_t before_;
};

/* ---- Sockets and files ---- */

/* Two connected stream sockets of the unix domain, non-blocking, closed at the end. */
class SocketPair {
public:
    SocketPair();
    ~SocketPair();
    SocketPair(const SocketPair &) = delete;
    SocketPair &operator=(const SocketPair &) = delete;

    int left() const
    {
        return fds_[0];
    }
    int right() const
    {
        return fds_[1];
    }

    void close_left();
    void close_right();

    /* Gives the descriptor away: the caller, or who it passes it to, closes it. */
    int release_left();
    int release_right();

private:
    int fds_[2];
};

/* A directory of its own, removed with all that is in it. */
class TempDir {
public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir &) = delete;
    TempDir &operator=(const TempDir &) = delete;

    const std::string &path() const
    {
        return path_;
    }
    std::string file(const std::string &name) const
    {
        return path_ + "/" + name;
    }

private:
    std::string path_;
};

} // namespace support

#endif
