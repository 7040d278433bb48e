/* SPDX-License-Identifier: MIT */
/*
 * stack_quarantine.c - stacks of ended tasks, wiped or kept inaccessible. See the header.
 *
 * Where guards are marks, a stack in quarantine is one great guard: the mark takes its pages away,
 * and goes with another call. Elsewhere it is protected, which costs no mapping: the guard below it
 * is part of the same one then.
 */
#include "sched/stack_quarantine.h"

#include "sched/base/alloc.h"
#include "sched/base/assert.h"
#include "sched/guard.h"
#include "sched/overflow.h"
#include "sched/pages.h"
#include "sched/stack_pool.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OWNER_SIZE 192 /* of the text about one */

struct detained {
    struct roti_stack *stack; /* NULL: nobody yet */
    char owner[OWNER_SIZE];
};

struct roti_stack_quarantine {
    pthread_mutex_t lock;
    unsigned count;
    unsigned next; /* the oldest one; under lock */
    struct detained detained[];
};

static size_t quarantine_size(unsigned count)
{
    return sizeof(struct roti_stack_quarantine) + count * sizeof(struct detained);
}

struct roti_stack_quarantine *roti_stack_quarantine_create(unsigned count)
{
    struct roti_stack_quarantine *quarantine = roti_zalloc(quarantine_size(count));
    if (quarantine == NULL)
        return NULL;
    pthread_mutex_init(&quarantine->lock, NULL);
    quarantine->count = count;
    return quarantine;
}

/* ---- Access ---- */

static int make_inaccessible(struct roti_stack *stack)
{
    struct iovec all = {stack->low, stack->size};
    if (roti_guard_kind() == ROTI_GUARD_MARKER)
        return roti_pages_advise(&all, 1, ROTI_ADVICE_GUARD);
    int r = roti_pages_protect(stack->low, stack->size, PROT_NONE);
    if (r == 0)
        (void)roti_pages_advise(&all, 1, MADV_DONTNEED);
    return r;
}

static int make_accessible(struct roti_stack *stack)
{
    struct iovec all = {stack->low, stack->size};
    if (roti_guard_kind() == ROTI_GUARD_MARKER)
        return roti_pages_advise(&all, 1, ROTI_ADVICE_UNGUARD);
    return roti_pages_protect(stack->low, stack->size, PROT_READ | PROT_WRITE);
}

/* ---- In and out ---- */

/* Lets the oldest one go. NULL: there is room anyway. False: the kernel does not let it go. */
static bool release(struct detained *detained, struct roti_stack **ret_stack)
{
    struct roti_stack *stack = detained->stack;
    if (stack != NULL) {
        if (make_accessible(stack) < 0)
            return false;
        stack->quarantined = false;
        stack->owner = NULL;
        stack->warm = false; /* its pages went when it came */
        stack->used = false;
    }
    detained->stack = NULL;
    *ret_stack = stack;
    return true;
}

/* Puts a stack where there is room. False: the kernel refuses. */
static bool enter(struct detained *detained, struct roti_stack *stack)
{
    roti_overflow_describe(stack, detained->owner, sizeof detained->owner);
    if (make_inaccessible(stack) < 0)
        return false;
    stack->owner = detained;
    stack->quarantined = true;
    detained->stack = stack;
    return true;
}

struct roti_stack *roti_stack_detain(struct roti_stack_quarantine *quarantine,
                                     struct roti_stack *stack)
{
    struct roti_stack *freed = stack;
    bool entered = false;
    /* Before it is let go: by and by another thread takes it out again, for a task. */
    roti_notes_stack_unused(&stack->notes, stack->low, stack->size);
    pthread_mutex_lock(&quarantine->lock);
    struct detained *detained = &quarantine->detained[quarantine->next];
    if (release(detained, &freed)) {
        quarantine->next = (quarantine->next + 1) % quarantine->count;
        entered = enter(detained, stack);
    }
    pthread_mutex_unlock(&quarantine->lock);
    if (entered)
        return freed;
    stack->owner = NULL;
    if (freed != NULL && freed != stack) {
        struct roti_list single;
        roti_list_init(&single);
        roti_list_push_back(&single, &freed->node);
        roti_stack_pool_give(freed->class_index, &single);
    }
    return stack;
}

const char *roti_stack_detained(const struct roti_stack *stack)
{
    return stack->quarantined ? ((const struct detained *)stack->owner)->owner : NULL;
}

void roti_stack_quarantine_free(struct roti_stack_quarantine *quarantine)
{
    if (quarantine == NULL)
        return;
    for (unsigned i = 0; i < quarantine->count; i++) {
        struct roti_stack *freed = NULL;
        struct roti_list single;
        roti_list_init(&single);
        if (!release(&quarantine->detained[i], &freed)) {
            /* It is lost to the pool, and its slab stays mapped. */
            quarantine->detained[i].stack->quarantined = false;
            quarantine->detained[i].stack->owner = NULL;
        }
        if (freed == NULL)
            continue;
        roti_list_push_back(&single, &freed->node);
        roti_stack_pool_give(freed->class_index, &single);
    }
    pthread_mutex_destroy(&quarantine->lock);
    roti_free(quarantine, quarantine_size(quarantine->count));
}

/* ---- Wiping ---- */

/* What a task without deep calls has touched is one page, and is overwritten; the kernel gives the
 * pages below anew. */
void roti_stack_wipe(struct roti_stack *stack)
{
    size_t top_size = (size_t)sysconf(_SC_PAGESIZE);
    size_t below_size = stack->size > top_size ? stack->size - top_size : 0;
    struct iovec below = {stack->low, below_size};
    if (below_size > 0 && roti_pages_advise(&below, 1, MADV_DONTNEED) < 0)
        explicit_bzero(stack->low, below_size);
    explicit_bzero(stack->low + below_size, stack->size - below_size);
}
