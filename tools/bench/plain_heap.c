/* SPDX-License-Identifier: MIT */
/*
 * plain_heap.c - adding to a heap of four children a node, and removing from its middle.
 */
#include "tools/bench/plain_heap.h"

#define WIDTH 4

static void put(struct plain_heap *heap, size_t index, struct plain_entry entry)
{
    heap->entries[index] = entry;
    entry.timer->index = index;
}

static void sift_up(struct plain_heap *heap, size_t index, struct plain_entry entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / WIDTH;
        if (heap->entries[parent].when_ns <= entry.when_ns)
            break;
        put(heap, index, heap->entries[parent]);
        index = parent;
    }
    put(heap, index, entry);
}

static void sift_down(struct plain_heap *heap, size_t index, struct plain_entry entry)
{
    for (;;) {
        size_t first = index * WIDTH + 1;
        size_t end = first + WIDTH < heap->count ? first + WIDTH : heap->count;
        size_t least = first;
        for (size_t child = first + 1; child < end; child++)
            if (heap->entries[child].when_ns < heap->entries[least].when_ns)
                least = child;
        if (first >= end || heap->entries[least].when_ns >= entry.when_ns)
            break;
        put(heap, index, heap->entries[least]);
        index = least;
    }
    put(heap, index, entry);
}

void plain_heap_add(struct plain_heap *heap, struct plain_timer *timer)
{
    sift_up(heap, heap->count++, (struct plain_entry){timer->when_ns, timer});
}

void plain_heap_remove(struct plain_heap *heap, struct plain_timer *timer)
{
    size_t index = timer->index;
    struct plain_entry last = heap->entries[--heap->count];
    if (last.timer == timer)
        return;
    if (index > 0 && heap->entries[(index - 1) / WIDTH].when_ns > last.when_ns)
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
}
