/* SPDX-License-Identifier: MIT */
/*
 * name.c - names of tasks: each distinct text once, with a number. The essay is in the header.
 */
#include "sched/name.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/base/spin.h"

#include <errno.h>
#include <string.h>

#define TEXT_SIZE ROTA_TASK_NAME_SIZE
#define PLACE_COUNT (2 * ROTI_NAME_COUNT)

_Static_assert((PLACE_COUNT & (PLACE_COUNT - 1)) == 0, "places are found by a mask");
_Static_assert(ROTI_NAME_COUNT > ROTI_NAME_FIRST, "there is room for programs' names");
_Static_assert(TEXT_SIZE % sizeof(uint64_t) == 0, "texts are hashed by words");

static alignas(ROTI_CACHE_LINE) char texts[ROTI_NAME_COUNT][TEXT_SIZE] = {
    [ROTI_NAME_UNNAMED] = "(unnamed)",
    [ROTI_NAME_OTHER] = "(other)",
    [ROTI_NAME_CALLBACK] = "(callbacks)",
};
static _Atomic(uint32_t) places[PLACE_COUNT]; /* a number and 1; 0: free; written under the lock */
static _Atomic(uint32_t) count = ROTI_NAME_FIRST; /* written under the lock */
static struct roti_spin lock;                     /* growth */

static unsigned hash(const char *text)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < TEXT_SIZE; i += sizeof sum) {
        uint64_t word;
        memcpy(&word, text + i, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 32;
    }
    return (unsigned)sum;
}

static bool same(unsigned number, const char *text)
{
    ROTI_PLAIN_READ(texts[number]);
    return memcmp(texts[number], text, TEXT_SIZE) == 0;
}

/* The text's number, or -1 with *ret_place the free place where the search ended. There is always
 * one, as places are twice as many as texts. */
static int find(const char *text, unsigned *ret_place)
{
    for (unsigned place = hash(text);; place++) {
        /* [NM1] acquire: pairs with [NM2]; the text is written. */
        uint32_t found = roti_load(NM1, acquire, &places[place & (PLACE_COUNT - 1)]);
        if (found == 0) {
            *ret_place = place & (PLACE_COUNT - 1);
            return -1;
        }
        if (same(found - 1, text))
            return (int)found - 1;
    }
}

/* A number for a text that is not in the index; -1: the table is full. Under the lock. */
static int add(const char *text, unsigned place)
{
    /* [NM3] relaxed: written under the lock only. */
    unsigned number = roti_load(NM3, relaxed, &count);
    for (unsigned i = 0; i < ROTI_NAME_FIRST; i++)
        if (same(i, text))
            number = i; /* it has one, and no place in the index yet */
    if (number == ROTI_NAME_COUNT)
        return -1;
    if (number >= ROTI_NAME_FIRST) {
        ROTI_PLAIN_WRITE(texts[number]);
        memcpy(texts[number], text, TEXT_SIZE);
    }
    /* [NM2] release: pairs with [NM1]; the text is written, and never changes from here on. */
    roti_store(NM2, release, &places[place], number + 1);
    if (number >= ROTI_NAME_FIRST)
        /* [NM4] release: pairs with [NM5]; who counts the text can read it, and finds its place. */
        roti_store(NM4, release, &count, number + 1);
    return (int)number;
}

/* The text's number, which it gets now if it has none; -1: the table is full. */
static int intern(const char *text)
{
    unsigned place;
    int number = find(text, &place);
    if (number >= 0)
        return number;
    if (roti_name_count() == ROTI_NAME_COUNT)
        return find(text, &place); /* by [NM5] all places are seen: it may have come last */
    roti_spin_lock(&lock);
    number = find(text, &place); /* somebody may have been faster */
    if (number < 0)
        number = add(text, place);
    roti_spin_unlock(&lock);
    return number;
}

int roti_name_get(const char *name, char **ret_text)
{
    char text[TEXT_SIZE] = {0};
    memcpy(text, name, strnlen(name, TEXT_SIZE - 1));
    int number = intern(text);
    if (number >= 0) {
        *ret_text = texts[number];
        return 0;
    }
    char *copy = roti_alloc(TEXT_SIZE);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, text, TEXT_SIZE);
    *ret_text = copy;
    return 0;
}

void roti_name_put(char *text)
{
    if (text != NULL && roti_name_number(text) == ROTI_NAME_OTHER && text != texts[ROTI_NAME_OTHER])
        roti_free(text, TEXT_SIZE);
}

unsigned roti_name_number(const char *text)
{
    uintptr_t offset = (uintptr_t)text - (uintptr_t)texts;
    if (text == NULL)
        return ROTI_NAME_UNNAMED;
    return offset < sizeof texts ? (unsigned)(offset / TEXT_SIZE) : ROTI_NAME_OTHER;
}

unsigned roti_name_count(void)
{
    /* [NM5] acquire: pairs with [NM4]. */
    return roti_load(NM5, acquire, &count);
}

const char *roti_name_text(unsigned number)
{
    ROTI_ASSERT(number < ROTI_NAME_COUNT);
    ROTI_PLAIN_READ(texts[number]);
    return texts[number];
}

void roti_names_forget(void)
{
    roti_spin_unlock(&lock); /* whoever held it is not in this process */
    /* [NM6], [NM7] relaxed: this is the process's only thread. */
    for (unsigned i = 0; i < PLACE_COUNT; i++)
        roti_store(NM6, relaxed, &places[i], 0U);
    roti_store(NM7, relaxed, &count, ROTI_NAME_FIRST);
}
