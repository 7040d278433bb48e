/* SPDX-License-Identifier: MIT */
/*
 * stream_read_test.cc - reading from streams (B-R01, B-R04, B-R05, B-R06; H56).
 */
#include "tests/net/streams.h"

namespace {

using loops::eventually;
using loops::Tasks;
using streams::Half;
using streams::Pair;
using streams::Stream;

class StreamRead : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(StreamRead);

void put(int fd, std::string_view text)
{
    ASSERT_EQ(static_cast<ssize_t>(text.size()), send(fd, text.data(), text.size(), MSG_NOSIGNAL));
}

/* ---- read ---- */

TEST_P(StreamRead, ReadTakesWhatIsThereAndTellsTheEndLast)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  put(half.peer(), "abcdef");
                  EXPECT_EQ("abcd", half.stream.read(4));
                  EXPECT_EQ("ef", half.stream.read(4));
                  half.sockets.close_right();
                  EXPECT_EQ("END", half.stream.read());
                  EXPECT_EQ("END", half.stream.read());
                  EXPECT_TRUE(rota_stream_at_eof(half.stream));
                  return 0;
              }));
}

TEST_P(StreamRead, ReadOfNothingReturnsAtOnce)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  char byte;
                  EXPECT_EQ(0, rota_stream_read(half.stream, &byte, 0));
                  EXPECT_EQ(0, rota_stream_read(half.stream, nullptr, 0));
                  EXPECT_EQ(0, rota_stream_readexactly(half.stream, nullptr, 0));
                  EXPECT_EQ(-EINVAL, rota_stream_read(half.stream, nullptr, 1));
                  EXPECT_EQ(-EINVAL, rota_stream_read(nullptr, &byte, 1));
                  return 0;
              }));
}

TEST_P(StreamRead, ReadWaitsForTheFirstByte)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  Tasks tasks;
                  std::string got;
                  tasks.spawn([&] {
                      got = half.stream.read();
                      return 0;
                  });
                  EXPECT_TRUE(eventually([&] { return streams::is_reading(half.stream); }));
                  put(half.peer(), "x");
                  tasks.join();
                  EXPECT_EQ("x", got);
                  return 0;
              }));
}

/* H56: data and the end of the stream come with one edge; a short read must not hide the end. */
TEST_P(StreamRead, TheEndThatComesWithDataIsSeen)
{
    EXPECT_EQ(0, run([] {
                  for (int i = 0; i < 100; i++) {
                      Half half;
                      Tasks tasks;
                      std::string got;
                      tasks.spawn([&] {
                          got = half.stream.all();
                          return 0;
                      });
                      EXPECT_TRUE(eventually([&] { return streams::is_reading(half.stream); }));
                      put(half.peer(), "abc");
                      half.sockets.close_right();
                      tasks.join();
                      EXPECT_EQ("abc", got);
                  }
                  return 0;
              }));
}

/* B-R06 */
TEST_P(StreamRead, ASecondReaderIsRefused)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  Tasks tasks;
                  const char *data;
                  tasks.spawn([&] {
                      EXPECT_EQ("later", half.stream.read());
                      return 0;
                  });
                  EXPECT_TRUE(eventually([&] { return streams::is_reading(half.stream); }));
                  EXPECT_EQ("EBUSY", half.stream.read());
                  EXPECT_EQ("EBUSY", half.stream.exactly(3));
                  EXPECT_EQ("EBUSY", half.stream.line());
                  EXPECT_EQ("EBUSY", half.stream.until("x"));
                  EXPECT_EQ(-EBUSY, rota_stream_peek(half.stream, &data, 1));
                  EXPECT_EQ(-EBUSY, rota_stream_consume(half.stream, 1));
                  EXPECT_EQ(-EBUSY, rota_stream_buffered(half.stream));
                  EXPECT_EQ(-EBUSY, rota_stream_set_read_limit(half.stream, 1));
                  EXPECT_FALSE(rota_stream_at_eof(half.stream));
                  put(half.peer(), "later");
                  tasks.join();
                  EXPECT_EQ(0, rota_stream_buffered(half.stream));
                  return 0;
              }));
}

TEST_P(StreamRead, ACancelledReadHasConsumedNothing)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  put(half.peer(), "ab");
                  for (int form = 0; form < 4; form++) {
                      Tasks tasks;
                      rota_task *task = tasks.spawn([&] {
                          const char *data;
                          std::string got = form == 0   ? half.stream.exactly(3)
                                            : form == 1 ? half.stream.until("x")
                                            : form == 2 ? half.stream.line()
                                                        : "";
                          if (form == 3) {
                              EXPECT_EQ(-ECANCELED, rota_stream_peek(half.stream, &data, 3));
                              got = "ECANCELED";
                          }
                          EXPECT_EQ("ECANCELED", got);
                          return 0;
                      });
                      EXPECT_TRUE(eventually([&] { return streams::is_reading(half.stream); }));
                      EXPECT_EQ(1, rota_task_cancel(task));
                      tasks.join();
                      EXPECT_EQ(2, rota_stream_buffered(half.stream));
                  }
                  put(half.peer(), "c");
                  EXPECT_EQ("abc", half.stream.exactly(3));
                  return 0;
              }));
}

TEST_P(StreamRead, ATimeoutEndsARead)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  rota_timeout timeout{};
                  char byte;
                  EXPECT_EQ(0, rota_timeout_begin(&timeout, ROTA_MS));
                  ssize_t n = rota_stream_read(half.stream, &byte, 1);
                  EXPECT_EQ(-ETIMEDOUT, rota_timeout_end(&timeout, static_cast<int>(n)));
                  put(half.peer(), "x");
                  EXPECT_EQ("x", half.stream.read());
                  return 0;
              }));
}

/* ---- readexactly ---- */

/* B-R04 */
TEST_P(StreamRead, AnEndBeforeTheLastByteLeavesTheRestBuffered)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  put(half.peer(), "abc");
                  half.sockets.close_right();
                  EXPECT_EQ("ROTA_EINCOMPLETE", half.stream.exactly(5));
                  EXPECT_EQ(3, rota_stream_buffered(half.stream));
                  EXPECT_EQ("ROTA_EINCOMPLETE", half.stream.until("x"));
                  EXPECT_EQ(3, rota_stream_buffered(half.stream));
                  EXPECT_FALSE(rota_stream_at_eof(half.stream));
                  EXPECT_EQ("abc", half.stream.read());
                  EXPECT_EQ(0, rota_stream_buffered(half.stream));
                  EXPECT_TRUE(rota_stream_at_eof(half.stream));
                  EXPECT_EQ("ROTA_EINCOMPLETE", half.stream.exactly(1));
                  return 0;
              }));
}

/* B-R05 */
TEST_P(StreamRead, ExactlyIsNotBoundByTheLimit)
{
    EXPECT_EQ(0, run([] {
                  rota_stream_opts opts{};
                  opts.read_limit = 4;
                  Half half(&opts);
                  Tasks tasks;
                  tasks.spawn([&] {
                      for (int i = 0; i < 10; i++) {
                          put(half.peer(), "0123456789");
                          EXPECT_EQ(0, rota_yield());
                      }
                      return 0;
                  });
                  EXPECT_EQ(100U, half.stream.exactly(100).size());
                  tasks.join();
                  return 0;
              }));
}

TEST_P(StreamRead, ALargeRecordComesWhole)
{
    EXPECT_EQ(0, run([] {
                  Pair pair;
                  Tasks tasks;
                  std::string sent = streams::pattern(1000000);
                  tasks.spawn([&] {
                      EXPECT_EQ(1000000, pair.left.write(sent));
                      EXPECT_EQ(4, pair.left.write("tail"));
                      return 0;
                  });
                  EXPECT_EQ(sent.substr(0, 7), pair.right.exactly(7));
                  EXPECT_EQ(sent.substr(7, 900000), pair.right.exactly(900000));
                  EXPECT_EQ(sent.substr(900007), pair.right.exactly(99993));
                  EXPECT_EQ("tail", pair.right.exactly(4));
                  tasks.join();
                  return 0;
              }));
}

/* ---- readuntil, readline ---- */

/* B-R01 */
TEST_P(StreamRead, ALineOverTheLimitIsDropped)
{
    EXPECT_EQ(0, run([] {
                  rota_stream_opts opts{};
                  opts.read_limit = 8;
                  Half half(&opts);
                  put(half.peer(), "0123456789ab\nrest\n");
                  EXPECT_EQ("ROTA_ELIMIT", half.stream.line());
                  EXPECT_EQ(5, rota_stream_buffered(half.stream));
                  EXPECT_EQ("rest\n", half.stream.line());
                  return 0;
              }));
}

TEST_P(StreamRead, ALineOverTheLimitWithoutItsEndIsDroppedAsFarAsItHasCome)
{
    EXPECT_EQ(0, run([] {
                  rota_stream_opts opts{};
                  opts.read_limit = 8;
                  Half half(&opts);
                  put(half.peer(), "0123456789");
                  EXPECT_EQ("ROTA_ELIMIT", half.stream.line());
                  EXPECT_EQ(0, rota_stream_buffered(half.stream));
                  put(half.peer(), "ab\nrest\n");
                  EXPECT_EQ("ab\n", half.stream.line());
                  EXPECT_EQ("rest\n", half.stream.line());
                  return 0;
              }));
}

TEST_P(StreamRead, TheLimitCountsBytesBeforeTheSeparator)
{
    EXPECT_EQ(0, run([] {
                  rota_stream_opts opts{};
                  opts.read_limit = 4;
                  Half half(&opts);
                  put(half.peer(), "abcd\r\nabcde\r\n");
                  EXPECT_EQ("abcd\r\n", half.stream.until("\r\n"));
                  EXPECT_EQ("ROTA_ELIMIT", half.stream.until("\r\n"));
                  EXPECT_EQ(7, rota_stream_buffered(half.stream)) << "left where it was";
                  EXPECT_EQ(0, rota_stream_set_read_limit(half.stream, 5));
                  EXPECT_EQ("ROTA_ELIMIT", half.stream.until("\r\n", 6)) << "does not fit";
                  EXPECT_EQ("abcde\r\n", half.stream.until("\r\n", 7));
                  EXPECT_EQ(-EINVAL, rota_stream_set_read_limit(half.stream, 0));
                  return 0;
              }));
}

TEST_P(StreamRead, ASeparatorMayComeInPieces)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  Tasks tasks;
                  std::string text = "one--two-three-->-->four";
                  tasks.spawn([&] {
                      for (char byte : text) {
                          EXPECT_TRUE(eventually([&] { return streams::is_reading(half.stream); }));
                          put(half.peer(), std::string_view(&byte, 1));
                      }
                      return 0;
                  });
                  EXPECT_EQ("one--two-three-->", half.stream.until("-->"));
                  EXPECT_EQ("-->", half.stream.until("-->"));
                  EXPECT_EQ("four", half.stream.exactly(4));
                  tasks.join();
                  return 0;
              }));
}

TEST_P(StreamRead, TheLastLineNeedsNoNewline)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  put(half.peer(), "first\n\nlast");
                  half.sockets.close_right();
                  EXPECT_EQ("first\n", half.stream.line());
                  EXPECT_EQ("\n", half.stream.line());
                  EXPECT_EQ("last", half.stream.line());
                  EXPECT_EQ("END", half.stream.line());
                  return 0;
              }));
}

TEST_P(StreamRead, ALineThatDoesNotFitTheBufferIsDropped)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  put(half.peer(), "abcdef\nabcde\nabcdef");
                  half.sockets.close_right();
                  EXPECT_EQ("ROTA_ELIMIT", half.stream.line(6));
                  EXPECT_EQ("abcde\n", half.stream.line(6));
                  EXPECT_EQ("ROTA_ELIMIT", half.stream.line(5));
                  EXPECT_EQ("END", half.stream.line(5));
                  return 0;
              }));
}

TEST_P(StreamRead, ALongLineGrowsTheBufferUpToTheLimit)
{
    EXPECT_EQ(0, run([] {
                  Pair pair;
                  Tasks tasks;
                  std::string line(60000, 'x');
                  line += '\n';
                  tasks.spawn([&] {
                      EXPECT_EQ(60001, pair.left.write(line));
                      EXPECT_EQ(70000, pair.left.write(std::string(70000, 'y')));
                      return 0;
                  });
                  EXPECT_EQ(line, pair.right.line(100000));
                  EXPECT_EQ("ROTA_ELIMIT", pair.right.line(100000));
                  tasks.join();
                  return 0;
              }));
}

TEST_P(StreamRead, SeparatorsThatCannotBeAreRefused)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  char buffer[4];
                  EXPECT_EQ(-EINVAL, rota_stream_readuntil(half.stream, "", 0, buffer, 4));
                  EXPECT_EQ(-EINVAL, rota_stream_readuntil(half.stream, "12345", 5, buffer, 4));
                  EXPECT_EQ(-EINVAL, rota_stream_readuntil(half.stream, nullptr, 1, buffer, 4));
                  EXPECT_EQ(-EINVAL, rota_stream_readuntil(half.stream, "x", 1, nullptr, 4));
                  EXPECT_EQ(-EINVAL, rota_stream_readline(half.stream, buffer, 0));
                  return 0;
              }));
}

/* ---- peek, consume ---- */

TEST_P(StreamRead, PeekShowsWithoutConsuming)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  const char *data = nullptr;
                  put(half.peer(), "abcd");
                  EXPECT_EQ(4, rota_stream_peek(half.stream, &data, 0));
                  EXPECT_EQ("abcd", std::string(data, 4));
                  EXPECT_EQ(4, rota_stream_peek(half.stream, &data, 2));
                  EXPECT_EQ(-EINVAL, rota_stream_consume(half.stream, 5));
                  EXPECT_EQ(0, rota_stream_consume(half.stream, 3));
                  EXPECT_EQ("d", half.stream.read());
                  half.sockets.close_right();
                  EXPECT_EQ(0, rota_stream_peek(half.stream, &data, 2));
                  EXPECT_EQ(0, rota_stream_consume(half.stream, 0));
                  return 0;
              }));
}

TEST_P(StreamRead, PeekWaitsForEnoughOrTheEnd)
{
    EXPECT_EQ(0, run([] {
                  rota_stream_opts opts{};
                  opts.read_limit = 8;
                  Half half(&opts);
                  Tasks tasks;
                  tasks.spawn([&] {
                      const char *data = nullptr;
                      EXPECT_EQ(5, rota_stream_peek(half.stream, &data, 5));
                      EXPECT_EQ(5, rota_stream_peek(half.stream, &data, 6));
                      EXPECT_EQ("abcde", std::string(data, 5));
                      EXPECT_EQ(ROTA_ELIMIT, rota_stream_peek(half.stream, &data, 9));
                      return 0;
                  });
                  for (const char *text : {"ab", "cde"}) {
                      EXPECT_TRUE(eventually([&] { return streams::is_reading(half.stream); }));
                      put(half.peer(), text);
                      EXPECT_TRUE(eventually([&] { return half.is_read(); }));
                  }
                  EXPECT_TRUE(eventually([&] { return streams::is_reading(half.stream); }));
                  half.sockets.close_right();
                  tasks.join();
                  return 0;
              }));
}

/* A connection that waits for input owns no buffer. */
TEST_P(StreamRead, AnIdleStreamHoldsNoMemory)
{
    EXPECT_EQ(0, run([] {
                  Half half;
                  Tasks tasks;
                  tasks.spawn([&] {
                      const char *data;
                      EXPECT_EQ(1, rota_stream_peek(half.stream, &data, 1));
                      EXPECT_EQ(0, rota_stream_consume(half.stream, 1));
                      EXPECT_EQ(nullptr, half.stream->input.data);
                      return 0;
                  });
                  EXPECT_TRUE(eventually([&] { return streams::is_reading(half.stream); }));
                  EXPECT_EQ(nullptr, half.stream->input.data);
                  put(half.peer(), "x");
                  tasks.join();
                  EXPECT_LE(sizeof(rota_stream), 384U);
                  return 0;
              }));
}

/* ---- The end of the stream object ---- */

TEST_P(StreamRead, ACloseWakesTheReader)
{
    EXPECT_EQ(0, run([] {
                  for (bool backlog : {false, true}) {
                      Half half;
                      Tasks tasks;
                      tasks.spawn([&] {
                          EXPECT_EQ("ROTA_ECLOSED", half.stream.read());
                          return 0;
                      });
                      EXPECT_TRUE(eventually([&] { return streams::is_reading(half.stream); }));
                      if (backlog) {
                          EXPECT_EQ(0, rota_stream_set_limits(half.stream, SIZE_MAX - 1, 0));
                          EXPECT_EQ(3000000, half.stream.write(std::string(3000000, 'x')));
                          EXPECT_GT(rota_stream_unsent(half.stream), 0U);
                      }
                      rota_stream_close(half.stream);
                      tasks.join();
                      EXPECT_EQ(backlog ? 3000000U : 0U, half.taken_all().size());
                      EXPECT_EQ(0, rota_stream_wait_closed(half.stream));
                      EXPECT_EQ("ROTA_ECLOSED", half.stream.read());
                      EXPECT_EQ("ROTA_ECLOSED", half.stream.line());
                      EXPECT_EQ("ROTA_ECLOSED", half.stream.exactly(1));
                  }
                  return 0;
              }));
}

TEST_P(StreamRead, AResetEndsTheStreamWithItsError)
{
    EXPECT_EQ(0, run([] {
                  streams::Listener listener;
                  Stream stream(listener.addr());
                  EXPECT_EQ(0, stream.error());
                  int peer = listener.accepted();
                  Tasks tasks;
                  tasks.spawn([&] {
                      EXPECT_EQ("ECONNRESET", stream.read());
                      EXPECT_EQ("ECONNRESET", stream.read()) << "it stays";
                      return 0;
                  });
                  EXPECT_TRUE(eventually([&] { return streams::is_reading(stream); }));
                  streams::reset(peer);
                  tasks.join();
                  EXPECT_EQ(-ECONNRESET, rota_stream_wait_closed(stream));
                  EXPECT_EQ(-ECONNRESET, stream.write("x"));
                  EXPECT_EQ(-ECONNRESET, rota_stream_drain(stream));
                  EXPECT_TRUE(rota_stream_is_closing(stream));
                  EXPECT_EQ(ROTA_ECLOSED, rota_stream_fd(stream));
                  return 0;
              }));
}

TEST_P(StreamRead, AReaderMayOutliveAllOtherReferences)
{
    EXPECT_EQ(0, run([] {
                  for (int i = 0; i < 50; i++) {
                      Half half;
                      Tasks tasks;
                      rota_stream *stream = half.stream;
                      tasks.spawn([stream] {
                          char byte;
                          EXPECT_EQ(ROTA_ECLOSED, rota_stream_read(stream, &byte, 1));
                          return 0;
                      });
                      EXPECT_TRUE(eventually([&] { return streams::is_reading(stream); }));
                      half.stream.drop();
                      tasks.join();
                  }
                  return 0;
              }));
}

/* ---- Failing memory ---- */

TEST(StreamReadMemory, EveryAllocationMayFail)
{
    std::int64_t count = support::sweep_allocations([] {
        return loops::run(1, [] {
            support::SocketPair sockets;
            rota_stream *stream = nullptr;
            int r = rota_stream_from_fd(&stream, sockets.left(), nullptr);
            if (r < 0)
                return r;
            sockets.release_left();
            std::string text(40000, 'x');
            put(sockets.right(), text + "\n");
            std::string buffer(50000, '\0');
            ssize_t n = rota_stream_readline(stream, buffer.data(), buffer.size());
            EXPECT_TRUE(n == 40001 || n == -ENOMEM) << n;
            if (n < 0) {
                ssize_t held = rota_stream_buffered(stream);
                EXPECT_TRUE(held == 0 || held == 16384 || held == 32768) << held;
            }
            rota_stream_unref(stream);
            return n < 0 ? static_cast<int>(n) : 0;
        });
    });
    EXPECT_GT(count, 3);
}

} // namespace
