/* SPDX-License-Identifier: MIT */
/*
 * wire.h - a stream, and the bare socket of its peer, which the director reads and writes.
 *
 * The peer's calls are the C library's own, so that no sweep makes them fail.
 */
#ifndef ROTA_TESTS_WIRE_H
#define ROTA_TESTS_WIRE_H

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <rota/loop.h>
#include <rota/stream.h>
#include <rota/timeout.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

#include "tests/sweep/trial.h"
#include "tests/support/support.h"

namespace sweep {

class Wire {
public:
    Wire() = default;
    ~Wire()
    {
        rota_stream_abort(stream_);
        rota_stream_unref(stream_);
    }
    Wire(const Wire &) = delete;
    Wire &operator=(const Wire &) = delete;

    /* With little room in the kernel, so that what is written is soon too much. */
    int open()
    {
        int room = 4096;
        EXPECT_EQ(0, setsockopt(sockets_.left(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room));
        int r = rota_stream_from_fd(&stream_, sockets_.left(), nullptr);
        if (r == 0)
            sockets_.release_left();
        return r;
    }
    operator rota_stream *() const
    {
        return stream_;
    }

    /* Sends behind the stream's back until the kernel takes no more: how much it took. */
    std::size_t stuff() const
    {
        char junk[1024] = {};
        std::size_t size = 0;
        ssize_t n;
        while ((n = ::send(rota_stream_fd(stream_), junk, sizeof junk,
                           MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
            size += static_cast<std::size_t>(n);
        return size;
    }

    /* ---- The peer ---- */

    void send(std::string_view text)
    {
        ssize_t n = ::send(sockets_.right(), text.data(), text.size(), MSG_NOSIGNAL);
        EXPECT_TRUE(n == static_cast<ssize_t>(text.size()) || rota_stream_is_closing(stream_));
    }
    void end()
    {
        shutdown(sockets_.right(), SHUT_WR);
    }
    /* How many bytes it has taken so far, after taking what there is. */
    std::size_t take()
    {
        char buffer[16384];
        ssize_t n;
        while ((n = recv(sockets_.right(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
            taken_ += static_cast<std::size_t>(n);
        return taken_;
    }
    /* Takes until it has so many bytes; false when they never came. */
    bool take_all(std::size_t size)
    {
        std::int64_t end_ns = rota_time_ns() + support::patience_ns(20 * ROTA_SEC);
        while (take() < size)
            if (rota_time_ns() > end_ns || rota_sleep(50 * ROTA_US) != 0)
                return false;
        return taken_ == size;
    }

private:
    support::SocketPair sockets_;
    rota_stream *stream_ = nullptr;
    std::size_t taken_ = 0;
};

} // namespace sweep

#endif
