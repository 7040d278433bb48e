/* SPDX-License-Identifier: MIT */
/*
 * contract_test.cc - what streams and servers refuse: arguments, options, and callers.
 */
#include "tests/net/servers.h"

#include <climits>

namespace {

using namespace loops;
using namespace servers;
using namespace streams;

class NetContract : public OneAndMany {};

TEST_P(NetContract, NothingIsDoneToNoStream)
{
    EXPECT_EQ(0, run([] {
                  char byte = 0;
                  const char *data = nullptr;
                  iovec piece{&byte, 1};
                  rota_addr addr;
                  EXPECT_EQ(-EINVAL, rota_stream_read(nullptr, &byte, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_readexactly(nullptr, &byte, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_readuntil(nullptr, "\n", 1, &byte, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_readline(nullptr, &byte, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_peek(nullptr, &data, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_consume(nullptr, 0));
                  EXPECT_EQ(-EINVAL, rota_stream_buffered(nullptr));
                  EXPECT_EQ(-EINVAL, rota_stream_set_read_limit(nullptr, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_write(nullptr, &byte, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_writev(nullptr, &piece, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_drain(nullptr));
                  EXPECT_EQ(-EINVAL, rota_stream_write_eof(nullptr));
                  EXPECT_EQ(-EINVAL, rota_stream_set_limits(nullptr, 1, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_wait_closed(nullptr));
                  EXPECT_EQ(-EINVAL, rota_stream_fd(nullptr));
                  EXPECT_EQ(-EINVAL, rota_stream_local_addr(nullptr, &addr));
                  EXPECT_EQ(-EINVAL, rota_stream_peer_addr(nullptr, &addr));
                  EXPECT_TRUE(rota_stream_is_closing(nullptr));
                  EXPECT_TRUE(rota_stream_at_eof(nullptr));
                  rota_stream_close(nullptr);
                  rota_stream_abort(nullptr);
                  rota_stream_unref(nullptr);
                  return 0;
              }));
}

TEST_P(NetContract, NoPlaceForAResultIsRefusedAndNothingIsConsumed)
{
    EXPECT_EQ(0, run([] {
                  support::SocketPair sockets;
                  Stream stream(sockets.release_left());
                  EXPECT_EQ(3, ::write(sockets.right(), "abc", 3));
                  EXPECT_EQ(-EINVAL, rota_stream_read(stream, nullptr, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_readexactly(stream, nullptr, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_peek(stream, nullptr, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_local_addr(stream, nullptr));
                  EXPECT_EQ(-EINVAL, rota_stream_peer_addr(stream, nullptr));
                  const char *data;
                  EXPECT_EQ(3, rota_stream_peek(stream, &data, 3));
                  EXPECT_EQ(-EINVAL, rota_stream_consume(stream, 4)) << "more than there is";
                  EXPECT_EQ(3, rota_stream_buffered(stream));
                  EXPECT_EQ(0, rota_stream_consume(stream, 0));
                  EXPECT_EQ(0, rota_stream_consume(stream, 2));
                  EXPECT_EQ(1, rota_stream_buffered(stream));
                  char last;
                  EXPECT_EQ(1, rota_stream_read(stream, &last, 1));
                  EXPECT_EQ('c', last);
                  return 0;
              }));
}

TEST_P(NetContract, OptionsOutOfRangeAreRefusedAndTheDescriptorStays)
{
    EXPECT_EQ(0, run([] {
                  support::SocketPair sockets;
                  rota_stream *stream = nullptr;
                  auto refused = [&](auto change) {
                      rota_stream_opts opts{};
                      change(opts);
                      EXPECT_EQ(-EINVAL, rota_stream_from_fd(&stream, sockets.left(), &opts));
                      EXPECT_EQ(nullptr, stream);
                  };
                  refused([](rota_stream_opts &opts) { opts.close_timeout_ns = -1; });
                  refused([](rota_stream_opts &opts) { opts.read_limit = SSIZE_MAX; });
                  refused([](rota_stream_opts &opts) { opts.low = SIZE_MAX / 2; });
                  refused([](rota_stream_opts &opts) {
                      opts.high = 1;
                      opts.low = 2;
                  });
                  EXPECT_EQ(-EINVAL, rota_stream_from_fd(nullptr, sockets.left(), nullptr));
                  EXPECT_EQ(1, ::write(sockets.left(), "x", 1)) << "it was not taken";
                  return 0;
              }));
}

TEST_P(NetContract, AServersStackHasLimits)
{
    EXPECT_EQ(0, run([] {
                  rota_server_opts opts{};
                  opts.stack_size = 1;
                  EXPECT_EQ(-EINVAL, Server(echo, opts).error());
                  opts.stack_size = SIZE_MAX;
                  EXPECT_EQ(-EINVAL, Server(echo, opts).error());
                  opts.stack_size = 64 << 10;
                  EXPECT_EQ(0, Server(echo, opts).error());
                  return 0;
              }));
}

/* A callback has no stack of its own to wait on. */
TEST_P(NetContract, ACallbackCannotServeForever)
{
    struct Asked {
        rota_server *server;
        std::atomic<int> result{1};
    };
    Asked asked;
    auto ask = [](void *arg) {
        auto *to = static_cast<Asked *>(arg);
        to->result = rota_server_serve_forever(to->server);
        return 0;
    };
    EXPECT_EQ(0, run([&] {
                  EXPECT_EQ(-EINVAL, rota_server_serve_forever(nullptr));
                  Server server;
                  asked.server = server;
                  EXPECT_EQ(0, rota_call_soon_threadsafe(rota_running_loop(), nullptr, ask, &asked,
                                                         nullptr));
                  EXPECT_TRUE(eventually([&] { return asked.result != 1; }));
                  EXPECT_EQ(ROTA_ENOTASK, asked.result);
                  return 0;
              }));
}

/* Unlike an address of the internet it is not kept: the kernel is asked, while it can be. */
TEST_P(NetContract, AUnixPeerIsKnownWhileTheStreamIsOpen)
{
    support::TempDir folder;
    std::string name = "unix:" + folder.file("socket");
    EXPECT_EQ(0, run([&] {
                  std::atomic<bool> unnamed = false; /* clients are not bound */
                  Server server(
                      [&](rota_stream *stream) {
                          rota_addr addr{};
                          EXPECT_EQ(0, rota_stream_peer_addr(stream, &addr));
                          unnamed = text_of(addr) == "unix:";
                          return echo(stream);
                      },
                      {}, name);
                  Stream client(server.addr());
                  EXPECT_EQ(0, client.error());
                  EXPECT_EQ(5, client.write("hello"));
                  EXPECT_EQ("hello", client.exactly(5));
                  EXPECT_TRUE(unnamed);
                  rota_addr peer{};
                  EXPECT_EQ(0, rota_stream_peer_addr(client, &peer));
                  EXPECT_EQ(name, text_of(peer));
                  rota_stream_abort(client);
                  peer = rota_addr{};
                  EXPECT_EQ(ROTA_ECLOSED, rota_stream_peer_addr(client, &peer));
                  return 0;
              }));
}

ROTA_ONE_AND_MANY(NetContract);

} // namespace
