/* SPDX-License-Identifier: MIT */
/*
 * loops_net_stress_test.cc - connections that are made and served while loops are added and
 * retired, with each way to accept.
 */
#include <cstdio>
#include <thread>

#include "tests/net/servers.h"
#include "tests/support/splitmix.h"

namespace {

constexpr unsigned LOOPS = 5;
constexpr int CLIENTS = 12;
constexpr int EXCHANGES = 8; /* on each connection */

/* Another number of loops again and again, from a thread of its own. */
class Changes {
public:
    Changes() : thread_([this, runtime = rota_running_runtime()] { run(runtime); }) {}
    /* How many there were. */
    std::int64_t stop()
    {
        over_ = true;
        thread_.join();
        return count_;
    }

private:
    void run(rota_runtime *runtime)
    {
        std::uint64_t state = 1;
        while (!over_) {
            EXPECT_EQ(0, rota_runtime_set_loops(runtime, 1 + splitmix_below(&state, LOOPS)));
            count_++;
            std::this_thread::sleep_for(std::chrono::microseconds(splitmix_below(&state, 400)));
        }
    }

    std::atomic<bool> over_{false};
    std::int64_t count_ = 0;
    std::thread thread_;
};

/* A client: connections, one after the other. */
int talk(const rota_addr &addr, std::int64_t connections, std::atomic<std::int64_t> &served)
{
    for (std::int64_t i = 0; i < connections; i++) {
        streams::Stream stream(addr);
        EXPECT_EQ(0, stream.error());
        if (stream.error() < 0)
            return stream.error();
        for (int k = 0; k < EXCHANGES; k++) {
            std::string text = std::to_string(i) + ":" + std::to_string(k);
            EXPECT_EQ(static_cast<ssize_t>(text.size()), stream.write(text));
            EXPECT_EQ(text, stream.exactly(text.size()));
        }
        served++;
    }
    return 0;
}

TEST(LoopsNetStress, EachConnectionIsServedAsTheyComeAndGo)
{
    support::allow_seconds(280);
    std::int64_t connections = support::scale(20);
    std::atomic<std::int64_t> served{0};
    std::int64_t changes = 0;
    const rota_accept ways[] = {ROTA_ACCEPT_HANDOVER, ROTA_ACCEPT_REUSEPORT, ROTA_ACCEPT_EXCLUSIVE};
    for (rota_accept way : ways)
        EXPECT_EQ(0, loops::run(2, [&] {
                      rota_server_opts opts{};
                      opts.accept = way;
                      servers::Server server(servers::echo, opts);
                      EXPECT_EQ(0, server.error());
                      Changes loop_changes;
                      loops::Tasks clients;
                      for (int i = 0; i < CLIENTS; i++)
                          clients.spawn([&] { return talk(server.addr(), connections, served); });
                      EXPECT_EQ(std::vector<int>(CLIENTS), clients.join());
                      changes += loop_changes.stop();
                      return 0;
                  }));
    std::int64_t begun = 3 * CLIENTS * connections;
    EXPECT_EQ(begun, served);
    std::printf("figures: %ld changes, 1 to %u loops; %ld of %ld connections, %ld exchanges\n",
                changes, LOOPS, served.load(), begun, EXCHANGES * served);
}

} // namespace
