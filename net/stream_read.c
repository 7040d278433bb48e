/* SPDX-License-Identifier: MIT */
/*
 * stream_read.c - the reading half of a stream.
 *
 * The task that has set `reading` owns this half. Bytes that are asked for one way or another go
 * straight to the caller; those that are waited for until more have come (a line, a record, a look)
 * are kept in the stream's input, so that a cancelled call has consumed nothing.
 *
 * An end of the stream that is met after a close is the close's own doing: it shuts the socket for
 * reading to wake who reads.
 */
#include "net/stream_impl.h"

#include "loop/io.h"
#include "sched/base/assert.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* ---- The reading half and its owner ---- */

/* Takes the reading half. 0 or -EBUSY; read_end() follows 0. */
static int read_begin(struct rota_stream *stream)
{
    /* [SR1] acquire: pairs with [SR2]; what the last reader left in the input is visible. */
    if (roti_exchange(SR1, acquire, &stream->reading, true))
        return -EBUSY;
    roti_stream_hold(stream); /* over a suspension the program may let go */
    return 0;
}

static void read_end(struct rota_stream *stream)
{
    /* [SR2] release: pairs with [SR1]. */
    roti_store(SR2, release, &stream->reading, false);
    roti_stream_release(stream);
}

/* What a receive came to. Errors of the connection end the stream; others are the caller's alone.
 */
static ssize_t received(struct rota_stream *stream, ssize_t n)
{
    int ended = roti_stream_ended(stream);
    if (n > 0)
        return n;
    if (ended < 0 && (n == 0 || n == ROTA_ECLOSED))
        return ended;
    if (n == 0) {
        stream->eof = true;
        return 0;
    }
    switch (n) {
    case -ECANCELED:
    case -ENOMEM:
    case -EBUSY:
    case -EFAULT:
    case ROTA_ENOTASK:
    case ROTA_ECLOSED:
        return n;
    default:
        roti_stream_fail(stream, (int)n);
        return roti_stream_ended(stream);
    }
}

/* Receives into the input, which holds fewer than `want` bytes. As roti_input_receive(). */
static ssize_t receive_more(struct rota_stream *stream, size_t want)
{
    if (stream->eof)
        return 0;
    return received(stream, roti_input_receive(&stream->input, stream->io, want));
}

/* Receives until the input holds `want` bytes. 1; 0 at the end of the stream before; an error. */
static ssize_t receive_until(struct rota_stream *stream, size_t want)
{
    while (roti_input_size(&stream->input) < want) {
        ssize_t n = receive_more(stream, want);
        if (n <= 0)
            return n;
    }
    return 1;
}

/* Moves the first `size` bytes of the input to the caller. */
static ssize_t take(struct rota_stream *stream, void *buffer, size_t size)
{
    if (size > 0) {
        memcpy(buffer, roti_input_data(&stream->input), size);
        roti_input_consume(&stream->input, size);
    }
    return (ssize_t)size;
}

/* ---- read, readexactly ---- */

static ssize_t read_some(struct rota_stream *stream, void *buffer, size_t size)
{
    size_t held = roti_input_size(&stream->input);
    int ended = roti_stream_ended(stream);
    if (ended < 0)
        return ended;
    if (held > 0)
        return take(stream, buffer, held < size ? held : size);
    if (stream->eof)
        return 0;
    return received(stream, roti_io_recv(stream->io, buffer, size, 0));
}

ssize_t rota_stream_read(struct rota_stream *stream, void *buffer, size_t size)
{
    if (stream == NULL || (buffer == NULL && size > 0))
        return -EINVAL;
    if (size == 0)
        return 0;
    int r = read_begin(stream);
    if (r < 0)
        return r;
    ssize_t n = read_some(stream, buffer, size);
    read_end(stream);
    return n;
}

static ssize_t read_exactly(struct rota_stream *stream, void *buffer, size_t size)
{
    int ended = roti_stream_ended(stream);
    if (ended < 0)
        return ended;
    ssize_t n = receive_until(stream, size);
    if (n == 0)
        return ROTA_EINCOMPLETE;
    return n < 0 ? n : take(stream, buffer, size);
}

ssize_t rota_stream_readexactly(struct rota_stream *stream, void *buffer, size_t size)
{
    if (stream == NULL || (buffer == NULL && size > 0) || size > SSIZE_MAX)
        return -EINVAL;
    if (size == 0)
        return 0;
    int r = read_begin(stream);
    if (r < 0)
        return r;
    ssize_t n = read_exactly(stream, buffer, size);
    read_end(stream);
    return n;
}

/* ---- readuntil, readline ---- */

/* What is looked for, and how many bytes may come before it. */
struct search {
    const char *sep;
    size_t sep_size;
    size_t before_max;
};

/*
 * Receives until the separator is in the input: the number of bytes up to its end. 0 at the end of
 * the stream before. ROTA_ELIMIT: more than may be comes before it, *ret_found says whether it is
 * there, and then *ret_size up to its end.
 */
static ssize_t search_input(struct rota_stream *stream, const struct search *search,
                            bool *ret_found, size_t *ret_size)
{
    struct roti_input *input = &stream->input;
    size_t looked = 0; /* no separator begins before it */
    *ret_found = false;
    for (;;) {
        size_t held = roti_input_size(input);
        if (held - looked >= search->sep_size) {
            const char *data = roti_input_data(input);
            const char *found = memmem(data + looked, held - looked, search->sep, search->sep_size);
            if (found != NULL) {
                *ret_found = true;
                *ret_size = (size_t)(found - data) + search->sep_size;
                return (size_t)(found - data) <= search->before_max ? (ssize_t)*ret_size
                                                                    : ROTA_ELIMIT;
            }
            looked = held - search->sep_size + 1;
            if (looked > search->before_max)
                return ROTA_ELIMIT;
        }
        ssize_t n = receive_more(stream, search->before_max + search->sep_size);
        if (n <= 0)
            return n;
    }
}

/* The search for a separator that is to fit into `size` bytes together with what is before it. */
static struct search search_for(struct rota_stream *stream, const void *sep, size_t sep_size,
                                size_t size)
{
    size_t fits = size - sep_size;
    return (struct search){
        .sep = sep,
        .sep_size = sep_size,
        .before_max = fits < stream->read_limit ? fits : stream->read_limit,
    };
}

ssize_t rota_stream_readuntil(struct rota_stream *stream, const void *sep, size_t sep_size,
                              void *buffer, size_t size)
{
    size_t found_size;
    bool found;
    if (stream == NULL || sep == NULL || buffer == NULL || sep_size == 0 || sep_size > size ||
        sep_size > SSIZE_MAX / 2)
        return -EINVAL;
    int r = read_begin(stream);
    if (r < 0)
        return r;
    struct search search = search_for(stream, sep, sep_size, size);
    ssize_t n = roti_stream_ended(stream);
    if (n == 0)
        n = search_input(stream, &search, &found, &found_size);
    if (n > 0)
        n = take(stream, buffer, (size_t)n);
    else if (n == 0)
        n = ROTA_EINCOMPLETE;
    read_end(stream);
    return n;
}

static ssize_t read_line(struct rota_stream *stream, char *buffer, size_t size)
{
    struct search search = search_for(stream, "\n", 1, size);
    size_t found_size = 0;
    bool found;
    ssize_t n = roti_stream_ended(stream);
    if (n < 0)
        return n;
    n = search_input(stream, &search, &found, &found_size);
    if (n == ROTA_ELIMIT)
        roti_input_consume(&stream->input, found ? found_size : roti_input_size(&stream->input));
    if (n < 0)
        return n;
    size_t line_size = n > 0 ? (size_t)n : roti_input_size(&stream->input);
    ROTI_ASSERT(line_size <= size); /* the search has seen that it fits, with or without its end */
    return take(stream, buffer, line_size);
}

ssize_t rota_stream_readline(struct rota_stream *stream, char *buffer, size_t size)
{
    if (stream == NULL || buffer == NULL || size == 0)
        return -EINVAL;
    int r = read_begin(stream);
    if (r < 0)
        return r;
    ssize_t n = read_line(stream, buffer, size);
    read_end(stream);
    return n;
}

/* ---- peek, consume ---- */

static ssize_t peek(struct rota_stream *stream, const char **ret_data, size_t min)
{
    int ended = roti_stream_ended(stream);
    if (ended < 0)
        return ended;
    if (min > stream->read_limit)
        return ROTA_ELIMIT;
    ssize_t n = receive_until(stream, min);
    if (n < 0)
        return n;
    size_t held = roti_input_size(&stream->input);
    *ret_data = held > 0 ? roti_input_data(&stream->input) : "";
    return (ssize_t)held;
}

ssize_t rota_stream_peek(struct rota_stream *stream, const char **ret_data, size_t min)
{
    if (stream == NULL || ret_data == NULL)
        return -EINVAL;
    int r = read_begin(stream);
    if (r < 0)
        return r;
    ssize_t n = peek(stream, ret_data, min > 0 ? min : 1);
    read_end(stream);
    return n;
}

int rota_stream_consume(struct rota_stream *stream, size_t size)
{
    if (stream == NULL)
        return -EINVAL;
    int r = read_begin(stream);
    if (r < 0)
        return r;
    if (size > roti_input_size(&stream->input))
        r = -EINVAL;
    else if (size > 0)
        roti_input_consume(&stream->input, size);
    read_end(stream);
    return r;
}

/* ---- Questions ---- */

ssize_t rota_stream_buffered(struct rota_stream *stream)
{
    if (stream == NULL)
        return -EINVAL;
    int r = read_begin(stream);
    if (r < 0)
        return r;
    size_t held = roti_input_size(&stream->input);
    read_end(stream);
    return (ssize_t)held;
}

bool rota_stream_at_eof(struct rota_stream *stream)
{
    if (stream == NULL)
        return true;
    if (read_begin(stream) < 0)
        return false;
    bool at_eof = stream->eof && roti_input_size(&stream->input) == 0;
    read_end(stream);
    return at_eof;
}

int rota_stream_set_read_limit(struct rota_stream *stream, size_t limit)
{
    if (stream == NULL || limit == 0 || limit > SSIZE_MAX / 2)
        return -EINVAL;
    int r = read_begin(stream);
    if (r < 0)
        return r;
    stream->read_limit = limit;
    read_end(stream);
    return 0;
}
