/* SPDX-License-Identifier: MIT */
/*
 * ring_model.c - the ready ring under weak memory: an owner, two thieves, and one who only looks.
 *
 * Each item hands over plain data: its pusher fills it, whoever takes it reads and empties it. So
 * an item taken twice, or before it was filled, is a race or a wrong value. What nobody has taken
 * is drained in the end; then each item must have been taken once. The owner's own items, and the
 * items of one theft, must come in the order of their pushes.
 */
#include "sched/base/assert.h"
#include "sched/ready_ring.h"

#define ITEM_MAX 8

struct item {
    struct roti_link link;
    int number; /* plain: the pusher's, then the taker's; 0 once taken */
};

static struct roti_ring ring;
static struct item items[ITEM_MAX];
static unsigned item_count;
static int owner_last;              /* the number that the owner popped last */
static int thefts[2];               /* how many each thief has taken */
static _Atomic(unsigned) published; /* items pushed, as the observer may know */

static struct item *item_of(struct roti_link *link)
{
    return roti_container_of(link, struct item, link);
}

static void push_next(void)
{
    struct item *item = &items[item_count++];
    ROTI_PLAIN_WRITE(&item->number);
    item->number = (int)item_count;
    roti_ring_push(&ring, &item->link);
}

/* What a taker does with an item that is now its own. Returns the item's number. */
static int consume(struct roti_link *link)
{
    struct item *item = item_of(link);
    ROTI_PLAIN_READ(&item->number);
    int number = item->number;
    MODEL_ASSERT(number != 0);
    ROTI_PLAIN_WRITE(&item->number);
    item->number = 0;
    return number;
}

static bool pop_one(void)
{
    struct roti_link *link = roti_ring_pop(&ring);
    if (link == NULL)
        return false;
    int number = consume(link);
    MODEL_ASSERT(number > owner_last);
    owner_last = number;
    return true;
}

static void steal_once(unsigned thief)
{
    struct roti_link *out[ROTI_STEAL_MAX];
    int count = roti_ring_steal(&ring, out);
    int last = 0;
    MODEL_ASSERT(count == ROTI_STEAL_LOST || (count >= 0 && count <= (int)ROTI_STEAL_MAX));
    for (int i = 0; i < count; i++) {
        int number = consume(out[i]);
        MODEL_ASSERT(number > last);
        last = number;
    }
    thefts[thief] += count > 0 ? count : 0;
}

static void reset(void)
{
    roti_spin_unlock(&ring.overflow_lock);
    roti_ring_init(&ring);
    for (unsigned i = 0; i < ITEM_MAX; i++) {
        items[i].number = 0;
        items[i].link.next = NULL;
    }
    item_count = 0;
    owner_last = 0;
    thefts[0] = thefts[1] = 0;
    roti_store(TR1, relaxed, &published, 0);
}

/* Drains what is left; then nothing may be untaken. */
static void check(void)
{
    while (pop_one())
        ;
    MODEL_ASSERT(roti_ring_empty(&ring) && roti_ring_count(&ring) == 0);
    for (unsigned i = 0; i < item_count; i++)
        MODEL_ASSERT(items[i].number == 0);
}

/* ---- An owner that fills the ring and its overflow list, and two thieves ---- */

static void busy_owner(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < 4; i++)
        push_next();
    (void)pop_one();
    push_next();
    push_next();
    (void)pop_one();
    (void)pop_one();
    push_next();
    (void)pop_one();
}

static void thief(unsigned thread)
{
    for (int i = 0; i < 3; i++)
        steal_once(thread - 1);
}

MODEL_TEST(ring) = {.threads = {busy_owner, thief, thief}, .setup = reset, .check = check};

/* ---- The same, small enough for every path ---- */

static void short_owner(unsigned thread)
{
    (void)thread;
    push_next();
    push_next();
    (void)pop_one();
    push_next();
}

static void short_thief(unsigned thread)
{
    steal_once(thread - 1);
}

MODEL_TEST(ring_short) = {
    .threads = {short_owner, short_thief, short_thief}, .setup = reset, .check = check};

/* ---- The owner alone: first in, first out, over the overflow list ---- */

static void lone_owner(unsigned thread)
{
    (void)thread;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 4; i++)
            push_next();
        MODEL_ASSERT(roti_ring_count(&ring) == (unsigned)(4 + round));
        for (int i = 0; i < 3; i++)
            MODEL_ASSERT(pop_one());
    }
    MODEL_ASSERT(pop_one() && pop_one() && !pop_one());
    MODEL_ASSERT(owner_last == 8);
}

MODEL_TEST(ring_alone) = {.threads = {lone_owner}, .setup = reset, .check = check};

/* ---- A refill leaves no moment in which what is left is nowhere ---- */

#define REFILLED (ROTI_RING_CAPACITY + 2)

static void refilling_owner(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < REFILLED; i++)
        push_next();
    /* [TR2] release: pairs with [TR3]; what the Dekker functions give to a parked loop's last look.
     */
    roti_store(TR2, release, &published, REFILLED);
    for (int i = 0; i < REFILLED - 1; i++)
        MODEL_ASSERT(pop_one());
}

static void observer(unsigned thread)
{
    (void)thread;
    while (roti_load(TR3, acquire, &published) == 0)
        roti_pause();
    MODEL_ASSERT(!roti_ring_empty(&ring));
    MODEL_ASSERT(!roti_ring_empty(&ring));
}

MODEL_TEST(ring_refill) = {.threads = {refilling_owner, observer}, .setup = reset, .check = check};
