/* SPDX-License-Identifier: MIT */
/*
 * io_tasks.h - tasks from lambdas, and pairs of registered sockets, for tests of operations.
 */
#ifndef ROTA_TESTS_IO_TASKS_H
#define ROTA_TESTS_IO_TASKS_H

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <rota/error.h>
#include <rota/runtime.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "loop/io_impl.h"
#include "tests/loop/moves.h"
#include "tests/support/support.h"

namespace io_tasks {

/* Runs `body` as the first task of a runtime with so many loops. Nobody polls for a loop whose step
 * takes long: tests say in which step events are taken. test_blocked has help. */
inline int run(unsigned loops, const std::function<int()> &body)
{
    struct rota_run_opts opts = {};
    opts.loops = loops;
    opts.no_signals = true;
    opts.no_help = true;
    opts.stall_ns = support::is_child() ? -1 : 0;
    auto call = [](void *arg) { return (*static_cast<const std::function<int()> *>(arg))(); };
    return rota_run(call, const_cast<std::function<int()> *>(&body), &opts);
}

/* A task that runs a function; joined at the end of its scope at the latest. */
class Task {
public:
    explicit Task(std::function<int()> body) : body_(std::move(body))
    {
        auto call = [](void *arg) { return static_cast<Task *>(arg)->body_(); };
        EXPECT_EQ(0, rota_task_spawn(&task_, call, this, nullptr));
    }
    ~Task()
    {
        join();
    }
    Task(const Task &) = delete;
    Task &operator=(const Task &) = delete;

    /* Waits for its end; what it returned. */
    int join()
    {
        if (task_ != nullptr) {
            EXPECT_EQ(0, rota_task_await(task_, &status_));
            rota_task_unref(task_);
            task_ = nullptr;
        }
        return status_;
    }
    void cancel()
    {
        EXPECT_GE(rota_task_cancel(task_), 0);
    }

private:
    std::function<int()> body_;
    struct rota_task *task_ = nullptr;
    int status_ = 0;
};

/* Lets other tasks run until `condition` holds. */
inline void yield_until(const std::function<bool()> &condition)
{
    while (!condition())
        ASSERT_EQ(0, rota_yield());
}

/* Whether a task waits in that direction. */
inline bool is_waiting(struct roti_io *io, enum roti_io_direction direction)
{
    std::uint64_t held = roti_readiness_lock(&io->readiness);
    bool waiting = !roti_list_empty(direction == ROTI_IO_READ ? &io->readers : &io->writers);
    roti_readiness_unlock(&io->readiness, held);
    return waiting;
}

/* A descriptor registered at a loop (NULL: the running one), closed at the end. */
class Io {
public:
    explicit Io(int fd, struct rota_loop *loop = nullptr)
    {
        int r = roti_io_open(&io_, fd, loop != nullptr ? loop : rota_running_loop());
        EXPECT_EQ(0, r);
    }
    ~Io()
    {
        roti_io_close(io_);
        roti_io_unref(io_);
    }
    Io(const Io &) = delete;
    Io &operator=(const Io &) = delete;

    operator struct roti_io *() const
    {
        return io_;
    }

    ssize_t send(const std::string &text)
    {
        return roti_io_send(io_, text.data(), text.size(), 0);
    }

    /* What one receive gets: the bytes, "END", or the error's name. */
    std::string recv(std::size_t size = 100)
    {
        std::string buffer(size, '\0');
        ssize_t r = roti_io_recv(io_, buffer.data(), size, 0);
        if (r < 0)
            return rota_error_name(static_cast<int>(r));
        buffer.resize(static_cast<std::size_t>(r));
        return r == 0 ? "END" : buffer;
    }

private:
    struct roti_io *io_ = nullptr;
};

/* Two connected sockets of the unix domain, at one loop each. */
struct Pair {
    explicit Pair(struct rota_loop *first = nullptr, struct rota_loop *second = nullptr)
        : left(sockets.release_left(), first), right(sockets.release_right(), second)
    {
    }

    support::SocketPair sockets;
    Io left;
    Io right;
};

/* Loop `index` modulo the number of loops. */
inline struct rota_loop *loop_at(unsigned index)
{
    struct rota_runtime *runtime = rota_running_runtime();
    auto count = static_cast<unsigned>(rota_runtime_loop_count(runtime));
    return rota_runtime_loop(runtime, index % count);
}

/* A listener on a port of its own, and fresh sockets for it. */
struct Listener {
    explicit Listener(int backlog = 16)
    {
        socklen_t size = sizeof addr;
        addr.sin_family = AF_INET;
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = fresh();
        EXPECT_EQ(0, bind(fd, reinterpret_cast<sockaddr *>(&addr), size));
        EXPECT_EQ(0, listen(fd, backlog));
        EXPECT_EQ(0, getsockname(fd, reinterpret_cast<sockaddr *>(&addr), &size));
    }
    static int fresh()
    {
        return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    int connect(struct roti_io *io) const
    {
        return roti_io_connect(io, reinterpret_cast<const sockaddr *>(&addr), sizeof addr);
    }

    sockaddr_in addr{};
    int fd;
};

} // namespace io_tasks

#endif
