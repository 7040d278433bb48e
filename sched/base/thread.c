/* SPDX-License-Identifier: MIT */
/*
 * thread.c - the one thread-local object, and the only way to it. Compiled without LTO.
 */
#include "sched/base/thread.h"

#include <pthread.h>
#include <stddef.h>

static _Thread_local struct roti_thread thread_object;

__attribute__((noinline)) struct roti_thread *roti_thread_self(void)
{
    struct roti_thread *self = &thread_object;
    /* The compiler must not learn that each call gives the same: after a switch it does not. */
    __asm__ volatile("" : "+r"(self)::"memory");
    return self;
}

int roti_thread_stack(char **ret_low, size_t *ret_size)
{
    pthread_attr_t attributes;
    void *low;
    int r = pthread_getattr_np(pthread_self(), &attributes);
    if (r != 0)
        return -r;
    r = pthread_attr_getstack(&attributes, &low, ret_size);
    pthread_attr_destroy(&attributes);
    if (r == 0)
        *ret_low = low;
    return -r;
}
