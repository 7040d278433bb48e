/* SPDX-License-Identifier: MIT */
/*
 * io_close_test.cc - closing, numbers and slots that serve again (H54, H55).
 */
#include <gtest/gtest.h>

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include "tests/loop/io_fixture.h"

namespace {

using failing::Hook;

/* ---- Closing, reuse ---- */

TEST_F(IoTry, H55TheNumberStaysTakenWhileACallUsesIt)
{
    support::SocketPair pair;
    put(pair.right(), "abc");
    int fd = pair.release_left();
    struct roti_io *io = open(fd);
    bool open_during_call = false;
    Hook hook([&](enum roti_syscall site) {
        if (site == ROTI_SYSCALL_recv) {
            roti_io_close(io);
            open_during_call = is_open(fd);
        }
        return 0;
    });
    EXPECT_EQ("abc", get(io)) << "the call had begun before the closing, and went on";
    EXPECT_TRUE(open_during_call);
    EXPECT_FALSE(is_open(fd)) << "the last user closed it";
    EXPECT_EQ("ROTA_ECLOSED", get(io));
    roti_io_unref(io);
}

TEST_F(IoTry, ClosingTwiceIsClosingOnce)
{
    support::SocketPair pair;
    int fd = pair.release_left();
    struct roti_io *io = open(fd);
    EXPECT_EQ(fd, roti_io_fd(io));
    EXPECT_EQ(loop.get(), roti_io_loop(io));
    roti_io_close(io);
    EXPECT_FALSE(is_open(fd));
    int same = fcntl(pair.right(), F_DUPFD_CLOEXEC, fd);
    ASSERT_EQ(fd, same);
    roti_io_close(io);
    EXPECT_TRUE(is_open(same)) << "the number is another's now";
    EXPECT_EQ(-1, roti_io_fd(io));
    EXPECT_EQ(ROTA_ECLOSED, roti_io_try_send(io, "x", 1, 0));
    EXPECT_EQ(ROTA_ECLOSED, roti_io_try_accept(io, nullptr, nullptr));
    EXPECT_EQ(ROTA_ECLOSED, roti_io_connect(io, nullptr, 0));
    EXPECT_EQ(ROTA_ECLOSED, roti_io_wait_readable(io));
    roti_io_unref(io);
    EXPECT_TRUE(is_open(same));
    close(same);
}

TEST_F(IoTry, TheLastReferenceCloses)
{
    support::SocketPair pair;
    int fd = pair.release_left();
    struct roti_io *io = open(fd);
    EXPECT_EQ(io, roti_io_ref(io));
    roti_io_unref(io);
    EXPECT_TRUE(is_open(fd));
    roti_io_unref(io);
    EXPECT_FALSE(is_open(fd));
}

TEST_F(IoTry, H54ADuplicateOfAClosedDescriptorIsNotHeardOf)
{
    support::SocketPair old_pair;
    support::SocketPair new_pair;
    int fd = old_pair.release_left();
    int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    struct roti_io *io = open(fd);
    poll();
    finish(io);
    put(old_pair.right(), "old");
    struct epoll_event event;
    EXPECT_EQ(0, epoll_wait(loop->poller.epoll_fd, &event, 1, 0)) << "the registration has ended";
    int same = fcntl(new_pair.left(), F_DUPFD_CLOEXEC, fd);
    ASSERT_EQ(fd, same);
    struct roti_io *next = open(same);
    EXPECT_EQ(io, next) << "the slot serves again at once";
    poll();
    EXPECT_EQ("EAGAIN", get(next));
    put(old_pair.right(), "old");
    EXPECT_EQ(0U, poll());
    EXPECT_EQ("EAGAIN", get(next));
    put(new_pair.right(), "new");
    EXPECT_EQ(1U, poll());
    EXPECT_EQ("new", get(next));
    finish(next);
    close(duplicate);
}

TEST_F(IoTry, H54ABatchEntryOfAnEarlierLifeDoesNothing)
{
    support::SocketPair first;
    support::SocketPair second;
    struct roti_io *io = open(first.release_left());
    std::uint64_t token = roti_io_token(io);
    finish(io);
    struct roti_io *next = open(second.release_left());
    ASSERT_EQ(io, next);
    poll();
    EXPECT_EQ("EAGAIN", get(next));
    std::uint64_t before = roti_readiness_look(&next->readiness);
    struct roti_list woken;
    roti_list_init(&woken);
    EXPECT_FALSE(roti_io_edge(token, ROTI_READY_READ | ROTI_READY_HUP, &woken));
    EXPECT_EQ(before, roti_readiness_look(&next->readiness));
    EXPECT_NE(token, roti_io_token(next));
    EXPECT_TRUE(roti_io_edge(roti_io_token(next), ROTI_READY_READ, &woken));
    EXPECT_TRUE(roti_list_empty(&woken));
    finish(next);
}

TEST_F(IoTry, MoreEventsThanOneBatchHolds)
{
    const std::size_t count = ROTI_POLLER_BATCH + 44;
    std::vector<std::unique_ptr<support::SocketPair>> pairs;
    std::vector<struct roti_io *> ios;
    for (std::size_t i = 0; i < count; i++) {
        pairs.push_back(std::make_unique<support::SocketPair>());
        ios.push_back(open(pairs[i]->release_left()));
    }
    unsigned news = 0;
    for (unsigned r; (r = poll()) != 0; news += r)
        EXPECT_LE(r, unsigned{ROTI_POLLER_BATCH});
    EXPECT_EQ(count, news) << "each is writable";
    for (std::size_t i = 0; i < count; i++) {
        EXPECT_EQ("EAGAIN", get(ios[i]));
        put(pairs[i]->right(), std::to_string(i));
    }
    while (poll() != 0)
        continue;
    for (std::size_t i = 0; i < count; i++) {
        EXPECT_EQ(std::to_string(i), get(ios[i]));
        finish(ios[i]);
    }
}

} // namespace
