/* SPDX-License-Identifier: MIT */
/*
 * stall.c - names, folds and tells what the watchdog finds. The essay is in the header.
 */
#include "loop/stall.h"

#include "loop/loop_impl.h"
#include "loop/stop.h"
#include "loop/symbol.h"
#include "sched/base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A stall so many times as long as any that was told is told at once. */
#define NEWS_FACTOR 10

/* A report, and the texts that it refers to. */
struct roti_telling {
    struct rota_stall stall;
    struct roti_symbols symbols;
    struct roti_symbol function;
    struct roti_symbol spawned;
    struct roti_symbol frames[ROTI_SAMPLE_FRAMES];
    struct rota_place stack[ROTI_SAMPLE_FRAMES];
};

int roti_stalls_init(struct roti_stalls *stalls, rota_stall_fn fn, void *arg)
{
    *stalls = (struct roti_stalls){
        .fn = fn != NULL ? fn : rota_default_stall_handler,
        .arg = arg,
        .groups = roti_zalloc(ROTI_STALL_GROUPS * sizeof(struct roti_stall_group)),
        .telling = roti_zalloc(sizeof(struct roti_telling)),
    };
    if (stalls->groups != NULL && stalls->telling != NULL)
        return 0;
    roti_stalls_free(stalls);
    return -ENOMEM;
}

void roti_stalls_free(struct roti_stalls *stalls)
{
    if (stalls->groups != NULL)
        roti_free(stalls->groups, ROTI_STALL_GROUPS * sizeof(struct roti_stall_group));
    if (stalls->telling != NULL)
        roti_free(stalls->telling, sizeof(struct roti_telling));
    stalls->groups = NULL;
    stalls->telling = NULL;
}

/* ---- Folding ---- */

static void name_of(const struct roti_stall *found, char *name, size_t size)
{
    if (found->task == NULL || rota_task_get_name(found->task, name, size) < 0)
        (void)snprintf(name, size, "callback");
}

/* The group, or a new one, for which that makes way which was told longest ago. */
static struct roti_stall_group *group_of(struct roti_stalls *stalls, const void *fn,
                                         const void *spawned_at, const struct roti_stall *found)
{
    struct roti_stall_group *oldest = &stalls->groups[0];
    for (unsigned i = 0; i < stalls->group_count; i++) {
        struct roti_stall_group *group = &stalls->groups[i];
        if (group->fn == fn && group->spawned_at == spawned_at)
            return group;
        if (group->told_ns < oldest->told_ns)
            oldest = group;
    }
    if (stalls->group_count < ROTI_STALL_GROUPS)
        oldest = &stalls->groups[stalls->group_count++];
    else
        stalls->dropped += oldest->folded;
    *oldest = (struct roti_stall_group){.fn = fn, .spawned_at = spawned_at};
    name_of(found, oldest->name, sizeof oldest->name);
    return oldest;
}

/* Whether one more may be told in this second. */
static bool may_tell(struct roti_stalls *stalls, int64_t now_ns)
{
    if (stalls->second_ns == 0 || now_ns - stalls->second_ns >= ROTA_SEC) {
        stalls->second_ns = now_ns;
        stalls->told_in_second = 0;
    }
    if (stalls->told_in_second < ROTI_STALLS_PER_SECOND) {
        stalls->told_in_second++;
        return true;
    }
    stalls->dropped++;
    return false;
}

struct roti_stall_group *roti_stalls_count(struct roti_stalls *stalls, const void *fn,
                                           const void *spawned_at, const struct roti_stall *found,
                                           int64_t now_ns)
{
    struct roti_stall_group *group = group_of(stalls, fn, spawned_at, found);
    bool news = group->longest_ns == 0 || now_ns - group->told_ns >= ROTI_STALL_FOLD_NS ||
                found->kept_ns / NEWS_FACTOR >= group->longest_ns;
    if (news && may_tell(stalls, now_ns)) {
        group->told_ns = now_ns;
        if (found->kept_ns > group->longest_ns)
            group->longest_ns = found->kept_ns;
        return group;
    }
    if (found->first)
        group->folded++;
    if (found->kept_ns > group->folded_longest_ns)
        group->folded_longest_ns = found->kept_ns;
    return NULL;
}

/* ---- Telling ---- */

/* Whether this frame is that of the function that the task or callback was made of: what called it
 * is the library's own. */
static bool is_bottom(const struct rota_place *frame, const struct rota_place *function)
{
    return frame->function != NULL && function->function != NULL &&
           strcmp(frame->function, function->function) == 0;
}

/* What the watchdog has found just now. */
static void add_found(struct roti_telling *telling, const struct roti_stall *found)
{
    struct rota_stall *stall = &telling->stall;
    int count = 0;
    bool bottom = false;
    for (; count < found->pc_count && !bottom; count++) {
        struct roti_symbol *frame = &telling->frames[count];
        roti_symbols_find(&telling->symbols, found->pcs[count], count > 0, frame);
        telling->stack[count] = frame->place;
        bottom = is_bottom(&frame->place, &stall->function);
    }
    stall->loop = found->worker->loop;
    stall->task = found->task;
    stall->duration_ns = found->kept_ns;
    stall->cpu_wait_ns = found->cpu_wait_ns;
    stall->stack = telling->stack;
    stall->stack_count = (size_t)count;
    stall->in_kernel = found->whereabouts == ROTI_IN_KERNEL;
}

/* Names the places of a group, and tells of it; of `found`, too, if that is not NULL. */
static void tell(struct roti_stalls *stalls, struct roti_stall_group *group,
                 const struct roti_stall *found)
{
    struct roti_telling *telling = stalls->telling;
    roti_symbols_open(&telling->symbols);
    roti_symbols_find(&telling->symbols, group->fn, false, &telling->function);
    roti_symbols_find(&telling->symbols, group->spawned_at, true, &telling->spawned);
    telling->stall = (struct rota_stall){
        .name = group->name,
        .function = telling->function.place,
        .spawned = telling->spawned.place,
        .folded = group->folded,
        .folded_longest_ns = group->folded_longest_ns,
        .dropped = stalls->dropped,
    };
    if (found != NULL)
        add_found(telling, found);
    group->folded = 0;
    group->folded_longest_ns = 0;
    stalls->dropped = 0;
    stalls->fn(&telling->stall, stalls->arg);
    roti_symbols_close(&telling->symbols);
}

/* What was counted and not told. */
static void tell_rest(struct roti_stalls *stalls)
{
    for (unsigned i = 0; i < stalls->group_count; i++)
        if (stalls->groups[i].folded > 0)
            tell(stalls, &stalls->groups[i], NULL);
}

/* The function that the task or callback was made of, and where. NULL: the loop does something for
 * itself. */
static const void *function_of(const struct roti_stall *found, const void **ret_spawned_at)
{
    struct rota_loop *loop = found->worker->loop;
    const struct rota_task *task = found->task;
    *ret_spawned_at = task != NULL ? task->spawned_at : NULL;
    if (task != NULL &&
        task->arg == &loop->runtime->pool) /* the first: its function is the pool's */
        return (const void *)(uintptr_t)loop->runtime->stop->fn;
    if (task != NULL)
        return (const void *)(uintptr_t)task->fn;
    /* [SU1] [SU2] relaxed: whether there is one; and its address, which stands for itself. */
    if (roti_load(SU1, relaxed, &loop->running_handle) == NULL)
        return NULL;
    return roti_load(SU2, relaxed, &loop->running_fn);
}

bool roti_stall_found(const struct roti_stall *found)
{
    struct rota_loop *loop = found->worker->loop;
    struct roti_stalls *stalls = &loop->runtime->stalls;
    const void *spawned_at;
    if (found->over) {
        tell_rest(stalls);
        return false;
    }
    const void *fn = function_of(found, &spawned_at);
    if (fn == NULL)
        return false;
    struct roti_stall_group *group =
        roti_stalls_count(stalls, fn, spawned_at, found, loop->worker.driver->now(loop));
    if (group != NULL) {
        name_of(found, group->name, sizeof group->name);
        tell(stalls, group, found);
    }
    return true;
}

/* ---- The default handler ---- */

/* Text that is cut where there is no more room. */
struct text {
    char bytes[1792];
    size_t length;
};

static __attribute__((format(printf, 2, 3))) void add(struct text *text, const char *format, ...)
{
    va_list args;
    size_t room = sizeof text->bytes - text->length;
    va_start(args, format);
    int n = vsnprintf(text->bytes + text->length, room, format, args);
    va_end(args);
    if (n > 0)
        text->length += (size_t)n < room ? (size_t)n : room - 1;
}

/* "function (file:line)", or as much as is known. */
static void add_place(struct text *text, const struct rota_place *place)
{
    const char *slash = place->file != NULL ? strrchr(place->file, '/') : NULL;
    if (place->function != NULL)
        add(text, "%s", place->function);
    else if (place->module == NULL)
        add(text, "%p", place->address);
    if (place->file != NULL)
        add(text, " (%s:%d)", slash != NULL ? slash + 1 : place->file, place->line);
    else if (place->module != NULL)
        add(text, "%s(%s+0x%" PRIxPTR ")", place->function != NULL ? " " : "", place->module,
            place->offset);
}

static void add_duration(struct text *text, int64_t ns)
{
    if (ns < 10 * ROTA_SEC)
        add(text, "%" PRId64 " ms", ns / ROTA_MS);
    else
        add(text, "%" PRId64 " s", ns / ROTA_SEC);
}

/* "task 7 [name] keeps loop 1: 12 ms so far" */
static void add_headline(struct text *text, const struct rota_stall *stall)
{
    if (stall->loop == NULL) {
        add(text, "rota: [%s]", stall->name);
        return;
    }
    if (stall->task != NULL)
        add(text, "rota: task %" PRIu64 " [%s]", rota_task_id(stall->task), stall->name);
    else
        add(text, "rota: a callback");
    add(text, " keeps loop %d: ", rota_loop_index(stall->loop));
    add_duration(text, stall->duration_ns);
    add(text, " so far");
    if (stall->cpu_wait_ns >= ROTA_MS) {
        add(text, " (and ");
        add_duration(text, stall->cpu_wait_ns);
        add(text, " without a CPU)");
    }
}

/* What was counted and not told, after a report of its own or instead of one. */
static void add_folded(struct text *text, const struct rota_stall *stall)
{
    if (stall->folded > 0) {
        add(text, stall->loop != NULL ? "rota:   kept its loop" : " kept its loop");
        add(text, " %" PRIu64 " times more since the last report, for up to ", stall->folded);
        add_duration(text, stall->folded_longest_ns);
        add(text, " when it was counted\n");
    }
    if (stall->dropped > 0)
        add(text, "rota:   %" PRIu64 " other stalls were left out\n", stall->dropped);
}

void rota_default_stall_handler(const struct rota_stall *stall, void *arg)
{
    struct text text = {.length = 0};
    (void)arg;
    if (stall == NULL)
        return;
    add_headline(&text, stall);
    if (stall->function.address != NULL) {
        add(&text, stall->loop != NULL ? "\nrota:   it is " : ", which is ");
        add_place(&text, &stall->function);
    }
    if (stall->spawned.address != NULL) {
        add(&text, ", spawned in ");
        add_place(&text, &stall->spawned);
    }
    if (stall->loop != NULL)
        add(&text, "\n");
    for (size_t i = 0; i < stall->stack_count; i++) {
        add(&text, i > 0              ? ", called by "
                   : stall->in_kernel ? "rota:   waits in "
                                      : "rota:   runs ");
        add_place(&text, &stall->stack[i]);
    }
    if (stall->stack_count > 0)
        add(&text, "\n");
    add_folded(&text, stall);
    (void)!write(STDERR_FILENO, text.bytes, text.length);
}
