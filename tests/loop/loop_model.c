/* SPDX-License-Identifier: MIT */
/*
 * loop_model.c - the references of a loop in the explorer: it goes after the last use.
 *
 * The product's file over a poller of one plain variable, which a wake reads and the end writes: a
 * wake that comes at the time of the end is a race, and so is any look at a loop that is freed.
 */
#include "loop/loop_impl.h"

#include "loop/handle.h"
#include "loop/syscall.h"
#include "tests/model/absent.h"

static struct rota_runtime runtime;
static struct rota_loop *loop;
static uint64_t turns; /* the asker's */

/* ---- What a loop asks of its surroundings ---- */

int roti_poller_init(struct roti_poller *poller)
{
    poller->wake_fd = 3;
    return 0;
}

void roti_poller_done(struct roti_poller *poller)
{
    ROTI_PLAIN_WRITE(&poller->wake_fd);
    poller->wake_fd = -1;
}

void roti_poller_wake(struct roti_poller *poller)
{
    ROTI_PLAIN_READ(&poller->wake_fd);
    MODEL_ASSERT(poller->wake_fd == 3);
}

void roti_timers_init(struct roti_timers *timers, int64_t now_ns)
{
    (void)timers;
    (void)now_ns;
}

void roti_handle_close(struct rota_loop *closing)
{
    MODEL_ASSERT(closing == loop);
}

MODEL_ABSENT(void, roti_poller_abandon, struct roti_poller *poller)
MODEL_ABSENT(void, roti_poller_wait, struct roti_poller *poller, int64_t timeout_ns)
MODEL_ABSENT(unsigned, roti_poller_take, struct roti_poller *poller)
MODEL_ABSENT(unsigned, roti_timers_expire, struct roti_timers *timers, int64_t now_ns,
             unsigned count_max)
MODEL_ABSENT(unsigned, roti_timers_help, struct roti_timers *timers, int64_t now_ns,
             unsigned count_max)
MODEL_ABSENT(unsigned, roti_poller_rescue, struct roti_poller *poller)
MODEL_ABSENT(int, roti_sys_timerfd_set, int fd, int64_t delay_ns)
MODEL_ABSENT(int64_t, roti_timers_next, struct roti_timers *timers)
MODEL_ABSENT(void, roti_handle_run, struct rota_loop *running, struct roti_work *work)
MODEL_ABSENT(void, roti_handle_drop, struct rota_loop *closing, struct roti_work *work)
MODEL_ABSENT(int64_t, roti_loops_review, struct rota_runtime *asked, int64_t now_ns)
MODEL_ABSENT(void, roti_worker_awake, struct roti_worker *worker)
MODEL_ABSENT(struct roti_worker *, roti_worker_current, void)
MODEL_ABSENT(bool, rota_task_done, const struct rota_task *task)
MODEL_ABSENT(int, rota_task_get_name, const struct rota_task *task, char *buf, size_t size)

/* ---- Threads ---- */

static void ends(unsigned thread)
{
    (void)thread;
    roti_loop_close(loop);
    rota_loop_unref(loop);
}

static void wakes(unsigned thread)
{
    (void)thread;
    roti_loop_driver.wake(loop);
    rota_loop_unref(loop);
}

static void asks(unsigned thread)
{
    struct rota_counters counters;
    struct rota_loop *own = rota_loop_ref(loop);
    (void)thread;
    rota_loop_unref(loop);
    MODEL_ASSERT(rota_loop_counters(own, &counters) == 0);
    turns = counters.turns;
    rota_loop_unref(own);
}

static void reset(void)
{
    MODEL_ASSERT(roti_loop_create(&loop, &runtime, false) == 0);
    (void)rota_loop_ref(loop);
    (void)rota_loop_ref(loop);
    turns = 1;
}

static void check(void)
{
    MODEL_ASSERT(turns == 0);
    MODEL_ASSERT(model_live_blocks() == 0);
}

MODEL_TEST(loop_last_reference) = {.threads = {ends, wakes, asks}, .setup = reset, .check = check};
