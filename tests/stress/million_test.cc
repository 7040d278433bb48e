/* SPDX-License-Identifier: MIT */
/*
 * million_test.cc - a great many guarded tasks: spawned, parked, resumed, ended, and what they
 * leave (A26, H31).
 */
#include <rota/error.h>
#include <rota/future.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <unistd.h>

#include "sched/guard.h"
#include "sched/sanitizer.h"
#include "sched/stack_pool.h"
#include "tests/loop/run_loops.h"

namespace {

constexpr std::int64_t bytes_of_a_task = 4500; /* the target: a page, its header, its records */

/* A line of /proc/self/status, in bytes. */
std::int64_t status_bytes(const std::string &name)
{
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind(name + ":", 0) == 0)
            return 1024 * std::stoll(line.substr(name.size() + 1));
    return 0;
}

struct Memory {
    static Memory now()
    {
        return {status_bytes("VmRSS"), status_bytes("VmPTE")};
    }
    std::int64_t resident, page_tables;
};

std::size_t mappings()
{
    std::ifstream maps("/proc/self/maps");
    return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(maps), {}, '\n'));
}

/* What all tasks are told. */
struct Crowd {
    rota_future *first_gate = nullptr, *second_gate = nullptr;
    std::atomic<std::int64_t> waiting{0}, resumed{0}, ended{0};
};

/* Waits twice. What it keeps on its stack meanwhile must be there still. */
int be_one(void *arg)
{
    auto *crowd = static_cast<Crowd *>(arg);
    volatile std::uintptr_t mine = reinterpret_cast<std::uintptr_t>(&mine);
    crowd->waiting++;
    int r = rota_future_await(crowd->first_gate, nullptr);
    if (r < 0 || mine != reinterpret_cast<std::uintptr_t>(&mine))
        return -EIO;
    crowd->resumed++;
    r = rota_future_await(crowd->second_gate, nullptr);
    if (r < 0 || mine != reinterpret_cast<std::uintptr_t>(&mine))
        return -EIO;
    crowd->ended++;
    return 0;
}

double seconds_since(std::int64_t start_ns)
{
    return static_cast<double>(rota_time_ns() - start_ns) / 1e9;
}

/* In a task: gives the loop away until so many have come. */
void await_count(const std::atomic<std::int64_t> &count, std::int64_t wanted)
{
    while (count < wanted)
        ASSERT_EQ(0, rota_sleep(ROTA_MS));
}

/* One life of a million: the figures of each part. */
struct Figures {
    double spawn = 0, park = 0, resume = 0, end = 0;
    Memory before{}, queued{}, parked{}, ended{}, trimmed{};
    std::size_t mappings_parked = 0;
};

void live(std::int64_t count, Figures &figures)
{
    Crowd crowd;
    ASSERT_EQ(0, rota_future_create(&crowd.first_gate, nullptr));
    ASSERT_EQ(0, rota_future_create(&crowd.second_gate, nullptr));
    figures.before = Memory::now();
    std::int64_t start_ns = rota_time_ns();
    for (std::int64_t i = 0; i < count; i++)
        ASSERT_EQ(0, rota_task_spawn(nullptr, be_one, &crowd, nullptr)) << i;
    figures.spawn = seconds_since(start_ns);
    figures.queued = Memory::now();

    start_ns = rota_time_ns();
    await_count(crowd.waiting, count);
    figures.park = seconds_since(start_ns);
    figures.parked = Memory::now();
    figures.mappings_parked = mappings();
    EXPECT_EQ(count + 1, rota_runtime_tasks(rota_running_runtime(), nullptr, 0));

    start_ns = rota_time_ns();
    EXPECT_EQ(0, rota_future_set_result(crowd.first_gate, nullptr));
    await_count(crowd.resumed, count);
    figures.resume = seconds_since(start_ns);

    start_ns = rota_time_ns();
    EXPECT_EQ(0, rota_future_set_result(crowd.second_gate, nullptr));
    while (rota_runtime_tasks(rota_running_runtime(), nullptr, 0) > 1)
        ASSERT_EQ(0, rota_sleep(ROTA_MS));
    figures.end = seconds_since(start_ns);
    figures.ended = Memory::now();
    EXPECT_EQ(count, crowd.ended);
    rota_future_unref(crowd.first_gate);
    rota_future_unref(crowd.second_gate);

    /* This task sleeps, so that the loops are idle: they trim, and go back to sleep. */
    EXPECT_TRUE(loops::eventually(
        [] { return rota_sleep(10 * ROTA_MS) == 0 && roti_stack_pool_warm() == 0; }));
    figures.trimmed = Memory::now();
}

/* 10,000 tasks at scale 1, a million at scale 100. */
TEST(Million, TasksAreSpawnedParkedResumedAndEnded)
{
    if (roti_guard_kind() != ROTI_GUARD_MARKER)
        GTEST_SKIP()
            << "guards are mappings here: see TaskStack.SpawnsAreRefusedWhereTheMappingsEnd";
    support::allow_seconds(280);
    auto count = std::min<std::int64_t>(support::scale(10'000), 1'000'000);
    Figures figures;
    std::size_t mappings_before = mappings();
    roti_stack_trim_override(100 * ROTA_MS);
    EXPECT_EQ(0, loops::run(2, [&] {
                  live(count, figures);
                  return 0;
              }));
    roti_stack_trim_override(0);
    auto of_one = [count](std::int64_t after, std::int64_t before) {
        return static_cast<double>(after - before) / static_cast<double>(count);
    };
    double bytes = of_one(figures.parked.resident, figures.before.resident);
    std::printf(
        "figures: %ld tasks: spawned in %.2f s, parked in %.2f s, resumed in %.2f s, ended in "
        "%.2f s; bytes of one: %.0f queued, %.0f parked, %.0f of page tables; %zu mappings "
        "more; resident %ld MB before, %ld MB parked, %ld MB ended, %ld MB trimmed\n",
        static_cast<long>(count), figures.spawn, figures.park, figures.resume, figures.end,
        of_one(figures.queued.resident, figures.before.resident), bytes,
        of_one(figures.parked.page_tables, figures.before.page_tables),
        figures.mappings_parked - std::min(mappings_before, figures.mappings_parked),
        static_cast<long>(figures.before.resident >> 20),
        static_cast<long>(figures.parked.resident >> 20),
        static_cast<long>(figures.ended.resident >> 20),
        static_cast<long>(figures.trimmed.resident >> 20));
    if (ROTI_ASAN || ROTI_TSAN || ROTI_MIGRATE)
        return;             /* other memory than rota's */
    if (count >= 100'000) { /* few tasks share what the process needs anyway */
        EXPECT_LE(bytes, bytes_of_a_task);
    }
    EXPECT_LT(figures.mappings_parked, mappings_before + 1000);
    /* The headers of tasks stay; the pages of their stacks go. */
    EXPECT_LE(of_one(figures.trimmed.resident, figures.before.resident), 1500);
}

} // namespace
