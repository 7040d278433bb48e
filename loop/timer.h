/* SPDX-License-Identifier: MIT */
/*
 * timer.h - one loop's timers: a wheel under one short lock, taken by owner and remote alike.
 *
 * Two kinds of node. A task timer is fired under the lock: a timeout scope requests a cancellation,
 * which enqueues; a sleep claims its waiter, which is woken after the unlock. A callback timer is
 * moved to the local queue, and its handle decides whether it runs.
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

struct roti_timer {
    struct roti_wheel_node node; /* under the lock */
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
                    roti_timer_fn fire);

/* Takes a timer out. True if it was armed: it will not fire. When this returns false its `fire` has
 * finished. Any thread. */
bool roti_timer_disarm(struct roti_timer *timer);

/* Fires what is due at `now_ns`, at most `count_max`; returns how many. Owner. */
unsigned roti_timers_expire(struct roti_timers *timers, int64_t now_ns, unsigned count_max);

/* The instant until which the loop may sleep; INT64_MAX: no timer. Owner; no lock. */
int64_t roti_timers_next(struct roti_timers *timers);

/* now + delay, saturating; a negative delay is zero. */
int64_t roti_deadline_after(int64_t now_ns, int64_t delay_ns);

#ifdef __cplusplus
}
#endif

#endif
