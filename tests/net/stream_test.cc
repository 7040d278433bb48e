/* SPDX-License-Identifier: MIT */
/*
 * stream_test.cc - connecting, writing and closing streams (B-N02, B-N03, B-N04, B-N08, B-N11,
 * B-N18, B-S10; H66, H67).
 */
#include "sched/task_impl.h"
#include "tests/net/streams.h"

#include <netinet/tcp.h>

namespace {

using loops::eventually;
using loops::Tasks;
using streams::Full;
using streams::Half;
using streams::LARGE;
using streams::Listener;
using streams::Pair;
using streams::pattern;
using streams::Stream;

class StreamCall : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(StreamCall);

/* ---- Connecting ---- */

TEST_P(StreamCall, ConnectsAndTalks)
{
    EXPECT_EQ(0, run([] {
                  Listener listener;
                  Stream client(listener.addr());
                  EXPECT_EQ(0, client.error());
                  Stream server(listener.accepted());
                  EXPECT_EQ(4, client.write("ping"));
                  EXPECT_EQ("ping", server.exactly(4));
                  EXPECT_EQ(4, server.write("pong"));
                  EXPECT_EQ("pong", client.exactly(4));
                  rota_addr local{};
                  rota_addr peer{};
                  EXPECT_EQ(0, rota_stream_local_addr(client, &local));
                  EXPECT_EQ(0, rota_stream_peer_addr(server, &peer));
                  EXPECT_TRUE(rota_addr_equal(&local, &peer));
                  EXPECT_EQ(0, rota_stream_peer_addr(client, &peer));
                  EXPECT_TRUE(rota_addr_equal(&listener.addr(), &peer));
                  rota_stream_abort(client);
                  EXPECT_EQ(0, rota_stream_peer_addr(client, &peer)) << "known to the end";
                  EXPECT_EQ(ROTA_ECLOSED, rota_stream_local_addr(client, &local));
                  return 0;
              }));
}

/* B-N18 */
TEST_P(StreamCall, TcpSendsSmallWritesAtOnce)
{
    EXPECT_EQ(0, run([] {
                  Listener listener;
                  rota_stream_opts opts{};
                  for (bool delay : {false, true}) {
                      opts.delay = delay;
                      Stream client(listener.addr(), &opts);
                      Stream server(listener.accepted(), &opts);
                      for (rota_stream *stream : {client.get(), server.get()}) {
                          int value = -1;
                          socklen_t size = sizeof value;
                          EXPECT_EQ(0, getsockopt(rota_stream_fd(stream), IPPROTO_TCP, TCP_NODELAY,
                                                  &value, &size));
                          EXPECT_EQ(!delay, value != 0);
                      }
                  }
                  Pair local;
                  int value;
                  socklen_t size = sizeof value;
                  EXPECT_EQ(-1, getsockopt(rota_stream_fd(local.left), IPPROTO_TCP, TCP_NODELAY,
                                           &value, &size));
                  return 0;
              }));
}

/* B-S10 */
TEST_P(StreamCall, ConnectTellsWhyItFailed)
{
    EXPECT_EQ(0, run([] {
                  rota_addr refused;
                  {
                      Listener gone;
                      refused = gone.addr();
                  }
                  EXPECT_EQ(-ECONNREFUSED, Stream(refused).error());
                  support::TempDir directory;
                  rota_addr missing = streams::address("unix:" + directory.file("none"));
                  EXPECT_EQ(-ENOENT, Stream(missing).error());
                  rota_stream *stream = nullptr;
                  rota_addr none{};
                  rota_stream_opts bad{};
                  bad.high = 1;
                  bad.low = 2;
                  EXPECT_EQ(-EINVAL, rota_stream_connect(&stream, &none, nullptr));
                  EXPECT_EQ(-EINVAL, rota_stream_connect(&stream, &refused, &bad));
                  EXPECT_EQ(-EINVAL, rota_stream_connect(nullptr, &refused, nullptr));
                  EXPECT_EQ(nullptr, stream);
                  return 0;
              }));
}

TEST_P(StreamCall, ACancelledConnectLeavesNothingBehind)
{
    EXPECT_EQ(0, run([] {
                  Listener listener(0); /* a queue of one; further connects wait for ever */
                  Tasks tasks;
                  for (int i = 0; i < 4; i++)
                      tasks.spawn([&] {
                          rota_timeout timeout{};
                          rota_stream *stream = nullptr;
                          EXPECT_EQ(0, rota_timeout_begin(&timeout, 30 * ROTA_MS));
                          int r = rota_stream_connect(&stream, &listener.addr(), nullptr);
                          r = rota_timeout_end(&timeout, r);
                          rota_stream_unref(stream);
                          return r;
                      });
                  auto statuses = tasks.join();
                  EXPECT_NE(statuses.end(),
                            std::find(statuses.begin(), statuses.end(), -ETIMEDOUT));
                  return 0;
              }));
}

TEST_P(StreamCall, TakesOverConnectedStreamSocketsOnly)
{
    EXPECT_EQ(0, run([] {
                  rota_stream *stream = nullptr;
                  int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                  int unconnected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
                  EXPECT_EQ(-EINVAL, rota_stream_from_fd(&stream, datagram, nullptr));
                  EXPECT_EQ(-ENOTCONN, rota_stream_from_fd(&stream, unconnected, nullptr));
                  EXPECT_EQ(-ENOTSOCK, rota_stream_from_fd(&stream, null, nullptr));
                  EXPECT_EQ(-EBADF, rota_stream_from_fd(&stream, -1, nullptr));
                  Half half;
                  EXPECT_EQ(-EEXIST,
                            rota_stream_from_fd(&stream, rota_stream_fd(half.stream), nullptr));
                  EXPECT_EQ(nullptr, stream);
                  for (int fd : {datagram, unconnected, null})
                      EXPECT_EQ(0, close(fd)) << "still the caller's";
                  return 0;
              }));
}

TEST(StreamOutside, NeedsALoop)
{
    support::SocketPair sockets;
    rota_stream *stream = nullptr;
    rota_addr addr = streams::address("127.0.0.1:1");
    EXPECT_EQ(ROTA_ENOLOOP, rota_stream_from_fd(&stream, sockets.left(), nullptr));
    EXPECT_EQ(ROTA_ENOTASK, rota_stream_connect(&stream, &addr, nullptr));
    EXPECT_EQ(nullptr, stream);
}

/* ---- Writing ---- */

/* B-N11 */
TEST_P(StreamCall, ManySmallWritesArriveInOrder)
{
    EXPECT_EQ(0, run([] {
                  Pair pair;
                  Tasks tasks;
                  std::string sent = pattern(1000000);
                  tasks.spawn([&] {
                      for (std::size_t i = 0; i < sent.size(); i += 100)
                          EXPECT_EQ(100, pair.left.write(std::string_view(sent).substr(i, 100)));
                      EXPECT_EQ(0, rota_stream_write_eof(pair.left));
                      return 0;
                  });
                  EXPECT_EQ(sent, pair.right.all());
                  tasks.join();
                  return 0;
              }));
}

TEST_P(StreamCall, SmallWritesBehindABacklogShareItsMemory)
{
    EXPECT_EQ(0, run([] {
                  Full full;
                  EXPECT_EQ(0, rota_stream_set_limits(full.stream, 2 * LARGE, LARGE));
                  for (int i = 0; i < 2000; i++)
                      EXPECT_EQ(3, full.stream.write("abc"));
                  std::size_t chunks = 0;
                  roti_spin_lock(&full.stream->lock);
                  for (roti_chunk *chunk = full.stream->backlog.head; chunk; chunk = chunk->next)
                      chunks++;
                  roti_spin_unlock(&full.stream->lock);
                  EXPECT_LE(chunks, 4U);
                  std::string tail;
                  for (int i = 0; i < 2000; i++)
                      tail += "abc";
                  EXPECT_EQ(full.sent + tail, full.taken_all(LARGE + 6000));
                  return 0;
              }));
}

TEST_P(StreamCall, PiecesGoTogether)
{
    EXPECT_EQ(0, run([] {
                  Pair pair;
                  Tasks tasks;
                  std::string one = pattern(400000);
                  std::string two = pattern(300001);
                  tasks.spawn([&] {
                      for (int i = 0; i < 5; i++) {
                          iovec list[] = {{one.data(), one.size()},
                                          {nullptr, 0},
                                          {two.data(), two.size()},
                                          {one.data(), 3}};
                          EXPECT_EQ(700004, rota_stream_writev(pair.left, list, 4));
                      }
                      rota_stream_close(pair.left);
                      return 0;
                  });
                  std::string once = one + two + one.substr(0, 3);
                  EXPECT_EQ(once + once + once + once + once, pair.right.all());
                  tasks.join();
                  return 0;
              }));
}

TEST_P(StreamCall, TheBytesOfOneWriteStayTogether)
{
    EXPECT_EQ(0, run([] {
                  constexpr int writers = 6;
                  constexpr std::size_t block = 50000;
                  const int rounds = static_cast<int>(support::scale(20));
                  Pair pair;
                  Tasks tasks;
                  for (int i = 0; i < writers; i++)
                      tasks.spawn([&, i] {
                          std::string mine(block, static_cast<char>('a' + i));
                          for (int round = 0; round < rounds; round++) {
                              EXPECT_EQ(static_cast<ssize_t>(block), pair.left.write(mine));
                              EXPECT_EQ(0, rota_yield());
                          }
                          return 0;
                      });
                  int seen[writers] = {};
                  for (int i = 0; i < writers * rounds; i++) {
                      std::string got = pair.right.exactly(block);
                      EXPECT_EQ(std::string::npos, got.find_first_not_of(got[0]));
                      seen[got[0] - 'a']++;
                  }
                  for (int count : seen)
                      EXPECT_EQ(rounds, count);
                  tasks.join();
                  return 0;
              }));
}

TEST_P(StreamCall, WritesThatCannotBeAreRefused)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  char byte = 0;
                  iovec bad = {nullptr, 1};
                  iovec huge[] = {{&byte, SSIZE_MAX}, {&byte, 1}};
                  EXPECT_EQ(0, half.stream.write(""));
                  EXPECT_EQ(-EINVAL, rota_stream_write(nullptr, "x", 1));
                  EXPECT_EQ(-EINVAL, rota_stream_write(half.stream, nullptr, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_writev(half.stream, &bad, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_writev(half.stream, huge, 2));
                  EXPECT_EQ(-EINVAL, rota_stream_writev(half.stream, &bad, -1));
                  EXPECT_EQ(-EINVAL,
                            rota_stream_writev(half.stream, &bad, ROTA_STREAM_PIECES_MAX + 1));
                  EXPECT_EQ("", half.taken());
                  return 0;
              }));
}

/* ---- Marks ---- */

TEST_P(StreamCall, WritersAreHeldUpUntilTheLowMark)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  Tasks tasks;
                  std::atomic<bool> done{false};
                  tasks.spawn([&] {
                      EXPECT_EQ(static_cast<ssize_t>(LARGE),
                                half.stream.write(std::string(LARGE, 'x')));
                      EXPECT_LE(rota_stream_unsent(half.stream), ROTA_STREAM_LOW);
                      done = true;
                      return 0;
                  });
                  EXPECT_TRUE(eventually([&] { return streams::drainers(half.stream) == 1; }));
                  EXPECT_EQ(0, rota_sleep(5 * ROTA_MS));
                  EXPECT_FALSE(done);
                  EXPECT_EQ(LARGE, half.taken_all(LARGE).size());
                  tasks.join();
                  return 0;
              }));
}

/* B-N08 */
TEST_P(StreamCall, TenDrainersAllGoOn)
{
    EXPECT_EQ(0, run([] {
                  Full full;
                  Tasks tasks;
                  for (int i = 0; i < 10; i++)
                      tasks.spawn([&] { return rota_stream_drain(full.stream); });
                  EXPECT_TRUE(eventually([&] { return streams::drainers(full.stream) == 10; }));
                  EXPECT_EQ(full.sent, full.taken_all(LARGE));
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  EXPECT_EQ(0, rota_stream_drain(full.stream));
                  return 0;
              }));
}

/* A program that ignores a cancelled drain cannot fill the memory. */
TEST_P(StreamCall, APausedStreamAcceptsNothing)
{
    EXPECT_EQ(0, run([] {
                  Full full;
                  Tasks tasks;
                  std::size_t unsent = rota_stream_unsent(full.stream);
                  rota_task *task = tasks.spawn([&] {
                      EXPECT_EQ(-ECANCELED, full.stream.write("more"));
                      EXPECT_EQ(0, rota_yield()) << "the request was delivered";
                      return 0;
                  });
                  EXPECT_TRUE(eventually([&] { return streams::drainers(full.stream) == 1; }));
                  EXPECT_EQ(1, rota_task_cancel(task));
                  tasks.join();
                  EXPECT_EQ(unsent, rota_stream_unsent(full.stream));
                  static ssize_t answer;
                  auto callback = [](void *arg) {
                      answer = rota_stream_write(static_cast<rota_stream *>(arg), "x", 1);
                      return 0;
                  };
                  answer = 0;
                  EXPECT_EQ(0, rota_call_soon(rota_running_loop(), nullptr, callback, full.stream,
                                              nullptr));
                  EXPECT_TRUE(eventually([] { return answer != 0; }));
                  EXPECT_EQ(ROTA_ENOTASK, answer);
                  rota_stream_abort(full.stream);
                  return 0;
              }));
}

TEST_P(StreamCall, MarksFollowFromOneAnother)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  rota_stream *stream = half.stream;
                  auto marks = [stream] { return std::pair(stream->high, stream->low); };
                  EXPECT_EQ(std::pair(ROTA_STREAM_HIGH, ROTA_STREAM_LOW), marks());
                  EXPECT_EQ(0, rota_stream_set_limits(stream, ROTA_LIMIT_AUTO, 100));
                  EXPECT_EQ(std::pair(std::size_t{400}, std::size_t{100}), marks());
                  EXPECT_EQ(0, rota_stream_set_limits(stream, 100, ROTA_LIMIT_AUTO));
                  EXPECT_EQ(std::pair(std::size_t{100}, std::size_t{25}), marks());
                  EXPECT_EQ(0, rota_stream_set_limits(stream, 0, ROTA_LIMIT_AUTO));
                  EXPECT_EQ(std::pair(std::size_t{0}, std::size_t{0}), marks());
                  EXPECT_EQ(0, rota_stream_set_limits(stream, 0, 0));
                  EXPECT_EQ(-EINVAL, rota_stream_set_limits(stream, 1, 2));
                  EXPECT_EQ(std::pair(std::size_t{0}, std::size_t{0}), marks());
                  EXPECT_EQ(0, rota_stream_set_limits(stream, ROTA_LIMIT_AUTO, ROTA_LIMIT_AUTO));
                  EXPECT_EQ(std::pair(ROTA_STREAM_HIGH, ROTA_STREAM_LOW), marks());
                  EXPECT_EQ(-EINVAL, rota_stream_set_limits(nullptr, 2, 1));
                  return 0;
              }));
}

TEST_P(StreamCall, NewMarksTakeEffectAtOnce)
{
    EXPECT_EQ(0, run([] {
                  Full full;
                  Tasks tasks;
                  tasks.spawn([&] { return rota_stream_drain(full.stream); });
                  EXPECT_TRUE(eventually([&] { return streams::drainers(full.stream) == 1; }));
                  EXPECT_EQ(0, rota_stream_set_limits(full.stream, 2 * LARGE, LARGE));
                  EXPECT_EQ(std::vector{0}, tasks.join());
                  EXPECT_EQ(0, rota_stream_set_limits(full.stream, 0, 0));
                  tasks.spawn([&] { return rota_stream_drain(full.stream); });
                  EXPECT_TRUE(eventually([&] { return streams::drainers(full.stream) == 1; }));
                  rota_stream_abort(full.stream);
                  EXPECT_EQ(std::vector<int>{ROTA_ECLOSED}, tasks.join());
                  return 0;
              }));
}

/* ---- Failing memory ---- */

TEST(StreamMemory, EveryAllocationMayFail)
{
    std::string text(LARGE, 'x');
    std::int64_t count = support::sweep_allocations([&] {
        return loops::run(1, [&] {
            Listener listener;
            rota_stream *stream = nullptr;
            int r = rota_stream_connect(&stream, &listener.addr(), nullptr);
            int peer = r == 0 ? listener.accepted() : -1;
            if (r == 0)
                r = rota_stream_set_limits(stream, SIZE_MAX - 1, 0);
            ssize_t n = r == 0 ? rota_stream_write(stream, text.data(), text.size()) : r;
            if (n > 0)
                n = rota_stream_write(stream, text.data(), 5000);
            rota_stream_abort(stream);
            rota_stream_unref(stream);
            if (peer >= 0)
                close(peer);
            return n < 0 ? static_cast<int>(n) : 0;
        });
    });
    EXPECT_GT(count, 4);
}

/* H15: its peer takes all there is, so that it is never held up. */
TEST(StreamGiving, AWriterThatIsNeverHeldUpGivesWay)
{
    static constexpr int WRITES = 10 * ROTI_CALLS_MAX;
    EXPECT_EQ(0, loops::run(1, [] {
                  Pair pair;
                  int turns = 0;
                  bool done = false;
                  Tasks tasks;
                  tasks.spawn([&] {
                      while (!done) {
                          EXPECT_EQ(0, rota_yield());
                          turns++;
                      }
                      return 0;
                  });
                  tasks.spawn([&] {
                      for (int i = 0; i < WRITES; i++)
                          EXPECT_EQ(1, rota_stream_write(pair.left, "x", 1));
                      done = true;
                      return 0;
                  });
                  tasks.join();
                  EXPECT_GE(turns, WRITES / ROTI_CALLS_MAX - 1);
                  return 0;
              }));
}

} // namespace
