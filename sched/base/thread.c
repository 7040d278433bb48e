/* SPDX-License-Identifier: MIT */
/*
 * thread.c - the one thread-local object, and the only way to it. Compiled without LTO.
 */
#include "sched/base/thread.h"

#include <stddef.h>

static _Thread_local struct roti_thread thread_object;

__attribute__((noinline)) struct roti_thread *roti_thread_self(void)
{
    struct roti_thread *self = &thread_object;
    if (__builtin_expect(self->context == NULL, 0))
        self->context = &self->top;
    /* The compiler must not learn that each call gives the same: after a switch it does not. */
    __asm__ volatile("" : "+r"(self)::"memory");
    return self;
}
