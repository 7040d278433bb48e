/* SPDX-License-Identifier: MIT */
/*
 * scenarios_write.cc - scenarios of streams that send, close and connect.
 */
#include "tests/sweep/table.h"
#include "tests/sweep/wire.h"

#include <atomic>
#include <netinet/in.h>
#include <rota/addr.h>
#include <unistd.h>

namespace sweep {

namespace {

constexpr std::size_t large = 32 << 10; /* more than the kernel takes of a Wire */

/* ---- Writing ---- */

using Writer = std::function<ssize_t(rota_stream *stream, const std::string &text)>;

/* Writes twice. What was accepted arrives, cancelled or not, and nothing else does. `stuffed`: the
 * kernel takes nothing at first; else it takes a part. */
int write_by(Trial &trial, bool stuffed, const Writer &call)
{
    Wire wire;
    std::string text(large, 'x');
    int r = wire.open();
    if (r == 0)
        r = rota_stream_set_limits(wire, 1000, 0);
    if (r < 0)
        return r;
    std::size_t accepted = stuffed ? wire.stuff() : 0;
    r = trial.run(
        [&] {
            for (int i = 0; i < 2; i++) {
                ssize_t n = trial.note(call(wire, text));
                if (n == -ENOMEM) /* nothing was accepted, and the next one is; or it has ended */
                    (void)trial.note(call(wire, text));
                if (n < 0)
                    return static_cast<int>(n);
                EXPECT_EQ(text.size(), static_cast<std::size_t>(n));
                accepted += text.size();
            }
            return 0;
        },
        [&](int suspensions) {
            if (suspensions > 0)
                wire.take();
        });
    if (r < 0 || trial.is_failing())
        return r;
    EXPECT_TRUE(wire.take_all(accepted)) << wire.take() << " of " << accepted;
    return 0;
}

/* Fills the stream, so that writers are held up from now on. In the director. */
int fill(Wire &wire)
{
    std::string text(large, 'x');
    int r = wire.open();
    if (r == 0)
        r = rota_stream_set_limits(wire, 2 * large, 0);
    if (r < 0)
        return r;
    ssize_t n = rota_stream_write(wire, text.data(), text.size());
    return n < 0 ? static_cast<int>(n) : rota_stream_set_limits(wire, 0, 0);
}

std::function<void(int)> taking(Wire &wire)
{
    return [&wire](int suspensions) {
        if (suspensions > 0)
            wire.take();
    };
}

} // namespace

int write_above_mark(Trial &trial)
{
    return write_by(trial, false, [](rota_stream *stream, const std::string &text) {
        return rota_stream_write(stream, text.data(), text.size());
    });
}

int write_pieces(Trial &trial)
{
    return write_by(trial, true, [](rota_stream *stream, const std::string &text) {
        char *data = const_cast<char *>(text.data()); /* iovec has no constant form */
        iovec pieces[] = {{data, 1}, {data + 1, 20000}, {data + 20001, text.size() - 20001}};
        return rota_stream_writev(stream, pieces, 3);
    });
}

int drain_backlog(Trial &trial)
{
    Wire wire;
    int r = fill(wire);
    if (r < 0)
        return r;
    r = trial.run([&] { return trial.note(rota_stream_drain(wire)); }, taking(wire));
    if (r < 0 || trial.is_failing())
        return r;
    EXPECT_TRUE(wire.take_all(large));
    return 0;
}

/* ---- Closing ---- */

int wait_sent(Trial &trial)
{
    Wire wire;
    int r = fill(wire);
    if (r < 0)
        return r;
    r = trial.run(
        [&] {
            rota_stream_close(wire);
            return trial.note(rota_stream_wait_closed(wire));
        },
        taking(wire));
    if (r < 0 || trial.is_failing())
        return r;
    EXPECT_TRUE(wire.take_all(large));
    return rota_stream_wait_closed(wire);
}

int wait_aborted(Trial &trial)
{
    Wire wire;
    int r = wire.open();
    if (r < 0)
        return r;
    return trial.run([&] { return trial.note(rota_stream_wait_closed(wire)); },
                     steps({[&] { rota_stream_abort(wire); }}));
}

/* ---- Connecting ---- */

namespace {

/* A bare listener, and what connected to it before. */
class Listener {
public:
    Listener(int family, int backlog)
    {
        static std::atomic<int> number{0};
        rota_addr any{};
        std::string name =
            "unix:@rota-sweep-" + std::to_string(getpid()) + "-" + std::to_string(number++);
        const char *text = family == AF_UNIX ? name.c_str() : "127.0.0.1:0";
        EXPECT_EQ(0, rota_addr_parse(&any, text));
        fd_ = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        EXPECT_EQ(0, bind(fd_, &any.sockaddr.any, any.size));
        EXPECT_EQ(0, listen(fd_, backlog));
        sockaddr_storage bound{};
        socklen_t size = sizeof bound;
        EXPECT_EQ(0, getsockname(fd_, reinterpret_cast<sockaddr *>(&bound), &size));
        EXPECT_EQ(0, rota_addr_from_sockaddr(&addr, reinterpret_cast<sockaddr *>(&bound), size));
    }
    ~Listener()
    {
        for (int fd : fds_)
            close(fd);
        close(fd_);
    }
    Listener(const Listener &) = delete;
    Listener &operator=(const Listener &) = delete;

    /* One more connection; false: the queue is full. */
    bool connect()
    {
        fds_.push_back(
            socket(addr.sockaddr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        return ::connect(fds_.back(), &addr.sockaddr.any, addr.size) == 0;
    }
    /* Accepts one; false: there is none. */
    bool accept()
    {
        int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0)
            fds_.push_back(fd);
        return fd >= 0;
    }
    /* Accepts all: how many there are. */
    int accept_all()
    {
        int count = 0;
        while (accept())
            count++;
        return count;
    }

    rota_addr addr{};

private:
    int fd_;
    std::vector<int> fds_;
};

/* Connects, and lets go. */
int connect_once(Trial &trial, const Listener &listener, bool &connected)
{
    rota_stream *stream = nullptr;
    int r = trial.note(rota_stream_connect(&stream, &listener.addr, nullptr));
    EXPECT_EQ(r == 0, stream != nullptr);
    connected = r == 0;
    rota_stream_abort(stream);
    rota_stream_unref(stream);
    return r;
}

} // namespace

/* To this machine itself a connection is made at once, or refused. */
int connect_tcp(Trial &trial)
{
    Listener listener(AF_INET, 8);
    return trial.run(
        [&] {
            bool connected = false;
            return connect_once(trial, listener, connected);
        },
        steps({}));
}

/* Nobody answers, until the time is over: the listener's queue is full. */
int connect_unanswered(Trial &trial)
{
    trial.has_scope();
    Listener listener(AF_INET, 0);
    for (int i = 0; i < 3; i++)
        listener.connect();
    return trial.run(
        [&] {
            bool connected = false;
            rota_timeout scope{};
            EXPECT_EQ(0, rota_timeout_begin(&scope, ROTA_MS));
            int r = connect_once(trial, listener, connected);
            r = rota_timeout_end(&scope, r);
            return r == -ETIMEDOUT ? 0 : r;
        },
        steps({}));
}

/* A unix listener whose queue is full is asked again and again. */
int connect_full_queue(Trial &trial)
{
    Listener listener(AF_UNIX, 0);
    int queued = 0;
    bool connected = false;
    while (listener.connect())
        queued++;
    int r = trial.run([&] { return connect_once(trial, listener, connected); },
                      steps({[&] { queued -= listener.accept(); }}));
    EXPECT_EQ(queued + connected, listener.accept_all()) << "something was left behind";
    return r;
}

} // namespace sweep
