/* SPDX-License-Identifier: MIT */
/*
 * ways.c - the ways to reach what is the thread's, each in forms that tempt an optimiser.
 *
 * Naive: the C library's errno, a thread-local object, and one behind a function of another file.
 * The product's: <rota/errno.h>, and roti_thread_self(). A naive way that is right is luck.
 */
#include "sched/base/thread.h"
#include "tests/hoisting/hoisting.h"

#include <errno.h>

#define MOVES 6

/*
 * Straight code; a loop with a helper to be inlined; a write before a read; a function that is
 * given the address, so that it must be computed also where a thread's objects can be named
 * directly.
 */
#define FORMS(way, type, number_of_thread)                                                         \
    static void way##_set(int number)                                                              \
    {                                                                                              \
        number_of_thread = (type)number;                                                           \
    }                                                                                              \
    static inline int way##_get(void)                                                              \
    {                                                                                              \
        return (int)number_of_thread;                                                              \
    }                                                                                              \
    __attribute__((noinline)) static int way##_get_at(const type *address)                         \
    {                                                                                              \
        __asm__ volatile("" : "+r"(address)::"memory");                                            \
        return (int)*address;                                                                      \
    }                                                                                              \
    static int way##_straight(struct hoisting_place *place, int *count)                            \
    {                                                                                              \
        int wrong = (int)number_of_thread != place->number;                                        \
        place = hoisting_move();                                                                   \
        wrong += (int)number_of_thread != place->number;                                           \
        place = hoisting_move();                                                                   \
        wrong += (int)number_of_thread != place->number;                                           \
        *count += 3;                                                                               \
        return wrong;                                                                              \
    }                                                                                              \
    static int way##_loop(struct hoisting_place *place, int *count)                                \
    {                                                                                              \
        int wrong = 0;                                                                             \
        for (int i = 0; i < MOVES; i++, ++*count) {                                                \
            wrong += way##_get() != place->number;                                                 \
            place = hoisting_move();                                                               \
        }                                                                                          \
        return wrong;                                                                              \
    }                                                                                              \
    static int way##_write(struct hoisting_place *place, int *count)                               \
    {                                                                                              \
        int wrong = 0;                                                                             \
        for (int i = 0; i < MOVES; i++, *count += 2) {                                             \
            number_of_thread += 1000;                                                              \
            wrong += (int)number_of_thread != place->number + 1000;                                \
            place = hoisting_move();                                                               \
            wrong += (int)number_of_thread != place->number;                                       \
        }                                                                                          \
        return wrong;                                                                              \
    }                                                                                              \
    static int way##_address(struct hoisting_place *place, int *count)                             \
    {                                                                                              \
        int wrong = 0;                                                                             \
        for (int i = 0; i < MOVES; i++, ++*count) {                                                \
            wrong += way##_get_at(&number_of_thread) != place->number;                             \
            place = hoisting_move();                                                               \
        }                                                                                          \
        return wrong;                                                                              \
    }

/* With the C library's errno. */
FORMS(naive_errno, int, errno)
FORMS(naive_local, int, hoisting_object.number)
FORMS(naive_elsewhere, int, hoisting_object_elsewhere()->number)

/* With the product's. */
#include <rota/errno.h>
FORMS(rota_errno, int, errno)
FORMS(rota_thread, uint64_t, roti_thread_self()->random_state)

#define PROBES(way)                                                                                \
    {#way, "straight", way##_straight, way##_set}, {#way, "loop", way##_loop, way##_set},          \
        {#way, "write", way##_write, way##_set},                                                   \
    {                                                                                              \
#way, "address", way##_address, way##_set                                                  \
    }

const struct hoisting_probe hoisting_probes[] = {PROBES(naive_errno), PROBES(naive_local),
                                                 PROBES(naive_elsewhere), PROBES(rota_errno),
                                                 PROBES(rota_thread)};
const int hoisting_probe_count = sizeof hoisting_probes / sizeof hoisting_probes[0];
