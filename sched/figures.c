/* SPDX-License-Identifier: MIT */
/*
 * figures.c - waits and run times of steps: taken, and switched on and off. The essay is in the
 * header.
 */
#include "sched/figures.h"

#include "sched/pool.h"
#include "sched/worker.h"

/* By so many ticks the counter of another CPU may be behind: a third of a millisecond at 3 GHz. */
#define SKEW_TICKS (UINT64_C(1) << 20)

/* The clock as `timing` says. Never 0, which is no time. */
static uint64_t read_clock(const struct roti_worker *worker, uint64_t timing)
{
    uint64_t scale = timing >> ROTI_TIMING_SCALE_SHIFT;
    uint64_t ticks = roti_clock_read(scale, worker->driver, worker->loop) & ROTI_CLOCK_TICKS_MAX;
    return ticks > 0 ? ticks : 1;
}

static uint64_t since(uint64_t then, uint64_t now)
{
    return (now - then) & ROTI_CLOCK_TICKS_MAX;
}

/* ---- Taking times ---- */

void roti_figures_stamp(struct roti_worker *worker, uint64_t timing, bool own,
                        struct roti_work *work)
{
    uint64_t now = own ? worker->instant : 0;
    work->queued = (now != 0 ? now : read_clock(worker, timing)) & ROTI_CLOCK_TICKS_MAX;
}

void roti_figures_instant(struct roti_worker *worker, uint64_t timing)
{
    worker->instant = read_clock(worker, timing);
}

/* How long an item was queued, in ticks. False: it was queued before times were taken. */
static bool take_wait(const struct roti_figures *figures, struct roti_work *work, uint64_t now,
                      uint64_t *ret_ticks)
{
    uint64_t ticks = since(work->queued, now);
    bool queued = work->queued != 0;
    work->queued = 0;
    if (ticks > ROTI_CLOCK_TICKS_MAX - SKEW_TICKS)
        ticks = 0; /* by the clock of a CPU that is ahead */
    *ret_ticks = ticks;
    return queued && ticks <= since(figures->since, now);
}

struct roti_step roti_figures_begin(struct roti_worker *worker, uint64_t timing,
                                    struct roti_work *work)
{
    struct roti_figures *figures = &worker->figures;
    struct roti_step step = {.timing = timing};
    uint64_t ticks;
    step.begun = worker->instant != 0 ? worker->instant : read_clock(worker, timing);
    worker->instant = 0;
    if ((timing & ROTI_TIMING_FIGURES) == 0)
        return step;
    if (figures->seen != timing) {
        figures->seen = timing;
        figures->since = step.begun;
    }
    if (take_wait(figures, work, step.begun, &ticks)) {
        step.wait_ns = roti_clock_ns(timing >> ROTI_TIMING_SCALE_SHIFT, ticks);
        roti_histogram_record(&figures->wait, step.wait_ns);
    }
    return step;
}

uint64_t roti_figures_end(struct roti_worker *worker, const struct roti_step *step, unsigned name)
{
    struct roti_figures *figures = &worker->figures;
    struct roti_name_figures *row = &figures->names[name];
    worker->instant = read_clock(worker, step->timing);
    uint64_t ticks = since(step->begun, worker->instant);
    uint64_t ns = roti_clock_ns(step->timing >> ROTI_TIMING_SCALE_SHIFT, ticks);
    if ((step->timing & ROTI_TIMING_FIGURES) == 0)
        return ns;
    roti_histogram_record(&figures->run, ns);
    roti_figure_add(&row->started, step->first);
    roti_figure_add(&row->finished, step->last);
    roti_figure_add(&row->steps, 1);
    roti_figure_add(&row->run_ns, ns);
    roti_figure_add(&row->wait_ns, step->wait_ns);
    return ns;
}

/* ---- Switching ---- */

/* The word for a pool's state. Under the lock. */
static uint64_t compose(const struct roti_pool *pool, uint64_t scale, bool on)
{
    uint64_t number_max = (UINT64_C(1) << ROTI_TIMING_SCALE_SHIFT) - ROTI_TIMING_NUMBER;
    uint64_t slow = pool->slow_ns > 0 ? ROTI_TIMING_SLOW : 0;
    uint64_t number = pool->figures_number * ROTI_TIMING_NUMBER & number_max;
    uint64_t figures = on ? ROTI_TIMING_FIGURES | number : 0;
    return slow + figures == 0 ? 0 : scale << ROTI_TIMING_SCALE_SHIFT | slow | figures;
}

static void set_timing(struct roti_worker *worker, uint64_t timing)
{
    /* [FG1] relaxed: a value by itself; see the essay. */
    roti_store(FG1, relaxed, &worker->timing, timing);
}

static uint64_t scale_for(const struct roti_pool *pool, bool on)
{
    return on ? roti_clock_scale(pool->driver, roti_pool_worker(pool, 0)->loop) : ROTI_CLOCK_DRIVER;
}

void roti_figures_init(struct roti_pool *pool, bool on)
{
    pool->figures_number = on;
    pool->timing = compose(pool, scale_for(pool, on), on);
}

void roti_figures_switch(struct roti_pool *pool, bool on)
{
    uint64_t scale = scale_for(pool, on);
    roti_spin_lock(&pool->figures_lock);
    if (((pool->timing & ROTI_TIMING_FIGURES) != 0) != on) {
        pool->figures_number++;
        pool->timing = compose(pool, scale, on);
        unsigned count = roti_pool_worker_count(pool);
        for (unsigned i = 0; i < count; i++)
            set_timing(roti_pool_worker(pool, i), pool->timing);
    }
    roti_spin_unlock(&pool->figures_lock);
}

bool roti_figures_on(struct roti_pool *pool)
{
    roti_spin_lock(&pool->figures_lock);
    bool on = (pool->timing & ROTI_TIMING_FIGURES) != 0;
    roti_spin_unlock(&pool->figures_lock);
    return on;
}

bool roti_figures_known(struct roti_pool *pool)
{
    roti_spin_lock(&pool->figures_lock);
    bool known = pool->figures_number > 0;
    roti_spin_unlock(&pool->figures_lock);
    return known;
}

void roti_figures_join(struct roti_pool *pool, struct roti_worker *worker)
{
    roti_spin_lock(&pool->figures_lock);
    set_timing(worker, pool->timing);
    worker->figures.seen = pool->timing; /* all that it meets was queued while it was there */
    roti_spin_unlock(&pool->figures_lock);
}

void roti_figures_update(struct roti_pool *pool, struct roti_worker *worker)
{
    roti_spin_lock(&pool->figures_lock);
    set_timing(worker, pool->timing);
    roti_spin_unlock(&pool->figures_lock);
}
