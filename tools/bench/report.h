/* SPDX-License-Identifier: MIT */
/*
 * report.h - results as text and as JSON.
 */
#ifndef ROTI_BENCH_REPORT_H
#define ROTI_BENCH_REPORT_H

#include "tools/bench/run.h"

/* Three lines or so for people. */
void report_text(const struct run_result *result);

/* One object a line: one for the baseline and one for each peer. */
void report_json(const struct run_result *result);

#endif
