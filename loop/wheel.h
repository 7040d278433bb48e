/* SPDX-License-Identifier: MIT */
/*
 * wheel.h - a hierarchical timing wheel: timers by deadline, exact to the nanosecond.
 *
 * The essay is in wheel.c. The wheel reads no clock, takes no lock and allocates nothing: nodes
 * are embedded in what the caller owns, and the caller serialises all calls (one loop's timers
 * are guarded by one lock).
 */
#ifndef ROTI_WHEEL_H
#define ROTI_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/base/list.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1,024 ns per tick, and 10 + 9 * 6 >= 63 bits: every deadline there is has a slot. */
#define ROTI_WHEEL_TICK_BITS 10
#define ROTI_WHEEL_DIGIT_BITS 6
#define ROTI_WHEEL_SLOT_COUNT (1 << ROTI_WHEEL_DIGIT_BITS)
#define ROTI_WHEEL_LEVEL_COUNT 9

/* SCAN: roti_wheel_next_deadline() looks at so many nodes of a slot before it settles for a bound.
 * CASCADE: one call of roti_wheel_expire() moves at most so many nodes down. */
#if defined(ROTI_SMALL) && ROTI_SMALL
#define ROTI_WHEEL_SCAN_MAX 2
#define ROTI_WHEEL_CASCADE_MAX 4
#else
#define ROTI_WHEEL_SCAN_MAX 16
#define ROTI_WHEEL_CASCADE_MAX 1024
#endif

/* Where a node is. Zeroed memory is a node that is out. */
enum roti_wheel_place {
    ROTI_WHEEL_OUT,   /* in no wheel */
    ROTI_WHEEL_RUN,   /* its tick has come, and it came in order: in the list `run` */
    ROTI_WHEEL_HEAP,  /* its tick has come, out of order: below `heap` */
    ROTI_WHEEL_SLOT,  /* in slot[level][index], or in the cascade that emptied it */
    ROTI_WHEEL_NEVER, /* in the list of those with deadline INT64_MAX */
    ROTI_WHEEL_SHELF, /* due, and laid aside */
};

struct roti_wheel_node;

/* A node's links while it is in the heap. */
struct roti_wheel_tree {
    struct roti_wheel_node *child; /* the first child */
    struct roti_wheel_node *next;  /* the next sibling */
    struct roti_wheel_node *prev;  /* the previous sibling; the parent for a first child */
};

/* Embedded in a timer. Zero it once before the first use; the wheel owns all fields while the
 * node is linked, and deadline and sequence stay readable afterwards. */
struct roti_wheel_node {
    union {
        struct {
            struct roti_list links;        /* RUN, SLOT, NEVER, SHELF */
            struct roti_wheel_node *ahead; /* SLOT: a hint, never followed; see wheel.c */
        };
        struct roti_wheel_tree tree; /* HEAP */
    };
    int64_t deadline_ns;
    uint64_t sequence; /* order of additions: breaks ties */
    uint8_t place;     /* enum roti_wheel_place */
    uint8_t level;     /* SLOT */
    uint8_t index;     /* SLOT */
    uint8_t extra;     /* the embedding struct's */
};

struct roti_wheel {
    int64_t now_ns;               /* the latest instant given */
    int64_t current;              /* the tick at which levels and slots are reckoned */
    int64_t bound_ns;             /* <= every deadline in a slot; INT64_MIN: to be recomputed */
    uint64_t sequence;            /* of the next addition */
    size_t count;                 /* nodes held, wherever they are */
    struct roti_list run;         /* the front: in order of (deadline, sequence) ... */
    struct roti_wheel_node *heap; /* ... and the root of those that came out of order */
    struct roti_list cascade;     /* a slot's nodes on their way down */
    struct roti_list never;
    struct roti_list shelf;
    uint64_t occupied[ROTI_WHEEL_LEVEL_COUNT]; /* bit i: slot[level][i] is not empty */
    struct roti_list slot[ROTI_WHEEL_LEVEL_COUNT][ROTI_WHEEL_SLOT_COUNT];
};

/* An empty wheel whose time is `now_ns` >= 0. */
void roti_wheel_init(struct roti_wheel *wheel, int64_t now_ns);

/* Links a node that is out. A deadline in the past is due at once; INT64_MAX is never due. O(1). */
void roti_wheel_add(struct roti_wheel *wheel, struct roti_wheel_node *node, int64_t deadline_ns);

/* Unlinks `node`; false if it was out already. O(1), and amortised O(log n) only for a node whose
 * tick has come. */
bool roti_wheel_remove(struct roti_wheel *wheel, struct roti_wheel_node *node);

/*
 * The instant until which the loop may sleep: no timer is due before it. INT64_MAX: no timer will
 * ever be due. Never later than the earliest deadline, and equal to it unless more than
 * ROTI_WHEEL_SCAN_MAX timers share the earliest slot; then it may be that slot's first instant,
 * at which roti_wheel_expire() spreads the slot. Not later than the wheel's time while a cascade
 * is unfinished or the shelf holds something: do not sleep, call roti_wheel_expire() again next
 * turn.
 */
int64_t roti_wheel_next_deadline(struct roti_wheel *wheel);

/*
 * Unlinks and returns one timer that is due at `now_ns`, the first by (deadline, sequence); NULL
 * when none is, or when one call's share of a large cascade was used up, which shows in
 * roti_wheel_next_deadline() <= now_ns. An instant earlier than one given before is ignored: time
 * stays where it was.
 */
struct roti_wheel_node *roti_wheel_expire(struct roti_wheel *wheel, int64_t now_ns);

/* Lays aside a node that roti_wheel_expire() has just returned: it is in the wheel again, and is
 * not returned until roti_wheel_unshelve() has put all such nodes back into their order. */
void roti_wheel_shelve(struct roti_wheel *wheel, struct roti_wheel_node *node);
void roti_wheel_unshelve(struct roti_wheel *wheel);

/* Unlinks and returns any node, due or not; NULL when the wheel is empty. To tear down. */
struct roti_wheel_node *roti_wheel_drain(struct roti_wheel *wheel);

#ifdef __cplusplus
}
#endif

#endif
