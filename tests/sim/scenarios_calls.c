/* SPDX-License-Identifier: MIT */
/*
 * scenarios_calls.c - a program of calls, drawn one by one: tasks that do to each other, to
 * futures, callbacks, timers, streams and contexts whatever the interface allows.
 *
 * What they share stands in a table which the first task empties at the end, so that no program
 * uses what it has no reference to. Tasks await only those with higher numbers, and the first one,
 * which waits for nothing without a limit, completes all futures and closes all streams before it
 * awaits the others: whoever still waits then was not woken.
 *
 * What must hold: each task has ended, with the status that whoever awaits it is given, and its
 * argument was released once. A future is completed once, and all who read it read the same. Each
 * callback ran once, on time, unless it was prevented. Streams give the bytes that were written, in
 * order. A task sees the value that its spawner's context held, until it sets its own. All memory
 * comes back.
 */
#include "ctx/context_impl.h"
#include "loop/syscall.h"
#include "sched/base/alloc.h"
#include "tests/sim/scenarios.h"

#include <errno.h>
#include <rota/context.h>
#include <rota/error.h>
#include <rota/future.h>
#include <rota/loop.h>
#include <rota/stream.h>
#include <rota/task.h>
#include <rota/timeout.h>

#define STEPS_MAX 5000000
#define WORKERS_MAX 12
#define FUTURE_COUNT 3
#define POST_COUNT 12
#define END_COUNT 4
#define DEPTH_MAX 2
#define PIECE_MAX 700

struct worker {
    struct rota_task *task; /* NULL: the first one, or being spawned, or not spawned */
    void *value;            /* of the variable, in its context */
    bool spawned;
    bool started;
    bool ended;
    int status;
    unsigned released;
};

enum outcome { OUTCOME_VALUE = 1, OUTCOME_ERROR, OUTCOME_CANCELLED };

struct promise {
    struct rota_future *future;
    unsigned tried; /* bits of outcomes */
    unsigned won;
    enum outcome seen;
    unsigned callbacks_added;
    unsigned callbacks_ran;
};

struct post {
    struct rota_handle handle;
    int64_t when_ns;
    bool used;
    bool posted;
    bool asked; /* one asks at a time */
    bool prevented;
    bool over; /* it ran, and uses nothing any more */
    unsigned ran;
};

/* One end of a connection; its peer is the other one of two. */
struct end {
    struct rota_stream *stream;
    bool reading;
    bool writing;
    bool ended; /* closed, or nothing more will be written */
    size_t written;
    size_t offered; /* as much may have been written */
    size_t taken;
};

static struct {
    struct worker workers[WORKERS_MAX];
    unsigned count;
    struct promise promises[FUTURE_COUNT];
    struct post posts[POST_COUNT];
    struct end ends[END_COUNT];
    struct rota_context_var *var;
    uintptr_t last_value;
    bool cancelled; /* somebody was cancelled, or had a limit of time */
    ptrdiff_t bytes_in_use;
} calls;

static int act(struct worker *self, unsigned depth);

/* ---- Tasks ---- */

static unsigned index_of(const struct worker *worker)
{
    return (unsigned)(worker - calls.workers);
}

static int work(void *arg)
{
    struct worker *self = arg;
    int r = 0;
    SIM_ASSERT(!self->started);
    self->started = true;
    for (uint32_t steps = sim_draw(10); steps > 0 && r == 0; steps--)
        r = act(self, 0);
    if (r < 0) {
        SIM_ASSERT(r == -ECANCELED && calls.cancelled);
        scenario_scribble();
    }
    self->status = r < 0 ? r : (int)index_of(self);
    self->ended = true;
    return self->status;
}

static void release(void *arg)
{
    struct worker *self = arg;
    SIM_ASSERT(self->ended == self->started);
    self->released++;
}

static void spawn(const struct worker *self)
{
    if (calls.count == WORKERS_MAX)
        return;
    struct worker *child = &calls.workers[calls.count++];
    struct rota_task_opts opts = {.arg_release = release, .pinned = sim_draw(4) == 0};
    struct rota_task *task = NULL;
    child->value = self->value;
    int r = rota_task_spawn(&task, work, child, &opts);
    if (r < 0 && !scenario_is_shortage(r))
        sim_fail("no task: %s", rota_error_name(r));
    child->task = task;
    child->spawned = r == 0;
}

static void cancel_somebody(void)
{
    const struct worker *worker = &calls.workers[sim_draw(calls.count)];
    if (worker->task == NULL)
        return;
    calls.cancelled = true;
    int r = rota_task_cancel(worker->task);
    SIM_ASSERT(r == 1 || (r == 0 && rota_task_done(worker->task)));
}

static int await(struct worker *worker, bool shielded)
{
    int status;
    int r =
        shielded ? rota_task_shield(worker->task, &status) : rota_task_await(worker->task, &status);
    SIM_ASSERT(r == 0 || r == -ECANCELED);
    if (r < 0)
        return r;
    SIM_ASSERT(rota_task_done(worker->task) && worker->ended == worker->started);
    SIM_ASSERT(status == (worker->started ? worker->status : -ECANCELED));
    return 0;
}

static int await_somebody(const struct worker *self)
{
    unsigned first = index_of(self) + 1;
    if (first >= calls.count)
        return 0;
    struct worker *worker = &calls.workers[first + sim_draw(calls.count - first)];
    /* A request that is passed on may be swallowed there: the first task's limits must hold. */
    bool shielded = index_of(self) == 0 || sim_draw(3) == 0;
    return worker->task != NULL ? await(worker, shielded) : 0;
}

/* ---- Futures ---- */

static void complete(struct promise *promise, enum outcome outcome)
{
    int r;
    if (promise->future == NULL)
        return;
    promise->tried |= 1u << outcome;
    switch (outcome) {
    case OUTCOME_VALUE:
        r = rota_future_set_result(promise->future, promise);
        break;
    case OUTCOME_ERROR:
        r = rota_future_set_error(promise->future, -EPROTO);
        break;
    default:
        r = rota_future_cancel(promise->future) == 1 ? 0 : ROTA_ESTATE;
    }
    SIM_ASSERT(r == 0 || r == ROTA_ESTATE);
    promise->won += r == 0;
    SIM_ASSERT(promise->won <= 1 && rota_future_done(promise->future));
}

static void read_outcome(struct promise *promise, int r, const void *value)
{
    enum outcome outcome = OUTCOME_VALUE;
    if (r < 0)
        outcome = r == -ECANCELED ? OUTCOME_CANCELLED : OUTCOME_ERROR;
    SIM_ASSERT(r == 0 || r == -EPROTO || r == -ECANCELED);
    SIM_ASSERT(r < 0 || value == promise);
    SIM_ASSERT((promise->tried & 1u << outcome) != 0);
    SIM_ASSERT(promise->seen == 0 || promise->seen == outcome);
    promise->seen = outcome;
}

static int tell_callback(struct rota_future *future, void *arg)
{
    struct promise *promise = arg;
    SIM_ASSERT(future == promise->future && rota_future_done(future));
    promise->callbacks_ran++;
    return 0;
}

static int use_future(void)
{
    struct promise *promise = &calls.promises[sim_draw(FUTURE_COUNT)];
    void *value = NULL;
    if (promise->future == NULL)
        return 0;
    switch (sim_draw(6)) {
    case 0: {
        promise->callbacks_added++;
        int r = rota_future_add_done_callback(promise->future, tell_callback, promise, NULL);
        SIM_ASSERT(r == 0 || r == -ENOMEM);
        promise->callbacks_added -= r < 0;
        return 0;
    }
    case 1:
        complete(promise, (enum outcome)(OUTCOME_VALUE + sim_draw(3)));
        return 0;
    case 2: {
        int r = rota_future_result(promise->future, &value);
        if (r != ROTA_ESTATE)
            read_outcome(promise, r, value);
        return 0;
    }
    default: {
        int r = rota_future_await(promise->future, &value);
        if (r == -ECANCELED && !rota_future_cancelled(promise->future))
            return r;
        read_outcome(promise, r, value);
        return 0;
    }
    }
}

/* ---- Callbacks and timers ---- */

static int run_post(void *arg)
{
    struct post *post = arg;
    SIM_ASSERT(rota_time_ns() >= post->when_ns && !post->prevented && post->ran == 0);
    post->ran++;
    if (sim_draw(4) == 0)
        complete(&calls.promises[sim_draw(FUTURE_COUNT)], OUTCOME_VALUE);
    else if (sim_draw(4) == 0)
        cancel_somebody();
    post->over = true;
    return 0;
}

static void post_one(void)
{
    struct rota_runtime *runtime = rota_running_runtime();
    struct post *post = &calls.posts[sim_draw(POST_COUNT)];
    uint32_t loops = (uint32_t)rota_runtime_loop_count(runtime);
    struct rota_loop *loop = rota_runtime_loop(runtime, sim_draw(loops));
    int r;
    if (post->used)
        return;
    post->used = true;
    switch (sim_draw(3)) {
    case 0:
        r = rota_call_soon(NULL, &post->handle, run_post, post, NULL);
        break;
    case 1:
        r = rota_call_soon_threadsafe(loop, &post->handle, run_post, post, NULL);
        break;
    default:
        post->when_ns = rota_time_ns() + sim_draw(4) * ROTA_MS;
        r = rota_call_at(loop, &post->handle, post->when_ns, run_post, post, NULL);
    }
    SIM_ASSERT(r == 0 || r == -ENOMEM);
    post->posted = r == 0;
}

static void unpost_one(void)
{
    struct post *post = &calls.posts[sim_draw(POST_COUNT)];
    if (!post->posted || post->asked)
        return;
    post->asked = true;
    bool before = rota_handle_cancelled(&post->handle);
    bool waits = sim_draw(2) == 0;
    int verdict =
        waits ? rota_handle_cancel_wait(&post->handle) : rota_handle_cancel(&post->handle);
    SIM_ASSERT(verdict > 0 && (verdict != ROTA_ALREADY_CANCELLED || before));
    if (verdict == ROTA_PREVENTED) {
        SIM_ASSERT(post->ran == 0);
        post->prevented = true;
    } else if (verdict == ROTA_ALREADY_RAN) {
        SIM_ASSERT(post->ran == 1);
    } else if (verdict == ROTA_RUNNING) {
        SIM_ASSERT(!waits);
    }
    post->asked = false;
}

/* ---- Streams ---- */

static char byte_at(size_t offset)
{
    return (char)(offset * 7 + (offset >> 8));
}

/* How a connection may end, as the peer closes it when it likes. */
static bool is_ending(ssize_t error)
{
    return error == -ECONNRESET || error == -EPIPE || error == ROTA_ECLOSED ||
           error == ROTA_EINCOMPLETE || error == ROTA_ESTATE || error == -ENOMEM;
}

static ssize_t write_some(struct end *end)
{
    char piece[PIECE_MAX];
    size_t size = 1 + sim_draw(PIECE_MAX);
    for (size_t i = 0; i < size; i++)
        piece[i] = byte_at(end->written + i);
    if (end->offered < end->written + size)
        end->offered = end->written + size;
    ssize_t n = rota_stream_write(end->stream, piece, size);
    SIM_ASSERT(n == (ssize_t)size || n == -ECANCELED || is_ending(n));
    if (n > 0)
        end->written += size;
    return n;
}

static ssize_t read_some(struct end *end, const struct end *peer)
{
    char piece[PIECE_MAX];
    size_t size = 1 + sim_draw(PIECE_MAX);
    bool exactly = sim_draw(3) == 0;
    ssize_t n = exactly ? rota_stream_readexactly(end->stream, piece, size)
                        : rota_stream_read(end->stream, piece, size);
    SIM_ASSERT(n >= 0 || n == -ECANCELED || is_ending(n));
    SIM_ASSERT(n != 0 || peer->ended || end->ended);
    SIM_ASSERT(n <= 0 || !exactly || n == (ssize_t)size);
    for (ssize_t i = 0; i < n; i++)
        SIM_ASSERT(piece[i] == byte_at(end->taken + (size_t)i));
    if (n > 0)
        end->taken += (size_t)n;
    SIM_ASSERT(end->taken <= peer->offered);
    return n;
}

static int use_stream(void)
{
    unsigned index = sim_draw(END_COUNT);
    struct end *end = &calls.ends[index];
    ssize_t n = 0;
    if (end->stream == NULL)
        return 0;
    switch (sim_draw(8)) {
    case 0:
        end->ended = true;
        if (sim_draw(2) == 0)
            rota_stream_close(end->stream);
        else
            n = rota_stream_write_eof(end->stream);
        SIM_ASSERT(n == 0 || is_ending(n));
        return 0;
    case 1:
    case 2:
    case 3:
        if (end->writing)
            return 0;
        end->writing = true;
        n = write_some(end);
        end->writing = false;
        break;
    default:
        if (end->reading)
            return 0;
        end->reading = true;
        n = read_some(end, &calls.ends[index ^ 1]);
        end->reading = false;
    }
    return n == -ECANCELED ? -ECANCELED : 0;
}

/* ---- Programs ---- */

static int use_context(struct worker *self)
{
    void *value = (void *)++calls.last_value;
    SIM_ASSERT(rota_context_var_get_or(calls.var, NULL) == self->value);
    if (sim_draw(2) == 0)
        return 0;
    int r = rota_context_var_set(calls.var, value, NULL);
    SIM_ASSERT(r == 0 || r == -ENOMEM);
    if (r == 0)
        self->value = value;
    return 0;
}

/* One thing, with a limit of time. */
static int act_limited(struct worker *self, unsigned depth)
{
    struct rota_timeout timeout = {0};
    calls.cancelled = true;
    SIM_ASSERT(rota_timeout_begin(&timeout, sim_draw(3) * ROTA_MS) == 0);
    int r = rota_timeout_end(&timeout, act(self, depth));
    SIM_ASSERT(r == 0 || r == -ECANCELED || (r == -ETIMEDOUT && rota_timeout_expired(&timeout)));
    return r == -ETIMEDOUT ? 0 : r;
}

/* One thing. 0, or -ECANCELED. */
static int act(struct worker *self, unsigned depth)
{
    SIM_ASSERT(rota_context_var_get_or(calls.var, NULL) == self->value);
    switch (sim_draw(12)) {
    case 0:
        return rota_yield();
    case 1:
        return rota_sleep(sim_draw(3) * ROTA_MS);
    case 2:
        spawn(self);
        return 0;
    case 3:
        if (sim_draw(2) == 0)
            cancel_somebody();
        return 0;
    case 4:
    case 5:
        return await_somebody(self);
    case 6:
    case 7:
        return use_future();
    case 8:
        post_one();
        return 0;
    case 9:
        unpost_one();
        return 0;
    case 10:
        return depth < DEPTH_MAX ? act_limited(self, depth + 1) : use_context(self);
    default:
        return use_stream();
    }
}

/* What cannot be had, as the kernel or the allocator refuses it, is not there. */
static void prepare(void)
{
    for (unsigned i = 0; i < FUTURE_COUNT; i++)
        if (rota_future_create(&calls.promises[i].future, NULL) < 0)
            calls.promises[i].future = NULL;
    for (unsigned i = 0; i < END_COUNT; i += 2) {
        int fds[2];
        if (roti_sys_socketpair(fds) < 0)
            continue;
        for (unsigned side = 0; side < 2; side++)
            if (rota_stream_from_fd(&calls.ends[i + side].stream, fds[side], NULL) < 0) {
                calls.ends[i + side].ended = true;
                roti_sys_close(fds[side]);
            }
    }
}

/* After this nothing is waited for that nobody brings about. */
static void complete_all(void)
{
    for (unsigned i = 0; i < FUTURE_COUNT; i++)
        complete(&calls.promises[i], OUTCOME_CANCELLED);
    for (unsigned i = 0; i < END_COUNT; i++) {
        calls.ends[i].ended = true;
        rota_stream_close(calls.ends[i].stream);
    }
}

static bool is_settled(void)
{
    for (unsigned i = 0; i < POST_COUNT; i++) {
        const struct post *post = &calls.posts[i];
        if (post->posted && !post->over && !post->prevented)
            return false;
    }
    for (unsigned i = 0; i < FUTURE_COUNT; i++)
        if (calls.promises[i].callbacks_ran < calls.promises[i].callbacks_added)
            return false;
    return true;
}

static void drop_all(void)
{
    for (unsigned i = 1; i < calls.count; i++)
        rota_task_unref(calls.workers[i].task);
    for (unsigned i = 0; i < FUTURE_COUNT; i++) {
        SIM_ASSERT(calls.promises[i].future == NULL || calls.promises[i].won == 1);
        rota_future_unref(calls.promises[i].future);
    }
    for (unsigned i = 0; i < END_COUNT; i++)
        rota_stream_unref(calls.ends[i].stream);
}

static int run_program(void *arg)
{
    struct worker *self = &calls.workers[calls.count++];
    (void)arg;
    prepare();
    for (uint32_t steps = 1 + sim_draw(24); steps > 0; steps--)
        SIM_ASSERT(act_limited(self, 1) == 0);
    complete_all();
    for (unsigned i = 1; i < calls.count; i++)
        if (calls.workers[i].task != NULL)
            SIM_ASSERT(await(&calls.workers[i], false) == 0);
    while (!is_settled())
        SIM_ASSERT(rota_sleep(ROTA_MS) == 0);
    drop_all();
    return 0;
}

static void count_bytes(ptrdiff_t change)
{
    calls.bytes_in_use += change;
}

static void run_calls(void)
{
    roti_alloc_set_balance_hook(count_bytes);
    if (rota_context_var_create(&calls.var, "number", NULL) < 0)
        return;
    scenario_run(run_program, NULL);
    rota_context_var_unref(calls.var);
    roti_context_park(roti_thread_self());
    for (unsigned i = 1; i < calls.count; i++) {
        SIM_ASSERT(calls.workers[i].released == calls.workers[i].spawned);
        SIM_ASSERT(calls.workers[i].ended == calls.workers[i].started);
    }
    for (unsigned i = 0; i < POST_COUNT; i++)
        SIM_ASSERT(calls.posts[i].ran == (calls.posts[i].posted && !calls.posts[i].prevented));
    if (calls.bytes_in_use != 0)
        sim_fail("%td bytes are left in use", calls.bytes_in_use);
}

const struct sim_scenario scenario_calls = {"calls", run_calls, STEPS_MAX};
