/* SPDX-License-Identifier: MIT */
/*
 * stream_model.c - the life of a stream and its reading half in the explorer.
 *
 * One task reads at a time; whoever is told of the end sees what led to it; the last user closes,
 * and the stream goes after the last use of it.
 */
#include "tests/net/stream_stand_in.h"

#include <errno.h>

static char got[2]; /* each reader's own */
static int cause;   /* plain: why the stream was aborted */

static void drop(void)
{
    rota_stream_unref(stream);
    stream_done();
}

/* ---- Two readers: a byte each, or -EBUSY ---- */

static void reads(unsigned thread)
{
    ssize_t n = rota_stream_read(stream, &got[thread], 1);
    MODEL_ASSERT(n == 1 || n == -EBUSY);
    MODEL_ASSERT((n == 1) == (got[thread] != 0));
    drop();
}

/* What is read is in the stream's input already. */
static void open_with_input(void)
{
    const char *data;
    stream_open(0, 2, &(struct rota_stream_opts){0});
    got[0] = got[1] = 0;
    stream_feed("xy");
    MODEL_ASSERT(rota_stream_peek(stream, &data, 2) == 2);
}

static void check_bytes(void)
{
    stream_check_gone();
    MODEL_ASSERT(got[0] != got[1]);
    MODEL_ASSERT(got[0] == 'x' || got[1] == 'x');
    MODEL_OUTCOME(got[0] != 0, got[1] != 0);
}

MODEL_TEST(stream_two_readers) = {
    .threads = {reads, reads}, .setup = open_with_input, .check = check_bytes};

/* ---- Told of the end ---- */

static void aborts(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_WRITE(&cause);
    cause = 1;
    rota_stream_abort(stream);
    drop();
}

static void looks(unsigned thread)
{
    (void)thread;
    if (rota_stream_is_closing(stream)) {
        ROTI_PLAIN_READ(&cause);
        MODEL_ASSERT(cause == 1);
    }
    drop();
}

static void open_three(void)
{
    stream_open(0, 3, &(struct rota_stream_opts){0});
    cause = 0;
}

MODEL_TEST(stream_end_is_told) = {
    .threads = {looks, aborts, looks}, .setup = open_three, .check = stream_check_gone};

/* ---- A reader that does not own the stream: the last owner goes meanwhile ---- */

static void reads_to_the_end(unsigned thread)
{
    char byte;
    (void)thread;
    ssize_t n = rota_stream_read(stream, &byte, 1);
    MODEL_ASSERT(n == ROTA_ECLOSED);
}

static bool is_reading(void *arg)
{
    (void)arg;
    return roti_load(TN17, relaxed, &stream->refs) > 1;
}

static void drops_under_reader(unsigned thread)
{
    (void)thread;
    model_wait_until(is_reading, NULL);
    rota_stream_unref(stream);
}

static void open_one(void)
{
    stream_open(0, 1, &(struct rota_stream_opts){0});
}

MODEL_TEST(stream_dropped_under_reader) = {.threads = {reads_to_the_end, drops_under_reader},
                                           .setup = open_one,
                                           .check = stream_check_gone};

MODEL_SURVIVES("W4:0", "each task is resumed by its own thread here: see model_word");
