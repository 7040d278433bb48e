/* SPDX-License-Identifier: MIT */
/*
 * scenarios_server.cc - scenarios of servers: whoever waits, every client is served or told.
 */
#include "tests/sweep/table.h"

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <poll.h>
#include <rota/loop.h>
#include <rota/server.h>
#include <rota/stream.h>
#include <rota/timeout.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/support.h"

namespace sweep {

namespace {

/* Sends back what comes. */
int echo(rota_stream *stream, void *)
{
    char buffer[64];
    ssize_t n;
    while ((n = rota_stream_read(stream, buffer, sizeof buffer)) > 0) {
        n = rota_stream_write(stream, buffer, static_cast<std::size_t>(n));
        if (n < 0)
            break;
    }
    return static_cast<int>(n);
}

/* A server on a port of its own, and a bare client. Released at the end. */
class Service {
public:
    Service() = default;
    ~Service()
    {
        if (client_ >= 0)
            close(client_);
        rota_server_close(server_);
        rota_server_abort_clients(server_);
        rota_server_unref(server_);
    }
    Service(const Service &) = delete;
    Service &operator=(const Service &) = delete;

    int create(rota_accept accept, bool deferred = false)
    {
        rota_addr addr{};
        rota_server_opts opts{};
        opts.accept = accept;
        opts.deferred = deferred;
        EXPECT_EQ(0, rota_addr_parse(&addr, "127.0.0.1:0"));
        int r = rota_server_create(&server_, &addr, echo, nullptr, &opts);
        return r < 0 ? r : rota_server_addr(server_, &addr_);
    }
    operator rota_server *() const
    {
        return server_;
    }

    /* ---- The client ---- */

    /* Whether the kernel has let it in. */
    bool connect()
    {
        client_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int r = ::connect(client_, &addr_.sockaddr.any, addr_.size);
        bool refused = r < 0 && errno == ECONNREFUSED;
        pollfd connecting = {client_, POLLOUT, 0};
        if (!refused) {
            EXPECT_EQ(1, poll(&connecting, 1, static_cast<int>(support::patience_ns(20'000))));
        }
        return !refused && send(client_, "x", 1, MSG_NOSIGNAL) == 1;
    }
    /* Whether it got its answer, or has lost the connection. */
    bool is_answered() const
    {
        char byte;
        return recv(client_, &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN;
    }
    bool is_lost() const
    {
        char byte;
        ssize_t n = recv(client_, &byte, 1, MSG_DONTWAIT);
        return n == 0 || (n < 0 && errno != EAGAIN);
    }
    void leave()
    {
        shutdown(client_, SHUT_WR);
    }
    bool is_served() const
    {
        return rota_server_connection_count(server_) == 1;
    }

private:
    rota_server *server_ = nullptr;
    rota_addr addr_{};
    int client_ = -1;
};

/* In the director: gives the loop away until `condition` holds. */
void wait_until(const std::function<bool()> &condition)
{
    std::int64_t end_ns = rota_time_ns() + support::patience_ns(20 * ROTA_SEC);
    bool in_time = true;
    while (!condition() && in_time)
        in_time = rota_time_ns() < end_ns && rota_sleep(50 * ROTA_US) == 0;
    EXPECT_TRUE(in_time) << "what the director waits for has never come";
}

/* A failing call may have ended the acceptor, and the server with it, before it was served. */
int unless_ended_before(const Trial &trial, int r)
{
    return r == ROTA_ECLOSED && trial.is_failing() ? 0 : r;
}

/* Once the subject waits: a client, then the close. */
std::function<void(int)> visit_and_close(Service &service)
{
    return [&service, step = 0](int suspensions) mutable {
        if (step == 0 && suspensions > 0) {
            EXPECT_TRUE(service.connect() || !rota_server_is_serving(service));
            step = 1;
        } else if (step == 1 && service.is_answered()) {
            service.leave();
            rota_server_close(service);
            step = 2;
        }
    };
}

int serve_by(Trial &trial, rota_accept accept, bool deferred = false)
{
    Service service;
    int r = service.create(accept, deferred);
    if (r < 0)
        return r;
    r = trial.run([&] { return trial.note(rota_server_serve_forever(service)); },
                  visit_and_close(service));
    EXPECT_FALSE(trial.was_run() && rota_server_is_serving(service));
    EXPECT_FALSE(trial.was_run() && rota_server_sockets(service, nullptr, 0) > 0);
    return unless_ended_before(trial, r);
}

} // namespace

int serve_handing_over(Trial &trial)
{
    return serve_by(trial, ROTA_ACCEPT_HANDOVER);
}

/* Listens only when it is served. */
int serve_on_each_loop(Trial &trial)
{
    return serve_by(trial, ROTA_ACCEPT_REUSEPORT, true);
}

int serve_by_who_sleeps(Trial &trial)
{
    return serve_by(trial, ROTA_ACCEPT_EXCLUSIVE);
}

/* A request closes the streams of clients, who would stay for ever. */
int serve_a_guest(Trial &trial)
{
    Service service;
    int r = service.create(ROTA_ACCEPT_HANDOVER);
    if (r < 0)
        return r;
    /* A failing call may have ended the acceptor, and the server with it. */
    EXPECT_TRUE(service.connect() || !rota_server_is_serving(service));
    wait_until([&] { return service.is_answered(); });
    r = trial.run([&] { return trial.note(rota_server_serve_forever(service)); }, steps({[&] {
                      rota_server_close(service);
                      rota_server_close_clients(service);
                  }}));
    if (r == 0)
        wait_until([&] { return service.is_lost(); });
    return unless_ended_before(trial, r);
}

/* Who is cancelled while it waits leaves the server and its client as they are. */
int wait_for_client(Trial &trial)
{
    Service service;
    int r = service.create(ROTA_ACCEPT_EXCLUSIVE);
    if (r < 0)
        return r;
    /* A failing call may have ended the acceptor, and the server with it. */
    EXPECT_TRUE(service.connect() || !rota_server_is_serving(service));
    wait_until([&] { return service.is_answered(); });
    rota_server_close(service);
    bool left = false;
    r = trial.run([&] { return trial.note(rota_server_wait_closed(service)); }, steps({[&] {
                      left = true;
                      service.leave();
                  }}));
    EXPECT_TRUE(left || service.is_served() || trial.is_failing());
    service.leave();
    int rest = rota_server_wait_closed(service);
    return r < 0 ? r : rest;
}

} // namespace sweep
