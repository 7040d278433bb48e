/* SPDX-License-Identifier: MIT */
/*
 * streams.h - streams over connected sockets, for tests of net.
 */
#ifndef ROTA_TESTS_STREAMS_H
#define ROTA_TESTS_STREAMS_H

#include <gtest/gtest.h>

#include <cerrno>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <rota/error.h>
#include <rota/stream.h>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <utility>

#include "loop/io_impl.h"
#include "net/stream_impl.h"
#include "tests/loop/failing_calls.h"
#include "tests/loop/run_loops.h"

namespace streams {

/* A pattern of `size` bytes in which no part repeats soon. */
inline std::string pattern(std::size_t size)
{
    std::string text(size, '\0');
    std::uint32_t state = 1;
    for (char &byte : text) {
        state = state * 1664525 + 1013904223;
        byte = static_cast<char>(state >> 24);
    }
    return text;
}

/* A reference to a stream, ended with this object. */
class Stream {
public:
    explicit Stream(int fd, const rota_stream_opts *opts = nullptr)
    {
        int r = rota_stream_from_fd(&stream_, fd, opts);
        EXPECT_EQ(0, r);
    }
    explicit Stream(const rota_addr &addr, const rota_stream_opts *opts = nullptr)
    {
        error_ = rota_stream_connect(&stream_, &addr, opts);
    }
    ~Stream()
    {
        drop();
    }
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;

    operator rota_stream *() const
    {
        return stream_;
    }
    rota_stream *get() const
    {
        return stream_;
    }
    rota_stream *operator->() const
    {
        return stream_;
    }

    /* What connecting came to. */
    int error() const
    {
        return error_;
    }

    void drop()
    {
        rota_stream_unref(std::exchange(stream_, nullptr));
    }

    ssize_t write(std::string_view text) const
    {
        return rota_stream_write(stream_, text.data(), text.size());
    }

    /* What a call has read: the bytes, "END", or the error's name. */
    static std::string shown(ssize_t n, const std::string &buffer)
    {
        if (n < 0)
            return rota_error_name(static_cast<int>(n));
        return n == 0 ? "END" : buffer.substr(0, static_cast<std::size_t>(n));
    }

    std::string read(std::size_t size = 100) const
    {
        std::string buffer(size, '\0');
        return shown(rota_stream_read(stream_, buffer.data(), size), buffer);
    }
    std::string exactly(std::size_t size) const
    {
        std::string buffer(size, '\0');
        return shown(rota_stream_readexactly(stream_, buffer.data(), size), buffer);
    }
    std::string until(std::string_view sep, std::size_t size = 1000) const
    {
        std::string buffer(size, '\0');
        return shown(rota_stream_readuntil(stream_, sep.data(), sep.size(), buffer.data(), size),
                     buffer);
    }
    std::string line(std::size_t size = 1000) const
    {
        std::string buffer(size, '\0');
        return shown(rota_stream_readline(stream_, buffer.data(), size), buffer);
    }

    /* All to the end of the stream. */
    std::string all() const
    {
        std::string text;
        std::string buffer(65536, '\0');
        ssize_t n;
        while ((n = rota_stream_read(stream_, buffer.data(), buffer.size())) > 0)
            text.append(buffer, 0, static_cast<std::size_t>(n));
        EXPECT_EQ(0, n) << rota_error_name(static_cast<int>(n));
        return text;
    }

private:
    rota_stream *stream_ = nullptr;
    int error_ = 0;
};

/* Two connected streams. */
struct Pair {
    explicit Pair(const rota_stream_opts *opts = nullptr)
        : left(sockets.release_left(), opts), right(sockets.release_right(), opts)
    {
    }

    support::SocketPair sockets;
    Stream left;
    Stream right;
};

/* A stream, and the bare socket of its peer, which the test reads when it likes. */
struct Half {
    explicit Half(const rota_stream_opts *opts = nullptr) : stream(sockets.release_left(), opts) {}

    int peer() const
    {
        return sockets.right();
    }

    /* What the peer finds now, without waiting. */
    std::string taken() const
    {
        std::string text;
        char buffer[65536];
        ssize_t n;
        while ((n = recv(peer(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
            text.append(buffer, static_cast<std::size_t>(n));
        return text;
    }

    /* What the peer finds until the end of the stream, or until it has so many bytes. */
    std::string taken_all(std::size_t size = SIZE_MAX) const
    {
        std::string text;
        char buffer[65536];
        while (text.size() < size) {
            ssize_t n = recv(peer(), buffer, sizeof buffer, MSG_DONTWAIT);
            if (n == 0 || (n < 0 && errno != EAGAIN))
                break;
            if (n > 0)
                text.append(buffer, static_cast<std::size_t>(n));
            else if (rota_sleep(100 * ROTA_US) < 0)
                break;
        }
        return text;
    }

    /* Whether the stream has read all that the peer has sent. */
    bool is_read() const
    {
        int left = -1;
        return ioctl(peer(), SIOCOUTQ, &left) == 0 && left == 0;
    }

    bool has_ended() const
    {
        char byte;
        return recv(peer(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
    }

    support::SocketPair sockets;
    Stream stream;
};

/* Whether a task waits for the stream's descriptor to become readable. */
inline bool is_reading(rota_stream *stream)
{
    std::uint64_t held = roti_readiness_lock(&stream->io->readiness);
    bool waiting = !roti_list_empty(&stream->io->readers);
    roti_readiness_unlock(&stream->io->readiness, held);
    return waiting;
}

/* How many tasks wait until they may write. */
inline int drainers(rota_stream *stream)
{
    int count = 0;
    roti_spin_lock(&stream->lock);
    for (roti_list *node = stream->drainers.next; node != &stream->drainers; node = node->next)
        count++;
    roti_spin_unlock(&stream->lock);
    return count;
}

inline constexpr std::size_t LARGE = 3000000; /* more than two sockets hold */

/* A stream on which writers are held up, and its backlog. */
struct Full : Half {
    explicit Full(const rota_stream_opts *opts = nullptr) : Half(opts), sent(pattern(LARGE))
    {
        loops::Tasks tasks;
        rota_task *task = tasks.spawn([&] {
            EXPECT_EQ(static_cast<ssize_t>(LARGE), stream.write(sent)) << "the bytes are accepted";
            EXPECT_EQ(-ECANCELED, rota_yield()) << "and the request stays pending";
            return 0;
        });
        EXPECT_TRUE(loops::eventually([&] { return drainers(stream) == 1; }));
        EXPECT_EQ(1, rota_task_cancel(task));
        tasks.join();
        EXPECT_GT(rota_stream_unsent(stream), ROTA_STREAM_HIGH);
    }

    std::string sent;
};

/* "127.0.0.1:0" and the like. */
inline rota_addr address(const std::string &text)
{
    rota_addr addr{};
    EXPECT_EQ(0, rota_addr_parse(&addr, text.c_str())) << text;
    return addr;
}

inline std::string text_of(const rota_addr &addr)
{
    char text[ROTA_ADDR_TEXT_SIZE];
    EXPECT_GT(rota_addr_format(&addr, text, sizeof text), 0);
    return text;
}

/* A bare listening socket on a port of its own. */
class Listener {
public:
    explicit Listener(int backlog = 128)
    {
        rota_addr any = address("127.0.0.1:0");
        sockaddr_storage bound;
        socklen_t size = sizeof bound;
        EXPECT_EQ(0, bind(fd_, &any.sockaddr.any, any.size));
        EXPECT_EQ(0, listen(fd_, backlog));
        EXPECT_EQ(0, getsockname(fd_, reinterpret_cast<sockaddr *>(&bound), &size));
        EXPECT_EQ(0, rota_addr_from_sockaddr(&addr_, reinterpret_cast<sockaddr *>(&bound), size));
    }
    ~Listener()
    {
        close(fd_);
    }
    Listener(const Listener &) = delete;
    Listener &operator=(const Listener &) = delete;

    const rota_addr &addr() const
    {
        return addr_;
    }
    /* A non-blocking connection, whose client is connected already: the client's last word, which
     * completes it here, may still be on its way. */
    int accepted() const
    {
        pollfd listening = {fd_, POLLIN, 0};
        EXPECT_EQ(1, poll(&listening, 1, static_cast<int>(support::patience_ns(20'000))));
        return accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }

private:
    int fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    rota_addr addr_{};
};

/* Fails calls of one site on demand. Made before the run, as other threads are inside the hook
 * while it lasts. */
class Breaker {
public:
    explicit Breaker(enum roti_syscall site)
        : hook_([this, site](enum roti_syscall called) {
              int left = called == site ? left_.load() : 0;
              while (left > 0 && !left_.compare_exchange_weak(left, left - 1))
                  ;
              return left > 0 ? error_.load() : 0;
          })
    {
    }

    /* The next `count` calls. */
    void fail(int error, int count = 1)
    {
        error_ = error;
        left_ = count;
    }

private:
    std::atomic<int> error_{0};
    std::atomic<int> left_{0};
    failing::Hook hook_;
};

/* Closes a TCP connection with a reset. */
inline void reset(int fd)
{
    linger hard = {1, 0};
    EXPECT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
    close(fd);
}

} // namespace streams

#endif
