/* SPDX-License-Identifier: MIT */
/*
 * checks.cc - what the process holds, read from /proc and asked of rota.
 */
#include "tests/support/checks.h"

#include "tests/support/support.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <sstream>
#include <thread>
#include <unistd.h>

/* Stacks of fibers in use; absent where the test does not link them. */
extern "C" std::size_t roti_stack_live_count(void) __attribute__((weak));

namespace support {

namespace {

std::vector<int> numbers_in(const char *directory)
{
    std::vector<int> numbers;
    DIR *stream = opendir(directory);
    if (stream == nullptr)
        return numbers;
    while (const dirent *entry = readdir(stream)) {
        int number = entry->d_name[0] == '.' ? -1 : std::atoi(entry->d_name);
        if (number >= 0 && number != dirfd(stream))
            numbers.push_back(number);
    }
    closedir(stream);
    return numbers;
}

std::map<int, std::string> open_descriptors()
{
    std::map<int, std::string> descriptors;
    for (int fd : numbers_in("/proc/self/fd")) {
        char target[256];
        std::string link = "/proc/self/fd/" + std::to_string(fd);
        ssize_t length = readlink(link.c_str(), target, sizeof target);
        descriptors[fd] = std::string(target, length > 0 ? static_cast<std::size_t>(length) : 0);
    }
    return descriptors;
}

std::vector<void *> signal_handlers()
{
    std::vector<void *> handlers;
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action = {};
        if (sigaction(number, nullptr, &action) != 0)
            handlers.push_back(nullptr);
        else
            handlers.push_back(reinterpret_cast<void *>(action.sa_handler));
    }
    return handlers;
}

std::string blocked_signals()
{
    sigset_t mask;
    std::string numbers;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (int number = 1; number < NSIG; number++) {
        if (sigismember(&mask, number) == 1)
            numbers += std::to_string(number) + " ";
    }
    return numbers;
}

std::string allowed_cpus()
{
    cpu_set_t set;
    std::string numbers;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return numbers;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &set))
            numbers += std::to_string(cpu) + " ";
    }
    return numbers;
}

void compare_descriptors(const std::map<int, std::string> &before,
                         const std::map<int, std::string> &after, std::ostream &out)
{
    for (const auto &[fd, target] : after) {
        auto found = before.find(fd);
        if (found == before.end())
            out << "left open: fd " << fd << " (" << target << ")\n";
        else if (found->second != target)
            out << "replaced: fd " << fd << " (" << found->second << " by " << target << ")\n";
    }
    for (const auto &[fd, target] : before) {
        if (!after.contains(fd))
            out << "closed by mistake: fd " << fd << " (" << target << ")\n";
    }
}

} // namespace

Snapshot Snapshot::take()
{
    Snapshot now;
    now.descriptors_ = open_descriptors();
    now.threads_ = numbers_in("/proc/self/task").size();
    now.stacks_ = roti_stack_live_count ? roti_stack_live_count() : 0;
    now.bytes_ = live_bytes();
    now.handlers_ = signal_handlers();
    now.signal_mask_ = blocked_signals();
    now.affinity_ = allowed_cpus();
    return now;
}

std::string Snapshot::difference(const Snapshot &later) const
{
    std::ostringstream out;
    compare_descriptors(descriptors_, later.descriptors_, out);
    if (threads_ != later.threads_)
        out << "threads: " << threads_ << " before, " << later.threads_ << " after\n";
    if (stacks_ != later.stacks_)
        out << "stacks of fibers: " << stacks_ << " before, " << later.stacks_ << " after\n";
    if (bytes_ != later.bytes_)
        out << "bytes in use: " << bytes_ << " before, " << later.bytes_ << " after\n";
    for (std::size_t i = 0; i < handlers_.size(); i++) {
        if (handlers_[i] != later.handlers_[i])
            out << "signal " << i + 1 << " (" << strsignal(static_cast<int>(i) + 1)
                << ") has another disposition\n";
    }
    if (signal_mask_ != later.signal_mask_)
        out << "blocked signals: " << signal_mask_ << "before, " << later.signal_mask_ << "after\n";
    if (affinity_ != later.affinity_)
        out << "affinity: " << affinity_ << "before, " << later.affinity_ << "after\n";
    return out.str();
}

std::string settled_difference(const Snapshot &before)
{
    std::string difference;
    for (int attempt = 0; attempt < 200; attempt++) {
        difference = before.difference(Snapshot::take());
        if (difference.empty())
            break;
        std::this_thread::sleep_for(std::chrono::milliseconds(5 * slowness()));
    }
    return difference;
}

} // namespace support
