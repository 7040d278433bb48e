/* SPDX-License-Identifier: MIT */
/*
 * main.c - plays one load on the machine with costs, and prints its figures as one line of JSON.
 */
#include "tests/scaling/cost.h"
#include "tests/scaling/options.h"

#include <string.h>

typedef void (*serve_fn)(struct load_totals *ret_totals, bool fences);

static const char *system_name = "rota";
static bool fences;
static unsigned places;

static bool take(const char *name, const char *value)
{
#define TAKE_COST(cost, ns, text)                                                                  \
    if (strcmp(name, #cost) == 0) {                                                                \
        scale_cost.cost = (int64_t)options_number(value);                                          \
        return true;                                                                               \
    }
    SCALE_COSTS(TAKE_COST)
#undef TAKE_COST
    if (strcmp(name, "system") == 0)
        system_name = value;
    else if (strcmp(name, "fences") == 0)
        fences = options_number(value) != 0;
    else if (strcmp(name, "profile") == 0)
        places = (unsigned)options_number(value);
    else
        return false;
    return true;
}

static serve_fn server(void)
{
    if (strcmp(system_name, "rota") == 0)
        return load_serve_rota;
    bool arrives = load.kind < LOAD_BURST; /* on connections */
    if (strcmp(system_name, "pinned") == 0 && arrives)
        return load_serve_pinned;
    if (strcmp(system_name, "ideal") == 0 && arrives)
        return load_serve_ideal;
    sim_fail("%s does not serve %s", system_name, load_name(load.kind));
}

int main(int argc, char **argv)
{
    struct load_totals totals = {0};
    options_parse(argc, argv, take);
    scale_set_sockets(load.loops >= LOAD_SOCKET_LOOPS ? (load.loops + 1) / 2 : 0);
    server()(&totals, fences);
    load_report(fences ? "rota_fences" : system_name, &totals);
    scale_profile_print(places, load.requests);
    return 0;
}
