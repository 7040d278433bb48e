/* SPDX-License-Identifier: MIT */
/*
 * stream_stand_in.h - what a stream stands on, for its models: one socket, and the flusher.
 *
 * The socket never has more to read than it was given, and takes what is written whole, in part or
 * not at all, as the search has it. What was sent is a plain variable: two who send at once are a
 * race. The flusher is virtual thread 0 in the place of a task of its own.
 */
#ifndef ROTI_TESTS_NET_STREAM_STAND_IN_H
#define ROTI_TESTS_NET_STREAM_STAND_IN_H

#include "net/stream_impl.h"
#include "tests/sched/model/task_stand_in.h"

#define WIRE_MAX 8

extern struct rota_stream *stream; /* the one of the test */
extern char wire[WIRE_MAX];        /* what was sent */
extern unsigned wire_size;
extern bool wire_ended; /* and the peer was told that nothing follows */
extern int closings;    /* how often on_closed was called: whoever closes, then the waiters' */

/* Opens `stream` with `users` references. Virtual threads 0 .. tasks-1 are tasks. In setup. */
void stream_open(unsigned tasks, unsigned users, const struct rota_stream_opts *opts);

/* What the socket has to read. In setup. */
void stream_feed(const char *text);

/* The body of virtual thread 0: flushes whenever that is asked for, until `others` threads have
 * called stream_done(). */
void stream_flush_until_done(unsigned others);
void stream_done(void);

/* In check: nothing is left of the stream, which was closed once. */
void stream_check_gone(void);

#endif
