/* SPDX-License-Identifier: MIT */
/*
 * server_test.cc - servers: started, served, closed, stopped (B-S01, B-S02, B-S03, B-S05, B-S06,
 * B-S07).
 */
#include "tests/net/servers.h"

#include <rota/future.h>

namespace {

using loops::eventually;
using loops::Reports;
using loops::settled;
using loops::Tasks;
using servers::call;
using servers::Client;
using servers::echo;
using servers::Handler;
using servers::has_clients;
using servers::listen_only;
using servers::Server;
using streams::Stream;

class ServerCall : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(ServerCall);

constexpr std::size_t LARGE = 3000000; /* more than unix sockets hold */

rota_server_opts deferred()
{
    rota_server_opts opts{};
    opts.deferred = true;
    return opts;
}

/* ---- Start and close ---- */

TEST_P(ServerCall, ServesFromTheStart)
{
    EXPECT_EQ(0, run([] {
                  Server server;
                  EXPECT_EQ(0, server.error());
                  EXPECT_TRUE(rota_server_is_serving(server));
                  EXPECT_GT(rota_addr_port(&server.addr()), 0);
                  EXPECT_EQ("hello", call(server.addr(), "hello"));
                  EXPECT_TRUE(has_clients(server, 0));
                  EXPECT_EQ(rota_running_loop() != nullptr,
                            rota_server_get_loop(server) != nullptr);
                  return 0;
              }));
}

/* B-S01 */
TEST_P(ServerCall, ADeferredServerRefusesUntilItIsStarted)
{
    EXPECT_EQ(0, run([] {
                  Server server(echo, deferred());
                  EXPECT_EQ(0, server.error());
                  EXPECT_FALSE(rota_server_is_serving(server));
                  EXPECT_EQ("ECONNREFUSED", call(server.addr(), "x"));
                  EXPECT_EQ(0, rota_server_start(server));
                  EXPECT_TRUE(rota_server_is_serving(server));
                  EXPECT_EQ("x", call(server.addr(), "x"));
                  return 0;
              }));
}

/* B-S02 */
TEST_P(ServerCall, StartingAndClosingTwiceIsHarmless)
{
    EXPECT_EQ(0, run([] {
                  int fds[8];
                  Server server(echo, deferred());
                  EXPECT_EQ(1, rota_server_sockets(server, fds, 8));
                  EXPECT_EQ(0, rota_server_start(server));
                  EXPECT_EQ(0, rota_server_start(server));
                  EXPECT_EQ(1, rota_server_sockets(server, fds, 8));
                  rota_server_close(server);
                  rota_server_close(server);
                  EXPECT_EQ(0, rota_server_sockets(server, fds, 8));
                  EXPECT_FALSE(rota_server_is_serving(server));
                  EXPECT_EQ(ROTA_ECLOSED, rota_server_start(server));
                  EXPECT_EQ("ECONNREFUSED", call(server.addr(), "x"));
                  EXPECT_EQ(0, rota_server_wait_closed(server));
                  return 0;
              }));
}

/* B-S03 */
TEST_P(ServerCall, TheSocketsAreACopy)
{
    EXPECT_EQ(0, run([] {
                  Server server;
                  int fds[2] = {-1, -1};
                  EXPECT_EQ(1, rota_server_sockets(server, nullptr, 0));
                  EXPECT_EQ(1, rota_server_sockets(server, fds, 2));
                  EXPECT_GE(fds[0], 0);
                  EXPECT_EQ(-1, fds[1]);
                  int fd = std::exchange(fds[0], 12345);
                  EXPECT_EQ(1, rota_server_sockets(server, fds, 1));
                  EXPECT_EQ(fd, fds[0]);
                  EXPECT_EQ(-EINVAL, rota_server_sockets(server, nullptr, 1));
                  EXPECT_EQ("x", call(server.addr(), "x"));
                  return 0;
              }));
}

TEST_P(ServerCall, CloseKeepsItsClients)
{
    EXPECT_EQ(0, run([] {
                  Server server;
                  Stream client(server.addr());
                  EXPECT_EQ(1, client.write("a"));
                  EXPECT_EQ("a", client.read());
                  Tasks tasks;
                  rota_server_close(server);
                  tasks.spawn([&] { return rota_server_wait_closed(server); });
                  EXPECT_EQ(1, client.write("b"));
                  EXPECT_EQ("b", client.read());
                  EXPECT_EQ(1U, rota_server_connection_count(server));
                  client.drop();
                  EXPECT_EQ(std::vector{0}, tasks.join());
                  EXPECT_EQ(0U, rota_server_connection_count(server));
                  return 0;
              }));
}

/* H19: what the kernel has accepted before the close is served. */
TEST_P(ServerCall, CloseServesWhoIsInTheBacklog)
{
    EXPECT_EQ(0, run([] {
                  for (auto accept :
                       {ROTA_ACCEPT_HANDOVER, ROTA_ACCEPT_REUSEPORT, ROTA_ACCEPT_EXCLUSIVE}) {
                      rota_server_opts opts{};
                      opts.accept = accept;
                      Server server(echo, opts);
                      std::vector<Client> clients;
                      for (int i = 0; i < 50; i++) {
                          clients.emplace_back(server.addr());
                          EXPECT_EQ(0, clients.back().error());
                          EXPECT_TRUE(clients.back().put("x"));
                      }
                      for (Client &client : clients)
                          EXPECT_TRUE(client.arrived());
                      rota_server_close(server);
                      EXPECT_EQ(ECONNREFUSED, Client(server.addr()).error());
                      for (Client &client : clients)
                          EXPECT_EQ("x", client.wait());
                      clients.clear();
                      EXPECT_EQ(0, rota_server_wait_closed(server));
                  }
                  return 0;
              }));
}

TEST_P(ServerCall, ArgumentsThatCannotBeAreRefused)
{
    EXPECT_EQ(0, run([] {
                  rota_server *server = nullptr;
                  rota_addr addr = streams::address("127.0.0.1:0");
                  rota_addr local = streams::address("unix:@x");
                  rota_addr none{};
                  auto handler = [](rota_stream *, void *) { return 0; };
                  rota_server_opts opts{};
                  EXPECT_EQ(-EINVAL, rota_server_create(nullptr, &addr, handler, nullptr, nullptr));
                  EXPECT_EQ(-EINVAL, rota_server_create(&server, &addr, nullptr, nullptr, nullptr));
                  EXPECT_EQ(-EINVAL, rota_server_create(&server, &none, handler, nullptr, nullptr));
                  opts.backlog = -1;
                  EXPECT_EQ(-EINVAL, rota_server_create(&server, &addr, handler, nullptr, &opts));
                  opts = {};
                  opts.accept = static_cast<rota_accept>(3);
                  EXPECT_EQ(-EINVAL, rota_server_create(&server, &addr, handler, nullptr, &opts));
                  opts = {};
                  opts.stream.high = 1;
                  opts.stream.low = 2;
                  EXPECT_EQ(-EINVAL, rota_server_create(&server, &addr, handler, nullptr, &opts));
                  opts = {};
                  opts.accept = ROTA_ACCEPT_REUSEPORT;
                  EXPECT_EQ(-EINVAL, rota_server_create(&server, &local, handler, nullptr, &opts));
                  EXPECT_EQ(nullptr, server);
                  EXPECT_EQ(-EINVAL, rota_server_start(nullptr));
                  EXPECT_EQ(-EINVAL, rota_server_serve_forever(nullptr));
                  EXPECT_EQ(-EINVAL, rota_server_wait_closed(nullptr));
                  EXPECT_EQ(-EINVAL, rota_server_sockets(nullptr, nullptr, 0));
                  EXPECT_EQ(-EINVAL, rota_server_addr(nullptr, &addr));
                  EXPECT_FALSE(rota_server_is_serving(nullptr));
                  EXPECT_EQ(0U, rota_server_connection_count(nullptr));
                  EXPECT_EQ(nullptr, rota_server_get_loop(nullptr));
                  rota_server_unref(nullptr);
                  return 0;
              }));
    rota_server *server = nullptr;
    rota_addr addr = streams::address("127.0.0.1:0");
    EXPECT_EQ(ROTA_ENOLOOP,
              rota_server_create(
                  &server, &addr, [](rota_stream *, void *) { return 0; }, nullptr, nullptr));
}

TEST_P(ServerCall, AnAddressInUseIsAnError)
{
    EXPECT_EQ(0, run([] {
                  Server first;
                  Server second(echo, {}, streams::text_of(first.addr()));
                  EXPECT_EQ(-EADDRINUSE, second.error());
                  EXPECT_EQ("x", call(first.addr(), "x"));
                  return 0;
              }));
}

/* ---- Serving for ever ---- */

/* B-S05 */
TEST_P(ServerCall, OneTaskServesForever)
{
    EXPECT_EQ(0, run([] {
                  Server server(echo, deferred());
                  Tasks tasks;
                  rota_task *task = tasks.spawn([&] { return rota_server_serve_forever(server); });
                  EXPECT_TRUE(settled(task));
                  EXPECT_TRUE(rota_server_is_serving(server));
                  EXPECT_EQ(ROTA_ESTATE, rota_server_serve_forever(server));
                  EXPECT_EQ("x", call(server.addr(), "x"));
                  rota_server_close(server);
                  EXPECT_EQ(ROTA_ECLOSED, rota_server_serve_forever(server));
                  EXPECT_EQ(std::vector{0}, tasks.join());
                  return 0;
              }));
}

/* B-S06 */
TEST_P(ServerCall, ServingEndsWithACloseFromElsewhere)
{
    EXPECT_EQ(0, run([] {
                  Server server;
                  Stream client(server.addr());
                  EXPECT_EQ(1, client.write("x"));
                  EXPECT_EQ("x", client.read());
                  Tasks tasks;
                  rota_task *first = rota_current_task();
                  tasks.spawn([&] {
                      EXPECT_TRUE(settled(first));
                      rota_server_close(server);
                      return 0;
                  });
                  EXPECT_EQ(0, rota_server_serve_forever(server)) << "though a client is left";
                  tasks.join();
                  EXPECT_EQ(1U, rota_server_connection_count(server));
                  return 0;
              }));
}

TEST_P(ServerCall, ACancelledServingClosesAndWaits)
{
    EXPECT_EQ(0, run([] {
                  Server server;
                  Stream client(server.addr());
                  EXPECT_EQ(1, client.write("x"));
                  EXPECT_EQ("x", client.read());
                  Tasks tasks;
                  rota_task *task = tasks.spawn([&] { return rota_server_serve_forever(server); });
                  EXPECT_TRUE(settled(task));
                  EXPECT_EQ(1, rota_task_cancel(task));
                  EXPECT_EQ(std::vector{-ECANCELED}, tasks.join());
                  EXPECT_EQ(0U, rota_server_connection_count(server));
                  EXPECT_EQ("END", client.read());
                  return 0;
              }));
}

TEST_P(ServerCall, ASecondCancellationEndsTheWaitForClients)
{
    EXPECT_EQ(0, run([] {
                  std::atomic<bool> release{false};
                  Server server([&](rota_stream *) {
                      EXPECT_TRUE(eventually([&] { return release.load(); }));
                      return 0;
                  });
                  Stream client(server.addr());
                  EXPECT_TRUE(has_clients(server, 1));
                  Tasks tasks;
                  rota_task *task = tasks.spawn([&] { return rota_server_serve_forever(server); });
                  EXPECT_TRUE(settled(task));
                  EXPECT_EQ(1, rota_task_cancel(task));
                  EXPECT_TRUE(eventually([&] { return !rota_server_is_serving(server); }));
                  EXPECT_TRUE(settled(task));
                  EXPECT_FALSE(rota_task_done(task));
                  EXPECT_EQ(1, rota_task_cancel(task));
                  EXPECT_EQ(std::vector{-ECANCELED}, tasks.join());
                  release = true;
                  return 0;
              }));
}

/* ---- Handlers ---- */

TEST_P(ServerCall, TheStreamIsClosedAfterTheHandler)
{
    EXPECT_EQ(0, run([] {
                  support::TempDir directory;
                  std::string text = streams::pattern(LARGE);
                  Server server(
                      [&](rota_stream *stream) {
                          EXPECT_EQ(0, rota_stream_set_limits(stream, 2 * LARGE, 0));
                          EXPECT_EQ(static_cast<ssize_t>(LARGE),
                                    rota_stream_write(stream, text.data(), text.size()));
                          return 0; /* most of it is not sent yet */
                      },
                      {}, "unix:" + directory.file("socket"));
                  Stream client(server.addr());
                  EXPECT_EQ(text, client.all());
                  EXPECT_TRUE(has_clients(server, 0));
                  return 0;
              }));
}

TEST_P(ServerCall, AHandlersFailureIsReported)
{
    Reports reports;
    rota_run_opts opts{};
    opts.exception_handler = Reports::collect;
    opts.exception_arg = &reports;
    EXPECT_EQ(0, run(
                     [&] {
                         static const int answers[] = {-EPROTO, 0, 5, -ECANCELED, ROTA_ECLOSED};
                         std::atomic<unsigned> next{0};
                         Server server([&](rota_stream *) { return answers[next++]; });
                         for (std::size_t i = 0; i < std::size(answers); i++) {
                             Stream client(server.addr());
                             EXPECT_EQ("END", client.read());
                         }
                         EXPECT_TRUE(has_clients(server, 0));
                         return 0;
                     },
                     opts));
    ASSERT_EQ(2U, reports.count());
    EXPECT_EQ("the handler of a connection failed", reports.list[0].message);
    EXPECT_EQ(-EPROTO, reports.list[0].error);
    EXPECT_EQ(ROTA_ECLOSED, reports.list[1].error) << "nobody has closed the stream";
}

TEST_P(ServerCall, AHandlerMayEndTheRun)
{
    EXPECT_EQ(ROTA_EXIT, run([] {
                  Server server([](rota_stream *) -> int { return ROTA_EXIT; });
                  Stream client(server.addr());
                  EXPECT_EQ(0, client.error());
                  return rota_sleep(1000 * ROTA_SEC);
              }));
}

/* Each handler has a copy of the creator's context of its own. */
TEST_P(ServerCall, HandlersRunInCopiesOfTheCreatorsContext)
{
    rota_context_var *var = nullptr;
    ASSERT_EQ(0, rota_context_var_create(&var, "who", nullptr));
    auto value = [](std::intptr_t number) { return reinterpret_cast<void *>(number); };
    EXPECT_EQ(0, run([&] {
                  EXPECT_EQ(0, rota_context_var_set(var, value(1), nullptr));
                  Server server(
                      [&](rota_stream *stream) {
                          EXPECT_EQ(value(1), rota_context_var_get_or(var, nullptr));
                          EXPECT_EQ(0, rota_context_var_set(var, value(2), nullptr));
                          return echo(stream);
                      },
                      deferred());
                  EXPECT_EQ(0, rota_context_var_set(var, value(3), nullptr));
                  EXPECT_EQ(0, rota_server_start(server));
                  for (int i = 0; i < 10; i++)
                      EXPECT_EQ("x", call(server.addr(), "x"));
                  Client late(server.addr());
                  EXPECT_TRUE(late.put("y"));
                  EXPECT_TRUE(late.arrived());
                  rota_server_close(server); /* takes the last one itself, perhaps */
                  EXPECT_EQ("y", late.wait());
                  late.drop();
                  EXPECT_EQ(0, rota_server_wait_closed(server));
                  EXPECT_EQ(value(3), rota_context_var_get_or(var, nullptr));
                  return 0;
              }));
    rota_context_var_unref(var);
}

TEST_P(ServerCall, PinnedHandlersStayOnTheLoopOfTheirConnection)
{
    EXPECT_EQ(0, run([] {
                  rota_server_opts opts{};
                  opts.pinned = true;
                  Server server(
                      [](rota_stream *stream) {
                          rota_loop *loop = roti_io_loop(stream->io);
                          char byte;
                          for (;;) {
                              EXPECT_EQ(loop, rota_running_loop());
                              ssize_t n = rota_stream_read(stream, &byte, 1);
                              if (n <= 0 || rota_stream_write(stream, &byte, 1) != 1)
                                  return static_cast<int>(n);
                          }
                      },
                      opts);
                  Tasks tasks;
                  for (int i = 0; i < 20; i++)
                      tasks.spawn([&] {
                          Stream client(server.addr());
                          for (int round = 0; round < 20; round++) {
                              EXPECT_EQ(1, client.write("x"));
                              EXPECT_EQ("x", client.read());
                          }
                          return 0;
                      });
                  tasks.join();
                  return 0;
              }));
}

/* ---- Clients ---- */

/* B-S07 */
TEST_P(ServerCall, CloseClientsSendsTheRestAndAbortDoesNot)
{
    EXPECT_EQ(0, run([] {
                  for (bool abort : {false, true}) {
                      support::TempDir directory;
                      std::string text = streams::pattern(LARGE);
                      std::atomic<int> written{0};
                      Server server(
                          [&](rota_stream *stream) {
                              EXPECT_EQ(0, rota_stream_set_limits(stream, 2 * LARGE, 0));
                              EXPECT_EQ(static_cast<ssize_t>(LARGE),
                                        rota_stream_write(stream, text.data(), text.size()));
                              written++;
                              return listen_only(stream);
                          },
                          {}, "unix:" + directory.file("socket"));
                      Stream clients[] = {Stream(server.addr()), Stream(server.addr())};
                      EXPECT_TRUE(eventually([&] { return written == 2; }));
                      rota_server_close(server);
                      if (abort)
                          rota_server_abort_clients(server);
                      else
                          rota_server_close_clients(server);
                      if (abort) {
                          EXPECT_EQ(0, rota_server_wait_closed(server)) << "nobody reads";
                          continue;
                      }
                      EXPECT_EQ(0, rota_sleep(5 * ROTA_MS));
                      EXPECT_EQ(2U, rota_server_connection_count(server));
                      for (Stream &client : clients)
                          EXPECT_EQ(text, client.all());
                      EXPECT_EQ(0, rota_server_wait_closed(server));
                  }
                  return 0;
              }));
}

TEST_P(ServerCall, ClosingManyClientsReachesEach)
{
    EXPECT_EQ(0, run([] {
                  Server server;
                  std::vector<Client> clients;
                  for (int i = 0; i < 200; i++)
                      clients.emplace_back(server.addr());
                  EXPECT_TRUE(has_clients(server, 200));
                  rota_server_close_clients(server);
                  for (Client &client : clients)
                      EXPECT_EQ("END", client.wait());
                  EXPECT_TRUE(has_clients(server, 0));
                  EXPECT_TRUE(rota_server_is_serving(server));
                  return 0;
              }));
}

/* ---- References ---- */

TEST_P(ServerCall, TheLastReferenceClosesAndClientsGoOn)
{
    EXPECT_EQ(0, run([] {
                  static rota_server *raw;
                  rota_addr addr = streams::address("127.0.0.1:0");
                  auto handler = [](rota_stream *stream, void *) { return echo(stream); };
                  EXPECT_EQ(0, rota_server_create(&raw, &addr, handler, nullptr, nullptr));
                  EXPECT_EQ(0, rota_server_addr(raw, &addr));
                  Stream client(addr);
                  EXPECT_EQ(1, client.write("a"));
                  EXPECT_EQ("a", client.read());
                  EXPECT_EQ(raw, rota_server_ref(raw));
                  rota_server_unref(raw);
                  EXPECT_TRUE(rota_server_is_serving(raw));
                  rota_server_unref(raw);
                  EXPECT_EQ(1, client.write("b"));
                  EXPECT_EQ("b", client.read());
                  EXPECT_EQ(ECONNREFUSED, Client(addr).error());
                  return 0;
              }));
}

/* The end of the run ends what the program has not. The leak checks look after the rest. */
TEST_P(ServerCall, AServerMayBeLeftToTheRun)
{
    for (bool defer : {false, true}) {
        std::vector<Client> clients;
        rota_addr addr{};
        EXPECT_EQ(0, run([&] {
                      rota_server *server = nullptr;
                      addr = streams::address("127.0.0.1:0");
                      auto handler = [](rota_stream *stream, void *) { return echo(stream); };
                      rota_server_opts opts{};
                      opts.deferred = defer;
                      EXPECT_EQ(0, rota_server_create(&server, &addr, handler, nullptr, &opts));
                      EXPECT_EQ(0, rota_server_addr(server, &addr));
                      for (int i = 0; i < 20 && !defer; i++) {
                          clients.emplace_back(addr);
                          EXPECT_TRUE(clients.back().put("x"));
                      }
                      if (!defer) {
                          EXPECT_EQ("x", clients[0].wait());
                      }
                      return 0;
                  }));
        EXPECT_EQ(ECONNREFUSED, Client(addr).error());
    }
}

TEST_P(ServerCall, TheEndOfTheRunDoesNotWaitForClientsThatDoNotRead)
{
    support::TempDir directory;
    std::vector<Client> clients;
    static std::atomic<int> written;
    written = 0;
    EXPECT_EQ(0, run([&] {
                  rota_server *server = nullptr;
                  rota_server_opts opts{};
                  opts.stream.close_timeout_ns = 1000 * ROTA_SEC; /* too long for the watchdog */
                  rota_addr addr = streams::address("unix:" + directory.file("socket"));
                  auto handler = [](rota_stream *stream, void *) {
                      static const std::string text(LARGE, 'x');
                      EXPECT_EQ(0, rota_stream_set_limits(stream, 2 * LARGE, 0));
                      ssize_t n = rota_stream_write(stream, text.data(), text.size());
                      written++;
                      return static_cast<int>(n);
                  };
                  EXPECT_EQ(0, rota_server_create(&server, &addr, handler, nullptr, &opts));
                  for (int i = 0; i < 5; i++)
                      clients.emplace_back(addr);
                  EXPECT_TRUE(has_clients(server, 5));
                  EXPECT_TRUE(eventually([] { return written == 5; }));
                  return 0;
              }));
}

TEST_P(ServerCall, ServersMayBeMadeAtTheVeryEnd)
{
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(0, run([] {
                      rota_server *server = nullptr;
                      rota_addr addr = streams::address("127.0.0.1:0");
                      auto handler = [](rota_stream *, void *) { return 0; };
                      return rota_server_create(&server, &addr, handler, nullptr, nullptr);
                  }));
}

/* ---- Failing memory ---- */

TEST(ServerMemory, EveryAllocationMayFail)
{
    for (auto accept : {ROTA_ACCEPT_HANDOVER, ROTA_ACCEPT_EXCLUSIVE}) {
        std::int64_t count = support::sweep_allocations([&] {
            return loops::run(2, [&] {
                rota_server *server = nullptr;
                rota_addr addr = streams::address("127.0.0.1:0");
                rota_server_opts opts{};
                opts.accept = accept;
                auto handler = [](rota_stream *, void *) { return 0; };
                int r = rota_server_create(&server, &addr, handler, nullptr, &opts);
                rota_server_unref(server);
                return r;
            });
        });
        EXPECT_GT(count, 6);
    }
}

} // namespace
