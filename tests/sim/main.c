/* SPDX-License-Identifier: MIT */
/*
 * main.c - the command line of the simulator.
 *
 * Without --scenario, all of them. Each prints one line, and for the first failures their seeds.
 * --trace SEED plays one run and prints what happens in it; --shrink SEED looks for a run that
 * fails in the same way with as few decisions that are not tame as it can, and traces that.
 * --finds N passes if each scenario fails within N seeds: the program has a planted fault.
 * --hashes prints the hash of each run's trace, which another process, with --backwards the last
 * seed first, must print as well.
 */
#include "tests/sim/batch.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_key {
    KEY_LIST = 1,
    KEY_SCENARIO,
    KEY_SEEDS,
    KEY_FIRST,
    KEY_TRACE,
    KEY_SHRINK,
    KEY_HASHES,
    KEY_BACKWARDS,
    KEY_FINDS
};

static const struct option long_options[] = {{"list", no_argument, NULL, KEY_LIST},
                                             {"scenario", required_argument, NULL, KEY_SCENARIO},
                                             {"seeds", required_argument, NULL, KEY_SEEDS},
                                             {"first", required_argument, NULL, KEY_FIRST},
                                             {"trace", required_argument, NULL, KEY_TRACE},
                                             {"shrink", required_argument, NULL, KEY_SHRINK},
                                             {"hashes", no_argument, NULL, KEY_HASHES},
                                             {"backwards", no_argument, NULL, KEY_BACKWARDS},
                                             {"finds", required_argument, NULL, KEY_FINDS},
                                             {NULL, 0, NULL, 0}};

static __attribute__((noreturn)) void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--list] [--scenario NAME] [--seeds N] [--first SEED] [--finds N]\n"
            "       [--trace SEED] [--shrink SEED] [--hashes] [--backwards]\n",
            program);
    exit(2);
}

static uint64_t parse_number(const char *program, const char *text)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 0);
    if (*text == '\0' || *end != '\0')
        usage(program);
    return number;
}

static int list(void)
{
    for (unsigned i = 0; sim_scenarios[i] != NULL; i++)
        puts(sim_scenarios[i]->name);
    return 0;
}

static bool parse_option(struct sim_batch *batch, const char *program, int key)
{
    switch (key) {
    case KEY_SCENARIO:
        batch->only = optarg;
        return true;
    case KEY_SEEDS:
        batch->seeds = parse_number(program, optarg);
        return true;
    case KEY_FIRST:
        batch->first = parse_number(program, optarg);
        return true;
    case KEY_FINDS:
        batch->seeds = parse_number(program, optarg);
        batch->must_fail = true;
        return true;
    case KEY_TRACE:
        batch->trace = parse_number(program, optarg);
        return true;
    case KEY_SHRINK:
        batch->shrink = parse_number(program, optarg);
        return true;
    case KEY_HASHES:
        batch->hashes = true;
        return true;
    case KEY_BACKWARDS:
        batch->backwards = true;
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    struct sim_batch batch = {.seeds = 1000, .first = 1};
    int key;
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (key == KEY_LIST)
            return list();
        if (!parse_option(&batch, argv[0], key))
            usage(argv[0]);
    }
    if (optind != argc)
        usage(argv[0]);
    bool known = false;
    bool right = true;
    for (unsigned i = 0; sim_scenarios[i] != NULL; i++) {
        if (batch.only != NULL && strcmp(batch.only, sim_scenarios[i]->name) != 0)
            continue;
        known = true;
        right = sim_batch_play(sim_scenarios[i], &batch) && right;
    }
    if (!known)
        usage(argv[0]);
    return right ? 0 : 1;
}
