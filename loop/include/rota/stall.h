/* SPDX-License-Identifier: MIT */
/*
 * stall.h - tasks and callbacks that keep their loop for too long, and where in the program they
 * are.
 */
#ifndef ROTA_STALL_H
#define ROTA_STALL_H

#include <rota/base.h>
#include <rota/loop.h>
#include <rota/task.h>

ROTA_BEGIN_DECLS

/* A place in the program. What is not known is NULL or 0: functions need symbols, files and lines
 * need debugging information and the library libdw. */
struct rota_place {
    const void *address;  /* NULL: no place at all */
    const char *function; /* its name */
    const char *file;
    int line;
    const char *module; /* the program or the library */
    uintptr_t offset;   /* in the module: for addr2line */
};

/*
 * A task or callback that keeps its loop, for struct rota_run_opts' stall_handler. Valid during the
 * call.
 *
 * Time during which the thread was ready and had no CPU does not count. One stall is told when it
 * has lasted stall_ns, ten times as long, and so on. Further ones of the same function, spawned at
 * the same place, are counted and told with the next report of it, which comes after ten seconds,
 * or when one has lasted ten times as long as any before. In all, five are told a second.
 * Those that are counted and not told by the end of the run are told then, a report for each
 * function: with `loop` and `task` NULL, durations of 0, and no stack.
 */
struct rota_stall {
    struct rota_loop *loop;         /* NULL: told at the end of the run */
    struct rota_task *task;         /* NULL: a callback, or `loop` is NULL */
    const char *name;               /* of the task that was told last, or "callback" */
    int64_t duration_ns;            /* how long so far */
    int64_t cpu_wait_ns;            /* how long it had no CPU; not in `duration_ns` */
    struct rota_place function;     /* what the task or callback was made of */
    struct rota_place spawned;      /* where the task was spawned */
    const struct rota_place *stack; /* where it is now, innermost first, then its callers up to
                                         `function`, as far as code keeps frame pointers */
    size_t stack_count;             /* 0: not known */
    bool in_kernel;                 /* it waits there, in what stack[0] has called */
    uint64_t folded;                /* stalls like this since the last report of one */
    int64_t folded_longest_ns;      /* the longest of those, as it was when it was counted: it
                                         may have gone on after that */
    uint64_t dropped;               /* since the last report: those that five a second left
                                         no room for, and what was counted of functions that made
                                         way for others */
};

/*
 * Called on a thread of the library's own, which runs no loop and looks at no loop meanwhile. It
 * may call whatever may be called from any thread.
 */
typedef void (*rota_stall_fn)(const struct rota_stall *stall, void *arg);

/*
 * Print a stall to standard error, in two to four lines: what happens where no handler is given.
 *
 * Returns: nothing.
 * Errors: none; NULL is ignored.
 * Call from: any thread. Suspends: no.
 * Ownership: `stall` is borrowed; `arg` is not used. Source: asyncio's slow_callback_duration.
 */
ROTA_API void rota_default_stall_handler(const struct rota_stall *stall, void *arg);

ROTA_END_DECLS

#endif
