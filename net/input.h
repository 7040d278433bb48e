/* SPDX-License-Identifier: MIT */
/*
 * input.h - bytes that were received and not yet read: one block of memory, or none.
 *
 * The first block is lent by the poller, once there is something to receive. What needs more than
 * it holds (a long line, a large record) moves to memory of its own. With the last byte read the
 * memory goes back.
 *
 * Threads. Whoever reads the stream.
 */
#ifndef ROTI_INPUT_H
#define ROTI_INPUT_H

#include <stddef.h>
#include <sys/types.h>

struct roti_io;

struct roti_input {
    char *data; /* NULL: empty */
    size_t start;
    size_t end;
    size_t capacity;
};

#ifdef __cplusplus
extern "C" {
#endif

static inline size_t roti_input_size(const struct roti_input *input)
{
    return input->end - input->start;
}

static inline const char *roti_input_data(const struct roti_input *input)
{
    return input->data + input->start;
}

/*
 * Receives once, so that up to `want` bytes in one piece are there; what there is must be less.
 * Suspends. The number of bytes that came, 0 at the end of the stream, -ENOMEM, or as
 * roti_io_recv(). What was there stays.
 */
ssize_t roti_input_receive(struct roti_input *input, struct roti_io *io, size_t want);

/* Drops the first `size` bytes, which are there. */
void roti_input_consume(struct roti_input *input, size_t size);

/* Drops all. */
void roti_input_clear(struct roti_input *input);

#ifdef __cplusplus
}
#endif

#endif
