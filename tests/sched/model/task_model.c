/* SPDX-License-Identifier: MIT */
/*
 * task_model.c - the hook of suspensions in the explorer: what it reads was written before.
 */
#include "sched/cancel.h"
#include "sched/pool.h"
#include "sched/registry.h"
#include "tests/sched/model/never.h"

static struct roti_pool pool;
static struct roti_worker worker;
static struct roti_task_frame frame;
static struct rota_task task;
static int written; /* plain: the installer's, then the hook's */
static int told;    /* own: how often the hook was called */

/* ---- Stand-ins ---- */

struct roti_worker *roti_worker_current(void)
{
    return &worker;
}

/* The loop goes on with the task at once. */
int roti_fiber_suspend(void **ret_from_sp, void *to_sp, void *transfer)
{
    (void)ret_from_sp, (void)to_sp, (void)transfer;
    return 0;
}

/* clang-format off */
NEVER(struct rota_task *rota_current_task(void))
NEVER(bool roti_worker_in_task(void))
NEVER(void rota_task_unref(struct rota_task *unneeded))
NEVER(void roti_context_task_end(struct roti_context_slot *slot))
NEVER(int roti_context_task_init(struct roti_context_slot *slot, struct rota_context *context,
                                 void *owner, void **ret_home))
NEVER(void roti_fiber_init(struct roti_fiber *fiber, struct roti_stack *stack, size_t reserved,
                           roti_fiber_entry_fn entry, void *arg))
NEVER(int roti_fork_no_loop(void))
NEVER(int64_t roti_join_result(const struct roti_wait *wait, uint64_t final_word))
NEVER(bool roti_pool_admit(struct roti_pool *spawned, struct roti_worker *from, bool internal))
NEVER(void roti_pool_unadmit(struct roti_pool *spawned, struct roti_worker *from, bool internal))
NEVER(void roti_pool_spawned(struct roti_pool *spawned, struct roti_worker *from, bool internal))
NEVER(void roti_pool_retire(struct roti_pool *ended, struct roti_worker *from, bool internal))
NEVER(void roti_pool_exit(struct roti_pool *ended))
NEVER(int roti_stack_class(size_t size))
NEVER(int roti_stack_promise(struct roti_stack_cache *cache, unsigned class_index))
NEVER(int roti_stack_make(struct roti_stack_cache *cache, unsigned class_index,
                          struct roti_stack **ret_stack))
NEVER(void roti_stack_forgo(struct roti_stack_cache *cache, unsigned class_index))
NEVER(void roti_stack_put(struct roti_stack_cache *cache, struct roti_stack *stack))
NEVER(void roti_task_enqueue(struct rota_task *ready))
NEVER(int roti_name_get(const char *name, char **ret_text))
NEVER(void roti_task_enqueue_from(struct roti_worker *from, struct rota_task *ready))
NEVER(void roti_task_publish(struct roti_worker *from, struct rota_task *filled, uint32_t flags,
                             uint32_t refs))
NEVER(struct rota_task *roti_task_slot_get(struct roti_worker *owner))
NEVER(void roti_task_slot_put(struct roti_worker *owner, struct rota_task *empty))
NEVER(struct roti_wait *roti_wait_first(struct roti_list *waits))
NEVER(bool roti_wait_claim_by(struct roti_wait *wait, int64_t result, uint64_t waker))
NEVER(void roti_wait_wake_all_from(struct roti_worker *from, struct roti_list *woken))
/* clang-format on */

/* ---- The test ---- */

static void hook(struct rota_task *suspended)
{
    ROTI_PLAIN_READ(&written);
    MODEL_ASSERT(written == 1 && suspended == &task);
    told++;
}

static void installs(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_WRITE(&written);
    written = 1;
    roti_task_set_suspend_hook(hook);
}

static void suspends(unsigned thread)
{
    (void)thread;
    (void)roti_task_switch_out(&worker, &task, ROTI_SWITCH_CALL);
    MODEL_ASSERT(told == 0); /* that is no suspension */
    (void)roti_task_switch_out(&worker, &task, ROTI_SWITCH_PARK);
}

static void reset(void)
{
    roti_task_set_suspend_hook(NULL);
    task.pool = &pool;
    worker.pool = &pool;
    task.frame = &frame;
    worker.fiber.sp = &worker; /* only that it is parked somewhere */
    written = 0;
    told = 0;
}

static void check(void)
{
    MODEL_ASSERT(told <= 1);
    MODEL_OUTCOME(told);
}

MODEL_TEST(task_hook) = {.threads = {installs, suspends}, .setup = reset, .check = check};
