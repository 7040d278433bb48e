/* SPDX-License-Identifier: MIT */
/*
 * stream_close_test.cc - the end of streams: half, graceful, abrupt (B-N02, B-N03, B-N04; H66,
 * H67).
 */
#include "tests/net/streams.h"

namespace {

using loops::eventually;
using loops::Tasks;
using streams::Full;
using streams::Half;
using streams::LARGE;
using streams::Pair;

class StreamClose : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(StreamClose);

/* ---- The end of what is written ---- */

/* B-N04 */
TEST_P(StreamClose, WriteEofComesAfterAllDataAndOnce)
{
    EXPECT_EQ(0, run([] {
                  Full full;
                  EXPECT_EQ(0, rota_stream_write_eof(full.stream));
                  EXPECT_EQ(0, rota_stream_write_eof(full.stream));
                  EXPECT_EQ(ROTA_ESTATE, full.stream.write("x"));
                  EXPECT_FALSE(full.has_ended());
                  EXPECT_EQ(full.sent, full.taken_all());
                  EXPECT_TRUE(full.has_ended());
                  EXPECT_EQ(3, send(full.peer(), "abc", 3, MSG_NOSIGNAL));
                  EXPECT_EQ("abc", full.stream.read()) << "reading goes on";
                  rota_stream_close(full.stream);
                  EXPECT_EQ(0, rota_stream_write_eof(full.stream));
                  EXPECT_EQ(ROTA_ECLOSED, full.stream.write("x"));
                  EXPECT_EQ(-EINVAL, rota_stream_write_eof(nullptr));
                  return 0;
              }));
}

TEST_P(StreamClose, APeersEndLeavesTheOtherDirectionOpen)
{
    EXPECT_EQ(0, run([] {
                  Pair pair;
                  EXPECT_EQ(0, rota_stream_write_eof(pair.left));
                  EXPECT_EQ("END", pair.right.read());
                  EXPECT_EQ(3, pair.right.write("abc"));
                  EXPECT_EQ("abc", pair.left.read());
                  return 0;
              }));
}

/* ---- Closing ---- */

/* B-N02 */
TEST_P(StreamClose, CloseSendsWhatIsBuffered)
{
    EXPECT_EQ(0, run([] {
                  Full full;
                  Tasks tasks;
                  tasks.spawn([&] { return rota_stream_wait_closed(full.stream); });
                  tasks.spawn([&] { return rota_stream_wait_closed(full.stream); });
                  EXPECT_FALSE(rota_stream_is_closing(full.stream));
                  rota_stream_close(full.stream);
                  rota_stream_close(full.stream);
                  EXPECT_TRUE(rota_stream_is_closing(full.stream));
                  EXPECT_GE(rota_stream_fd(full.stream), 0) << "in the background";
                  EXPECT_EQ(ROTA_ECLOSED, full.stream.write("x"));
                  EXPECT_EQ(full.sent, full.taken_all());
                  EXPECT_EQ((std::vector{0, 0}), tasks.join());
                  EXPECT_EQ(ROTA_ECLOSED, rota_stream_fd(full.stream));
                  EXPECT_EQ(0, rota_stream_wait_closed(full.stream));
                  return 0;
              }));
}

/* The tail is sent although nobody holds the stream any more. */
TEST_P(StreamClose, TheLastReferenceClosesAndSendsTheRest)
{
    EXPECT_EQ(0, run([] {
                  Full full;
                  full.stream.drop();
                  EXPECT_EQ(full.sent, full.taken_all());
                  return 0;
              }));
}

/* B-N03 */
TEST_P(StreamClose, AbortDropsWhatIsBuffered)
{
    EXPECT_EQ(0, run([] {
                  for (bool closing : {false, true}) {
                      Full full;
                      Tasks tasks;
                      tasks.spawn([&] { return rota_stream_wait_closed(full.stream); });
                      if (closing)
                          rota_stream_close(full.stream);
                      rota_stream_abort(full.stream);
                      rota_stream_abort(full.stream);
                      EXPECT_EQ(ROTA_ECLOSED, rota_stream_fd(full.stream));
                      EXPECT_EQ(std::vector{0}, tasks.join());
                      EXPECT_LT(full.taken_all().size(), LARGE);
                      EXPECT_EQ(ROTA_ECLOSED, rota_stream_drain(full.stream));
                  }
                  return 0;
              }));
}

TEST_P(StreamClose, ACloseIsBoundedInTime)
{
    EXPECT_EQ(0, run([] {
                  rota_stream_opts opts{};
                  opts.close_timeout_ns = 20 * ROTA_MS;
                  Full full(&opts);
                  std::int64_t begun_ns = rota_time_ns();
                  rota_stream_close(full.stream);
                  EXPECT_EQ(-ETIMEDOUT, rota_stream_wait_closed(full.stream));
                  EXPECT_GE(rota_time_ns() - begun_ns, 20 * ROTA_MS);
                  EXPECT_LT(full.taken_all().size(), LARGE);
                  return 0;
              }));
}

TEST_P(StreamClose, WaitClosedMayBeCancelled)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  Tasks tasks;
                  rota_task *task =
                      tasks.spawn([&] { return rota_stream_wait_closed(half.stream); });
                  EXPECT_TRUE(loops::settled(task));
                  EXPECT_EQ(1, rota_task_cancel(task));
                  EXPECT_EQ(std::vector{-ECANCELED}, tasks.join());
                  EXPECT_EQ(-EINVAL, rota_stream_wait_closed(nullptr));
                  return 0;
              }));
}

/* What is left when the run ends is dropped, and nothing waits for it. */
TEST_P(StreamClose, TheEndOfTheRunDropsTheRest)
{
    support::SocketPair sockets;
    rota_stream *stream = nullptr;
    EXPECT_EQ(0, run([&] {
                  int r = rota_stream_from_fd(&stream, sockets.release_left(), nullptr);
                  EXPECT_EQ(0, r);
                  EXPECT_EQ(0, rota_stream_set_limits(stream, 2 * LARGE, 0));
                  std::string text(LARGE, 'x');
                  EXPECT_EQ(static_cast<ssize_t>(LARGE),
                            rota_stream_write(stream, text.data(), LARGE));
                  rota_stream_close(stream);
                  return 0;
              }));
    EXPECT_EQ(ROTA_ESTOP, stream->error);
    EXPECT_EQ(0U, rota_stream_unsent(stream));
    rota_stream_unref(stream);
}

TEST_P(StreamClose, AStreamMayOutliveTheRun)
{
    support::SocketPair sockets;
    rota_stream *stream = nullptr;
    EXPECT_EQ(0, run([&] {
                  EXPECT_EQ(0, rota_stream_from_fd(&stream, sockets.release_left(), nullptr));
                  return 0;
              }));
    rota_stream_unref(stream);
    char byte;
    EXPECT_EQ(0, recv(sockets.right(), &byte, 1, 0));
}

/* ---- Peers that vanish ---- */

/* H66: no signal; the error comes back. */
TEST_P(StreamClose, AVanishedPeerIsAnError)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  half.sockets.close_right();
                  EXPECT_EQ(-EPIPE, half.stream.write("x"));
                  EXPECT_EQ(-EPIPE, half.stream.write("x"));
                  EXPECT_EQ(-EPIPE, rota_stream_wait_closed(half.stream));
                  EXPECT_EQ(-EPIPE, rota_stream_write_eof(half.stream));
                  return 0;
              }));
}

TEST_P(StreamClose, AWriterThatIsHeldUpNoticesAVanishedPeer)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  Tasks tasks;
                  tasks.spawn([&] {
                      ssize_t n;
                      while ((n = half.stream.write(std::string(100000, 'x'))) > 0)
                          ;
                      return static_cast<int>(n);
                  });
                  EXPECT_TRUE(eventually([&] { return streams::drainers(half.stream) == 1; }));
                  half.sockets.close_right();
                  int status = tasks.join()[0];
                  EXPECT_TRUE(status == -EPIPE || status == -ECONNRESET) << status;
                  EXPECT_EQ(status, rota_stream_wait_closed(half.stream));
                  return 0;
              }));
}

/* ---- Partial progress ---- */

/* H67 */
TEST_P(StreamClose, AFailureInTheMiddleOfTheRestEndsTheStream)
{
    streams::Breaker breaker(ROTI_SYSCALL_sendmsg);
    EXPECT_EQ(0, run([&] {
                  Full full;
                  EXPECT_EQ(LARGE, full.taken_all(LARGE).size());
                  EXPECT_TRUE(eventually([&] { return rota_stream_unsent(full.stream) == 0; }));
                  EXPECT_EQ(0, rota_stream_set_limits(full.stream, 2 * LARGE, LARGE));
                  EXPECT_EQ(static_cast<ssize_t>(LARGE), full.stream.write(full.sent));
                  /* From now on the kernel breaks the connection in the middle of the rest. */
                  breaker.fail(-ECONNRESET);
                  (void)full.taken_all();
                  EXPECT_EQ(-ECONNRESET, rota_stream_wait_closed(full.stream));
                  EXPECT_EQ(-ECONNRESET, full.stream.write("x"));
                  EXPECT_EQ(0U, rota_stream_unsent(full.stream));
                  return 0;
              }));
}

/* ---- Closing and aborting at any moment ---- */

TEST_P(StreamClose, ClosersAndWritersMayMeetAtAnyMoment)
{
    EXPECT_EQ(0, run([] {
                  const auto rounds = support::scale(300);
                  for (std::int64_t i = 0; i < rounds; i++) {
                      Pair pair;
                      Tasks tasks;
                      tasks.spawn([&] {
                          while (pair.left.write(std::string(70000, 'x')) > 0)
                              ;
                          return 0;
                      });
                      tasks.spawn([&] {
                          char buffer[30000];
                          while (rota_stream_read(pair.right, buffer, sizeof buffer) > 0)
                              ;
                          return 0;
                      });
                      for (std::int64_t step = 0; step < i % 17; step++)
                          EXPECT_EQ(0, rota_yield());
                      switch (i % 4) {
                      case 0:
                          rota_stream_close(pair.left);
                          break;
                      case 1:
                          rota_stream_abort(pair.left);
                          break;
                      case 2:
                          rota_stream_abort(pair.right);
                          break;
                      default:
                          rota_stream_close(pair.right);
                          break;
                      }
                      tasks.join();
                      rota_stream_close(pair.left);
                      rota_stream_close(pair.right);
                  }
                  return 0;
              }));
}

} // namespace
