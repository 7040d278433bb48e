/* SPDX-License-Identifier: MIT */
/*
 * options.c - the load, from arguments NAME=VALUE.
 */
#include "tests/scaling/options.h"

#include "tests/scaling/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOPS_MAX 256
#define CONNECTIONS_PER_LOOP 32

static __attribute__((noreturn)) void fail(const char *what, const char *argument)
{
    fprintf(stderr,
            "scaling: %s: %s\n"
            "arguments: load=NAME loops=N connections=N requests=N service_us=X think_us=X\n"
            "use=SHARE stalls=SHARE seed=N; simulated: system=rota|pinned|ideal fences=0|1,\n"
            "profile=PLACES, and each cost, in nanoseconds\n",
            what, argument);
    exit(2);
}

double options_number(const char *text)
{
    char *end;
    double number = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(number >= 0))
        fail("no number", text);
    return number;
}

static bool take(const char *name, const char *value)
{
    if (strcmp(name, "load") == 0)
        load.kind = load_kind_of(value);
    else if (strcmp(name, "loops") == 0)
        load.loops = (unsigned)options_number(value);
    else if (strcmp(name, "connections") == 0)
        load.connections = (unsigned)options_number(value);
    else if (strcmp(name, "requests") == 0)
        load.requests = (unsigned)options_number(value);
    else if (strcmp(name, "service_us") == 0)
        load.service_ns = (int64_t)(options_number(value) * 1e3);
    else if (strcmp(name, "think_us") == 0)
        load.think_ns = (int64_t)(options_number(value) * 1e3);
    else if (strcmp(name, "use") == 0)
        load.use = options_number(value);
    else if (strcmp(name, "stalls") == 0)
        load.stall_rate = options_number(value);
    else if (strcmp(name, "seed") == 0)
        load.seed = (uint64_t)options_number(value);
    else
        return false;
    return true;
}

void options_parse(int argc, char **argv, bool (*other)(const char *name, const char *value))
{
    load = (struct load_opts){
        .loops = 2, .requests = 20000, .service_ns = 10000, .think_ns = 1000000, .use = 0.7};
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL)
            fail("no NAME=VALUE", argv[i]);
        *value = '\0';
        if (!take(argv[i], value + 1) && !other(argv[i], value + 1))
            fail("unknown", argv[i]);
    }
    if (load.kind == LOAD_KIND_COUNT)
        fail("no such load", "load");
    if (load.loops == 0 || load.loops > LOOPS_MAX)
        fail("1 to 256", "loops");
    if (load.connections == 0)
        load.connections = CONNECTIONS_PER_LOOP * load.loops;
    if (load.connections < load.loops || load.requests == 0 || load.service_ns == 0 ||
        load.use == 0)
        fail("too small", "connections, requests, service_us or use");
}
