/* SPDX-License-Identifier: MIT */
/*
 * lines.c - a file that is read line by line. See the header.
 */
#include "loop/lines.h"

#include "loop/syscall.h"

#include <string.h>

bool roti_lines_open(struct roti_lines *lines, const char *path, char *buffer, size_t size)
{
    *lines = (struct roti_lines){.fd = roti_sys_open_file(path), .buffer = buffer, .size = size};
    return lines->fd >= 0;
}

/* Moves what is left to the front, which leaves room, and reads on behind it. False: the end. */
static bool fill(struct roti_lines *lines)
{
    memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
    lines->end -= lines->begin;
    lines->begin = 0;
    ssize_t count = -1;
    if (lines->total < ROTI_LINES_TEXT_MAX)
        count = roti_sys_read_file(lines->fd, lines->buffer + lines->end, lines->size - lines->end);
    if (count <= 0)
        return false;
    lines->end += (size_t)count;
    lines->total += (size_t)count;
    return true;
}

char *roti_lines_next(struct roti_lines *lines)
{
    bool fits = true;
    for (;;) {
        char *begin = lines->buffer + lines->begin;
        size_t length = lines->end - lines->begin;
        char *newline = memchr(begin, '\n', length);
        if (newline != NULL) {
            lines->begin += (size_t)(newline - begin) + 1;
            *newline = '\0';
            if (fits && strlen(begin) == (size_t)(newline - begin))
                return begin;
            fits = true;
            continue;
        }
        if (length == lines->size) {
            fits = false;
            lines->begin = lines->end;
        }
        if (!fill(lines))
            return NULL;
    }
}

void roti_lines_close(const struct roti_lines *lines)
{
    roti_sys_close(lines->fd);
}
