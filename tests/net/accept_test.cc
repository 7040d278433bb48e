/* SPDX-License-Identifier: MIT */
/*
 * accept_test.cc - how connections reach the loops, and what keeps them from it (B-S09; H17, H18,
 * H58, H70).
 */
#include "tests/net/servers.h"

#include <algorithm>
#include <netinet/tcp.h>
#include <numeric>
#include <sys/resource.h>

namespace {

using loops::eventually;
using loops::Reports;
using loops::Tasks;
using servers::call;
using servers::Client;
using servers::echo;
using servers::has_clients;
using servers::Server;
using streams::Stream;

class Accept : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(Accept);

constexpr rota_accept MODES[] = {ROTA_ACCEPT_HANDOVER, ROTA_ACCEPT_REUSEPORT,
                                 ROTA_ACCEPT_EXCLUSIVE};

rota_server_opts with(rota_accept accept)
{
    rota_server_opts opts{};
    opts.accept = accept;
    return opts;
}

/* ---- The three ways ---- */

TEST_P(Accept, EachWayServes)
{
    EXPECT_EQ(0, run([&] {
                  for (rota_accept accept : MODES) {
                      Server server(echo, with(accept));
                      EXPECT_EQ(0, server.error());
                      EXPECT_EQ(accept == ROTA_ACCEPT_HANDOVER ? 1 : static_cast<int>(GetParam()),
                                rota_server_sockets(server, nullptr, 0));
                      Tasks tasks;
                      for (int i = 0; i < 20; i++)
                          tasks.spawn([&, i] {
                              std::string text = std::to_string(i) + "-request";
                              for (int round = 0; round < 5; round++)
                                  EXPECT_EQ(text, call(server.addr(), text));
                              return 0;
                          });
                      tasks.join();
                      EXPECT_TRUE(has_clients(server, 0));
                      EXPECT_EQ(std::vector(GetParam(), 0U), servers::counts(server));
                  }
                  return 0;
              }));
}

/* H18: by power of two choices no loop has many more connections than another. */
TEST_P(Accept, HandoverSpreadsEvenly)
{
    rota_run_opts opts{};
    opts.no_help = true; /* this task keeps its loop, which would get no connection then */
    EXPECT_EQ(0, run(
                     [&] {
                         Server server;
                         std::vector<Client> clients;
                         for (int i = 0; i < 200; i++)
                             clients.emplace_back(server.addr());
                         EXPECT_TRUE(has_clients(server, 200));
                         std::vector<unsigned> counts = servers::counts(server);
                         EXPECT_EQ(200U, std::accumulate(counts.begin(), counts.end(), 0U));
                         auto [least, most] = std::minmax_element(counts.begin(), counts.end());
                         EXPECT_LE(*most - *least, 8U);
                         return 0;
                     },
                     opts));
}

/* A connection's descriptor is registered at the loop that was chosen for it. */
TEST_P(Accept, HandoverRegistersAtTheChosenLoop)
{
    EXPECT_EQ(0, run([&] {
                  std::mutex mutex;
                  std::vector<unsigned> seen(GetParam());
                  Server server([&](rota_stream *stream) {
                      {
                          std::lock_guard lock(mutex);
                          seen[static_cast<unsigned>(rota_loop_index(roti_io_loop(stream->io)))]++;
                      }
                      return echo(stream);
                  });
                  std::vector<Client> clients;
                  for (int i = 0; i < 64; i++) {
                      clients.emplace_back(server.addr());
                      EXPECT_TRUE(clients.back().put("x"));
                  }
                  for (Client &client : clients)
                      EXPECT_EQ("x", client.wait());
                  EXPECT_EQ(seen, servers::counts(server));
                  return 0;
              }));
}

TEST_P(Accept, AcceptedSocketsSendAtOnce)
{
    EXPECT_EQ(0, run([&] {
                  for (bool delay : {false, true}) {
                      rota_server_opts opts{};
                      opts.stream.delay = delay;
                      Server server(
                          [&](rota_stream *stream) {
                              int value = -1;
                              socklen_t size = sizeof value;
                              EXPECT_EQ(0, getsockopt(rota_stream_fd(stream), IPPROTO_TCP,
                                                      TCP_NODELAY, &value, &size));
                              EXPECT_EQ(!delay, value != 0);
                              return echo(stream);
                          },
                          opts);
                      EXPECT_EQ("x", call(server.addr(), "x"));
                  }
                  return 0;
              }));
}

TEST_P(Accept, AnyAddressTakesBothFamilies)
{
    EXPECT_EQ(0, run([&] {
                  Server server(echo, {}, "*:0");
                  if (server.error() == -EAFNOSUPPORT)
                      return 0; /* no IPv6 here */
                  EXPECT_TRUE(server.addr().dual_stack);
                  std::string port = std::to_string(rota_addr_port(&server.addr()));
                  EXPECT_EQ("x", call(streams::address("127.0.0.1:" + port), "x"));
                  EXPECT_EQ("x", call(streams::address("[::1]:" + port), "x"));
                  return 0;
              }));
}

/* ---- Many ---- */

TEST_P(Accept, AThousandConnectionsAtOnce)
{
    support::allow_seconds(120);
    rlimit limit{};
    ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
    int count = limit.rlim_cur < 2200 ? 200 : 1000;
    EXPECT_EQ(0, run([&] {
                  Server server;
                  std::vector<std::unique_ptr<Stream>> clients;
                  for (int i = 0; i < count; i++) {
                      clients.push_back(std::make_unique<Stream>(server.addr()));
                      EXPECT_EQ(0, clients.back()->error());
                  }
                  EXPECT_TRUE(has_clients(server, static_cast<std::size_t>(count)));
                  Tasks tasks;
                  for (auto &client : clients)
                      tasks.spawn([&client] {
                          for (int round = 0; round < 3; round++) {
                              EXPECT_EQ(7, client->write("request"));
                              EXPECT_EQ("request", client->exactly(7));
                          }
                          return 0;
                      });
                  tasks.join();
                  clients.clear();
                  EXPECT_TRUE(has_clients(server, 0));
                  return 0;
              }));
}

TEST_P(Accept, ClientsThatVanishLeaveNothing)
{
    rota_run_opts opts{};
    Reports reports;
    opts.exception_handler = Reports::collect;
    opts.exception_arg = &reports;
    EXPECT_EQ(0, run(
                     [&] {
                         Server server;
                         for (int i = 0; i < 100; i++) {
                             int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                             const rota_addr &addr = server.addr();
                             EXPECT_EQ(0, connect(fd, &addr.sockaddr.any, addr.size));
                             EXPECT_EQ(1, send(fd, "x", 1, MSG_NOSIGNAL));
                             if (i % 3 == 0)
                                 streams::reset(fd);
                             else
                                 close(fd);
                             if (i % 10 == 0) {
                                 EXPECT_EQ(0, rota_yield());
                             }
                         }
                         EXPECT_EQ("x", call(server.addr(), "x"));
                         EXPECT_TRUE(has_clients(server, 0));
                         return 0;
                     },
                     opts));
    EXPECT_EQ(0U, reports.count()) << "clients come and go";
}

/* ---- The maximum ---- */

TEST_P(Accept, AtTheMaximumAcceptingPauses)
{
    EXPECT_EQ(0, run([&] {
                  for (rota_accept accept : MODES) {
                      rota_server_opts opts = with(accept);
                      opts.connection_count_max = 3;
                      std::atomic<std::size_t> most{0};
                      std::atomic<std::size_t> now{0};
                      Server server(
                          [&](rota_stream *stream) {
                              std::size_t count = ++now;
                              std::size_t seen = most;
                              while (count > seen && !most.compare_exchange_weak(seen, count))
                                  ;
                              int r = echo(stream);
                              now--;
                              return r;
                          },
                          opts);
                      Tasks tasks;
                      for (int i = 0; i < 30; i++)
                          tasks.spawn([&] {
                              EXPECT_EQ("ping", call(server.addr(), "ping"));
                              return 0;
                          });
                      tasks.join();
                      EXPECT_LE(most, 3U);
                      EXPECT_TRUE(has_clients(server, 0));
                      EXPECT_TRUE(eventually([&] { return servers::admitted(server) == 0; }));
                  }
                  return 0;
              }));
}

TEST_P(Accept, AFullServerCanBeClosed)
{
    EXPECT_EQ(0, run([&] {
                  rota_server_opts opts{};
                  opts.connection_count_max = 1;
                  Server server(echo, opts);
                  Client first(server.addr());
                  EXPECT_TRUE(has_clients(server, 1));
                  Client second(server.addr());
                  EXPECT_EQ(0, rota_sleep(2 * ROTA_MS));
                  rota_server_close(server);
                  EXPECT_TRUE(first.put("x"));
                  EXPECT_EQ("x", first.wait());
                  first.drop();
                  EXPECT_EQ(0, rota_server_wait_closed(server));
                  return 0;
              }));
}

/* ---- Failures ---- */

/* B-S09, H58: one report, one client turned away, the others served after a pause. */
TEST_P(Accept, WithoutDescriptorsItPausesAndGoesOn)
{
    Reports reports;
    rota_run_opts run_opts{};
    run_opts.exception_handler = Reports::collect;
    run_opts.exception_arg = &reports;
    std::atomic<int> refused{0};
    std::atomic<rota_server *> full{nullptr}; /* the one that has only its number in reserve */
    failing::Hook hook([&](enum roti_syscall site) {
        rota_server *server = site == ROTI_SYSCALL_accept4 ? full.load() : nullptr;
        if (server == nullptr || fcntl(server->listeners[0].reserve_fd, F_GETFD) < 0)
            return 0;
        refused++;
        return -EMFILE;
    });
    /* So many attempts with somebody waiting take that long at least, however late each comes. */
    auto attempts_ns = [](int count) {
        std::int64_t sum_ns = 0;
        for (std::int64_t pause_ns = 10 * ROTA_MS; count > 1; count--, pause_ns *= 2)
            sum_ns += std::min(pause_ns, 500 * ROTA_MS);
        return sum_ns;
    };
    auto body = [&] {
        Server server;
        EXPECT_EQ("x", call(server.addr(), "x"));
        EXPECT_TRUE(has_clients(server, 0));
        full = server;
        std::vector<Client> clients;
        std::int64_t begun_ns = rota_time_ns();
        for (int i = 0; i < 4; i++) {
            clients.emplace_back(server.addr());
            EXPECT_TRUE(clients.back().put("x"));
            EXPECT_TRUE(clients.back().arrived());
        }
        refused = 0; /* the acceptor may have looked before, with nobody waiting */
        EXPECT_TRUE(eventually([&] { return refused >= 4; }));
        int count = refused;
        EXPECT_GE(rota_time_ns() - begun_ns, attempts_ns(count)) << "it pauses longer and longer";
        full = nullptr;
        int turned_away = 0;
        for (Client &client : clients) {
            std::string got = client.wait();
            turned_away += got != "x";
            EXPECT_TRUE(got == "x" || got == "END" || got == "RESET") << got;
        }
        EXPECT_EQ(1, turned_away);
        return 0;
    };
    EXPECT_EQ(0, run(body, run_opts));
    ASSERT_EQ(1U, reports.count());
    EXPECT_EQ(-EMFILE, reports.list[0].error);
}

/* The same with the limit itself. */
TEST_P(Accept, TheLimitOfDescriptorsIsSurvived)
{
    Reports reports;
    rota_run_opts run_opts{};
    run_opts.exception_handler = Reports::collect;
    run_opts.exception_arg = &reports;
    EXPECT_EQ(0, run(
                     [&] {
                         Server server;
                         EXPECT_EQ("x", call(server.addr(), "x"));
                         EXPECT_TRUE(has_clients(server, 0));
                         std::vector<int> sockets;
                         for (int i = 0; i < 6; i++)
                             sockets.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                         auto few = std::make_unique<support::FewDescriptors>(2);
                         const rota_addr &addr = server.addr();
                         for (int fd : sockets)
                             EXPECT_EQ(0, connect(fd, &addr.sockaddr.any, addr.size));
                         EXPECT_TRUE(eventually([&] { return reports.count() == 1; }));
                         EXPECT_EQ(0, rota_sleep(30 * ROTA_MS));
                         few.reset();
                         /* Five of them are served in the end; the sixth was turned away. */
                         int served = 0;
                         for (int fd : sockets) {
                             char byte;
                             (void)send(fd, "y", 1, MSG_NOSIGNAL);
                             ssize_t n = -1;
                             EXPECT_TRUE(eventually([&] {
                                 n = recv(fd, &byte, 1, MSG_DONTWAIT);
                                 return n >= 0 || errno != EAGAIN;
                             }));
                             served += n == 1;
                             close(fd);
                         }
                         EXPECT_EQ(5, served);
                         return 0;
                     },
                     run_opts));
    ASSERT_EQ(1U, reports.count());
    EXPECT_EQ(-EMFILE, reports.list[0].error);
}

/* accept(2) asks for a number before it looks whether anybody waits: that alone is no failure. */
TEST_P(Accept, NoDescriptorAndNobodyWaitingIsNoFailure)
{
    Reports reports;
    rota_run_opts run_opts{};
    run_opts.exception_handler = Reports::collect;
    run_opts.exception_arg = &reports;
    EXPECT_EQ(0, run(
                     [&] {
                         Server server;
                         EXPECT_EQ("x", call(server.addr(), "x"));
                         EXPECT_TRUE(has_clients(server, 0));
                         int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                         support::FewDescriptors one(1);
                         const rota_addr &addr = server.addr();
                         EXPECT_EQ(0, connect(fd, &addr.sockaddr.any, addr.size));
                         EXPECT_TRUE(has_clients(server, 1));
                         EXPECT_EQ(0, rota_sleep(30 * ROTA_MS));
                         close(fd);
                         return 0;
                     },
                     run_opts));
    EXPECT_EQ(0U, reports.count());
}

TEST_P(Accept, AFailureOfOneConnectionIsNotTheServers)
{
    streams::Breaker breaker(ROTI_SYSCALL_accept4);
    EXPECT_EQ(0, run([&] {
                  for (int error : {-EPERM, -ECONNABORTED, -EPROTO, -ENETDOWN, -EHOSTUNREACH}) {
                      Server server;
                      breaker.fail(error, 3);
                      EXPECT_EQ("x", call(server.addr(), "x"));
                  }
                  return 0;
              }));
}

TEST_P(Accept, AConnectionThatCannotBeRegisteredIsDroppedAndAnother)
{
    Reports reports;
    rota_run_opts run_opts{};
    run_opts.exception_handler = Reports::collect;
    run_opts.exception_arg = &reports;
    streams::Breaker breaker(ROTI_SYSCALL_epoll_ctl);
    EXPECT_EQ(0, run(
                     [&] {
                         Server server;
                         Client first(server.addr());
                         EXPECT_TRUE(has_clients(server, 1));
                         breaker.fail(-ENOSPC);
                         Client second(server.addr());
                         EXPECT_EQ("END", second.wait());
                         EXPECT_EQ("x", call(server.addr(), "x"));
                         EXPECT_TRUE(has_clients(server, 1));
                         return 0;
                     },
                     run_opts));
    ASSERT_EQ(1U, reports.count());
    EXPECT_EQ(-ENOSPC, reports.list[0].error);
}

/* ---- Unix sockets (H70) ---- */

bool exists(const std::string &path)
{
    struct stat status;
    return lstat(path.c_str(), &status) == 0;
}

TEST_P(Accept, AUnixSocketsFileComesAndGoes)
{
    EXPECT_EQ(0, run([&] {
                  support::TempDir directory;
                  std::string path = directory.file("socket");
                  for (rota_accept accept : {ROTA_ACCEPT_HANDOVER, ROTA_ACCEPT_EXCLUSIVE}) {
                      Server server(echo, with(accept), "unix:" + path);
                      EXPECT_EQ(0, server.error());
                      EXPECT_TRUE(exists(path));
                      EXPECT_EQ("unix:" + path, streams::text_of(server.addr()));
                      EXPECT_EQ("x", call(server.addr(), "x"));
                      rota_server_close(server);
                      EXPECT_FALSE(exists(path));
                  }
                  Server abstract(echo, {}, "unix:@rota-test-" + std::to_string(getpid()));
                  EXPECT_EQ("x", call(abstract.addr(), "x"));
                  return 0;
              }));
}

TEST_P(Accept, AStaleSocketIsReplacedAndNothingElse)
{
    EXPECT_EQ(0, run([&] {
                  support::TempDir directory;
                  std::string path = directory.file("socket");
                  rota_addr addr = streams::address("unix:" + path);
                  int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                  EXPECT_EQ(0, bind(stale, &addr.sockaddr.any, addr.size));
                  close(stale);
                  Server server(echo, {}, "unix:" + path);
                  EXPECT_EQ(0, server.error());
                  EXPECT_EQ("x", call(server.addr(), "x"));
                  EXPECT_EQ(-EADDRINUSE, Server(echo, {}, "unix:" + path).error()) << "in use";
                  EXPECT_EQ("y", call(server.addr(), "y"));

                  std::string file = directory.file("file");
                  fclose(fopen(file.c_str(), "w"));
                  EXPECT_EQ(-EADDRINUSE, Server(echo, {}, "unix:" + file).error());
                  EXPECT_TRUE(exists(file));
                  unlink(file.c_str());
                  EXPECT_EQ(0, symlink(path.c_str(), file.c_str()));
                  EXPECT_EQ(-EADDRINUSE, Server(echo, {}, "unix:" + file).error());
                  EXPECT_TRUE(exists(file));
                  EXPECT_EQ(-ENOENT, Server(echo, {}, "unix:" + directory.file("none/x")).error());
                  unlink(file.c_str());
                  return 0;
              }));
}

TEST_P(Accept, AnotherServersFileIsLeftAlone)
{
    EXPECT_EQ(0, run([&] {
                  support::TempDir directory;
                  std::string path = directory.file("socket");
                  Server first(echo, {}, "unix:" + path);
                  EXPECT_EQ(0, unlink(path.c_str()));
                  Server second(echo, {}, "unix:" + path);
                  EXPECT_EQ(0, second.error());
                  rota_server_close(first);
                  EXPECT_TRUE(exists(path));
                  EXPECT_EQ("x", call(second.addr(), "x"));
                  return 0;
              }));
}

TEST_P(Accept, AFullUnixQueueIsWaitedFor)
{
    EXPECT_EQ(0, run([&] {
                  support::TempDir directory;
                  rota_server_opts opts{};
                  opts.backlog = 1;
                  Server server(echo, opts, "unix:" + directory.file("socket"));
                  Tasks tasks;
                  for (int i = 0; i < 50; i++)
                      tasks.spawn([&] {
                          EXPECT_EQ("x", call(server.addr(), "x"));
                          return 0;
                      });
                  tasks.join();
                  return 0;
              }));
}

} // namespace
