/* SPDX-License-Identifier: MIT */
/*
 * future_model.c - futures in the explorer: completed once, seen whole, freed after the last use.
 *
 * The product's file, with tasks and the queue of callbacks played here: a callback that is posted
 * runs at once, on the thread that posts it. What stands behind a value is one plain variable. It
 * is written before the future is completed, read by whoever gets the value, and written again when
 * the value is released: a race fails the run.
 */
#include <rota/future.h>

#include "loop/handle.h"
#include "loop/loop_impl.h"
#include "sched/base/alloc.h"
#include "sched/fork.h"
#include "tests/model/absent.h"
#include "tests/sched/model/task_stand_in.h"

#include <errno.h>

#define THREADS 3
#define ERROR (-EIO)

static struct rota_future *future;
static struct rota_loop loop;
static int behind;           /* what the value points to: plain */
static int results[THREADS]; /* each thread's own: what a call returned */
static int released;         /* how often the value was; whoever frees the future */
static int reported;         /* how often the error was; whoever frees the future */
static int order[2];         /* which callbacks ran, first and second */
static _Atomic(int) runs;    /* callbacks that have run */
static _Atomic(int) dropped; /* callbacks that will not run */

/* ---- What the future asks of its surroundings ---- */

struct rota_loop *rota_loop_ref(struct rota_loop *self)
{
    return self;
}

void rota_loop_unref(struct rota_loop *self)
{
    (void)self;
}

void roti_loop_ref_here(struct rota_loop *self)
{
    (void)self;
}

void roti_loop_unref_on(struct rota_loop *self, struct rota_loop *unneeded)
{
    (void)self, (void)unneeded;
}

void roti_loop_report(const struct rota_error_info *info)
{
    MODEL_ASSERT(info->error == ERROR);
    reported++;
}

int64_t rota_time_ns(void)
{
    return 0;
}

int64_t roti_deadline_after(int64_t now_ns, int64_t delay_ns)
{
    return now_ns + delay_ns;
}

bool roti_fork_is_child(void)
{
    return false;
}

int roti_fork_no_loop(void)
{
    return ROTA_ENOTASK;
}

MODEL_ABSENT(void, roti_thread_wait_init, struct roti_wait *wait, struct roti_thread_waiter *waiter,
             enum roti_wait_kind kind, const void *object)
MODEL_ABSENT(int, roti_thread_wait_sleep, struct roti_thread_waiter *waiter, int64_t deadline_ns)

struct roti_handle_node *roti_handle_reserve(rota_callback_fn fn, void *arg,
                                             struct rota_context *context)
{
    struct roti_handle_node *node = roti_zalloc(sizeof *node);
    (void)context;
    node->fn = fn;
    node->arg = arg;
    return node;
}

static void node_end(struct roti_handle_node *node)
{
    node->owned.release(node);
    roti_free(node, sizeof *node);
}

void roti_handle_post(struct rota_loop *at, struct roti_handle_node *node)
{
    MODEL_ASSERT(at == &loop);
    (void)node->fn(node->arg);
    node_end(node);
}

void roti_handle_drop(struct rota_loop *at, struct roti_work *work)
{
    (void)at;
    (void)roti_fetch_add(TF1, relaxed, &dropped, 1);
    node_end(roti_container_of(work, struct roti_handle_node, work));
}

/* ---- Threads ---- */

static void release(void *value)
{
    MODEL_ASSERT(value == &behind);
    ROTI_PLAIN_WRITE(&behind);
    released++;
}

/* Looks at what a call has returned. */
static void judge(int r, const void *value)
{
    results[model_self()] = r;
    if (r != 0)
        return;
    MODEL_ASSERT(value == &behind);
    ROTI_PLAIN_READ(&behind);
}

static void take(struct rota_future *done)
{
    void *value = NULL;
    int r = rota_future_result(done, &value);
    judge(r, value);
}

static void completes(unsigned thread)
{
    ROTI_PLAIN_WRITE(&behind);
    results[thread] = rota_future_set_result(future, &behind);
    rota_future_unref(future);
}

static void fails(unsigned thread)
{
    results[thread] = rota_future_set_error(future, ERROR);
    rota_future_unref(future);
}

static void looks(unsigned thread)
{
    (void)thread;
    if (rota_future_done(future))
        take(future);
    rota_future_unref(future);
}

static int await(void)
{
    void *value = NULL;
    roti_worker_current()->loop = &loop;
    int r = rota_future_await(future, &value);
    judge(r, value);
    return r;
}

static void awaits(unsigned thread)
{
    (void)thread;
    (void)await();
    rota_future_unref(future);
}

/* Somebody else owns the future. */
static void awaits_borrowed(unsigned thread)
{
    (void)thread;
    MODEL_ASSERT(await() == ROTA_ECLOSED);
}

static void cancels_task(unsigned thread)
{
    (void)thread;
    (void)roti_task_cancel_request(&stand_ins[0].task, NULL);
    rota_future_unref(future);
}

static bool has_begun_to_wait(void *arg)
{
    (void)arg;
    return roti_word_state(stand_in_word(0)) != ROTI_ACTIVE;
}

static void drops_once_awaited(unsigned thread)
{
    (void)thread;
    model_wait_until(has_begun_to_wait, NULL);
    rota_future_unref(future);
}

/* ---- The tests ---- */

static void reset(unsigned tasks, unsigned owners)
{
    static const struct rota_future_opts opts = {.loop = &loop, .release = release};
    stand_in_reset(tasks);
    MODEL_ASSERT(rota_future_create(&future, &opts) == 0);
    for (unsigned i = 1; i < owners; i++)
        (void)rota_future_ref(future);
    for (unsigned i = 0; i < THREADS; i++)
        results[i] = 1;
    behind = released = reported = 0;
    order[0] = order[1] = 0;
    roti_store(TF2, relaxed, &runs, 0);
    roti_store(TF3, relaxed, &dropped, 0);
}

static void reset_threads(void)
{
    reset(0, 2);
}

static void reset_three(void)
{
    reset(0, 3);
}

static void reset_task(void)
{
    reset(1, 3);
}

static void reset_borrowed(void)
{
    reset(1, 1);
}

static void check_gone(void)
{
    MODEL_ASSERT(model_live_blocks() == 0);
}

static void check_released(void)
{
    check_gone();
    MODEL_ASSERT(released == 1);
}

static void check_reported_if_unread(void)
{
    check_gone();
    MODEL_ASSERT(results[1] == 1 || results[1] == ERROR);
    MODEL_ASSERT(reported == (results[1] == 1));
}

static void check_one_has_won(void)
{
    check_gone();
    MODEL_ASSERT((results[0] == 0) != (results[1] == 0));
    MODEL_ASSERT(results[0] == 0 || results[0] == ROTA_ESTATE);
    MODEL_ASSERT(results[1] == 0 || results[1] == ROTA_ESTATE);
    MODEL_ASSERT(results[2] == 1 || results[2] == (results[0] == 0 ? 0 : ERROR));
    MODEL_ASSERT(released == (results[0] == 0));
}

static void check_awaited(void)
{
    check_released();
    MODEL_ASSERT(results[0] == 0 || results[0] == -ECANCELED);
}

MODEL_TEST(future_looked_at) = {
    .threads = {completes, looks}, .setup = reset_threads, .check = check_released};
MODEL_TEST(future_error_read) = {
    .threads = {fails, looks}, .setup = reset_threads, .check = check_reported_if_unread};
MODEL_TEST(future_two_complete) = {
    .threads = {completes, fails, looks}, .setup = reset_three, .check = check_one_has_won};
MODEL_TEST(future_awaited) = {
    .threads = {awaits, completes, cancels_task}, .setup = reset_task, .check = check_awaited};
MODEL_TEST(future_dropped) = {
    .threads = {awaits_borrowed, drops_once_awaited}, .setup = reset_borrowed, .check = check_gone};

/* ---- Done-callbacks: each once, in order, whoever completes the future meanwhile ---- */

static int told(struct rota_future *done, void *arg)
{
    take(done);
    MODEL_ASSERT(results[model_self()] == 0);
    order[roti_fetch_add(TF4, relaxed, &runs, 1)] = *(int *)arg;
    return 0;
}

static void adds_callbacks(unsigned thread)
{
    static int first = 1;
    static int second = 2;
    (void)thread;
    roti_worker_current()->loop = &loop;
    MODEL_ASSERT(rota_future_add_done_callback(future, told, &first, NULL) == 0);
    MODEL_ASSERT(rota_future_add_done_callback(future, told, &second, NULL) == 0);
    rota_future_unref(future);
}

static void reset_callbacks(void)
{
    reset(1, 2);
}

static void check_told(void)
{
    check_released();
    MODEL_ASSERT(roti_load(TF5, relaxed, &runs) == 2 && roti_load(TF6, relaxed, &dropped) == 0);
    MODEL_ASSERT(order[0] == 1 && order[1] == 2);
}

static void drops(unsigned thread)
{
    (void)thread;
    rota_future_unref(future);
}

static void check_dropped(void)
{
    check_gone();
    MODEL_ASSERT(roti_load(TF7, relaxed, &runs) == 0 && roti_load(TF8, relaxed, &dropped) == 2);
}

MODEL_TEST(future_callbacks) = {
    .threads = {adds_callbacks, completes}, .setup = reset_callbacks, .check = check_told};
MODEL_TEST(future_callbacks_dropped) = {
    .threads = {adds_callbacks, drops}, .setup = reset_callbacks, .check = check_dropped};

MODEL_SURVIVES("W4:0", "each task is resumed by its own thread here: see model_word");
