/* SPDX-License-Identifier: MIT */
/*
 * stall.h - what the watchdog finds, named, folded and limited, and told to whoever is to know.
 *
 * Problem. A bad function is called for each request: a report for each would bury the log, and
 *          cost more than the stall.
 * Design.  Stalls are grouped by the function of their task or callback and the place of the spawn.
 *          A group is told of at first, then once in ROTI_STALL_FOLD_NS, or when a stall is ten
 *          times as long as any before; meanwhile they are counted. At most ROTI_STALLS_PER_SECOND
 *          are told in a second. What was counted and not told is told at the end of the run.
 * Threads. The watchdog's, but for init and free.
 */
#ifndef ROTI_STALL_H
#define ROTI_STALL_H

#include <rota/stall.h>

#include "sched/watchdog.h"

#define ROTI_STALL_FOLD_NS (10 * ROTA_SEC)
#define ROTI_STALLS_PER_SECOND 5
#define ROTI_STALL_GROUPS 64 /* of further ones the oldest gives way */

struct roti_stall_group {
    const void *fn;
    const void *spawned_at;
    char name[ROTA_TASK_NAME_SIZE]; /* of the task that was told last */
    int64_t told_ns;                /* when it was told last */
    int64_t longest_ns;             /* that was told */
    uint64_t folded;                /* since then */
    int64_t folded_longest_ns;
};

struct roti_stalls {
    rota_stall_fn fn;
    void *arg;
    struct roti_stall_group *groups; /* ROTI_STALL_GROUPS; NULL: nobody watches */
    struct roti_telling *telling;    /* room for one report: stall.c */
    unsigned group_count;
    int64_t second_ns;       /* when the present second began */
    unsigned told_in_second; /* reports */
    uint64_t dropped;        /* since the last report: see struct rota_stall */
};

struct rota_runtime;

#ifdef __cplusplus
extern "C" {
#endif

/* 0 or -ENOMEM. `fn` NULL: the default handler. */
int roti_stalls_init(struct roti_stalls *stalls, rota_stall_fn fn, void *arg);

/* Once the watchdog has ended. Also for what roti_stalls_init() has not completed, or is zero. */
void roti_stalls_free(struct roti_stalls *stalls);

/* The pool's roti_stalled_fn. What a loop does for itself is nobody's stall. */
bool roti_stall_found(const struct roti_stall *found);

/* Counts a stall of a group at an instant. The group if it is to be told now, or NULL. For
 * roti_stall_found(), and for tests, which have times of their own. */
struct roti_stall_group *roti_stalls_count(struct roti_stalls *stalls, const void *fn,
                                           const void *spawned_at, const struct roti_stall *found,
                                           int64_t now_ns);

#ifdef __cplusplus
}
#endif

#endif
