/* SPDX-License-Identifier: MIT */
/*
 * rows.h - the rows of the table, as parameters of tests, and one run of one.
 */
#ifndef ROTA_TESTS_ROWS_H
#define ROTA_TESTS_ROWS_H

#include <cstdlib>
#include <dirent.h>
#include <functional>
#include <rota/error.h>
#include <string>

#include "loop/io_impl.h"
#include "sched/stack.h"
#include "tests/loop/run_loops.h"
#include "tests/sweep/table.h"

namespace sweep {

struct Case {
    Row row;
    unsigned loops;
};

/* Every row with one loop and with four, but for those that need more than one. */
inline std::vector<Case> all_cases()
{
    const Row rows[] = {
#define SWEEP_ROW(function, scenario, loops, waits, ends)                                          \
    {#function, #scenario, scenario, loops, waits, ends},
        ROTI_SWEEP_TABLE(SWEEP_ROW)
#undef SWEEP_ROW
    };
    std::vector<Case> cases;
    for (const Row &row : rows)
        for (unsigned loops : {1U, 4U})
            if (loops >= row.loops_min)
                cases.push_back({row, loops});
    return cases;
}

/* What one run must give back. */
struct Held {
    static Held now()
    {
        Held held{support::live_bytes(), roti_stack_live_count(), roti_io_live(), 0};
        DIR *stream = opendir("/proc/self/fd");
        while (readdir(stream) != nullptr)
            held.descriptors++;
        closedir(stream);
        return held;
    }
    bool operator==(const Held &) const = default;

    std::ptrdiff_t bytes;
    std::size_t stacks;
    std::size_t sockets;
    int descriptors;
};

inline void PrintTo(const Held &held, std::ostream *out)
{
    *out << held.bytes << " bytes, " << held.stacks << " stacks, " << held.sockets << " sockets, "
         << held.descriptors << " descriptors";
}

inline void PrintTo(const Case &value, std::ostream *out)
{
    *out << value.row.name << " of " << value.row.function << " on " << value.loops << " loops";
}

class Sweep : public testing::TestWithParam<Case> {
protected:
    const Row &row() const
    {
        return GetParam().row;
    }
    unsigned loops() const
    {
        return GetParam().loops;
    }

    /* For the campaign's figures. */
    void TearDown() override
    {
        RecordProperty("runs", runs_);
    }

    /* The scenario, in a runtime of its own. */
    int run(Trial &trial)
    {
        return run_main([&] { return row().scenario(trial); });
    }

    /* A runtime that must give back all it took. */
    int run_main(const std::function<int()> &main)
    {
        runs_++;
        rota_run_opts opts{};
        opts.no_signals = true;
        opts.exception_handler = [](const rota_error_info *, void *) {}; /* a server reports much */
        Held before = Held::now();
        int r = loops::run(loops(), main, opts);
        EXPECT_EQ(before, Held::now()) << "the run has kept something";
        return r;
    }

private:
    int runs_ = 0;
};

#define ROTA_SWEEP_CASES(suite)                                                                    \
    INSTANTIATE_TEST_SUITE_P(Rows, suite, testing::ValuesIn(all_cases()), [](const auto &info) {   \
        return std::string(info.param.row.name) + "_" + std::to_string(info.param.loops);          \
    })

} // namespace sweep

#endif
