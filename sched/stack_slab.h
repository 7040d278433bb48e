/* SPDX-License-Identifier: MIT */
/*
 * stack_slab.h - mappings of many stacks, and the look-up of a stack by address.
 *
 * A slab maps stacks of one class: guard, body, guard, body. Reserving address space without swap
 * accounting makes a slab cheap; huge pages are off, since one would back eight parked stacks in
 * full. Stacks are carved from it one by one, when they are first used: the record of one that
 * nobody has used was never written.
 *
 * All slabs are in one list, through which a signal handler finds the stack of an address. It is
 * changed under the pool's lock and read without; a reader is counted, and a slab that was unlinked
 * is unmapped only once the count has been zero.
 */
#ifndef ROTI_STACK_SLAB_H
#define ROTI_STACK_SLAB_H

#include "sched/base/atomic.h"
#include "sched/stack.h"

/* One mapping of stacks of one class. */
struct roti_slab {
    _Atomic(struct roti_slab *) next; /* changed under the pool's lock, read by any thread */
    char *base;
    size_t size;       /* of the mapping */
    size_t stride;     /* guard and body */
    size_t guard_size; /* below each body */
    unsigned stack_count;
    unsigned class_index;
    unsigned carved_count;     /* under the pool's lock; stacks from there on are untouched */
    unsigned free_count;       /* the same; in the pool, those not carved among them */
    unsigned guarded_count;    /* the same */
    struct roti_slab *fresh;   /* the same; the next one of the class that is not all carved */
    struct roti_slab *drained; /* the next one to be unmapped, once unlinked */
    struct roti_stack stacks[];
};

#ifdef __cplusplus
extern "C" {
#endif

/* Maps a slab that nobody can find yet; NULL: no memory, or no address space. */
struct roti_slab *roti_slab_create(unsigned class_index, unsigned stack_count);

/* How many stacks the least slab of a class has. */
unsigned roti_slab_count_min(unsigned class_index);

/* The same of the greatest. */
unsigned roti_slab_count_max(unsigned class_index);

/* Makes a slab one that look-ups find. Under the pool's lock. */
void roti_slab_publish(struct roti_slab *slab);

/* Describes the next stack of a slab that has one left. Under the pool's lock. */
struct roti_stack *roti_slab_carve(struct roti_slab *slab);

/* Unlinks each slab for which may() is true; a list of them, by `drained`. Under the lock. */
struct roti_slab *roti_slabs_unlink(bool (*may)(struct roti_slab *slab));

/* Unmaps a list of unlinked slabs, once nobody looks at them any more. Without the lock. */
void roti_slabs_destroy(struct roti_slab *drained);

/* In the child of a fork: no slab is ever unmapped. */
void roti_slabs_forked(void);

#ifdef __cplusplus
}
#endif

#endif
