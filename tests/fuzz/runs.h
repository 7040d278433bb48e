/* SPDX-License-Identifier: MIT */
/*
 * runs.h - a runtime for one input: one loop, nothing reported, nothing left behind.
 */
#ifndef ROTI_TESTS_FUZZ_RUNS_H
#define ROTI_TESTS_FUZZ_RUNS_H

#include <rota/error.h>
#include <rota/runtime.h>

#include <cstddef>

#include "sched/base/alloc.h"
#include "tests/fuzz/fuzz.h"

namespace fuzz {

inline std::ptrdiff_t bytes_in_use; /* of rota's heap; one loop is one thread */

/* Failures that nobody else sees: there are to be none. */
inline void refuse_report(const rota_error_info *info, void *)
{
    fprintf(stderr, "reported: %s (%s)\n", info->message, rota_error_name(info->error));
    abort();
}

/* Runs fn(arg) as the first task and checks that it returned 0, and gave all memory back. */
inline void run(rota_task_fn fn, void *arg)
{
    rota_run_opts opts = {};
    opts.loops = 1;
    opts.no_signals = true;
    opts.exception_handler = refuse_report;
    roti_alloc_set_balance_hook([](std::ptrdiff_t change) { bytes_in_use += change; });
    std::ptrdiff_t before = bytes_in_use;
    FUZZ_ASSERT(rota_run(fn, arg, &opts) == 0);
    FUZZ_ASSERT(bytes_in_use == before);
    roti_alloc_set_balance_hook(nullptr);
}

/* Lets the loop poll, which it does each 61 steps, and whoever is ready then. It never sleeps: the
 * processor would go to somebody else. */
inline void let_poll()
{
    for (int i = 0; i < 64; i++)
        FUZZ_ASSERT(rota_yield() == 0);
}

} // namespace fuzz

#endif
