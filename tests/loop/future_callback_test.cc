/* SPDX-License-Identifier: MIT */
/*
 * future_callback_test.cc - done-callbacks of futures (S6, S25, B-F03, B-F04).
 */
#include <rota/future.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

#include "loop/handle.h"
#include "loop/loop_impl.h"
#include "tests/loop/future_ref.h"
#include "tests/loop/run_loops.h"

namespace {

using loops::eventually;
using Letter = loops::DoneLetter;
using Ref = loops::FutureRef;

class FutureCallback : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(FutureCallback);

TEST_P(FutureCallback, BF03_CallbacksComeLaterInOrderOnTheirLoop)
{
    std::string log;
    Letter a{'a', &log}, b{'b', &log}, c{'c', &log};
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  Ref future;
                  for (Letter *letter : {&a, &b, &c})
                      EXPECT_EQ(
                          0, rota_future_add_done_callback(future, Letter::call, letter, nullptr));
                  EXPECT_EQ(0, rota_future_set_result(future, nullptr));
                  EXPECT_EQ("", log);
                  EXPECT_TRUE(eventually([&] { return log.size() == 3; }));
                  for (Letter *letter : {&a, &b, &c}) {
                      EXPECT_EQ(future, letter->told);
                      EXPECT_EQ(rota_running_loop(), letter->on);
                  }
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ("abc", log);
}

TEST_P(FutureCallback, BF04_ADoneFutureCallsAtTheNextPass)
{
    std::string log;
    Letter a{'a', &log};
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  Ref future;
                  EXPECT_EQ(1, rota_future_cancel(future));
                  EXPECT_EQ(0, rota_future_add_done_callback(future, Letter::call, &a, nullptr));
                  EXPECT_EQ("", log);
                  future.drop(); /* the callback has a reference of its own */
                  EXPECT_TRUE(eventually([&] { return log.size() == 1; }));
                  rota_unpin();
                  return 0;
              }));
}

TEST_P(FutureCallback, S6_TheSameMayBeAddedTwiceAndAllAreRemoved)
{
    std::string log;
    Letter a{'a', &log}, b{'b', &log};
    EXPECT_EQ(
        0, run([&] {
            rota_pin();
            Ref future;
            for (Letter *letter : {&a, &b, &a, &b, &a})
                EXPECT_EQ(0, rota_future_add_done_callback(future, Letter::call, letter, nullptr));
            EXPECT_EQ(3, rota_future_remove_done_callback(future, Letter::call, &a));
            EXPECT_EQ(0, rota_future_remove_done_callback(future, Letter::call, &a));
            EXPECT_EQ(0, rota_future_set_result(future, nullptr));
            EXPECT_EQ(0, rota_future_remove_done_callback(future, Letter::call, &b)); /* queued */
            EXPECT_TRUE(eventually([&] { return log.size() == 2; }));
            rota_unpin();
            return 0;
        }));
    EXPECT_EQ("bb", log);
}

TEST_P(FutureCallback, S6_AFailingCallbackIsReportedAndTheOthersRun)
{
    std::string log;
    loops::Reports reports;
    rota_run_opts opts = {};
    opts.exception_handler = loops::Reports::collect;
    opts.exception_arg = &reports;
    Letter a{'a', &log, nullptr, nullptr, -EPIPE}, b{'b', &log};
    rota_future *told = nullptr;
    EXPECT_EQ(0, run(
                     [&] {
                         rota_pin();
                         Ref future;
                         told = future;
                         for (Letter *letter : {&a, &b})
                             EXPECT_EQ(0, rota_future_add_done_callback(future, Letter::call,
                                                                        letter, nullptr));
                         EXPECT_EQ(0, rota_future_set_result(future, nullptr));
                         EXPECT_TRUE(eventually([&] { return log.size() == 2; }));
                         rota_unpin();
                         return 0;
                     },
                     opts));
    ASSERT_EQ(1U, reports.count());
    EXPECT_EQ("a callback failed", reports.list[0].message);
    EXPECT_EQ(-EPIPE, reports.list[0].error);
    EXPECT_EQ(told, reports.list[0].future);
    EXPECT_EQ(&a, reports.list[0].arg);
}

TEST(FutureCallbackMany, D11_CallbacksRunOnTheLoopOnWhichTheyWereAdded)
{
    constexpr unsigned count = 4;
    std::string logs[count];
    EXPECT_EQ(
        0, loops::run(count, [&] {
            Ref future;
            rota_runtime *runtime = rota_running_runtime();
            std::vector<Letter> letters;
            std::vector<loops::Body> bodies;
            std::atomic<int> added{0};
            for (unsigned i = 0; i < count; i++)
                letters.push_back({static_cast<char>('0' + i), &logs[i]});
            for (unsigned i = 0; i < count; i++)
                bodies.push_back([&, i] {
                    for (int n = 0; n < 3; n++)
                        EXPECT_EQ(0, rota_future_add_done_callback(future, Letter::call,
                                                                   &letters[i], nullptr));
                    added++;
                    return 0;
                });
            for (unsigned i = 0; i < count; i++)
                EXPECT_EQ(0, rota_call_soon_threadsafe(rota_runtime_loop(runtime, i), nullptr,
                                                       loops::call_body, &bodies[i], nullptr));
            EXPECT_TRUE(eventually([&] { return added == count; }));
            std::thread([&] { EXPECT_EQ(0, rota_future_set_result(future, nullptr)); }).join();
            for (unsigned i = 0; i < count; i++) {
                /* Asked on that loop, behind the callbacks. */
                std::atomic<bool> asked{false};
                loops::Body ask = [&] {
                    EXPECT_EQ(std::string(3, static_cast<char>('0' + i)), logs[i]);
                    EXPECT_EQ(rota_runtime_loop(runtime, i), letters[i].on);
                    asked = true;
                    return 0;
                };
                EXPECT_EQ(0, rota_call_soon_threadsafe(rota_runtime_loop(runtime, i), nullptr,
                                                       loops::call_body, &ask, nullptr));
                EXPECT_TRUE(eventually([&] { return asked.load(); }));
            }
            return 0;
        }));
}

TEST_P(FutureCallback, S6_OrderHoldsWhileAnotherThreadCompletes)
{
    /* Callbacks are added on one loop while another thread completes: none overtakes. */
    struct Step {
        int number;
        int *next;
        static int call(rota_future *, void *arg)
        {
            auto *self = static_cast<Step *>(arg);
            EXPECT_EQ(*self->next, self->number);
            ++*self->next;
            return 0;
        }
    };
    constexpr int count = 3000;
    EXPECT_EQ(
        0, run([&] {
            rota_pin();
            for (int round = 0; round < 5; round++) {
                Ref future;
                int next = 0;
                std::vector<Step> steps;
                for (int n = 0; n < count; n++)
                    steps.push_back({n, &next});
                for (int n = 0; n < count / 2; n++)
                    EXPECT_EQ(
                        0, rota_future_add_done_callback(future, Step::call, &steps[n], nullptr));
                std::thread setter([&] { EXPECT_EQ(0, rota_future_set_result(future, nullptr)); });
                while (!rota_future_done(future))
                    continue;
                /* It is done, and half of the callbacks are on their way. */
                for (int n = count / 2; n < count; n++)
                    EXPECT_EQ(
                        0, rota_future_add_done_callback(future, Step::call, &steps[n], nullptr));
                setter.join();
                EXPECT_TRUE(eventually([&] { return next == count; }));
            }
            rota_unpin();
            return 0;
        }));
}

TEST_P(FutureCallback, S6_RunsInTheContextOfTheAdder)
{
    rota_context_var *colour = nullptr;
    ASSERT_EQ(0, rota_context_var_create(&colour, "colour", nullptr));
    static rota_context_var *shared;
    shared = colour;
    std::string seen;
    auto call = [](rota_future *, void *arg) {
        *static_cast<std::string *>(arg) =
            static_cast<const char *>(rota_context_var_get_or(shared, const_cast<char *>("none")));
        return 0;
    };
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  Ref future;
                  char red[] = "red", blue[] = "blue";
                  EXPECT_EQ(0, rota_context_var_set(colour, red, nullptr));
                  EXPECT_EQ(0, rota_future_add_done_callback(future, call, &seen, nullptr));
                  EXPECT_EQ(0, rota_context_var_set(colour, blue, nullptr));
                  EXPECT_EQ(0, rota_future_set_result(
                                   future, nullptr)); /* the setter's context is not used */
                  EXPECT_TRUE(eventually([&] { return !seen.empty(); }));
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ("red", seen);
    rota_context_var_unref(colour);
}

TEST_P(FutureCallback, CallbacksOfALoopThatCloses)
{
    /* Completed after the run by who kept a reference: the callbacks are dropped, nothing leaks. */
    std::string log;
    Letter a{'a', &log};
    rota_future *kept = nullptr;
    std::size_t before = roti_slots_used(&roti_handle_slots);
    EXPECT_EQ(0, run([&] {
                  Ref future;
                  kept = rota_future_ref(future);
                  return rota_future_add_done_callback(future, Letter::call, &a, nullptr);
              }));
    EXPECT_EQ(0, rota_future_set_result(kept, nullptr));
    EXPECT_EQ(0, rota_future_wait(kept, 0, nullptr));
    rota_future_unref(kept);
    roti_slots_drain(&roti_handle_slots, &roti_thread_self()->handles);
    EXPECT_GE(before, roti_slots_used(&roti_handle_slots));
    EXPECT_EQ("", log);
}

TEST_P(FutureCallback, A12_CompletionNeedsNoMemory)
{
    std::string log;
    std::vector<Letter> letters(100, Letter{'x', &log});
    rota_run_opts opts{};
    opts.no_signals = true; /* the reader of signals starts beside us, and allocates */
    loops::Body body = [&] {
        rota_pin();
        Ref future;
        loops::Tasks tasks;
        for (Letter &letter : letters)
            EXPECT_EQ(0, rota_future_add_done_callback(future, Letter::call, &letter, nullptr));
        tasks.spawn([&] { return rota_future_await(future, nullptr); });
        tasks.settle();
        {
            support::AllocationFailure failure(0, support::Failing::all);
            EXPECT_EQ(0, rota_future_set_result(future, nullptr));
            EXPECT_FALSE(failure.happened());
        }
        EXPECT_TRUE(eventually([&] { return log.size() == 100; }));
        EXPECT_EQ(0, tasks.join()[0]);
        rota_unpin();
        return 0;
    };
    EXPECT_EQ(0, run(body, opts));
}

} // namespace
