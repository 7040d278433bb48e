/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - what the fuzz targets share: their entry, reading an input, failing.
 *
 * A target decodes its input front to back. Where the input has ended it reads zeros, so that every
 * string of bytes is an input, and a prefix of one is a smaller case of it.
 */
#ifndef ROTI_TESTS_FUZZ_H
#define ROTI_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What libFuzzer, and replay.c, call with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_input {
    const uint8_t *data;
    size_t size;
};

static inline uint8_t fuzz_byte(struct fuzz_input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

/* `count` bytes as a number, the lowest first. */
static inline uint64_t fuzz_number(struct fuzz_input *input, unsigned count)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < count; i++)
        number |= (uint64_t)fuzz_byte(input) << (8 * i);
    return number;
}

/* One of 0 .. count-1; of one byte where that is enough. */
static inline uint32_t fuzz_below(struct fuzz_input *input, uint32_t count)
{
    return (uint32_t)(fuzz_number(input, count <= 256 ? 1 : 4) % count);
}

/* Ends the process, so that the input counts as a crash. */
__attribute__((noreturn)) static inline void fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

#define FUZZ_ASSERT(expression)                                                                    \
    ((expression) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #expression))

#ifdef __cplusplus
}
#endif

#endif
