/* SPDX-License-Identifier: MIT */
/*
 * stack_pool_model.c - the look-up of stacks by address, which takes no lock, under weak memory.
 *
 * Slabs are mapped, found and unmapped at the same time. Whoever finds one sees it complete, and no
 * slab is given back while somebody looks at it. Address space, the records of slabs and the mutex
 * are of this file, the last by definitions on the command line: addresses that nobody uses, and
 * records in an arena, which a run takes over from one that has failed.
 */
#include "sched/base/alloc.h"
#include "sched/base/atomic.h"
#include "sched/guard.h"
#include "sched/pages.h"
#include "sched/stack_pool.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#define SLAB_MAX 3
#define RECORD_SIZE 2048
#define SPACE ((uintptr_t)1 << 40) /* the n-th slab is mapped at n times this */

static alignas(64) char records[SLAB_MAX][RECORD_SIZE];
static unsigned record_count;
static unsigned mapped_count;
static bool unmapped[SLAB_MAX];
static _Atomic(bool) locked;

/* ---- Stand-ins ---- */

char *roti_pages_reserve(size_t size)
{
    MODEL_ASSERT(size < SPACE && mapped_count < SLAB_MAX);
    return (char *)(++mapped_count * SPACE);
}

void roti_pages_unmap(char *low, size_t size)
{
    (void)size;
    if (low != NULL)
        unmapped[(uintptr_t)low / SPACE - 1] = true;
}

void *roti_zalloc(size_t size)
{
    MODEL_ASSERT(size <= RECORD_SIZE && record_count < SLAB_MAX);
    return records[record_count++];
}

/* Freeing is a write: it races with whoever still reads. */
void roti_free(void *pointer, size_t size)
{
    for (size_t i = 0; model_self() >= 0 && i < size; i += sizeof(void *))
        ROTI_PLAIN_WRITE((char *)pointer + i);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    (void)mutex;
    /* [TM1] acquire: pairs with [TM2]. */
    while (roti_exchange(TM1, acquire, &locked, true))
        roti_pause();
    return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    (void)mutex;
    roti_store(TM2, release, &locked, false); /* [TM2] release: pairs with [TM1]. */
    return 0;
}

int sched_yield(void)
{
    roti_pause();
    return 0;
}

size_t roti_guard_size(void)
{
    return 4096;
}

int roti_guard_charge(size_t count)
{
    (void)count;
    return 0;
}

void roti_guard_release(size_t count)
{
    (void)count;
    MODEL_ASSERT(false && "nothing was paid for");
}

int roti_guard_install(const struct iovec *guards, unsigned count)
{
    (void)guards, (void)count;
    return 0;
}

/* ---- Steps ---- */

static struct roti_stack *take(unsigned class_index)
{
    struct roti_list list;
    roti_list_init(&list);
    MODEL_ASSERT(roti_stack_pool_claim(class_index, 1) == 1);
    MODEL_ASSERT(roti_stack_pool_take(class_index, 1, &list) == 0);
    return roti_stack_of(roti_list_pop_front(&list));
}

static void give(struct roti_stack *stack)
{
    struct roti_list list;
    roti_list_init(&list);
    roti_list_push_back(&list, &stack->node);
    roti_stack_pool_give(stack->class_index, &list);
}

/* Looks for the slab mapped as the n-th one, in its first guard or first stack. */
static void find(unsigned n, bool in_guard)
{
    uintptr_t address = n * SPACE + (in_guard ? 8 : 5000);
    bool guard = !in_guard;
    const struct roti_stack *stack = roti_stack_find((const void *)address, &guard);
    if (stack != NULL)
        MODEL_ASSERT(guard == in_guard &&
                     (uintptr_t)stack - (uintptr_t)records[n - 1] < RECORD_SIZE);
}

/* ---- Threads ---- */

static void finder(unsigned thread)
{
    (void)thread;
    find(1, false);
}

static void finder_of_two(unsigned thread)
{
    (void)thread;
    find(1, true);
    find(2, false);
}

static void drainer(unsigned thread)
{
    (void)thread;
    roti_stack_pool_drain();
}

/* The slab that stays is behind the one that is unlinked. */
static void user_of_two(unsigned thread)
{
    (void)thread;
    (void)take(0);
    struct roti_stack *newer = take(1);
    MODEL_ASSERT(newer->low == (char *)(2 * SPACE) + 4096);
    give(newer);
    roti_stack_pool_drain();
}

/* The slab that stays is in front. */
static void user_of_newer(unsigned thread)
{
    (void)thread;
    struct roti_stack *older = take(0);
    (void)take(1);
    give(older);
    roti_stack_pool_drain();
}

static void user(unsigned thread)
{
    give(take(thread));
}

/* ---- Before and after a run ---- */

/* Empty records are slabs without stacks: what is left of the last run can be unlinked. */
static void reset(void)
{
    memset(records, 0, sizeof records);
    roti_store(TM3, relaxed, &locked, false);
    roti_stack_pool_forked();
    roti_stack_pool_drain();
    memset(unmapped, 0, sizeof unmapped);
    record_count = 0;
    mapped_count = 0;
}

static void reset_with_slab(void)
{
    reset();
    give(take(0));
}

static void check_unmapped(void)
{
    MODEL_ASSERT(unmapped[0] && roti_stack_live_count() == 0);
}

static void check_one_in_use(void)
{
    MODEL_ASSERT(unmapped[0] != unmapped[1] && roti_stack_live_count() == 1);
}

static void check_unused(void)
{
    roti_stack_pool_drain();
    MODEL_ASSERT(unmapped[0] && unmapped[1] && roti_stack_live_count() == 0);
}

/* ---- Tests ---- */

MODEL_TEST(stack_find_or_unmap) = {
    .threads = {drainer, finder}, .setup = reset_with_slab, .check = check_unmapped};
MODEL_TEST(stack_two_find) = {
    .threads = {drainer, finder, finder}, .setup = reset_with_slab, .check = check_unmapped};
MODEL_TEST(stack_front_unlinked) = {
    .threads = {user_of_two, finder_of_two}, .setup = reset, .check = check_one_in_use};
MODEL_TEST(stack_middle_unlinked) = {
    .threads = {user_of_newer, finder_of_two}, .setup = reset, .check = check_one_in_use};
MODEL_TEST(stack_two_grow) = {
    .threads = {user, user, finder_of_two}, .setup = reset, .check = check_unused};
MODEL_TEST(stack_grow_or_unmap) = {
    .threads = {user, drainer, finder_of_two}, .setup = reset_with_slab, .check = NULL};
