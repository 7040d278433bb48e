/* SPDX-License-Identifier: MIT */
/*
 * timer.c - one loop's timers: arming, disarming from any thread, and firing.
 *
 * A timer is fired with the lock held, so that whoever disarms one knows: either it was taken out,
 * or its `fire` has finished. What `fire` may do is therefore little: it changes a task's word and
 * enqueues, or moves a callback to the local queue. User code never runs under the lock. Waiters
 * that were claimed are woken after the unlock; nothing of their timers is touched after that.
 */
#include "loop/timer.h"

#include "sched/wait.h"

/* So many timers fire before the lock is given to others for a moment. */
#if defined(ROTI_SMALL) && ROTI_SMALL
#define FIRE_BATCH_MAX 2
#else
#define FIRE_BATCH_MAX 64
#endif

void roti_timers_init(struct roti_timers *timers, int64_t now_ns)
{
    timers->lock = (struct roti_spin){0};
    roti_wheel_init(&timers->wheel, now_ns);
    /* [TM1] relaxed: nobody else knows these timers yet. */
    roti_store(TM1, relaxed, &timers->next_ns, INT64_MAX);
}

void roti_timer_arm(struct roti_timers *timers, struct roti_timer *timer, int64_t deadline_ns,
                    enum roti_timer_kind kind, roti_timer_fn fire)
{
    ROTI_PLAIN_WRITE(&timer->timers);
    timer->node.place = ROTI_WHEEL_OUT;
    timer->timers = timers;
    timer->node.extra = (uint8_t)kind;
    timer->fire = fire;
    roti_spin_lock(&timers->lock);
    ROTI_PLAIN_WRITE(&timers->wheel);
    roti_wheel_add(&timers->wheel, &timer->node, deadline_ns);
    /* [TM2] relaxed: written under the lock only, which is held. */
    if (deadline_ns < roti_load(TM2, relaxed, &timers->next_ns))
        /* [TM3] relaxed: the owner alone arms, and sleeps by it, so it reads its own store or a
         * later one of the lock's holders. Disarming leaves the bound too early, never too late.
         * Who would help and reads an old one comes again. */
        roti_store(TM3, relaxed, &timers->next_ns, deadline_ns);
    roti_spin_unlock(&timers->lock);
}

bool roti_timer_disarm(struct roti_timer *timer)
{
    ROTI_PLAIN_READ(&timer->timers);
    struct roti_timers *timers = timer->timers;
    roti_spin_lock(&timers->lock);
    ROTI_PLAIN_WRITE(&timers->wheel);
    bool removed = roti_wheel_remove(&timers->wheel, &timer->node);
    roti_spin_unlock(&timers->lock);
    return removed;
}

/* Fires one batch of what is due, or of the tasks' part of it. Under the lock. Returns how many
 * timers were met, at most `count_max`; *ret_more: there may be others. */
static unsigned fire_batch(struct roti_timers *timers, int64_t now_ns, unsigned count_max,
                           bool owner, struct roti_list *woken, bool *ret_more)
{
    unsigned count = 0;
    struct roti_wheel_node *node = NULL;
    ROTI_PLAIN_WRITE(&timers->wheel);
    if (owner)
        roti_wheel_unshelve(&timers->wheel);
    while (count < FIRE_BATCH_MAX && count < count_max &&
           (node = roti_wheel_expire(&timers->wheel, now_ns)) != NULL) {
        struct roti_timer *timer = roti_container_of(node, struct roti_timer, node);
        if (owner || node->extra == ROTI_TIMER_TASK)
            timer->fire(timer, woken);
        else
            roti_wheel_shelve(&timers->wheel, node);
        count++;
    }
    /* [TM4] relaxed: as [TM3]. */
    roti_store(TM4, relaxed, &timers->next_ns, roti_wheel_next_deadline(&timers->wheel));
    *ret_more = node != NULL;
    return count;
}

unsigned roti_timers_expire(struct roti_timers *timers, int64_t now_ns, unsigned count_max)
{
    unsigned count = 0;
    bool more = true;
    while (more && count < count_max) {
        struct roti_list woken;
        roti_list_init(&woken);
        roti_spin_lock(&timers->lock);
        count += fire_batch(timers, now_ns, count_max - count, true, &woken, &more);
        roti_spin_unlock(&timers->lock);
        roti_wait_wake_all(&woken);
    }
    return count;
}

unsigned roti_timers_help(struct roti_timers *timers, int64_t now_ns, unsigned count_max)
{
    unsigned count = 0;
    bool more = true;
    while (more && count < count_max && roti_spin_try_lock(&timers->lock)) {
        struct roti_list woken;
        roti_list_init(&woken);
        count += fire_batch(timers, now_ns, count_max - count, false, &woken, &more);
        roti_spin_unlock(&timers->lock);
        roti_wait_wake_all(&woken);
    }
    return count;
}

int64_t roti_timers_next(struct roti_timers *timers)
{
    /* [TM5] relaxed: see [TM3]. */
    return roti_load(TM5, relaxed, &timers->next_ns);
}

int64_t roti_deadline_after(int64_t now_ns, int64_t delay_ns)
{
    if (delay_ns <= 0)
        return now_ns;
    return delay_ns < INT64_MAX - now_ns ? now_ns + delay_ns : INT64_MAX;
}
