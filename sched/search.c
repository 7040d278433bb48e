/* SPDX-License-Identifier: MIT */
/*
 * search.c - what a loop does when it is out of work, before it sleeps. The essay is in the header.
 */
#include "sched/search.h"

#include "sched/base/random.h"
#include "sched/pool.h"
#include "sched/task_impl.h"
#include "sched/worker.h"

/* How often a thief tries again after it lost races only. */
#define STEAL_RETRIES 4

/* The doze: a pause is 15 to 50 ns. */
#ifndef ROTI_DOZE_PAUSES
#define ROTI_DOZE_PAUSES 32
#endif

/* Between two rounds of the spin. */
#define SPIN_PAUSES 16

/* A round that takes so long was interrupted by somebody who needs the CPU. */
#define SPIN_GAP_NS INT64_C(20000)

#define SHORT_WAITS_MAX 1024
#define SPINS_FORGIVEN 16

/* ---- Stealing ---- */

int roti_steal_from(struct roti_worker *worker, struct roti_worker *victim, bool singles)
{
    struct roti_link *items[ROTI_STEAL_MAX];
    struct roti_fifo posted;
    struct roti_link *link;
    int count = 0;
    if (singles || roti_ring_count(&victim->ring) > 1)
        count = roti_ring_steal(&victim->ring, items);
    for (int i = 0; i < count; i++) {
        roti_task_set_worker(roti_container_of(items[i], struct rota_task, work.link), worker);
        roti_ring_push(&worker->ring, items[i]);
    }
    if (count != 0)
        return count;
    roti_fifo_init(&posted);
    count = (int)roti_inbox_take(&victim->inbox.tasks, &posted);
    while ((link = roti_fifo_pop(&posted)) != NULL) {
        roti_task_set_worker(roti_container_of(link, struct rota_task, work.link), worker);
        roti_ring_push(&worker->ring, link);
    }
    return count;
}

/* The same, counted. */
static int steal_counted(struct roti_worker *worker, struct roti_worker *victim, bool singles)
{
    roti_count(worker, steals_tried, 1);
    int count = roti_steal_from(worker, victim, singles);
    if (count > 0) {
        roti_count(worker, steals_won, 1);
        roti_count(worker, tasks_stolen, count);
    }
    return count;
}

/* One look at every other loop, beginning at a random one. As roti_steal_from(). */
static int steal_round(struct roti_worker *worker, bool singles)
{
    struct roti_pool *pool = worker->pool;
    unsigned worker_count = roti_pool_worker_count(pool);
    unsigned first = (unsigned)(roti_random(worker->thread_object) % worker_count);
    int lost = 0;
    for (unsigned i = 0; i < worker_count; i++) {
        struct roti_worker *victim = roti_pool_worker(pool, (first + i) % worker_count);
        int count = victim != worker ? steal_counted(worker, victim, singles) : 0;
        if (count > 0)
            return count;
        if (count == ROTI_STEAL_LOST)
            lost = ROTI_STEAL_LOST;
    }
    return lost;
}

/* Rounds until one was not lost to others. */
static int steal(struct roti_worker *worker, bool singles)
{
    int count = ROTI_STEAL_LOST;
    for (int i = 0; i < STEAL_RETRIES && count == ROTI_STEAL_LOST; i++)
        count = steal_round(worker, singles);
    return count;
}

void roti_search_done(struct roti_worker *worker, bool found)
{
    worker->searching = false;
    if (roti_idle_search_end(&worker->pool->idle, found))
        roti_pool_wake_one(worker->pool);
}

/* ---- Staying awake ---- */

void roti_search_slept(struct roti_worker *worker, int64_t slept_ns)
{
    struct roti_waits *waits = &worker->waits;
    if (slept_ns > 2 * roti_pool_spin_ns(worker->pool)) /* a wake alone takes half of that */
        waits->short_count = 0;
    else if (waits->short_count < SHORT_WAITS_MAX)
        waits->short_count++;
}

/* The spin was worth its while. */
static void spin_paid(struct roti_waits *waits)
{
    if (++waits->paid < SPINS_FORGIVEN)
        return;
    waits->paid = 0;
    waits->needed =
        waits->needed / 2 > ROTI_SHORT_WAITS_MIN ? waits->needed / 2 : ROTI_SHORT_WAITS_MIN;
}

/* It was in vain. */
static void spin_lost(struct roti_waits *waits, unsigned times)
{
    waits->short_count = 0;
    waits->paid = 0;
    waits->needed =
        waits->needed * times < SHORT_WAITS_MAX ? waits->needed * times : SHORT_WAITS_MAX;
}

/* Pauses until there is work of its own, or so many have passed. */
static bool pause_for_work(const struct roti_worker *worker, int pauses)
{
    for (int i = 0; i < pauses; i++) {
        if (roti_worker_has_work(worker))
            return true;
        roti_pause();
    }
    return false;
}

/* One other loop, drawn at random: what it has too much of is taken. */
static bool peek_at_one(struct roti_worker *worker)
{
    struct roti_pool *pool = worker->pool;
    uint64_t drawn = roti_random(worker->thread_object) % roti_pool_worker_count(pool);
    struct roti_worker *victim = roti_pool_worker(pool, (unsigned)drawn);
    return victim != worker && steal_counted(worker, victim, false) > 0;
}

/* Stays awake for spin_ns at most. True: there is work. */
static bool spin(struct roti_worker *worker)
{
    const struct roti_driver *driver = worker->driver;
    int64_t begun_ns = driver->now(worker->loop);
    int64_t last_ns = begun_ns;
    int64_t spin_ns = roti_pool_spin_ns(worker->pool);
    roti_count(worker, spins, 1);
    do {
        if (pause_for_work(worker, SPIN_PAUSES))
            return true;
        roti_worker_poll_now(worker);
        if (roti_worker_has_work(worker) || peek_at_one(worker))
            return true;
        driver->give_cpu(worker->loop);
        int64_t now_ns = driver->now(worker->loop);
        if (now_ns - last_ns > SPIN_GAP_NS) {
            spin_lost(&worker->waits, 8); /* as three in vain */
            return false;
        }
        last_ns = now_ns;
    } while (last_ns - begun_ns < spin_ns);
    spin_lost(&worker->waits, 2);
    return false;
}

bool roti_search(struct roti_worker *worker)
{
    struct roti_pool *pool = worker->pool;
    struct roti_waits *waits = &worker->waits;
    worker->instant = 0;
    if (!worker->serves)
        return false;
    bool spins =
        !worker->searching && roti_pool_spin_ns(pool) > 0 && waits->short_count >= waits->needed;
    if (spins && spin(worker)) {
        spin_paid(waits);
        return true;
    }
    if (roti_pool_is_single(pool) || (!worker->searching && !roti_idle_search_begin(&pool->idle)))
        return false;
    worker->searching = true;
    int count = steal(worker, false);
    bool own = count == 0 && !spins && pause_for_work(worker, ROTI_DOZE_PAUSES);
    if (count == 0 && !own)
        count = steal(worker, true);
    roti_search_done(worker, own || count > 0);
    return own || count != 0;
}
