/* SPDX-License-Identifier: MIT */
/*
 * plain_heap.h - a heap of four children a node, for baselines: what most loops keep timers in.
 */
#ifndef ROTI_BENCH_PLAIN_HEAP_H
#define ROTI_BENCH_PLAIN_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct plain_timer {
    int64_t when_ns;
    size_t index; /* in the heap */
    int (*fn)(void *arg);
    void *arg;
};

/* The deadline stands beside the pointer, so that sifting reads no timer but the one it moves. */
struct plain_entry {
    int64_t when_ns;
    struct plain_timer *timer;
};

struct plain_heap {
    struct plain_entry *entries; /* room for as many as are ever added */
    size_t count;
};

void plain_heap_add(struct plain_heap *heap, struct plain_timer *timer);
void plain_heap_remove(struct plain_heap *heap, struct plain_timer *timer);

#endif
