/* SPDX-License-Identifier: MIT */
/*
 * timer.h - one loop's timers: a wheel under one short lock, taken by owner and remote alike.
 *
 * Two kinds of timer. A task's is fired under the lock, by whoever looks: a timeout scope requests
 * a cancellation, which enqueues; a sleep claims its waiter, which is woken after the unlock. A
 * callback's is moved to the local queue, which only the owner may do, and its handle decides
 * whether it runs.
 */
#ifndef ROTI_TIMER_H
#define ROTI_TIMER_H

#include "loop/wheel.h"
#include "sched/base/atomic.h"
#include "sched/base/spin.h"

struct rota_loop;
struct roti_timer;

/* Called under the timers' lock when the timer is due; it is out of the wheel. It may change a
 * task's word. If it claims a waiter it links the wait into `woken`, which is woken after the
 * unlock. */
typedef void (*roti_timer_fn)(struct roti_timer *timer, struct roti_list *woken);

enum roti_timer_kind {
    ROTI_TIMER_TASK,     /* `fire` may run on any worker's thread */
    ROTI_TIMER_CALLBACK, /* on the owner's only */
};

struct roti_timer {
    struct roti_wheel_node node; /* under the lock; its extra: enum roti_timer_kind */
    struct roti_timers *timers;  /* where it was armed */
    roti_timer_fn fire;
};

struct roti_timers {
    struct roti_spin lock;
    struct roti_wheel wheel;  /* under lock */
    _Atomic(int64_t) next_ns; /* a lower bound of the next deadline; written under lock */
};

#ifdef __cplusplus
extern "C" {
#endif

void roti_timers_init(struct roti_timers *timers, int64_t now_ns);

/* Arms a timer at a deadline. Owner thread of the loop that `timers` belongs to. */
void roti_timer_arm(struct roti_timers *timers, struct roti_timer *timer, int64_t deadline_ns,
                    enum roti_timer_kind kind, roti_timer_fn fire);

/* Takes a timer out. True if it was armed: it will not fire. When this returns false its `fire` has
 * finished. Any thread. */
bool roti_timer_disarm(struct roti_timer *timer);

/* Fires what is due at `now_ns`, at most `count_max`; returns how many. Owner. */
unsigned roti_timers_expire(struct roti_timers *timers, int64_t now_ns, unsigned count_max);

/* Fires what is due of tasks' timers, for an owner that does not turn; callbacks' stay. 0, too, if
 * somebody has the lock: it does not wait. Any worker of the pool. */
unsigned roti_timers_help(struct roti_timers *timers, int64_t now_ns, unsigned count_max);

/* The instant until which the loop may sleep; INT64_MAX: no timer. Owner; for others a hint. No
 * lock. */
int64_t roti_timers_next(struct roti_timers *timers);

/* now + delay, saturating; a negative delay is zero. */
int64_t roti_deadline_after(int64_t now_ns, int64_t delay_ns);

#ifdef __cplusplus
}
#endif

#endif
