/* SPDX-License-Identifier: MIT */
/*
 * base.h - what every public header needs: linkage, attributes, time units, and the names of all
 * public structs.
 */
#ifndef ROTA_BASE_H
#define ROTA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ROTA_VERSION_MAJOR 0
#define ROTA_VERSION_MINOR 1
#define ROTA_VERSION_PATCH 0

/* Opens and closes a header's declarations, so that C++ programs link against C names. */
#ifdef __cplusplus
#define ROTA_BEGIN_DECLS extern "C" {
#define ROTA_END_DECLS }
#else
#define ROTA_BEGIN_DECLS
#define ROTA_END_DECLS
#endif

/* A public function: visible outside the shared library. */
#define ROTA_API __attribute__((visibility("default")))

/* Marks every function that may suspend the calling task: ignoring its result would be ignoring a
 * cancellation. A suspending call may return on another thread than it was made on. */
#define ROTA_SUSPENDS __attribute__((warn_unused_result))

/* Durations and instants are int64_t nanoseconds of CLOCK_MONOTONIC; they saturate. */
#define ROTA_NS ((int64_t)1)
#define ROTA_US ((int64_t)1000)
#define ROTA_MS ((int64_t)1000 * 1000)
#define ROTA_SEC ((int64_t)1000 * 1000 * 1000)
#define ROTA_NEVER INT64_MAX

/* Every public struct, opaque unless its own header completes it. */
struct rota_addr;
struct rota_context;
struct rota_context_token;
struct rota_context_var;
struct rota_error_info;
struct rota_future;
struct rota_handle;
struct rota_loop;
struct rota_run_opts;
struct rota_runtime;
struct rota_server;
struct rota_server_opts;
struct rota_stream;
struct rota_task;
struct rota_task_opts;
struct rota_timeout;

#endif
