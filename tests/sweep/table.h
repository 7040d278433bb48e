/* SPDX-License-Identifier: MIT */
/*
 * table.h - every public function that suspends, and the scenarios in which it is swept.
 *
 * tools/tidy.py fails where such a function has no row. The runners are *_sweep_test.cc.
 */
#ifndef ROTA_TESTS_SWEEP_TABLE_H
#define ROTA_TESTS_SWEEP_TABLE_H

#include "tests/sweep/trial.h"

/*
 * X(function, scenario, fewest loops, waits, ends). The scenario is the name of a function in
 * scenarios_*.cc. Fewest loops: with fewer it has nobody to wait for. Waits: it must suspend where
 * nothing fails. Ends: a request ends the wait that it meets; else it is left to the next one.
 */
#define ROTI_SWEEP_TABLE(X)                                                                        \
    X(rota_task_await, await_child, 1, true, true)                                                 \
    X(rota_task_await, await_chain, 1, true, true)                                                 \
    X(rota_task_await, await_unstoppable, 1, false, false)                                         \
    X(rota_task_shield, shield_child, 1, true, true)                                               \
    X(rota_yield, yield_thrice, 1, true, true)                                                     \
    X(rota_sleep, sleep_shortly, 1, true, true)                                                    \
    X(rota_sleep, sleep_in_scopes, 1, true, true)                                                  \
    X(rota_sleep, sleep_past_scope, 1, true, true)                                                 \
    X(rota_sleep_until, sleep_until_instant, 1, true, true)                                        \
    X(rota_handle_cancel_wait, cancel_running_callback, 2, true, false)                            \
    X(rota_future_await, await_result, 1, true, true)                                              \
    X(rota_future_await, await_error, 1, true, true)                                               \
    X(rota_future_await, await_closed, 1, true, true)                                              \
    X(rota_context_run, run_in_contexts, 1, true, true)                                            \
    X(rota_context_iterate, iterate_and_wait, 1, true, true)                                       \
    X(rota_stream_connect, connect_tcp, 1, false, false)                                           \
    X(rota_stream_connect, connect_unanswered, 1, true, true)                                      \
    X(rota_stream_connect, connect_full_queue, 1, true, true)                                      \
    X(rota_stream_wait_closed, wait_sent, 1, true, true)                                           \
    X(rota_stream_wait_closed, wait_aborted, 1, true, true)                                        \
    X(rota_stream_read, read_some, 1, true, true)                                                  \
    X(rota_stream_read, read_at_end, 1, true, true)                                                \
    X(rota_stream_readexactly, read_exactly, 1, true, true)                                        \
    X(rota_stream_readexactly, read_incomplete, 1, true, true)                                     \
    X(rota_stream_readuntil, read_until, 1, true, true)                                            \
    X(rota_stream_readline, read_line, 1, true, true)                                              \
    X(rota_stream_peek, peek_at_start, 1, true, true)                                              \
    X(rota_stream_write, write_above_mark, 1, true, false)                                         \
    X(rota_stream_writev, write_pieces, 1, true, false)                                            \
    X(rota_stream_drain, drain_backlog, 1, true, true)                                             \
    X(rota_server_serve_forever, serve_handing_over, 1, true, true)                                \
    X(rota_server_serve_forever, serve_on_each_loop, 1, true, true)                                \
    X(rota_server_serve_forever, serve_by_who_sleeps, 1, true, true)                               \
    X(rota_server_serve_forever, serve_a_guest, 1, true, true)                                     \
    X(rota_server_wait_closed, wait_for_client, 1, true, true)

namespace sweep {

#define SWEEP_DECLARATION(function, scenario, loops, waits, ends) int scenario(Trial &trial);
ROTI_SWEEP_TABLE(SWEEP_DECLARATION)
#undef SWEEP_DECLARATION

struct Row {
    const char *function;
    const char *name;
    int (*scenario)(Trial &trial);
    unsigned loops_min;
    bool waits;
    bool ends;
};

} // namespace sweep

#endif
