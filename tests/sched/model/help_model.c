/* SPDX-License-Identifier: MIT */
/*
 * help_model.c - blocked loops and those that help them, as they are, under weak memory.
 *
 * The product's worker.c and sentinel.c are played, with all below them; the driver here has what
 * matters of a poller: an eventfd whose edge is told once, to whoever polls, the owner or a helper;
 * tasks that become ready there; and a ticker that wakes loop 1 where it sleeps, as a kernel may
 * choose the same loop each time. Virtual time goes on when it does, far enough that a loop which
 * has not moved is blocked.
 *
 * What is lost ends in "nobody can go on", or in ticks without an end: a task that only a helper
 * can find, and no ticker set; a loop that sleeps although it was woken, as somebody else has taken
 * the edge.
 */
#include "sched/base/assert.h"
#include "sched/park.h"
#include "sched/pool.h"
#include "sched/registry.h"
#include "tests/sched/model/never.h"

#include <string.h>

#define TASK_MAX 4
#define LOOP_MAX 2
#define TICK_NS INT64_C(10000000)
#define SPIN_NS 1000

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
static _Atomic(bool) edges[LOOP_MAX]; /* of the eventfds, not told yet */
static _Atomic(bool) arrived;         /* job 0 is ready at loop 0's poller, and nobody was told */
static _Atomic(bool) ticker;
static _Atomic(bool) released; /* the task that keeps loop 0 may go on */
static _Atomic(int64_t) clock_ns;
static _Atomic(unsigned) ran;
static _Atomic(bool) posted; /* the thread outside is done */
static bool helps_slowly;
static unsigned job_count;
static int last_words;           /* plain: written before the stop, read after it */
static unsigned spins[LOOP_MAX]; /* own: parks without a sleep or a task between */

/* What is stolen is shown by model_ring and the park programs. */
MODEL_SURVIVES("R9:0", "too few tasks to fill the ring");
MODEL_SURVIVES("R19:0", "too few tasks to fill the ring");
MODEL_SURVIVES("R13:0", "too few tasks to overflow");
MODEL_SURVIVES("PL40:0", "no loop is added: see model_park_protocol");
MODEL_SURVIVES("PL42:0", "as PL40");

static unsigned index_of(void *loop)
{
    return (unsigned)((struct roti_worker *)loop - workers);
}

/* ---- The driver ---- */

static int64_t driver_now(void *loop)
{
    (void)loop;
    return roti_load(HM1, relaxed, &clock_ns);
}

static void enqueue(unsigned index)
{
    roti_task_enqueue(&jobs[index].task);
}

/* Takes what a poller tells: edges are told once. */
static unsigned take(unsigned index)
{
    (void)roti_exchange(HM2, relaxed, &edges[index], false);
    if (index != 0 || !roti_exchange(HM3, relaxed, &arrived, false))
        return 0;
    enqueue(0);
    return 1;
}

static bool is_woken(void *arg)
{
    unsigned index = index_of(arg);
    return roti_load(HM4, relaxed, &edges[index]) ||
           (index == 1 && roti_load(HM5, relaxed, &ticker)) ||
           (index == 0 && roti_load(HM6, relaxed, &arrived));
}

static void driver_poll(void *loop, int64_t deadline_ns)
{
    unsigned index = index_of(loop);
    if (deadline_ns > 0) {
        spins[index] = 0;
        model_wait_until(is_woken, loop);
    }
    if (index == 1 && roti_exchange(HM7, relaxed, &ticker, false)) {
        (void)roti_fetch_add(HM8, relaxed, &clock_ns, TICK_NS);
        roti_pause(); /* time has passed for the others, too */
    }
    roti_worker_awake(loop);
    (void)take(index);
}

static bool is_posted(void *arg)
{
    (void)arg;
    return roti_load(HM36, relaxed, &posted);
}

/* Whoever helps may be kept in the kernel for a while. */
static unsigned driver_help(void *loop)
{
    if (helps_slowly && index_of(loop) == 0 && model_choose(2) == 1)
        model_wait_until(is_posted, NULL);
    return take(index_of(loop));
}

static bool driver_tick(void *loop, int64_t delay_ns)
{
    (void)loop;
    (void)delay_ns;
    roti_store(HM9, relaxed, &ticker, true);
    return true;
}

static bool driver_timers_due(void *loop)
{
    (void)loop;
    return false;
}

/* A round of the spin takes as long as one may last. */
static void driver_give_cpu(void *loop)
{
    (void)loop;
    (void)roti_fetch_add(HM40, relaxed, &clock_ns, SPIN_NS);
}

static void driver_wake(void *loop)
{
    roti_store(HM10, relaxed, &edges[index_of(loop)], true);
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
    .help = driver_help,
    .tick = driver_tick,
    .timers_due = driver_timers_due,
    .give_cpu = driver_give_cpu,
    .wake = driver_wake,
    .run = driver_run,
};

/* ---- Stand-ins for tasks, contexts and the pool ---- */

/* Each task has its frame, as if it had run before. */
struct roti_task_frame *roti_task_begin(struct roti_worker *worker, struct rota_task *task)
{
    (void)worker, (void)task;
    MODEL_ASSERT(false);
    return NULL;
}

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
NEVER(void roti_task_slots_drain(struct roti_worker *worker))
NEVER(void roti_stack_cache_drain(struct roti_stack_cache *cache))
NEVER(void roti_task_run_call(struct roti_worker *worker))
NEVER(struct rota_task *roti_task_ref_running(const struct roti_worker *worker))
NEVER(void roti_sample_open(void))
NEVER(void roti_sample_close(void))
NEVER(int roti_sample_take(struct roti_sample *sample, void **ret_pcs,
                           enum roti_whereabouts *ret_whereabouts))
NEVER(uint64_t roti_sample_cpu_wait_ns(pid_t tid))
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

static void count_one(struct roti_worker *worker)
{
    (void)worker;
    if (roti_fetch_add(HM11, relaxed, &ran, 1U) + 1 < job_count)
        return;
    ROTI_PLAIN_WRITE(&last_words);
    last_words = 1;
    roti_store(HM12, release, &pool.phase, (int)ROTI_STOPPING_PHASE); /* [HM12] release: as [PL2] */
    for (unsigned i = 0; i < LOOP_MAX; i++)
        roti_worker_notify(&workers[i]);
}

static bool all_ran(void *arg)
{
    (void)arg;
    return roti_load(HM13, relaxed, &ran) == job_count;
}

/* Keeps its loop until all others have run, wherever. */
static void hold(struct roti_worker *worker)
{
    (void)worker;
    model_wait_until(all_ran, NULL);
}

static bool is_released(void *arg)
{
    (void)arg;
    return roti_load(HM14, relaxed, &released);
}

static void hold_until_released(struct roti_worker *worker)
{
    (void)worker;
    model_wait_until(is_released, NULL);
}

/* ---- Loops ---- */

static void loop_main(unsigned thread)
{
    struct roti_worker *worker = &workers[thread];
    worker->thread_object = roti_thread_self();
    worker->thread_object->worker = worker;
    worker->thread_object->random_state = 1 + model_choose(LOOP_MAX);
    roti_worker_main(worker);
    ROTI_PLAIN_READ(&last_words);
    MODEL_ASSERT(last_words == 1);
}

static void reset(unsigned jobs_that_count)
{
    memset(&pool, 0, sizeof pool);
    memset(workers, 0, sizeof workers);
    memset(jobs, 0, sizeof jobs);
    memset(spins, 0, sizeof spins);
    roti_store(HM42, relaxed, &pool.worker_count, LOOP_MAX);
    roti_store(HM43, relaxed, &pool.active_count, LOOP_MAX);
    pool.workers = worker_pointers;
    pool.driver = &driver;
    pool.drain_deadline_ns = INT64_MAX;
    roti_store(HM15, relaxed, &pool.phase, (int)ROTI_RUNNING_PHASE);
    roti_idle_init(&pool.idle, LOOP_MAX);
    roti_sentinel_init(&pool, true);
    for (unsigned i = 0; i < LOOP_MAX; i++) {
        worker_pointers[i] = &workers[i];
        workers[i].pool = &pool;
        workers[i].driver = &driver;
        workers[i].loop = &workers[i];
        workers[i].index = i;
        workers[i].serves = true;
        workers[i].review_ns = INT64_MAX;
        workers[i].slept = true;
        roti_fifo_init(&workers[i].local);
        roti_fifo_init(&workers[i].due);
        roti_ring_init(&workers[i].ring);
        roti_inbox_init(&workers[i].inbox);
        roti_store(HM16, relaxed, &edges[i], false);
    }
    for (unsigned i = 0; i < TASK_MAX; i++) {
        jobs[i].box = 1;
        jobs[i].body = count_one;
        jobs[i].task.pool = &pool;
        jobs[i].task.work.kind = ROTI_WORK_TASK;
        jobs[i].task.frame = &jobs[i].frame;
        jobs[i].frame.fiber.sp = &jobs[i]; /* only that it is parked somewhere */
        roti_store(HM17, relaxed, &jobs[i].task.worker, &workers[0]);
    }
    roti_store(HM18, relaxed, &arrived, false);
    roti_store(HM19, relaxed, &ticker, false);
    roti_store(HM20, relaxed, &released, false);
    roti_store(HM21, relaxed, &clock_ns, 1);
    roti_store(HM22, relaxed, &ran, 0);
    roti_store(HM37, relaxed, &posted, false);
    helps_slowly = false;
    job_count = jobs_that_count;
    last_words = 0;
}

/* A task on loop 0 before the run, pinned: nobody else may take it. */
static void begin_with(void (*body)(struct roti_worker *worker))
{
    struct job *job = &jobs[TASK_MAX - 1];
    job->body = body;
    job->task.work.extra = 1;
    roti_fifo_push(&workers[0].local, &job->task.work.link);
}

static void check(void)
{
    MODEL_ASSERT(roti_load(HM23, relaxed, &ran) == job_count);
    uint64_t counts = roti_load(HM24, relaxed, &pool.idle.counts);
    MODEL_ASSERT((counts & ((UINT64_C(1) << 48) - 1)) == 0); /* but for the members */
}

/* ---- What becomes ready at the poller of a blocked loop ---- */

static void network(unsigned thread)
{
    (void)thread;
    roti_store(HM25, relaxed, &arrived, true);
}

static void setup_arrival(void)
{
    reset(1);
    begin_with(hold);
}

MODEL_TEST(help_arrival) = {
    .threads = {loop_main, loop_main, network}, .setup = setup_arrival, .check = check};

/* ---- The same where the tick comes while the other loop is about to sleep, and spins ---- */

static void setup_spin(void)
{
    reset(1);
    roti_pool_set_spin(&pool, SPIN_NS);
    workers[1].waits.needed = 1;
    workers[1].waits.short_count = 1;
    begin_with(hold);
}

MODEL_TEST(help_spin) = {
    .threads = {loop_main, loop_main, network}, .setup = setup_spin, .check = check};

/* ---- The same while the looks come to rest, as all loops sleep ---- */

/* A task that blocks loop 0, and then what only the other loop can find. */
static void network_blocks(unsigned thread)
{
    (void)thread;
    jobs[1].body = hold;
    jobs[1].task.work.extra = 1;
    enqueue(1);
    roti_store(HM26, relaxed, &arrived, true);
}

/* Somebody has run something before. */
static void setup_rest(void)
{
    reset(1);
    roti_store(HM28, relaxed, &pool.sentinel.resting, false);
    roti_store(HM29, relaxed, &ticker, true);
}

MODEL_TEST(help_after_rest) = {
    .threads = {loop_main, loop_main, network_blocks}, .setup = setup_rest, .check = check};

/* ---- The blocked loop comes back while it is helped, sleeps, and is woken ---- */

/* Loop 0 sleeps, or has tried to. */
static bool is_settled(void *arg)
{
    (void)arg;
    return roti_inbox_parked(&workers[0].inbox) ||
           roti_load(HM39, relaxed, &workers[0].counters.turns) > 3;
}

static void release_and_post(unsigned thread)
{
    (void)thread;
    roti_store(HM27, relaxed, &released, true);
    if (model_choose(2) == 1)
        model_wait_until(is_settled, NULL);
    jobs[1].task.work.extra = 1; /* pinned: loop 0 alone can run it */
    enqueue(1);
    roti_store(HM38, relaxed, &posted, true);
}

static void setup_return(void)
{
    reset(1);
    helps_slowly = true;
    begin_with(hold_until_released);
}

MODEL_TEST(help_return) = {
    .threads = {loop_main, loop_main, release_and_post}, .setup = setup_return, .check = check};

/* ---- A loop wakes while others come to rest: one of the two must notice ---- */

static bool rested; /* loop 1's */

static void wakes(unsigned thread)
{
    struct roti_worker *worker = &workers[thread];
    (void)roti_inbox_unpark(&worker->inbox);
    roti_sentinel_rise(worker);
}

static void rests(unsigned thread)
{
    rested = roti_sentinel_rest(&workers[thread]);
}

static void setup_wake(void)
{
    reset(1);
    roti_store(HM31, relaxed, &pool.sentinel.resting, false);
    roti_store(HM32, relaxed, &pool.sentinel.due_ns, INT64_MAX);
    rested = false;
    MODEL_ASSERT(roti_inbox_park(&workers[0].inbox));
}

/* Nobody rests while loop 0 is awake, and if loop 1 was told that it may, the ticker is set. */
static void check_awake(void)
{
    MODEL_ASSERT(!roti_load(HM33, relaxed, &pool.sentinel.resting));
    MODEL_ASSERT(!rested || roti_load(HM34, relaxed, &ticker));
}

MODEL_TEST(help_rise) = {.threads = {wakes, rests}, .setup = setup_wake, .check = check_awake};

/* ---- The same, where it is the watchdog that comes to rest ---- */

static void dog_rests(unsigned thread)
{
    (void)thread;
    rested = roti_watchdog_rest(&pool);
}

static void setup_dog(void)
{
    setup_wake();
    MODEL_ASSERT(roti_inbox_park(&workers[1].inbox));
    sem_init(&pool.watchdog.wake, 0, 0);
}

/* It does not rest; and if it was told that it may, its semaphore was posted. */
static void check_roused(void)
{
    int posts = 0;
    MODEL_ASSERT(!roti_load(HM41, relaxed, &pool.watchdog.resting));
    sem_getvalue(&pool.watchdog.wake, &posts);
    MODEL_ASSERT(!rested || posts == 1);
    sem_destroy(&pool.watchdog.wake);
}

MODEL_TEST(help_rouse) = {.threads = {wakes, dog_rests}, .setup = setup_dog, .check = check_roused};

/* ---- The poll lock alone: elsewhere membarrier orders what it guards, too ---- */

static int polls; /* plain: under loop 0's poll lock */

static void polls_once(unsigned thread)
{
    (void)thread;
    if (!roti_spin_try_lock(&workers[0].poll_lock))
        return;
    ROTI_PLAIN_WRITE(&polls);
    polls++;
    roti_spin_unlock(&workers[0].poll_lock);
}

static void setup_polls(void)
{
    reset(0);
    polls = 0;
}

static void check_polls(void)
{
    MODEL_ASSERT(polls == 1 || polls == 2);
}

MODEL_TEST(help_poll_lock) = {
    .threads = {polls_once, polls_once}, .setup = setup_polls, .check = check_polls};
