/* SPDX-License-Identifier: MIT */
/*
 * alloc_model.c - the hooks of the heap in the explorer: what they use was written before.
 *
 * The product's alloc.c itself, under other names than those that stand in for it elsewhere.
 */
#include "sched/base/alloc.h"

#include "sched/base/atomic.h"

#define SIZE 8

static bool permitted; /* plain: the installer's, then the hook's */
static int balance;    /* plain: the same */
static bool refused;   /* the caller's */

static bool may_allocate(size_t size)
{
    (void)size;
    ROTI_PLAIN_READ(&permitted);
    return permitted;
}

static void changed(ptrdiff_t change)
{
    ROTI_PLAIN_WRITE(&balance);
    balance += (int)change;
}

static void permits(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_WRITE(&permitted);
    permitted = true;
    roti_alloc_set_hook(may_allocate);
}

static void watches(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_WRITE(&balance);
    balance = 100;
    roti_alloc_set_balance_hook(changed);
}

static void asks(unsigned thread)
{
    (void)thread;
    refused = !roti_alloc_permitted(SIZE);
}

static void allocates(unsigned thread)
{
    (void)thread;
    void *pointer = roti_alloc(SIZE);
    roti_free(pointer, SIZE);
}

static void reset(void)
{
    roti_alloc_set_hook(NULL);
    roti_alloc_set_balance_hook(NULL);
    permitted = false;
    balance = 0;
    refused = false;
}

static void check_permitted(void)
{
    MODEL_ASSERT(!refused);
}

/* The hook saw the block come and go, only go, or neither. */
static void check_balance(void)
{
    MODEL_ASSERT(balance == 100 || balance == 100 - SIZE);
    MODEL_OUTCOME(balance == 100);
}

MODEL_TEST(alloc_permission) = {
    .threads = {permits, asks}, .setup = reset, .check = check_permitted};
MODEL_TEST(alloc_balance) = {
    .threads = {watches, allocates}, .setup = reset, .check = check_balance};
