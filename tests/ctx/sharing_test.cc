/* SPDX-License-Identifier: MIT */
/*
 * sharing_test.cc - H52: threads that copy, change, hand over and drop maps of one origin. Each
 * value is retained and released equally often, and no copy ever sees another's write.
 */
#include "tests/ctx/fixtures.h"

#include <deque>
#include <mutex>
#include <random>

namespace {

using namespace ctx_test;

/* Contexts on their way from one thread to another, and what they must hold. */
struct Parcel {
    roti_context_ref ref = {};
    std::vector<void *> values;
};

class Post {
public:
    void put(Parcel parcel)
    {
        std::lock_guard guard(mutex_);
        parcels_.push_back(std::move(parcel));
    }
    bool take(Parcel *parcel)
    {
        std::lock_guard guard(mutex_);
        if (parcels_.empty())
            return false;
        *parcel = std::move(parcels_.front());
        parcels_.pop_front();
        return true;
    }

private:
    std::mutex mutex_;
    std::deque<Parcel> parcels_;
};

class SharingTest : public testing::TestWithParam<int> {
protected:
    static void SetUpTestSuite()
    {
        support::at_test_end(park);
    }
};

TEST_P(SharingTest, EveryRetainIsReleasedAndCopiesKeepTheirValues)
{
    const int var_count = GetParam();
    constexpr int thread_count = 3;
    std::vector<std::unique_ptr<Counted>> values;
    for (int i = 0; i < 20; i++)
        values.push_back(std::make_unique<Counted>());
    rota_context_var_opts opts = counted_opts();
    std::vector<Var> vars;
    for (int i = 0; i < var_count; i++)
        vars.emplace_back("v", opts);
    Post post;
    std::atomic<int> wrong{0};

    auto check = [&](const std::vector<void *> &expected) {
        for (int i = 0; i < var_count; i++) {
            std::size_t at = static_cast<std::size_t>(i);
            wrong += rota_context_var_get_or(vars[at], nullptr) != expected[at];
        }
    };
    auto work = [&](int number) {
        std::mt19937 random(static_cast<unsigned>(number));
        roti_thread *self = roti_thread_self();
        if (number % 2 == 1)
            self->worker = reinterpret_cast<roti_worker *>(&post); /* behaves as a loop */
        std::vector<void *> mine(static_cast<std::size_t>(var_count));
        std::int64_t rounds = support::scale(20'000);
        for (std::int64_t round = 0; round < rounds; round++) {
            Parcel parcel;
            if (random() % 2 == 0) {
                parcel.ref = roti_context_capture(nullptr);
                parcel.values = mine;
                post.put(std::move(parcel));
            } else if (post.take(&parcel)) {
                roti_context_slot saved;
                wrong += roti_context_enter(&parcel.ref, self, &saved) != 0;
                if (random() % 8 == 0)
                    check(parcel.values);
                std::size_t at = random() % vars.size();
                void *value = values[random() % values.size()].get();
                wrong += rota_context_var_set(vars[at], value, nullptr) != 0;
                parcel.values[at] = value;
                roti_context_exit(&parcel.ref, &saved);
                if (random() % 4 == 0)
                    post.put(std::move(parcel));
                else
                    roti_context_ref_release(&parcel.ref);
            }
            if (random() % 8 == 0) {
                std::size_t at = random() % vars.size();
                mine[at] = values[random() % values.size()].get();
                wrong += rota_context_var_set(vars[at], mine[at], nullptr) != 0;
            }
            if (random() % 64 == 0)
                roti_context_park(self);
        }
        check(mine);
        self->worker = nullptr;
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < thread_count; i++)
        threads.emplace_back(work, i);
    for (std::thread &thread : threads)
        thread.join();
    Parcel parcel;
    while (post.take(&parcel)) {
        roti_context_slot saved;
        EXPECT_EQ(0, roti_context_enter(&parcel.ref, &post, &saved));
        check(parcel.values);
        roti_context_exit(&parcel.ref, &saved);
        roti_context_ref_release(&parcel.ref);
    }
    park();
    EXPECT_EQ(0, wrong);
    std::int64_t retained = 0;
    for (auto &value : values) {
        EXPECT_EQ(0, value->held());
        retained += value->retained;
    }
    EXPECT_GT(retained, 0);
}

INSTANTIATE_TEST_SUITE_P(Vars, SharingTest, testing::Values(1, 10, 100));

class ObjectSharingTest : public CtxTest {};

/* One object entered by several threads: one at a time is inside. */
TEST_F(ObjectSharingTest, ObjectsAreEnteredByOneAtATime)
{
    Var var;
    Context context;
    std::atomic<int> inside{0}, wrong{0};
    std::atomic<std::int64_t> entered{0};
    auto work = [&] {
        std::int64_t rounds = support::scale(20'000);
        for (std::int64_t i = 0; i < rounds; i++) {
            Context mine(rota_context_ref(context));
            int r = mine.run([&] {
                wrong += inside++ != 0;
                void *value = rota_context_var_get_or(var, nullptr);
                void *next = val(reinterpret_cast<std::intptr_t>(value) + 1);
                wrong += rota_context_var_set(var, next, nullptr) != 0;
                inside--;
                return 0;
            });
            wrong += r != 0 && r != -EBUSY;
            entered += r == 0;
        }
    };
    std::thread one(work), two(work);
    one.join();
    two.join();
    EXPECT_EQ(0, wrong);
    EXPECT_GT(entered, 0);
    EXPECT_EQ(val(entered), context.at(var)); /* no entry lost another's write */
}

} // namespace
