/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - heap memory: jemalloc where the process has it, else malloc; a hook for tests.
 */
#include "sched/base/alloc.h"

#include "sched/base/atomic.h"

#include <stdlib.h>
#include <string.h>

/* Present when the program links jemalloc, NULL otherwise. The library itself never links it. */
extern void *mallocx(size_t size, int flags) __attribute__((weak));
extern void *rallocx(void *pointer, size_t size, int flags) __attribute__((weak));
extern void sdallocx(void *pointer, size_t size, int flags) __attribute__((weak));

#define MALLOCX_ZERO_FLAG 0x40 /* MALLOCX_ZERO of jemalloc's documented interface */

typedef bool (*hook_fn)(size_t size);

static _Atomic(hook_fn) alloc_hook;

void roti_alloc_set_hook(hook_fn may_allocate)
{
    roti_store(A1, release, &alloc_hook, may_allocate);
}

bool roti_alloc_permitted(size_t size)
{
    /* [A2] acquire: pairs with [A1], so that what the hook reads was written. */
    hook_fn hook = roti_load(A2, acquire, &alloc_hook);
    return __builtin_expect(hook == NULL, 1) || hook(size);
}

void *roti_alloc(size_t size)
{
    if (!roti_alloc_permitted(size))
        return NULL;
    return mallocx && sdallocx && rallocx ? mallocx(size ? size : 1, 0) : malloc(size ? size : 1);
}

void *roti_zalloc(size_t size)
{
    if (!roti_alloc_permitted(size))
        return NULL;
    return mallocx && sdallocx && rallocx ? mallocx(size ? size : 1, MALLOCX_ZERO_FLAG)
                                          : calloc(1, size ? size : 1);
}

void *roti_realloc(void *pointer, size_t old_size, size_t new_size)
{
    if (pointer == NULL)
        return roti_alloc(new_size);
    if (!roti_alloc_permitted(new_size))
        return NULL;
    (void)old_size;
    return mallocx && sdallocx && rallocx ? rallocx(pointer, new_size ? new_size : 1, 0)
                                          : realloc(pointer, new_size ? new_size : 1);
}

void roti_free(void *pointer, size_t size)
{
    if (pointer == NULL)
        return;
    if (mallocx && sdallocx && rallocx)
        sdallocx(pointer, size ? size : 1, 0);
    else
        free(pointer);
}
