/* SPDX-License-Identifier: MIT */
/*
 * profile.c - at which places of the source the loops' time goes, beside service times.
 *
 * A place is the address that a stand-in was called from, in a program that is loaded where it was
 * linked to: what is printed, `addr2line -i` turns into files and lines.
 */
#include "tests/scaling/cost.h"

#include <stdio.h>
#include <stdlib.h>

#define PLACES_MAX 4096

struct place {
    uintptr_t address; /* 0: free */
    int64_t ns;
    uint64_t count;
};

static struct place places[PLACES_MAX];

void scale_profile(const void *address, int64_t ns)
{
    size_t i = ((uintptr_t)address * UINT64_C(0x9E3779B97F4A7C15)) >> 52;
    while (places[i].address != (uintptr_t)address && places[i].address != 0)
        i = (i + 1) % PLACES_MAX;
    places[i].address = (uintptr_t)address;
    places[i].ns += ns;
    places[i].count++;
}

void scale_profile_begin(void)
{
    for (size_t i = 0; i < PLACES_MAX; i++)
        places[i] = (struct place){.address = places[i].address};
}

static int compare(const void *one, const void *two)
{
    int64_t first = ((const struct place *)one)->ns;
    int64_t second = ((const struct place *)two)->ns;
    return (first < second) - (first > second);
}

void scale_profile_print(unsigned count, unsigned requests)
{
    qsort(places, PLACES_MAX, sizeof *places, compare);
    for (unsigned i = 0; i < count && i < PLACES_MAX && places[i].ns > 0; i++)
        fprintf(stderr, "%#lx %.1f ns, %.3f times a request\n",
                (unsigned long)places[i].address - 1, /* in the call, not after it */
                (double)places[i].ns / requests, (double)places[i].count / requests);
}
