/* SPDX-License-Identifier: MIT */
/*
 * io_connect_test.cc - connecting and accepting by tasks; and every call failing once (A12, A13).
 */
#include "tests/loop/failing_calls.h"
#include "tests/loop/io_tasks.h"

#include <arpa/inet.h>
#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <sys/un.h>
#include <vector>

namespace {

using namespace io_tasks;

class IoConnect : public ::testing::TestWithParam<unsigned> {
protected:
    void run(const std::function<void()> &body)
    {
        EXPECT_EQ(0, io_tasks::run(GetParam(), [&] {
                      body();
                      return 0;
                  }));
    }
};

INSTANTIATE_TEST_SUITE_P(Loops, IoConnect, ::testing::Values(1U, 4U));

TEST_P(IoConnect, AClientAndAServerMeet)
{
    run([] {
        Listener listener;
        Io accepting(listener.fd);
        Task server([&] {
            sockaddr_storage peer{};
            socklen_t size = 0;
            int fd = roti_io_accept(accepting, &peer, &size);
            if (fd < 0)
                return fd;
            EXPECT_EQ(socklen_t{sizeof(sockaddr_in)}, size);
            Io connection(fd, loop_at(1));
            EXPECT_EQ("ping", connection.recv());
            EXPECT_EQ(4, connection.send("pong"));
            EXPECT_EQ("END", connection.recv());
            return 0;
        });
        yield_until([&] { return is_waiting(accepting, ROTI_IO_READ); });
        {
            Io client(Listener::fresh(), loop_at(2));
            ASSERT_EQ(0, listener.connect(client));
            EXPECT_EQ(4, client.send("ping"));
            EXPECT_EQ("pong", client.recv());
        }
        EXPECT_EQ(0, server.join());
    });
}

TEST_P(IoConnect, WhatEpollSaysOfAFreshSocketIsForgotten)
{
    run([] {
        Listener listener;
        Io accepting(listener.fd);
        Io client(Listener::fresh());
        struct roti_io *io = client;
        yield_until([&] {
            return (roti_readiness_look(&io->readiness) & ROTI_READY_HUP) != 0; /* unconnected */
        });
        ASSERT_EQ(0, listener.connect(client));
        EXPECT_EQ(0U, roti_readiness_look(&io->readiness) & ROTI_READY_ENDING);
        Io connection(roti_io_accept(accepting, nullptr, nullptr));
        EXPECT_EQ(1, connection.send("x"));
        EXPECT_EQ("x", client.recv());
    });
}

TEST_P(IoConnect, ARefusalIsTheConnectionsError)
{
    run([] {
        Listener listener;
        close(listener.fd);
        for (int i = 0; i < 20; i++) {
            Io client(Listener::fresh());
            EXPECT_EQ(-ECONNREFUSED, listener.connect(client));
        }
    });
}

TEST_P(IoConnect, AConnectThatGetsNoAnswerCanBeCancelledAndClosed)
{
    run([] {
        Listener listener(0); /* never accepts: what exceeds the queue gets no answer */
        std::vector<std::unique_ptr<Io>> fillers;
        std::vector<std::atomic<bool>> ended(8);
        std::vector<std::unique_ptr<Task>> tasks;
        for (int i = 0; i < 8; i++) {
            fillers.push_back(std::make_unique<Io>(Listener::fresh()));
            struct roti_io *io = *fillers.back();
            tasks.push_back(std::make_unique<Task>([&, i, io] {
                int r = listener.connect(io);
                ended[i] = true;
                return r;
            }));
            /* One after the other, so that it is the last ones that find the queue full. */
            yield_until([&] { return ended[i] || is_waiting(io, ROTI_IO_WRITE); });
        }
        struct roti_io *last = *fillers[7];
        yield_until([&] { return is_waiting(last, ROTI_IO_WRITE); });
        EXPECT_EQ(-EBUSY, listener.connect(last)) << "somebody waits for this connection already";
        tasks[7]->cancel();
        EXPECT_EQ(-ECANCELED, tasks[7]->join());
        struct roti_io *other = *fillers[6];
        yield_until([&] { return is_waiting(other, ROTI_IO_WRITE); });
        roti_io_close(other);
        EXPECT_EQ(ROTA_ECLOSED, tasks[6]->join());
        for (auto &filler : fillers)
            roti_io_close(*filler);
        for (auto &task : tasks)
            task->join();
        close(listener.fd);
    });
}

TEST_P(IoConnect, AUnixSocketConnectsAtOnceOrIsRefused)
{
    run([] {
        support::TempDir directory;
        sockaddr_un addr{};
        addr.sun_family = AF_UNIX;
        std::strcpy(addr.sun_path, directory.file("s").c_str());
        auto *generic = reinterpret_cast<sockaddr *>(&addr);
        auto fresh = [] { return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); };
        {
            Io early(fresh());
            EXPECT_EQ(-ENOENT, roti_io_connect(early, generic, sizeof addr));
        }
        Io listener(fresh());
        ASSERT_EQ(0, bind(roti_io_fd(listener), generic, sizeof addr));
        ASSERT_EQ(0, listen(roti_io_fd(listener), 4));
        Io client(fresh());
        ASSERT_EQ(0, roti_io_connect(client, generic, sizeof addr));
        EXPECT_EQ(-EISCONN, roti_io_connect(client, generic, sizeof addr));
        Io connection(roti_io_accept(listener, nullptr, nullptr));
        EXPECT_EQ(3, client.send("abc"));
        EXPECT_EQ("abc", connection.recv());
    });
}

TEST_P(IoConnect, AWaitingAcceptIsCancelledWithoutLosingAConnection)
{
    run([] {
        Listener listener;
        Io accepting(listener.fd);
        Task server([&] { return roti_io_accept(accepting, nullptr, nullptr); });
        yield_until([&] { return is_waiting(accepting, ROTI_IO_READ); });
        server.cancel();
        EXPECT_EQ(-ECANCELED, server.join());
        Io client(Listener::fresh());
        ASSERT_EQ(0, listener.connect(client));
        Io connection(roti_io_accept(accepting, nullptr, nullptr));
        EXPECT_EQ(2, connection.send("ok"));
        EXPECT_EQ("ok", client.recv());
    });
}

/* ---- Every call fails once ---- */

/* Keeps the first error. */
void note(int &error, ssize_t result)
{
    if (error == 0 && result < 0)
        error = static_cast<int>(result);
}

struct Conversation {
    struct roti_io *listener = nullptr;
    struct roti_io *client = nullptr;
    struct roti_io *server = nullptr;
};

/* Takes `fd` over, or closes it. */
int open_or_close(struct roti_io **ret_io, int fd)
{
    int r = fd < 0 ? fd : roti_io_open(ret_io, fd, rota_running_loop());
    if (r < 0 && fd >= 0)
        close(fd);
    return r;
}

int converse(Conversation &talk, const Listener &listener)
{
    char buffer[16];
    struct roti_lent lent = {};
    int error = 0;
    note(error, open_or_close(&talk.listener, listener.fd));
    note(error, open_or_close(&talk.client, Listener::fresh()));
    if (error == 0)
        note(error, listener.connect(talk.client));
    if (error == 0)
        note(error, open_or_close(&talk.server, roti_io_accept(talk.listener, nullptr, nullptr)));
    if (error == 0)
        note(error, roti_io_send(talk.client, "ping", 4, 0));
    if (error == 0)
        note(error, roti_io_recv(talk.server, buffer, sizeof buffer, 0));
    if (error == 0)
        note(error, roti_io_wait_writable(talk.server));
    if (error == 0) {
        iovec piece = {buffer, 4};
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        note(error, roti_io_sendmsg(talk.server, &message, 0));
    }
    if (error == 0)
        note(error, roti_io_recv_lent(talk.client, &lent));
    EXPECT_EQ(error == 0 ? 4U : 0U, lent.size);
    roti_lent_return(&lent);
    return error;
}

/* A runtime, a connection over loopback, a message each way. The error that ended it, or 0. */
int whole_conversation()
{
    return run(2, [] {
        Listener listener;
        Conversation talk;
        int error = converse(talk, listener);
        for (struct roti_io *io : {talk.client, talk.server, talk.listener})
            if (io != nullptr)
                roti_io_unref(io);
        return error;
    });
}

TEST(IoFailures, A13EachCallFailsWithEachErrorOnce)
{
    /* A wake that fails is no error of the kernel's; what an eventfd can answer, poller_test has.
     */
    const std::vector<enum roti_syscall> sites = {
        ROTI_SYSCALL_epoll_create1, ROTI_SYSCALL_epoll_ctl, ROTI_SYSCALL_epoll_pwait2,
        ROTI_SYSCALL_eventfd,       ROTI_SYSCALL_poll,      ROTI_SYSCALL_recv,
        ROTI_SYSCALL_send,          ROTI_SYSCALL_sendmsg,   ROTI_SYSCALL_accept4,
        ROTI_SYSCALL_connect,       ROTI_SYSCALL_getsockopt};
    support::allow_seconds(300);
    for (enum roti_syscall site : sites)
        for (int error : {-EINTR, -EMFILE, -ENFILE, -ENOMEM, -ENOBUFS, -ECONNRESET, -EPIPE, -EIO}) {
            if (error == -EINTR &&
                (site == ROTI_SYSCALL_connect || site == ROTI_SYSCALL_epoll_create1 ||
                 site == ROTI_SYSCALL_eventfd))
                continue; /* the first means "on its way"; the others cannot be interrupted */
            bool happened = true;
            for (int k = 1; happened; k++) {
                failing::Hook hook([=](enum roti_syscall called) {
                    return called == site && failing::calls[site] == k ? error : 0;
                });
                int r = whole_conversation();
                happened = hook.count(site) >= k;
                ASSERT_TRUE(r == 0 || (happened && error != -EINTR && r == error))
                    << roti_syscall_name(site) << " " << k << " " << rota_error_name(error) << ": "
                    << r;
                if (k > 12)
                    break; /* a wait is made many times */
            }
        }
}

TEST(IoFailures, A12EachAllocationFailsOnce)
{
    support::allow_seconds(300);
    EXPECT_GT(support::sweep_allocations(whole_conversation, support::Absorbing::allowed), 0);
}

} // namespace
