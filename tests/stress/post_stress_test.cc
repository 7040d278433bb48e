/* SPDX-License-Identifier: MIT */
/*
 * post_stress_test.cc - foreign threads that post while loops run, start and stop (A10, H51).
 */
#include <rota/error.h>
#include <rota/future.h>
#include <thread>

#include "tests/loop/run_loops.h"

namespace {

/* One post: who posted it, and its number there. */
struct Post {
    struct Thread *thread;
    std::int64_t number;
};

/* What one foreign thread has posted, and what of it has run; the loop's thread counts. */
struct Thread {
    std::vector<Post> posts;
    std::int64_t next = 0;
    std::int64_t disorders = 0;
};

int run_post(void *arg)
{
    auto *post = static_cast<Post *>(arg);
    post->thread->disorders += post->number != post->thread->next;
    post->thread->next = post->number + 1;
    return 0;
}

/* B-L11 at scale: 8 threads, 20,000 posts at scale 1, 1,000,000 at scale 50. */
TEST(PostStress, OrderIsKeptAndNoneIsLost)
{
    support::allow_seconds(280);
    std::int64_t per_thread = support::scale(20'000) / 8;
    std::vector<Thread> threads(8);
    EXPECT_EQ(0, loops::run(2, [&] {
                  rota_loop *loop = rota_loop_ref(rota_running_loop());
                  std::vector<std::thread> posters;
                  std::atomic<std::int64_t> refused{0};
                  for (Thread &thread : threads) {
                      thread.posts.resize(static_cast<std::size_t>(per_thread));
                      posters.emplace_back([&] {
                          for (std::int64_t i = 0; i < per_thread; i++) {
                              Post *post = &thread.posts[static_cast<std::size_t>(i)];
                              *post = {&thread, i};
                              refused += rota_call_soon_threadsafe(loop, nullptr, run_post, post,
                                                                   nullptr) != 0;
                          }
                      });
                  }
                  /* The posters are joined by a task of another loop's, or between two sleeps of
                   * this one. */
                  auto all_ran = [&] {
                      std::int64_t sum = 0;
                      for (Thread &thread : threads)
                          sum += thread.next;
                      return sum == 8 * per_thread;
                  };
                  rota_pin();
                  std::atomic<bool> posted{false};
                  std::thread joiner([&] {
                      for (auto &poster : posters)
                          poster.join();
                      posted = true;
                  });
                  while (!posted)
                      EXPECT_EQ(0, rota_sleep(ROTA_MS));
                  joiner.join();
                  /* Everything is in the inbox now: one callback behind it has all of it before
                   * itself. */
                  rota_future *behind = nullptr;
                  EXPECT_EQ(0, rota_future_create(&behind, nullptr));
                  EXPECT_EQ(0, rota_call_soon_threadsafe(
                                   loop, nullptr,
                                   [](void *future) {
                                       return rota_future_set_result(
                                           static_cast<rota_future *>(future), nullptr);
                                   },
                                   behind, nullptr));
                  EXPECT_EQ(0, rota_future_await(behind, nullptr));
                  rota_future_unref(behind);
                  EXPECT_EQ(0, refused);
                  EXPECT_TRUE(all_ran());
                  rota_unpin();
                  rota_loop_unref(loop);
                  return 0;
              }));
    for (Thread &thread : threads)
        EXPECT_EQ(0, thread.disorders);
}

/* Runtimes start and stop under posts: each post is run, or refused, or was queued at the close. */
TEST(PostStress, LoopsThatCloseRefuse)
{
    support::allow_seconds(280);
    for (std::int64_t round = 0; round < support::scale(5); round++) {
        std::atomic<rota_loop *> shared{nullptr};
        std::atomic<bool> end{false};
        std::atomic<std::int64_t> ran{0}, accepted{0}, refused{0};
        std::vector<std::thread> posters;
        for (int i = 0; i < 4; i++)
            posters.emplace_back([&] {
                rota_loop *loop;
                while ((loop = shared) == nullptr)
                    std::this_thread::yield();
                while (!end) {
                    int r = rota_call_soon_threadsafe(
                        loop, nullptr,
                        [](void *count) {
                            ++*static_cast<std::atomic<std::int64_t> *>(count);
                            return 0;
                        },
                        &ran, nullptr);
                    if (r == ROTA_ECLOSED)
                        refused++;
                    else
                        accepted += r == 0;
                }
            });
        EXPECT_EQ(0, loops::run(2, [&] {
                      shared = rota_loop_ref(rota_running_loop());
                      EXPECT_TRUE(loops::eventually([&] { return ran > 0; }));
                      return rota_sleep(5 * ROTA_MS);
                  }));
        EXPECT_TRUE(support::eventually([&] { return refused > 0; }, 20 * ROTA_SEC));
        end = true;
        for (auto &poster : posters)
            poster.join();
        EXPECT_GT(ran, 0);
        EXPECT_LE(ran, accepted);
        rota_loop_unref(shared);
    }
}

} // namespace
