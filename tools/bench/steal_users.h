/* SPDX-License-Identifier: MIT */
/*
 * steal_users.h - the load of the stall generator: users in a closed loop, and stalls that arrive
 * whatever the server does. The client plays it over sockets, the bound in virtual time.
 *
 * Design.     256 users, each with a connection: a message, its answer, some thinking, the next
 *             message. Stalls arrive as a Poisson process in time. One that arrives is a message of
 *             its own of the user that it hits, who sends it at once if it thinks, else as soon as
 *             it has its answer; several wait there in turn. After the last one it thinks anew.
 *             Thinking takes from half to one and a half times its mean. With equal times the
 *             users that one stall has held up would move in step for the rest of the run.
 * Omission.   A load that waits for the server sends less when the server is slow, and must not
 *             make it look better for that. So a message's time counts from when it was to be sent,
 *             that of a stall from its arrival. A message counts if it was under way at any time of
 *             the window; one that is never answered, or was never sent because those before it
 *             were not answered, counts with its age at the end. Two figures go further:
 *             `overdue_ns`, how long messages were late, together; and `paced`,
 *             to which each message that takes longer than thinking adds those that its user
 *             would have sent meanwhile, each with the time that it would have waited.
 */
#ifndef ROTI_BENCH_STEAL_USERS_H
#define ROTI_BENCH_STEAL_USERS_H

#include "tools/bench/bench.h"
#include "tools/bench/plain_heap.h"
#include "tools/bench/steal_times.h"

#include <rota/base.h>

#define STEAL_USERS 256
#define STEAL_STALL_NS ROTA_MS
#define STEAL_IN_TIME_NS (5 * ROTA_MS) /* an answer so soon is in time */
#define STEAL_WAITING_MAX 65536        /* stalls that have arrived and were not sent yet */

/* What the load of one run is. */
struct steal_plan {
    int64_t warm_ns;   /* before anything counts */
    int64_t window_ns; /* in which messages count */
    int64_t think_ns;  /* mean, between an answer and the next message */
    double stall_rate; /* stalls a second */
    bool skewed;       /* stalls hit only what belongs to thread or loop 0 */
    bool blocked;      /* one more connection asks for an endless stall */
    bool apart;        /* the reference has one thread less, and the endless work beside it */
};

/* What was seen of a run. The client's lies in memory that both processes share. */
struct steal_seen {
    int error;
    uint64_t home_count;      /* users of thread or loop 0 */
    uint64_t answers;         /* that came within the window */
    uint64_t stalls;          /* of these */
    uint64_t in_time;         /* messages of the window answered in time */
    uint64_t unanswered;      /* messages of the window never answered */
    int64_t overdue_ns;       /* of all messages together, within the window */
    int64_t client_cpu_ns;    /* of the client, in the window */
    struct steal_times all;   /* of the messages of the window */
    struct steal_times free;  /* of those that asked for no stall */
    struct steal_times paced; /* of all, and of those that waiting users did not send */
};

/* A stall that waits for its user's answer to another message. */
struct steal_arrival {
    struct steal_arrival *next;
    int64_t when_ns;
};

struct steal_user {
    struct plain_timer due;       /* of its next message; in the heap while it thinks */
    int64_t intended_ns;          /* when the message that is out was to be sent */
    bool out;                     /* an answer is awaited */
    bool stalled;                 /* by a message that takes a stall */
    struct steal_arrival *first;  /* of the stalls that wait */
    struct steal_arrival **after; /* where the next one is to be linked */
};

struct steal_users {
    const struct steal_plan *plan;
    struct steal_seen *seen;
    int64_t begin_ns; /* of the window */
    int64_t end_ns;
    uint64_t random;
    uint64_t stall_random; /* of its own: stalls are the same whatever the users do */
    double stall_ns;       /* when the next one arrives; INFINITY: never */
    struct plain_heap thinking;
    unsigned victim_count;
    struct steal_user *victims[STEAL_USERS]; /* whom stalls may hit */
    struct steal_arrival *unused;
    struct plain_entry entries[STEAL_USERS];
    struct steal_user users[STEAL_USERS];
    struct steal_arrival arrivals[STEAL_WAITING_MAX];
};

/* Everybody thinks, for some milliseconds at most; the first stall is drawn. The structure was zero
 * but for `victims`, which are chosen. */
void steal_users_start(struct steal_users *users, const struct steal_plan *plan,
                       struct steal_seen *seen, int64_t now_ns);

/* When anybody is to send the next time, INT64_MAX at the latest. */
int64_t steal_users_next(const struct steal_users *users);

/* A user who is to send a message by now, `stalled` or not; NULL: there is none. */
struct steal_user *steal_users_due(struct steal_users *users, int64_t now_ns);

/* The user has its answer. True: it is to send the next message at once. */
bool steal_users_answered(struct steal_users *users, struct steal_user *user, int64_t now_ns);

/* Counts what was not answered. */
void steal_users_end(struct steal_users *users, int64_t now_ns);

#endif
