/* SPDX-License-Identifier: MIT */
/*
 * slow_reader_test.cc - peers that never read, and senders that have much for them (A19, H71).
 */
#include <algorithm>
#include <cstdio>
#include <mutex>

#include "tests/net/servers.h"

namespace {

constexpr std::size_t CHUNK = 65536;
constexpr std::size_t TOTAL = 100'000'000; /* for each peer */

/* What is written to one peer. */
struct Sender {
    rota_stream *stream;
    rota_task *task;
    std::atomic<std::size_t> accepted{0};
};

/* The senders of all connections, as they come. */
class Senders {
public:
    /* A handler: sends, until it is cancelled or the peer has all. */
    int serve(rota_stream *stream)
    {
        static const std::string chunk(CHUNK, 'x');
        int small = 65536; /* the kernel holds little of it */
        EXPECT_EQ(0,
                  setsockopt(rota_stream_fd(stream), SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
        Sender &sender = add(stream);
        ssize_t n = 0;
        while (sender.accepted < TOTAL && (n = rota_stream_write(stream, chunk.data(), CHUNK)) > 0)
            sender.accepted += static_cast<std::size_t>(n);
        EXPECT_EQ(-ECANCELED, n);
        rota_stream_abort(stream); /* a close would try for a while to send the rest */
        return static_cast<int>(n);
    }

    /* How many are held up. */
    std::size_t suspended()
    {
        std::lock_guard lock(mutex_);
        return static_cast<std::size_t>(
            std::count_if(senders_.begin(), senders_.end(), [](const auto &sender) {
                return streams::drainers(sender->stream) == 1;
            }));
    }
    std::size_t accepted()
    {
        std::lock_guard lock(mutex_);
        std::size_t sum = 0;
        for (const auto &sender : senders_)
            sum += sender->accepted;
        return sum;
    }
    std::size_t unsent_max()
    {
        std::lock_guard lock(mutex_);
        std::size_t most = 0;
        for (const auto &sender : senders_)
            most = std::max(most, rota_stream_unsent(sender->stream));
        return most;
    }
    void cancel()
    {
        std::lock_guard lock(mutex_);
        for (const auto &sender : senders_)
            EXPECT_EQ(1, rota_task_cancel(sender->task));
    }
    void drop()
    {
        for (const auto &sender : senders_) {
            rota_stream_unref(sender->stream);
            rota_task_unref(sender->task);
        }
        senders_.clear();
    }

private:
    Sender &add(rota_stream *stream)
    {
        std::lock_guard lock(mutex_);
        auto sender = std::make_unique<Sender>();
        sender->stream = rota_stream_ref(stream);
        sender->task = rota_task_ref(rota_current_task());
        return *senders_.emplace_back(std::move(sender));
    }

    std::mutex mutex_;
    std::vector<std::unique_ptr<Sender>> senders_; /* under mutex_ */
};

/* A19: 20 peers at scale 1, 1,000 from scale 50 on. */
TEST(SlowReader, TheMarksBoundMemoryAndCancelFreesIt)
{
    support::allow_seconds(280);
    auto count = static_cast<std::size_t>(std::min<std::int64_t>(support::scale(20), 1000));
    std::size_t full = 0, accepted = 0, unsent = 0;
    EXPECT_EQ(
        0, loops::run(2, [&] {
            Senders senders;
            servers::Server server([&](rota_stream *stream) { return senders.serve(stream); });
            std::ptrdiff_t before = support::live_bytes();
            std::vector<servers::Client> peers;
            for (std::size_t i = 0; i < count; i++) {
                peers.emplace_back(server.addr());
                EXPECT_EQ(0, peers.back().error());
            }
            /* All are held up, and stay so: kernels make room a little later, too. */
            EXPECT_TRUE(loops::eventually([&] {
                accepted = senders.accepted();
                EXPECT_EQ(0, rota_sleep(20 * ROTA_MS));
                return senders.suspended() == count && senders.accepted() == accepted;
            }));
            full = static_cast<std::size_t>(support::live_bytes() - before);
            unsent = senders.unsent_max();
            senders.cancel();
            EXPECT_TRUE(servers::has_clients(server, 0));
            senders.drop();
            /* The tasks that send in the background end a moment later. */
            EXPECT_TRUE(loops::eventually([&] {
                return support::live_bytes() - before < static_cast<std::ptrdiff_t>(count * 1024);
            })) << support::live_bytes() - before;
            return 0;
        }));
    std::printf("figures: %zu peers that never read, %zu MB accepted of %zu MB, at most %zu KB "
                "unsent of one, %zu KB of memory each\n",
                count, accepted / 1'000'000, count * TOTAL / 1'000'000, unsent / 1024,
                full / 1024 / count);
    EXPECT_LE(unsent, ROTA_STREAM_HIGH + CHUNK);
    EXPECT_LE(full, count * (ROTA_STREAM_HIGH + CHUNK + 8192));
}

} // namespace
