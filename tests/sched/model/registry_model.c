/* SPDX-License-Identifier: MIT */
/*
 * registry_model.c - the slots of tasks under weak memory: references, generations, new lives.
 *
 * A stale {slot, generation} is never taken for the slot's next life; whoever has a reference keeps
 * the slot as it is; a slot is given back once. What a task's slot holds is plain data, written
 * anew for each life, so that an access in the wrong life is a race. Chunks of four slots, from an
 * arena.
 */
#include "sched/base/assert.h"
#include "sched/overflow.h"
#include "sched/registry.h"
#include "tests/sched/model/never.h"

#include <string.h>
#include <sys/mman.h>

#define CHUNK_COUNT 4
#define OWNERS 2 /* threads 0 and 1 run loops, with caches of their own */

static alignas(64) char arena[CHUNK_COUNT][ROTI_SLOTS_CHUNK_SIZE];
static unsigned chunks_used;
static struct roti_pool *pool; /* an identity, never followed */
static struct roti_worker workers[OWNERS];
static struct rota_task *first; /* a task alive at the start */
static uint64_t first_generation;
static unsigned seen[MODEL_THREADS_MAX];

/* ---- Stand-ins ---- */

/* In the place of the kernel's, by a definition on the command line. */
void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    (void)address, (void)protection, (void)flags, (void)fd, (void)offset;
    MODEL_ASSERT(size == ROTI_SLOTS_CHUNK_SIZE && chunks_used < CHUNK_COUNT);
    return memset(arena[chunks_used++], 0, size);
}

struct roti_worker *roti_worker_current(void)
{
    int self = model_self();
    return self >= 0 && self < OWNERS ? &workers[self] : NULL;
}

void roti_task_report(const char *text, struct rota_task *task, int status)
{
    (void)task;
    model_fail("a report: %s, %d", text, status);
}

bool rota_task_done(const struct rota_task *task)
{
    return roti_word_state(roti_load(TG1, relaxed, &task->word)) == ROTI_DONE;
}

/* clang-format off */
NEVER(void roti_overflow_describe_address(const void *address, char *buf, size_t size))
/* clang-format on */

/* ---- Lives ---- */

/* A new task whose slot says which life it is. */
static struct rota_task *spawn(int life, uint32_t refs)
{
    struct rota_task *task = roti_task_slot_get(roti_worker_current());
    ROTI_PLAIN_WRITE(&task->status);
    task->status = life;
    task->pool = pool;
    roti_task_publish(roti_worker_current(), task, 0, refs);
    return task;
}

static void check_life(const struct rota_task *task, int life)
{
    ROTI_PLAIN_READ(&task->status);
    MODEL_ASSERT(task->status == life);
}

static void reset_empty(void)
{
    roti_task_slots_forget();
    chunks_used = 0;
    pool = (struct roti_pool *)(void *)&pool;
    memset(workers, 0, sizeof workers);
    memset(seen, 0, sizeof seen);
    first = NULL;
}

static void reset(void)
{
    reset_empty();
    first = spawn(1, 1);
    first_generation = roti_load(TG2, relaxed, &first->generation);
}

/* Nothing is in use, and no slot is in the free lists twice. */
static void check(void)
{
    for (unsigned i = 0; i < OWNERS; i++)
        roti_task_slots_drain(&workers[i]);
    MODEL_ASSERT(roti_task_slots_used() == 0);
    for (unsigned i = 0; i < chunks_used * (ROTI_SLOTS_CHUNK_SIZE / sizeof(struct rota_task));
         i++) {
        struct rota_task *task = roti_task_slot_get(NULL);
        MODEL_ASSERT((roti_load(TG3, relaxed, &task->generation) & 1) == 0);
        MODEL_ASSERT(roti_load(TG4, relaxed, &task->refs) == 0);
        roti_store(TG5, relaxed, &task->refs, 1); /* handed out: not a second time */
    }
    MODEL_ASSERT(chunks_used * ROTI_SLOTS_CHUNK_SIZE ==
                 roti_task_slots_used() * sizeof(struct rota_task));
}

MODEL_SURVIVES("SL3:0", "killed by model_slots; here the chunks stand where they stood last run");
MODEL_SURVIVES("SL4:0", "killed by model_slots; here the chunks stand where they stood last run");

/* ---- A stale reference, and the slot's next life ---- */

static void end_and_spawn(unsigned thread)
{
    (void)thread;
    rota_task_unref(first);
    struct rota_task *next = spawn(2, 1);
    check_life(next, 2);
    rota_task_unref(next);
}

static void stale_holder(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < 2; i++) {
        if (!roti_task_try_ref(first, first_generation))
            continue;
        check_life(first, 1);
        rota_task_unref(first);
    }
}

MODEL_TEST(registry_stale) = {
    .threads = {end_and_spawn, stale_holder}, .setup = reset, .check = check};
MODEL_TEST(registry_stale_twice) = {
    .threads = {end_and_spawn, stale_holder, stale_holder}, .setup = reset, .check = check};

/* ---- A canceller that followed a stale pointer looks at the list of a later life ---- */

static void stale_forwarder(unsigned thread)
{
    (void)thread;
    roti_spin_lock(&first->lock);
    ROTI_PLAIN_READ(&first->joiners);
    MODEL_ASSERT(roti_list_empty(&first->joiners));
    roti_spin_unlock(&first->lock);
}

MODEL_TEST(registry_forwarder) = {
    .threads = {end_and_spawn, stale_forwarder}, .setup = reset, .check = check};

/* ---- A listing while tasks come and go ---- */

static void visit(struct rota_task *task, void *arg)
{
    unsigned *count = arg;
    ROTI_PLAIN_READ(&task->status);
    MODEL_ASSERT(task->status == 1 || task->status == 2);
    *count += 1;
    rota_task_unref(task);
}

static void visitor(unsigned thread)
{
    roti_task_visit(pool, false, visit, &seen[thread]);
}

MODEL_TEST(registry_visit) = {
    .threads = {end_and_spawn, visitor, stale_holder}, .setup = reset, .check = check};

/* A task alive throughout is visited exactly once, whatever is beside it. */
static void spawn_beside(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < 2; i++)
        rota_task_unref(spawn(2, 1));
}

static void check_visited(void)
{
    MODEL_ASSERT(seen[1] >= 1 && seen[1] <= 3);
    rota_task_unref(first);
    check();
}

MODEL_TEST(registry_alive) = {
    .threads = {spawn_beside, visitor}, .setup = reset, .check = check_visited};

/* ---- The first chunks appear under a listing ---- */

static void spawner(unsigned thread)
{
    struct rota_task *tasks[3];
    (void)thread;
    for (int i = 0; i < 3; i++)
        tasks[i] = spawn(2, 1);
    for (int i = 0; i < 3; i++)
        rota_task_unref(tasks[i]);
}

MODEL_TEST(registry_growth) = {
    .threads = {spawner, spawner, visitor}, .setup = reset_empty, .check = check};
