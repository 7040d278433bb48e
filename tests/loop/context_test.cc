/* SPDX-License-Identifier: MIT */
/*
 * context_test.cc - contexts and real tasks: what travels, what stays apart (B-V01 to B-V03,
 * B-V06, S2).
 */
#include <cerrno>
#include <rota/context.h>
#include <rota/error.h>

#include "tests/loop/run_loops.h"

namespace {

using loops::Tasks;

class Context : public loops::OneAndMany {
protected:
    void SetUp() override
    {
        ASSERT_EQ(0, rota_context_var_create(&var_, "number", nullptr));
    }
    void TearDown() override
    {
        rota_context_var_unref(var_);
    }

public:
    void set(std::intptr_t value)
    {
        EXPECT_EQ(0, rota_context_var_set(var_, reinterpret_cast<void *>(value), nullptr));
    }
    std::intptr_t get() const
    {
        return reinterpret_cast<std::intptr_t>(
            rota_context_var_get_or(var_, reinterpret_cast<void *>(-1)));
    }

protected:
    rota_context_var *var_ = nullptr;
};
ROTA_ONE_AND_MANY(Context);

/* B-V01: a task has a copy from its spawn; neither side sees the other's later writes. */
TEST_P(Context, ATaskHasACopyFromItsSpawn)
{
    EXPECT_EQ(0, run([this] {
                  Tasks tasks;
                  set(1);
                  tasks.spawn([this] {
                      EXPECT_EQ(1, get());
                      set(7);
                      EXPECT_EQ(0, rota_yield());
                      EXPECT_EQ(7, get());
                      return 0;
                  });
                  set(2);
                  tasks.join();
                  EXPECT_EQ(2, get());
                  return 0;
              }));
    EXPECT_EQ(-1, get()) << "nothing is left outside of the run";
}

/* B-V02: 100 tasks with values of their own, which sleep and move. */
TEST_P(Context, ValuesTravelWithTheirTasks)
{
    EXPECT_EQ(0, run([this] {
                  Tasks tasks;
                  for (std::intptr_t i = 0; i < 100; i++)
                      tasks.spawn([this, i] {
                          set(i);
                          for (std::intptr_t step = 0; step < 10; step++) {
                              if (rota_sleep((i * 7 + step * 13) % 300 * ROTA_US) != 0)
                                  return -1;
                              if (get() != i + step * 1000)
                                  return -2;
                              set(i + (step + 1) * 1000);
                          }
                          return 0;
                      });
                  for (int status : tasks.join())
                      EXPECT_EQ(0, status);
                  return 0;
              }));
}

/* B-V03, D8: two tasks of one context object take turns on its loop. */
TEST_P(Context, TasksOfOneObjectShareIt)
{
    EXPECT_EQ(0, run([this] {
                  rota_context *context = nullptr;
                  rota_task_opts opts{};
                  EXPECT_EQ(0, rota_context_create(&context));
                  opts.context = context;
                  std::atomic<rota_loop *> home{nullptr};
                  for (std::intptr_t value : {1, 2}) {
                      Tasks tasks;
                      tasks.spawn(
                          [this, value, &home] {
                              EXPECT_EQ(value == 1 ? -1 : 1, get());
                              set(value);
                              EXPECT_EQ(0, rota_yield());
                              rota_loop *before = home.exchange(rota_running_loop());
                              EXPECT_TRUE(before == nullptr || before == rota_running_loop())
                                  << "confined to one loop";
                              return 0;
                          },
                          opts);
                      EXPECT_EQ(0, tasks.join()[0]);
                      void *shown = nullptr;
                      EXPECT_EQ(0, rota_context_get(context, var_, &shown));
                      EXPECT_EQ(value, reinterpret_cast<std::intptr_t>(shown));
                  }
                  rota_context_unref(context);
                  EXPECT_EQ(-1, get());
                  return 0;
              }));
}

/* B-V06: a token that was taken before a task moved is good after it. */
TEST_P(Context, ATokenTravels)
{
    EXPECT_EQ(0, run([this] {
                  Tasks tasks;
                  for (std::intptr_t i = 0; i < 20; i++)
                      tasks.spawn([this, i] {
                          rota_context_token token{};
                          set(i);
                          EXPECT_EQ(0, rota_context_var_set(var_, reinterpret_cast<void *>(i + 500),
                                                            &token));
                          for (int step = 0; step < 10; step++)
                              EXPECT_EQ(0, rota_yield());
                          EXPECT_EQ(i + 500, get());
                          EXPECT_EQ(0, rota_context_var_reset(var_, &token));
                          EXPECT_EQ(i, get());
                          EXPECT_EQ(ROTA_EUSED, rota_context_var_reset(var_, &token));
                          return 0;
                      });
                  tasks.join();
                  return 0;
              }));
}

/* A callback runs in a copy of the context in which it was scheduled. */
TEST_P(Context, CallbacksHaveACopy)
{
    EXPECT_EQ(0, run([this] {
                  struct Seen {
                      Context *test;
                      std::atomic<std::intptr_t> value{0};
                  } seen{this};
                  set(3);
                  auto callback = [](void *arg) {
                      auto *self = static_cast<Seen *>(arg);
                      std::intptr_t value = self->test->get();
                      self->test->set(9);
                      self->value = value;
                      return 0;
                  };
                  EXPECT_EQ(0,
                            rota_call_later(nullptr, nullptr, ROTA_MS, callback, &seen, nullptr));
                  set(4);
                  EXPECT_TRUE(loops::eventually([&] { return seen.value != 0; }));
                  EXPECT_EQ(3, seen.value);
                  EXPECT_EQ(4, get());
                  return 0;
              }));
}

/* A context that a suspended task is inside of refuses everybody else. */
TEST_P(Context, AnEnteredContextIsBusy)
{
    EXPECT_EQ(0, run([] {
                  rota_context *context = nullptr;
                  EXPECT_EQ(0, rota_context_create(&context));
                  Tasks tasks;
                  std::atomic<bool> inside{false};
                  rota_task *task = tasks.spawn([&] {
                      auto body = [](void *arg) {
                          *static_cast<std::atomic<bool> *>(arg) = true;
                          return rota_sleep(1000 * ROTA_SEC);
                      };
                      return rota_context_run(context, body, &inside);
                  });
                  EXPECT_TRUE(loops::eventually([&] { return inside.load(); }));
                  auto nothing = [](void *) { return 0; };
                  EXPECT_EQ(-EBUSY, rota_context_run(context, nothing, nullptr));
                  EXPECT_EQ(1, rota_task_cancel(task));
                  EXPECT_EQ(-ECANCELED, tasks.join()[0]);
                  EXPECT_EQ(0, rota_context_run(context, nothing, nullptr));
                  rota_context_unref(context);
                  return 0;
              }));
}

} // namespace
