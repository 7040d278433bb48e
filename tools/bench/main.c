/* SPDX-License-Identifier: MIT */
/*
 * main.c - rota-bench: the command line, and the list of all benches.
 */
#include "tools/bench/machine.h"
#include "tools/bench/peers.h"
#include "tools/bench/report.h"
#include "tools/bench/run.h"

#include <errno.h>
#include <getopt.h>
#include <rota/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bench *const groups[] = {
    bench_task_benches,  bench_spawn_benches,   bench_memory_benches,  bench_post_benches,
    bench_timer_benches, bench_loop_benches,    bench_context_benches, bench_figures_benches,
    bench_steal_benches, bench_healthy_benches,
};

#define GROUP_COUNT (sizeof groups / sizeof *groups)

struct command {
    struct run_opts run;
    bool list;
    bool json;
    bool require_all;
};

static const char usage_text[] =
    "usage: rota-bench --list\n"
    "       rota-bench [option...] NAME...|all\n"
    "\n"
    "Runs each bench and its baseline in turn; prints medians, the spread over the runs, and the\n"
    "ratio. A name that ends in a dot, such as task., stands for all that begin with it.\n"
    "\n"
    "  --json            one JSON object a line instead of text\n"
    "  --aa              the baseline against itself: what differs is noise\n"
    "  --peers           other runtimes that were built, in the same rounds\n"
    "  --require-all     fail where a bench or a peer cannot be run\n"
    "  --loops N         loops instead of the bench's own number\n"
    "  --runs N          counted runs of each side, at most 1000\n"
    "  --n N             operations in a run\n"
    "  --side rota|baseline   only one side; for profilers\n";

/* ---- Options ---- */

/* A whole number from 1 to `max`. */
static int parse_number(const char *text, uint64_t max, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] == '-' || number < 1 || number > max)
        return -EINVAL;
    *ret_number = number;
    return 0;
}

static int parse_unsigned(const char *text, unsigned max, unsigned *ret_number)
{
    uint64_t number;
    if (parse_number(text, max, &number) < 0)
        return -EINVAL;
    *ret_number = (unsigned)number;
    return 0;
}

static int parse_side(const char *text, struct run_opts *opts)
{
    opts->only_rota = strcmp(text, "rota") == 0;
    opts->only_baseline = strcmp(text, "baseline") == 0;
    return opts->only_rota || opts->only_baseline ? 0 : -EINVAL;
}

static int parse_option(int option, struct command *command)
{
    switch (option) {
    case 'l':
        command->list = true;
        return 0;
    case 'j':
        command->json = true;
        return 0;
    case 'a':
        command->run.aa = true;
        return 0;
    case 'p':
        command->run.peers = true;
        return 0;
    case 'q':
        command->require_all = true;
        return 0;
    case 'o':
        return parse_unsigned(optarg, 256, &command->run.loops);
    case 'r':
        return parse_unsigned(optarg, RUN_ROUNDS_MAX, &command->run.runs);
    case 'n':
        return parse_number(optarg, UINT32_MAX, &command->run.n);
    case 's':
        return parse_side(optarg, &command->run);
    default:
        return -EINVAL;
    }
}

static int parse(int argc, char **argv, struct command *ret_command)
{
    static const struct option options[] = {
        {"list", no_argument, NULL, 'l'},        {"json", no_argument, NULL, 'j'},
        {"aa", no_argument, NULL, 'a'},          {"peers", no_argument, NULL, 'p'},
        {"require-all", no_argument, NULL, 'q'}, {"loops", required_argument, NULL, 'o'},
        {"runs", required_argument, NULL, 'r'},  {"n", required_argument, NULL, 'n'},
        {"side", required_argument, NULL, 's'},  {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (parse_option(option, ret_command) < 0)
            return -EINVAL;
    return ret_command->list || optind < argc ? 0 : -EINVAL;
}

/* ---- Benches ---- */

static void list(void)
{
    for (size_t i = 0; i < GROUP_COUNT; i++)
        for (const struct bench *bench = groups[i]; bench->name != NULL; bench++)
            printf("%-28s %s; baseline: %s; target %s\n", bench->name, bench->text,
                   bench->baseline_name, bench->target);
}

static bool selected(const struct bench *bench, const char *pattern)
{
    size_t length = strlen(pattern);
    if (length > 0 && pattern[length - 1] == '.')
        return strncmp(bench->name, pattern, length) == 0;
    return strcmp(pattern, "all") == 0 || strcmp(pattern, bench->name) == 0;
}

/* Runs and reports one bench. False if it failed, or may not be left out. */
static bool run_one(const struct bench *bench, const struct command *command)
{
    static struct run_result result;
    int r = run_bench(bench, &command->run, &result);
    if (r < 0) {
        fprintf(stderr, "rota-bench: %s: %s\n", bench->name,
                r == -EOPNOTSUPP ? "cannot be run on this machine" : rota_strerror(r));
        return r == -EOPNOTSUPP && !command->require_all;
    }
    if (command->json)
        report_json(&result);
    else
        report_text(&result);
    return true;
}

/* Runs all that `pattern` stands for. False if there is none, or one failed. */
static bool run_pattern(const char *pattern, const struct command *command)
{
    bool found = false;
    bool good = true;
    for (size_t i = 0; i < GROUP_COUNT; i++)
        for (const struct bench *bench = groups[i]; bench->name != NULL; bench++)
            if (selected(bench, pattern)) {
                found = true;
                good = run_one(bench, command) && good;
            }
    if (!found)
        fprintf(stderr, "rota-bench: no bench '%s'; --list names all\n", pattern);
    return found && good;
}

int main(int argc, char **argv)
{
    struct command command = {0};
    bool good = true;
    if (parse(argc, argv, &command) < 0) {
        fputs(usage_text, stderr);
        return 2;
    }
    if (command.list) {
        list();
        return 0;
    }
    if (command.run.peers && peers_report_missing() > 0)
        good = !command.require_all;
    for (int i = optind; i < argc; i++)
        good = run_pattern(argv[i], &command) && good;
    return good ? 0 : 1;
}
