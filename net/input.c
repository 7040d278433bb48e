/* SPDX-License-Identifier: MIT */
/*
 * input.c - bytes that were received and not yet read.
 */
#include "net/input.h"

#include "loop/io.h"
#include "loop/lent.h"
#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/base/atomic.h"

#include <errno.h>
#include <string.h>

/* Gives the block back to where it came from. A block of the lent size is a lent one. */
static void give_back(char *data, size_t capacity)
{
    struct roti_lent lent = {.data = data, .capacity = capacity};
    if (capacity == ROTI_LENT_SIZE)
        roti_lent_return(&lent);
    else
        roti_free(data, capacity);
}

void roti_input_clear(struct roti_input *input)
{
    if (input->data != NULL)
        give_back(input->data, input->capacity);
    *input = (struct roti_input){0};
}

void roti_input_consume(struct roti_input *input, size_t size)
{
    ROTI_PLAIN_WRITE(input);
    ROTI_ASSERT(size <= roti_input_size(input));
    input->start += size;
    if (input->start == input->end)
        roti_input_clear(input);
}

/* Moves the bytes to a larger block: twice as large, but no larger than `want` asks for. */
static int grow(struct roti_input *input, size_t want)
{
    size_t size = roti_input_size(input);
    size_t capacity = want / 2 > input->capacity ? input->capacity * 2 : want;
    ROTI_ASSERT(capacity > ROTI_LENT_SIZE && capacity > size);
    char *data = roti_alloc(capacity);
    if (data == NULL)
        return -ENOMEM;
    memcpy(data, roti_input_data(input), size);
    give_back(input->data, input->capacity);
    *input = (struct roti_input){.data = data, .end = size, .capacity = capacity};
    return 0;
}

/* Makes room for at least one more byte of the `want` that shall lie in one piece. */
static int make_room(struct roti_input *input, size_t want)
{
    size_t size = roti_input_size(input);
    if (input->end < input->capacity)
        return 0;
    if (size == input->capacity || want > input->capacity)
        return grow(input, want);
    memmove(input->data, roti_input_data(input), size);
    input->start = 0;
    input->end = size;
    return 0;
}

ssize_t roti_input_receive(struct roti_input *input, struct roti_io *io, size_t want)
{
    ssize_t n;
    ROTI_PLAIN_WRITE(input);
    ROTI_ASSERT(roti_input_size(input) < want);
    if (input->data == NULL) {
        struct roti_lent lent = {0};
        n = roti_io_recv_lent(io, &lent);
        if (n > 0)
            *input =
                (struct roti_input){.data = lent.data, .end = lent.size, .capacity = lent.capacity};
        return n;
    }
    int r = make_room(input, want);
    if (r < 0)
        return r;
    n = roti_io_recv(io, input->data + input->end, input->capacity - input->end, 0);
    if (n > 0)
        input->end += (size_t)n;
    return n;
}
