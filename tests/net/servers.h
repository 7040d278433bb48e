/* SPDX-License-Identifier: MIT */
/*
 * servers.h - servers with handlers from lambdas, for tests of net.
 */
#ifndef ROTA_TESTS_SERVERS_H
#define ROTA_TESTS_SERVERS_H

#include <functional>
#include <linux/sockios.h>
#include <rota/server.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <utility>

#include "loop/loop_impl.h"
#include "net/server_impl.h"
#include "tests/net/streams.h"

namespace servers {

using Handler = std::function<int(rota_stream *)>;

/* Sends back what it receives. */
inline int echo(rota_stream *stream)
{
    char buffer[1024];
    ssize_t n;
    while ((n = rota_stream_read(stream, buffer, sizeof buffer)) > 0)
        if ((n = rota_stream_write(stream, buffer, static_cast<std::size_t>(n))) < 0)
            break;
    return static_cast<int>(n);
}

/* Reads to the end and keeps quiet. */
inline int listen_only(rota_stream *stream)
{
    char buffer[1024];
    ssize_t n;
    while ((n = rota_stream_read(stream, buffer, sizeof buffer)) > 0)
        ;
    return static_cast<int>(n);
}

/* A server, and a reference to it, ended with this object or before. */
class Server {
public:
    explicit Server(Handler handler = echo, rota_server_opts opts = {},
                    const std::string &text = "127.0.0.1:0")
        : handler_(std::move(handler))
    {
        rota_addr addr = streams::address(text);
        auto call = [](rota_stream *stream, void *arg) {
            return (*static_cast<Handler *>(arg))(stream);
        };
        error_ = rota_server_create(&server_, &addr, call, &handler_, &opts);
        if (error_ == 0) {
            EXPECT_EQ(0, rota_server_addr(server_, &addr_));
        }
    }
    /* Waits for the clients, whose handlers use this object. */
    ~Server()
    {
        if (server_ == nullptr)
            return;
        rota_server_close(server_);
        rota_server_abort_clients(server_);
        EXPECT_EQ(0, rota_server_wait_closed(server_));
        drop();
    }
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;

    operator rota_server *() const
    {
        return server_;
    }
    rota_server *operator->() const
    {
        return server_;
    }
    void drop()
    {
        rota_server_unref(std::exchange(server_, nullptr));
    }
    int error() const
    {
        return error_;
    }
    const rota_addr &addr() const
    {
        return addr_;
    }

private:
    Handler handler_;
    rota_server *server_ = nullptr;
    rota_addr addr_{};
    int error_ = 0;
};

/* What a client gets from an echo: the text, or what went wrong. */
inline std::string call(const rota_addr &addr, std::string_view text)
{
    streams::Stream client(addr);
    if (client.error() < 0)
        return rota_error_name(client.error());
    ssize_t n = client.write(text);
    return n < 0 ? rota_error_name(static_cast<int>(n)) : client.exactly(text.size());
}

/* A bare connection of a client that never suspends: what the kernel answers. Blocking. */
class Client {
public:
    explicit Client(const rota_addr &addr)
        : fd_(socket(addr.sockaddr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)),
          error_(connect(fd_, &addr.sockaddr.any, addr.size) == 0 ? 0 : errno)
    {
    }
    Client(Client &&other) noexcept : fd_(std::exchange(other.fd_, -1)), error_(other.error_) {}
    ~Client()
    {
        drop();
    }

    int error() const
    {
        return error_;
    }
    int fd() const
    {
        return fd_;
    }
    bool put(std::string_view text) const
    {
        return send(fd_, text.data(), text.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(text.size());
    }
    /* Waits, without giving the loop away, until the server's kernel has all that was put: only
     * then is the connection sure to be in the backlog, since connect(2) returns before its own
     * last word has arrived. */
    bool arrived() const
    {
        return support::eventually([this] {
            int left = 0;
            return ioctl(fd_, SIOCOUTQ, &left) != 0 || left == 0;
        });
    }
    /* What has come: the bytes, "" for none yet, "END" or "RESET". */
    std::string got() const
    {
        char buffer[1000];
        ssize_t n = recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN ? "" : "RESET";
        return n == 0 ? "END" : std::string(buffer, static_cast<std::size_t>(n));
    }
    /* In a task: what comes first. */
    std::string wait() const
    {
        std::string text;
        EXPECT_TRUE(loops::eventually([&] { return (text = got()) != ""; }));
        return text;
    }
    void drop()
    {
        if (fd_ >= 0)
            close(std::exchange(fd_, -1));
    }

private:
    int fd_;
    int error_;
};

/* How many connections each loop has. */
inline std::vector<unsigned> counts(rota_server *server)
{
    roti_spin_lock(&server->lock);
    std::vector<unsigned> copy(
        server->loop_counts, server->loop_counts + roti_pool_worker_count(&server->runtime->pool));
    roti_spin_unlock(&server->lock);
    return copy;
}

/* Connections, and those that an acceptor has made room for. */
inline std::size_t admitted(rota_server *server)
{
    roti_spin_lock(&server->lock);
    std::size_t count = server->admitted;
    roti_spin_unlock(&server->lock);
    return count;
}

/* In a task: waits until the server has so many clients. */
inline bool has_clients(rota_server *server, std::size_t count)
{
    return loops::eventually([=] { return rota_server_connection_count(server) == count; });
}

} // namespace servers

#endif
