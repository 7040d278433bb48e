/* SPDX-License-Identifier: MIT */
/*
 * io_short_read_test.cc - what a short read tells, and what it does not (H56).
 */
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/loop/io_fixture.h"

namespace {

using failing::Count;

/* ---- What a short read tells ---- */

TEST_F(IoTry, H56TheEndIsNotLostBehindAShortReadOfAUnixSocket)
{
    support::SocketPair pair;
    struct roti_io *io = open(pair.release_left());
    EXPECT_EQ("EAGAIN", get(io));
    put(pair.right(), "abc");
    pair.close_right();
    poll();
    EXPECT_EQ("abc", get(io));
    EXPECT_EQ(0U, poll()) << "no further edge will come";
    EXPECT_EQ("END", get(io));
    EXPECT_EQ("END", get(io)) << "and it stays so";
    finish(io);
}

TEST_F(IoTry, H56TheEndIsNotLostBehindAShortReadOfATcpSocket)
{
    auto [server, client] = tcp_pair();
    struct roti_io *io = open(server);
    EXPECT_EQ("EAGAIN", get(io));
    put(client, "abc");
    close(client);
    ASSERT_TRUE(support::eventually([&] {
        poll();
        return (flags(io) & ROTI_READY_RDHUP) != 0;
    }));
    EXPECT_EQ("abc", get(io));
    EXPECT_EQ(0U, poll());
    EXPECT_EQ("END", get(io));
    finish(io);
}

TEST_F(IoTry, H56TheEndIsNotLostIfTheReadCameBeforeThePoll)
{
    auto [server, client] = tcp_pair();
    struct roti_io *io = open(server);
    put(client, "abc");
    close(client);
    ASSERT_TRUE(support::eventually([&] { return get(io, 100, MSG_PEEK) == "abc"; }));
    EXPECT_EQ("abc", get(io)) << "assumed ready: short, so the flag goes";
    ASSERT_TRUE(support::eventually([&] {
        poll();
        return get(io) == "END";
    }));
    finish(io);
}

TEST_F(IoTry, AShortReadOfATcpSocketSavesTheCallThatFindsNothing)
{
    auto [server, client] = tcp_pair();
    struct roti_io *io = open(server);
    EXPECT_EQ("EAGAIN", get(io));
    poll();
    for (int i = 0; i < 10; i++) {
        put(client, "abc");
        ASSERT_TRUE(support::eventually([&] { return poll() == 1; }));
        Count count;
        EXPECT_EQ("abc", get(io));
        EXPECT_EQ("EAGAIN", get(io));
        EXPECT_EQ(1, count.count(ROTI_SYSCALL_recv));
    }
    finish(io);
    close(client);
}

TEST_F(IoTry, AFullReadIsTriedAgain)
{
    auto [server, client] = tcp_pair();
    struct roti_io *io = open(server);
    EXPECT_EQ("EAGAIN", get(io));
    put(client, "abcdef");
    ASSERT_TRUE(support::eventually([&] { return poll() == 1; }));
    EXPECT_EQ("abc", get(io, 3));
    EXPECT_EQ("def", get(io, 3));
    EXPECT_EQ("EAGAIN", get(io, 3));
    finish(io);
    close(client);
}

TEST_F(IoTry, APeekLeavesWhatItSaw)
{
    auto [server, client] = tcp_pair();
    struct roti_io *io = open(server);
    EXPECT_EQ("EAGAIN", get(io));
    put(client, "abc");
    ASSERT_TRUE(support::eventually([&] { return poll() == 1; }));
    EXPECT_EQ("abc", get(io, 100, MSG_PEEK));
    EXPECT_EQ("abc", get(io, 100, MSG_PEEK));
    EXPECT_EQ("abc", get(io));
    finish(io);
    close(client);
}

TEST_F(IoTry, AReadThatStopsAtAnUrgentMarkIsNotTakenForTheLast)
{
    auto [server_fd, client] = tcp_pair();
    int server = server_fd; /* clang 14 captures no structured binding */
    int client_fd = client;
    struct roti_io *io = open(server);
    EXPECT_EQ("EAGAIN", get(io));
    put(client, "abc");
    put(client, "!", MSG_OOB);
    put(client, "def");
    int there = 0;
    ASSERT_TRUE(support::eventually([&] {
        char buffer[16];
        there = static_cast<int>(recv(server, buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT));
        return there == 3 && (poll(), (flags(io) & ROTI_READY_PRI) != 0);
    }));
    /* Once all is acknowledged the rest is there as well, and its edge is taken in. */
    ASSERT_TRUE(support::eventually([=] { return unacknowledged(client_fd) == 0; }));
    poll();
    EXPECT_EQ("abc", get(io));
    EXPECT_EQ("def", get(io));
    finish(io);
    close(client);
}

/* A unix socket's read ends behind a message that carried descriptors. */
TEST_F(IoTry, AReadThatStopsAtPassedDescriptorsIsNotTakenForTheLast)
{
    support::SocketPair pair;
    struct roti_io *io = open(pair.release_left());
    EXPECT_EQ("EAGAIN", get(io));
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    char byte = 'a';
    iovec piece = {&byte, 1};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    int passed = pair.right();
    std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
    ASSERT_EQ(1, sendmsg(pair.right(), &message, 0));
    put(pair.right(), "bc");
    poll();
    EXPECT_EQ("a", get(io));
    EXPECT_EQ("bc", get(io));
    finish(io);
}

} // namespace
