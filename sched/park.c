/* SPDX-License-Identifier: MIT */
/*
 * park.c - the two functions at every Dekker point. The essay is in the header.
 */
#include "sched/park.h"

#include "sched/base/atomic.h"

#ifndef ROTI_DEKKER_FENCES
#define ROTI_DEKKER_FENCES 0 /* the explorer plays the form without membarrier */
#endif

#if ROTI_TSAN

static _Atomic(uint32_t) dekker_word;

void roti_dekker_init(void) {}

/* Both sides change one word. */
static void meet(void)
{
    /* [D3] acq_rel: pairs with itself; the later of the two reads what the earlier wrote, and so
     * sees all that came before it. */
    (void)roti_fetch_add(D3, acq_rel, &dekker_word, 1U);
}

void roti_dekker_light(void)
{
    meet();
}

void roti_dekker_heavy(void)
{
    meet();
}

#elif ROTI_MODEL

void roti_dekker_init(void) {}

void roti_dekker_light(void)
{
#if ROTI_DEKKER_FENCES
    roti_fence(D1, seq_cst);
#else
    model_light_barrier(D1);
#endif
}

void roti_dekker_heavy(void)
{
#if ROTI_DEKKER_FENCES
    roti_fence(D2, seq_cst);
#else
    model_membarrier(D2);
#endif
}

#else

#include "sched/base/assert.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic(bool) membarrier_works;

static bool membarrier_call(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

void roti_dekker_init(void)
{
    bool works = membarrier_call(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
                 membarrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    /* [D4] relaxed: written before the threads that read it are created; later writes are equal. */
    roti_store(D4, relaxed, &membarrier_works, works);
}

static bool by_membarrier(void)
{
    /* [D5] relaxed: as [D4]. */
    return __builtin_expect(roti_load(D5, relaxed, &membarrier_works), 1);
}

void roti_dekker_light(void)
{
    if (by_membarrier())
        __asm__ volatile("" ::: "memory"); /* [D1] the machine's half is [D2] of the other side */
    else
        /* [D1] seq_cst: pairs with [D2]. */
        roti_fence(D1, seq_cst);
}

void roti_dekker_heavy(void)
{
    if (by_membarrier())
        /* The light side relies on it by now, and a fence of this side alone orders nothing. */
        ROTI_ASSERT(membarrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
    else
        /* [D2] seq_cst: pairs with [D1]. */
        roti_fence(D2, seq_cst);
}

#endif
