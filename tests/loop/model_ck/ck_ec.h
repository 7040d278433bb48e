/* SPDX-License-Identifier: MIT */
/*
 * ck_ec.h - concurrencykit's eventcount as the explorer sees it: what sched/thread_wait.c uses of
 * it.
 *
 * The counter's top bit says that somebody sleeps. As in the original, a raise that finds it set
 * clears it afterwards, in memory that the sleeper may have left by then. Nothing is ordered here,
 * so that the run depends on what the lock beside the eventcount orders.
 */
#ifndef ROTA_TESTS_MODEL_CK_EC_H
#define ROTA_TESTS_MODEL_CK_EC_H

#include "sched/base/atomic.h"

#include <time.h>

#define CK_EC_SLEEPERS UINT32_C(0x80000000)

struct ck_ec32 {
    _Atomic(uint32_t) counter;
};

struct ck_ec_ops;

struct ck_ec_wait_state {
    void *data;
};

struct ck_ec_ops {
    int (*gettime)(const struct ck_ec_ops *ops, struct timespec *now);
    void (*wait32)(const struct ck_ec_wait_state *state, const uint32_t *address, uint32_t expected,
                   const struct timespec *deadline);
    void (*wake32)(const struct ck_ec_ops *ops, const uint32_t *address);
};

struct ck_ec_mode {
    const struct ck_ec_ops *ops;
    bool single_producer;
};

static inline void ck_ec32_init(struct ck_ec32 *event, uint32_t value)
{
    roti_store(TK1, relaxed, &event->counter, value);
}

static inline bool ck_ec_raised(void *arg)
{
    struct ck_ec32 *event = arg;
    return (roti_load(TK2, relaxed, &event->counter) & ~CK_EC_SLEEPERS) != 0;
}

/* A deadline passes when the search comes to the second look. */
static inline int ck_ec32_wait(struct ck_ec32 *event, const struct ck_ec_mode *mode, uint32_t old,
                               const struct timespec *deadline)
{
    (void)mode;
    if ((roti_load(TK3, relaxed, &event->counter) & ~CK_EC_SLEEPERS) != old)
        return 0;
    (void)roti_fetch_or(TK4, relaxed, &event->counter, CK_EC_SLEEPERS);
    if (deadline != NULL)
        return (roti_load(TK8, relaxed, &event->counter) & ~CK_EC_SLEEPERS) != old ? 0 : -1;
    model_wait_until(ck_ec_raised, event);
    while ((roti_load(TK5, relaxed, &event->counter) & ~CK_EC_SLEEPERS) == old)
        roti_pause();
    return 0;
}

static inline int ck_ec32_wait_pred(struct ck_ec32 *event, const struct ck_ec_mode *mode,
                                    uint32_t old,
                                    int (*pred)(const struct ck_ec_wait_state *state,
                                                struct timespec *step_end),
                                    void *data, const struct timespec *deadline)
{
    (void)pred;
    (void)data;
    return ck_ec32_wait(event, mode, old, deadline);
}

static inline void ck_ec32_inc(struct ck_ec32 *event, const struct ck_ec_mode *mode)
{
    (void)mode;
    if ((roti_fetch_add(TK6, relaxed, &event->counter, 1U) & CK_EC_SLEEPERS) != 0)
        (void)roti_fetch_and(TK7, relaxed, &event->counter, ~CK_EC_SLEEPERS);
}

#endif
