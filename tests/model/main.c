/* SPDX-License-Identifier: MIT */
/*
 * main.c - the command line of a model test program.
 *
 * Without --test, all tests of the program. Each prints one line, and the program fails if any
 * test does: a run failed, a seeded bug was not found in time, or an outcome was missing.
 * A test stops at its first failure, unless --count asks how many there are.
 * `--seed N` alone plays that one run again and prints each step; a trace is equal for equal seeds.
 * --finds passes if a test fails: the program was built with a fault in it. --mutants --list names
 * the mutants only.
 */
#include "tests/model/batch.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_key {
    KEY_LIST = 1,
    KEY_TEST,
    KEY_STRATEGY,
    KEY_DEPTH,
    KEY_RUNS,
    KEY_SEED,
    KEY_SC,
    KEY_MUTANT,
    KEY_SITES,
    KEY_MUTANTS,
    KEY_FINDS,
    KEY_COUNT
};

static const struct option long_options[] = {{"list", no_argument, NULL, KEY_LIST},
                                             {"test", required_argument, NULL, KEY_TEST},
                                             {"strategy", required_argument, NULL, KEY_STRATEGY},
                                             {"depth", required_argument, NULL, KEY_DEPTH},
                                             {"runs", required_argument, NULL, KEY_RUNS},
                                             {"seed", required_argument, NULL, KEY_SEED},
                                             {"sc", no_argument, NULL, KEY_SC},
                                             {"mutant", required_argument, NULL, KEY_MUTANT},
                                             {"sites", no_argument, NULL, KEY_SITES},
                                             {"mutants", no_argument, NULL, KEY_MUTANTS},
                                             {"finds", no_argument, NULL, KEY_FINDS},
                                             {"count", no_argument, NULL, KEY_COUNT},
                                             {NULL, 0, NULL, 0}};

struct command {
    struct model_batch batch;
    bool sites;
    bool mutants;
    bool finds;
};

static struct model_test *tests;
static struct model_test **tests_tail = &tests;

void model_register(struct model_test *test, const char *name)
{
    test->name = name;
    *tests_tail = test;
    tests_tail = &test->next;
}

static __attribute__((noreturn)) void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--list] [--test NAME] [--strategy random|pct|dfs] [--depth D]\n"
            "       [--runs N] [--seed N] [--count] [--sc] [--mutant LABEL[:n]]\n"
            "       [--sites] [--mutants] [--finds]\n",
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

static enum model_strategy parse_strategy(const char *program, const char *text)
{
    for (enum model_strategy s = MODEL_RANDOM; s <= MODEL_DFS; s++)
        if (strcmp(text, model_strategy_name(s)) == 0)
            return s;
    usage(program);
}

static void parse_option(struct command *command, const char *program, int key)
{
    struct model_batch *batch = &command->batch;
    switch (key) {
    case KEY_LIST:
        batch->list = true;
        break;
    case KEY_TEST:
        batch->only = optarg;
        break;
    case KEY_STRATEGY:
        batch->search.strategy = parse_strategy(program, optarg);
        break;
    case KEY_DEPTH:
        batch->search.depth = (unsigned)parse_number(program, optarg);
        break;
    case KEY_RUNS:
        batch->runs = parse_number(program, optarg);
        break;
    case KEY_SEED:
        batch->seed = parse_number(program, optarg);
        break;
    case KEY_SC:
        batch->search.sequential = true;
        break;
    case KEY_MUTANT:
        batch->mutant = optarg;
        break;
    case KEY_SITES:
        command->sites = true;
        break;
    case KEY_COUNT:
        batch->count = true;
        break;
    case KEY_MUTANTS:
        command->mutants = true;
        break;
    case KEY_FINDS:
        command->finds = true;
        break;
    default:
        usage(program);
    }
}

static struct command parse(int argc, char **argv)
{
    struct command command = {.batch = {.search = {.strategy = MODEL_RANDOM, .depth = 3}}};
    int key;
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        parse_option(&command, argv[0], key);
    if (optind != argc)
        usage(argv[0]);
    return command;
}

static bool play(const struct command *command, const struct model_test *test)
{
    if (command->batch.list) {
        puts(test->name);
        return true;
    }
    return model_batch_play(test, &command->batch);
}

int main(int argc, char **argv)
{
    struct command command = parse(argc, argv);
    bool passed = true;
    bool found = false;
    setvbuf(stdout, NULL, _IOLBF, 0);
    model_crashes_fail();
    for (const struct model_test *test = tests; test != NULL; test = test->next) {
        if (!model_batch_wants(&command.batch, test))
            continue;
        found = true;
        if (!command.mutants && !command.finds)
            passed &= play(&command, test);
    }
    if (!found) {
        fprintf(stderr, "%s: no such test\n", argv[0]);
        return 2;
    }
    if (command.mutants)
        passed = model_campaign(tests, &command.batch);
    if (command.finds)
        passed = model_finds(tests, &command.batch);
    if (command.sites)
        model_sites_print();
    return passed ? 0 : 1;
}
