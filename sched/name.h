/* SPDX-License-Identifier: MIT */
/*
 * name.h - names of tasks: each distinct text once, with a number, in a table that never shrinks.
 *
 * Problem.    Most named tasks share a few names ("connection", "flusher"), and a copy on the heap
 *             for each task is the dearest part of its spawn. Figures by name need a small number
 *             for each name, and memory that does not grow with what programs make up.
 * Design.     A table of ROTI_NAME_COUNT texts of ROTA_TASK_NAME_SIZE bytes, padded with zeros. It
 *             is found through an index of twice as many places, open addressing, which is read
 *             without a lock. A text that is new is added under a lock; nothing is ever taken out,
 *             so that a pointer to a text and its number stay good for the life of the process.
 *             When the table is full, a name is a copy on the heap as before, and its number is
 *             ROTI_NAME_OTHER. Whether a text is in the table is seen from its address alone.
 * Rejected.   References to table entries, so that names which went out of use made room: a
 *             read-modify-write on a line that all loops share, at each spawn and each end of a
 *             task. Programs that number their tasks would still fill the table.
 * Invariants. I1 A text of the table never changes once its place in the index is stored.
 *             I2 No text is in the table twice.
 * Threads.    any
 */
#ifndef ROTI_NAME_H
#define ROTI_NAME_H

#include <rota/task.h>

#include "sched/base/atomic.h"

#ifndef ROTI_NAME_COUNT
#if ROTI_SMALL
#define ROTI_NAME_COUNT 8
#else
#define ROTI_NAME_COUNT 256
#endif
#endif

/* The first numbers. Their texts are in the table from the start: what a program calls by one of
 * them has the same number. */
enum {
    ROTI_NAME_UNNAMED,  /* tasks that were given no name */
    ROTI_NAME_OTHER,    /* names that found the table full */
    ROTI_NAME_CALLBACK, /* what is not a task */
    ROTI_NAME_FIRST,    /* of programs' names */
};

#ifdef __cplusplus
extern "C" {
#endif

/* The text of a name, cut to size: of the table, or a copy on the heap. 0 or -ENOMEM. */
int roti_name_get(const char *name, char **ret_text);

/* Frees what is a copy; NULL is ignored. */
void roti_name_put(char *text);

/* The number of such a text; NULL: ROTI_NAME_UNNAMED. Looks at the address only, so the text may
 * have been freed since it was read from a task. */
unsigned roti_name_number(const char *text);

/* How many numbers there are. Only grows, up to ROTI_NAME_COUNT. */
unsigned roti_name_count(void);

/* The text of a number below that. */
const char *roti_name_text(unsigned number);

/* In the child of a fork, on its only thread, where no task is: the table is as at the start. */
void roti_names_forget(void);

#ifdef __cplusplus
}
#endif

#endif
