/* SPDX-License-Identifier: MIT */
/*
 * batch.c - runs, each in a process of its own, and what became of them.
 *
 * Every hundredth seed is played twice: a run that is not a function of its seed could not be
 * looked at again.
 */
#include "tests/sim/batch.h"

#include "tests/sim/engine.h"
#include "tests/sim/kernel.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPEAT_EVERY 100
#define FAILURES_SHOWN 5
#define REASON_MAX 1024

/* What a run leaves behind, in memory that it shares with the driver. */
struct outcome {
    bool passed;
    uint64_t hash;
    uint64_t steps;
    char reason[REASON_MAX];
    struct sim_log log;
};

static struct outcome *outcome;

/* ---- One run ---- */

static __attribute__((noreturn)) void leave(bool passed)
{
    outcome->hash = sim_hash();
    outcome->steps = sim_steps();
    outcome->passed = passed;
    fflush(stdout);
    _exit(passed ? 0 : 1);
}

void sim_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(outcome->reason, sizeof outcome->reason, format, args);
    va_end(args);
    if (sim_is_tracing()) {
        printf("FAILED: %s\n", outcome->reason);
        fflush(stdout);
        sim_report_tasks();
    }
    leave(false);
}

static __attribute__((noreturn)) void run(const struct sim_scenario *scenario,
                                          const struct sim_options *options, uint64_t seed)
{
    sim_decide_begin(options, seed, &outcome->log);
    sim_play(scenario, options);
    if (sim_files_open() != 0)
        sim_fail("%u descriptors are left open", sim_files_open());
    leave(true);
}

static void play(const struct sim_scenario *scenario, const struct sim_options *options,
                 uint64_t seed)
{
    int status;
    outcome->passed = false;
    outcome->reason[0] = '\0';
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        run(scenario, options, seed);
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("a run's process");
        exit(2);
    }
    if (!outcome->passed && outcome->reason[0] == '\0')
        snprintf(outcome->reason, sizeof outcome->reason, "the process ended by %s",
                 WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "itself");
}

/* ---- Shrinking ---- */

/* The start of a reason, which says what kind of failure it is: figures in it may change. */
static bool is_same_kind(const char *one, const char *two)
{
    return strncmp(one, two, 16) == 0;
}

static uint32_t count_wild(const struct sim_log *log)
{
    uint32_t wild = 0;
    for (uint32_t i = 0; i < log->count; i++)
        wild += log->answers[i] != 0;
    return wild;
}

/* Makes `size` decisions from `at` on tame. True: the run still fails in the same way. */
static bool try_tame(const struct sim_scenario *scenario, const char *reason, uint32_t at,
                     uint32_t size)
{
    static const struct sim_options replay = {.replaying = true};
    struct sim_log *log = &outcome->log;
    uint32_t end = at + size < log->count ? at + size : log->count;
    bool any = false;
    for (uint32_t i = at; i < end; i++)
        any = any || log->answers[i] != 0;
    if (!any)
        return false;
    uint32_t *kept = malloc((end - at) * sizeof *kept);
    if (kept == NULL)
        exit(2);
    memcpy(kept, &log->answers[at], (end - at) * sizeof *kept);
    memset(&log->answers[at], 0, (end - at) * sizeof *kept);
    play(scenario, &replay, 1);
    bool same = !outcome->passed && is_same_kind(outcome->reason, reason);
    if (!same)
        memcpy(&log->answers[at], kept, (end - at) * sizeof *kept);
    free(kept);
    return same;
}

static void shrink(const struct sim_scenario *scenario, uint64_t seed)
{
    static const struct sim_options replay = {.replaying = true, .tracing = true};
    struct sim_options plain = {0};
    char reason[REASON_MAX];
    play(scenario, &plain, seed);
    if (outcome->passed) {
        printf("%s seed %lu passes\n", scenario->name, (unsigned long)seed);
        return;
    }
    memcpy(reason, outcome->reason, sizeof reason);
    uint32_t before = count_wild(&outcome->log);
    for (uint32_t size = outcome->log.count; size > 0; size /= 2)
        for (uint32_t at = 0; at < outcome->log.count; at += size)
            (void)try_tame(scenario, reason, at, size);
    play(scenario, &replay, 1);
    printf("%s seed %lu: %u decisions that are not tame, of %u\n", scenario->name,
           (unsigned long)seed, count_wild(&outcome->log), before);
}

/* ---- Many runs ---- */

static bool is_repeatable(const struct sim_scenario *scenario, const struct sim_options *options,
                          uint64_t seed)
{
    uint64_t hash = outcome->hash;
    play(scenario, options, seed);
    if (outcome->hash == hash)
        return true;
    printf("%s: two runs of seed %lu differ: something outside the simulator has a say\n",
           scenario->name, (unsigned long)seed);
    return false;
}

static bool play_all(const struct sim_scenario *scenario, const struct sim_batch *batch)
{
    struct sim_options options = {0};
    uint64_t steps = 0;
    uint64_t fails = 0;
    uint64_t runs = 0;
    bool repeatable = true;
    for (uint64_t i = 0; i < batch->seeds; i++) {
        uint64_t seed = batch->first + (batch->backwards ? batch->seeds - 1 - i : i);
        play(scenario, &options, seed);
        runs++;
        if (batch->hashes)
            printf("%s %lu %016lx\n", scenario->name, (unsigned long)seed,
                   (unsigned long)outcome->hash);
        steps += outcome->steps;
        if (!outcome->passed && fails++ < FAILURES_SHOWN)
            printf("%s seed %lu: %s\n", scenario->name, (unsigned long)seed, outcome->reason);
        if (fails > 0 && batch->must_fail)
            break;
        if (seed % REPEAT_EVERY == 0)
            repeatable = is_repeatable(scenario, &options, seed) && repeatable;
    }
    printf("%s: %lu seeds, %lu failed, %lu steps a run\n", scenario->name, (unsigned long)runs,
           (unsigned long)fails, (unsigned long)(steps / (runs != 0 ? runs : 1)));
    return (fails > 0) == batch->must_fail && repeatable;
}

bool sim_batch_play(const struct sim_scenario *scenario, const struct sim_batch *batch)
{
    static const struct sim_options traced = {.tracing = true};
    if (outcome == NULL)
        outcome =
            mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (outcome == MAP_FAILED) {
        perror("shared memory");
        exit(2);
    }
    if (batch->shrink != 0) {
        shrink(scenario, batch->shrink);
        return true;
    }
    if (batch->trace != 0) {
        play(scenario, &traced, batch->trace);
        return outcome->passed;
    }
    return play_all(scenario, batch);
}
