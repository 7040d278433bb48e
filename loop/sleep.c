/* SPDX-License-Identifier: MIT */
/*
 * sleep.c - a task waits for a timer of its own.
 */
#include <rota/timeout.h>

#include "loop/loop_impl.h"
#include "sched/wait.h"

#include <errno.h>

/* On the sleeper's stack; under the timers' lock while armed. */
struct sleep {
    struct roti_timer timer;
    struct roti_list waits; /* the sleeper's, or empty */
};

/* The time has come: the claim is made under the lock, the wake follows the unlock. */
static void fire(struct roti_timer *timer, struct roti_list *woken)
{
    struct sleep *sleep = roti_container_of(timer, struct sleep, timer);
    struct roti_wait *wait = roti_wait_first(&sleep->waits);
    if (roti_wait_claim(wait, 0))
        roti_list_push_back(woken, &wait->link);
}

int rota_sleep_until(int64_t when_ns)
{
    struct rota_loop *loop = roti_loop_current();
    if (!roti_worker_in_task())
        return ROTA_ENOTASK;
    if (when_ns <= loop->worker.driver->now(loop))
        return rota_yield();
    struct sleep sleep;
    struct roti_wait wait;
    roti_list_init(&sleep.waits);
    roti_wait_init(&wait, ROTI_WAIT_TIMER, &sleep.timer, 0);
    int r = roti_wait_begin(0);
    if (r < 0)
        return r;
    roti_wait_link(&wait, &sleep.waits); /* nobody else knows the timer yet */
    roti_timer_arm(&loop->timers, &sleep.timer, when_ns, ROTI_TIMER_TASK, fire);
    r = roti_wait_suspend();
    if (r >= 0)
        return 0;
    (void)roti_timer_disarm(&sleep.timer); /* afterwards `fire` has finished, or never begins */
    return r;
}

int rota_sleep(int64_t delay_ns)
{
    struct rota_loop *loop = roti_loop_current();
    if (delay_ns <= 0)
        return rota_yield();
    if (loop == NULL)
        return ROTA_ENOTASK;
    return rota_sleep_until(roti_deadline_after(loop->worker.driver->now(loop), delay_ns));
}
