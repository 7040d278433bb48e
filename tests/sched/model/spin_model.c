/* SPDX-License-Identifier: MIT */
/*
 * spin_model.c - the one-store spinlock under weak memory: what it protects, and its last access.
 */
#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/base/spin.h"

struct guarded {
    struct roti_spin lock;
    int count; /* under lock */
    bool dead; /* under lock: whoever sees it frees the object */
};

static struct guarded *guarded;

static void enter(void)
{
    ROTI_PLAIN_READ(&guarded->count);
    int count = guarded->count;
    ROTI_PLAIN_WRITE(&guarded->count);
    guarded->count = count + 1;
}

static void counter(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < 2; i++) {
        roti_spin_lock(&guarded->lock);
        enter();
        roti_spin_unlock(&guarded->lock);
    }
}

/* One try; the other one may hold it. */
static void trier(unsigned thread)
{
    (void)thread;
    if (!roti_spin_try_lock(&guarded->lock))
        return;
    enter();
    roti_spin_unlock(&guarded->lock);
}

static void reset(void)
{
    guarded = roti_zalloc(sizeof *guarded);
}

static void check(void)
{
    MODEL_ASSERT(roti_spin_try_lock(&guarded->lock));
    MODEL_ASSERT(guarded->count >= 2 && guarded->count <= 4);
}

static void check_counts(void)
{
    MODEL_ASSERT(guarded->count == 4);
}

MODEL_TEST(spin) = {.threads = {counter, counter}, .setup = reset, .check = check_counts};
MODEL_TEST(spin_three) = {.threads = {counter, trier, trier}, .setup = reset, .check = check};

/* ---- The next holder may free the object: the unlock is the last access ---- */

static void last_user(unsigned thread)
{
    (void)thread;
    roti_spin_lock(&guarded->lock);
    ROTI_PLAIN_WRITE(&guarded->dead);
    guarded->dead = true;
    roti_spin_unlock(&guarded->lock);
}

static void freer(unsigned thread)
{
    bool dead = false;
    (void)thread;
    while (!dead) {
        roti_spin_lock(&guarded->lock);
        ROTI_PLAIN_READ(&guarded->dead);
        dead = guarded->dead;
        roti_spin_unlock(&guarded->lock);
        if (!dead)
            roti_pause();
    }
    roti_free(guarded, sizeof *guarded);
}

static void check_freed(void)
{
    MODEL_ASSERT(model_live_blocks() == 0);
}

MODEL_TEST(spin_freed) = {.threads = {last_user, freer}, .setup = reset, .check = check_freed};
