/* SPDX-License-Identifier: MIT */
/*
 * stand_in.c - what the explorer puts in the place of sched/base: heap, thread object, assertions.
 *
 * A program under the explorer must not link alloc.c, assert.c and thread.c of sched/base. Blocks
 * belong to the run: a freed one is kept apart until the next run begins, so that an access to it
 * is a failure and not luck; one that a failed run left behind goes then, too. Freeing counts as a
 * write to all of the block: what others did with it must have happened before. Each virtual thread
 * has a thread object of its own.
 */
#include "tests/model/engine.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/base/thread.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS_MAX 4096

struct block {
    char *start;
    size_t size;
    bool freed;
};

static struct block blocks[BLOCKS_MAX];
static unsigned block_count;
static unsigned freed_count;
static bool (*allocation_hook)(size_t size);
static void (*balance_hook)(ptrdiff_t change);
static struct roti_thread thread_objects[MODEL_THREADS_MAX + 1];

void model_stand_in_begin(void)
{
    for (unsigned i = 0; i < block_count; i++)
        free(blocks[i].start);
    block_count = 0;
    freed_count = 0;
    memset(thread_objects, 0, sizeof thread_objects);
}

void model_heap_check(const volatile void *address)
{
    const volatile char *at = address;
    if (__builtin_expect(freed_count == 0, 1))
        return;
    for (unsigned i = 0; i < block_count; i++)
        if (blocks[i].freed && at >= blocks[i].start && at < blocks[i].start + blocks[i].size)
            model_fail("use after free: byte %zu of a block of %zu", (size_t)(at - blocks[i].start),
                       blocks[i].size);
}

unsigned model_live_blocks(void)
{
    return block_count - freed_count;
}

/* ---- sched/base/alloc.h ---- */

static void *allocate(size_t alignment, size_t size, int fill)
{
    if (!roti_alloc_permitted(size))
        return NULL;
    if (block_count == BLOCKS_MAX)
        model_fail("more than %d blocks in one run", BLOCKS_MAX);
    char *start = aligned_alloc(alignment, (size / alignment + 1) * alignment);
    if (start == NULL)
        return NULL;
    memset(start, fill, size);
    blocks[block_count++] = (struct block){.start = start, .size = size, .freed = false};
    if (balance_hook != NULL)
        balance_hook((ptrdiff_t)size);
    return start;
}

void *roti_alloc(size_t size)
{
    return allocate(_Alignof(max_align_t), size, 0xA5);
}

void *roti_zalloc(size_t size)
{
    return allocate(_Alignof(max_align_t), size, 0);
}

void *roti_zalloc_aligned(size_t alignment, size_t size)
{
    return allocate(alignment, size, 0);
}

void roti_free(void *pointer, size_t size)
{
    if (pointer == NULL)
        return;
    for (unsigned i = block_count; i-- > 0;) {
        if (blocks[i].start != pointer)
            continue;
        if (blocks[i].freed)
            model_fail("a block is freed twice");
        if (blocks[i].size != size)
            model_fail("a block of %zu bytes is freed as %zu", blocks[i].size, size);
        if (!model_is_native()) {
            model_memory_freed(pointer, size);
            model_race_freed(pointer, size);
        }
        blocks[i].freed = true;
        freed_count++;
        if (balance_hook != NULL)
            balance_hook(-(ptrdiff_t)size);
        return;
    }
    model_fail("a pointer is freed that was never allocated");
}

void roti_free_aligned(void *pointer, size_t alignment, size_t size)
{
    (void)alignment;
    roti_free(pointer, size);
}

void roti_alloc_set_hook(bool (*may_allocate)(size_t size))
{
    allocation_hook = may_allocate;
}

bool roti_alloc_permitted(size_t size)
{
    return allocation_hook == NULL || allocation_hook(size);
}

void roti_alloc_set_balance_hook(void (*changed)(ptrdiff_t change))
{
    balance_hook = changed;
}

/* ---- sched/base/thread.h and assert.h ---- */

struct roti_thread *roti_thread_self(void)
{
    return &thread_objects[model.current + 1];
}

void roti_assert_failed(const char *expression, const char *file, int line)
{
    model_fail("%s:%d: assertion failed: %s", file, line, expression);
}
