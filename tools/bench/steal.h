/* SPDX-License-Identifier: MIT */
/*
 * steal.h - the stall generator: what its client, its servers and its bound have in common.
 *
 * Problem.    An echo server whose handlers now and then take a millisecond of processor time.
 *             While a thread does that, the connections that belong to it wait, unless another
 *             thread serves them. How much of that wait does stealing take away, what does it cost
 *             when nothing stalls, and how far is it from what could be had at all?
 *
 * Design.     Client and server are two processes on the same CPUs. The load is that of
 *             steal_users.h. A message says what its handler is to do, so that all servers do the
 *             same. A stall is processor time of the thread that takes it: were it wall time, a
 *             server would be working while it does not run.
 * Skewed.     Each answer tells the thread that the connection was given to: at the reference the
 *             one whose socket accepted it, at rota the loop where its descriptor is registered for
 *             life. Skewed stalls hit the connections of number 0 only.
 * Bound.      steal_bound.c plays the same load against one queue for all threads, without cost
 *             for that, with the processor time that messages took in the run just measured. And
 *             against a queue for each thread: what the reference would be without any trouble
 *             with the machine, so that bound and parted together tell what stealing can gain.
 */
#ifndef ROTI_BENCH_STEAL_H
#define ROTI_BENCH_STEAL_H

#include "tools/bench/machine.h"
#include "tools/bench/steal_users.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#define STEAL_ENDLESS UINT64_MAX /* a stall until the session ends */

/* What goes over the wire, both ways. */
struct steal_message {
    uint64_t stall_ns; /* processor time that the handler takes before it answers */
    uint64_t home;     /* in answers: the thread or loop that the connection was given to */
    unsigned char rest[48];
};

static_assert(sizeof(struct steal_message) == 64, "the message of the table");

/* ---- The client ---- */

/* What the client tells the conductor, a byte each. */
enum { STEAL_BEGIN = 'b', STEAL_END = 'e', STEAL_QUIT = 'q' };

/* Waits for a port at `control`, plays its load against it, and says what it has seen. In a process
 * of its own, the child of a fork: it allocates nothing. */
void steal_client(const struct steal_plan *plan, int control, struct steal_seen *seen);

/* ---- Servers ---- */

/* What a server has done since its start; zero where it does not know. */
struct steal_work {
    struct machine_use use;
    int64_t cpu_ns;   /* of the process that serves */
    int64_t delay_ns; /* of its threads, waiting for a CPU */
    uint64_t turns;   /* of a loop, or calls of epoll_wait() */
    uint64_t searches;
    uint64_t stolen; /* tasks */
    uint64_t wakes;
    uint64_t parks;
    uint64_t migrations;
    uint64_t helps;   /* of blocked loops */
    uint64_t rescued; /* events and timers of blocked loops */
};

/* One run of one server. The conductor is a thread that gives the client its port, notes what the
 * server had done when the window began and when it ended, and then ends the server. */
struct steal_session {
    unsigned threads;
    const char *peer;       /* which is to serve, for steal_serve_peer() */
    int control;            /* to the client */
    _Atomic(bool) stopping; /* ends endless stalls */
    struct steal_work begin;
    struct steal_work end;
    pthread_t conductor;
    /* ---- set by the server before it conducts ---- */
    uint16_t port;
    pid_t process;                                       /* who serves; default this process */
    void (*look)(void *server, struct steal_work *work); /* on the conductor's thread */
    void (*stop)(void *server);                          /* the same */
    void *server;
};

/* Serves until stopped, on the calling thread and others: conducts once all of them listen. 0, or a
 * negative error. */
typedef int (*steal_serve_fn)(struct steal_session *session);

int steal_serve_rota(struct steal_session *session);
int steal_serve_reference(struct steal_session *session);
int steal_serve_peer(struct steal_session *session);

/* Starts the conductor of a server that listens at session->port. 0, or a negative error; then the
 * server is to end. */
int steal_conduct(struct steal_session *session);

/* Waits for the conductor, when stop() was called. */
void steal_conducted(struct steal_session *session);

/* What every handler does with a message before it answers. */
void steal_handle(struct steal_session *session, struct steal_message *message, uint64_t home);

#endif
