/* SPDX-License-Identifier: MIT */
/*
 * watchdog.cc - the end of a test that hangs, with the backtraces of all threads.
 *
 * Design.   Each thread is sent a signal whose handler stores its own backtrace; the watchdog waits
 *           for it, prints the addresses, and asks addr2line for names. A thread that blocks the
 *           signal is reported by its name alone.
 * Threads.  The watchdog's alone, but for the handler, which runs in one thread at a time.
 */
#include "tests/support/watchdog.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <execinfo.h>
#include <fstream>
#include <link.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace support {

namespace {

constexpr int ask_signal = SIGPROF; /* as a profiler, which loops' threads answer too */
constexpr int depth_max = 48;

void *answer[depth_max];
std::atomic<int> answer_depth;

void store_backtrace(int)
{
    answer_depth.store(backtrace(answer, depth_max), std::memory_order_release);
}

/* Where the executable lies: what addr2line wants is relative to it. */
std::uintptr_t executable_base()
{
    std::uintptr_t base = 0;
    dl_iterate_phdr(
        [](dl_phdr_info *info, std::size_t, void *arg) {
            *static_cast<std::uintptr_t *>(arg) = info->dlpi_addr;
            return 1; /* the first is the executable */
        },
        &base);
    return base;
}

void print_names(int depth)
{
    static char command[4096];
    char exe[1024];
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (length <= 0)
        return;
    exe[length] = '\0';
    int used = std::snprintf(command, sizeof command, "addr2line -Cfpsie '%s'", exe);
    std::uintptr_t base = executable_base();
    for (int i = 0; i < depth && used > 0 && used < 4000; i++) {
        /* One less than a return address lies within the call. */
        std::uintptr_t address = reinterpret_cast<std::uintptr_t>(answer[i]) - base - (i > 0);
        used += std::snprintf(command + used, sizeof command - static_cast<std::size_t>(used),
                              " %#zx", static_cast<std::size_t>(address));
    }
    std::strcat(command, " 1>&2");
    if (std::system(command) != 0)
        std::fprintf(stderr, "  (addr2line gives no names)\n");
}

void print_thread(int tid)
{
    std::string name;
    std::getline(std::ifstream("/proc/self/task/" + std::to_string(tid) + "/comm"), name);
    std::fprintf(stderr, "\nthread %d (%s)\n", tid, name.c_str());
    answer_depth.store(0, std::memory_order_relaxed);
    if (syscall(SYS_tgkill, getpid(), tid, ask_signal) != 0)
        return;
    int depth = 0;
    for (int waited = 0; waited < 100 && depth == 0; waited++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        depth = answer_depth.load(std::memory_order_acquire);
    }
    if (depth == 0) {
        std::fprintf(stderr, "  (does not answer)\n");
        return;
    }
    backtrace_symbols_fd(answer, depth, STDERR_FILENO);
    print_names(depth);
}

void print_all_threads()
{
    struct sigaction action = {};
    action.sa_handler = store_backtrace;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigaction(ask_signal, &action, nullptr);
    int self = static_cast<int>(syscall(SYS_gettid));
    DIR *stream = opendir("/proc/self/task");
    if (stream == nullptr)
        return;
    while (const dirent *entry = readdir(stream)) {
        int tid = std::atoi(entry->d_name);
        if (tid > 0 && tid != self)
            print_thread(tid);
    }
    closedir(stream);
}

} // namespace

Watchdog::Watchdog()
{
    /* The first call loads libgcc; it must not happen in a handler. */
    void *here[1];
    (void)backtrace(here, 1);

    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { watch(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Watchdog::~Watchdog()
{
    {
        std::lock_guard lock(mutex_);
        ended_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void Watchdog::start(const std::string &test, std::chrono::nanoseconds limit)
{
    {
        std::lock_guard lock(mutex_);
        test_ = test;
        start_ = Clock::now();
        deadline_ = start_ + limit;
    }
    changed_.notify_one();
}

void Watchdog::stop()
{
    std::lock_guard lock(mutex_);
    test_.clear();
}

void Watchdog::restart(std::chrono::nanoseconds limit)
{
    {
        std::lock_guard lock(mutex_);
        deadline_ = Clock::now() + limit;
    }
    changed_.notify_one();
}

void Watchdog::watch()
{
    std::unique_lock lock(mutex_);
    while (!ended_) {
        if (test_.empty()) {
            changed_.wait(lock);
        } else if (Clock::now() < deadline_) {
            changed_.wait_until(lock, deadline_);
        } else {
            std::chrono::duration<double> age = Clock::now() - start_;
            std::fprintf(stderr, "\n%s has run for %.1f s: it hangs\n", test_.c_str(), age.count());
            print_all_threads();
            std::abort();
        }
    }
}

} // namespace support
