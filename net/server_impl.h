/* SPDX-License-Identifier: MIT */
/*
 * server_impl.h - what a server consists of, and the steps that its files share.
 *
 * Problem.    Connections arrive on one socket and are served on many loops; handlers end, streams
 *             close, the server is closed, stopped or forgotten, in any order and on any thread.
 *             No accepted descriptor may be lost, and nothing may be left when the run ends.
 * Design.     One spin lock guards the state, the list of connections and their counts, and a list
 *             of waits. Whoever waits for anything of a server (room for one more connection, the
 *             last client, the end) waits on that one list for a condition; each change that may
 *             matter wakes all of them, and they look again. They are few.
 *             Acceptors are tasks, one for each listener, so that an idle loop can take one over
 *             from a loop that is blocked. A connection has two parts, its handler and its stream,
 *             that end independently; it is released when both have.
 *             The supervisor, a task of the runtime's own that is started with the server, does
 *             what must outlive every task of the program: the graceful stop, and the freeing. It
 *             ends in the last phase of the run, after all tasks of the program; a server to which
 *             the program still refers then goes when the loops have stopped, too, as callbacks
 *             may use it until then.
 * Rejected.   A graceful stop by whoever serves for ever: a program may do without. Freeing by the
 *             last reference: there is none in a program that never ends its own.
 * Invariants. I1 admitted >= connection_count: room is taken before a connection is accepted.
 *             I2 `listeners[].io` is set and closed by whoever has made the state SERVING, and then
 *                by whoever has made it CLOSED, one after the other (`starting`).
 *             I3 The server is freed by the supervisor's end, when nobody refers to it, or else by
 *                the end of the run.
 * Threads.    Any of the runtime.
 */
#ifndef ROTI_SERVER_IMPL_H
#define ROTI_SERVER_IMPL_H

#include <rota/server.h>

#include "ctx/context_impl.h"
#include "loop/loop_impl.h"
#include "loop/stop.h"
#include "net/socket.h"
#include "sched/base/list.h"
#include "sched/base/spin.h"

struct roti_io;
struct rota_loop;
struct rota_runtime;
struct rota_task;
struct roti_peer;

enum roti_server_state {
    ROTI_SERVER_BOUND, /* nobody can connect yet */
    ROTI_SERVER_SERVING,
    ROTI_SERVER_CLOSED,
};

/* One listening socket, and what its acceptor keeps. */
struct roti_listener {
    struct rota_server *server; /* constant */
    struct rota_loop *loop;     /* constant; borrowed from the runtime */
    int fd;                     /* BOUND: owned; SERVING: the number in `io` */
    struct roti_io *io;         /* [I2] */
    /* ---- the acceptor only ---- */
    int reserve_fd;      /* one number to fall back on; < 0: none */
    int64_t pause_ns;    /* after a failure: the last pause; 0: none since the last success */
    int64_t reported_ns; /* when a failure was last reported; 0: never */
};

/* One client. */
struct roti_connection {
    struct roti_list node;      /* in the server's list; under its lock */
    struct rota_server *server; /* constant; held */
    struct rota_stream *stream; /* constant; a counted reference */
    struct rota_task *task;     /* while the handler runs; borrowed; under the server's lock */
    unsigned loop_index;        /* constant */
    unsigned parts;             /* handler and stream, less those that have ended; under the lock */
    bool cancelled;             /* the handler is not to begin; under the lock */
};

struct rota_server {
    /* ---- constant ---- */
    rota_client_fn fn;
    void *arg;
    struct rota_server_opts opts; /* defaults filled in */
    struct rota_addr addr;
    struct rota_loop *loop; /* a counted reference */
    struct rota_runtime *runtime;
    struct roti_context_ref context; /* of the creator; handlers get copies */
    unsigned listener_count;
    struct roti_listener *listeners;
    /* ---- whoever closes ---- */
    struct roti_socket_file file;
    /* ---- under the runtime's lock ---- */
    struct roti_leftover leftover;
    /* ---- under the stop's lock ---- */
    struct roti_stop_listener stop;
    /* ---- under lock ---- */
    struct roti_spin lock;
    enum roti_server_state state;
    bool starting;   /* [I2] */
    bool closing;    /* CLOSED, and the listeners are being closed */
    bool forever;    /* a task is in rota_server_serve_forever() */
    bool stopping;   /* a graceful stop was asked for, and is not over */
    unsigned users;  /* references of the program */
    unsigned holds;  /* acceptors, connections, and tasks that wait */
    size_t admitted; /* connections, and acceptors' claims to one more */
    size_t connection_count;
    size_t open_streams;                 /* connections whose stream is not closed */
    unsigned loop_counts[ROTI_LOOP_MAX]; /* connections of each loop */
    struct roti_list connections;
    struct roti_list waits;
};

/* What somebody waits for; asked under the lock. */
typedef bool (*roti_server_condition_fn)(const struct rota_server *server);

#ifdef __cplusplus
extern "C" {
#endif

/* ---- net/server.c ---- */

/* Waits until the condition holds: 0, -ECANCELED, ROTA_ENOTASK. The caller holds the server. */
int roti_server_wait(struct rota_server *server, roti_server_condition_fn condition);

/* Claims all waits, under the lock; they are woken after the unlock. */
void roti_server_changed(struct rota_server *server, struct roti_list *woken);

/* A use of the server that is not the program's; the second also wakes who waits. */
void roti_server_hold(struct rota_server *server);
void roti_server_release(struct rota_server *server);

bool roti_server_is_idle(const struct rota_server *server);   /* no client is left, or coming */
bool roti_server_is_unheld(const struct rota_server *server); /* nobody refers to it */

/* Closes it. `drain`: what the kernel has accepted is served. */
void roti_server_end(struct rota_server *server, bool drain);

/* Frees it, or what there is of it. */
void roti_server_free(struct rota_server *server);

/* ---- net/supervise.c ---- */

/* Starts the supervisor. 0, -ENOMEM, ROTA_ESTOP. */
int roti_server_supervise(struct rota_server *server);

/* ---- net/listener.c ---- */

/* Makes the listeners, bound and not listening. 0, or an error: nothing is left. */
int roti_listeners_bind(struct rota_server *server, const struct rota_addr *addr);

/* Listens and starts the acceptors. 0, or an error: some may listen. */
int roti_listeners_start(struct rota_server *server);

/* Closes them; `drain` as above. */
void roti_listeners_close(struct rota_server *server, bool drain);

/* Frees what is closed. */
void roti_listeners_free(struct rota_server *server);

/* ---- net/accept.c ---- */

/* The body of an acceptor (its argument is the listener), and what ends it. */
int roti_accept_run(void *listener);
void roti_accept_release(void *listener);

/* Accepts and serves what there is without waiting, as far as there is room. */
void roti_accept_rest(struct roti_listener *listener);

/* ---- net/connection.c ---- */

/* Takes room for one more connection; false: there is none. roti_server_dismiss() gives it back. */
bool roti_server_admit(struct rota_server *server);
void roti_server_dismiss(struct rota_server *server);

/* Serves an accepted descriptor for which there is room, at `loop` or (NULL) at a loop of its
 * choice. 0, or an error: the descriptor is closed, the room given back. */
int roti_connection_start(struct rota_server *server, int fd, const struct roti_peer *peer,
                          struct rota_loop *loop);

/* Requests that every handler be cancelled. */
void roti_connections_cancel(struct rota_server *server);

/* Starts a task in a copy of the creator's context. As roti_task_spawn(). */
int roti_server_spawn(struct rota_server *server, struct rota_loop *loop, rota_task_fn fn,
                      void *arg, const struct rota_task_opts *opts, uint32_t flags);

#ifdef __cplusplus
}
#endif

#endif
