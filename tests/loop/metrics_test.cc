/* SPDX-License-Identifier: MIT */
/*
 * metrics_test.cc - the text for Prometheus: well formed, complete, with whatever names tasks have;
 * and what becomes of it when its reader or memory fails.
 */
#include <rota/error.h>
#include <rota/figures.h>
#include <rota/timeout.h>

#include "tests/loop/exposition.h"
#include "tests/loop/run_loops.h"

#include <cerrno>
#include <climits>
#include <string>

namespace {

using loops::Tasks;

int append(void *arg, const char *data, std::size_t size)
{
    static_cast<std::string *>(arg)->append(data, size);
    return 0;
}

Exposition read_all()
{
    std::string text;
    EXPECT_EQ(0, rota_metrics_write(rota_running_runtime(), append, &text));
    Exposition metrics(text);
    EXPECT_EQ("", metrics.error());
    return metrics;
}

class Metrics : public loops::OneAndMany {
protected:
    int run_with_figures(loops::Body body)
    {
        rota_run_opts opts = {};
        opts.figures = true;
        return run(std::move(body), opts);
    }
};

TEST_P(Metrics, AreWellFormedAndComplete)
{
    EXPECT_EQ(
        0, run_with_figures([] {
            Tasks tasks;
            rota_task_opts opts = {};
            opts.name = "worker";
            for (int i = 0; i < 10; i++)
                tasks.spawn([] { return rota_sleep(ROTA_MS); }, opts);
            tasks.settle();
            Exposition metrics = read_all();
            EXPECT_EQ(double(GetParam()), metrics.value("rota_loops"));
            EXPECT_LE(1, metrics.value("rota_tasks"));
            for (const char *family :
                 {"rota_turns_total", "rota_switches_total", "rota_callbacks_total",
                  "rota_spawned_total", "rota_steals_won_total", "rota_parks_total",
                  "rota_idle_seconds_total", "rota_ready_tasks", "rota_loop_asleep",
                  "rota_ready_wait_seconds_count", "rota_step_seconds_sum"})
                for (unsigned i = 0; i < GetParam(); i++)
                    EXPECT_TRUE(metrics.has(family + ("{loop=\"" + std::to_string(i)) + "\"}"))
                        << family << i;
            EXPECT_TRUE(metrics.has("rota_step_seconds_bucket{loop=\"0\",le=\"+Inf\"}"));
            EXPECT_TRUE(metrics.has("rota_step_seconds_bucket{loop=\"0\",le=\"0.000001024\"}"));
            EXPECT_EQ(10, metrics.value("rota_task_started_total{name=\"worker\"}"));
            EXPECT_LT(0, metrics.value("rota_task_run_seconds_total{name=\"worker\"}"));
            tasks.join();
            Exposition later = read_all();
            EXPECT_EQ(10, later.value("rota_task_finished_total{name=\"worker\"}"));
            EXPECT_EQ(metrics.families(), later.families());
            for (const auto &[name, value] : metrics.values()) {
                bool grows = name.find("_total") != std::string::npos ||
                             name.find("_bucket") != std::string::npos;
                EXPECT_TRUE(!grows || value <= later.value(name)) << name;
            }
            return 0;
        }));
}

/* What is written is what the other calls say. */
TEST_P(Metrics, AgreeWithSnapshots)
{
    EXPECT_EQ(0, run_with_figures([] {
                  for (int i = 0; i < 100; i++)
                      EXPECT_EQ(0, rota_yield());
                  rota_runtime *runtime = rota_running_runtime();
                  rota_counters before = {}, after = {};
                  unsigned self = unsigned(rota_loop_index(rota_running_loop()));
                  rota_loop *loop = rota_runtime_loop(runtime, self);
                  std::string key = "{loop=\"" + std::to_string(self) + "\"}";
                  EXPECT_EQ(0, rota_loop_counters(loop, &before));
                  Exposition metrics = read_all();
                  EXPECT_EQ(0, rota_loop_counters(loop, &after));
                  EXPECT_EQ(before.switches, after.switches) << "within one step";
                  EXPECT_EQ(double(before.switches), metrics.value("rota_switches_total" + key));
                  EXPECT_EQ(double(before.parks), metrics.value("rota_parks_total" + key));
                  EXPECT_NEAR(double(before.idle_ns) / 1e9,
                              metrics.value("rota_idle_seconds_total" + key), 1e-9);
                  rota_histogram steps;
                  EXPECT_EQ(0, rota_loop_histogram(loop, ROTA_FIGURE_RUN, &steps));
                  EXPECT_EQ(double(steps.count), metrics.value("rota_step_seconds_count" + key));
                  EXPECT_NEAR(double(steps.sum_ns) / 1e9,
                              metrics.value("rota_step_seconds_sum" + key), 1e-9);
                  key = "rota_step_seconds_bucket{loop=\"" + std::to_string(self) + "\",le=\"";
                  EXPECT_EQ(double(rota_histogram_count_to(&steps, 1024)),
                            metrics.value(key + "0.000001024\"}"));
                  EXPECT_EQ(double(rota_histogram_count_to(&steps, 1 << 20)),
                            metrics.value(key + "0.001048576\"}"));
                  return 0;
              }));
}

TEST_P(Metrics, WithoutFiguresThereAreNoTimes)
{
    EXPECT_EQ(0, run([] {
                  Exposition metrics = read_all();
                  EXPECT_TRUE(metrics.has("rota_switches_total{loop=\"0\"}"));
                  for (const std::string &family : metrics.families()) {
                      EXPECT_EQ(std::string::npos, family.find("rota_task_")) << family;
                      EXPECT_EQ(std::string::npos, family.find("_seconds_bucket")) << family;
                  }
                  EXPECT_EQ(0u, metrics.families().count("rota_step_seconds"));
                  return 0;
              }));
}

TEST_P(Metrics, NamesOfAllKinds)
{
    static const std::pair<const char *, const char *> names[] = {
        {"quote\" backslash\\ line\n", "quote\" backslash\\ line\n"},
        {"", ""},
        {"tab\t", "tab\t"},
        {"gr\xc3\xbc\xc3\x9f dich", "gr\xc3\xbc\xc3\x9f dich"},
        {"\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80"},
        {"stray \xff", "stray \xef\xbf\xbd"
                       "ff"},
        {"stray \xfe", "stray \xef\xbf\xbd"
                       "fe"},
        {"half \xe2\x82", "half \xef\xbf\xbd"
                          "e2\xef\xbf\xbd"
                          "82"},
        {"overlong \xc0\xaf", "overlong \xef\xbf\xbd"
                              "c0\xef\xbf\xbd"
                              "af"},
        {"overlong \xe0\x80\xaf", "overlong \xef\xbf\xbd"
                                  "e0\xef\xbf\xbd"
                                  "80\xef\xbf\xbd"
                                  "af"},
        {"surrogate \xed\xa0\x80", "surrogate \xef\xbf\xbd"
                                   "ed\xef\xbf\xbd"
                                   "a0\xef\xbf\xbd"
                                   "80"},
        {"high \xf4\x90\x80\x80", "high \xef\xbf\xbd"
                                  "f4\xef\xbf\xbd"
                                  "90\xef\xbf\xbd"
                                  "80\xef\xbf\xbd"
                                  "80"},
        {"stray \xef\xbf\xbd"
         "ff",
         "stray \xef\xbf\xbd"
         "ef\xef\xbf\xbd"
         "bf\xef\xbf\xbd"
         "bd"
         "ff"},
    };
    if (ROTI_NAME_COUNT < 32)
        GTEST_SKIP() << "there is room for few names";
    std::string worst(ROTA_TASK_NAME_SIZE - 1, '\xff');
    EXPECT_EQ(0, run_with_figures([&] {
                  Tasks tasks;
                  rota_task_opts opts = {};
                  for (const auto &[name, label] : names) {
                      opts.name = name;
                      tasks.spawn([] { return 0; }, opts);
                  }
                  opts.name = worst.c_str();
                  tasks.spawn([] { return 0; }, opts);
                  tasks.join();
                  Exposition metrics = read_all();
                  for (const auto &[name, label] : names)
                      EXPECT_EQ(1, metrics.value("rota_task_finished_total{name=\"" +
                                                 std::string(label) + "\"}"))
                          << name;
                  std::string label;
                  for (std::size_t i = 0; i < worst.size(); i++)
                      label += "\xef\xbf\xbd"
                               "ff";
                  EXPECT_EQ(1, metrics.value("rota_task_finished_total{name=\"" + label + "\"}"));
                  return 0;
              }));
    roti_names_forget(); /* no task is left: for the tests that follow */
}

TEST_P(Metrics, TooManyNamesAreOther)
{
    roti_names_forget(); /* no task is left: room for some of them */
    EXPECT_EQ(0, run_with_figures([] {
                  unsigned too_many = 2 * ROTI_NAME_COUNT;
                  for (unsigned i = 0; i < too_many; i++) {
                      Tasks tasks;
                      std::string name = "number " + std::to_string(i);
                      rota_task_opts opts = {};
                      opts.name = name.c_str();
                      tasks.spawn([] { return 0; }, opts);
                      tasks.join();
                  }
                  Exposition metrics = read_all();
                  double other = metrics.value("rota_task_finished_total{name=\"(other)\"}");
                  EXPECT_LE(ROTI_NAME_COUNT, other);
                  EXPECT_GT(too_many, other);
                  return 0;
              }));
    roti_names_forget();
}

/* ---- Those who read it ---- */

struct Reader {
    explicit Reader(int at) : fails_at(at) {}

    int fails_at; /* the call that fails, and all later ones */
    int calls = 0;
    std::string text;

    static int read(void *arg, const char *data, std::size_t size)
    {
        auto *self = static_cast<Reader *>(arg);
        EXPECT_LT(0u, size);
        EXPECT_EQ('\n', data[size - 1]) << "half a line";
        if (self->calls++ >= self->fails_at)
            return -EPIPE;
        self->text.append(data, size);
        return 1; /* what is not negative is no error */
    }
};

TEST_P(Metrics, AReaderThatFailsEndsIt)
{
    EXPECT_EQ(0, run_with_figures([] {
                  EXPECT_EQ(0, rota_yield());
                  Reader all(INT_MAX);
                  EXPECT_EQ(0, rota_metrics_write(rota_running_runtime(), Reader::read, &all));
                  EXPECT_LT(3, all.calls);
                  for (int i = 0; i < all.calls; i++) {
                      Reader reader(i);
                      EXPECT_EQ(-EPIPE,
                                rota_metrics_write(rota_running_runtime(), Reader::read, &reader));
                      EXPECT_EQ(i + 1, reader.calls) << "called again after it failed";
                  }
                  return 0;
              }));
}

/* It may suspend, and go on on another loop. */
TEST_P(Metrics, AReaderMaySuspend)
{
    EXPECT_EQ(0, run_with_figures([] {
                  Tasks busy;
                  for (int i = 0; i < 4; i++)
                      busy.spawn([] {
                          int r = 0;
                          for (int k = 0; k < 200 && r == 0; k++)
                              r = rota_yield();
                          return r;
                      });
                  std::string text;
                  EXPECT_EQ(0, rota_metrics_write(
                                   rota_running_runtime(),
                                   [](void *arg, const char *data, std::size_t size) {
                                       EXPECT_EQ(0, append(arg, data, size));
                                       return rota_sleep(100 * ROTA_US);
                                   },
                                   &text));
                  EXPECT_EQ("", Exposition(text).error());
                  busy.join();
                  return 0;
              }));
}

TEST_P(Metrics, MisuseAndNoMemory)
{
    EXPECT_EQ(0, run_with_figures([] {
                  std::string text;
                  EXPECT_EQ(-EINVAL, rota_metrics_write(nullptr, append, &text));
                  EXPECT_EQ(-EINVAL, rota_metrics_write(rota_running_runtime(), nullptr, &text));
                  support::sweep_allocations([] {
                      std::string other;
                      int r = rota_metrics_write(rota_running_runtime(), append, &other);
                      EXPECT_EQ(r == 0, !other.empty());
                      return r;
                  });
                  EXPECT_EQ("", text);
                  return 0;
              }));
}

ROTA_ONE_AND_MANY(Metrics);

} /* namespace */
