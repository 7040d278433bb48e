/* SPDX-License-Identifier: MIT */
/*
 * plain_fiber.h - the least that can be called a fiber, for baselines: a stack and a switch.
 */
#ifndef ROTI_BENCH_PLAIN_FIBER_H
#define ROTI_BENCH_PLAIN_FIBER_H

#include <stddef.h>

struct plain_fiber {
    void *sp;
};

/* Saves the caller's registers, goes on with `to_sp`, where the result is `transfer`. */
void *bench_plain_switch(void **ret_from_sp, void *to_sp, void *transfer);

/* Lays out a first frame that calls entry(arg), which never returns. */
void plain_fiber_init(struct plain_fiber *fiber, char *stack, size_t size, void (*entry)(void *arg),
                      void *arg);

static inline void *plain_fiber_switch(struct plain_fiber *from, struct plain_fiber *to,
                                       void *transfer)
{
    return bench_plain_switch(&from->sp, to->sp, transfer);
}

#endif
