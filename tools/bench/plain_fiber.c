/* SPDX-License-Identifier: MIT */
/*
 * plain_fiber.c - the first frame of a baseline's fiber.
 */
#include "tools/bench/plain_fiber.h"

#include <stdint.h>
#include <string.h>

/* In assembly. */
void bench_plain_start(void);

void plain_fiber_init(struct plain_fiber *fiber, char *stack, size_t size, void (*entry)(void *arg),
                      void *arg)
{
    uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
#if defined(__x86_64__)
    /* r15 r14 r13 r12 rbx rbp rip, and the stack aligned at the start as after a call's push. */
    uintptr_t frame[8] = {0, 0, (uintptr_t)entry, (uintptr_t)arg, 0, 0};
    frame[6] = (uintptr_t)bench_plain_start;
#else
    /* x19 to x30, then d8 to d15. */
    uintptr_t frame[20] = {(uintptr_t)arg, (uintptr_t)entry};
    frame[11] = (uintptr_t)bench_plain_start;
#endif
    fiber->sp = (void *)(top - sizeof frame);
    memcpy(fiber->sp, frame, sizeof frame);
}
