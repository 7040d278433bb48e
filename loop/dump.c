/* SPDX-License-Identifier: MIT */
/*
 * dump.c - every task in words: state, what it waits for, who woke it last, and its stack.
 *
 * A waiting task is held while its stack is read: it cannot be resumed meanwhile, and whoever wakes
 * it leaves that to us (sched/task_state.h). What was read is printed after it was let go.
 */
#include "loop/loop_impl.h"
#include "sched/base/alloc.h"
#include "sched/fork.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <rota/error.h>

#define FRAMES_MAX 32

/* What is read of one task while it is held. */
struct snapshot {
    enum roti_state state;
    bool runs;
    enum roti_wait_kind kind;
    const void *object;
    uint64_t waker;
    const void *spawned_at;
    void *pcs[FRAMES_MAX];
    int pc_count;
};

static const char *state_name(enum roti_state state, bool runs)
{
    switch (state) {
    case ROTI_ACTIVE:
        return runs ? "running" : "ready";
    case ROTI_WAITING:
        return "waiting";
    case ROTI_DONE:
        return "done";
    default:
        return "changing";
    }
}

static const char *kind_name(enum roti_wait_kind kind)
{
    switch (kind) {
#define KIND_NAME(kind, text)                                                                      \
    case kind:                                                                                     \
        return text;
        ROTI_WAIT_KINDS(KIND_NAME)
#undef KIND_NAME
    }
    return "something";
}

/* Reads a task. Only a waiting one holds still; of others the state is all there is. */
static void read_task(struct rota_task *task, struct snapshot *ret_snapshot)
{
    *ret_snapshot = (struct snapshot){0};
    /* [DU1] relaxed: only what it is doing; the hold acquires what else is read. */
    ret_snapshot->state = roti_word_state(roti_load(DU1, relaxed, &task->word));
    ret_snapshot->runs = roti_worker_task(roti_task_worker(task)) == task;
    ret_snapshot->spawned_at = task->spawned_at;
    if (!roti_state_hold(&task->word))
        return;
    const struct roti_task_frame *frame = task->frame;
    ret_snapshot->state = ROTI_WAITING;
    if (frame->wait != NULL) {
        ret_snapshot->kind = (enum roti_wait_kind)frame->wait->kind;
        ret_snapshot->object = frame->wait->object;
    }
    /* [DU2] relaxed: whoever wakes the task may be writing it. */
    ret_snapshot->waker = roti_load(DU2, relaxed, &frame->waker);
    ret_snapshot->pc_count = roti_fiber_frames(&frame->fiber, ret_snapshot->pcs, FRAMES_MAX);
    if (roti_state_parked(&task->word) == ROTI_NEXT_ENQUEUE)
        roti_task_enqueue(task);
}

/* One address: symbol where the module exports it, else module and offset, for addr2line. */
static void print_address(FILE *stream, const char *label, const void *address)
{
    Dl_info info;
    fprintf(stream, "    %-8s %p", label, address);
    if (dladdr(address, &info) == 0)
        fputc('\n', stream);
    else if (info.dli_sname != NULL)
        fprintf(stream, " %s+0x%tx\n", info.dli_sname,
                (const char *)address - (const char *)info.dli_saddr);
    else
        fprintf(stream, " %s+0x%tx\n", info.dli_fname,
                (const char *)address - (const char *)info.dli_fbase);
}

static void print_task(FILE *stream, const struct rota_task_entry *entry)
{
    struct snapshot snapshot;
    char name[ROTA_TASK_NAME_SIZE];
    rota_task_get_name(entry->task, name, sizeof name);
    read_task(entry->task, &snapshot);
    fprintf(stream, "task %" PRIu64 " [%s] loop %d: %s", rota_task_id(entry->task), name,
            rota_loop_index(entry->loop), state_name(snapshot.state, snapshot.runs));
    if (snapshot.state == ROTI_WAITING)
        fprintf(stream, " for %s %p", kind_name(snapshot.kind), snapshot.object);
    if (snapshot.waker != 0)
        fprintf(stream, ", last woken by task %" PRIu64, snapshot.waker);
    fputc('\n', stream);
    if (snapshot.spawned_at != NULL)
        print_address(stream, "spawned", snapshot.spawned_at);
    for (int i = 0; i < snapshot.pc_count; i++)
        print_address(stream, i == 0 ? "stack" : "", snapshot.pcs[i]);
}

ssize_t rota_dump_tasks(FILE *stream)
{
    struct rota_runtime *runtime = rota_running_runtime();
    if (stream == NULL)
        return -EINVAL;
    if (runtime == NULL)
        return roti_fork_no_loop();
    /* Some room for tasks that are spawned between the two calls. */
    size_t size = (size_t)rota_runtime_tasks(runtime, NULL, 0) + 64;
    struct rota_task_entry *entries = roti_alloc(size * sizeof *entries);
    if (entries == NULL)
        return -ENOMEM;
    ssize_t count = rota_runtime_tasks(runtime, entries, size);
    if ((size_t)count > size)
        count = (ssize_t)size;
    for (ssize_t i = 0; i < count; i++) {
        print_task(stream, &entries[i]);
        rota_task_unref(entries[i].task);
    }
    roti_free(entries, size * sizeof *entries);
    return count;
}
