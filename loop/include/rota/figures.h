/* SPDX-License-Identifier: MIT */
/*
 * figures.h - what loops tell about their work: waits and run times, by loop and by name; and all
 * figures as text for Prometheus.
 *
 * A *step* is what a loop runs at once: a callback, or a task from where it goes on to its next
 * suspension. Its *ready-wait* is the time from being queued, by whatever made it ready, to its
 * beginning; its *run time* goes from there to its end. What a loop does between two steps that
 * follow at once counts with the second. A task that another loop has stolen counts on that one.
 *
 * Times are taken while figures are on: rota_run_opts.figures, or rota_runtime_set_figures(). What
 * was recorded stays when they are switched off. Counters (rota_loop_counters()) are always on.
 *
 * A snapshot that is taken while loops run has every step that ended before the call, none that
 * ends after it, and of those that end meanwhile some; each bucket only grows from one snapshot to
 * the next. The count is the sum of the buckets; the sum of times, and other snapshots of the same
 * moment, may have another few of the steps that end meanwhile. docs/tuning.md says how to read it.
 */
#ifndef ROTA_FIGURES_H
#define ROTA_FIGURES_H

#include <rota/base.h>
#include <rota/histogram.h>
#include <rota/task.h>

ROTA_BEGIN_DECLS

/* Which times. */
enum rota_figure {
    ROTA_FIGURE_WAIT = 1, /* ready-waits */
    ROTA_FIGURE_RUN,      /* run times of steps */
};

/*
 * Take times of steps from now on, or no longer. What waits in a queue at the switching on counts
 * as a step and not as a wait, as nobody knows since when it is there.
 *
 * Returns: 0, also where they were on, or off, already.
 * Errors: -EINVAL (NULL).
 * Call from: any thread while the runtime runs. Suspends: no; the first switching on in a process
 * may take half a millisecond, in which it measures a clock.
 * Ownership: borrowed.
 */
ROTA_API int rota_runtime_set_figures(struct rota_runtime *runtime, bool on);

/*
 * Whether times are taken.
 *
 * Returns: true between a switching on and the next switching off.
 * Errors: none; false for NULL.
 * Call from: any thread while the runtime runs. Suspends: no.
 * Ownership: borrowed.
 */
ROTA_API bool rota_runtime_has_figures(struct rota_runtime *runtime);

/*
 * What one loop has recorded since its start.
 *
 * Returns: 0 with *ret_histogram filled.
 * Errors: -EINVAL (NULL, or no such figure).
 * Call from: any thread that holds a reference to the loop, after its close too. Suspends: no.
 * Ownership: *ret_histogram is the caller's; it has 2.4 KiB.
 */
ROTA_API int rota_loop_histogram(const struct rota_loop *loop, enum rota_figure figure,
                                 struct rota_histogram *ret_histogram);

/*
 * What all loops of a runtime have recorded, added up.
 *
 * Returns: 0 with *ret_histogram filled.
 * Errors: -EINVAL (NULL, or no such figure).
 * Call from: any thread while the runtime runs. Suspends: no.
 * Ownership: *ret_histogram is the caller's; it has 2.4 KiB.
 */
ROTA_API int rota_runtime_histogram(struct rota_runtime *runtime, enum rota_figure figure,
                                    struct rota_histogram *ret_histogram);

/*
 * Figures of all tasks with one name, on all loops, while figures were on. A step counts for the
 * name that the task has at its end. The process has room for 253 names; tasks with names that came
 * later are "(other)", those without one "(unnamed)", and callbacks "(callbacks)": give tasks of a
 * kind one name, and no numbers.
 */
struct rota_name_figures {
    char name[ROTA_TASK_NAME_SIZE];
    uint64_t started;  /* tasks whose first step has ended */
    uint64_t finished; /* tasks that have ended */
    uint64_t steps;
    uint64_t run_ns;  /* of all steps */
    uint64_t wait_ns; /* of all ready-waits */
};

/*
 * The figures of each name that has had a step, in the order in which the names first came.
 *
 * Returns: how many names there are, which may be more than `size`; the first `size` are in
 * `entries`.
 * Errors: -EINVAL (NULL runtime, or NULL entries with size above 0).
 * Call from: any thread while the runtime runs. Suspends: no.
 * Ownership: `entries` is the caller's.
 */
ROTA_API ssize_t rota_runtime_name_figures(struct rota_runtime *runtime,
                                           struct rota_name_figures *entries, size_t size);

/* Takes a piece of text, not terminated. Negative: the writing ends with that error. */
typedef int (*rota_emit_fn)(void *arg, const char *data, size_t size);

/*
 * Write all figures of a runtime as text for Prometheus (exposition format 0.0.4): counters and
 * queues of each loop, tasks, and, once figures have been on, histograms of each loop and sums of
 * each name. Names of tasks are valid UTF-8 afterwards: a byte that is not comes out as U+FFFD and
 * two digits.
 *
 * Returns: 0. `emit` has then been called with all of it, piece by piece, on this thread.
 * Errors: -EINVAL (NULL runtime or emit), -ENOMEM, and what `emit` returned.
 * Call from: any thread while the runtime runs. Suspends: no, unless `emit` does, which it may.
 * Ownership: `arg` is passed on; `data` is borrowed during the call of `emit`.
 */
ROTA_API int rota_metrics_write(struct rota_runtime *runtime, rota_emit_fn emit, void *arg);

ROTA_END_DECLS

#endif
