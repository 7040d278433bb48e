/* SPDX-License-Identifier: MIT */
/*
 * spin.h - the one-store spinlock of short sections: one read-modify-write in, one store out.
 *
 * For a handful of instructions that never suspend, allocate, or call user code. The unlock is the
 * last access: an object may be freed by whoever takes the lock next. A holder may be preempted
 * where there are more threads than cores, so a long wait gives the core away.
 */
#ifndef ROTI_SPIN_H
#define ROTI_SPIN_H

#include "sched/base/atomic.h"

struct roti_spin {
    _Atomic(uint32_t) locked;
};

#ifdef __cplusplus
extern "C" {
#endif

/* Waits until the lock looks free. Only roti_spin_lock() calls it. */
void roti_spin_wait(struct roti_spin *spin);

#ifdef __cplusplus
}
#endif

static inline bool roti_spin_try_lock(struct roti_spin *spin)
{
    /* [SP1] acquire: pairs with [SP3]; what the last holder wrote is visible. */
    return roti_exchange(SP1, acquire, &spin->locked, 1U) == 0;
}

static inline void roti_spin_lock(struct roti_spin *spin)
{
    while (__builtin_expect(!roti_spin_try_lock(spin), 0))
        roti_spin_wait(spin);
}

static inline void roti_spin_unlock(struct roti_spin *spin)
{
    /* [SP3] release: pairs with [SP1] of the next holder. */
    roti_store(SP3, release, &spin->locked, 0U);
}

#endif
