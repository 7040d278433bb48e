/* SPDX-License-Identifier: MIT */
/*
 * post_storm_test.cc - foreign threads that post while whole runtimes start and stop (A10, H51).
 */
#include <rota/error.h>

#include <array>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "tests/loop/failing_calls.h"
#include "tests/loop/run_loops.h"
#include "tests/support/splitmix.h"

namespace {

constexpr std::size_t THREADS = 8;
constexpr std::size_t LOOPS = 3;
constexpr std::size_t POSTS = 20'000; /* by one thread to one loop of one runtime, at most */

/* How far a thread posts ahead before it lets others go on, in every other runtime: so that loops
 * always have something to do, or sleep often. */
constexpr std::size_t FAR_AHEAD = 512;
constexpr std::size_t LITTLE_AHEAD = 16;

struct Stream;

struct Post {
    Stream *stream = nullptr;
    std::size_t number = 0;
};

/* What one thread posts to one loop. `ran` and `wrong` are written by the loop's thread. */
struct Stream {
    std::vector<Post> posts = std::vector<Post>(POSTS);
    std::size_t accepted = 0;
    bool refused = false;
    std::atomic<std::size_t> ran = 0;
    std::size_t wrong = 0; /* twice, or before another that was posted earlier */

    static int run(void *arg)
    {
        auto *post = static_cast<Post *>(arg);
        std::size_t ran = post->stream->ran.load(std::memory_order_relaxed);
        post->stream->wrong += post->number != ran;
        post->stream->ran.store(ran + 1, std::memory_order_relaxed);
        return 0;
    }
    /* One more. False once the loop has refused, or there were enough. */
    bool post(rota_loop *loop, std::size_t ahead)
    {
        if (refused || accepted == POSTS)
            return false;
        if (accepted - ran.load(std::memory_order_relaxed) > ahead)
            std::this_thread::yield();
        posts[accepted] = {this, accepted};
        int r = rota_call_soon_threadsafe(loop, nullptr, run, &posts[accepted], nullptr);
        EXPECT_TRUE(r == 0 || r == ROTA_ECLOSED) << r;
        refused = r != 0;
        accepted += r == 0;
        return !refused;
    }
};

/* One runtime after the other: who is in which, and what was posted there. */
class Storm {
public:
    struct Sums {
        std::size_t runtimes = 0, accepted = 0, ran = 0, refused = 0;
        std::size_t loaded = 0, loaded_wakes = 0; /* accepted by loops that were loaded */
    };

    /* Until so many posts have run. */
    Sums play(std::size_t count)
    {
        std::vector<std::thread> posters;
        for (std::size_t i = 0; i < THREADS; i++)
            posters.emplace_back([this, i] { post_all(i); });
        while (sums_.ran < count)
            run_once();
        lead({});
        for (std::thread &poster : posters)
            poster.join();
        return sums_;
    }

private:
    using Loops = std::array<rota_loop *, LOOPS>;

    /* Lets all posters go to these loops; none: to their end. */
    void lead(const Loops &loops)
    {
        std::lock_guard lock(mutex_);
        loops_ = loops;
        round_++;
        posting_ = THREADS;
        changed_.notify_all();
    }

    void run_once()
    {
        Loops loops{};
        std::size_t wakes;
        std::size_t lifetime = splitmix_below(&seed_, 2 * POSTS);
        {
            failing::Count calls; /* write(2) is how a loop that sleeps is woken */
            EXPECT_EQ(0, loops::run(LOOPS, [&] {
                          for (unsigned i = 0; i < LOOPS; i++)
                              loops[i] =
                                  rota_loop_ref(rota_runtime_loop(rota_running_runtime(), i));
                          lead(loops);
                          return wait_for_posts(lifetime);
                      }));
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return posting_ == 0; });
            wakes = static_cast<std::size_t>(calls.count(ROTI_SYSCALL_write));
        }
        for (rota_loop *loop : loops)
            rota_loop_unref(loop);
        account(wakes);
    }

    /* In a task: until so many posts have run, or no more are made. */
    int wait_for_posts(std::size_t lifetime)
    {
        auto ran = [this] {
            std::size_t sum = 0;
            for (auto &of_thread : streams_)
                for (Stream &stream : of_thread)
                    sum += stream.ran;
            return sum;
        };
        EXPECT_TRUE(loops::eventually([&] { return ran() >= lifetime || posting_ == 0; }));
        return 0;
    }

    void account(std::size_t wakes)
    {
        std::size_t accepted = 0;
        sums_.runtimes++;
        for (auto &of_thread : streams_)
            for (Stream &stream : of_thread) {
                EXPECT_EQ(0u, stream.wrong);
                EXPECT_LE(stream.ran, stream.accepted);
                accepted += stream.accepted;
                sums_.ran += stream.ran;
                sums_.refused += stream.refused;
                stream.ran = stream.accepted = stream.wrong = 0;
                stream.refused = false;
            }
        sums_.accepted += accepted;
        if (round_ % 2 == 0) {
            sums_.loaded += accepted;
            sums_.loaded_wakes += wakes;
        }
    }

    /* One poster: to each loop of each runtime, until it refuses or it was enough. */
    void post_all(std::size_t index)
    {
        for (unsigned round = 1;; round++) {
            Loops loops;
            std::size_t ahead = round % 2 == 0 ? FAR_AHEAD : LITTLE_AHEAD;
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [&] { return round_ == round; });
                loops = loops_;
            }
            if (loops[0] == nullptr)
                return;
            std::size_t open;
            do {
                open = 0;
                for (std::size_t i = 0; i < LOOPS; i++)
                    open += streams_[index][i].post(loops[i], ahead);
            } while (open > 0);
            std::lock_guard lock(mutex_);
            posting_--;
            changed_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    Loops loops_{};                       /* under mutex_ */
    unsigned round_ = 0;                  /* under mutex_ */
    std::atomic<std::size_t> posting_{0}; /* threads that have not done with this runtime */
    std::array<std::array<Stream, LOOPS>, THREADS> streams_;
    std::uint64_t seed_ = 1;
    Sums sums_;
};

/* A10: 200,000 posts at scale 1. */
TEST(PostStorm, EachRunsOnceAndInOrderOrIsRefused)
{
    support::allow_seconds(3000);
    auto storm = std::make_unique<Storm>();
    Storm::Sums sums = storm->play(static_cast<std::size_t>(support::scale(200'000)));
    std::printf("figures: %zu posts to %zu runtimes, %zu run, %zu dropped at the close, "
                "%zu refused; under load %zu posts, %zu eventfd writes\n",
                sums.accepted, sums.runtimes, sums.ran, sums.accepted - sums.ran, sums.refused,
                sums.loaded, sums.loaded_wakes);
    if (support::scale(1) >= 100) {
        EXPECT_LE(sums.loaded_wakes, sums.loaded / 10);
    }
}

} // namespace
