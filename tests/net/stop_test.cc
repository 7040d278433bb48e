/* SPDX-License-Identifier: MIT */
/*
 * stop_test.cc - the graceful stop of servers: SIGTERM, drain, cancel, abort (H19).
 */
#include "loop/io_impl.h"
#include "tests/net/servers.h"

#include <csignal>

namespace {

using loops::eventually;
using loops::settled;
using loops::Tasks;
using servers::Client;
using servers::echo;
using servers::has_clients;
using servers::Server;
using streams::Stream;

class ServerStop : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(ServerStop);

TEST_P(ServerStop, SigtermLetsClientsFinish)
{
    EXPECT_EQ(0, run([] {
                  Server server;
                  Stream client(server.addr());
                  EXPECT_EQ(1, client.write("a"));
                  EXPECT_EQ("a", client.read());
                  Tasks tasks;
                  rota_task *task = tasks.spawn([&] { return rota_server_serve_forever(server); });
                  EXPECT_TRUE(settled(task));
                  EXPECT_EQ(0, kill(getpid(), SIGTERM));
                  EXPECT_TRUE(eventually([&] { return !rota_server_is_serving(server); }));
                  EXPECT_EQ(1, client.write("b"));
                  EXPECT_EQ("b", client.read()) << "it still serves whom it has";
                  EXPECT_FALSE(rota_task_done(task));
                  client.drop();
                  EXPECT_EQ(std::vector{0}, tasks.join());
                  return 0;
              }));
}

TEST_P(ServerStop, AStopIsHeardWithoutServingForever)
{
    EXPECT_EQ(0, run([] {
                  Server one;
                  Server two;
                  EXPECT_EQ(0, rota_runtime_stop(rota_running_runtime()));
                  EXPECT_EQ(0, rota_server_wait_closed(one));
                  EXPECT_EQ(0, rota_server_wait_closed(two));
                  EXPECT_EQ(ROTA_ECLOSED, rota_server_serve_forever(one));
                  return 0;
              }));
}

TEST_P(ServerStop, AServerThatStartsAfterTheStopStopsAtOnce)
{
    EXPECT_EQ(0, run([] {
                  Server first;
                  EXPECT_EQ(0, rota_runtime_stop(rota_running_runtime()));
                  for (int i = 0; i < 50; i++) {
                      Server second; /* another loop may close it before its start has returned */
                      EXPECT_EQ(0, second.error());
                      EXPECT_EQ(0, rota_server_wait_closed(second));
                  }
                  return 0;
              }));
}

TEST_P(ServerStop, HandlersThatDoNotEndAreCancelled)
{
    EXPECT_EQ(0, run([] {
                  rota_server_opts opts{};
                  opts.drain_timeout_ns = 20 * ROTA_MS;
                  std::atomic<int> begun{0};
                  std::atomic<int> cancelled{0};
                  Server server(
                      [&](rota_stream *stream) {
                          char byte;
                          begun++;
                          ssize_t n = rota_stream_read(stream, &byte, 1);
                          cancelled += n == -ECANCELED;
                          /* What it says while it is cancelled still arrives. */
                          EXPECT_EQ(3, rota_stream_write(stream, "bye", 3));
                          return static_cast<int>(n);
                      },
                      opts);
                  std::vector<Client> clients;
                  for (int i = 0; i < 100; i++)
                      clients.emplace_back(server.addr());
                  EXPECT_TRUE(eventually([&] { return begun == 100; }));
                  std::int64_t begun_ns = rota_time_ns();
                  EXPECT_EQ(0, rota_runtime_stop(rota_running_runtime()));
                  EXPECT_EQ(0, rota_server_wait_closed(server));
                  EXPECT_GE(rota_time_ns() - begun_ns, 20 * ROTA_MS);
                  EXPECT_EQ(100, cancelled);
                  for (Client &client : clients)
                      EXPECT_EQ("bye", client.wait());
                  return 0;
              }));
}

TEST_P(ServerStop, HandlersThatIgnoreTheirCancellationLoseTheirConnection)
{
    EXPECT_EQ(0, run([] {
                  rota_server_opts opts{};
                  opts.drain_timeout_ns = ROTA_MS;
                  Server server(
                      [&](rota_stream *stream) {
                          char byte;
                          ssize_t n;
                          do
                              n = rota_stream_read(stream, &byte, 1);
                          while (n == -ECANCELED);
                          return static_cast<int>(n);
                      },
                      opts);
                  Client client(server.addr());
                  EXPECT_TRUE(has_clients(server, 1));
                  Tasks tasks;
                  rota_task *task = tasks.spawn([&] { return rota_server_serve_forever(server); });
                  EXPECT_TRUE(settled(task));
                  EXPECT_EQ(0, rota_runtime_stop(rota_running_runtime()));
                  EXPECT_EQ(std::vector{0}, tasks.join());
                  EXPECT_TRUE(has_clients(server, 0));
                  return 0;
              }));
}

/* What became of one request. */
enum class Outcome { answered, refused, reset };

Outcome request(const rota_addr &addr)
{
    Stream client(addr);
    if (client.error() == -ECONNRESET)
        return Outcome::reset;
    if (client.error() != 0) {
        EXPECT_TRUE(client.error() == -ECONNREFUSED || client.error() == -ENOENT);
        return Outcome::refused;
    }
    ssize_t n = client.write("ping");
    std::string got = n == 4 ? client.exactly(4) : rota_error_name(static_cast<int>(n));
    if (got == "ECONNRESET" || got == "EPIPE")
        return Outcome::reset;
    EXPECT_EQ("ping", got);
    return Outcome::answered;
}

/* Sends requests from many tasks, and stops in the middle. Returns how many were reset. */
int stop_under_load(rota_accept accept, const std::string &text)
{
    rota_server_opts opts{};
    opts.accept = accept;
    Server server(echo, opts, text);
    Tasks tasks;
    std::atomic<int> answered{0};
    std::atomic<int> reset{0};
    for (int i = 0; i < 16; i++)
        tasks.spawn([&] {
            Outcome outcome;
            while ((outcome = request(server.addr())) != Outcome::refused) {
                answered += outcome == Outcome::answered;
                reset += outcome == Outcome::reset;
                EXPECT_TRUE(outcome == Outcome::answered || !rota_server_is_serving(server));
            }
            return 0;
        });
    EXPECT_TRUE(settled(tasks.spawn([&] { return rota_server_serve_forever(server); })));
    EXPECT_TRUE(eventually([&] { return answered >= 100; }));
    EXPECT_EQ(0, rota_runtime_stop(rota_running_runtime()));
    for (int status : tasks.join())
        EXPECT_EQ(0, status);
    EXPECT_EQ(0, rota_server_wait_closed(server));
    return reset;
}

/* Every request is answered or refused, at whatever moment it comes: a unix socket loses nothing.
 */
/* A callback that asks a server while the run ends on another loop. */
struct Asker {
    rota_server *server = nullptr;
    std::atomic<bool> begun{false};
    std::atomic<bool> main_ends{false};
    int answers = 0;

    int ask()
    {
        begun = true;
        while (!main_ends)
            std::this_thread::yield();
        for (; answers < 20; answers++) {
            EXPECT_EQ(0U, rota_server_connection_count(server));
            EXPECT_NE(0U, roti_io_live()) << "the server has gone, and its listener";
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return 0;
    }
};

/* A reference holds until the run ends, and callbacks run until their loop stops. */
TEST(ServerEnd, ACallbackMayAskAServerThatNobodyClosed)
{
    Asker asker;
    EXPECT_EQ(0, loops::run(2, [&] {
                  rota_addr addr = streams::address("127.0.0.1:0");
                  auto serve = [](rota_stream *, void *) { return 0; };
                  auto ask = [](void *arg) { return static_cast<Asker *>(arg)->ask(); };
                  EXPECT_EQ(0, rota_server_create(&asker.server, &addr, serve, nullptr, nullptr));
                  int here = rota_loop_index(rota_running_loop());
                  rota_loop *other =
                      rota_runtime_loop(rota_running_runtime(), static_cast<unsigned>(1 - here));
                  EXPECT_EQ(0, rota_call_soon_threadsafe(other, nullptr, ask, &asker, nullptr));
                  while (!asker.begun)
                      std::this_thread::yield(); /* on this thread to the end */
                  asker.main_ends = true;
                  return 0;
              }));
    EXPECT_EQ(20, asker.answers);
    EXPECT_EQ(0U, roti_io_live());
}

TEST_P(ServerStop, UnderLoadEveryRequestIsAnswered)
{
    for (auto accept : {ROTA_ACCEPT_HANDOVER, ROTA_ACCEPT_EXCLUSIVE})
        EXPECT_EQ(0, run([&] {
                      support::TempDir directory;
                      EXPECT_EQ(0, stop_under_load(accept, "unix:" + directory.file("socket")));
                      return 0;
                  }));
}

/* TCP resets what comes between the last accept and the end of the listening: one for each client
 * and each listening socket at most. The next attempt is refused, or comes to another socket. */
TEST_P(ServerStop, UnderLoadTcpResetsOnlyAtTheMomentOfTheClose)
{
    for (auto accept : {ROTA_ACCEPT_HANDOVER, ROTA_ACCEPT_REUSEPORT, ROTA_ACCEPT_EXCLUSIVE})
        EXPECT_EQ(0, run([&] {
                      int sockets = accept == ROTA_ACCEPT_REUSEPORT ? GetParam() : 1;
                      EXPECT_LE(stop_under_load(accept, "127.0.0.1:0"), 16 * sockets);
                      return 0;
                  }));
}

} // namespace
