/* SPDX-License-Identifier: MIT */
/*
 * wheel.c - the timing wheel: adding and cancelling in constant time, firing in exact order.
 *
 * Problem. Nearly all timers of a server are timeouts, and nearly all timeouts are cancelled. So
 * adding and removing must cost a few nanoseconds, and order matters only for the few that get
 * as far as firing; but for those it is exact: by deadline in nanoseconds, ties first come first
 * served, never early.
 *
 * Design. Time is cut into ticks of 2^10 ns, and a tick is written as nine digits of six bits.
 * A timer belongs to the level of the highest digit in which its tick differs from the `current`
 * tick, and in that level to the slot of its own digit:
 *
 *     level   one slot   the whole level
 *       0       1.0 us     65.5 us
 *       1      65.5 us      4.2 ms
 *       2       4.2 ms      268 ms
 *       3       268 ms      17.2 s
 *       4       17.2 s      18.3 min
 *       5     18.3 min      19.5 h
 *       6       19.5 h      52 days
 *       7      52 days      9.1 years
 *       8    9.1 years      292 years, which is all of int64_t
 *
 * Digits above a timer's level are those of `current`, so slots never wrap around: a level is an
 * array to be read from left to right, lower levels lie wholly before higher ones, and the
 * earliest slot is the lowest bit of the first non-zero occupancy word. When time reaches a slot,
 * `current` becomes the slot's first tick and its timers find their places anew, each at least
 * one level lower (the cascade). Empty slots are never visited, however far the clock has jumped.
 *
 * A slot is not sorted. What arrives at the current tick (or was late from the start) goes to the
 * front, which is ordered by (deadline, sequence): to the end of the list `run` if it belongs
 * there, which is so for timers of one deadline, else into a pairing heap. What fires next is the
 * earlier of the run's head and the heap's root. So only timers that are about to fire pay for
 * order, and a slot of 10^5 costs at worst n log n, in whatever order they came.
 *
 * So short a tick. A million timers a second are one in a slot, and the heap has nothing to do:
 * order comes from the slots, as in a radix sort. A longer tick saves a level, and has a heap of
 * hundreds instead.
 *
 * Memory. The nodes of a slot lie anywhere, and a list tells one address at a time: each step is a
 * miss of the caches, one after the other. So a node in a slot holds the address of one that comes
 * some places later, written when that one is added, and the cascade asks for it in advance; it
 * waits for several lines at once. It is a hint and never followed: the node may be gone.
 *
 * Large cascades. A coarse slot may hold every idle connection's timeout. Moving a million nodes
 * at once would hold the timer lock for milliseconds, so a slot is first spliced to the `cascade`
 * list, and each call moves a bounded share of it. Until it is empty nothing fires, since what is
 * left may come first. Its nodes are not visited to say that they have moved: to be removed, a
 * node of the cascade is the last of a slot that is empty anyway (until `current` has left that
 * slot, [I1] sends nobody there).
 *
 * Sleeping. roti_wheel_next_deadline() is exact where the earliest slot is small and a lower
 * bound where it is large, and the bound is kept: additions lower it, and only the removal of the
 * timer it stands for, or of the earliest slot's last, makes it unknown. So parking costs no
 * walk, and an idle loop with few timers does not wake in order to cascade.
 *
 * The shelf. Whoever helps a loop that does not turn fires what it may and lays the rest aside, as
 * it comes. The owner's next call puts that back first: each node has kept its deadline and
 * sequence, so that the order is as if nobody had looked.
 *
 * Rejected. One heap for all: 99-135 ns per timer created and cancelled at 10^6, by cache misses.
 * A wheel that fires by slots: late by up to a tick, or early. Cancelling lazily, by a flag:
 * memory is held until the deadline. Sorting a slot's list once, then inserting: quadratic when
 * many late timers are added in descending order.
 *
 * Invariants.
 *   I1  A node in slot[l][i] has a tick whose digit l is i and greater than digit l of `current`,
 *       and whose higher digits are those of `current`.
 *   I2  Every node in the front has a tick <= `current`; so it comes before every slot.
 *   I3  Bit i of occupied[l] is set if and only if slot[l][i] is not empty.
 *   I4  bound_ns is unknown, or not later than any deadline in a slot.
 *   I5  `current` is never later than the tick of `now_ns`: nothing is placed ahead of time.
 *   I6  A node that leaves the wheel by expiry has deadline_ns <= now_ns.
 *
 * Threads. The caller holds the lock of the loop's timers throughout each call.
 */
#include "loop/wheel.h"

#include <assert.h>

#include "sched/base/assert.h"
#include "sched/base/atomic.h"

#define SLOT_MASK (ROTI_WHEEL_SLOT_COUNT - 1)
#define BOUND_UNKNOWN INT64_MIN

/* A node of a slot holds a hint where the node is that comes so many later. */
#define AHEAD_COUNT 3

#define LINE_SIZE 64

static_assert(ROTI_WHEEL_TICK_BITS + ROTI_WHEEL_LEVEL_COUNT * ROTI_WHEEL_DIGIT_BITS >= 63,
              "every deadline has a level");
static_assert(ROTI_WHEEL_SLOT_COUNT == 64, "a level's occupancy is one word");

static int64_t tick_of(int64_t instant_ns)
{
    return instant_ns >> ROTI_WHEEL_TICK_BITS;
}

static unsigned digit_of(int64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * ROTI_WHEEL_DIGIT_BITS)) & SLOT_MASK;
}

/* ---- A pairing heap by (deadline, sequence) ---- */

static bool comes_before(const struct roti_wheel_node *a, const struct roti_wheel_node *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->sequence < b->sequence;
}

/* Two roots become one: the later of them is the first child of the other. */
static struct roti_wheel_node *heap_meld(struct roti_wheel_node *a, struct roti_wheel_node *b)
{
    if (comes_before(b, a)) {
        struct roti_wheel_node *earlier = b;
        b = a;
        a = earlier;
    }
    b->tree.prev = a;
    b->tree.next = a->tree.child;
    if (b->tree.next != NULL)
        b->tree.next->tree.prev = b;
    a->tree.child = b;
    return a;
}

/* A list of siblings becomes one tree: in pairs from the left, then all from the right. */
static struct roti_wheel_node *heap_meld_siblings(struct roti_wheel_node *first)
{
    struct roti_wheel_node *pairs = NULL; /* the last pair first, linked by tree.next */
    while (first != NULL) {
        struct roti_wheel_node *pair = first;
        struct roti_wheel_node *second = first->tree.next;
        first = second != NULL ? second->tree.next : NULL;
        if (second != NULL)
            pair = heap_meld(pair, second);
        pair->tree.next = pairs;
        pairs = pair;
    }
    struct roti_wheel_node *root = pairs;
    if (root == NULL)
        return NULL;
    pairs = root->tree.next;
    while (pairs != NULL) {
        struct roti_wheel_node *rest = pairs->tree.next;
        root = heap_meld(root, pairs);
        pairs = rest;
    }
    root->tree.next = NULL;
    root->tree.prev = NULL;
    return root;
}

static void heap_remove(struct roti_wheel *wheel, struct roti_wheel_node *node)
{
    struct roti_wheel_node *subtree = heap_meld_siblings(node->tree.child);
    if (node == wheel->heap) {
        wheel->heap = subtree;
        return;
    }
    if (node->tree.prev->tree.child == node)
        node->tree.prev->tree.child = node->tree.next;
    else
        node->tree.prev->tree.next = node->tree.next;
    if (node->tree.next != NULL)
        node->tree.next->tree.prev = node->tree.prev;
    if (subtree != NULL)
        wheel->heap = heap_meld(wheel->heap, subtree);
}

/* ---- The front: those whose tick has come ---- */

static struct roti_wheel_node *node_of(struct roti_list *link)
{
    return roti_container_of(link, struct roti_wheel_node, links);
}

static void front_push(struct roti_wheel *wheel, struct roti_wheel_node *node)
{
    if (roti_list_empty(&wheel->run) || comes_before(node_of(wheel->run.prev), node)) {
        node->place = ROTI_WHEEL_RUN;
        roti_list_push_back(&wheel->run, &node->links);
        return;
    }
    node->place = ROTI_WHEEL_HEAP;
    node->tree = (struct roti_wheel_tree){0};
    wheel->heap = wheel->heap != NULL ? heap_meld(wheel->heap, node) : node;
}

/* The node that fires next of all in the wheel; NULL if the front is empty. */
static struct roti_wheel_node *front_first(const struct roti_wheel *wheel)
{
    if (roti_list_empty(&wheel->run))
        return wheel->heap;
    struct roti_wheel_node *node = node_of(wheel->run.next);
    return wheel->heap != NULL && comes_before(wheel->heap, node) ? wheel->heap : node;
}

/* ---- The slots ---- */

/* A slot, and the instant at which it begins. */
struct slot_position {
    unsigned level;
    unsigned index;
    int64_t start_ns;
};

/* [I1] The earliest slot that is not empty; false if all are. */
static bool slots_first(const struct roti_wheel *wheel, struct slot_position *ret_position)
{
    for (unsigned level = 0; level < ROTI_WHEEL_LEVEL_COUNT; level++) {
        if (wheel->occupied[level] == 0)
            continue;
        unsigned index = (unsigned)__builtin_ctzll(wheel->occupied[level]);
        unsigned shift = level * ROTI_WHEEL_DIGIT_BITS;
        int64_t above = wheel->current >> (shift + ROTI_WHEEL_DIGIT_BITS);
        int64_t tick = ((above << ROTI_WHEEL_DIGIT_BITS) | (int64_t)index) << shift;
        ROTI_ASSERT(tick > wheel->current);
        *ret_position = (struct slot_position){level, index, tick << ROTI_WHEEL_TICK_BITS};
        return true;
    }
    return false;
}

/* Links a node as the last of a slot, and tells the one that is AHEAD_COUNT before it. */
static void slot_push(struct roti_list *slot, struct roti_wheel_node *node)
{
    struct roti_list *link = slot->prev;
    for (int i = 1; i < AHEAD_COUNT && link != slot; i++)
        link = link->prev;
    if (link != slot)
        node_of(link)->ahead = node;
    node->ahead = node; /* until it is told */
    roti_list_push_back(slot, &node->links);
}

/* Asks for what is touched soon: the node that is to be moved a little later, which may be gone by
 * now, as it is a hint; and the line before this one, where what embeds it has its first fields. */
static void prefetch_for_cascade(const struct roti_wheel_node *node)
{
    roti_prefetch_write(node->ahead);
    roti_prefetch_write((const char *)node - LINE_SIZE);
}

/* Links a node, whose deadline is set and not INT64_MAX, where `current` says it belongs. */
static void place_node(struct roti_wheel *wheel, struct roti_wheel_node *node)
{
    int64_t tick = tick_of(node->deadline_ns);
    if (tick <= wheel->current) {
        front_push(wheel, node); /* [I2] */
        return;
    }
    unsigned high_bit = 63u - (unsigned)__builtin_clzll((uint64_t)(tick ^ wheel->current));
    unsigned level = high_bit / ROTI_WHEEL_DIGIT_BITS;
    unsigned index = digit_of(tick, level);
    ROTI_DEBUG_ASSERT(index > digit_of(wheel->current, level)); /* [I1] */
    node->place = ROTI_WHEEL_SLOT;
    node->level = (uint8_t)level;
    node->index = (uint8_t)index;
    slot_push(&wheel->slot[level][index], node);
    wheel->occupied[level] |= UINT64_C(1) << index; /* [I3] */
    if (node->deadline_ns < wheel->bound_ns)        /* [I4], and false while it is unknown */
        wheel->bound_ns = node->deadline_ns;
}

static void slot_remove(struct roti_wheel *wheel, struct roti_wheel_node *node)
{
    roti_list_remove(&node->links);
    if (node->deadline_ns == wheel->bound_ns)
        wheel->bound_ns = BOUND_UNKNOWN;
    if (!roti_list_empty(&wheel->slot[node->level][node->index]))
        return;
    wheel->occupied[node->level] &= ~(UINT64_C(1) << node->index); /* [I3] */
    /* The bound lies in the earliest slot. Was it this one, which is empty now? */
    int bits = ROTI_WHEEL_TICK_BITS + node->level * ROTI_WHEEL_DIGIT_BITS;
    if (node->deadline_ns >> bits <= wheel->bound_ns >> bits)
        wheel->bound_ns = BOUND_UNKNOWN;
}

/* Time has reached a slot: it becomes current, and its timers are about to move down. */
static void slot_open(struct roti_wheel *wheel, const struct slot_position *position)
{
    struct roti_list *slot = &wheel->slot[position->level][position->index];
    ROTI_ASSERT(!roti_list_empty(slot) && roti_list_empty(&wheel->cascade)); /* [I3] */
    wheel->cascade = *slot;
    wheel->cascade.next->prev = &wheel->cascade;
    wheel->cascade.prev->next = &wheel->cascade;
    roti_list_init(slot);
    wheel->occupied[position->level] &= ~(UINT64_C(1) << position->index);
    wheel->current = tick_of(position->start_ns);
    wheel->bound_ns = BOUND_UNKNOWN;
}

/* What roti_wheel_next_deadline() says of the slots: exact for a small slot, else its start. */
static int64_t slots_bound(const struct roti_wheel *wheel)
{
    struct slot_position first;
    if (!slots_first(wheel, &first))
        return INT64_MAX;
    const struct roti_list *slot = &wheel->slot[first.level][first.index];
    int64_t earliest_ns = INT64_MAX;
    int seen_count = 0;
    for (struct roti_list *link = slot->next; link != slot; link = link->next) {
        if (++seen_count > ROTI_WHEEL_SCAN_MAX)
            return first.start_ns;
        int64_t deadline_ns = node_of(link)->deadline_ns;
        if (deadline_ns < earliest_ns)
            earliest_ns = deadline_ns;
    }
    return earliest_ns;
}

/* ---- The wheel ---- */

void roti_wheel_init(struct roti_wheel *wheel, int64_t now_ns)
{
    ROTI_ASSERT(now_ns >= 0);
    *wheel = (struct roti_wheel){
        .now_ns = now_ns,
        .current = tick_of(now_ns),
        .bound_ns = INT64_MAX,
    };
    roti_list_init(&wheel->run);
    roti_list_init(&wheel->cascade);
    roti_list_init(&wheel->never);
    roti_list_init(&wheel->shelf);
    for (unsigned level = 0; level < ROTI_WHEEL_LEVEL_COUNT; level++)
        for (unsigned index = 0; index < ROTI_WHEEL_SLOT_COUNT; index++)
            roti_list_init(&wheel->slot[level][index]);
}

void roti_wheel_add(struct roti_wheel *wheel, struct roti_wheel_node *node, int64_t deadline_ns)
{
    ROTI_ASSERT(node->place == ROTI_WHEEL_OUT);
    node->deadline_ns = deadline_ns;
    node->sequence = wheel->sequence++;
    wheel->count++;
    if (deadline_ns == INT64_MAX) {
        node->place = ROTI_WHEEL_NEVER;
        roti_list_push_back(&wheel->never, &node->links);
    } else {
        place_node(wheel, node);
    }
}

bool roti_wheel_remove(struct roti_wheel *wheel, struct roti_wheel_node *node)
{
    switch ((enum roti_wheel_place)node->place) {
    case ROTI_WHEEL_OUT:
        return false;
    case ROTI_WHEEL_HEAP:
        heap_remove(wheel, node);
        break;
    case ROTI_WHEEL_SLOT:
        slot_remove(wheel, node);
        break;
    case ROTI_WHEEL_RUN:
    case ROTI_WHEEL_NEVER:
    case ROTI_WHEEL_SHELF:
        roti_list_remove(&node->links);
        break;
    }
    node->place = ROTI_WHEEL_OUT;
    wheel->count--;
    return true;
}

int64_t roti_wheel_next_deadline(struct roti_wheel *wheel)
{
    if (!roti_list_empty(&wheel->cascade) || !roti_list_empty(&wheel->shelf))
        return wheel->now_ns;
    const struct roti_wheel_node *first = front_first(wheel);
    if (first != NULL)
        return first->deadline_ns; /* [I2] */
    if (wheel->bound_ns == BOUND_UNKNOWN)
        wheel->bound_ns = slots_bound(wheel);
    return wheel->bound_ns;
}

struct roti_wheel_node *roti_wheel_expire(struct roti_wheel *wheel, int64_t now_ns)
{
    if (now_ns > wheel->now_ns)
        wheel->now_ns = now_ns;
    for (unsigned moved_count = 0;;) {
        struct roti_list *link;
        while ((link = roti_list_pop_front(&wheel->cascade)) != NULL) {
            prefetch_for_cascade(node_of(link));
            place_node(wheel, node_of(link));
            if (++moved_count == ROTI_WHEEL_CASCADE_MAX && !roti_list_empty(&wheel->cascade))
                return NULL;
        }
        struct roti_wheel_node *first = front_first(wheel);
        if (first != NULL) {
            if (first->deadline_ns > wheel->now_ns) /* [I6] */
                return NULL;
            roti_wheel_remove(wheel, first);
            return first;
        }
        struct slot_position next;
        if (!slots_first(wheel, &next) || next.start_ns > wheel->now_ns) {
            ROTI_ASSERT(tick_of(wheel->now_ns) >= wheel->current); /* [I5] */
            wheel->current = tick_of(wheel->now_ns);
            return NULL;
        }
        slot_open(wheel, &next);
    }
}

void roti_wheel_shelve(struct roti_wheel *wheel, struct roti_wheel_node *node)
{
    ROTI_ASSERT(node->place == ROTI_WHEEL_OUT && node->deadline_ns <= wheel->now_ns);
    node->place = ROTI_WHEEL_SHELF;
    roti_list_push_back(&wheel->shelf, &node->links);
    wheel->count++;
}

void roti_wheel_unshelve(struct roti_wheel *wheel)
{
    struct roti_list *link;
    while ((link = roti_list_pop_front(&wheel->shelf)) != NULL)
        place_node(wheel, node_of(link));
}

struct roti_wheel_node *roti_wheel_drain(struct roti_wheel *wheel)
{
    struct slot_position position;
    struct roti_wheel_node *node = front_first(wheel);
    if (node == NULL) {
        const struct roti_list *list = &wheel->never;
        if (!roti_list_empty(&wheel->cascade))
            list = &wheel->cascade;
        else if (!roti_list_empty(&wheel->shelf))
            list = &wheel->shelf;
        else if (slots_first(wheel, &position))
            list = &wheel->slot[position.level][position.index];
        if (roti_list_empty(list))
            return NULL;
        node = node_of(list->next);
    }
    roti_wheel_remove(wheel, node);
    return node;
}
