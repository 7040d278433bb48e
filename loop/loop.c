/* SPDX-License-Identifier: MIT */
/*
 * loop.c - one loop: made and freed, its driver table, and what it says about itself.
 */
#include "loop/loop_impl.h"

#include "loop/handle.h"
#include "loop/syscall.h"
#include "sched/base/alloc.h"
#include "sched/base/assert.h"

#include <errno.h>
#include <rota/error.h>
#include <sched.h>
#include <time.h>

/* sched passes workers about, and so do contexts: a loop and its worker are one address. */
_Static_assert(offsetof(struct rota_loop, worker) == 0, "the worker comes first");

/* So many timers fire in one poll: fewer than the steps between two polls. If many are due they
 * wait in the wheel, instead of a queue that grows until its memory is cold, and a clock that jumps
 * does not stop the loop. Who helps does not run what it wakes. */
#define TIMERS_PER_POLL 48
#define TIMERS_PER_HELP 1000

_Static_assert(TIMERS_PER_POLL < ROTI_POLL_STEPS, "what fires can run before the next poll");

/* References that a loop takes to itself at once. */
#define SPARE_REFS 1024U

/* ---- The driver ---- */

int64_t rota_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * ROTA_SEC + now.tv_nsec;
}

static int64_t driver_now(void *arg)
{
    (void)arg;
    return rota_time_ns();
}

/* How long a poll may block. `next_ns` is the next timer's deadline. */
static int64_t poll_timeout(int64_t deadline_ns, int64_t next_ns)
{
    int64_t until_ns = deadline_ns < next_ns ? deadline_ns : next_ns;
    if (deadline_ns == 0)
        return 0;
    if (until_ns == INT64_MAX)
        return -1;
    int64_t now_ns = rota_time_ns();
    return until_ns > now_ns ? until_ns - now_ns : 0;
}

static void driver_poll(void *arg, int64_t deadline_ns)
{
    struct rota_loop *loop = arg;
    int64_t next_ns = roti_timers_next(&loop->timers);
    roti_poller_wait(&loop->poller, poll_timeout(deadline_ns, next_ns));
    if (deadline_ns != 0)
        roti_worker_awake(&loop->worker);
    (void)roti_poller_take(&loop->poller);
    if (next_ns != INT64_MAX)
        (void)roti_timers_expire(&loop->timers, rota_time_ns(), TIMERS_PER_POLL);
}

static unsigned driver_help(void *arg)
{
    struct rota_loop *loop = arg;
    int64_t now_ns = rota_time_ns();
    unsigned count = roti_poller_rescue(&loop->poller);
    if (roti_timers_next(&loop->timers) <= now_ns)
        count += roti_timers_help(&loop->timers, now_ns, TIMERS_PER_HELP);
    return count;
}

static bool driver_tick(void *arg, int64_t delay_ns)
{
    struct rota_loop *loop = arg;
    return roti_sys_timerfd_set(loop->runtime->ticker_fd, delay_ns) == 0;
}

static bool driver_timers_due(void *arg)
{
    struct rota_loop *loop = arg;
    int64_t next_ns = roti_timers_next(&loop->timers);
    return next_ns != INT64_MAX && next_ns <= rota_time_ns();
}

static void driver_give_cpu(void *arg)
{
    (void)arg;
    sched_yield();
}

static void driver_wake(void *arg)
{
    struct rota_loop *loop = arg;
    roti_poller_wake(&loop->poller);
}

static void driver_run(void *arg, struct roti_work *work)
{
    roti_handle_run(arg, work);
}

static int64_t driver_review(void *arg, int64_t now_ns)
{
    struct rota_loop *loop = arg;
    return roti_loops_review(loop->runtime, now_ns);
}

static void driver_drop(void *arg, struct roti_work *work)
{
    roti_handle_drop(arg, work);
}

const struct roti_driver roti_loop_driver = {
    .now = driver_now,
    .real_time = !ROTI_SIM,
    .poll = driver_poll,
    .help = driver_help,
    .tick = driver_tick,
    .timers_due = driver_timers_due,
    .give_cpu = driver_give_cpu,
    .wake = driver_wake,
    .run = driver_run,
    .review = driver_review,
    .drop = driver_drop,
};

/* ---- Life ---- */

int roti_loop_create(struct rota_loop **ret_loop, struct rota_runtime *runtime, bool debug)
{
    struct rota_loop *loop = roti_zalloc_aligned(_Alignof(struct rota_loop), sizeof *loop);
    if (loop == NULL)
        return -ENOMEM;
    int r = roti_poller_init(&loop->poller);
    if (r < 0) {
        roti_free_aligned(loop, _Alignof(struct rota_loop), sizeof *loop);
        return r;
    }
    loop->worker.loop = loop;
    loop->runtime = runtime;
    loop->inherited_fn = runtime->exception_fn;
    loop->inherited_arg = runtime->exception_arg;
    loop->debug = debug;
    roti_timers_init(&loop->timers, rota_time_ns());
    /* [LP1] relaxed: nobody else knows the loop yet. */
    roti_store(LP1, relaxed, &loop->refs, 1U);
    *ret_loop = loop;
    return 0;
}

void roti_loop_close(struct rota_loop *loop)
{
    /* [LP9] relaxed: not the last; the runtime's goes after this thread was joined. */
    (void)roti_fetch_sub(LP9, relaxed, &loop->refs, loop->spare_refs);
    loop->spare_refs = 0;
    /* [LP2] relaxed: whoever reads it only turns back. Others may read it too late: the inbox then
     * refuses their posts. */
    roti_store(LP2, relaxed, &loop->closed, true);
    roti_handle_close(loop);
}

void roti_loop_abandon(struct rota_loop *loop)
{
    /* [LP8] relaxed: there is one thread. */
    roti_store(LP8, relaxed, &loop->closed, true);
    roti_poller_abandon(&loop->poller);
}

struct rota_loop *rota_loop_ref(struct rota_loop *loop)
{
    /* [LP3] relaxed: the caller has a reference. */
    if (loop != NULL)
        (void)roti_fetch_add(LP3, relaxed, &loop->refs, 1U);
    return loop;
}

void roti_loop_ref_here(struct rota_loop *self)
{
    if (self->spare_refs == 0) {
        /* [LP10] relaxed: as [LP3]. */
        (void)roti_fetch_add(LP10, relaxed, &self->refs, SPARE_REFS);
        self->spare_refs = SPARE_REFS;
    }
    self->spare_refs--;
}

void roti_loop_unref_on(struct rota_loop *self, struct rota_loop *loop)
{
    if (self == loop && self->spare_refs < 2 * SPARE_REFS)
        self->spare_refs++;
    else
        rota_loop_unref(loop);
}

void rota_loop_unref(struct rota_loop *loop)
{
    /* [LP4] acq_rel: release what this holder did, acquire what all did before the free. */
    if (loop == NULL || roti_fetch_sub(LP4, acq_rel, &loop->refs, 1U) != 1)
        return;
    roti_poller_done(&loop->poller);
    roti_free_aligned(loop, _Alignof(struct rota_loop), sizeof *loop);
}

/* ---- Questions ---- */

struct rota_loop *rota_running_loop(void)
{
    return roti_loop_of(roti_thread_self());
}

int rota_loop_index(const struct rota_loop *loop)
{
    return loop != NULL ? (int)loop->worker.index : -EINVAL;
}

struct rota_loop *rota_task_get_loop(const struct rota_task *task)
{
    if (task == NULL || rota_task_done(task))
        return NULL;
    return roti_task_worker(task)->loop;
}

int rota_loop_counters(const struct rota_loop *loop, struct rota_counters *ret_counters)
{
    if (loop == NULL || ret_counters == NULL)
        return -EINVAL;
/* [LP7] relaxed: each counter is exact by itself; pairs with [CT1]. */
#define READ_COUNTER(field, text)                                                                  \
    ret_counters->field = roti_load(LP7, relaxed, &loop->worker.counters.field);
    ROTI_COUNTERS(READ_COUNTER)
#undef READ_COUNTER
    return 0;
}

/* ---- Failures ---- */

int rota_loop_set_exception_handler(struct rota_loop *loop, rota_exception_fn fn, void *arg)
{
    if (loop == NULL)
        return -EINVAL;
    if (loop != roti_loop_current())
        return ROTA_EWRONGLOOP;
    loop->exception_fn = fn;
    loop->exception_arg = arg;
    return 0;
}

void rota_default_exception_handler(const struct rota_error_info *info)
{
    char name[ROTA_TASK_NAME_SIZE] = "";
    if (info->task != NULL)
        rota_task_get_name(info->task, name, sizeof name);
    fprintf(stderr, "rota: %s", info->message);
    if (name[0] != '\0')
        fprintf(stderr, " [%s]", name);
    if (info->error < 0)
        fprintf(stderr, ": %s (%s)", rota_error_name(info->error), rota_strerror(info->error));
    fputc('\n', stderr);
}

void roti_loop_report(const struct rota_error_info *info)
{
    struct rota_loop *loop = info->loop;
    if (loop != NULL && loop == roti_loop_current() && loop->exception_fn != NULL)
        loop->exception_fn(info, loop->exception_arg);
    else if (loop != NULL && loop->inherited_fn != NULL)
        loop->inherited_fn(info, loop->inherited_arg);
    else
        rota_default_exception_handler(info);
}
