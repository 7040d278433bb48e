/* SPDX-License-Identifier: MIT */
/*
 * sanitizer.h - what the sanitizers and Valgrind are told about fibers and their stacks.
 *
 * Problem.  These tools follow one stack per thread. A switch that they do not know of looks to
 *           them like a wild stack pointer, and a heap block that only a parked fiber points to
 *           looks leaked.
 * Design.   Every announcement is here, and nothing where no tool listens: a release build compiles
 *           all of it away. The functions that announce a switch are marked ROTI_UNINSTRUMENTED,
 *           because TSan's own record of calls is exchanged in the middle of them.
 *           A TSan context is created when a fiber is first switched to (destroying one that never
 *           ran corrupts TSan), and stays with the stack when the fiber ends (contexts of dead
 *           fibers are dear and partly leaked); the next fiber on that stack goes on with it.
 * Threads.  Any; each call concerns a stack that the caller owns.
 */
#ifndef ROTI_SANITIZER_H
#define ROTI_SANITIZER_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ROTI_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define ROTI_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(ROTI_ASAN)
#define ROTI_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(ROTI_TSAN)
#define ROTI_TSAN 1
#endif
#ifndef ROTI_ASAN
#define ROTI_ASAN 0
#endif
#ifndef ROTI_TSAN
#define ROTI_TSAN 0
#endif

/* Valgrind is told about stacks where its header is installed; -DNVALGRIND leaves it out. */
#if !defined(NVALGRIND) && !ROTI_ASAN && !ROTI_TSAN && defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#define ROTI_VALGRIND 1
#endif
#endif
#ifndef ROTI_VALGRIND
#define ROTI_VALGRIND 0
#endif

/* Whether a switch is announced, so that it is a function of its own and not inline. */
#define ROTI_SWITCH_ANNOUNCED (ROTI_ASAN || ROTI_TSAN)

#if ROTI_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif
#if ROTI_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if ROTI_VALGRIND
#include <valgrind/valgrind.h>
#endif

/*
 * A function without any instrumentation. Clang's no_sanitize("thread") alone would still record
 * entry and exit, on two different contexts.
 */
#if defined(__clang__)
#define ROTI_UNINSTRUMENTED                                                                        \
    __attribute__((noinline, disable_sanitizer_instrumentation, no_sanitize("address", "thread")))
#else
#define ROTI_UNINSTRUMENTED __attribute__((noinline, no_sanitize("address", "thread")))
#endif

/* What the tools keep for one stack, between fibers as well. */
struct roti_stack_notes {
#if ROTI_TSAN
    void *tsan_context; /* NULL until a fiber first ran here */
#endif
#if ROTI_VALGRIND
    unsigned valgrind_id;
#endif
    char unused; /* a struct has at least one member */
};

/* A stack goes into use: it is readable and writable, a root for leaks, and known as a stack. */
static inline void roti_notes_stack_used(struct roti_stack_notes *notes, char *low, size_t size)
{
#if ROTI_ASAN
    __asan_unpoison_memory_region(low, size);
    __lsan_register_root_region(low, size);
#endif
#if ROTI_VALGRIND
    notes->valgrind_id = VALGRIND_STACK_REGISTER(low, low + size);
#endif
    (void)notes;
    (void)low;
    (void)size;
}

/* A stack goes out of use: what is on it is dead, and touching it is an error. */
static inline void roti_notes_stack_unused(struct roti_stack_notes *notes, char *low, size_t size)
{
#if ROTI_ASAN
    __lsan_unregister_root_region(low, size);
    __asan_poison_memory_region(low, size);
#endif
#if ROTI_VALGRIND
    VALGRIND_STACK_DEREGISTER(notes->valgrind_id);
#endif
    (void)notes;
    (void)low;
    (void)size;
}

/* The address space of a stack is about to be unmapped. No fiber may be running on it. */
static inline void roti_notes_stack_unmapped(struct roti_stack_notes *notes, char *low, size_t size)
{
#if ROTI_ASAN
    __asan_unpoison_memory_region(low, size);
#endif
#if ROTI_TSAN
    if (notes->tsan_context != NULL)
        __tsan_destroy_fiber(notes->tsan_context);
    notes->tsan_context = NULL;
#endif
    (void)notes;
    (void)low;
    (void)size;
}

#endif
