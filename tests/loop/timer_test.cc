/* SPDX-License-Identifier: MIT */
/*
 * timer_test.cc - call_later, call_at and sleep: never early, in order, cancelled anywhere (S5,
 * S18, S24, B-T, H45, H46, H47).
 */
#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>

#include "loop/handle.h"
#include "loop/loop_impl.h"
#include "tests/loop/run_loops.h"

namespace {

using loops::eventually;

class Timer : public loops::OneAndMany {};
ROTA_ONE_AND_MANY(Timer);

int count_up(void *arg)
{
    ++*static_cast<std::atomic<int> *>(arg);
    return 0;
}

/* A timer that writes down when it fired, and in which order. */
struct Alarm {
    std::int64_t fired_ns = 0;
    int place = -1;
    std::atomic<int> *places = nullptr;

    static int call(void *arg)
    {
        auto *self = static_cast<Alarm *>(arg);
        self->fired_ns = rota_time_ns();
        self->place = (*self->places)++;
        return 0;
    }
};

TEST_P(Timer, BT01_OnlyTheLiveTimerFires)
{
    std::atomic<int> cancelled{0}, live{0}, distant{0};
    EXPECT_EQ(
        0, run([&] {
            rota_pin();
            std::int64_t start_ns = rota_time_ns();
            rota_handle handle = {};
            EXPECT_EQ(
                0, rota_call_later(nullptr, &handle, 50 * ROTA_MS, count_up, &cancelled, nullptr));
            EXPECT_EQ(0, rota_call_later(nullptr, nullptr, 50 * ROTA_MS, count_up, &live, nullptr));
            EXPECT_EQ(
                0, rota_call_later(nullptr, nullptr, 1000 * ROTA_SEC, count_up, &distant, nullptr));
            EXPECT_EQ(ROTA_PREVENTED, rota_handle_cancel(&handle));
            EXPECT_TRUE(eventually([&] { return live == 1; }));
            EXPECT_GE(rota_time_ns() - start_ns, 50 * ROTA_MS);
            rota_unpin();
            return 0;
        }));
    EXPECT_EQ(0, cancelled);
    EXPECT_EQ(1, live);
    EXPECT_EQ(0, distant);
}

/* Counts the steps that tasks take after the deadline and before the timer fires. */
struct Late {
    std::int64_t when_ns = 0;
    int steps = 0;
    bool fired = false;

    static int call(void *arg)
    {
        static_cast<Late *>(arg)->fired = true;
        return 0;
    }
    void arm(std::int64_t delay_ns)
    {
        when_ns = rota_time_ns() + delay_ns;
        EXPECT_EQ(0, rota_call_at(nullptr, nullptr, when_ns, call, this, nullptr));
    }
    void burn()
    {
        std::int64_t end_ns = rota_time_ns() + 2 * ROTA_MS;
        while (rota_time_ns() < end_ns)
            ;
        steps += !fired && end_ns > when_ns;
    }
};

/* Two tasks take so many short steps, and then long ones; a timer falls due among those. Returns
 * how many of these it waited for. */
int long_steps_before_the_timer(int short_steps)
{
    Late late;
    EXPECT_EQ(0, loops::run(1, [&] {
                  loops::Tasks tasks;
                  for (int i = 0; i < 2; i++)
                      tasks.spawn([&] {
                          for (int step = 0; step < short_steps / 2; step++)
                              EXPECT_EQ(0, rota_yield());
                          if (late.when_ns == 0)
                              late.arm(3 * ROTA_MS);
                          for (int step = 0; step < 20; step++) {
                              late.burn();
                              EXPECT_EQ(0, rota_yield());
                          }
                          return 0;
                      });
                  tasks.join();
                  return 0;
              }));
    EXPECT_TRUE(late.fired);
    return late.steps;
}

/* Where steps are long, the loop looks at its timers after each of them; where they have been short
 * so far, after sixteen of them. */
TEST(TimerAmongTasks, LongStepsDoNotHoldTimersUp)
{
    const int pass = 3; /* the one that was running, and those that are ready before the timer */
    EXPECT_LE(long_steps_before_the_timer(0), pass);
    for (int short_steps : {10, 100, 660, 670, 680, 690, 700, 1000, 1001})
        EXPECT_LE(long_steps_before_the_timer(short_steps), 16 + pass) << short_steps;
}

TEST_P(Timer, BT02_APastDeadlineFiresAtTheNextPass)
{
    std::atomic<int> places{0};
    Alarm negative{0, -1, &places}, zero{0, -1, &places}, past{0, -1, &places};
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  EXPECT_EQ(0, rota_call_later(nullptr, nullptr, -ROTA_SEC, Alarm::call, &negative,
                                               nullptr));
                  EXPECT_EQ(0, rota_call_later(nullptr, nullptr, 0, Alarm::call, &zero, nullptr));
                  EXPECT_EQ(0, rota_call_at(nullptr, nullptr, -5, Alarm::call, &past, nullptr));
                  EXPECT_EQ(0, places); /* never inside the call */
                  EXPECT_TRUE(eventually([&] { return places == 3; }));
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ(0, past.place);
    EXPECT_EQ(1, negative.place);
    EXPECT_EQ(2, zero.place);
}

TEST_P(Timer, BT03_ByDeadlineTiesByCreationNeverEarly)
{
    constexpr int count = 200;
    std::atomic<int> places{0};
    std::vector<Alarm> alarms(count);
    std::vector<std::int64_t> when(count);
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  std::int64_t base_ns = rota_time_ns() + 5 * ROTA_MS;
                  for (int i = 0; i < count; i++) {
                      alarms[i].places = &places;
                      when[i] = base_ns + (i * 7919) % 20 * ROTA_MS; /* each instant ten times */
                      EXPECT_EQ(0, rota_call_at(nullptr, nullptr, when[i], Alarm::call, &alarms[i],
                                                nullptr));
                  }
                  EXPECT_TRUE(eventually([&] { return places == count; }));
                  rota_unpin();
                  return 0;
              }));
    for (int i = 0; i < count; i++) {
        EXPECT_GE(alarms[i].fired_ns, when[i]);
        for (int j = 0; j < count; j++) {
            bool before = when[i] < when[j] || (when[i] == when[j] && i < j);
            EXPECT_TRUE(!before || alarms[i].place < alarms[j].place) << i << " and " << j;
        }
    }
}

TEST_P(Timer, BT04_HugeDelaysNeitherOverflowNorFire)
{
    std::atomic<int> calls{0};
    EXPECT_EQ(0, run([&] {
                  const std::int64_t delays[] = {INT64_C(1) << 54, INT64_C(1) << 55,
                                                 INT64_C(1) << 62, INT64_MAX - 1, ROTA_NEVER};
                  rota_handle handles[10] = {};
                  for (int i = 0; i < 5; i++) {
                      EXPECT_EQ(0, rota_call_later(nullptr, &handles[i], delays[i], count_up,
                                                   &calls, nullptr));
                      EXPECT_EQ(0, rota_call_at(nullptr, &handles[5 + i], delays[i], count_up,
                                                &calls, nullptr));
                  }
                  EXPECT_EQ(ROTA_NEVER, rota_handle_when(&handles[3])); /* saturated */
                  EXPECT_EQ(ROTA_NEVER, rota_handle_when(&handles[4]));
                  loops::Tasks tasks;
                  for (std::int64_t delay : delays)
                      tasks.spawn([delay] { return rota_sleep(delay); });
                  EXPECT_EQ(0, rota_sleep(20 * ROTA_MS));
                  for (rota_handle &handle : handles)
                      EXPECT_EQ(ROTA_PREVENTED, rota_handle_cancel(&handle));
                  return 0; /* the sleepers are cancelled by the end of the run */
              }));
    EXPECT_EQ(0, calls);
}

TEST_P(Timer, BT05_WhenIsReadableForEver)
{
    std::atomic<int> calls{0};
    EXPECT_EQ(
        0, run([&] {
            rota_handle fired = {}, cancelled = {}, later = {};
            std::int64_t when_ns = rota_time_ns() + 2 * ROTA_MS;
            EXPECT_EQ(0, rota_call_at(nullptr, &fired, when_ns, count_up, &calls, nullptr));
            EXPECT_EQ(0, rota_call_at(nullptr, &cancelled, when_ns + 1, count_up, &calls, nullptr));
            std::int64_t before_ns = rota_time_ns();
            EXPECT_EQ(0,
                      rota_call_later(nullptr, &later, 1000 * ROTA_SEC, count_up, &calls, nullptr));
            EXPECT_GE(rota_handle_when(&later), before_ns + 1000 * ROTA_SEC);
            EXPECT_LE(rota_handle_when(&later), rota_time_ns() + 1000 * ROTA_SEC);
            EXPECT_EQ(ROTA_PREVENTED, rota_handle_cancel(&cancelled));
            EXPECT_TRUE(eventually([&] { return calls == 1; }));
            EXPECT_EQ(when_ns, rota_handle_when(&fired));
            EXPECT_EQ(when_ns + 1, rota_handle_when(&cancelled));
            EXPECT_FALSE(rota_handle_cancelled(&fired));
            EXPECT_EQ(ROTA_PREVENTED, rota_handle_cancel(&later));
            return 0;
        }));
}

TEST(TimerStrict, BT06_CancelledTimersLeaveTheWheelAtOnce)
{
    std::atomic<int> calls{0};
    EXPECT_EQ(0, loops::run(1, [&] {
                  rota_handle handles[101] = {};
                  const roti_wheel &wheel = rota_running_loop()->timers.wheel;
                  std::size_t before = wheel.count;
                  for (int i = 0; i < 101; i++)
                      EXPECT_EQ(0, rota_call_later(nullptr, &handles[i], ROTA_SEC + i, count_up,
                                                   &calls, nullptr));
                  EXPECT_EQ(before + 101, wheel.count);
                  for (int i = 0; i < 51; i++)
                      EXPECT_EQ(ROTA_PREVENTED, rota_handle_cancel(&handles[2 * i]));
                  EXPECT_EQ(before + 50, wheel.count);
                  return 0;
              }));
}

TEST_P(Timer, BT07_SleepZeroIsAYieldWithoutATimer)
{
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  const roti_wheel &wheel = rota_running_loop()->timers.wheel;
                  std::uint64_t sequence = wheel.sequence;
                  EXPECT_EQ(0, rota_sleep(0));
                  EXPECT_EQ(0, rota_sleep(-1));
                  EXPECT_EQ(0, rota_sleep(INT64_MIN));
                  EXPECT_EQ(0, rota_sleep_until(0));
                  EXPECT_EQ(0, rota_sleep_until(rota_time_ns()));
                  EXPECT_EQ(sequence, wheel.sequence);
                  EXPECT_EQ(1, rota_task_cancel(rota_current_task()));
                  EXPECT_EQ(-ECANCELED, rota_sleep(0)); /* and it is a cancellation point */
                  EXPECT_EQ(0, rota_task_uncancel(rota_current_task()));
                  rota_unpin();
                  return 0;
              }));
    EXPECT_EQ(ROTA_ENOTASK, rota_sleep(0));
    EXPECT_EQ(ROTA_ENOTASK, rota_sleep(1));
    EXPECT_EQ(ROTA_ENOTASK, rota_sleep_until(INT64_MAX));
}

TEST_P(Timer, SleepsAreNeverShort)
{
    EXPECT_EQ(0, run([&] {
                  loops::Tasks tasks;
                  for (int i = 0; i < 50; i++)
                      tasks.spawn([i] {
                          std::int64_t delay_ns = (i * 37 % 50 + 1) * 200 * ROTA_US;
                          std::int64_t start_ns = rota_time_ns();
                          int r = rota_sleep(delay_ns);
                          EXPECT_GE(rota_time_ns() - start_ns, delay_ns);
                          return r;
                      });
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  return 0;
              }));
}

TEST_P(Timer, ASleepIsCancelledAndItsTimerGoes)
{
    EXPECT_EQ(0, run([&] {
                  rota_pin();
                  loops::Tasks tasks;
                  rota_task_opts opts = {};
                  opts.pinned = true;
                  const roti_wheel &wheel = rota_running_loop()->timers.wheel;
                  std::size_t before = wheel.count;
                  rota_task *task = tasks.spawn([] { return rota_sleep(60 * ROTA_SEC); }, opts);
                  EXPECT_TRUE(loops::settled(task));
                  EXPECT_EQ(before + 1, wheel.count);
                  EXPECT_EQ(1, rota_task_cancel(task));
                  EXPECT_EQ(-ECANCELED, tasks.join()[0]);
                  EXPECT_EQ(before, wheel.count);
                  rota_unpin();
                  return 0;
              }));
}

TEST_P(Timer, ACallbackMayNotSleep)
{
    std::atomic<int> answer{0};
    loops::Body body = [&] {
        answer = rota_sleep(ROTA_MS);
        return 0;
    };
    EXPECT_EQ(0, run([&] {
                  EXPECT_EQ(0, rota_call_soon(nullptr, nullptr, loops::call_body, &body, nullptr));
                  EXPECT_TRUE(eventually([&] { return answer != 0; }));
                  return 0;
              }));
    EXPECT_EQ(ROTA_ENOTASK, answer);
}

/* ---- Races ---- */

TEST_P(Timer, H45_CancelMeetsFire)
{
    /* Each timer is due about when another thread cancels it: it fires, or it was prevented. */
    const int rounds = static_cast<int>(support::scale(3000));
    std::vector<std::atomic<int>> calls(rounds);
    int prevented = 0;
    EXPECT_EQ(0, run([&] {
                  rota_loop *loop = rota_running_loop();
                  std::atomic<bool> over{false};
                  std::thread canceller([&] {
                      for (int i = 0; i < rounds; i++) {
                          rota_handle handle = {};
                          EXPECT_EQ(0, rota_call_later(loop, &handle, i % 100 * ROTA_US, count_up,
                                                       &calls[i], nullptr));
                          std::int64_t end_ns = rota_time_ns() + i % 97 * ROTA_US;
                          while (rota_time_ns() < end_ns)
                              continue;
                          int verdict = rota_handle_cancel_wait(&handle);
                          EXPECT_TRUE(verdict == ROTA_PREVENTED || verdict == ROTA_ALREADY_RAN)
                              << verdict;
                          prevented += verdict == ROTA_PREVENTED;
                          EXPECT_EQ(verdict == ROTA_PREVENTED ? 0 : 1, calls[i]);
                      }
                      over = true;
                  });
                  EXPECT_TRUE(eventually([&] { return over.load(); }));
                  canceller.join();
                  return 0;
              }));
    int ran = 0;
    for (auto &count : calls)
        ran += count;
    EXPECT_EQ(rounds, ran + prevented);
}

TEST_P(Timer, TimersOfATaskAreCancelledFromWhereverItIs)
{
    EXPECT_EQ(0, run([&] {
                  loops::Tasks tasks;
                  std::atomic<int> calls{0};
                  for (int t = 0; t < 8; t++)
                      tasks.spawn([&] {
                          for (int i = 0; i < 200; i++) {
                              rota_handle handle = {};
                              int r = rota_call_later(nullptr, &handle, 60 * ROTA_SEC, count_up,
                                                      &calls, nullptr);
                              if (r == 0)
                                  r = rota_yield(); /* perhaps to another loop */
                              if (r < 0)
                                  return r;
                              EXPECT_EQ(ROTA_PREVENTED, rota_handle_cancel(&handle));
                          }
                          return 0;
                      });
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  EXPECT_EQ(0, calls);
                  return 0;
              }));
}

TEST_P(Timer, ATimerPostedFromOutsideIsCancelledBeforeItArrives)
{
    std::atomic<int> calls{0};
    EXPECT_EQ(
        0, run([&] {
            rota_pin();
            rota_loop *loop = rota_running_loop();
            rota_handle early = {}, armed = {};
            std::thread([&] {
                EXPECT_EQ(0, rota_call_later(loop, &early, ROTA_MS, count_up, &calls, nullptr));
                EXPECT_EQ(ROTA_PREVENTED,
                          rota_handle_cancel(&early)); /* the loop is busy: with us */
                EXPECT_EQ(0,
                          rota_call_later(loop, &armed, 60 * ROTA_SEC, count_up, &calls, nullptr));
            }).join();
            EXPECT_EQ(0, rota_sleep(5 * ROTA_MS));
            EXPECT_EQ(ROTA_PREVENTED, rota_handle_cancel(&armed));
            EXPECT_EQ(ROTA_ALREADY_CANCELLED, rota_handle_cancel(&armed));
            rota_unpin();
            return 0;
        }));
    EXPECT_EQ(0, calls);
}

/* ---- Deadlines ---- */

TEST(TimerDeadline, H46_Saturates)
{
    EXPECT_EQ(5, roti_deadline_after(5, 0));
    EXPECT_EQ(5, roti_deadline_after(5, -1));
    EXPECT_EQ(5, roti_deadline_after(5, INT64_MIN));
    EXPECT_EQ(6, roti_deadline_after(5, 1));
    EXPECT_EQ(INT64_MAX - 1, roti_deadline_after(5, INT64_MAX - 6));
    EXPECT_EQ(INT64_MAX, roti_deadline_after(5, INT64_MAX - 5));
    EXPECT_EQ(INT64_MAX, roti_deadline_after(5, INT64_MAX));
    EXPECT_EQ(INT64_MAX, roti_deadline_after(INT64_MAX, INT64_MAX));
}

TEST(TimerDeadline, H47_ATurnFiresNoMoreThanItsShare)
{
    struct Counter {
        roti_timer timer; /* first */
        int fired;
    };
    static std::vector<Counter> counters;
    counters.assign(2500, {});
    auto timers = std::make_unique<roti_timers>();
    roti_timers_init(timers.get(), 0);
    EXPECT_EQ(INT64_MAX, roti_timers_next(timers.get()));
    for (std::size_t i = 0; i < counters.size(); i++)
        roti_timer_arm(timers.get(), &counters[i].timer, static_cast<std::int64_t>(i + 1) * 1000,
                       ROTI_TIMER_TASK, [](roti_timer *timer, roti_list *) {
                           reinterpret_cast<Counter *>(timer)->fired++;
                       });
    EXPECT_EQ(1000, roti_timers_next(timers.get()));
    EXPECT_TRUE(roti_timer_disarm(&counters[0].timer));
    EXPECT_FALSE(roti_timer_disarm(&counters[0].timer));
    EXPECT_EQ(0U, roti_timers_expire(timers.get(), 1999, 1000));
    unsigned fired = 0;
    int calls = 0;
    /* A call may do less, as a large slot of the wheel is spread in shares; then it is due again.
     */
    while (roti_timers_next(timers.get()) <= INT64_C(100'000'000'000)) {
        unsigned share = roti_timers_expire(timers.get(), INT64_C(100'000'000'000), 1000);
        EXPECT_LE(share, 1000U);
        fired += share;
        ASSERT_LT(++calls, 10'000);
    }
    EXPECT_EQ(2499U, fired);
    EXPECT_GE(calls, 3);
    EXPECT_EQ(INT64_MAX, roti_timers_next(timers.get()));
    for (std::size_t i = 0; i < counters.size(); i++)
        EXPECT_EQ(i == 0 ? 0 : 1, counters[i].fired) << i;
}

} // namespace
