/* SPDX-License-Identifier: MIT */
/*
 * atomic.h - every atomic access of rota goes through here.
 *
 * Problem.  The bugs that matter are invisible on x86-64 and to tests. So the same source must be
 *           compiled natively, for ThreadSanitizer, and for the explorer, which plays every thread
 *           in one and lets each load return any value that C11 allows.
 * Design.   One macro per operation. Its first argument is the site's label (R1, P3, ...): natively
 *           it vanishes, the explorer names the site in a trace and can weaken its order (mutants),
 *           and docs/concurrency.md lists each label with its partner. Labels are unique in the
 *           project. Its second is the order: relaxed, acquire, release, acq_rel, seq_cst.
 * Rules.    Orders on operations; fences only in the two Dekker functions (sched/park.c). Fields
 *           are declared _Atomic(T). A failed compare-and-swap has the load half of its order.
 */
#ifndef ROTI_ATOMIC_H
#define ROTI_ATOMIC_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ROTI_CACHE_LINE 64

#define roti_load(label, order, pointer) atomic_load_explicit(pointer, memory_order_##order)
#define roti_store(label, order, pointer, value)                                                   \
    atomic_store_explicit(pointer, value, memory_order_##order)
#define roti_exchange(label, order, pointer, value)                                                \
    atomic_exchange_explicit(pointer, value, memory_order_##order)
#define roti_fetch_add(label, order, pointer, value)                                               \
    atomic_fetch_add_explicit(pointer, value, memory_order_##order)
#define roti_fetch_sub(label, order, pointer, value)                                               \
    atomic_fetch_sub_explicit(pointer, value, memory_order_##order)
#define roti_fetch_or(label, order, pointer, value)                                                \
    atomic_fetch_or_explicit(pointer, value, memory_order_##order)
#define roti_fetch_and(label, order, pointer, value)                                               \
    atomic_fetch_and_explicit(pointer, value, memory_order_##order)

/* The order of a failed compare-and-swap: the load half of the successful one's. */
#define ROTI_FAILURE_relaxed memory_order_relaxed
#define ROTI_FAILURE_acquire memory_order_acquire
#define ROTI_FAILURE_release memory_order_relaxed
#define ROTI_FAILURE_acq_rel memory_order_acquire
#define ROTI_FAILURE_seq_cst memory_order_seq_cst

/* Strong; true when it swapped, else *expected holds what was there. */
#define roti_cas(label, order, pointer, expected, value)                                           \
    atomic_compare_exchange_strong_explicit(pointer, expected, value, memory_order_##order,        \
                                            ROTI_FAILURE_##order)

/* Weak: may fail without cause; for loops. */
#define roti_cas_weak(label, order, pointer, expected, value)                                      \
    atomic_compare_exchange_weak_explicit(pointer, expected, value, memory_order_##order,          \
                                          ROTI_FAILURE_##order)

#define roti_fence(label, order) atomic_thread_fence(memory_order_##order)

/* A hint in a loop that waits for another thread. */
static inline void roti_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

#endif
