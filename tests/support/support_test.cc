/* SPDX-License-Identifier: MIT */
/*
 * support_test.cc - the checks of tests/support see what they should, and nothing else.
 */
#include "sched/base/alloc.h"
#include "tests/support/checks.h"
#include "tests/support/support.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <pthread.h>
#include <thread>
#include <unistd.h>

namespace {

using support::Absorbing;
using support::AllocationFailure;
using support::Failing;
using support::Snapshot;

TEST(Snapshot, OfAnUnchangedProcessDiffersInNothing)
{
    Snapshot before = Snapshot::take();
    EXPECT_EQ("", before.difference(Snapshot::take()));
}

TEST(Snapshot, NamesADescriptorLeftOpen)
{
    Snapshot before = Snapshot::take();
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    std::string difference = before.difference(Snapshot::take());
    EXPECT_EQ("left open: fd " + std::to_string(fd) + " (/dev/null)\n", difference);
    close(fd);
}

TEST(Snapshot, NamesADescriptorClosedByMistakeOrReplaced)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    std::string number = std::to_string(fd);
    Snapshot before = Snapshot::take();
    close(fd);
    EXPECT_EQ("closed by mistake: fd " + number + " (/dev/null)\n",
              before.difference(Snapshot::take()));
    int other = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(fd, other);
    EXPECT_EQ("replaced: fd " + number + " (/dev/null by /dev/zero)\n",
              before.difference(Snapshot::take()));
    close(other);
}

TEST(Snapshot, CountsThreads)
{
    Snapshot before = Snapshot::take();
    std::atomic<bool> end = false;
    std::thread thread([&end] { end.wait(false); });
    std::string difference = before.difference(Snapshot::take());
    EXPECT_TRUE(difference.starts_with("threads: ")) << difference;
    end = true;
    end.notify_one();
    thread.join();
    EXPECT_EQ("", support::settled_difference(before));
}

TEST(Snapshot, CountsBytes)
{
    Snapshot before = Snapshot::take();
    std::ptrdiff_t bytes = support::live_bytes();
    void *block = roti_alloc(100);
    EXPECT_EQ(bytes + 100, support::live_bytes());
    EXPECT_TRUE(before.difference(Snapshot::take()).starts_with("bytes in use: "));
    roti_free(block, 100);
    EXPECT_EQ("", before.difference(Snapshot::take()));
}

TEST(Snapshot, ComparesSignals)
{
    Snapshot before = Snapshot::take();
    auto *old = std::signal(SIGUSR1, SIG_IGN);
    std::string disposition = before.difference(Snapshot::take());
    EXPECT_NE(std::string::npos, disposition.find("has another disposition")) << disposition;
    std::signal(SIGUSR1, old);

    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &mask, nullptr);
    std::string blocked = before.difference(Snapshot::take());
    EXPECT_TRUE(blocked.starts_with("blocked signals: ")) << blocked;
    pthread_sigmask(SIG_UNBLOCK, &mask, nullptr);
    EXPECT_EQ("", before.difference(Snapshot::take()));
}

/* Two blocks, and none left behind when the second fails. */
int two_blocks()
{
    void *first = roti_alloc(10);
    if (first == nullptr)
        return -ENOMEM;
    void *second = roti_zalloc(20);
    roti_free(first, 10);
    if (second == nullptr)
        return -ENOMEM;
    roti_free(second, 20);
    return 0;
}

TEST(Sweep, FailsEachAllocationOnce)
{
    EXPECT_EQ(2, support::sweep_allocations(two_blocks));
    EXPECT_EQ(0, support::sweep_allocations([] { return 0; }));
}

TEST(Sweep, FailsOneOrAllFromThere)
{
    auto pattern = [](Failing failing) {
        AllocationFailure failure(1, failing);
        std::string result;
        for (int i = 0; i < 4; i++) {
            void *block = roti_alloc(1);
            result += block ? 'y' : 'n';
            roti_free(block, 1);
        }
        EXPECT_TRUE(failure.happened());
        return result;
    };
    EXPECT_EQ("ynyy", pattern(Failing::one));
    EXPECT_EQ("ynnn", pattern(Failing::all));
}

TEST(Sweep, AcceptsAnAbsorbedFailureWhereThatIsAllowed)
{
    auto can_do_without = [] {
        roti_free(roti_alloc(10), 10);
        return 0;
    };
    EXPECT_EQ(1, support::sweep_allocations(can_do_without, Absorbing::allowed));
}

TEST(Scale, IsNeverLessThanOne)
{
    EXPECT_EQ(1, support::scale(0));
    EXPECT_GT(support::scale(1'000'000'000), 1);
    EXPECT_GE(support::patience_ns(1'000), 1);
}

TEST(Scale, EventuallyGivesUp)
{
    int calls = 0;
    EXPECT_TRUE(support::eventually([&calls] { return ++calls == 3; }));
    EXPECT_EQ(3, calls);
    EXPECT_FALSE(support::eventually([] { return false; }, 1'000'000));
}

TEST(SocketPair, CarriesBytesBothWaysAndReportsTheEnd)
{
    support::SocketPair pair;
    char byte = 0;
    EXPECT_EQ(-1, read(pair.left(), &byte, 1));
    EXPECT_EQ(EAGAIN, errno);
    EXPECT_EQ(1, write(pair.right(), "r", 1));
    EXPECT_EQ(1, read(pair.left(), &byte, 1));
    EXPECT_EQ('r', byte);
    EXPECT_EQ(1, write(pair.left(), "l", 1));
    EXPECT_EQ(1, read(pair.right(), &byte, 1));
    EXPECT_EQ('l', byte);
    pair.close_right();
    pair.close_right();
    EXPECT_EQ(0, read(pair.left(), &byte, 1));
    int fd = pair.release_left();
    EXPECT_EQ(-1, pair.left());
    EXPECT_EQ(0, close(fd));
}

TEST(TempDir, IsRemovedWithItsFiles)
{
    std::string path;
    {
        support::TempDir directory;
        path = directory.path();
        std::ofstream(directory.file("a")) << "text";
        std::filesystem::create_directories(directory.file("b/c"));
        EXPECT_TRUE(std::filesystem::exists(path + "/a"));
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

} // namespace
