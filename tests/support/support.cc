/* SPDX-License-Identifier: MIT */
/*
 * support.cc - main() of every test executable, the checks around each test, and small helpers.
 */
#include "tests/support/support.h"

#include "sched/base/alloc.h"
#include "tests/support/checks.h"
#include "tests/support/watchdog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace support {

namespace {

constexpr double limit_seconds = 60;

std::atomic<std::ptrdiff_t> bytes_in_use;
std::unique_ptr<Watchdog> watchdog;
std::vector<void (*)()> releases;

void count_bytes(std::ptrdiff_t change)
{
    bytes_in_use.fetch_add(change, std::memory_order_relaxed);
}

double environment_factor(const char *name)
{
    const char *text = std::getenv(name);
    double factor = text ? std::atof(text) : 1.0;
    return factor > 0 ? factor : 1.0;
}

std::chrono::nanoseconds scaled(double seconds)
{
    return std::chrono::nanoseconds(patience_ns(static_cast<std::int64_t>(seconds * 1e9)));
}

/* Compares what the process holds before and after each test. */
class LeakChecks : public testing::EmptyTestEventListener {
    void OnTestProgramStart(const testing::UnitTest &) override
    {
        roti_alloc_set_balance_hook(count_bytes);
        watchdog = std::make_unique<Watchdog>();
    }

    void OnTestStart(const testing::TestInfo &test) override
    {
        watchdog->start(std::string(test.test_suite_name()) + "." + test.name(),
                        scaled(limit_seconds));
        before_ = Snapshot::take();
    }

    void OnTestEnd(const testing::TestInfo &) override
    {
        for (void (*release)() : releases)
            release();
        std::string difference = settled_difference(*before_);
        EXPECT_EQ("", difference) << "the test left the process other than it found it";
        watchdog->stop();
    }

    void OnTestProgramEnd(const testing::UnitTest &) override
    {
        watchdog.reset();
    }

    std::optional<Snapshot> before_;
};

} // namespace

int slowness()
{
    return ROTA_TEST_SLOWNESS;
}

bool emulated()
{
    return ROTA_TEST_EMULATED;
}

std::int64_t scale(std::int64_t count)
{
    static const double factor = environment_factor("ROTA_TEST_SCALE");
    double scaled_count = static_cast<double>(count) * factor / slowness();
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(scaled_count));
}

std::int64_t patience_ns(std::int64_t ns)
{
    static const double factor = environment_factor("ROTA_TEST_TIMEOUT_SCALE");
    return static_cast<std::int64_t>(static_cast<double>(ns) * factor * slowness());
}

void allow_seconds(double seconds)
{
    watchdog->restart(scaled(seconds));
}

bool eventually(const std::function<bool()> &condition, std::int64_t ns)
{
    auto deadline = std::chrono::steady_clock::now() + std::chrono::nanoseconds(patience_ns(ns));
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= deadline)
            return false;
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return true;
}

void at_test_end(void (*release)())
{
    if (std::find(releases.begin(), releases.end(), release) == releases.end())
        releases.push_back(release);
}

std::ptrdiff_t live_bytes()
{
    return bytes_in_use.load(std::memory_order_relaxed);
}

/* ---- Processes ---- */

static bool inside_child;

bool is_child()
{
    return inside_child || (emulated() && testing::internal::InDeathTestChild());
}

void in_child(const std::function<int()> &body)
{
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        inside_child = true;
        int wrong = body();
        if (wrong != 0)
            fprintf(stderr, "in the child: %d\n", wrong);
        _exit(wrong != 0);
    }
    int status = 0;
    ASSERT_EQ(child, waitpid(child, &status, 0));
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

FewDescriptors::FewDescriptors(unsigned spare)
{
    int next = dup(STDERR_FILENO);
    close(next);
    rlimit limit{};
    EXPECT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
    before_ = limit.rlim_cur;
    limit.rlim_cur = static_cast<rlim_t>(next) + spare;
    EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
}

FewDescriptors::~FewDescriptors()
{
    rlimit limit{};
    EXPECT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = before_;
    EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
}

/* ---- Sockets and files ---- */

namespace {

void close_once(int &fd)
{
    if (fd >= 0)
        close(fd);
    fd = -1;
}

} // namespace

SocketPair::SocketPair()
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds_) != 0)
        throw std::system_error(errno, std::generic_category(), "socketpair");
}

SocketPair::~SocketPair()
{
    close_left();
    close_right();
}

void SocketPair::close_left()
{
    close_once(fds_[0]);
}

void SocketPair::close_right()
{
    close_once(fds_[1]);
}

int SocketPair::release_left()
{
    return std::exchange(fds_[0], -1);
}

int SocketPair::release_right()
{
    return std::exchange(fds_[1], -1);
}

TempDir::TempDir() : path_(std::filesystem::temp_directory_path() / "rota-test-XXXXXX")
{
    if (mkdtemp(path_.data()) == nullptr)
        throw std::system_error(errno, std::generic_category(), "mkdtemp");
}

TempDir::~TempDir()
{
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

} // namespace support

/* What the sanitizers ask for at start; nobody calls these without them. */
extern "C" {
#define SANITIZER_OPTIONS __attribute__((visibility("default"), used)) const char *

SANITIZER_OPTIONS __asan_default_options()
{
    return "detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1:"
           "allocator_may_return_null=1";
}

SANITIZER_OPTIONS __ubsan_default_options()
{
    return "print_stacktrace=1";
}

SANITIZER_OPTIONS __tsan_default_options()
{
    /* Some tests make children of forks start threads. */
    return "second_deadlock_stack=1:history_size=4:allocator_may_return_null=1:die_after_fork=0";
}
}

int main(int argc, char **argv)
{
    /* A shell that is no terminal's starts what runs in the background with SIGINT ignored. */
    std::signal(SIGINT, SIG_DFL);
    testing::InitGoogleTest(&argc, argv);
    /* A child of fork alone would lack the watchdog; started anew it has all that its parent has.
     * But an emulator's child that is started anew is not emulated. */
    GTEST_FLAG_SET(death_test_style, support::emulated() ? "fast" : "threadsafe");
    testing::UnitTest::GetInstance()->listeners().Append(new support::LeakChecks);
    return RUN_ALL_TESTS();
}
