/* SPDX-License-Identifier: MIT */
/*
 * io_loops_test.cc - descriptors of one loop, tasks on others; churn of slots and numbers (H54,
 * H55).
 */
#include "tests/loop/io_tasks.h"

#include <atomic>
#include <poll.h>
#include <set>
#include <thread>
#include <vector>

namespace {

using namespace io_tasks;

constexpr unsigned kLoops = 4;

/* Whatever the loop of a task at the moment, it may use any descriptor. */
TEST(IoLoops, TasksOnAnyLoopUseDescriptorsOfAnyLoop)
{
    std::set<struct rota_loop *> seen;
    EXPECT_EQ(0, run(kLoops, [&] {
                  constexpr unsigned pairs_count = 32;
                  const std::int64_t rounds = support::scale(300);
                  std::vector<std::unique_ptr<Pair>> pairs;
                  std::vector<std::unique_ptr<Task>> tasks;
                  std::vector<std::set<struct rota_loop *>> loops(pairs_count);
                  for (unsigned i = 0; i < pairs_count; i++)
                      pairs.push_back(std::make_unique<Pair>(loop_at(i), loop_at(i / kLoops)));
                  for (unsigned i = 0; i < pairs_count; i++) {
                      tasks.push_back(std::make_unique<Task>([&, i] {
                          for (std::string got; (got = pairs[i]->right.recv()) != "END";)
                              if (pairs[i]->right.send(got) != static_cast<ssize_t>(got.size()))
                                  return -EIO;
                          return 0;
                      }));
                      tasks.push_back(std::make_unique<Task>([&, i] {
                          for (std::int64_t round = 0; round < rounds; round++) {
                              std::string text = std::to_string(i) + ":" + std::to_string(round);
                              if (pairs[i]->left.send(text) != static_cast<ssize_t>(text.size()))
                                  return -EIO;
                              std::string got = pairs[i]->left.recv();
                              EXPECT_EQ(text, got);
                              loops[i].insert(rota_running_loop());
                          }
                          roti_io_close(pairs[i]->left);
                          return 0;
                      }));
                  }
                  for (auto &task : tasks)
                      EXPECT_EQ(0, task->join());
                  for (auto &set : loops)
                      seen.insert(set.begin(), set.end());
                  return 0;
              }));
    RecordProperty("loops_that_ran_tasks", static_cast<int>(seen.size()));
}

/* Slots and numbers are used again at once, while the pollers of other loops have entries of their
 * earlier lives. Nobody ever hears what was meant for another. */
TEST(IoLoops, H54SlotsAndNumbersServeAgainAtOnce)
{
    std::size_t live = roti_io_live();
    EXPECT_EQ(0, run(kLoops, [] {
                  std::vector<std::unique_ptr<Task>> tasks;
                  const std::int64_t rounds = support::scale(1000);
                  for (unsigned i = 0; i < 2 * kLoops; i++)
                      tasks.push_back(std::make_unique<Task>([i, rounds] {
                          for (std::int64_t round = 0; round < rounds; round++) {
                              Pair pair(loop_at(i), loop_at(i + static_cast<unsigned>(round)));
                              std::string text = std::to_string(i) + "/" + std::to_string(round);
                              Task reader([&] { return pair.right.recv() == text ? 0 : -EIO; });
                              if (round % 3 == 0 && rota_yield() < 0)
                                  return -ECANCELED;
                              if (pair.left.send(text) != static_cast<ssize_t>(text.size()))
                                  return -EIO;
                              if (reader.join() != 0)
                                  return -EIO;
                          }
                          return 0;
                      }));
                  for (auto &task : tasks)
                      EXPECT_EQ(0, task->join());
                  return 0;
              }));
    EXPECT_EQ(live, roti_io_live());
}

/* One task closes while another is anywhere in its receive: before the call, in it, or waiting. */
TEST(IoLoops, H55ClosingFromAnotherLoopEndsEveryReceive)
{
    EXPECT_EQ(0, run(kLoops, [] {
                  const std::int64_t rounds = support::scale(3000);
                  for (std::int64_t round = 0; round < rounds; round++) {
                      support::SocketPair sockets;
                      struct roti_io *io = nullptr;
                      auto loop = static_cast<unsigned>(round);
                      if (roti_io_open(&io, sockets.release_left(), loop_at(loop)) != 0)
                          return -EIO;
                      roti_io_ref(io);
                      Task reader([io] {
                          char buffer[4];
                          ssize_t r;
                          while ((r = roti_io_recv(io, buffer, sizeof buffer, 0)) > 0)
                              continue;
                          roti_io_unref(io);
                          return static_cast<int>(r);
                      });
                      Task writer([&sockets, round] {
                          std::string text(static_cast<std::size_t>(round % 9), 'x');
                          ssize_t r =
                              ::send(sockets.right(), text.data(), text.size(), MSG_NOSIGNAL);
                          return r < 0 && errno != EPIPE ? -EIO : 0;
                      });
                      for (std::int64_t i = 0; i < round % 4; i++)
                          if (rota_yield() < 0)
                              return -ECANCELED;
                      roti_io_close(io);
                      roti_io_unref(io);
                      EXPECT_EQ(ROTA_ECLOSED, reader.join());
                      EXPECT_EQ(0, writer.join());
                  }
                  return 0;
              }));
}

/* A loop that its poller wakes is awake before it hands on what has come: nobody is woken for one
 * task that it runs itself, itself least of all. */
TEST(IoLoops, OneReadyTaskWakesNobody)
{
    ROTA_NOT_WHEN_TASKS_MOVE("each resume is a post to another loop");
    EXPECT_EQ(0, run(2, [] {
                  const int rounds = 200;
                  support::SocketPair sockets;
                  Io io(sockets.release_left());
                  std::thread client([&] {
                      char byte = 'x';
                      pollfd readable = {sockets.right(), POLLIN, 0};
                      for (int i = 0; i < rounds; i++) {
                          EXPECT_EQ(1, send(sockets.right(), &byte, 1, MSG_NOSIGNAL));
                          EXPECT_EQ(1, poll(&readable, 1, -1));
                          EXPECT_EQ(1, recv(sockets.right(), &byte, 1, 0));
                      }
                  });
                  std::uint64_t before = loops::total(rota_running_runtime()).wakes_sent;
                  for (int i = 0; i < rounds; i++)
                      EXPECT_TRUE(io.recv(1) == "x" && io.send("x") == 1);
                  EXPECT_LE(loops::total(rota_running_runtime()).wakes_sent - before, 20U);
                  client.join();
                  return 0;
              }));
}

/* The child of a fork has none of the parent's descriptors, and opens its own in slots of its own.
 * It runs one loop: ThreadSanitizer lets it start no thread. */
TEST(IoLoops, TheChildOfAForkStartsAnew)
{
    auto talk = [] {
        Pair pair;
        return pair.left.send("abc") == 3 && pair.right.recv() == "abc" ? 0 : -EIO;
    };
    EXPECT_EQ(0, run(2, [&] {
                  Pair pair;
                  support::in_child([&] {
                      return roti_io_live() != 0 || run(1, talk) != 0 || roti_io_live() != 0;
                  });
                  EXPECT_EQ(3, pair.left.send("abc")) << "and the parent has lost nothing";
                  EXPECT_EQ("abc", pair.right.recv());
                  return 0;
              }));
}

} // namespace
