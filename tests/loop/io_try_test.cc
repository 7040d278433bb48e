/* SPDX-License-Identifier: MIT */
/*
 * io_try_test.cc - descriptors without tasks: readiness, edges, lent memory.
 */
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "tests/loop/io_fixture.h"

namespace {

using failing::Count;
using failing::Hook;

TEST_F(IoTry, ANewDescriptorIsTriedOnceAndThenWaitsForItsEdge)
{
    support::SocketPair pair;
    struct roti_io *io = open(pair.release_left());
    Count count;
    EXPECT_EQ("EAGAIN", get(io));
    EXPECT_EQ(1, count.count(ROTI_SYSCALL_recv));
    EXPECT_EQ("EAGAIN", get(io));
    EXPECT_EQ(1, count.count(ROTI_SYSCALL_recv)) << "no call while the flag is clear";
    put(pair.right(), "abc");
    EXPECT_EQ("EAGAIN", get(io)) << "the poller has not told";
    EXPECT_EQ(1U, poll());
    EXPECT_EQ("abc", get(io));
    EXPECT_EQ("EAGAIN", get(io));
    finish(io);
}

TEST_F(IoTry, EdgesComeAgainAndAgain)
{
    support::SocketPair pair;
    struct roti_io *io = open(pair.release_left());
    for (int i = 0; i < 100; i++) {
        std::string text = std::to_string(i);
        put(pair.right(), text);
        poll();
        EXPECT_EQ(text, get(io));
        EXPECT_EQ("EAGAIN", get(io));
    }
    finish(io);
}

TEST_F(IoTry, AFullSocketIsWritableAgainOnceItWasRead)
{
    support::SocketPair pair;
    struct roti_io *io = open(pair.release_left());
    std::string block(65536, 'x');
    ssize_t sent = 0;
    for (ssize_t r; (r = roti_io_try_send(io, block.data(), block.size(), 0)) != -EAGAIN; sent += r)
        ASSERT_GT(r, 0);
    EXPECT_EQ(0U, flags(io) & ROTI_READY_WRITE);
    poll();
    EXPECT_EQ(-EAGAIN, roti_io_try_send(io, "y", 1, 0));
    while (sent > 0) {
        ssize_t r = recv(pair.right(), block.data(), block.size(), 0);
        ASSERT_GT(r, 0);
        sent -= r;
    }
    poll();
    EXPECT_EQ(1, roti_io_try_send(io, "y", 1, 0));
    finish(io);
}

TEST_F(IoTry, SendmsgSendsSeveralPieces)
{
    support::SocketPair pair;
    struct roti_io *io = open(pair.release_left());
    char first[] = "ab";
    char second[] = "cde";
    iovec pieces[] = {{first, 2}, {second, 3}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    EXPECT_EQ(5, roti_io_try_sendmsg(io, &message, 0));
    char buffer[8];
    EXPECT_EQ(5, recv(pair.right(), buffer, sizeof buffer, 0));
    EXPECT_EQ(0, std::memcmp(buffer, "abcde", 5));
    finish(io);
}

/* ---- An edge between a call and its clear ---- */

TEST_F(IoTry, AnEdgeDuringAnEmptyCallIsNotErasedByItsClear)
{
    support::SocketPair pair;
    struct roti_io *io = open(pair.release_left());
    bool first = true;
    Hook hook([&](enum roti_syscall site) {
        if (site != ROTI_SYSCALL_recv || !std::exchange(first, false))
            return 0;
        put(pair.right(), "abc");
        poll();
        return -EAGAIN; /* what the kernel would have said before the data came */
    });
    EXPECT_EQ("abc", get(io));
    EXPECT_EQ(2, hook.count(ROTI_SYSCALL_recv));
    finish(io);
}

TEST_F(IoTry, AClosingDuringACallAnswersIt)
{
    support::SocketPair pair;
    struct roti_io *io = open(pair.release_left());
    Hook hook([&](enum roti_syscall site) {
        if (site != ROTI_SYSCALL_recv)
            return 0;
        roti_io_close(io);
        return -EAGAIN;
    });
    EXPECT_EQ("ROTA_ECLOSED", get(io));
    roti_io_unref(io);
}

/* ---- Lent memory ---- */

TEST(LentPool, KeepsAFewBlocksAndNoMore)
{
    std::ptrdiff_t before = support::live_bytes();
    struct roti_lent_pool pool = {};
    std::vector<char *> blocks;
    for (int i = 0; i < ROTI_LENT_CACHE_MAX + 3; i++)
        blocks.push_back(roti_lent_get(&pool));
    for (char *block : blocks)
        roti_lent_put(&pool, block);
    EXPECT_EQ(unsigned{ROTI_LENT_CACHE_MAX}, pool.count);
    EXPECT_EQ(before + std::ptrdiff_t{ROTI_LENT_CACHE_MAX} * std::ptrdiff_t{ROTI_LENT_SIZE},
              support::live_bytes());
    char *again = roti_lent_get(&pool);
    EXPECT_EQ(unsigned{ROTI_LENT_CACHE_MAX - 1}, pool.count);
    roti_lent_put(&pool, again);
    roti_lent_drain(&pool);
    EXPECT_EQ(before, support::live_bytes());
}

TEST_F(IoTry, LentMemoryThatCannotBeHadIsAnErrorAndNothingIsRead)
{
    support::SocketPair pair;
    put(pair.right(), "abc");
    struct roti_io *io = open(pair.release_left());
    struct roti_lent lent = {};
    {
        support::AllocationFailure failure(0, support::Failing::one);
        EXPECT_EQ(-ENOMEM, roti_io_recv_lent(io, &lent));
    }
    EXPECT_EQ(nullptr, lent.data);
    EXPECT_EQ("abc", get(io));
    finish(io);
}

} // namespace
