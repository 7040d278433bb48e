/* SPDX-License-Identifier: MIT */
/*
 * io_test.cc - operations by tasks: waiting, closing, cancelling (H15, H43, H54, H55, H56, H67).
 */
#include "tests/loop/io_tasks.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <vector>

namespace {

using namespace io_tasks;

/* By the number of loops. */
class IoTask : public ::testing::TestWithParam<unsigned> {
protected:
    void run(const std::function<void()> &body)
    {
        std::size_t live = roti_io_live();
        EXPECT_EQ(0, io_tasks::run(GetParam(), [&] {
                      body();
                      return 0;
                  }));
        EXPECT_EQ(live, roti_io_live()) << "descriptors left";
    }
};

INSTANTIATE_TEST_SUITE_P(Loops, IoTask, ::testing::Values(1U, 2U, 4U));

TEST_P(IoTask, AReaderWaitsForData)
{
    run([] {
        Pair pair;
        std::string got;
        Task reader([&] {
            got = pair.left.recv();
            return 0;
        });
        yield_until([&] { return is_waiting(pair.left, ROTI_IO_READ); });
        EXPECT_EQ(3, pair.right.send("abc"));
        reader.join();
        EXPECT_EQ("abc", got);
    });
}

TEST_P(IoTask, AWriterWaitsForRoomAndNothingIsLostOrDoubled)
{
    run([] {
        Pair pair(loop_at(0), loop_at(1));
        const std::size_t total = static_cast<std::size_t>(support::scale(4 << 20));
        auto byte_at = [](std::size_t i) { return static_cast<char>(i * 2654435761U >> 13); };
        Task writer([&] {
            std::vector<char> block(100'003);
            for (std::size_t sent = 0; sent < total;) {
                std::size_t size = std::min(block.size(), total - sent);
                for (std::size_t i = 0; i < size; i++)
                    block[i] = byte_at(sent + i);
                ssize_t r = roti_io_send(pair.left, block.data(), size, 0);
                if (r <= 0)
                    return static_cast<int>(r);
                sent += static_cast<std::size_t>(r);
            }
            return shutdown(roti_io_fd(pair.left), SHUT_WR);
        });
        std::vector<char> block(65'537);
        std::size_t wrong = 0;
        std::size_t received = 0;
        ssize_t r;
        while ((r = roti_io_recv(pair.right, block.data(), block.size(), 0)) > 0)
            for (ssize_t i = 0; i < r; i++)
                wrong += block[static_cast<std::size_t>(i)] != byte_at(received++);
        EXPECT_EQ(0, r);
        EXPECT_EQ(0, writer.join());
        EXPECT_EQ(total, received);
        EXPECT_EQ(0U, wrong);
    });
}

TEST_P(IoTask, H56DataAndEndTogetherAreBothRead)
{
    run([] {
        Pair pair;
        std::string got;
        Task reader([&] {
            for (std::string piece; (piece = pair.left.recv()) != "END";)
                got += piece;
            return 0;
        });
        yield_until([&] { return is_waiting(pair.left, ROTI_IO_READ); });
        EXPECT_EQ(3, pair.right.send("abc"));
        roti_io_close(pair.right);
        reader.join();
        EXPECT_EQ("abc", got);
    });
}

TEST_P(IoTask, ClosingWakesReaderAndWriter)
{
    run([] {
        Pair pair;
        std::string block(65536, 'x');
        Task reader([&] {
            char byte;
            return static_cast<int>(roti_io_recv(pair.left, &byte, 1, 0));
        });
        Task writer([&] {
            ssize_t r;
            while ((r = roti_io_send(pair.left, block.data(), block.size(), 0)) > 0)
                continue;
            return static_cast<int>(r);
        });
        yield_until([&] {
            return is_waiting(pair.left, ROTI_IO_READ) && is_waiting(pair.left, ROTI_IO_WRITE);
        });
        int fd = roti_io_fd(pair.left);
        roti_io_close(pair.left);
        EXPECT_EQ(-1, fcntl(fd, F_GETFD)) << "closed at once, no call used it";
        EXPECT_EQ(ROTA_ECLOSED, reader.join());
        EXPECT_EQ(ROTA_ECLOSED, writer.join());
    });
}

/* The waiter holds a reference of its own: whoever closes may let go at once. */
TEST_P(IoTask, AWaiterOutlivesTheReferencesOfOthers)
{
    run([] {
        support::SocketPair sockets;
        struct roti_io *io = nullptr;
        ASSERT_EQ(0, roti_io_open(&io, sockets.release_left(), loop_at(1)));
        Task reader([io] { return roti_io_wait_readable(io); });
        yield_until([&] { return is_waiting(io, ROTI_IO_READ); });
        roti_io_close(io);
        roti_io_unref(io);
        EXPECT_EQ(ROTA_ECLOSED, reader.join());
    });
}

TEST_P(IoTask, OneReaderAndOneWriterWaitAndASecondIsRefused)
{
    run([] {
        Pair pair;
        Task reader([&] { return roti_io_wait_readable(pair.left); });
        yield_until([&] { return is_waiting(pair.left, ROTI_IO_READ); });
        char byte;
        struct roti_lent lent = {};
        EXPECT_EQ(-EBUSY, roti_io_recv(pair.left, &byte, 1, 0));
        EXPECT_EQ(-EBUSY, roti_io_recv_lent(pair.left, &lent));
        EXPECT_EQ(-EBUSY, roti_io_wait_readable(pair.left));
        EXPECT_EQ(0, roti_io_wait_writable(pair.left)) << "the other direction is free";
        EXPECT_EQ(1, pair.right.send("x"));
        EXPECT_EQ(0, reader.join()) << "the first one was not disturbed";
    });
}

TEST_P(IoTask, ACancelledReaderHasConsumedNothing)
{
    run([] {
        Pair pair;
        Task reader([&] {
            char byte;
            return static_cast<int>(roti_io_recv(pair.left, &byte, 1, 0));
        });
        yield_until([&] { return is_waiting(pair.left, ROTI_IO_READ); });
        reader.cancel();
        EXPECT_EQ(-ECANCELED, reader.join());
        EXPECT_FALSE(is_waiting(pair.left, ROTI_IO_READ));
        EXPECT_EQ(3, pair.right.send("abc"));
        EXPECT_EQ("abc", pair.left.recv());
    });
}

TEST_P(IoTask, H43DataAndCancellationTogetherAreOneOfTheTwo)
{
    run([] {
        Pair pair(loop_at(0), loop_at(1));
        int cancelled = 0;
        const std::int64_t count = support::scale(2000);
        for (std::int64_t i = 0; i < count; i++) {
            Task reader([&] {
                char byte;
                return static_cast<int>(roti_io_recv(pair.left, &byte, 1, 0));
            });
            if (i % 2 == 0)
                yield_until([&] { return is_waiting(pair.left, ROTI_IO_READ); });
            Task canceller([&] {
                reader.cancel();
                return 0;
            });
            ASSERT_EQ(1, pair.right.send("x"));
            canceller.join();
            int r = reader.join();
            ASSERT_TRUE(r == 1 || r == -ECANCELED) << r;
            if (r == -ECANCELED) {
                cancelled++;
                ASSERT_EQ("x", pair.left.recv()) << "the byte is still there";
            }
            char byte;
            int fd = roti_io_fd(pair.left);
            ASSERT_EQ(-1, ::recv(fd, &byte, 1, MSG_DONTWAIT)) << "and only once";
        }
        RecordProperty("cancelled", cancelled);
    });
}

/* Pinned, as the descriptor's loop must not come to its poller before the last wait. */
TEST_P(IoTask, ARequestThatWasPendingIsDeliveredInsteadOfWaiting)
{
    run([] {
        Task reader([&] {
            rota_pin();
            Pair pair;
            char byte;
            EXPECT_EQ(1, rota_task_cancel(rota_current_task()));
            EXPECT_EQ(-ECANCELED, roti_io_recv(pair.left, &byte, 1, 0));
            EXPECT_EQ(1, rota_task_cancel(rota_current_task()));
            EXPECT_EQ(1, pair.right.send("x"));
            EXPECT_EQ(-ECANCELED, roti_io_recv(pair.left, &byte, 1, 0)) << "not told of the byte";
            EXPECT_EQ(0, roti_io_wait_readable(pair.left));
            EXPECT_EQ("x", pair.left.recv());
            rota_unpin();
            return 0;
        });
        reader.join();
    });
}

/* ---- Waiting alone ---- */

TEST_P(IoTask, WaitingForReadabilityConsumesNothingAndIsNotFooled)
{
    run([] {
        Pair pair;
        std::atomic<bool> woken{false};
        Task waiter([&] {
            int r = roti_io_wait_readable(pair.left); /* "maybe ready" is asked about first */
            woken = true;
            return r;
        });
        yield_until([&] { return is_waiting(pair.left, ROTI_IO_READ); });
        EXPECT_FALSE(woken);
        EXPECT_EQ(3, pair.right.send("abc"));
        EXPECT_EQ(0, waiter.join());
        EXPECT_EQ(0, roti_io_wait_readable(pair.left)) << "still there";
        EXPECT_EQ("abc", pair.left.recv());
    });
}

TEST_P(IoTask, WhatIsNoSocketCanBeWaitedFor)
{
    run([] {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        Io event(fd);
        for (std::uint64_t i = 1; i <= 3; i++) {
            Task waiter([&] { return roti_io_wait_readable(event); });
            yield_until([&] { return is_waiting(event, ROTI_IO_READ); });
            ASSERT_EQ(ssize_t{sizeof i}, write(fd, &i, sizeof i));
            EXPECT_EQ(0, waiter.join());
            std::uint64_t value = 0;
            ASSERT_EQ(ssize_t{sizeof value}, read(fd, &value, sizeof value));
            EXPECT_EQ(i, value);
        }
        int ends[2];
        ASSERT_EQ(0, pipe2(ends, O_CLOEXEC | O_NONBLOCK));
        Io reading(ends[0]);
        Task waiter([&] { return roti_io_wait_readable(reading); });
        yield_until([&] { return is_waiting(reading, ROTI_IO_READ); });
        close(ends[1]);
        EXPECT_EQ(0, waiter.join()) << "the end of a pipe is news";
    });
}

/* ---- Lent memory ---- */

TEST_P(IoTask, AnIdleConnectionOwnsNoMemory)
{
    run([] {
        constexpr int count = 100;
        std::vector<std::unique_ptr<Pair>> pairs;
        std::vector<std::unique_ptr<Task>> readers;
        for (int i = 0; i < count; i++)
            pairs.push_back(std::make_unique<Pair>());
        std::ptrdiff_t before = support::live_bytes();
        for (int i = 0; i < count; i++)
            readers.push_back(std::make_unique<Task>([&pairs, i] {
                struct roti_lent lent = {};
                ssize_t r = roti_io_recv_lent(pairs[static_cast<std::size_t>(i)]->left, &lent);
                EXPECT_EQ(3, r);
                EXPECT_EQ(3U, lent.size);
                EXPECT_EQ(0, std::memcmp(lent.data, "abc", 3));
                roti_lent_return(&lent);
                return 0;
            }));
        for (auto &pair : pairs)
            yield_until([&] { return is_waiting(pair->left, ROTI_IO_READ); });
        auto loops = static_cast<std::ptrdiff_t>(GetParam());
        EXPECT_LE(support::live_bytes() - before, loops * ROTI_LENT_CACHE_MAX * 16384)
            << "what the loops keep, and no block for each connection";
        for (auto &pair : pairs)
            EXPECT_EQ(3, pair->right.send("abc"));
        for (auto &reader : readers)
            EXPECT_EQ(0, reader->join());
    });
}

TEST_P(IoTask, LentMemoryComesBackAtTheEndAndOnErrors)
{
    run([] {
        Pair pair;
        struct roti_lent lent = {};
        EXPECT_EQ(3, pair.right.send("abc"));
        EXPECT_EQ(3, roti_io_recv_lent(pair.left, &lent));
        roti_lent_return(&lent);
        roti_io_close(pair.right);
        lent.size = 7;
        EXPECT_EQ(0, roti_io_recv_lent(pair.left, &lent));
        EXPECT_EQ(nullptr, lent.data);
        EXPECT_EQ(0U, lent.size);
        roti_io_close(pair.left);
        EXPECT_EQ(ROTA_ECLOSED, roti_io_recv_lent(pair.left, &lent));
        EXPECT_EQ(nullptr, lent.data);
    });
}

/* ---- Giving way (H15) ---- */

/* On one loop, where nobody else can take the others: how often they run during `busy`. */
int turns_of_others(const std::function<void()> &busy)
{
    int turns = 0;
    bool done = false;
    Task other([&] {
        while (!done) {
            EXPECT_EQ(0, rota_yield());
            turns++;
        }
        return 0;
    });
    Task task([&] {
        busy();
        done = true;
        return 0;
    });
    task.join();
    other.join();
    return turns;
}

TEST(IoGiving, AReaderThatNeverHasToWaitGivesWay)
{
    static constexpr int BYTES = 20 * ROTI_CALLS_MAX;
    EXPECT_EQ(0, io_tasks::run(1, [] {
                  Pair pair;
                  EXPECT_EQ(BYTES, pair.right.send(std::string(BYTES, 'x')));
                  EXPECT_EQ("x", pair.left.recv(1)); /* by now they are here */
                  EXPECT_GE(turns_of_others([&] {
                                for (int i = 1; i < BYTES; i++)
                                    EXPECT_EQ("x", pair.left.recv(1));
                            }),
                            BYTES / ROTI_CALLS_MAX - 1);
                  return 0;
              }));
}

TEST(IoGiving, ACancelledOneReadsOn)
{
    static constexpr int BYTES = 3 * ROTI_CALLS_MAX;
    EXPECT_EQ(0, io_tasks::run(1, [] {
                  Pair pair;
                  EXPECT_EQ(BYTES, pair.right.send(std::string(BYTES, 'x')));
                  int got = 0;
                  Task reader([&] {
                      while (got < BYTES && pair.left.recv(1) == "x")
                          got++;
                      return rota_yield();
                  });
                  yield_until([&] { return got > 0; });
                  EXPECT_LT(got, BYTES) << "it has given way";
                  reader.cancel();
                  EXPECT_EQ(-ECANCELED, reader.join());
                  EXPECT_EQ(BYTES, got) << "the bytes were there: nothing to wait for";
                  return 0;
              }));
}

} // namespace
