/* SPDX-License-Identifier: MIT */
/*
 * cpus_test.cc - how many CPUs a process may use: affinity masks, limits, what a run makes of them.
 */
#include <memory>
#include <sched.h>
#include <thread>

#include "loop/cpus.h"
#include "loop/loop_impl.h"
#include "tests/loop/cgroup_tree.h"
#include "tests/loop/failing_calls.h"
#include "tests/loop/run_loops.h"

namespace {

using namespace cgroups;

/* ---- Masks ---- */

roti_cpu_mask mask_of(std::initializer_list<unsigned> cpus)
{
    roti_cpu_mask mask{};
    for (unsigned cpu : cpus)
        mask.words[cpu / ROTI_CPU_WORD_BITS] |= 1UL << (cpu % ROTI_CPU_WORD_BITS);
    return mask;
}

std::unique_ptr<roti_cpu_mask> all_of(unsigned count)
{
    auto mask = std::make_unique<roti_cpu_mask>();
    for (unsigned cpu = 0; cpu < count; cpu++)
        mask->words[cpu / ROTI_CPU_WORD_BITS] |= 1UL << (cpu % ROTI_CPU_WORD_BITS);
    return mask;
}

TEST(CpuMask, LargerThanTheCLibrarysSet)
{
    static_assert(ROTI_CPU_MAX > CPU_SETSIZE);
    roti_cpu_mask mask = mask_of({0, 63, 64, 1500, 8191});
    EXPECT_EQ(5U, roti_cpu_mask_count(&mask));
    unsigned expected[] = {0, 63, 64, 1500, 8191, 0, 63};
    for (unsigned n = 0; n < 7; n++)
        EXPECT_EQ(expected[n], roti_cpu_mask_nth(&mask, n));
    EXPECT_EQ(8192U, roti_cpu_mask_count(all_of(8192).get()));
}

TEST(CpuMask, IsTheThreads)
{
    std::thread([] {
        cpu_set_t before;
        roti_cpu_mask mask;
        ASSERT_EQ(0, sched_getaffinity(0, sizeof before, &before));
        ASSERT_TRUE(roti_cpu_mask_read(&mask));
        ASSERT_EQ(static_cast<unsigned>(CPU_COUNT(&before)), roti_cpu_mask_count(&mask));
        for (unsigned n = 0; n < roti_cpu_mask_count(&mask); n++) {
            cpu_set_t now;
            roti_cpu_mask_bind(&mask, n);
            ASSERT_EQ(0, sched_getaffinity(0, sizeof now, &now));
            EXPECT_EQ(1, CPU_COUNT(&now));
            EXPECT_TRUE(CPU_ISSET(roti_cpu_mask_nth(&mask, n), &now));
        }
        roti_cpu_mask_apply(&mask);
        cpu_set_t after;
        ASSERT_EQ(0, sched_getaffinity(0, sizeof after, &after));
        EXPECT_TRUE(CPU_EQUAL(&before, &after));
    }).join();
}

TEST(CpuMask, OneThatCannotBeReadIsOneCpu)
{
    for (int error : {-EINVAL, -ENOSYS, -EPERM}) {
        failing::Hook hook(
            [=](roti_syscall site) { return site == ROTI_SYSCALL_sched_getaffinity ? error : 0; });
        roti_cpu_mask mask;
        EXPECT_FALSE(roti_cpu_mask_read(&mask));
        EXPECT_EQ(1U, roti_cpu_mask_count(&mask));
    }
}

/* ---- Both together ---- */

TEST(Cpus, ALimitIsRoundedUp)
{
    struct {
        unsigned cpus;
        roti_cpu_limit limit;
        unsigned count;
        bool quota;
    } const rows[] = {
        {4, {0, 0}, 4, false},
        {4, {1, 1000000}, 1, true},
        {4, {50000, 100000}, 1, true},
        {4, {100000, 100000}, 1, true},
        {4, {100001, 100000}, 2, true},
        {4, {150000, 100000}, 2, true},
        {4, {350000, 100000}, 4, true},
        {4, {400000, 100000}, 4, false},
        {4, {800000, 100000}, 4, false},
        {1, {50000, 100000}, 1, true},
        {8192, {0, 0}, 256, false},
        {8192, {25700000, 100000}, 256, true},
        {8192, {UINT64_C(1) << 44, 1}, 256, false},
    };
    for (const auto &row : rows) {
        roti_cpus cpus = roti_cpus_within(all_of(row.cpus).get(), row.limit);
        EXPECT_EQ(row.count, cpus.count) << row.cpus << " CPUs, " << row.limit.quota_us;
        EXPECT_EQ(row.quota, cpus.quota) << row.cpus << " CPUs, " << row.limit.quota_us;
    }
}

/* ---- Runs ---- */

int count_loops(void *)
{
    return rota_runtime_loop_count(rota_running_runtime());
}

unsigned cpu_count()
{
    roti_cpu_mask mask;
    roti_cpu_mask_read(&mask);
    return roti_cpu_mask_count(&mask);
}

TEST(RunCpus, OneLoopForEachCpuOfTheMask)
{
    std::thread([] {
        roti_cpu_mask mask;
        Tree empty(Files{});
        EXPECT_EQ(cpu_count(), static_cast<unsigned>(
                                   roti_run_rooted(count_loops, nullptr, nullptr, empty.root())));
        roti_cpu_mask_read(&mask);
        roti_cpu_mask_bind(&mask, 0);
        EXPECT_EQ(1, roti_run_rooted(count_loops, nullptr, nullptr, empty.root()));
        EXPECT_EQ(1, rota_run(count_loops, nullptr, nullptr));
    }).join();
}

TEST(RunCpus, ALimitMakesThemFewer)
{
    Tree half(with_max("50000 100000\n"));
    Tree more(with_max("150000 100000\n"));
    rota_run_opts opts{};
    EXPECT_EQ(1, roti_run_rooted(count_loops, nullptr, nullptr, half.root()));
    EXPECT_EQ(std::min(2U, cpu_count()),
              static_cast<unsigned>(roti_run_rooted(count_loops, nullptr, nullptr, more.root())));
    opts.loops = 3;
    EXPECT_EQ(3, roti_run_rooted(count_loops, nullptr, &opts, half.root())) << "as it was asked";
}

/* Whatever the machine does not let be read: there are loops, one a CPU of the mask. */
TEST(RunCpus, FilesThatCannotBeReadAreNoLimit)
{
    Tree tree(with_max("50000 100000\n"));
    for (roti_syscall failing : {ROTI_SYSCALL_open_file, ROTI_SYSCALL_read_file})
        for (int error : {-EMFILE, -EACCES, -EIO, -ENOMEM}) {
            failing::Hook hook([=](roti_syscall site) { return site == failing ? error : 0; });
            EXPECT_EQ(cpu_count(), static_cast<unsigned>(roti_run_rooted(count_loops, nullptr,
                                                                         nullptr, tree.root())));
        }
}

/* ---- Following ---- */

/* Runs `body` as the first task on a machine whose files are in `tree`. */
int run_in(const Tree &tree, loops::Body body, rota_run_opts opts = {})
{
    return roti_run_rooted(loops::call_body, &body, &opts, tree.root());
}

unsigned loop_count()
{
    return static_cast<unsigned>(rota_runtime_loop_count(rota_running_runtime()));
}

const std::string limit_file = "/sys/fs/cgroup/a/cpu.max";

/* A loop that is awake notices, within a second or a little more. */
TEST(RunCpus, TheirNumberIsFollowed)
{
    Tree tree(with_max("50000 100000\n"));
    unsigned two = std::min(2U, cpu_count());
    EXPECT_EQ(0, run_in(tree, [&] {
                  EXPECT_EQ(1U, loop_count());
                  tree.write(limit_file, "150000 100000\n");
                  EXPECT_TRUE(loops::eventually([=] { return loop_count() == two; }));
                  tree.write(limit_file, "50000 100000\n");
                  EXPECT_TRUE(loops::eventually([] { return loop_count() == 1; }));
                  tree.write(limit_file, "max 100000\n");
                  EXPECT_TRUE(loops::eventually([] { return loop_count() == cpu_count(); }));
                  return 0;
              }));
}

/* Whoever says a number has it, until it says that the CPUs are to be followed again. */
TEST(RunCpus, ANumberThatWasAskedForStays)
{
    Tree tree(with_max("50000 100000\n"));
    unsigned two = std::min(2U, cpu_count());
    auto looks = [] { return failing::calls[ROTI_SYSCALL_sched_getaffinity].load(); };
    EXPECT_EQ(0, run_in(tree, [&] {
                  rota_runtime *runtime = rota_running_runtime();
                  EXPECT_EQ(0, rota_runtime_set_loops(runtime, 3));
                  EXPECT_EQ(3U, loop_count());
                  {
                      failing::Count calls;
                      EXPECT_EQ(0, rota_sleep(1100 * ROTA_MS));
                      EXPECT_EQ(0, rota_sleep(ROTA_MS));
                      EXPECT_EQ(0, looks());
                  }
                  EXPECT_EQ(3U, loop_count());
                  EXPECT_EQ(0, rota_runtime_set_loops(runtime, 0));
                  EXPECT_EQ(1U, loop_count()) << "at once";
                  tree.write(limit_file, "150000 100000\n");
                  EXPECT_TRUE(loops::eventually([=] { return loop_count() == two; }));
                  return 0;
              }));
}

TEST(RunCpus, NoneIsFollowedWhereThatIsTurnedOff)
{
    Tree tree(with_max("50000 100000\n"));
    auto looks = [] { return failing::calls[ROTI_SYSCALL_sched_getaffinity].load(); };
    for (bool keep : {false, true}) {
        rota_run_opts opts{};
        opts.keep_loops = keep;
        opts.loops = keep ? 0 : 2;
        EXPECT_EQ(0, run_in(
                         tree,
                         [&] {
                             unsigned before = loop_count();
                             failing::Count calls;
                             EXPECT_EQ(0, rota_sleep(1100 * ROTA_MS));
                             EXPECT_EQ(0, rota_sleep(ROTA_MS));
                             EXPECT_EQ(0, looks());
                             EXPECT_EQ(before, loop_count());
                             return 0;
                         },
                         opts));
    }
}

/* Nothing looks while nothing runs: to look is not worth a wake. */
TEST(RunCpus, AnIdleProcessDoesNotLook)
{
    Tree tree(with_max("50000 100000\n"));
    auto looks = [] { return failing::calls[ROTI_SYSCALL_sched_getaffinity].load(); };
    EXPECT_EQ(0, run_in(tree, [&] {
                  failing::Count calls;
                  EXPECT_EQ(0, rota_sleep(3500 * ROTA_MS));
                  EXPECT_GE(1, looks()) << "and one when it woke";
                  EXPECT_TRUE(loops::eventually([=] { return looks() >= 1; }));
                  return 0;
              }));
}

/* What cannot be had is tried again at the next look. */
TEST(RunCpus, ALoopThatCannotBeAddedIsTriedAgain)
{
    if (cpu_count() < 2)
        GTEST_SKIP() << "there is one CPU";
    Tree tree(with_max("50000 100000\n"));
    EXPECT_EQ(0, run_in(tree, [&] {
                  {
                      failing::Hook hook([](roti_syscall site) {
                          return site == ROTI_SYSCALL_epoll_create1 ? -EMFILE : 0;
                      });
                      tree.write(limit_file, "150000 100000\n");
                      EXPECT_TRUE(loops::eventually(
                          [&] { return hook.count(ROTI_SYSCALL_epoll_create1) >= 2; }));
                      EXPECT_EQ(1U, loop_count());
                  }
                  EXPECT_TRUE(loops::eventually([] { return loop_count() == 2; }));
                  return 0;
              }));
}

} // namespace
