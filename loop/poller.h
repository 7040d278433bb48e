/* SPDX-License-Identifier: MIT */
/*
 * poller.h - what a loop waits in for the world outside: a table of operations, and its state.
 *
 * Problem. Kernels offer two kinds of interface: one tells when a call would not block (epoll),
 *          the other makes the call and tells when it is complete (io_uring).
 * Design.  The table speaks of operations on descriptors, which both kinds can perform:
 *          perform() suspends the calling task until the operation is complete, by whatever
 *          means. Above it nobody hears of readiness.
 * Threads. init, done, wait and take: the owner, that is the thread that runs the loop (done:
 *          whoever frees it). rescue: a worker that holds the poll lock of the loop. wake, add,
 *          remove, watch_ticker, perform: any.
 */
#ifndef ROTI_POLLER_H
#define ROTI_POLLER_H

#include "loop/lent.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

struct roti_io;
struct roti_poller;

/* What can be done with a descriptor. */
enum roti_operation_kind {
    ROTI_OPERATION_RECV,      /* into data, size */
    ROTI_OPERATION_RECV_LENT, /* into *lent */
    ROTI_OPERATION_SEND,      /* from data, size */
    ROTI_OPERATION_SENDMSG,   /* from message */
    ROTI_OPERATION_ACCEPT,    /* the peer's address into peer, peer_size */
    ROTI_OPERATION_CONNECT,   /* to addr, addr_size */
    ROTI_OPERATION_READABLE,  /* only waits */
    ROTI_OPERATION_WRITABLE,
    ROTI_OPERATION_COUNT,
};

/* One operation. Fields that its kind does not name are not looked at. On the caller's stack, which
 * stays until the operation is complete. */
struct roti_operation {
    enum roti_operation_kind kind;
    bool may_suspend; /* else -EAGAIN where it would have to wait */
    int flags;        /* MSG_* */
    union {
        void *data;             /* RECV */
        const void *const_data; /* SEND */
        struct roti_lent *lent;
        const struct msghdr *message;
        struct sockaddr_storage *peer; /* or NULL */
        const struct sockaddr *addr;
    };
    union {
        size_t size;          /* RECV, SEND */
        socklen_t *peer_size; /* NULL where peer is */
        socklen_t addr_size;
    };
};

struct roti_poller_ops {
    const char *name;
    int (*init)(struct roti_poller *poller);
    void (*done)(struct roti_poller *poller);
    void (*wait)(struct roti_poller *poller, int64_t timeout_ns);
    unsigned (*take)(struct roti_poller *poller);
    unsigned (*rescue)(struct roti_poller *poller);
    void (*wake)(struct roti_poller *poller);

    /* Registers a descriptor for life: 0 or a negative errno. `shared`: a listener that other
     * pollers watch too, of which one is to be told of a connection. */
    int (*add)(struct roti_poller *poller, struct roti_io *io, bool shared);

    /* Registers a timer that several pollers watch: when it has run out one of them that waits
     * returns, or else the next wait of each. 0 or a negative errno. */
    int (*watch_ticker)(struct roti_poller *poller, int fd);

    /* Ends the registration, before the descriptor is closed. */
    void (*remove)(struct roti_poller *poller, struct roti_io *io);

    /* Performs an operation on a descriptor that add() took. */
    ssize_t (*perform)(struct roti_io *io, const struct roti_operation *operation);
};

/* Readiness, by epoll. */
extern const struct roti_poller_ops roti_poller_epoll;

/* How many events one wait takes in. */
#if defined(ROTI_SMALL) && ROTI_SMALL
#define ROTI_POLLER_BATCH 2
#else
#define ROTI_POLLER_BATCH 256
#endif

/* The same for whoever helps, in one call; it makes at most ROTI_RESCUE_CALLS of them. */
#define ROTI_RESCUE_BATCH 64
#define ROTI_RESCUE_CALLS 4

struct roti_poller {
    const struct roti_poller_ops *ops;
    int epoll_fd;               /* -1: ended */
    int wake_fd;                /* an eventfd, edge-triggered: each write is an edge */
    bool has_pwait2;            /* owner: the kernel takes timeouts in nanoseconds */
    struct roti_lent_pool lent; /* owner: memory for the tasks that are on this loop */
    int event_count;            /* owner: of the batch that was not taken yet */
    struct epoll_event events[ROTI_POLLER_BATCH]; /* owner: the batch */
};

/* No wait is longer, whatever was asked for: deadlines are looked at anew once a day. */
#define ROTI_POLLER_TIMEOUT_MAX_NS (INT64_C(24) * 3600 * 1000000000)

#ifdef __cplusplus
extern "C" {
#endif

/* 0, -EMFILE, -ENFILE or -ENOMEM: nothing is left then. */
int roti_poller_init(struct roti_poller *poller);

/* In the child of a fork: closes the child's copies of its own descriptors, or what is deregistered
 * and woken here would be so for the parent. The memory is as another thread left it, and stays. */
void roti_poller_abandon(struct roti_poller *poller);

/* Ends it. Descriptors that are still registered may only be closed afterwards. */
void roti_poller_done(struct roti_poller *poller);

/*
 * Waits until something has happened, roti_poller_wake() was called since the last return, or
 * `timeout_ns` has passed: < 0 for ever, 0 does not block. May return early, but not by the clock:
 * a timeout that was seen to pass has passed. roti_poller_take() is to follow.
 */
void roti_poller_wait(struct roti_poller *poller, int64_t timeout_ns);

/* Takes what has happened: wakes the tasks whose operations can go on. Returns the number of
 * descriptors that had news. */
unsigned roti_poller_take(struct roti_poller *poller);

/*
 * Takes what has happened at a loop whose owner does not turn. Its wake may be among it: the owner
 * does not wait, and looks at its inbox before it does. The caller holds the loop's poll lock.
 */
unsigned roti_poller_rescue(struct roti_poller *poller);

/* As the table's. */
int roti_poller_watch_ticker(struct roti_poller *poller, int fd);

/* Makes a wait return, or the next one not block. Any number of calls end one wait. Any thread,
 * signal handlers included. */
void roti_poller_wake(struct roti_poller *poller);

#ifdef __cplusplus
}
#endif

#endif
