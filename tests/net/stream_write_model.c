/* SPDX-License-Identifier: MIT */
/*
 * stream_write_model.c - the writing half of a stream in the explorer.
 *
 * Writers, a closer and the flusher meet in every order, and the socket takes as much as it likes.
 * What must hold: one party sends at a time; each write is sent whole and in one piece, or refused
 * whole; what was accepted before a close is sent; who is held up goes on.
 */
#include "tests/net/stream_stand_in.h"

#include <errno.h>
#include <string.h>

static const char *const texts[] = {NULL, "ab", "cd"};
static int reason;         /* plain: the canceller's, then the writer's, once it was told */
static ssize_t results[3]; /* each thread's own: what it was answered; 1: nothing yet */

static void flushes_for_two(unsigned thread)
{
    (void)thread;
    stream_flush_until_done(2);
}

static void drop(void)
{
    rota_stream_unref(stream);
    stream_done();
}

static void writes(unsigned thread)
{
    results[thread] = rota_stream_write(stream, texts[thread], 2);
    drop();
}

/* Is held up by its own bytes. */
static void writes_and_drains(unsigned thread)
{
    results[thread] = rota_stream_write(stream, texts[thread], 2);
    if (rota_stream_drain(stream) == -ECANCELED) {
        ROTI_PLAIN_READ(&reason);
        MODEL_ASSERT(reason == 1);
    }
    drop();
}

static void cancels_writer(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_WRITE(&reason);
    reason = 1;
    (void)roti_task_cancel_request(&stand_ins[1].task, NULL);
    drop();
}

static void drains(unsigned thread)
{
    results[thread] = rota_stream_drain(stream);
    drop();
}

static void ends(unsigned thread)
{
    results[thread] = rota_stream_write_eof(stream);
    drop();
}

static void closes(unsigned thread)
{
    (void)thread;
    rota_stream_close(stream);
    drop();
}

static void aborts(unsigned thread)
{
    (void)thread;
    rota_stream_abort(stream);
    drop();
}

static void waits_closed(unsigned thread)
{
    rota_stream_close(stream);
    results[thread] = rota_stream_wait_closed(stream);
    MODEL_ASSERT(rota_stream_fd(stream) == ROTA_ECLOSED);
    drop();
}

static void open_two(void)
{
    stream_open(3, 2, &(struct rota_stream_opts){0});
    results[1] = results[2] = 1;
}

/* More than one byte that was not sent holds writers up. */
static void open_narrow(void)
{
    stream_open(3, 2, &(struct rota_stream_opts){.high = 1, .low = 1});
    reason = 0;
    results[1] = results[2] = 1;
}

static bool was_sent(const char *text)
{
    return memmem(wire, wire_size, text, 2) != NULL;
}

static void check_both(void)
{
    stream_check_gone();
    MODEL_ASSERT(results[1] == 2 && results[2] == 2);
    MODEL_ASSERT(wire_size == 4 && was_sent(texts[1]) && was_sent(texts[2]));
}

/* Sent whole or refused whole. */
static void check_all_or_nothing(void)
{
    stream_check_gone();
    MODEL_ASSERT(results[1] == 2 || results[1] == ROTA_ECLOSED);
    MODEL_ASSERT(results[1] == 2 ? wire_size == 2 && was_sent(texts[1]) : wire_size == 0);
    MODEL_OUTCOME(results[1] == 2);
}

/* The end is told once, behind the last byte, unless the stream was closed before. */
static void check_ended(void)
{
    stream_check_gone();
    MODEL_ASSERT(results[1] == 2 || results[1] == ROTA_ESTATE);
    MODEL_ASSERT(results[1] == 2 ? wire_size == 2 && was_sent(texts[1]) : wire_size == 0);
    MODEL_ASSERT(results[2] == 0);
    MODEL_OUTCOME(wire_ended);
}

static void check_waited(void)
{
    check_all_or_nothing();
    MODEL_ASSERT(results[2] == 0);
}

static void check_drained(void)
{
    stream_check_gone();
    MODEL_ASSERT(results[1] == 2 && wire_size == 2);
    MODEL_ASSERT(results[2] == 0);
}

static void check_written(void)
{
    stream_check_gone();
    MODEL_ASSERT(results[1] == 2 || results[1] == -ECANCELED);
    MODEL_ASSERT(wire_size == (results[1] == 2 ? 2 : 0));
}

static void check_aborted(void)
{
    stream_check_gone();
    MODEL_ASSERT(results[1] == 2 || results[1] == ROTA_ECLOSED);
    MODEL_ASSERT(wire_size <= 2);
}

#define PLAYS(identifier, one, two, open, verdict)                                                 \
    MODEL_TEST(identifier) = {                                                                     \
        .threads = {flushes_for_two, one, two}, .setup = open, .check = verdict}

PLAYS(stream_two_writers, writes, writes, open_two, check_both);
PLAYS(stream_writers_held, writes, writes, open_narrow, check_both);
PLAYS(stream_write_eof, writes, ends, open_two, check_ended);
PLAYS(stream_drained, writes, drains, open_narrow, check_drained);
PLAYS(stream_closed_under_writer, writes, closes, open_two, check_all_or_nothing);
PLAYS(stream_held_and_closed, writes, closes, open_narrow, check_all_or_nothing);
PLAYS(stream_wait_closed, writes, waits_closed, open_two, check_waited);
PLAYS(stream_drain_cancelled, writes_and_drains, cancels_writer, open_narrow, check_written);
PLAYS(stream_aborted, writes, aborts, open_two, check_aborted);

MODEL_SURVIVES("CN4:0", "the flusher counts its own requests, and acts on nothing else");
