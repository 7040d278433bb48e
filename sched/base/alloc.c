/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - heap memory: jemalloc where the process has it, else malloc; hooks for tests.
 */
#include "sched/base/alloc.h"

#include "sched/base/atomic.h"

#include <stdlib.h>
#include <string.h>

/* Present when the program links jemalloc, NULL otherwise. The library itself never links it. */
extern void *mallocx(size_t size, int flags) __attribute__((weak));
extern void sdallocx(void *pointer, size_t size, int flags) __attribute__((weak));

#define MALLOCX_ZERO_FLAG 0x40 /* MALLOCX_ZERO of jemalloc's documented interface */

typedef bool (*permission_fn)(size_t size);
typedef void (*balance_fn)(ptrdiff_t change);

static _Atomic(permission_fn) permission_hook;
static _Atomic(balance_fn) balance_hook;

void roti_alloc_set_hook(permission_fn may_allocate)
{
    /* [A1] release: pairs with [A2]. */
    roti_store(A1, release, &permission_hook, may_allocate);
}

bool roti_alloc_permitted(size_t size)
{
    /* [A2] acquire: pairs with [A1], so that what the hook reads was written. */
    permission_fn may_allocate = roti_load(A2, acquire, &permission_hook);
    return __builtin_expect(may_allocate == NULL, 1) || may_allocate(size);
}

void roti_alloc_set_balance_hook(balance_fn changed)
{
    /* [A3] release: pairs with [A4]. */
    roti_store(A3, release, &balance_hook, changed);
}

static void report_change(ptrdiff_t change)
{
    /* [A4] acquire: pairs with [A3], so that what the hook writes was made before. */
    balance_fn changed = roti_load(A4, acquire, &balance_hook);
    if (__builtin_expect(changed != NULL, 0))
        changed(change);
}

/* Both or none: a block must go back to the allocator that it came from. */
static bool has_jemalloc(void)
{
    return mallocx != NULL && sdallocx != NULL;
}

/* No allocator agrees with another about empty blocks; here each is one byte, and not NULL. */
static size_t at_least_one(size_t size)
{
    return size ? size : 1;
}

void *roti_alloc(size_t size)
{
    if (!roti_alloc_permitted(size))
        return NULL;
    void *pointer = has_jemalloc() ? mallocx(at_least_one(size), 0) : malloc(at_least_one(size));
    if (pointer != NULL)
        report_change((ptrdiff_t)size);
    return pointer;
}

void *roti_zalloc(size_t size)
{
    if (!roti_alloc_permitted(size))
        return NULL;
    void *pointer = has_jemalloc() ? mallocx(at_least_one(size), MALLOCX_ZERO_FLAG)
                                   : calloc(1, at_least_one(size));
    if (pointer != NULL)
        report_change((ptrdiff_t)size);
    return pointer;
}

void roti_free(void *pointer, size_t size)
{
    if (pointer == NULL)
        return;
    report_change(-(ptrdiff_t)size);
    if (has_jemalloc())
        sdallocx(pointer, at_least_one(size), 0);
    else
        free(pointer);
}

/* An aligned block stands in a plain one; the distance from its start is kept just before it. */
void *roti_zalloc_aligned(size_t alignment, size_t size)
{
    char *block = roti_zalloc(size + alignment);
    if (block == NULL)
        return NULL;
    size_t distance = alignment - (uintptr_t)block % alignment; /* 16 at least */
    memcpy(block + distance - sizeof distance, &distance, sizeof distance);
    return block + distance;
}

void roti_free_aligned(void *pointer, size_t alignment, size_t size)
{
    size_t distance;
    if (pointer == NULL)
        return;
    memcpy(&distance, (char *)pointer - sizeof distance, sizeof distance);
    roti_free((char *)pointer - distance, size + alignment);
}
