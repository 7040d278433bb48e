/* SPDX-License-Identifier: MIT */
/*
 * stream_impl.h - what a stream consists of, and the steps that its files share.
 *
 * Problem.    A task reads, several write, another closes, all at once and on different loops;
 *             the kernel takes only part of what is written; and what was written before a close
 *             must still be sent when no task of the program looks after the stream any more.
 * Design.     Two halves that share nothing but the descriptor. The reading half belongs to
 *             whoever has set `reading`. The writing half is under a spin lock, which is never
 *             held over a system call, an allocation or a suspension. Bytes go to the kernel by
 *             one party at a time: a writer that finds nothing buffered marks the stream as
 *             `sending` and tries at once; what is left over goes to the backlog, in front of
 *             what other writers have put there meanwhile. While there is a backlog one task of
 *             the runtime's own, the flusher, sends it (net/flush.c). OPEN -> CLOSING (close: no
 *             more is accepted, the rest is sent) -> CLOSED (the descriptor is closed); a
 *             failure or an abort goes to CLOSED from either.
 * Rejected.   Flushing by whoever drains, with a task only where nobody does: the role would
 *             have to be handed on when its holder is cancelled, at every instant of that race;
 *             a spawn, on the other hand, is cheap beside a socket that has become full. A
 *             callback on readiness: the poller knows operations of tasks only, so that a
 *             completion poller can stand there, and callbacks are bound to one loop, which may
 *             be busy.
 * Invariants. I1 A backlog that is not empty implies `sending` or `flushing`, or CLOSED.
 *             I2 `sending` and `flushing` are cleared by who set them; while `flushing` only the
 *                flusher takes chunks out.
 *             I3 `ended` is 0 if and only if the stream is OPEN.
 *             I4 Whoever makes the stream CLOSED closes the descriptor after the unlock, once, by
 *                roti_stream_finish(). Those who wait for the end are told after that.
 * Threads.    Any of the runtime, unless said otherwise.
 */
#ifndef ROTI_STREAM_IMPL_H
#define ROTI_STREAM_IMPL_H

#include <rota/stream.h>

#include "net/backlog.h"
#include "net/input.h"
#include "sched/base/atomic.h"
#include "sched/base/list.h"
#include "sched/base/spin.h"

struct roti_io;
struct rota_loop;
struct rota_task;

enum roti_stream_state {
    ROTI_STREAM_OPEN,
    ROTI_STREAM_CLOSING, /* what is buffered is being sent */
    ROTI_STREAM_CLOSED,
};

/* An IPv4 or IPv6 address, or none: the few bytes of it that a connection keeps. */
struct roti_peer {
    socklen_t size;
    struct sockaddr_in6 addr;
};

struct rota_stream {
    struct roti_io *io;           /* constant; a counted reference */
    void (*on_closed)(void *arg); /* constant; called once, by whoever closes; no lock held */
    void *on_closed_arg;          /* constant */
    struct roti_peer peer;        /* constant */
    _Atomic(uint32_t) users;      /* references of the program; any thread */
    _Atomic(uint32_t) refs;       /* those as one; flusher, reader, linked waits; any thread */
    _Atomic(int) ended;           /* what calls answer; 0: open. Written under lock; any thread */
    /* ---- reading: whoever has set `reading` ---- */
    _Atomic(bool) reading;
    bool eof; /* the peer has said so */
    struct roti_input input;
    size_t read_limit;
    /* ---- writing: under lock ---- */
    struct roti_spin lock;
    uint8_t state;             /* enum roti_stream_state */
    bool sending;              /* a writer is in the system call */
    bool flushing;             /* the flusher was started and has not let go */
    bool paused;               /* more than `high` was buffered, and no less than `low` since */
    bool eof_wanted;           /* nothing is accepted any more */
    bool eof_sent;             /* and the peer was told, or is about to be */
    bool down;                 /* CLOSED, and so is the descriptor */
    bool nudged;               /* the flusher was cancelled only to look at the state again */
    int error;                 /* CLOSED: why; 0 */
    struct rota_task *flusher; /* while it runs; borrowed */
    struct roti_backlog backlog;
    size_t high;
    size_t low;
    int64_t close_timeout_ns;
    int64_t close_deadline_ns; /* CLOSING */
    struct roti_list drainers; /* waits until not paused */
    struct roti_list closers;  /* waits until `down` */
};

/* What a stream is made from. The fields are as in struct rota_stream. */
struct roti_stream_init {
    struct roti_peer peer;
    void (*on_closed)(void *arg);
    void *on_closed_arg;
};

/* What is to be done after the unlock. */
struct roti_stream_after {
    bool flush;             /* start the flusher */
    bool shut;              /* tell the peer of the end */
    bool closed;            /* close the descriptor */
    struct roti_list woken; /* claimed waits */
};

#ifdef __cplusplus
extern "C" {
#endif

/* A stream with one reference of the program's and no descriptor yet. 0, -EINVAL, -ENOMEM. */
int roti_stream_create(struct rota_stream **ret_stream, const struct roti_stream_init *init,
                       const struct rota_stream_opts *opts);

/* Gives it its descriptor, registered at `loop`. As roti_io_open(): on failure the stream is freed,
 * and `fd` the caller's. */
int roti_stream_open(struct rota_stream *stream, int fd, struct rota_loop *loop);

/* 0, or -EINVAL: options that contradict themselves. */
int roti_stream_check_opts(const struct rota_stream_opts *opts);

/* The bytes of an IPv4 or IPv6 address; none of another's. */
struct roti_peer roti_peer_of(const struct sockaddr_storage *addr, socklen_t size);

/* References that are not the program's. */
void roti_stream_hold(struct rota_stream *stream);
void roti_stream_release(struct rota_stream *stream);

/* What calls answer: 0 while the stream is open. */
static inline int roti_stream_ended(const struct rota_stream *stream)
{
    /* [ST1] acquire: pairs with [ST2]; whoever is told of the end sees what led to it. */
    return roti_load(ST1, acquire, &stream->ended);
}

/* ---- Steps of the writing half ---- */

void roti_stream_after_init(struct roti_stream_after *after);

/* Under the lock, after a change: resumes writers, starts the flusher, tells the end, ends a close.
 */
void roti_stream_settle(struct rota_stream *stream, struct roti_stream_after *after);

/* Under the lock: makes the stream CLOSED if it is not. `error` is why, 0 for nothing. */
void roti_stream_end(struct rota_stream *stream, int error, struct roti_stream_after *after);

/* After the unlock: does what was noted. 0, or why the flusher could not be started: the stream has
 * failed then. */
int roti_stream_finish(struct rota_stream *stream, struct roti_stream_after *after);

/* Ends the stream with a failure. No lock held. */
void roti_stream_fail(struct rota_stream *stream, int error);

/* Starts the flusher, `flushing` being set. 0, -ENOMEM, ROTA_ESTOP: `flushing` is cleared again. */
int roti_flush_start(struct rota_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
