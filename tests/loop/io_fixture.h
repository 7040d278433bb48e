/* SPDX-License-Identifier: MIT */
/*
 * io_fixture.h - descriptors at a loop that nobody runs: the test is its thread.
 *
 * It decides when to poll, so that each interleaving of an edge and a call can be had at will.
 */
#ifndef ROTA_TESTS_IO_FIXTURE_H
#define ROTA_TESTS_IO_FIXTURE_H

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <cerrno>
#include <fcntl.h>
#include <linux/sockios.h>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <rota/error.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "loop/io_impl.h"
#include "tests/loop/failing_calls.h"
#include "tests/support/support.h"

/* A connected pair of TCP sockets on loopback, non-blocking. */
inline std::pair<int, int> tcp_pair()
{
    sockaddr_in addr{};
    socklen_t size = sizeof addr;
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    EXPECT_EQ(0, bind(listener, reinterpret_cast<sockaddr *>(&addr), size));
    EXPECT_EQ(0, listen(listener, 1));
    EXPECT_EQ(0, getsockname(listener, reinterpret_cast<sockaddr *>(&addr), &size));
    EXPECT_EQ(0, connect(client, reinterpret_cast<sockaddr *>(&addr), size));
    int server = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    EXPECT_EQ(0, fcntl(client, F_SETFL, O_NONBLOCK));
    EXPECT_EQ(0, setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    close(listener);
    return {server, client};
}

inline void put(int fd, const std::string &text, int flags = 0)
{
    ASSERT_EQ(static_cast<ssize_t>(text.size()), send(fd, text.data(), text.size(), flags));
}

/* How many bytes the peer of a TCP socket has not confirmed to have received; -1 on failure. */
inline int unacknowledged(int fd)
{
    int count = -1;
    return ioctl(fd, SIOCOUTQ, &count) == 0 ? count : -1;
}

inline bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* A loop that nobody runs: its poller, and a reference that is never given back. */
class IoTry : public ::testing::Test {
protected:
    void SetUp() override
    {
        loop = std::make_unique<struct rota_loop>();
        roti_store(TI1, relaxed, &loop->refs, 1U);
        ASSERT_EQ(0, roti_poller_init(&loop->poller));
        live = roti_io_live();
    }
    void TearDown() override
    {
        EXPECT_EQ(live, roti_io_live()) << "descriptors left";
        EXPECT_EQ(1U, roti_load(TI2, relaxed, &loop->refs)) << "references to the loop left";
        roti_poller_done(&loop->poller);
    }

    struct roti_io *open(int fd)
    {
        struct roti_io *io = nullptr;
        EXPECT_EQ(0, roti_io_open(&io, fd, loop.get()));
        return io;
    }

    /* Takes in what has happened; how many descriptors had news. */
    unsigned poll()
    {
        roti_poller_wait(&loop->poller, 0);
        return roti_poller_take(&loop->poller);
    }

    /* What a try gets: the bytes, or the error's name. */
    static std::string get(struct roti_io *io, std::size_t size = 100, int flags = 0)
    {
        std::string buffer(size, '\0');
        ssize_t r = roti_io_try_recv(io, buffer.data(), size, flags);
        if (r < 0)
            return rota_error_name(static_cast<int>(r));
        buffer.resize(static_cast<std::size_t>(r));
        return r == 0 ? "END" : buffer;
    }

    static std::uint64_t flags(const struct roti_io *io)
    {
        return roti_readiness_look(&io->readiness) & ROTI_READY_FLAGS;
    }

    static void finish(struct roti_io *io)
    {
        roti_io_close(io);
        roti_io_unref(io);
    }

    std::unique_ptr<struct rota_loop> loop;
    std::size_t live;
};

#endif
