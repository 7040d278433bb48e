/* SPDX-License-Identifier: MIT */
/*
 * migrating.h - what migrating.c has seen of three stays on threads.
 */
#ifndef ROTA_TESTS_MIGRATING_H
#define ROTA_TESTS_MIGRATING_H

struct roti_thread;

struct migrating_seen {
    int *errno_at[3];
    struct roti_thread *thread[3];
    int value[2]; /* errno just after the first and the second move */
};

typedef void (*migrating_fn)(void (*move)(void *arg), void *arg, struct migrating_seen *seen);

#ifdef __cplusplus
extern "C" {
#endif

/* One probe for each level of optimisation. */
void migrating_O0(void (*move)(void *arg), void *arg, struct migrating_seen *seen);
void migrating_O1(void (*move)(void *arg), void *arg, struct migrating_seen *seen);
void migrating_O2(void (*move)(void *arg), void *arg, struct migrating_seen *seen);
void migrating_O3(void (*move)(void *arg), void *arg, struct migrating_seen *seen);

#ifdef __cplusplus
}
#endif

#endif
