/* SPDX-License-Identifier: MIT */
/*
 * park_model.c - the turn, search and park of sched/worker.c under weak memory, as they are.
 *
 * The product's worker.c, idle.c, park.c, inbox.c and ready_ring.c are played; what stands in for
 * the rest is here: tasks that are a function, a driver whose poll waits on an eventfd that orders
 * nothing, and a pool without threads. Each virtual thread is a loop that runs until the pool
 * stops.
 *
 * Pushers are blocked on purpose: a task that keeps its loop never takes what it has pushed.
 * The last task to run stops the pool, and wakes all loops. So a wake that is lost, anywhere, ends
 * in "nobody can go on": all loops parked, or the one with the work in a task that never returns.
 * Arrivals are what a poller takes: tasks that its loop makes ready while it polls.
 */
#include "sched/base/assert.h"
#include "sched/park.h"
#include "sched/pool.h"
#include "sched/registry.h"
#include "tests/sched/model/never.h"

#include <string.h>

#define TASK_MAX 8
#define LOOP_MAX 3

struct job {
    struct rota_task task;
    struct roti_task_frame frame;
    void (*body)(struct roti_worker *worker);
    int box; /* plain: whoever enqueues fills it, whoever runs it empties it */
};

static struct roti_pool pool;
static struct roti_worker workers[LOOP_MAX];
static struct roti_worker *worker_pointers[LOOP_MAX];
static struct job jobs[TASK_MAX];
static _Atomic(bool) eventfds[LOOP_MAX];
static _Atomic(unsigned) ran;      /* tasks that have run, of those that count */
static _Atomic(unsigned) arrivals; /* tasks that loop 0's poller has not taken yet */
static _Atomic(unsigned) taken;    /* how many it has */
static void (*arrival_bodies[2])(struct roti_worker *worker);
static unsigned job_count;
static unsigned loop_total;      /* also those that are not in the pool's table yet */
static int last_words;           /* plain: written before the stop, read after it */
static unsigned spins[LOOP_MAX]; /* own: parks without a sleep or a task between */

/* Nothing is ever warm: a loop that wakes up to trim would hide a lost wake. */
bool roti_stack_trim(struct roti_stack_cache *cache, int64_t now_ns)
{
    (void)cache, (void)now_ns;
    return false;
}

int64_t roti_stack_trim_deadline(const struct roti_stack_cache *cache)
{
    (void)cache;
    return INT64_MAX;
}

/* Each task has its frame, as if it had run before. */
struct roti_task_frame *roti_task_begin(struct roti_worker *worker, struct rota_task *task)
{
    (void)worker, (void)task;
    MODEL_ASSERT(false);
    return NULL;
}

/* ---- Stand-ins for the driver ---- */

static unsigned index_of(void *loop)
{
    return (unsigned)((struct roti_worker *)loop - workers);
}

static int64_t driver_now(void *loop)
{
    (void)loop;
    return 1;
}

static bool has_arrivals(unsigned index)
{
    return index == 0 && roti_load(TK16, relaxed, &arrivals) > roti_load(TK21, relaxed, &taken);
}

static bool is_woken(void *arg)
{
    unsigned index = index_of(arg);
    return roti_load(TK1, relaxed, &eventfds[index]) || has_arrivals(index);
}

static void enqueue(unsigned index, void (*body)(struct roti_worker *worker));

static void driver_poll(void *loop, int64_t deadline_ns)
{
    unsigned index = index_of(loop);
    if (deadline_ns > 0) {
        spins[index] = 0;
        model_wait_until(is_woken, loop);
        (void)roti_exchange(TK2, relaxed, &eventfds[index], false);
    }
    roti_worker_awake(loop);
    if (index != 0)
        return;
    unsigned arrived = roti_load(TK17, relaxed, &arrivals);
    for (unsigned i = roti_load(TK22, relaxed, &taken); i < arrived; i++) {
        enqueue(i, arrival_bodies[i]);
        roti_store(TK23, relaxed, &taken, i + 1);
    }
}

/* What has arrived is taken in a poll that does not block, or in one that might. */
static bool driver_timers_due(void *loop)
{
    return has_arrivals(index_of(loop)) && model_choose(2) == 1;
}

static void driver_wake(void *loop)
{
    (void)roti_exchange(TK3, relaxed, &eventfds[index_of(loop)], true);
}

static void driver_run(void *loop, struct roti_work *work)
{
    (void)loop;
    (void)work;
    model_fail("there are no callbacks");
}

static const struct roti_driver driver = {
    .now = driver_now,
    .poll = driver_poll,
    .timers_due = driver_timers_due,
    .wake = driver_wake,
    .run = driver_run,
};

/* ---- Stand-ins for tasks, contexts and the pool ---- */

/* The switch to a task: it runs to its end at once. */
void *roti_fiber_jump(void **ret_from_sp, void *to_sp, void *transfer)
{
    struct roti_worker *worker = roti_worker_current();
    struct job *job = roti_container_of(roti_worker_task(worker), struct job, task);
    (void)ret_from_sp, (void)to_sp, (void)transfer;
    spins[worker->index] = 0;
    ROTI_PLAIN_READ(&job->box);
    MODEL_ASSERT(job->box == 1);
    ROTI_PLAIN_WRITE(&job->box);
    job->box = 0;
    job->body(worker);
    return (void *)(intptr_t)ROTI_SWITCH_DONE;
}

#if ROTI_SWITCH_ANNOUNCED /* with the word of ThreadSanitizer's form */
void *roti_fiber_switch(struct roti_fiber *from, struct roti_fiber *to, void *transfer)
{
    return roti_fiber_jump(&from->sp, to->sp, transfer);
}
#endif

void roti_task_retire(struct roti_worker *worker, struct rota_task *task)
{
    (void)worker, (void)task;
}

/* clang-format off */
NEVER(void roti_task_run_call(struct roti_worker *worker))
NEVER(void roti_watchdog_rouse(struct roti_watchdog *watchdog))
NEVER(intptr_t roti_wait_outcome(struct rota_task *task))
NEVER(enum roti_next roti_state_parked(roti_word *word))
NEVER(bool roti_state_deliver_any(roti_word *word))
/* clang-format on */

void roti_task_report(const char *text, struct rota_task *task, int status)
{
    (void)task;
    model_fail("a report: %s, %d", text, status);
}

struct rota_task *rota_task_ref(struct rota_task *task)
{
    return task;
}

void rota_task_unref(struct rota_task *task)
{
    (void)task;
}

/* A loop that comes here again and again has found that others are at it: it lets them go on. */
void roti_context_park(struct roti_thread *thread)
{
    if (spins[thread->worker->index]++ > 0)
        roti_pause();
}

void roti_task_slots_drain(struct roti_worker *worker)
{
    (void)worker;
}

void roti_stack_cache_drain(struct roti_stack_cache *cache)
{
    (void)cache;
}

void roti_pool_foreign_enter(struct roti_pool *entered)
{
    (void)entered;
}

void roti_pool_foreign_leave(struct roti_pool *left)
{
    (void)left;
}

void roti_pool_supervise(struct roti_pool *supervised)
{
    (void)supervised;
}

/* ---- Tasks ---- */

static void stop_pool(void)
{
    ROTI_PLAIN_WRITE(&last_words);
    last_words = 1;
    roti_store(TK4, release, &pool.phase, (int)ROTI_STOPPING_PHASE); /* [TK4] release: as [PL2] */
    for (unsigned i = 0; i < loop_total; i++)
        roti_worker_notify(&workers[i]);
}

/* A task that ends; the last one stops the pool. */
static void count_one(struct roti_worker *worker)
{
    (void)worker;
    if (roti_fetch_add(TK5, relaxed, &ran, 1U) + 1 == job_count)
        stop_pool();
}

static void enqueue(unsigned index, void (*body)(struct roti_worker *worker))
{
    struct job *job = &jobs[index];
    ROTI_PLAIN_WRITE(&job->box);
    job->box = 1;
    job->body = body;
    roti_task_enqueue(&job->task);
}

static bool all_ran(void *arg)
{
    (void)arg;
    return roti_load(TK6, relaxed, &ran) == job_count;
}

/* Keeps its loop until all others have run, wherever. */
static void hold(struct roti_worker *worker)
{
    (void)worker;
    model_wait_until(all_ran, NULL);
}

/* ---- Loops ---- */

static void loop_main(unsigned thread)
{
    struct roti_worker *worker = &workers[thread];
    worker->thread_object = roti_thread_self();
    worker->thread_object->worker = worker;
    worker->thread_object->random_state = 1 + model_choose(loop_total);
    roti_worker_main(worker);
    ROTI_PLAIN_READ(&last_words);
    MODEL_ASSERT(last_words == 1);
}

static void reset(unsigned loop_count, unsigned jobs_that_count)
{
    memset(&pool, 0, sizeof pool);
    memset(workers, 0, sizeof workers);
    memset(jobs, 0, sizeof jobs);
    memset(spins, 0, sizeof spins);
    roti_store(TK25, relaxed, &pool.worker_count, loop_count);
    roti_store(TK26, relaxed, &pool.active_count, loop_count);
    pool.workers = worker_pointers;
    pool.driver = &driver;
    pool.drain_deadline_ns = INT64_MAX;
    roti_store(TK8, relaxed, &pool.phase, (int)ROTI_RUNNING_PHASE);
    roti_idle_init(&pool.idle, loop_count);
    roti_sentinel_init(&pool, false);
    for (unsigned i = 0; i < loop_count; i++) {
        ROTI_PLAIN_WRITE(&worker_pointers[i]);
        worker_pointers[i] = &workers[i];
        workers[i].pool = &pool;
        workers[i].driver = &driver;
        workers[i].loop = &workers[i];
        workers[i].index = i;
        workers[i].serves = true;
        workers[i].review_ns = INT64_MAX;
        roti_fifo_init(&workers[i].local);
        roti_fifo_init(&workers[i].due);
        roti_search_init(&workers[i].waits);
        roti_ring_init(&workers[i].ring);
        roti_inbox_init(&workers[i].inbox);
        roti_store(TK9, relaxed, &eventfds[i], false);
    }
    for (unsigned i = 0; i < TASK_MAX; i++) {
        jobs[i].task.pool = &pool;
        jobs[i].task.frame = &jobs[i].frame;
        jobs[i].frame.fiber.sp = &jobs[i]; /* only that it is parked somewhere */
        jobs[i].task.work.kind = ROTI_WORK_TASK;
        roti_store(TK10, relaxed, &jobs[i].task.worker, &workers[0]);
    }
    roti_store(TK11, relaxed, &ran, 0);
    roti_store(TK18, relaxed, &arrivals, 0);
    roti_store(TK24, relaxed, &taken, 0);
    job_count = jobs_that_count;
    loop_total = loop_count;
    last_words = 0;
}

/* A task on loop 0 before the run: nobody is told of it, as nobody sleeps yet. */
static void begin_with(void (*body)(struct roti_worker *worker))
{
    struct job *job = &jobs[TASK_MAX - 1];
    job->box = 1;
    job->body = body;
    roti_ring_push(&workers[0].ring, &job->task.work.link);
}

/* Everything ran, and the accounts of the idle are settled. */
static void check(void)
{
    MODEL_ASSERT(roti_load(TK13, relaxed, &ran) == job_count);
    uint64_t counts = roti_load(TK14, relaxed, &pool.idle.counts);
    MODEL_ASSERT((counts & ((UINT64_C(1) << 48) - 1)) == 0); /* but for the members */
}

/* ---- A loop pushes one task, and is blocked: another must take it ---- */

static void push_one_and_hold(struct roti_worker *worker)
{
    enqueue(0, count_one);
    hold(worker);
}

static void setup_one(void)
{
    reset(2, 1);
    begin_with(push_one_and_hold);
}

MODEL_TEST(park_one) = {.threads = {loop_main, loop_main}, .setup = setup_one, .check = check};

/* ---- The same with three loops; the second task blocks the loop that takes it ---- */

static void push_more_and_hold(struct roti_worker *worker)
{
    enqueue(2, count_one);
    hold(worker);
}

static void push_two_and_hold(struct roti_worker *worker)
{
    enqueue(0, count_one);
    enqueue(1, push_more_and_hold);
    hold(worker);
}

static void setup_two(void)
{
    reset(3, 2);
    begin_with(push_two_and_hold);
}

MODEL_TEST(park_two) = {
    .threads = {loop_main, loop_main, loop_main}, .setup = setup_two, .check = check};

/* ---- More than the ring holds, and one of them blocks ---- */

static void push_many(struct roti_worker *worker)
{
    (void)worker;
    for (unsigned i = 0; i < ROTI_RING_CAPACITY; i++)
        enqueue(i, count_one);
    enqueue(ROTI_RING_CAPACITY, hold);
    enqueue(ROTI_RING_CAPACITY + 1, count_one);
}

static void setup_many(void)
{
    reset(2, ROTI_RING_CAPACITY + 1);
    begin_with(push_many);
}

MODEL_TEST(park_many) = {.threads = {loop_main, loop_main}, .setup = setup_many, .check = check};

/* ---- A thread without a loop hands tasks over ---- */

static void setup_foreign(void)
{
    reset(2, 2);
}

static void outsider(unsigned thread)
{
    (void)thread;
    enqueue(0, count_one);
    enqueue(1, count_one);
}

MODEL_TEST(park_foreign) = {
    .threads = {loop_main, loop_main, outsider}, .setup = setup_foreign, .check = check};

/* The first one blocks the loop that takes it: the second must be taken by the other. */
static void outsider_blocks(unsigned thread)
{
    (void)thread;
    enqueue(0, hold);
    enqueue(1, count_one);
}

static void setup_foreign_blocks(void)
{
    reset(2, 1);
}

MODEL_TEST(park_foreign_blocks) = {.threads = {loop_main, loop_main, outsider_blocks},
                                   .setup = setup_foreign_blocks,
                                   .check = check};

/* ---- A pinned task goes to its own loop, which sleeps ---- */

static void push_pinned(struct roti_worker *worker)
{
    jobs[0].task.work.extra = 1;
    roti_store(TK15, relaxed, &jobs[0].task.worker, &workers[1 - worker->index]);
    enqueue(0, count_one);
    hold(worker);
}

static void setup_pinned(void)
{
    reset(2, 1);
    begin_with(push_pinned);
}

MODEL_TEST(park_pinned) = {
    .threads = {loop_main, loop_main}, .setup = setup_pinned, .check = check};

/* ---- What a poller takes ---- */

/* So many tasks become ready at loop 0's poller, all at once. */
static void arrive(unsigned count)
{
    roti_store(TK19, relaxed, &arrivals, count);
}

/* Two arrive, and the first blocks the loop: the other one must take the second. */
static void network_of_two(unsigned thread)
{
    (void)thread;
    arrive(2);
}

static void setup_two_arrivals(void)
{
    reset(2, 1);
    arrival_bodies[0] = hold;
    arrival_bodies[1] = count_one;
}

MODEL_TEST(park_two_arrivals) = {
    .threads = {loop_main, loop_main, network_of_two}, .setup = setup_two_arrivals, .check = check};

/* One arrives, pushes another task, and blocks. */
static void network_of_one(unsigned thread)
{
    (void)thread;
    arrive(1);
}

static void setup_arrival(void)
{
    reset(2, 1);
    arrival_bodies[0] = push_more_and_hold;
}

MODEL_TEST(park_arrival) = {
    .threads = {loop_main, loop_main, network_of_one}, .setup = setup_arrival, .check = check};

/* One arrives, and once it is taken somebody posts a pinned task that blocks the loop. */
static bool is_taken(void *arg)
{
    (void)arg;
    return roti_load(TK20, relaxed, &taken) == 1;
}

static void network_and_post(unsigned thread)
{
    (void)thread;
    arrive(1);
    model_wait_until(is_taken, NULL);
    jobs[1].task.work.extra = 1;
    enqueue(1, hold);
}

static void setup_arrival_behind(void)
{
    reset(2, 1);
    arrival_bodies[0] = count_one;
}

MODEL_TEST(park_arrival_behind) = {.threads = {loop_main, loop_main, network_and_post},
                                   .setup = setup_arrival_behind,
                                   .check = check};

/* ---- Loops that are retired and added ---- */

#if ROTI_TSAN
MODEL_SURVIVES("PL42:0", "whoever looks for a sleeper passes the word of the Dekker functions");
MODEL_SURVIVES("PL43:0", "as PL42");
#endif

/* The last loop is retired while the first pushes a task and blocks: it may be searching for it,
 * asleep and picked for it, or have it. The second one must run it. */
static void retires_last(unsigned thread)
{
    (void)thread;
    roti_pool_set_active(&pool, 2);
}

static void setup_retired(void)
{
    reset(3, 1);
    begin_with(push_one_and_hold);
}

MODEL_TEST(park_retired) = {.threads = {loop_main, loop_main, loop_main, retires_last},
                            .setup = setup_retired,
                            .check = check};

/* It is retired with more in its ring than it runs in a step; the other loop gets it all. */
static void setup_retired_with_tasks(void)
{
    reset(2, 3);
    for (unsigned i = 0; i < 3; i++) {
        jobs[i].box = 1;
        jobs[i].body = count_one;
        roti_ring_push(&workers[1].ring, &jobs[i].task.work.link);
    }
}

static void retires_second(unsigned thread)
{
    (void)thread;
    roti_pool_set_active(&pool, 1);
}

MODEL_TEST(park_retired_with_tasks) = {.threads = {loop_main, loop_main, retires_second},
                                       .setup = setup_retired_with_tasks,
                                       .check = check};

/* A task is handed to a loop from outside as that is retired: the first loop is there for it. */
static void retires_and_posts(unsigned thread)
{
    (void)thread;
    roti_pool_set_active(&pool, 1);
    enqueue(1, count_one);
}

static void posts_to_second(unsigned thread)
{
    (void)thread;
    enqueue(0, count_one);
}

static void setup_posted(void)
{
    reset(2, 2);
    roti_store(TK27, relaxed, &jobs[0].task.worker, &workers[1]);
    roti_store(TK28, relaxed, &jobs[1].task.worker, &workers[1]);
}

MODEL_TEST(park_retired_posted) = {
    .threads = {loop_main, loop_main, retires_and_posts, posts_to_second},
    .setup = setup_posted,
    .check = check};

/* A retired loop is asked for again while the first pushes a task and blocks. */
static void setup_revived(void)
{
    reset(2, 1);
    roti_store(TK29, relaxed, &pool.active_count, 1U);
    workers[1].serves = false;
    roti_idle_init(&pool.idle, 1);
    begin_with(push_one_and_hold);
}

static void revives_second(unsigned thread)
{
    (void)thread;
    roti_pool_set_active(&pool, 2);
}

MODEL_TEST(park_revived) = {
    .threads = {loop_main, loop_main, revives_second}, .setup = setup_revived, .check = check};

/* Two loops block, each with a task that waits; the third comes from nowhere. */
static void setup_added(void)
{
    setup_two();
    roti_store(TK30, relaxed, &pool.worker_count, 2U);
    roti_store(TK34, relaxed, &pool.active_count, 2U);
    workers[2].serves = false;
    roti_idle_init(&pool.idle, 2);
}

static void adds_third(unsigned thread)
{
    (void)thread;
    roti_pool_append(&pool, &workers[2]);
    roti_pool_set_active(&pool, 3);
}

MODEL_TEST(park_added) = {
    .threads = {loop_main, loop_main, loop_main, adds_third}, .setup = setup_added, .check = check};

/* The first sleeps alone when the second comes, is given two tasks, and blocks with the one. */
static void adds_and_posts(unsigned thread)
{
    (void)thread;
    roti_pool_append(&pool, &workers[1]);
    roti_pool_set_active(&pool, 2);
    enqueue(0, hold);
    enqueue(1, count_one);
}

static void setup_added_to_sleeper(void)
{
    reset(2, 1);
    roti_store(TK31, relaxed, &pool.worker_count, 1U);
    roti_store(TK32, relaxed, &pool.active_count, 1U);
    workers[1].serves = false;
    roti_idle_init(&pool.idle, 1);
    for (unsigned i = 0; i < 2; i++)
        roti_store(TK33, relaxed, &jobs[i].task.worker, &workers[1]);
}

MODEL_TEST(park_added_to_sleeper) = {.threads = {loop_main, loop_main, adds_and_posts},
                                     .setup = setup_added_to_sleeper,
                                     .check = check};
