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
 * Forms.    Native; ThreadSanitizer (ROTI_TSAN is 1), which does not understand fences: they are
 *           emitted, and no code may rely on one there; ROTI_MODEL, C only, where each operation
 *           calls tests/model/model.h; and ROTI_SIM, C only, which is native, but that before each
 *           operation another virtual thread may go on (tests/sim/sim.h), or its cost is charged
 *           (tests/scaling/cost.h).
 * Rules.    Orders on operations; fences only in the two Dekker functions (sched/park.c). Fields
 *           are declared _Atomic(T), T an integer of up to 8 bytes, bool or a pointer. A failed
 *           compare-and-swap has the load half of its order.
 */
#ifndef ROTI_ATOMIC_H
#define ROTI_ATOMIC_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ROTI_CACHE_LINE 64

#ifndef ROTI_MODEL
#define ROTI_MODEL 0
#endif
#ifndef ROTI_SIM
#define ROTI_SIM 0
#endif

#if defined(__SANITIZE_THREAD__)
#define ROTI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ROTI_TSAN 1
#endif
#endif
#ifndef ROTI_TSAN
#define ROTI_TSAN 0
#endif

#if ROTI_MODEL

#include "tests/model/model.h"

#define roti_load(label, order, pointer)                                                           \
    ((MODEL_TYPE(pointer))model_load(MODEL_SITE(#label, MODEL_LOAD, order, #pointer), pointer,     \
                                     sizeof *(pointer)))
#define roti_store(label, order, pointer, value)                                                   \
    model_store(MODEL_SITE(#label, MODEL_STORE, order, #pointer), pointer, sizeof *(pointer),      \
                (uint64_t)(MODEL_TYPE(pointer))(value))
#define roti_exchange(label, order, pointer, value)                                                \
    MODEL_UPDATE(#label, MODEL_EXCHANGE, order, #pointer, pointer, value)
#define roti_fetch_add(label, order, pointer, value)                                               \
    MODEL_UPDATE(#label, MODEL_ADD, order, #pointer, pointer, value)
#define roti_fetch_sub(label, order, pointer, value)                                               \
    MODEL_UPDATE(#label, MODEL_SUB, order, #pointer, pointer, value)
#define roti_fetch_or(label, order, pointer, value)                                                \
    MODEL_UPDATE(#label, MODEL_OR, order, #pointer, pointer, value)
#define roti_fetch_and(label, order, pointer, value)                                               \
    MODEL_UPDATE(#label, MODEL_AND, order, #pointer, pointer, value)
#define roti_cas(label, order, pointer, expected, value)                                           \
    MODEL_SWAP(#label, MODEL_CAS, order, #pointer, pointer, expected, value)
#define roti_cas_weak(label, order, pointer, expected, value)                                      \
    MODEL_SWAP(#label, MODEL_CAS_WEAK, order, #pointer, pointer, expected, value)
#define roti_fence(label, order) model_fence(MODEL_SITE(#label, MODEL_FENCE, order, NULL))

#define ROTI_PLAIN_READ(pointer) model_plain(pointer, false, __FILE__, __LINE__)
#define ROTI_PLAIN_WRITE(pointer) model_plain(pointer, true, __FILE__, __LINE__)
#define ROTI_LOAD_KEPT(pointer) model_keep(pointer, __FILE__, __LINE__)

static inline void roti_pause(void)
{
    model_pause();
}

static inline void roti_prefetch_write(const void *pointer)
{
    (void)pointer;
}

#else

#if ROTI_SIM
#include "tests/sim/point.h"
#define ROTI_AT(access, pointer) (sim_point(SIM_##access, pointer), (pointer))
#else
#define ROTI_AT(access, pointer) (pointer)
#endif

#define roti_load(label, order, pointer)                                                           \
    atomic_load_explicit(ROTI_AT(LOAD, pointer), memory_order_##order)
#define roti_store(label, order, pointer, value)                                                   \
    atomic_store_explicit(ROTI_AT(STORE, pointer), value, memory_order_##order)
#define roti_exchange(label, order, pointer, value)                                                \
    atomic_exchange_explicit(ROTI_AT(UPDATE, pointer), value, memory_order_##order)
#define roti_fetch_add(label, order, pointer, value)                                               \
    atomic_fetch_add_explicit(ROTI_AT(UPDATE, pointer), value, memory_order_##order)
#define roti_fetch_sub(label, order, pointer, value)                                               \
    atomic_fetch_sub_explicit(ROTI_AT(UPDATE, pointer), value, memory_order_##order)
#define roti_fetch_or(label, order, pointer, value)                                                \
    atomic_fetch_or_explicit(ROTI_AT(UPDATE, pointer), value, memory_order_##order)
#define roti_fetch_and(label, order, pointer, value)                                               \
    atomic_fetch_and_explicit(ROTI_AT(UPDATE, pointer), value, memory_order_##order)

/* The order of a failed compare-and-swap: the load half of the successful one's. */
#define ROTI_FAILURE_relaxed memory_order_relaxed
#define ROTI_FAILURE_acquire memory_order_acquire
#define ROTI_FAILURE_release memory_order_relaxed
#define ROTI_FAILURE_acq_rel memory_order_acquire
#define ROTI_FAILURE_seq_cst memory_order_seq_cst

/* Strong; true when it swapped, else *expected holds what was there. */
#define roti_cas(label, order, pointer, expected, value)                                           \
    atomic_compare_exchange_strong_explicit(ROTI_AT(UPDATE, pointer), expected, value,             \
                                            memory_order_##order, ROTI_FAILURE_##order)

/* Weak: may fail without cause; for loops. */
#define roti_cas_weak(label, order, pointer, expected, value)                                      \
    atomic_compare_exchange_weak_explicit(ROTI_AT(UPDATE, pointer), expected, value,               \
                                          memory_order_##order, ROTI_FAILURE_##order)

#if ROTI_TSAN && defined(__GNUC__) && !defined(__clang__)
/* gcc warns that its ThreadSanitizer ignores fences; that is known here, and relied on nowhere. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
static inline void roti_tsan_fence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}
#pragma GCC diagnostic pop
#define roti_fence(label, order) roti_tsan_fence()
#elif ROTI_SIM
#define roti_fence(label, order)                                                                   \
    (sim_point(SIM_FENCE, NULL), atomic_thread_fence(memory_order_##order))
#else
#define roti_fence(label, order) atomic_thread_fence(memory_order_##order)
#endif

/*
 * Announces a plain access to data that threads hand to each other. Nothing natively; the explorer
 * fails the run if the access races.
 */
#define ROTI_PLAIN_READ(pointer) ((void)sizeof(pointer))
#define ROTI_PLAIN_WRITE(pointer) ((void)sizeof(pointer))

/*
 * Announces that what this thread last loaded there is used for good, as the item of a slot is once
 * the compare-and-swap that claims it has succeeded. Nothing natively; the explorer fails the run
 * if another thread stores there without that load having happened before: a machine that lets
 * loads wait could have returned the later store.
 */
#define ROTI_LOAD_KEPT(pointer) ((void)sizeof(pointer))

/* A hint in a loop that waits for another thread. */
static inline void roti_pause(void)
{
#if ROTI_SIM
    sim_pause();
#elif defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

/*
 * Asks for a cache line in order to write it. Before a read of a line that another core has just
 * written and that is to be written here too: else it is fetched twice, first shared and then
 * alone. The compiler's own builtin means a fetch to read on x86-64, where the instruction is an
 * extension; processors without it take it for a no-op.
 */
static inline void roti_prefetch_write(const void *pointer)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)pointer));
#else
    __builtin_prefetch(pointer, 1);
#endif
}

#endif

#endif
