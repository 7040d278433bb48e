/* SPDX-License-Identifier: MIT */
/*
 * doorbell.c - the socket that a signal handler writes to. The essay is in the header.
 */
#include "loop/doorbell.h"

#include "loop/syscall.h"
#include "sched/base/atomic.h"

#include <sched.h>

/* {handlers inside, number plus one}. */
#define NUMBER_MASK UINT64_C(0xffffffff)
#define INSIDE_ONE (NUMBER_MASK + 1)

static _Atomic(uint64_t) doorbell;

static uint64_t number_of(int fd)
{
    return (uint64_t)fd + 1;
}

bool roti_doorbell_hang(int fd)
{
    /* [DB1] relaxed: a guess, which [DB2] checks. */
    uint64_t old = roti_load(DB1, relaxed, &doorbell);
    do {
        if ((old & NUMBER_MASK) != 0)
            return false;
        /* [DB2] release: pairs with [DB3]; the number was opened before it is written to. */
    } while (!roti_cas_weak(DB2, release, &doorbell, &old, old | number_of(fd)));
    return true;
}

void roti_doorbell_ring(char byte)
{
    /* [DB3] acquire: pairs with [DB2]. */
    uint64_t number = roti_fetch_add(DB3, acquire, &doorbell, INSIDE_ONE) & NUMBER_MASK;
    if (number != 0)
        roti_sys_signal_send((int)(number - 1), &byte, 1);
    /* [DB4] release: pairs with [DB6]; the number may be closed from here on. */
    (void)roti_fetch_sub(DB4, release, &doorbell, INSIDE_ONE);
}

void roti_doorbell_take(int fd)
{
    /* [DB5] relaxed: the caller hung it up, or somebody else something else, which stays. */
    uint64_t old = roti_load(DB5, relaxed, &doorbell);
    do {
        if ((old & NUMBER_MASK) != number_of(fd))
            return;
        /* [DB7] relaxed: [DB6] follows. */
    } while (!roti_cas_weak(DB7, relaxed, &doorbell, &old, old & ~NUMBER_MASK));
    /* [DB6] acquire: pairs with [DB4]. It reads the swap's own value or a later one, none of which
     * a handler found the number in. */
    while (roti_load(DB6, acquire, &doorbell) >= INSIDE_ONE) {
        roti_pause();
        sched_yield(); /* the handler's thread may wait for this core */
    }
}

void roti_doorbell_forget(void)
{
    /* [DB8] relaxed: there is one thread. */
    roti_store(DB8, relaxed, &doorbell, 0);
}
