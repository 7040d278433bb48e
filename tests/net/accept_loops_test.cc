/* SPDX-License-Identifier: MIT */
/*
 * accept_loops_test.cc - where connections go as loops are added and retired.
 */
#include "tests/net/servers.h"

namespace {

using servers::Client;
using servers::echo;
using servers::has_clients;
using servers::Server;

class AcceptLoops : public testing::TestWithParam<rota_accept> {
protected:
    static rota_server_opts opts()
    {
        rota_server_opts opts{};
        opts.accept = GetParam();
        return opts;
    }
    static void set_loops(unsigned count)
    {
        EXPECT_EQ(0, rota_runtime_set_loops(rota_running_runtime(), count));
    }
    /* So many more clients, each served once. */
    static void add(std::vector<Client> &clients, const Server &server, std::size_t count)
    {
        for (std::size_t i = 0; i < count; i++) {
            clients.emplace_back(server.addr());
            EXPECT_TRUE(clients.back().put("x"));
            EXPECT_EQ("x", clients.back().wait());
        }
        EXPECT_TRUE(has_clients(server, clients.size()));
    }
};
INSTANTIATE_TEST_SUITE_P(Ways, AcceptLoops,
                         testing::Values(ROTA_ACCEPT_HANDOVER, ROTA_ACCEPT_REUSEPORT,
                                         ROTA_ACCEPT_EXCLUSIVE));

/* Clients that a retired loop has are served on; new ones go to the others. */
TEST_P(AcceptLoops, ARetiredOneGetsNoMore)
{
    EXPECT_EQ(0, loops::run(4, [] {
                  Server server(echo, opts());
                  EXPECT_EQ(0, server.error());
                  std::vector<Client> clients;
                  add(clients, server, 60);
                  std::vector<unsigned> before = servers::counts(server);
                  set_loops(1);
                  add(clients, server, 40);
                  std::vector<unsigned> after = servers::counts(server);
                  EXPECT_EQ(before[0] + 40, after[0]);
                  for (unsigned i = 1; i < 4; i++)
                      EXPECT_EQ(before[i], after[i]) << i;
                  for (Client &client : clients) {
                      EXPECT_TRUE(client.put("again"));
                      EXPECT_EQ("again", client.wait());
                  }
                  return 0;
              }));
}

/* One that is added gets its share where one listener hands over to all. Elsewhere it has no
 * listener: it takes tasks of the others, and the connections of those that are blocked. */
TEST_P(AcceptLoops, AnAddedOneTakesItsShare)
{
    EXPECT_EQ(0, loops::run(1, [] {
                  Server server(echo, opts());
                  std::vector<Client> clients;
                  set_loops(4);
                  add(clients, server, 80);
                  std::vector<unsigned> counts = servers::counts(server);
                  for (unsigned i = 1; i < 4; i++)
                      EXPECT_TRUE(GetParam() != ROTA_ACCEPT_HANDOVER || counts[i] > 0) << i;
                  return 0;
              }));
}

} // namespace
