/* SPDX-License-Identifier: MIT */
/*
 * worker.c - the turn of a loop: where work is found, in which order it runs, when the loop sleeps.
 *
 * Problem.    Callbacks and pinned tasks keep asyncio's order; unpinned tasks may be anywhere;
 *             new events must not wait behind a long queue; and a loop that sleeps must have
 *             been sure that there was nothing.
 * Design.     A turn runs the local queue as it stood, then the ready ring, each within a budget.
 *             Between steps it polls without blocking when ROTI_POLL_STEPS steps or ROTI_POLL_NS
 *             have passed; it looks at the clock for that after each step where steps are long, and
 *             more seldom where they are short. With nothing left it searches the other loops,
 *             oldest first, and with nothing found it parks by the protocol of sched/idle.h and
 *             sched/inbox.h.
 *             A loop that its poller has woken is awake before it takes what is ready, or it would
 *             find itself among the sleepers and wake itself for it. Others are told of what it has
 *             taken once it has all, and only if that is more than it runs next itself. So it is
 *             with a task that yields while it is alone.
 *             A loop that is retired (sched/pool.h) is none of those that share unpinned tasks: it
 *             passes them on, and turns for what is its own.
 * Invariants. I1 Nothing of a task is touched after it was enqueued.
 *             I2 A worker that holds a searcher's token gives it back before it runs anything.
 *             I3 Before a worker runs anything, others were told of all else that its ring holds.
 */
#include "sched/worker.h"

#include "sched/base/assert.h"
#include "sched/base/random.h"
#include "sched/park.h"
#include "sched/pool.h"
#include "sched/registry.h"
#include "sched/step.h"

#include <sched.h>

/* Steps of each queue in one turn, before the other has its turn. */
#define LOCAL_BUDGET 244
#define RING_BUDGET 61

struct roti_worker *roti_worker_current(void)
{
    return roti_thread_self()->worker;
}

bool roti_worker_in_task(void)
{
    return roti_worker_may_suspend(roti_worker_current());
}

struct rota_task *rota_current_task(void)
{
    struct roti_worker *worker = roti_worker_current();
    return worker != NULL ? roti_worker_task(worker) : NULL;
}

uint64_t roti_worker_task_id(const struct roti_worker *worker)
{
    const struct rota_task *task = worker != NULL ? roti_worker_task(worker) : NULL;
    return task != NULL ? task->id : 0;
}

/* ---- Queues ---- */

/* Moves what others posted behind the local queue; unpinned tasks to the ring. Owner. */
static __attribute__((noinline)) void empty_inbox(struct roti_worker *worker)
{
    struct roti_fifo tasks;
    struct roti_link *link;
    unsigned count = roti_inbox_take(&worker->inbox.posts, &worker->local);
    if (!roti_inbox_empty(&worker->inbox.tasks)) {
        roti_fifo_init(&tasks);
        count += roti_inbox_take(&worker->inbox.tasks, &tasks);
        while ((link = roti_fifo_pop(&tasks)) != NULL)
            roti_ring_push(&worker->ring, link);
        roti_pool_wake_one(worker->pool);
    }
    if (count > 0)
        roti_count(worker, posts_received, count);
}

static inline void take_inbox(struct roti_worker *worker)
{
    if (!roti_inbox_quiet(&worker->inbox.posts) || !roti_inbox_quiet(&worker->inbox.tasks))
        empty_inbox(worker);
}

void roti_worker_push_local(struct roti_worker *worker, struct roti_work *work)
{
    step_push_local(worker, work);
}

void roti_worker_notify(struct roti_worker *worker)
{
    struct roti_worker *self = roti_worker_current();
    if (!roti_inbox_notify(&worker->inbox))
        return;
    worker->driver->wake(worker->loop);
    if (self != NULL)
        roti_count(self, wakes_sent, 1);
}

bool roti_worker_post(struct roti_worker *worker, struct roti_work *work)
{
    enum roti_push pushed = roti_inbox_push(&worker->inbox.posts, &work->link);
    if (pushed == ROTI_PUSH_FIRST)
        roti_worker_notify(worker);
    return pushed != ROTI_PUSH_CLOSED;
}

void roti_pool_wake_one(struct roti_pool *pool)
{
    int index = roti_idle_pick(&pool->idle);
    if (index >= 0)
        roti_worker_notify(roti_pool_worker(pool, index));
}

/* An unpinned task for `worker`, from another thread. */
static void post_task(struct roti_worker *worker, struct rota_task *task)
{
    struct roti_pool *pool = worker->pool;
    worker = roti_sentinel_avoid_blocked(worker);
    roti_task_set_worker(task, worker);
    if (roti_inbox_push(&worker->inbox.tasks, &task->work.link) == ROTI_PUSH_FIRST)
        roti_worker_notify(worker);
    roti_pool_wake_one(pool); /* the owner may be busy for long; any loop may take it */
}

/* Where an unpinned task may go: to that worker if it takes work, else to one that does. */
static struct roti_worker *active_worker(struct roti_worker *wanted)
{
    struct roti_pool *pool = wanted->pool;
    unsigned count = roti_pool_active_count(pool);
    if (wanted->index < count)
        return wanted;
    return roti_pool_worker(pool, (unsigned)(roti_random(roti_thread_self()) % count));
}

/* In builds that move every unpinned task at each resume: to the worker after the one that ran it
 * last, through the inbox from which nobody steals it back. False: it has not run yet. */
static bool post_onwards(struct rota_task *task)
{
    if (task->frame == NULL)
        return false;
    const struct roti_worker *last = task->frame->ran_on;
    if (last == NULL)
        return false;
    unsigned count = roti_pool_active_count(last->pool);
    struct roti_worker *next = roti_pool_worker(last->pool, (last->index + 1) % count);
    if (next == last)
        roti_task_let_stay(task); /* all others are retired */
    roti_task_set_worker(task, next);
    if (next == roti_worker_current())
        roti_worker_push_local(next, &task->work);
    else
        (void)roti_worker_post(next, &task->work);
    return true;
}

/* Nothing is to be run before what the ring holds. */
static bool ring_comes_next(const struct roti_worker *worker)
{
    return roti_fifo_empty(&worker->local) && roti_fifo_empty(&worker->due);
}

/* Enqueues from a worker of the task's own pool. */
static void enqueue_here(struct roti_worker *self, struct rota_task *task, bool away)
{
    struct roti_worker *last = roti_task_worker(task);
    if (roti_task_stays(self->pool, task)) {
        roti_task_let_stay(task);
        if (last == self)
            step_push_local(self, &task->work);
        else
            (void)roti_worker_post(last, &task->work);
    } else if (ROTI_MIGRATE && post_onwards(task)) {
        return; /* it is on its way */
    } else if (away && last != self) {
        post_task(active_worker(last), task);
    } else if (!self->serves) {
        post_task(active_worker(self), task);
    } else {
        struct roti_pool *pool = self->pool;
        roti_task_set_worker(task, self);
        roti_ring_push(&self->ring, &task->work.link);
        if (self->polling)
            self->unannounced = true;
        else
            roti_pool_wake_one(pool);
    }
}

static void enqueue(struct rota_task *task, bool away)
{
    struct roti_worker *self = roti_worker_current();
    struct roti_pool *pool = task->pool;
    if (self != NULL && self->pool == pool) {
        roti_worker_queues(self, true, &task->work);
        enqueue_here(self, task, away);
        return;
    }
    /* A closed inbox refuses it: the task outlived the shutdown deadline, and stays where it is. */
    roti_pool_foreign_enter(pool);
    struct roti_worker *last = roti_task_worker(task);
    roti_worker_queues(last, false, &task->work);
    if (roti_task_stays(pool, task)) {
        roti_task_let_stay(task);
        (void)roti_worker_post(last, &task->work);
    } else if (!ROTI_MIGRATE || !post_onwards(task)) {
        post_task(active_worker(last), task);
    }
    roti_pool_foreign_leave(pool);
}

void roti_task_enqueue_from(struct roti_worker *self, struct rota_task *task)
{
    roti_worker_queues(self, true, &task->work);
    enqueue_here(self, task, false);
}

void roti_task_enqueue_again(struct roti_worker *self, struct rota_task *task)
{
    roti_worker_queues(self, true, &task->work);
    if (ROTI_MIGRATE && post_onwards(task))
        return;
    if (!self->serves) {
        post_task(active_worker(self), task);
        return;
    }
    roti_ring_push(&self->ring, &task->work.link);
    if (ring_comes_next(self) && roti_ring_count(&self->ring) == 1)
        self->unannounced = true; /* [I3] before anything else is run */
    else
        roti_pool_wake_one(self->pool);
}

void roti_task_enqueue(struct rota_task *task)
{
    enqueue(task, false);
}

void roti_task_enqueue_away(struct rota_task *task)
{
    enqueue(task, true);
}

/* ---- Steps ---- */

static void poll(struct roti_worker *worker, int64_t deadline_ns)
{
    worker->polling = true;
    worker->driver->poll(worker->loop, deadline_ns);
    worker->polling = false;
    worker->instant = 0;
}

/* Tells another loop of what the ring holds, unless it is one task and comes next.
 * If something is put before that task later (the local queue runs first), the next call tells. */
static void announce(struct roti_worker *worker)
{
    uint64_t count = roti_ring_count(&worker->ring);
    worker->unannounced = count == 1 && ring_comes_next(worker);
    if (count > 0 && !worker->unannounced)
        roti_pool_wake_one(worker->pool);
}

/* After the last step of a task, before anything else: this loop's own context is current. */
static inline void leave_task(struct roti_worker *worker)
{
    worker->thread_object->context = &worker->context;
}

void roti_worker_poll_now(struct roti_worker *worker)
{
    worker->steps = 0;
    leave_task(worker);
    if (roti_spin_try_lock(&worker->poll_lock)) { /* else somebody polls for this loop */
        poll(worker, 0);
        roti_spin_unlock(&worker->poll_lock);
    }
    if (worker->unannounced)
        announce(worker); /* [I3] */
    roti_sentinel_look(worker, worker->polled_ns, false);
}

/* The next look at the clock comes after `interval` steps, but not later than a poll is due. */
static void set_clock_interval(struct roti_worker *worker, unsigned interval)
{
    if (interval > ROTI_CLOCK_STEPS)
        interval = ROTI_CLOCK_STEPS;
    if (interval > ROTI_POLL_STEPS - worker->steps)
        interval = ROTI_POLL_STEPS - worker->steps;
    worker->clock_interval = interval;
    worker->countdown = interval;
}

/* Another number of loops may be wanted. Asked after a step only: a loop that wakes for nothing is
 * to sleep again, and what is asked may start a task. */
static __attribute__((noinline)) void review(struct roti_worker *worker, int64_t now_ns)
{
    leave_task(worker);
    worker->review_ns = worker->driver->review(worker->loop, now_ns);
}

/* Polls if it is time; looks again after one step if it was by the clock, else after more steps
 * than the last time. */
static __attribute__((noinline)) void look_at_clock(struct roti_worker *worker)
{
    int64_t now_ns = worker->driver->now(worker->loop);
    bool late = now_ns - worker->polled_ns >= ROTI_POLL_NS;
    worker->steps += worker->clock_interval;
    if (late || worker->steps >= ROTI_POLL_STEPS) {
        worker->polled_ns = now_ns;
        roti_worker_poll_now(worker);
        (void)roti_stack_trim(&worker->stack_cache, now_ns);
    }
    if (now_ns >= worker->review_ns)
        review(worker, now_ns);
    set_clock_interval(worker, late ? 1 : 2 * worker->clock_interval);
}

/* After each step. */
static inline void step_done(struct roti_worker *worker)
{
    if (--worker->countdown == 0)
        look_at_clock(worker);
}

/* A step that is timed: for figures, and in debug mode to name a task that kept its loop for too
 * long. */
static __attribute__((noinline)) void run_timed(struct roti_worker *worker, struct rota_task *task,
                                                uint64_t timing)
{
    struct roti_task_frame *frame = step_frame(worker, task);
    if (frame == NULL)
        return;
    bool first = frame->ran_on == NULL;
    struct roti_step step = roti_figures_begin(worker, timing, &task->work);
    enum roti_switch why = step_run(worker, task, frame);
    leave_task(worker);
    step.first = first;
    step.last = why == ROTI_SWITCH_DONE;
    uint64_t ns = roti_figures_end(worker, &step, roti_task_name_number(task));
    if ((timing & ROTI_TIMING_SLOW) != 0 && ns >= (uint64_t)worker->pool->slow_ns)
        roti_task_report("a task kept its loop for too long", task, 0);
    if (why == ROTI_SWITCH_YIELD)
        roti_worker_queues(worker, true, &task->work);
    step_end(worker, task, frame, why);
}

static inline __attribute__((always_inline)) void run_task(struct roti_worker *worker,
                                                           struct rota_task *task)
{
    uint64_t timing = roti_worker_timing(worker);
    if (__builtin_expect(timing != 0, 0))
        run_timed(worker, task, timing);
    else
        roti_task_step(worker, task);
    step_done(worker);
}

/* The item is gone once it has run. */
static void run_callback(struct roti_worker *worker, struct roti_work *work)
{
    uint64_t timing = roti_worker_timing(worker);
    leave_task(worker);
    roti_count(worker, callbacks, 1);
    if (__builtin_expect((timing & ROTI_TIMING_FIGURES) == 0, 1)) {
        worker->driver->run(worker->loop, work);
    } else {
        struct roti_step step = roti_figures_begin(worker, timing, work);
        worker->driver->run(worker->loop, work);
        (void)roti_figures_end(worker, &step, ROTI_NAME_CALLBACK);
    }
    step_done(worker);
}

/* Runs the local queue as it stood: what is pushed meanwhile comes in the next turn. Within a
 * budget, so that threads which post faster than this loop runs do not keep the ring from its turn.
 */
static void run_local(struct roti_worker *worker)
{
    struct roti_link *link;
    roti_fifo_append(&worker->due, &worker->local);
    for (int i = 0; i < LOCAL_BUDGET && (link = roti_fifo_pop(&worker->due)) != NULL; i++) {
        struct roti_work *work = roti_container_of(link, struct roti_work, link);
        if (work->kind == ROTI_WORK_TASK)
            run_task(worker, roti_container_of(work, struct rota_task, work));
        else
            run_callback(worker, work);
    }
    leave_task(worker);
}

static void run_ring(struct roti_worker *worker)
{
    struct roti_link *link;
    for (int i = 0; i < RING_BUDGET && (link = roti_ring_pop(&worker->ring)) != NULL; i++)
        run_task(worker, roti_container_of(link, struct rota_task, work.link));
    leave_task(worker);
}

/* ---- Help ---- */

unsigned roti_worker_help(struct roti_worker *worker, struct roti_worker *blocked)
{
    unsigned news = 0;
    worker->instant = 0;
    roti_count(worker, helps, 1);
    if (roti_spin_try_lock(&blocked->poll_lock)) {
        worker->polling = true;
        news = worker->driver->help(blocked->loop);
        worker->polling = false;
        roti_spin_unlock(&blocked->poll_lock);
        roti_count(worker, rescued, news);
    }
    int stolen = worker->serves ? roti_steal_from(worker, blocked, true) : 0;
    if (stolen > 0) {
        roti_count(worker, tasks_stolen, stolen);
        worker->unannounced = true;
        news += (unsigned)stolen;
    }
    if (worker->unannounced)
        announce(worker); /* [I3] */
    return news;
}

/* ---- Sleep ---- */

/* The last look before sleep: anything that this loop could run, anywhere? Where others search,
 * what is not its own is theirs to find. */
static bool any_work(struct roti_worker *worker)
{
    struct roti_pool *pool = worker->pool;
    if (roti_worker_has_work(worker))
        return true;
    if (roti_idle_searched(&pool->idle))
        return false;
    unsigned worker_count = roti_pool_worker_count(pool);
    for (unsigned i = 0; i < worker_count; i++) {
        struct roti_worker *other = roti_pool_worker(pool, i);
        if (!roti_ring_empty(&other->ring) || !roti_inbox_empty(&other->inbox.tasks))
            return true;
    }
    return false;
}

/* Takes the announcement back. */
static void leave_sleepers(struct roti_worker *worker)
{
    if (worker->announced && roti_idle_wake(&worker->pool->idle, worker->index))
        worker->searching = true; /* on the waker's account */
    worker->announced = false;
}

void roti_worker_awake(struct roti_worker *worker)
{
    uint64_t timing = roti_worker_timing(worker);
    if (__builtin_expect((timing & ROTI_TIMING_FIGURES) != 0, 0))
        roti_figures_instant(worker, timing); /* what the poll takes is ready from now on */
    if (!worker->parked)
        return;
    worker->parked = false;
    if (roti_inbox_unpark(&worker->inbox))
        roti_count(worker, wakes_received, 1);
    leave_sleepers(worker);
}

/* How long this loop may sleep for its own sake. */
static int64_t sleep_deadline(const struct roti_worker *worker)
{
    int64_t deadline_ns = roti_stack_trim_deadline(&worker->stack_cache);
    if (worker->index == 0 && worker->pool->drain_deadline_ns < deadline_ns)
        deadline_ns = worker->pool->drain_deadline_ns;
    return deadline_ns;
}

/* Sleeps in the poller until something is ready or somebody wakes this loop. */
static void sleep_in_poll(struct roti_worker *worker)
{
    int64_t begun_ns = worker->driver->now(worker->loop);
    roti_count(worker, parks, 1);
    worker->parked = true;
    poll(worker, sleep_deadline(worker));
    roti_spin_unlock(&worker->poll_lock);
    roti_worker_awake(worker);
    worker->steps = 0;
    set_clock_interval(worker, 1);
    worker->polled_ns = worker->driver->now(worker->loop);
    roti_count(worker, idle_ns, worker->polled_ns - begun_ns);
    worker->slept = true;
    if (!roti_worker_has_work(worker)) /* else before it is run */
        roti_sentinel_look(worker, worker->polled_ns, true);
    roti_search_slept(worker, worker->polled_ns - begun_ns);
}

/* The park protocol: announce, look again, sleep, take the announcement back. A loop that is alone
 * or retired has no work of others to look for, and its inbox's word tells it of its own. */
static void park(struct roti_worker *worker)
{
    struct roti_pool *pool = worker->pool;
    bool shared = worker->serves && !roti_pool_is_single(pool);
    /* Gives cached references of contexts back. May run code of users: before the announcement. */
    roti_context_park(worker->thread_object);
    int64_t now_ns = worker->driver->now(worker->loop);
    if (roti_stack_trim(&worker->stack_cache, now_ns))
        return; /* there is more to trim: a turn comes between two batches */
    roti_sentinel_look(worker, now_ns, worker->slept);
    /* Before the inbox says PARKED: who polls for this loop may take its wake out of the poller.
     * That is over soon, and meanwhile there may be work: turn once more. */
    if (!roti_spin_try_lock(&worker->poll_lock)) {
        roti_pause();
        (void)sched_yield();
        return;
    }
    if (shared) {
        worker->announced = true;
        roti_idle_sleep(&pool->idle, worker->index);
        /* [D2] The announcement comes before every look below. Pairs with [D1] of a pusher. */
        roti_dekker_heavy();
    }
    bool work = shared && any_work(worker);
    if (!work && roti_inbox_park(&worker->inbox)) {
        sleep_in_poll(worker);
        return;
    }
    roti_spin_unlock(&worker->poll_lock);
    leave_sleepers(worker);
}

/* ---- Roles ---- */

/* Passes on what the ring holds. */
static void hand_over(struct roti_worker *worker)
{
    struct roti_link *link;
    while ((link = roti_ring_pop(&worker->ring)) != NULL)
        post_task(active_worker(worker), roti_container_of(link, struct rota_task, work.link));
}

/* Takes part no more. Others may have gone to sleep without a look at everything because this loop
 * searched: it will not look before it sleeps itself, so another is woken to do that. */
static void retire(struct roti_worker *worker)
{
    struct roti_idle *idle = &worker->pool->idle;
    worker->serves = false;
    if (worker->searching)
        roti_search_done(worker, false);
    roti_idle_leave(idle);
    roti_pool_wake_one(worker->pool);
    roti_task_slots_drain(worker);
    roti_stack_cache_drain(&worker->stack_cache);
}

/* Whether this loop is active is said by others; it acts on it here. */
static __attribute__((noinline)) void change_role(struct roti_worker *worker, bool serves)
{
    if (serves) {
        worker->serves = true;
        roti_idle_join(&worker->pool->idle, worker->index);
        return;
    }
    if (worker->serves)
        retire(worker);
    hand_over(worker);
}

static inline void take_role(struct roti_worker *worker)
{
    bool serves = worker->index < roti_pool_active_count(worker->pool);
    if (__builtin_expect(!serves || !worker->serves, 0))
        change_role(worker, serves);
}

/* ---- The turn ---- */

/* The pool is about to stop: true where this loop is to leave now. */
static bool stopping(struct roti_worker *worker)
{
    struct roti_pool *pool = worker->pool;
    if (worker->index == 0 && roti_pool_phase(pool) == ROTI_DRAINING_PHASE)
        roti_pool_supervise(pool);
    return roti_pool_phase(pool) >= ROTI_STOPPING_PHASE;
}

static void turn(struct roti_worker *worker)
{
    struct roti_pool *pool = worker->pool;
    roti_count(worker, turns, 1);
    take_inbox(worker);
    take_role(worker);
    if (worker->searching && roti_worker_has_work(worker))
        roti_search_done(worker, true); /* [I2] */
    if (worker->unannounced)
        announce(worker); /* [I3] */
    if (worker->slept && roti_worker_has_work(worker)) {
        worker->slept = false;
        roti_sentinel_rise(worker);
    }
    if (!roti_fifo_empty(&worker->local) || !roti_fifo_empty(&worker->due))
        run_local(worker);
    if (!roti_ring_empty(&worker->ring))
        run_ring(worker);
    if (roti_pool_phase(pool) != ROTI_RUNNING_PHASE && stopping(worker))
        return;
    if (!roti_fifo_empty(&worker->local) || roti_worker_has_work(worker))
        return;
    if (worker->driver->timers_due(worker->loop))
        roti_worker_poll_now(worker); /* before other loops' work */
    else if (!roti_search(worker))
        park(worker);
}

void roti_worker_main(struct roti_worker *worker)
{
    set_clock_interval(worker, 1);
    while (roti_pool_phase(worker->pool) < ROTI_STOPPING_PHASE)
        turn(worker);
    if (worker->searching)
        roti_search_done(worker, false);
}
