/* SPDX-License-Identifier: MIT */
/*
 * hoisting.h - programs that read what is the thread's before and after they move (H23, H24).
 *
 * Built by the campaign `hoisting` with each compiler and many flags. Each way to reach a number of
 * the thread's own is tried in forms in which a compiler would like to keep an address over a call;
 * the call moves the fiber to another thread.
 */
#ifndef ROTA_TESTS_HOISTING_H
#define ROTA_TESTS_HOISTING_H

/* What the naive ways read: a thread-local object of a program. */
struct hoisting_object {
    int unused[16];
    int number;
};
extern _Thread_local struct hoisting_object hoisting_object;

/* The object of the calling thread, by a function of another file: enough, but for LTO. */
struct hoisting_object *hoisting_object_elsewhere(void);

/* A thread, and what its number is. */
struct hoisting_place {
    int number;
};

/* Goes on on another thread, and returns its place. */
struct hoisting_place *hoisting_move(void);

/* One way in one form: moves often, and returns how many of its `count` reads were wrong. */
struct hoisting_probe {
    const char *way;
    const char *form;
    int (*run)(struct hoisting_place *place, int *count);
    void (*set)(int number); /* what a thread does to have its number; called by that thread */
};
extern const struct hoisting_probe hoisting_probes[];
extern const int hoisting_probe_count;

/* Runs all probes and prints a line for each: way, form, reads, wrong ones. */
int hoisting_run(void);

#endif
