/* SPDX-License-Identifier: MIT */
/*
 * io_error_test.cc - errors of single calls, and accepting (H58, H66).
 */
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "tests/loop/io_fixture.h"

namespace {

using failing::Count;
using failing::Failure;

/* ---- Errors ---- */

TEST_F(IoTry, AFailedOpenLeavesTheDescriptorToItsCaller)
{
    support::TempDir directory;
    int file = ::open(directory.file("f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct roti_io *io = nullptr;
    EXPECT_EQ(-EPERM, roti_io_open(&io, file, loop.get())) << "a regular file";
    for (int error : {-ENOMEM, -ENOSPC}) {
        support::SocketPair pair;
        Failure failure(ROTI_SYSCALL_epoll_ctl, error);
        EXPECT_EQ(error, roti_io_open(&io, pair.left(), loop.get()));
        EXPECT_TRUE(is_open(pair.left()));
    }
    roti_store(TI3, relaxed, &loop->closed, true);
    EXPECT_EQ(ROTA_ECLOSED, roti_io_open(&io, file, loop.get()));
    EXPECT_EQ(nullptr, io);
    EXPECT_TRUE(is_open(file));
    close(file);
}

TEST_F(IoTry, ASocketWhoseProtocolIsUnknownIsReadToTheEnd)
{
    auto [server, client] = tcp_pair();
    struct roti_io *io;
    {
        Failure failure(ROTI_SYSCALL_getsockopt, -ENOPROTOOPT);
        io = open(server);
    }
    EXPECT_EQ("EAGAIN", get(io));
    put(client, "abc");
    ASSERT_TRUE(support::eventually([&] { return poll() == 1; }));
    Count count;
    EXPECT_EQ("abc", get(io));
    EXPECT_EQ("EAGAIN", get(io));
    EXPECT_EQ(2, count.count(ROTI_SYSCALL_recv));
    finish(io);
    close(client);
}

TEST_F(IoTry, H66ABrokenPipeIsAnErrorAndNoSignal)
{
    support::SocketPair pair;
    struct roti_io *io = open(pair.release_left());
    pair.close_right();
    iovec piece = {const_cast<char *>("x"), 1};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    EXPECT_EQ(-EPIPE, roti_io_try_send(io, "x", 1, 0));
    EXPECT_EQ(-EPIPE, roti_io_try_sendmsg(io, &message, 0));
    finish(io);
}

TEST_F(IoTry, AResetIsToldByTheNextRead)
{
    auto [server, client] = tcp_pair();
    struct roti_io *io = open(server);
    EXPECT_EQ("EAGAIN", get(io));
    linger hard = {1, 0};
    ASSERT_EQ(0, setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
    close(client);
    ASSERT_TRUE(support::eventually([&] {
        poll();
        return (flags(io) & ROTI_READY_ERR) != 0;
    }));
    EXPECT_EQ("ECONNRESET", get(io));
    EXPECT_EQ("END", get(io)) << "told once";
    finish(io);
}

TEST_F(IoTry, AnInterruptedCallIsMadeAgain)
{
    support::SocketPair pair;
    put(pair.right(), "abc");
    struct roti_io *io = open(pair.release_left());
    {
        Failure failure(ROTI_SYSCALL_recv, -EINTR, 3);
        EXPECT_EQ("abc", get(io));
        EXPECT_EQ(4, failure.count(ROTI_SYSCALL_recv));
    }
    {
        Failure failure(ROTI_SYSCALL_send, -EINTR, 3);
        EXPECT_EQ(1, roti_io_try_send(io, "x", 1, 0));
        EXPECT_EQ(4, failure.count(ROTI_SYSCALL_send));
    }
    finish(io);
}

TEST_F(IoTry, AnErrorOfACallIsPassedOnAndReadinessStays)
{
    support::SocketPair pair;
    struct roti_io *io = open(pair.release_left());
    for (int error : {-ENOMEM, -ENOBUFS, -ECONNRESET, -EIO}) {
        Failure recv_fails(ROTI_SYSCALL_recv, error);
        EXPECT_EQ(rota_error_name(error), get(io));
        Failure send_fails(ROTI_SYSCALL_send, error);
        EXPECT_EQ(error, roti_io_try_send(io, "x", 1, 0));
    }
    EXPECT_EQ(ROTI_READY_READ | ROTI_READY_WRITE, flags(io));
    finish(io);
}

TEST_F(IoTry, WhatMakesNoSenseIsRefused)
{
    support::SocketPair pair;
    struct roti_io *io = open(pair.release_left());
    char byte = 0;
    msghdr message{};
    EXPECT_EQ(-EINVAL, roti_io_try_recv(io, &byte, 0, 0)) << "0 would look like the end";
    EXPECT_EQ(-EINVAL, roti_io_try_recv(io, &byte, 1, MSG_OOB));
    EXPECT_EQ(-EINVAL, roti_io_try_recv(io, &byte, 1, MSG_TRUNC));
    EXPECT_EQ(-EINVAL, roti_io_try_send(io, &byte, 1, MSG_ZEROCOPY));
    EXPECT_EQ(-EINVAL, roti_io_try_sendmsg(io, &message, MSG_ZEROCOPY));
    finish(io);
}

TEST_F(IoTry, OutsideATaskACallWorksUntilItWouldHaveToWait)
{
    support::SocketPair pair;
    put(pair.right(), "abc");
    struct roti_io *io = open(pair.release_left());
    char buffer[8];
    EXPECT_EQ(3, roti_io_recv(io, buffer, sizeof buffer, 0));
    EXPECT_EQ(ROTA_ENOTASK, roti_io_recv(io, buffer, sizeof buffer, 0));
    EXPECT_EQ(ROTA_ENOTASK, roti_io_wait_readable(io));
    EXPECT_EQ(0, roti_io_wait_writable(io));
    put(pair.right(), "de");
    poll();
    EXPECT_EQ(0, roti_io_wait_readable(io));
    struct roti_lent lent = {};
    EXPECT_EQ(2, roti_io_recv_lent(io, &lent));
    EXPECT_EQ(2U, lent.size);
    EXPECT_EQ(0, std::memcmp(lent.data, "de", 2));
    roti_lent_return(&lent);
    EXPECT_EQ(nullptr, lent.data);
    roti_lent_return(&lent);
    EXPECT_EQ(ROTA_ENOTASK, roti_io_recv_lent(io, &lent)) << "and the block went back";
    finish(io);
}

/* ---- Accepting ---- */

class Listener : public IoTry {
protected:
    void SetUp() override
    {
        IoTry::SetUp();
        socklen_t size = sizeof addr;
        addr.sin_family = AF_INET;
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        ASSERT_EQ(0, bind(fd, reinterpret_cast<sockaddr *>(&addr), size));
        ASSERT_EQ(0, listen(fd, 16));
        ASSERT_EQ(0, getsockname(fd, reinterpret_cast<sockaddr *>(&addr), &size));
        listener = open(fd);
    }
    void TearDown() override
    {
        finish(listener);
        for (int fd : fds)
            close(fd);
        IoTry::TearDown();
    }

    /* Connects; what a byte sent at once is acknowledged for has come to the listener's queue. */
    void connect_one()
    {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        fds.push_back(fd);
        ASSERT_EQ(0, connect(fd, reinterpret_cast<sockaddr *>(&addr), sizeof addr));
        put(fd, "x");
        ASSERT_TRUE(support::eventually([=] { return unacknowledged(fd) == 0; }));
    }

    int accept_one()
    {
        int fd = roti_io_try_accept(listener, nullptr, nullptr);
        if (fd >= 0)
            fds.push_back(fd);
        return fd;
    }

    sockaddr_in addr{};
    struct roti_io *listener;
    std::vector<int> fds;
};

TEST_F(Listener, TakesAllThatOneEdgeAnnounced)
{
    EXPECT_EQ(-EAGAIN, accept_one());
    for (int i = 0; i < 3; i++)
        connect_one();
    EXPECT_EQ(-EAGAIN, accept_one()) << "not told yet";
    poll();
    sockaddr_storage peer{};
    socklen_t size = 0;
    int fd = roti_io_try_accept(listener, &peer, &size);
    ASSERT_GE(fd, 0);
    fds.push_back(fd);
    EXPECT_EQ(socklen_t{sizeof addr}, size);
    EXPECT_EQ(AF_INET, peer.ss_family);
    EXPECT_EQ(O_NONBLOCK, fcntl(fd, F_GETFL) & O_NONBLOCK);
    EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
    EXPECT_GE(accept_one(), 0);
    EXPECT_GE(accept_one(), 0);
    EXPECT_EQ(-EAGAIN, accept_one());
}

TEST_F(Listener, H58WithoutDescriptorsTheConnectionStaysQueuedAndReady)
{
    connect_one();
    poll();
    for (int error : {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM}) {
        Failure failure(ROTI_SYSCALL_accept4, error);
        sockaddr_storage peer{};
        socklen_t size = 77;
        EXPECT_EQ(error, roti_io_try_accept(listener, &peer, &size));
        EXPECT_EQ(77U, size) << "untouched";
    }
    EXPECT_EQ(0U, poll()) << "no further edge will come";
    EXPECT_GE(accept_one(), 0);
}

TEST_F(Listener, ConnectionsThatBrokeOffAndInterruptionsArePassedOver)
{
    for (int error : {-ECONNABORTED, -EPROTO, -EINTR}) {
        connect_one();
        poll();
        Failure failure(ROTI_SYSCALL_accept4, error, 2);
        EXPECT_GE(accept_one(), 0);
        EXPECT_EQ(3, failure.count(ROTI_SYSCALL_accept4));
    }
}

} // namespace
