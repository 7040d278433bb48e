/* SPDX-License-Identifier: MIT */
/*
 * timeout_test.cc - scopes of time: expiry, nesting, rescheduling, whose request it was (B-W06,
 * B-W08, B-W09, H43, H45).
 */
#include <rota/future.h>
#include <rota/timeout.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "loop/loop_impl.h"
#include "tests/loop/run_loops.h"

namespace {

class Timeout : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(Timeout);

/* Requests of the current task, and whether one is yet to be delivered. */
int requests()
{
    return rota_task_cancelling(rota_current_task());
}

TEST_P(Timeout, ASleepThatIsTooLongTimesOut)
{
    EXPECT_EQ(0, run([&] {
                  rota_timeout timeout = {};
                  EXPECT_EQ(ROTA_TIMEOUT_CREATED, rota_timeout_get_state(&timeout));
                  std::int64_t start_ns = rota_time_ns();
                  EXPECT_EQ(0, rota_timeout_begin(&timeout, 100 * ROTA_MS));
                  EXPECT_EQ(ROTA_TIMEOUT_ACTIVE, rota_timeout_get_state(&timeout));
                  EXPECT_FALSE(rota_timeout_expired(&timeout));
                  EXPECT_GE(rota_timeout_when(&timeout), start_ns + 100 * ROTA_MS);
                  int r = rota_sleep(60 * ROTA_SEC);
                  EXPECT_EQ(-ECANCELED, r);
                  EXPECT_GE(rota_time_ns(), rota_timeout_when(&timeout));
                  EXPECT_EQ(ROTA_TIMEOUT_EXPIRING, rota_timeout_get_state(&timeout));
                  EXPECT_TRUE(rota_timeout_expired(&timeout));
                  EXPECT_EQ(1, requests());
                  EXPECT_EQ(-ETIMEDOUT, rota_timeout_end(&timeout, r));
                  EXPECT_EQ(ROTA_TIMEOUT_EXPIRED, rota_timeout_get_state(&timeout));
                  EXPECT_TRUE(rota_timeout_expired(&timeout));
                  EXPECT_EQ(0, requests());
                  return rota_yield(); /* nothing is left to be delivered */
              }));
}

TEST_P(Timeout, WhatIsInTimePassesThrough)
{
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  const roti_wheel &wheel = rota_running_loop()->timers.wheel;
                  std::size_t before = wheel.count;
                  for (int status : {0, 7, -EIO, -ECANCELED}) {
                      rota_timeout timeout = {};
                      EXPECT_EQ(0, rota_timeout_begin(&timeout, 60 * ROTA_SEC));
                      EXPECT_EQ(before + 1, wheel.count);
                      EXPECT_EQ(0, rota_yield());
                      EXPECT_EQ(status, rota_timeout_end(&timeout, status));
                      EXPECT_EQ(ROTA_TIMEOUT_FINISHED, rota_timeout_get_state(&timeout));
                      EXPECT_FALSE(rota_timeout_expired(&timeout));
                      EXPECT_EQ(before, wheel.count);
                  }
                  rota_unpin();
                  return 0;
              }));
}

TEST_P(Timeout, BW06_ZeroRunsUpToTheFirstSuspension)
{
    EXPECT_EQ(0, run([&] {
                  for (std::int64_t delay : {INT64_C(0), INT64_C(-1), INT64_MIN}) {
                      rota_timeout timeout = {};
                      EXPECT_EQ(0, rota_timeout_begin(&timeout, delay));
                      EXPECT_EQ(-ETIMEDOUT, rota_timeout_end(&timeout, rota_sleep(0)));
                      EXPECT_TRUE(rota_timeout_expired(&timeout));
                      EXPECT_EQ(0, requests());
                  }
                  rota_timeout timeout = {};
                  EXPECT_EQ(0, rota_timeout_begin_at(&timeout, 1));
                  EXPECT_EQ(5, rota_timeout_end(&timeout, 5)); /* it never suspended: no time-out */
                  EXPECT_TRUE(rota_timeout_expired(&timeout));
                  EXPECT_EQ(0, requests());
                  return rota_yield();
              }));
}

TEST_P(Timeout, BW08_AForeignCancelIsNoTimeout)
{
    EXPECT_EQ(0, run([&] {
                  loops::Tasks tasks;
                  std::atomic<bool> expired{true};
                  rota_task *task = tasks.spawn([&] {
                      rota_timeout timeout = {};
                      EXPECT_EQ(0, rota_timeout_begin(&timeout, 1000 * ROTA_SEC));
                      int r = rota_timeout_end(&timeout, rota_sleep(2000 * ROTA_SEC));
                      expired = rota_timeout_expired(&timeout);
                      EXPECT_EQ(1, requests());
                      return r;
                  });
                  tasks.settle();
                  EXPECT_EQ(1, rota_task_cancel(task));
                  EXPECT_EQ(-ECANCELED, tasks.join()[0]);
                  EXPECT_FALSE(expired);
                  return 0;
              }));
}

TEST_P(Timeout, BW09_StatesAreChecked)
{
    EXPECT_EQ(
        0, run([&] {
            rota_timeout timeout = {};
            EXPECT_EQ(ROTA_ESTATE, rota_timeout_reschedule(&timeout, ROTA_NEVER)); /* not begun */
            EXPECT_EQ(ROTA_TIMEOUT_CREATED, rota_timeout_get_state(&timeout));
            EXPECT_EQ(ROTA_ESTATE, rota_timeout_end(&timeout, 0));
            EXPECT_EQ(0, rota_timeout_begin(&timeout, ROTA_MS));
            EXPECT_EQ(ROTA_ESTATE, rota_timeout_begin(&timeout, ROTA_MS)); /* active */
            EXPECT_EQ(-ECANCELED, rota_sleep(60 * ROTA_SEC));
            EXPECT_EQ(ROTA_ESTATE, rota_timeout_reschedule(&timeout, ROTA_NEVER)); /* expiring */
            EXPECT_EQ(ROTA_TIMEOUT_EXPIRING, rota_timeout_get_state(&timeout));
            EXPECT_EQ(-ETIMEDOUT, rota_timeout_end(&timeout, -ECANCELED));
            EXPECT_EQ(ROTA_ESTATE, rota_timeout_reschedule(&timeout, ROTA_NEVER)); /* ended */
            EXPECT_EQ(ROTA_TIMEOUT_EXPIRED, rota_timeout_get_state(&timeout));
            EXPECT_EQ(ROTA_ESTATE, rota_timeout_end(&timeout, 0));
            EXPECT_EQ(0, rota_timeout_begin(&timeout, ROTA_SEC)); /* it may be begun anew */
            EXPECT_EQ(3, rota_timeout_end(&timeout, 3));
            EXPECT_EQ(-EINVAL, rota_timeout_begin(nullptr, 0));
            EXPECT_EQ(-EINVAL, rota_timeout_begin_at(nullptr, 0));
            EXPECT_EQ(-EINVAL, rota_timeout_end(nullptr, 0));
            EXPECT_EQ(-EINVAL, rota_timeout_reschedule(nullptr, 0));
            EXPECT_EQ(-EINVAL, rota_timeout_get_state(nullptr));
            EXPECT_EQ(0, rota_timeout_when(nullptr));
            EXPECT_FALSE(rota_timeout_expired(nullptr));
            return 0;
        }));
    rota_timeout timeout = {};
    EXPECT_EQ(ROTA_ENOTASK, rota_timeout_begin(&timeout, ROTA_SEC));
    EXPECT_EQ(ROTA_ENOTASK, rota_timeout_begin_at(&timeout, ROTA_SEC));
    EXPECT_EQ(ROTA_ESTATE, rota_timeout_end(&timeout, 0));
}

TEST_P(Timeout, ScopesEndInnermostFirstInTheirOwnTask)
{
    EXPECT_EQ(0, run([&] {
                  rota_timeout outer = {}, inner = {};
                  EXPECT_EQ(0, rota_timeout_begin(&outer, 1000 * ROTA_SEC));
                  EXPECT_EQ(0, rota_timeout_begin(&inner, 1000 * ROTA_SEC));
                  EXPECT_EQ(ROTA_ESTATE, rota_timeout_end(&outer, 0));
                  EXPECT_EQ(0, rota_timeout_reschedule(&outer, rota_time_ns() + 2000 * ROTA_SEC));
                  loops::Tasks tasks;
                  tasks.spawn([&] {
                      EXPECT_EQ(ROTA_ESTATE, rota_timeout_end(&inner, 0));
                      EXPECT_EQ(ROTA_ESTATE, rota_timeout_reschedule(&inner, 0));
                      return 0;
                  });
                  EXPECT_EQ(0, tasks.join()[0]);
                  EXPECT_EQ(1, rota_timeout_end(&inner, 1));
                  EXPECT_EQ(2, rota_timeout_end(&outer, 2));
                  return 0;
              }));
}

/* ---- Rescheduling ---- */

TEST_P(Timeout, RescheduledLaterEarlierNeverAndPast)
{
    EXPECT_EQ(0, run([&] {
                  rota_timeout timeout = {};
                  EXPECT_EQ(0, rota_timeout_begin(&timeout, 500 * ROTA_MS));
                  EXPECT_EQ(0, rota_timeout_reschedule(&timeout, ROTA_NEVER));
                  EXPECT_EQ(ROTA_NEVER, rota_timeout_when(&timeout));
                  EXPECT_EQ(0, rota_sleep(5 * ROTA_MS));
                  std::int64_t when_ns = rota_time_ns() + 5 * ROTA_MS;
                  EXPECT_EQ(0, rota_timeout_reschedule(&timeout, when_ns));
                  EXPECT_EQ(when_ns, rota_timeout_when(&timeout));
                  EXPECT_EQ(-ECANCELED, rota_sleep(60 * ROTA_SEC));
                  EXPECT_GE(rota_time_ns(), when_ns);
                  EXPECT_EQ(-ETIMEDOUT, rota_timeout_end(&timeout, -ECANCELED));

                  EXPECT_EQ(0, rota_timeout_begin(&timeout, 60 * ROTA_SEC));
                  EXPECT_EQ(0, rota_sleep(0));
                  EXPECT_EQ(0, rota_timeout_reschedule(&timeout, rota_time_ns() - 1));
                  EXPECT_TRUE(rota_timeout_expired(&timeout));
                  EXPECT_EQ(ROTA_ESTATE, rota_timeout_reschedule(&timeout, ROTA_NEVER));
                  EXPECT_EQ(-ETIMEDOUT, rota_timeout_end(&timeout, rota_sleep(0)));
                  return rota_yield();
              }));
}

TEST_P(Timeout, AScopeGoesWithItsTask)
{
    /* The timer stays where it was armed; the task leaves the scope from wherever it is. */
    EXPECT_EQ(0, run([&] {
                  loops::Tasks tasks;
                  for (int t = 0; t < 16; t++)
                      tasks.spawn([&] {
                          for (int i = 0; i < 100; i++) {
                              rota_timeout timeout = {};
                              EXPECT_EQ(0, rota_timeout_begin(&timeout, 60 * ROTA_SEC));
                              int r = rota_yield();
                              EXPECT_EQ(0, rota_timeout_reschedule(&timeout, ROTA_NEVER));
                              if (r == 0)
                                  r = rota_yield();
                              r = rota_timeout_end(&timeout, r);
                              if (r < 0)
                                  return r;
                          }
                          return 0;
                      });
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  return 0;
              }));
}

/* ---- Whose request it was ---- */

TEST_P(Timeout, OfNestedScopesThatExpiredTheOutermostReports)
{
    rota_run_opts opts{};
    opts.no_help = true; /* or the outer one may expire, by another loop, before the inner begins */
    EXPECT_EQ(0, run(
                     [&] {
                         rota_timeout outer = {}, middle = {}, inner = {};
                         EXPECT_EQ(0, rota_timeout_begin(&outer, 100 * ROTA_MS));
                         EXPECT_EQ(0, rota_timeout_begin(&middle, ROTA_NEVER));
                         EXPECT_EQ(0, rota_timeout_begin(&inner, 100 * ROTA_MS));
                         /* Both are due before this task can suspend. */
                         std::this_thread::sleep_for(std::chrono::milliseconds(110));
                         int r = rota_sleep(60 * ROTA_SEC);
                         while (r == 0 || !rota_timeout_expired(&outer) ||
                                !rota_timeout_expired(&inner))
                             r = rota_yield() < 0 ? -ECANCELED : r;
                         EXPECT_EQ(-ECANCELED, r);
                         EXPECT_EQ(-ECANCELED, rota_timeout_end(&inner, r));
                         EXPECT_EQ(-ECANCELED, rota_timeout_end(&middle, -ECANCELED));
                         EXPECT_EQ(ROTA_TIMEOUT_FINISHED, rota_timeout_get_state(&middle));
                         EXPECT_EQ(-ETIMEDOUT, rota_timeout_end(&outer, -ECANCELED));
                         EXPECT_EQ(0, requests());
                         return rota_yield();
                     },
                     opts));
}

TEST_P(Timeout, AnInnerExpiryLeavesTheOuterScopeAlone)
{
    EXPECT_EQ(0, run([&] {
                  rota_timeout outer = {}, inner = {};
                  EXPECT_EQ(0, rota_timeout_begin(&outer, 60 * ROTA_SEC));
                  EXPECT_EQ(0, rota_timeout_begin(&inner, ROTA_MS));
                  EXPECT_EQ(-ETIMEDOUT, rota_timeout_end(&inner, rota_sleep(60 * ROTA_SEC)));
                  EXPECT_EQ(0, rota_sleep(ROTA_MS));
                  EXPECT_EQ(0, rota_timeout_end(&outer, 0));
                  return 0;
              }));
}

TEST_P(Timeout, AnOuterExpiryPassesThroughTheInnerScope)
{
    EXPECT_EQ(0, run([&] {
                  rota_timeout outer = {}, inner = {};
                  EXPECT_EQ(0, rota_timeout_begin(&outer, ROTA_MS));
                  EXPECT_EQ(0, rota_timeout_begin(&inner, 60 * ROTA_SEC));
                  int r = rota_timeout_end(&inner, rota_sleep(60 * ROTA_SEC));
                  EXPECT_EQ(-ECANCELED, r);
                  EXPECT_FALSE(rota_timeout_expired(&inner));
                  EXPECT_EQ(-ETIMEDOUT, rota_timeout_end(&outer, r));
                  return rota_yield();
              }));
}

TEST_P(Timeout, ACancelBesideAnExpiryGoesOnUpwards)
{
    EXPECT_EQ(0, run([&] {
                  rota_timeout timeout = {};
                  EXPECT_EQ(0, rota_timeout_begin(&timeout, ROTA_MS));
                  EXPECT_EQ(-ECANCELED, rota_sleep(60 * ROTA_SEC));
                  EXPECT_EQ(1, rota_task_cancel(
                                   rota_current_task())); /* and somebody else, not seen yet */
                  EXPECT_EQ(-ECANCELED, rota_timeout_end(&timeout, -ECANCELED));
                  EXPECT_EQ(1, requests());
                  /* The scope took back its own, delivered request: the other is delivered, once.
                   */
                  EXPECT_EQ(-ECANCELED, rota_yield());
                  EXPECT_EQ(0, rota_yield());
                  EXPECT_EQ(0, rota_task_uncancel(rota_current_task()));
                  return 0;
              }));
}

TEST_P(Timeout, ACancelDeliveredTogetherWithAnExpiryIsNotDeliveredAgain)
{
    EXPECT_EQ(0, run([&] {
                  rota_timeout timeout = {};
                  EXPECT_EQ(0, rota_timeout_begin(&timeout, 0));
                  EXPECT_EQ(1, rota_task_cancel(rota_current_task()));
                  EXPECT_EQ(2, requests());
                  int r = rota_yield(); /* delivers both at once */
                  EXPECT_EQ(-ECANCELED, r);
                  EXPECT_EQ(-ECANCELED, rota_timeout_end(&timeout, r));
                  EXPECT_EQ(1, requests());
                  EXPECT_EQ(0, rota_yield());
                  EXPECT_EQ(0, rota_task_uncancel(rota_current_task()));
                  return 0;
              }));
}

TEST_P(Timeout, AnUndeliveredExpiryIsTakenBackAndTheOtherRequestStays)
{
    EXPECT_EQ(0, run([&] {
                  rota_timeout timeout = {};
                  EXPECT_EQ(
                      1, rota_task_cancel(rota_current_task())); /* before the scope, undelivered */
                  EXPECT_EQ(0, rota_timeout_begin(&timeout, 0));
                  EXPECT_EQ(9, rota_timeout_end(&timeout, 9));
                  EXPECT_EQ(1, requests());
                  EXPECT_EQ(-ECANCELED, rota_yield());
                  EXPECT_EQ(0, rota_yield());
                  EXPECT_EQ(0, rota_task_uncancel(rota_current_task()));

                  EXPECT_EQ(0, rota_timeout_begin(&timeout, 0));
                  EXPECT_EQ(0, rota_timeout_end(&timeout, 0));
                  return rota_yield(); /* nothing is left over */
              }));
}

TEST_P(Timeout, AnUndeliveredExpiryIsTakenBackInACancelledTasksCleanUp)
{
    EXPECT_EQ(0, run([&] {
                  EXPECT_EQ(1, rota_task_cancel(rota_current_task()));
                  EXPECT_EQ(-ECANCELED, rota_yield());
                  rota_timeout timeout = {};
                  EXPECT_EQ(0, rota_timeout_begin(&timeout, 0));
                  EXPECT_EQ(2, requests());
                  EXPECT_EQ(0, rota_timeout_end(&timeout, 0));
                  EXPECT_EQ(1, requests());
                  EXPECT_EQ(0, rota_yield()); /* the scope's request went with the scope */
                  return rota_task_uncancel(rota_current_task());
              }));
}

TEST_P(Timeout, AScopeInACancelledTasksCleanUpTimesOutByItself)
{
    EXPECT_EQ(0, run([&] {
                  EXPECT_EQ(1, rota_task_cancel(rota_current_task()));
                  EXPECT_EQ(-ECANCELED, rota_yield());
                  rota_timeout timeout = {};
                  EXPECT_EQ(0, rota_timeout_begin(&timeout, ROTA_MS));
                  EXPECT_EQ(-ETIMEDOUT, rota_timeout_end(&timeout, rota_sleep(60 * ROTA_SEC)));
                  EXPECT_EQ(1, requests());
                  return rota_task_uncancel(rota_current_task());
              }));
}

TEST_P(Timeout, AnotherErrorLeavesAsItIs)
{
    EXPECT_EQ(0, run([&] {
                  rota_timeout timeout = {};
                  EXPECT_EQ(0, rota_timeout_begin(&timeout, ROTA_MS));
                  EXPECT_EQ(-ECANCELED, rota_sleep(60 * ROTA_SEC));
                  EXPECT_EQ(-EIO, rota_timeout_end(&timeout, -EIO));
                  EXPECT_TRUE(rota_timeout_expired(&timeout));
                  EXPECT_EQ(0, requests());
                  return rota_yield();
              }));
}

TEST_P(Timeout, AnAwaitedTaskIsCancelledForIt)
{
    EXPECT_EQ(0, run([&] {
                  loops::Tasks tasks;
                  rota_task *child = tasks.spawn([] { return rota_sleep(60 * ROTA_SEC); });
                  tasks.settle();
                  rota_timeout timeout = {};
                  EXPECT_EQ(0, rota_timeout_begin(&timeout, 100 * ROTA_MS));
                  int status = 0;
                  EXPECT_EQ(0, rota_task_await(
                                   child, &status)); /* the wait completes: the child has ended */
                  EXPECT_EQ(-ECANCELED, status);
                  EXPECT_EQ(-ETIMEDOUT, rota_timeout_end(&timeout, status));
                  EXPECT_EQ(0, requests());
                  EXPECT_EQ(-ECANCELED, tasks.join()[0]);
                  return rota_yield();
              }));
}

/* ---- Races ---- */

/* What the rounds of a race have come to. */
struct Tally {
    int in_time = 0;
    int expired = 0;
};

/* One round: a scope of `delay_ns` around a future that is completed at about the same time. */
int race_once(std::int64_t delay_ns, rota_future *future, Tally *tally)
{
    rota_timeout timeout = {};
    EXPECT_EQ(0, rota_timeout_begin(&timeout, delay_ns));
    int inside = rota_future_await(future, nullptr);
    int r = rota_timeout_end(&timeout, inside);
    EXPECT_TRUE(inside == 0 || inside == -ECANCELED) << inside;
    EXPECT_EQ(inside == 0 ? 0 : -ETIMEDOUT, r);
    EXPECT_EQ(0, requests());
    EXPECT_TRUE(r == 0 || rota_timeout_expired(&timeout));
    (r == 0 ? tally->in_time : tally->expired)++;
    return rota_yield(); /* nothing may be left to be delivered */
}

TEST_P(Timeout, H45_ExpiryRacesWithCompletion)
{
    constexpr int pairs = 4;
    const int rounds = static_cast<int>(support::scale(100'000)) / pairs;
    Tally tallies[pairs];
    support::allow_seconds(300);
    EXPECT_EQ(0, run([&] {
                  loops::Tasks tasks;
                  std::vector<std::atomic<rota_future *>> offered(pairs);
                  std::atomic<int> left{pairs};
                  std::thread setter([&] {
                      while (left > 0)
                          for (auto &slot : offered)
                              if (rota_future *future = slot.exchange(nullptr)) {
                                  EXPECT_EQ(0, rota_future_set_result(future, nullptr));
                                  rota_future_unref(future);
                              }
                  });
                  for (int p = 0; p < pairs; p++)
                      tasks.spawn([&, p] {
                          int r = 0;
                          for (int i = 0; r == 0 && i < rounds; i++) {
                              rota_future *future = nullptr;
                              EXPECT_EQ(0, rota_future_create(&future, nullptr));
                              offered[p] = rota_future_ref(future);
                              r = race_once(i % 64 * ROTA_US / 4, future, &tallies[p]);
                              if (rota_future *unseen = offered[p].exchange(nullptr))
                                  rota_future_unref(unseen);
                              rota_future_unref(future);
                          }
                          left--;
                          return r;
                      });
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  setter.join();
                  return 0;
              }));
    for (const Tally &tally : tallies)
        EXPECT_EQ(rounds, tally.in_time + tally.expired);
}

TEST_P(Timeout, H45_ExpiryRacesWithAnOuterCancel)
{
    const int rounds = static_cast<int>(support::scale(3000));
    int timed_out = 0;
    int cancelled = 0;
    EXPECT_EQ(0, run([&] {
                  for (int i = 0; i < rounds; i++) {
                      std::atomic<bool> entered{false};
                      loops::Tasks tasks;
                      rota_task *task = tasks.spawn([&] {
                          rota_timeout timeout = {};
                          EXPECT_EQ(0, rota_timeout_begin(&timeout, i % 50 * ROTA_US));
                          entered = true;
                          int r = rota_timeout_end(&timeout, rota_sleep(60 * ROTA_SEC));
                          if (r == -ECANCELED) {
                              EXPECT_EQ(1, requests());
                              return r;
                          }
                          /* It timed out; the canceller may have come since, or comes yet. */
                          EXPECT_EQ(-ETIMEDOUT, r);
                          EXPECT_LE(requests(), 1);
                          r = rota_sleep(60 * ROTA_SEC);
                          EXPECT_EQ(-ECANCELED, r);
                          EXPECT_EQ(1, requests());
                          return -ETIMEDOUT;
                      });
                      while (!entered)
                          EXPECT_EQ(0, rota_yield());
                      std::int64_t end_ns = rota_time_ns() + i % 47 * ROTA_US;
                      while (rota_time_ns() < end_ns)
                          EXPECT_EQ(0, rota_yield());
                      EXPECT_EQ(1, rota_task_cancel(task));
                      int status = tasks.join()[0];
                      timed_out += status == -ETIMEDOUT;
                      cancelled += status == -ECANCELED;
                  }
                  return 0;
              }));
    EXPECT_EQ(rounds, timed_out + cancelled);
}

} // namespace
