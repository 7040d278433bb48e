/* SPDX-License-Identifier: MIT */
/*
 * lines.h - a file that is read line by line into a buffer of the caller.
 *
 * Bounded in memory and time: a line that is longer than the buffer is passed over, and of a file
 * without an end only the first megabytes are read. So are lines that hold a zero byte, and a last
 * one without a newline, which may be cut off.
 */
#ifndef ROTI_LINES_H
#define ROTI_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define ROTI_LINES_TEXT_MAX ((size_t)16 << 20) /* bytes of a file that are read */

struct roti_lines {
    int fd;
    char *buffer;
    size_t size;
    size_t begin; /* of what is not looked at yet */
    size_t end;
    size_t total; /* read so far */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Opens the file. `path` may be in `buffer`, which is the lines' until the close. */
bool roti_lines_open(struct roti_lines *lines, const char *path, char *buffer, size_t size);

/* The next line, without its newline; the caller may write to it until the next call. NULL: the
 * end, or a failure. */
char *roti_lines_next(struct roti_lines *lines);

void roti_lines_close(const struct roti_lines *lines);

#ifdef __cplusplus
}
#endif

#endif
