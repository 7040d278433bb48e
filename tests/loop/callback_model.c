/* SPDX-License-Identifier: MIT */
/*
 * callback_model.c - callbacks and timers in the explorer: cancelled by their tokens while their
 * loop runs, fires and ends.
 *
 * The product's files but for the loop's queue. Thread 0 runs no loop; thread 1 is the loop, which
 * is freed as soon as it is closed and nobody refers to it. So a canceller that touches the timers
 * of a loop that has ended fails the run. What the callback uses is one plain variable, which
 * thread 0 takes for its own as soon as a verdict allows it.
 */
#include "loop/handle.h"
#include "loop/handle_node.h"
#include "loop/loop_impl.h"
#include "sched/base/alloc.h"
#include "sched/fork.h"
#include "sched/wait.h"
#include "tests/model/absent.h"

#include <errno.h>
#include <rota/error.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#define DEADLINE_NS 10
#define TIMERS_MAX 8
#define CHUNKS_MAX 4

static struct rota_loop *loop;
static struct rota_handle handle;   /* thread 0's */
static _Atomic(unsigned) owners;    /* references to the loop */
static _Atomic(int) contexts;       /* captured and not released */
static struct roti_spin queue_lock; /* the loop's queue: */
static struct roti_fifo queue;      /* under queue_lock */
static bool queue_closed;           /* under queue_lock */
static int used;                    /* plain: the callback's, and thread 0's by a verdict */
static int runs;                    /* the loop's */
static int verdict;                 /* thread 0's; 0: none */
static alignas(64) char arena[CHUNKS_MAX][ROTI_SLOTS_CHUNK_SIZE];
static unsigned chunks_used;

/* ---- What callbacks ask of their surroundings ---- */

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    (void)address, (void)protection, (void)flags, (void)fd, (void)offset;
    MODEL_ASSERT(size == ROTI_SLOTS_CHUNK_SIZE && chunks_used < CHUNKS_MAX);
    return memset(arena[chunks_used++], 0, size);
}

int sched_yield(void)
{
    roti_pause();
    return 0;
}

struct roti_worker *roti_worker_current(void)
{
    return roti_thread_self()->worker;
}

bool roti_worker_in_task(void)
{
    return false;
}

struct rota_task *rota_current_task(void)
{
    return NULL;
}

bool roti_fork_is_child(void)
{
    return false;
}

static bool push(struct roti_work *work)
{
    roti_spin_lock(&queue_lock);
    ROTI_PLAIN_WRITE(&queue);
    bool open = !queue_closed;
    if (open)
        roti_fifo_push(&queue, &work->link);
    roti_spin_unlock(&queue_lock);
    return open;
}

static struct roti_work *pop(void)
{
    roti_spin_lock(&queue_lock);
    ROTI_PLAIN_WRITE(&queue);
    struct roti_link *link = roti_fifo_pop(&queue);
    roti_spin_unlock(&queue_lock);
    return link != NULL ? roti_container_of(link, struct roti_work, link) : NULL;
}

bool roti_worker_post(struct roti_worker *worker, struct roti_work *work)
{
    MODEL_ASSERT(worker == &loop->worker);
    return push(work);
}

void roti_worker_push_local(struct roti_worker *worker, struct roti_work *work)
{
    MODEL_ASSERT(worker == &loop->worker && push(work));
}

/* Every thread has the same context, which is not the empty one. */
struct roti_context_ref roti_context_capture_more(struct roti_thread *thread,
                                                  struct rota_context *context)
{
    MODEL_ASSERT(context == NULL);
    (void)roti_fetch_add(TT1, relaxed, &contexts, 1);
    return (struct roti_context_ref){.cell = NULL, .root = roti_thread_context(thread)->root};
}

void roti_context_release_more(struct roti_thread *thread, struct roti_context_ref *ref)
{
    (void)thread;
    *ref = (struct roti_context_ref){0};
    (void)roti_fetch_sub(TT2, relaxed, &contexts, 1);
}

/* What a thread begins with. The loop's has the loop, too; so has setup's, which arms. */
static void enter_thread(void)
{
    struct roti_thread *self = roti_thread_self();
    self->top.root = (struct roti_map *)&contexts;
    if (model_self() != 0) {
        self->worker = &loop->worker;
        loop->worker.thread_object = self;
    }
}

/* The nodes that a thread keeps are no business of the loop's, which may be gone. */
static void leave_thread(void)
{
    struct roti_thread *self = roti_thread_self();
    self->worker = NULL;
    roti_slots_drain(&roti_handle_slots, &self->handles);
}

MODEL_ABSENT(int, roti_context_cell_enter, struct rota_context *cell, void *entering)
MODEL_ABSENT(void, roti_context_cell_leave, struct rota_context *cell)
MODEL_ABSENT(int, roti_fork_no_loop, void)
MODEL_ABSENT(void, roti_loop_report, const struct rota_error_info *info)
MODEL_ABSENT(void, roti_runtime_exit, struct rota_runtime *runtime)
MODEL_ABSENT(void, roti_task_enqueue, struct rota_task *task)
MODEL_ABSENT(void, roti_task_enqueue_from, struct roti_worker *self, struct rota_task *task)
MODEL_ABSENT(void, roti_task_enqueue_away, struct rota_task *task)
MODEL_ABSENT(uint64_t, roti_worker_task_id, const struct roti_worker *worker)
MODEL_ABSENT(int, roti_task_switch_out, struct roti_worker *worker, struct rota_task *task,
             enum roti_switch why)

/* ---- The loop ---- */

static void loop_unref(void)
{
    /* [TT3] acq_rel: as [LP4]. */
    if (roti_fetch_sub(TT3, acq_rel, &owners, 1U) == 1)
        roti_free_aligned(loop, _Alignof(struct rota_loop), sizeof *loop);
}

/* The callback. */
static int uses(void *arg)
{
    MODEL_ASSERT(arg == &used);
    ROTI_PLAIN_WRITE(&used);
    used = 1;
    runs++;
    return 0;
}

/* A few turns, the last as the loop is closed; see stop_threads() of sched/pool.c. */
static void turns_and_ends(unsigned thread)
{
    struct roti_work *work;
    (void)thread;
    enter_thread();
    for (int i = 0; i < 2; i++) {
        (void)roti_timers_expire(&loop->timers, DEADLINE_NS, TIMERS_MAX);
        while ((work = pop()) != NULL)
            roti_handle_run(loop, work);
    }
    roti_store(TT4, relaxed, &loop->closed, true);
    roti_handle_close(loop);
    roti_spin_lock(&queue_lock);
    ROTI_PLAIN_WRITE(&queue);
    queue_closed = true;
    roti_spin_unlock(&queue_lock);
    while ((work = pop()) != NULL)
        roti_handle_drop(loop, work);
    leave_thread();
    loop_unref();
}

/* ---- Thread 0 ---- */

/* The callback's argument is thread 0's again: it will not be used, or was. */
static void take_back(void)
{
    ROTI_PLAIN_WRITE(&used);
    used = 2;
}

static bool has_run(void *arg)
{
    (void)arg;
    return runs > 0 || queue_closed;
}

/* Cancels at once, or when it is probably too late. */
static void cancels(unsigned thread)
{
    (void)thread;
    enter_thread();
    if (model_choose(4) == 0)
        model_wait_until(has_run, NULL);
    verdict = rota_handle_cancel(&handle);
    if (verdict != ROTA_RUNNING)
        take_back();
}

static void cancels_and_waits(unsigned thread)
{
    (void)thread;
    enter_thread();
    if (model_choose(4) == 0)
        model_wait_until(has_run, NULL);
    verdict = rota_handle_cancel_wait(&handle);
    MODEL_ASSERT(verdict == ROTA_PREVENTED || verdict == ROTA_ALREADY_RAN);
    take_back();
}

static bool is_taken(void *arg)
{
    (void)arg;
    return roti_fifo_empty(&queue);
}

/* Cancels what it has scheduled: at once, or when the loop has taken it. */
static void changes_its_mind(int r)
{
    MODEL_ASSERT(r == 0 || r == ROTA_ECLOSED);
    if (model_choose(2) == 1)
        model_wait_until(is_taken, NULL);
    if (r == 0)
        cancels(0);
    else
        take_back();
    loop_unref();
}

static void posts(unsigned thread)
{
    (void)thread;
    enter_thread();
    ROTI_PLAIN_WRITE(&used);
    changes_its_mind(rota_call_soon_threadsafe(loop, &handle, uses, &used, NULL));
}

static void posts_timer(unsigned thread)
{
    (void)thread;
    enter_thread();
    ROTI_PLAIN_WRITE(&used);
    changes_its_mind(rota_call_at(loop, &handle, DEADLINE_NS, uses, &used, NULL));
}

/* ---- The tests ---- */

static void reset(unsigned references)
{
    roti_handle_forget();
    chunks_used = 0;
    loop = roti_zalloc_aligned(_Alignof(struct rota_loop), sizeof *loop);
    loop->worker.loop = loop;
    roti_timers_init(&loop->timers, 0);
    roti_store(TT5, relaxed, &owners, references);
    roti_store(TT6, relaxed, &contexts, 0);
    roti_spin_unlock(&queue_lock);
    roti_fifo_init(&queue);
    queue_closed = false;
    used = runs = verdict = 0;
    memset(&handle, 0, sizeof handle);
}

static void reset_shared(void)
{
    reset(2);
}

/* Thread 0 has the token of a timer, and nothing else. */
static void reset_armed(void)
{
    reset(1);
    enter_thread();
    MODEL_ASSERT(rota_call_at(loop, &handle, DEADLINE_NS, uses, &used, NULL) == 0);
}

static void check(void)
{
    MODEL_ASSERT(runs + (verdict == ROTA_PREVENTED) <= 1);
    MODEL_ASSERT(verdict != ROTA_RUNNING || runs == 1);
    MODEL_ASSERT(roti_load(TT7, relaxed, &contexts) == 0);
    MODEL_ASSERT(model_live_blocks() == 0);
    MODEL_OUTCOME(runs, verdict == ROTA_PREVENTED);
}

MODEL_TEST(callback_timer_cancelled) = {
    .threads = {cancels, turns_and_ends}, .setup = reset_armed, .check = check};
MODEL_TEST(callback_timer_awaited) = {
    .threads = {cancels_and_waits, turns_and_ends}, .setup = reset_armed, .check = check};
MODEL_TEST(callback_posted) = {
    .threads = {posts, turns_and_ends}, .setup = reset_shared, .check = check};
MODEL_TEST(callback_timer_posted) = {
    .threads = {posts_timer, turns_and_ends}, .setup = reset_shared, .check = check};

MODEL_SURVIVES("HN2:0", "no token here is of an earlier life; model_handle has one");
MODEL_SURVIVES("HN10:0", "as HN2");
MODEL_SURVIVES("SL3:0", "here whoever has an index came after its chunk; see model_slots");
