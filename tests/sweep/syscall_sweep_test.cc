/* SPDX-License-Identifier: MIT */
/*
 * syscall_sweep_test.cc - every suspending call with its system calls failing (A13).
 *
 * What is answered where. Errors that a call never returns are answered too, since new kernels,
 * file systems and filters of system calls return what their manuals do not name; but for these:
 *
 *   EINTR    only at calls that a signal can interrupt; nor at connect, since a connection goes on
 *            behind an interrupted call, and one that the hook answers for was never begun.
 *   EAGAIN   only at calls on descriptors that do not block. A socket that says so and was ready
 *            has no further edge coming, while a real one that says so has: the hook makes the
 *            kernel look at all registrations again. That is done with one loop only, since another
 *            one might close a descriptor, and register its successor, in between.
 *
 *   write    and read: EINTR and EAGAIN alone. They are those of an eventfd, which knows no other
 *            failure; a lost wake would be a loop that sleeps for ever.
 *
 *   Files and affinity, by which a run chooses its number of loops: every error that is not about
 *            waiting, and none may be seen.
 *
 * What must come of it. EINTR, and EAGAIN but of connect: nothing at all. A poll or a ticker that
 * fails: nothing at all. Every other error of a stream's transfer: that error. Of other calls:
 * success, or that error.
 */
#include "tests/loop/failing_calls.h"
#include "tests/sweep/rows.h"

#include <array>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <sys/epoll.h>
#include <unistd.h>

namespace sweep {
namespace {

constexpr std::array errors = {-EINTR,   -EAGAIN,     -EMFILE, -ENFILE, -ENOMEM,
                               -ENOBUFS, -ECONNRESET, -EPIPE,  -EIO};

bool is_interruptible(roti_syscall site)
{
    switch (site) {
    case ROTI_SYSCALL_epoll_ctl:
    case ROTI_SYSCALL_epoll_pwait2:
    case ROTI_SYSCALL_epoll_wait:
    case ROTI_SYSCALL_read:
    case ROTI_SYSCALL_write:
    case ROTI_SYSCALL_poll:
    case ROTI_SYSCALL_recv:
    case ROTI_SYSCALL_send:
    case ROTI_SYSCALL_sendmsg:
    case ROTI_SYSCALL_accept4:
    case ROTI_SYSCALL_getsockopt:
    case ROTI_SYSCALL_open:
    case ROTI_SYSCALL_open_file:
    case ROTI_SYSCALL_read_file:
        return true;
    default:
        return false;
    }
}

/* Calls that say how many loops a run should have, which is not worth failing for. */
bool is_advice(roti_syscall site)
{
    return site == ROTI_SYSCALL_open_file || site == ROTI_SYSCALL_read_file ||
           site == ROTI_SYSCALL_sched_getaffinity || site == ROTI_SYSCALL_sched_setaffinity;
}

/* Calls on sockets that answer EAGAIN where they would have to wait. */
bool is_transfer(roti_syscall site)
{
    return site == ROTI_SYSCALL_recv || site == ROTI_SYSCALL_send || site == ROTI_SYSCALL_sendmsg ||
           site == ROTI_SYSCALL_accept4;
}

bool is_eventfd(roti_syscall site)
{
    return site == ROTI_SYSCALL_read || site == ROTI_SYSCALL_write;
}

bool may_answer(roti_syscall site, int error, unsigned loops)
{
    if (error == -EINTR)
        return is_interruptible(site);
    if (error == -EAGAIN)
        return is_eventfd(site) || site == ROTI_SYSCALL_connect ||
               (is_transfer(site) && loops == 1);
    return !is_eventfd(site);
}

bool must_be_invisible(roti_syscall site, int error)
{
    return error == -EINTR || (error == -EAGAIN && site != ROTI_SYSCALL_connect) ||
           site == ROTI_SYSCALL_epoll_pwait2 || site == ROTI_SYSCALL_epoll_wait ||
           site == ROTI_SYSCALL_timerfd_settime || is_advice(site);
}

/* Has one epoll look at all its descriptors again: who is ready is announced once more. */
void announce_again(int epoll_fd)
{
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(epoll_fd));
    std::string line;
    while (std::getline(info, line)) {
        int fd = -1;
        unsigned events = 0;
        unsigned long long data = 0;
        if (std::sscanf(line.c_str(), "tfd: %d events: %x data: %llx", &fd, &events, &data) != 3)
            continue;
        epoll_event event{};
        event.events = events;
        event.data.u64 = data;
        if ((events & EPOLLEXCLUSIVE) == 0) {
            EXPECT_EQ(0, epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event));
            continue;
        }
        EXPECT_EQ(0, epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, nullptr)); /* these cannot be changed */
        EXPECT_EQ(0, epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
    }
}

void announce_all_again()
{
    for (int fd = 0; fd < 100; fd++) {
        char target[64];
        std::string link = "/proc/self/fd/" + std::to_string(fd);
        ssize_t size = readlink(link.c_str(), target, sizeof target);
        if (size > 0 &&
            std::string_view(target, static_cast<std::size_t>(size)) == "anon_inode:[eventpoll]")
            announce_again(fd);
    }
}

/* Calls of each site under the last hook. */
std::array<int, ROTI_SYSCALL_COUNT> counted()
{
    std::array<int, ROTI_SYSCALL_COUNT> counts;
    for (std::size_t i = 0; i < counts.size(); i++)
        counts[i] = failing::calls[i];
    return counts;
}

/* Calls fails(site, error, call) for every call that was counted, up to `limit` of each site. */
void for_each_failure(const std::array<int, ROTI_SYSCALL_COUNT> &counts, unsigned loops,
                      std::int64_t limit, const std::function<void(roti_syscall, int, int)> &fails)
{
    for (int i = 0; i < ROTI_SYSCALL_COUNT; i++) {
        auto site = static_cast<roti_syscall>(i);
        for (int error : errors)
            for (int call = 1; call <= counts[static_cast<std::size_t>(i)] && call <= limit; call++)
                if (may_answer(site, error, loops) && !testing::Test::HasFailure()) {
                    SCOPED_TRACE(std::string(roti_syscall_name(site)) + " answers " +
                                 rota_error_name(error) + " at call " + std::to_string(call));
                    fails(site, error, call);
                }
    }
}

class SyscallSweep : public Sweep {
protected:
    /* The scenario, with a hook in place from its begin to its end. */
    int run_hooked(Trial &trial, const std::function<int(roti_syscall)> &answer)
    {
        return run_main([&] {
            failing::Hook hook(answer);
            return row().scenario(trial);
        });
    }

    /* Whether such calls are made only for what the scenario calls: the failure must come up. */
    bool owns_transfers(roti_syscall site) const
    {
        return is_transfer(site) && std::string_view(row().function).starts_with("rota_stream");
    }

    void run_failing(roti_syscall site, int error, int call)
    {
        Trial trial;
        bool invisible = must_be_invisible(site, error);
        if (!invisible)
            trial.set_failing();
        std::atomic<bool> answered{false};
        int r = run_hooked(trial, [=, &answered](roti_syscall asked) {
            if (asked != site || failing::calls[site] != call)
                return 0;
            if (error == -EAGAIN && is_transfer(site))
                announce_all_again();
            answered = true;
            return error;
        });
        EXPECT_TRUE(r == 0 || (r == error && !invisible)) << rota_error_name(r);
        EXPECT_TRUE(r != 0 || !answered || invisible || !owns_transfers(site)) << "it was ignored";
        trial.check_outcome();
    }
};
ROTA_SWEEP_CASES(SyscallSweep);

TEST_P(SyscallSweep, EachCallFails)
{
    support::allow_seconds(120);
    Trial counting;
    EXPECT_EQ(0, run_hooked(counting, [](roti_syscall) { return 0; }));
    for_each_failure(
        counted(), loops(), support::scale(2),
        [this](roti_syscall site, int error, int call) { run_failing(site, error, call); });
    Trial after;
    EXPECT_EQ(0, run(after)) << "unusable after its failures";
}

/* ---- A run from its begin to its end ---- */

class SyscallSweepOfRuns : public testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Loops, SyscallSweepOfRuns, testing::Values(0U, 1U, 4U)); /* 0: chosen */

TEST_P(SyscallSweepOfRuns, EachCallFails)
{
    int runs = 0;
    auto run = [&runs](const std::function<int(roti_syscall)> &answer) {
        runs++;
        failing::Hook hook(answer);
        Held before = Held::now();
        cpu_set_t mask; /* a run cannot give it back where the kernel refuses that */
        EXPECT_EQ(0, sched_getaffinity(0, sizeof mask, &mask));
        rota_run_opts opts{};
        opts.pin_cpus = GetParam() != 1;
        opts.exception_handler = [](const rota_error_info *, void *) {};
        int r = loops::run(
            GetParam(), [] { return rota_sleep(ROTA_US); }, opts);
        EXPECT_EQ(before, Held::now()) << "the run has kept something";
        EXPECT_EQ(0, sched_setaffinity(0, sizeof mask, &mask));
        return r;
    };
    EXPECT_EQ(0, run([](roti_syscall) { return 0; }));
    for_each_failure(counted(), GetParam(), 20, [&](roti_syscall site, int error, int call) {
        int r = run([=](roti_syscall asked) {
            return asked == site && failing::calls[site] == call ? error : 0;
        });
        bool invisible = must_be_invisible(site, error);
        EXPECT_TRUE(r == 0 || (r == error && !invisible)) << rota_error_name(r);
    });
    EXPECT_EQ(0, run([](roti_syscall) { return 0; }));
    RecordProperty("runs", runs);
}

} // namespace
} // namespace sweep
