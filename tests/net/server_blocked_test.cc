/* SPDX-License-Identifier: MIT */
/*
 * server_blocked_test.cc - a server goes on while tasks keep its loops: loop 0, which has accepted
 * for it, or all but one (H15).
 */
#include "tests/net/servers.h"

namespace {

using loops::Tasks;
using servers::Client;
using servers::Server;
using support::eventually; /* keeps the thread */

/* What loops there are, whether all but one are kept, and how the server accepts. */
struct Case {
    unsigned loops;
    bool all_but_one;
    rota_accept accept;
};

class ServerBlocked : public testing::TestWithParam<Case> {
protected:
    void SetUp() override
    {
        ROTA_NOT_WHEN_TASKS_MOVE("the task may have to move to the loop that is blocked");
    }
};

INSTANTIATE_TEST_SUITE_P(Loops, ServerBlocked,
                         testing::Values(Case{2, false, ROTA_ACCEPT_HANDOVER},
                                         Case{4, false, ROTA_ACCEPT_EXCLUSIVE},
                                         Case{4, true, ROTA_ACCEPT_HANDOVER},
                                         Case{4, true, ROTA_ACCEPT_REUSEPORT}),
                         [](const auto &values) {
                             return std::to_string(values.param.loops) +
                                    (values.param.all_but_one ? "AllButOne" : "") + "Accept" +
                                    std::to_string(values.param.accept);
                         });

/* On a thread of no loop's: puts the text, and waits for the echo. */
bool is_echoed(const Client &client, const std::string &text)
{
    std::string got;
    return client.put(text) &&
           eventually([&] { return (got += client.got()).size() >= text.size(); }) && got == text;
}

/* Connections from before and from meanwhile, and a second message on each. */
TEST_P(ServerBlocked, EveryClientIsServed)
{
    constexpr int CLIENTS = 12;
    const Case &param = GetParam();
    EXPECT_EQ(0, loops::run(param.loops, [&] {
                  rota_server_opts opts{};
                  opts.accept = param.accept;
                  Server server(servers::echo, opts);
                  std::atomic<bool> over{false};
                  std::atomic<unsigned> kept{0};
                  Tasks keepers;
                  std::vector<Client> clients;
                  for (int i = 0; i < CLIENTS; i++)
                      clients.emplace_back(server.addr());
                  EXPECT_TRUE(servers::has_clients(server, CLIENTS));
                  rota_pin();
                  unsigned others = param.all_but_one ? param.loops - 2 : 0;
                  for (unsigned i = 0; i < others; i++)
                      keepers.spawn([&] {
                          kept++;
                          return eventually([&] { return over.load(); }) ? 0 : -ETIMEDOUT;
                      });
                  EXPECT_TRUE(eventually([&] { return kept == others; }));
                  for (int i = 0; i < CLIENTS; i++)
                      clients.emplace_back(server.addr());
                  for (const char *text : {"one", "two"})
                      for (const Client &client : clients)
                          EXPECT_TRUE(is_echoed(client, text)) << "this task keeps its loop";
                  over = true;
                  rota_unpin();
                  for (int status : keepers.join())
                      EXPECT_EQ(0, status);
                  return 0;
              }));
}

} // namespace
