/* SPDX-License-Identifier: MIT */
/*
 * park.c - the two functions at every Dekker point. The essay is in the header.
 */
#include "sched/park.h"

#include "sched/base/atomic.h"

#if ROTI_MODEL

void roti_dekker_init(void)
{
}

void roti_dekker_light(void)
{
    model_light_barrier(D1);
}

void roti_dekker_heavy(void)
{
    model_membarrier(D2);
}

#elif ROTI_TSAN

static _Atomic(uint32_t) dekker_word;

void roti_dekker_init(void)
{
}

void roti_dekker_light(void)
{
    /* [D3] acq_rel, both sides: the later of the two reads what the earlier wrote, and so sees all
     * that came before it. */
    roti_fetch_add(D3, acq_rel, &dekker_word, 1U);
}

void roti_dekker_heavy(void)
{
    roti_fetch_add(D3, acq_rel, &dekker_word, 1U);
}

#else

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

void roti_dekker_light(void)
{
    if (__builtin_expect(roti_load(D5, relaxed, &membarrier_works), 1))
        __asm__ volatile("" ::: "memory"); /* [D1] the machine's half is [D2] of the other side */
    else
        /* [D1] seq_cst: pairs with [D2]. */
        roti_fence(D1, seq_cst);
}

void roti_dekker_heavy(void)
{
    if (roti_load(D5, relaxed, &membarrier_works) &&
        membarrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
        return;
    /* [D2] seq_cst: pairs with [D1]. */
    roti_fence(D2, seq_cst);
}

#endif
