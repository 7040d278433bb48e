/* SPDX-License-Identifier: MIT */
/*
 * sentinel.c - who notices that a loop is blocked. The essay is in the header.
 *
 * All that looks write and read of each other is relaxed: two that meet may take a loop for blocked
 * that is not, or find one blocked a look later [I3]. What orders is the mark alone.
 */
#include "sched/sentinel.h"

#include "sched/park.h"
#include "sched/pool.h"
#include "sched/worker.h"

/* What one look has found. */
struct sight {
    bool awake;     /* another loop is not parked */
    bool blocked;   /* and one does not turn */
    unsigned news;  /* what there was to help with */
    uint64_t steps; /* of all loops */
};

void roti_sentinel_init(struct roti_pool *pool, bool looks)
{
    struct roti_sentinel *sentinel = &pool->sentinel;
    /* [SE1] [SE2] [SE3] relaxed: before the pool's threads exist. */
    roti_store(SE1, relaxed, &sentinel->resting, looks);
    roti_store(SE2, relaxed, &sentinel->due_ns, looks ? 0 : INT64_MAX);
    roti_store(SE3, relaxed, &sentinel->interval_ns, ROTI_LOOK_MIN_NS);
}

/* [SE4] relaxed: pairs with [CT1]; whether it moves is all that counts. */
static uint64_t steps_of(const struct roti_worker *worker)
{
    return roti_load(SE4, relaxed, &worker->counters.switches) +
           roti_load(SE5, relaxed, &worker->counters.callbacks); /* [SE5] relaxed: likewise. */
}

uint64_t roti_sentinel_heartbeat(const struct roti_worker *worker)
{
    /* [SE6] relaxed: as [SE4]. */
    return steps_of(worker) + roti_load(SE6, relaxed, &worker->counters.turns) + 1;
}

struct roti_worker *roti_sentinel_avoid_blocked(struct roti_worker *worker)
{
    const struct roti_pool *pool = worker->pool;
    struct roti_worker *chosen = worker;
    unsigned count = roti_pool_active_count(pool);
    /* [SE7] relaxed: a hint. */
    for (unsigned i = 1; i < count && roti_load(SE7, relaxed, &chosen->watch.blocked); i++)
        chosen = roti_pool_worker(pool, (worker->index + i) % count);
    return chosen;
}

/* ---- Rest ---- */

static bool all_parked(const struct roti_pool *pool, const struct roti_worker *but)
{
    unsigned count = roti_pool_worker_count(pool);
    for (unsigned i = 0; i < count; i++) {
        struct roti_worker *worker = roti_pool_worker(pool, i);
        if (worker != but && !roti_inbox_parked(&worker->inbox))
            return false;
    }
    return true;
}

/* Sets the ticker. Where the kernel will not, the next loop that has slept tries again. */
static void set_ticker(struct roti_worker *self, int64_t delay_ns)
{
    if (!self->driver->tick(self->loop, delay_ns))
        /* [SE8] relaxed: nothing comes before it that [SE10] would have to see. */
        roti_store(SE8, relaxed, &self->pool->sentinel.resting, true);
}

/* Ends the rest, unless another loop does so. */
static void end_rest(struct roti_worker *self)
{
    struct roti_sentinel *sentinel = &self->pool->sentinel;
    /* [SE10] relaxed: decides which loop ends the rest; nothing is read on the strength of it. */
    if (!roti_exchange(SE10, relaxed, &sentinel->resting, false))
        return;
    /* [SE11] [SE12] relaxed: as the looks' own. */
    roti_store(SE11, relaxed, &sentinel->interval_ns, ROTI_LOOK_MIN_NS);
    roti_store(SE12, relaxed, &sentinel->due_ns, self->driver->now(self->loop) + ROTI_LOOK_MIN_NS);
    set_ticker(self, ROTI_LOOK_MIN_NS);
}

bool roti_sentinel_rest(struct roti_worker *self)
{
    struct roti_pool *pool = self->pool;
    /* [SE13] relaxed: the Dekker functions order it. */
    roti_store(SE13, relaxed, &pool->sentinel.resting, true);
    /* [D2] The mark comes before the look at who is parked. Pairs with [D1] of a loop that has
     * slept. */
    roti_dekker_heavy();
    if (all_parked(pool, self))
        return true;
    /* [SE14] relaxed: whoever takes the mark away ends the rest, see [SE10]. */
    return !roti_exchange(SE14, relaxed, &pool->sentinel.resting, false);
}

/* ---- Looks ---- */

/* Whether this look is the caller's. */
static bool claim(struct roti_sentinel *sentinel, int64_t now_ns)
{
    /* [SE15] relaxed: a guess, which [SE16] checks. */
    int64_t due_ns = roti_load(SE15, relaxed, &sentinel->due_ns);
    while (now_ns >= due_ns)
        /* [SE16] relaxed: only decides who looks. If that thread is kept from it, another one does
         * after a while. */
        if (roti_cas_weak(SE16, relaxed, &sentinel->due_ns, &due_ns, now_ns + ROTI_LOOK_MIN_NS))
            return true;
    return false;
}

/* Compares a loop with what was seen of it last. True: it is blocked. One that sleeps is seen as if
 * it had moved until the next look, or it would be blocked as it wakes. */
static bool is_blocked(struct roti_worker *worker, int64_t now_ns, bool own, bool parked)
{
    struct roti_watch *watch = &worker->watch;
    uint64_t heartbeat = roti_sentinel_heartbeat(worker) - parked;
    /* [SE17] relaxed: see above [I3]. */
    bool moves = own || parked || heartbeat != roti_load(SE17, relaxed, &watch->heartbeat);
    if (moves) {
        /* [SE18] [SE19] relaxed: as [SE17]. */
        roti_store(SE18, relaxed, &watch->heartbeat, heartbeat);
        roti_store(SE19, relaxed, &watch->since_ns, now_ns);
    }
    /* [SE20] [SE21] relaxed: as [SE17]. */
    bool blocked = !moves && now_ns - roti_load(SE20, relaxed, &watch->since_ns) >= ROTI_BLOCKED_NS;
    roti_store(SE21, relaxed, &watch->blocked, blocked);
    return blocked;
}

/* Looks at every loop, and helps each that is blocked. */
static struct sight look_around(struct roti_worker *self, int64_t now_ns)
{
    struct roti_pool *pool = self->pool;
    struct sight sight = {0};
    unsigned count = roti_pool_worker_count(pool);
    for (unsigned i = 0; i < count; i++) {
        struct roti_worker *worker = roti_pool_worker(pool, (self->index + i) % count);
        bool parked = roti_inbox_parked(&worker->inbox);
        sight.steps += steps_of(worker);
        sight.awake |= worker != self && !parked;
        if (!is_blocked(worker, now_ns, worker == self, parked))
            continue;
        sight.blocked = true;
        sight.news += roti_worker_help(self, worker);
    }
    return sight;
}

/* How long until the next look. */
static int64_t next_interval(struct roti_sentinel *sentinel, const struct sight *sight, bool idle)
{
    /* [SE22] [SE23] relaxed: as [SE17]. */
    int64_t interval_ns = roti_load(SE22, relaxed, &sentinel->interval_ns);
    bool ticked = roti_exchange(SE23, relaxed, &sentinel->ticked, idle);
    /* Loops run, and have made no look in time: soon again, once. */
    bool suspicious = idle && sight->awake && !ticked;
    int64_t limit_ns = sight->blocked ? ROTI_HELP_MAX_NS : ROTI_LOOK_MAX_NS;
    if (sight->news > 0 || suspicious)
        return ROTI_LOOK_MIN_NS;
    if (!sight->awake || 2 * interval_ns > limit_ns)
        return limit_ns;
    return 2 * interval_ns;
}

void roti_sentinel_look(struct roti_worker *self, int64_t now_ns, bool idle)
{
    struct roti_sentinel *sentinel = &self->pool->sentinel;
    if (roti_pool_is_single(self->pool) || !claim(sentinel, now_ns))
        return;
    struct sight sight = look_around(self, now_ns);
    /* [SE24] relaxed: as [SE17]. */
    bool quiet = sight.steps == roti_exchange(SE24, relaxed, &sentinel->steps, sight.steps);
    if (idle && quiet && !sight.awake && roti_sentinel_rest(self))
        return;
    int64_t interval_ns = next_interval(sentinel, &sight, idle);
    if (sight.blocked)
        now_ns = self->driver->now(self->loop); /* the help may have taken a while */
    /* [SE25] [SE26] relaxed: as [SE17]. */
    roti_store(SE25, relaxed, &sentinel->interval_ns, interval_ns);
    roti_store(SE26, relaxed, &sentinel->due_ns, now_ns + interval_ns);
    /* Somewhat later, so that loops which run save those that sleep the tick. */
    set_ticker(self, interval_ns + interval_ns / 4);
}

void roti_sentinel_rise(struct roti_worker *self)
{
    /* [D1] This loop's inbox is RUNNING; now look at the marks. Pairs with [D2] of
     * roti_sentinel_rest(). */
    roti_dekker_light();
    /* [SE9] relaxed: the Dekker functions order it. */
    if (roti_load(SE9, relaxed, &self->pool->sentinel.resting) && !roti_pool_is_single(self->pool))
        end_rest(self);
    /* [SE27] relaxed: as [SE9]. */
    if (roti_load(SE27, relaxed, &self->pool->watchdog.resting))
        roti_watchdog_rouse(&self->pool->watchdog);
    roti_sentinel_look(self, self->polled_ns, false);
}
