/* SPDX-License-Identifier: MIT */
/*
 * run.c - rounds: rota, baseline, peers, and again. One round before the first is not counted: it
 * fills caches and pools. Benches that must not find them filled run in a process for each run.
 */
#include "tools/bench/run.h"

#include "tools/bench/machine.h"
#include "tools/bench/peers.h"

#include <errno.h>
#include <rota/runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void bench_note(const struct bench_run *run, const char *key, double value)
{
    struct bench_notes *notes = run->notes;
    if (notes->count == BENCH_NOTES_MAX)
        return;
    (void)snprintf(notes->items[notes->count].key, BENCH_KEY_SIZE, "%s", key);
    notes->items[notes->count++].value = value;
}

int bench_in_runtime(const struct bench_run *run, rota_task_fn fn, void *arg)
{
    return rota_run(fn, arg, &(struct rota_run_opts){.loops = run->loops, .no_signals = true});
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

double bench_median(double *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* ---- One run ---- */

/* What a child process sends back. */
struct answer {
    int status;
    double value;
    struct bench_notes notes;
};

static int run_in_child(bench_fn fn, struct bench_run *run, double *ret_value)
{
    struct answer answer = {.status = -EPIPE};
    int ends[2];
    if (pipe(ends) < 0)
        return -errno;
    pid_t child = fork();
    if (child < 0) {
        int error = errno;
        (void)close(ends[0]);
        (void)close(ends[1]);
        return -error;
    }
    if (child == 0) {
        answer.status = fn(run, &answer.value);
        answer.notes = *run->notes;
        _exit(write(ends[1], &answer, sizeof answer) != (ssize_t)sizeof answer);
    }
    (void)close(ends[1]);
    /* Less than PIPE_BUF, so it comes whole or, if the child crashed, not at all. */
    if (read(ends[0], &answer, sizeof answer) != (ssize_t)sizeof answer)
        answer.status = -EPIPE;
    (void)close(ends[0]);
    (void)waitpid(child, NULL, 0);
    if (answer.status < 0)
        return answer.status;
    *ret_value = answer.value;
    *run->notes = answer.notes;
    return 0;
}

/* One run, the figures of which are added to `side`. */
static int run_side(const struct run_result *result, bench_fn fn, struct run_side *side,
                    const char *peer)
{
    struct bench_notes *notes = &side->notes[side->count];
    struct bench_run run = {
        .n = result->n,
        .loops = result->loops,
        .arg = result->bench->arg,
        .peer = peer,
        .notes = notes,
    };
    double value = 0;
    *notes = (struct bench_notes){0};
    int r = (result->bench->flags & BENCH_OWN_PROCESS) != 0 ? run_in_child(fn, &run, &value)
                                                            : fn(&run, &value);
    if (r < 0)
        return r;
    side->values[side->count++] = value;
    return 0;
}

static int run_peer(const struct run_result *result, struct run_side *side)
{
    double value;
    if ((result->bench->flags & BENCH_PEER_SERVES) != 0)
        return run_side(result, result->bench->baseline, side, side->name);
    int r = peer_run(side->name, result->bench->name, result->n, result->loops, &value);
    if (r < 0)
        return r;
    side->notes[side->count] = (struct bench_notes){0};
    side->values[side->count++] = value;
    return 0;
}

/* ---- Rounds ---- */

static int run_round(struct run_result *result, const struct run_opts *opts)
{
    const struct bench *bench = result->bench;
    int r = 0;
    if (result->rota.name != NULL)
        r = run_side(result, opts->aa ? bench->baseline : bench->rota, &result->rota, NULL);
    if (r == 0 && result->baseline.name != NULL)
        r = run_side(result, bench->baseline, &result->baseline, NULL);
    for (unsigned i = 0; r == 0 && i < result->peer_count; i++)
        r = run_peer(result, &result->peers[i]);
    return r;
}

/* Forgets the figures of the first round. */
static void forget(struct run_result *result)
{
    result->rota.count = 0;
    result->baseline.count = 0;
    for (unsigned i = 0; i < result->peer_count; i++)
        result->peers[i].count = 0;
}

static int run_rounds(struct run_result *result, const struct run_opts *opts)
{
    unsigned runs = opts->runs != 0 ? opts->runs : result->bench->runs;
    bool cold = (result->bench->flags & BENCH_OWN_PROCESS) != 0;
    int r = 0;
    if (!cold && runs > 1) {
        r = run_round(result, opts);
        forget(result);
    }
    for (unsigned i = 0; r == 0 && i < runs; i++)
        r = run_round(result, opts);
    return r;
}

int run_bench(const struct bench *bench, const struct run_opts *opts, struct run_result *ret_result)
{
    struct run_result *result = ret_result;
    unsigned loops = opts->loops != 0 ? opts->loops : bench->loops;
    result->bench = bench;
    result->n = opts->n != 0 ? opts->n : bench->n;
    result->loops = loops != 0 ? loops : machine_cpu_count();
    result->rota.name = opts->only_baseline ? NULL : opts->aa ? bench->baseline_name : "rota";
    result->baseline.name = opts->only_rota ? NULL : bench->baseline_name;
    result->peer_count = 0;
    forget(result);
    if (opts->peers)
        result->peer_count = peers_with(bench->name, result->peers);

    cpu_set_t before;
    bool bound = result->loops == 1 && (bench->flags & BENCH_THREADS) == 0;
    if (bound)
        machine_bind(&before);
    struct machine_use start = machine_use_now();
    int r = run_rounds(result, opts);
    result->others_busy = machine_others_busy(start);
    if (bound)
        machine_unbind(&before);
    return r;
}
