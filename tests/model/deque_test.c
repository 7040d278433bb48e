/* SPDX-License-Identifier: MIT */
/*
 * deque_test.c - the explorer proved on a known victim: the deque of Chase and Lev, with its bugs.
 *
 * The owner pushes and takes at the bottom, thieves steal at the top; a full array is replaced by
 * one of twice the size. The orders are those of Le, Pop, Cohen and Zappa Nardelli (2013), with
 * the array's publication as corrected since. It is not rota's ready queue; it is here because its
 * bugs are well known, and each must be found:
 *
 *   stale_array         growth, but the item goes into the old array (H01)
 *   relaxed_array       the new array is published without a release (H02)
 *   take_without_fence  the owner's index and its look at the top are not ordered (H03)
 *   steal_without_fence the thief's look at the top and at the bottom are not ordered (H03)
 *   push_without_fence  the bottom is published before the item
 *
 * All but the first are of memory order alone: with --sc none of them fails a run.
 * Three orders are not proved needed; MODEL_SURVIVES says why.
 */
#include "sched/base/alloc.h"
#include "sched/base/atomic.h"

#define ITEM_COUNT 6
#define STEALS 3
#define CAPACITY_FIRST 2
#define EMPTY (-1)
#define LOST (-2)

struct array {
    struct array *older; /* superseded arrays live on: a thief may still read one */
    int64_t capacity;
    _Atomic(int) items[];
};

static struct {
    _Atomic(int64_t) top;          /* the oldest item; thieves, and the owner for the last one */
    _Atomic(int64_t) bottom;       /* behind the newest item; owner */
    _Atomic(struct array *) array; /* owner */
} deque;

static bool writes_to_stale_array; /* the bug of stale_array */
static int times_got[ITEM_COUNT + 1];

static size_t array_size(int64_t capacity)
{
    return sizeof(struct array) + (size_t)capacity * sizeof(int);
}

static struct array *array_create(int64_t capacity, struct array *older)
{
    struct array *array = roti_alloc(array_size(capacity));
    MODEL_ASSERT(array != NULL);
    array->older = older;
    array->capacity = capacity;
    return array;
}

static _Atomic(int) *item_at(struct array *array, int64_t index)
{
    return &array->items[index % array->capacity];
}

static struct array *grow(struct array *old, int64_t top, int64_t bottom)
{
    struct array *new = array_create(2 * old->capacity, old);
    for (int64_t i = top; i < bottom; i++) {
        int item = roti_load(TD1, relaxed, item_at(old, i));
        roti_store(TD2, relaxed, item_at(new, i), item);
    }
    /* [TD3] release: pairs with [TD12]; the copied items are visible with the array. */
    roti_store(TD3, release, &deque.array, new);
    return writes_to_stale_array ? old : new;
}

static void push(int item)
{
    int64_t bottom = roti_load(TD4, relaxed, &deque.bottom);
    /* [TD5] acquire: pairs with [TD15]; a slot that a thief gave up was read before. */
    int64_t top = roti_load(TD5, acquire, &deque.top);
    struct array *array = roti_load(TD6, relaxed, &deque.array);
    if (bottom - top == array->capacity)
        array = grow(array, top, bottom);
    roti_store(TD7, relaxed, item_at(array, bottom), item);
    /* [TD8] release: pairs with [TD11]; the item is visible with the bottom. */
    roti_fence(TD8, release);
    roti_store(TD9, relaxed, &deque.bottom, bottom + 1);
}

static int take(void)
{
    int64_t bottom = roti_load(TD16, relaxed, &deque.bottom) - 1;
    struct array *array = roti_load(TD17, relaxed, &deque.array);
    roti_store(TD18, relaxed, &deque.bottom, bottom);
    /* [TD19] seq_cst: pairs with [TD10]; owner or thief sees the other's index. */
    roti_fence(TD19, seq_cst);
    int64_t top = roti_load(TD20, relaxed, &deque.top);
    if (top < bottom)
        return roti_load(TD21, relaxed, item_at(array, bottom));
    int item = EMPTY;
    if (top == bottom) {
        item = roti_load(TD22, relaxed, item_at(array, bottom));
        if (!roti_cas(TD23, seq_cst, &deque.top, &top, top + 1))
            item = EMPTY;
    }
    roti_store(TD24, relaxed, &deque.bottom, bottom + 1);
    return item;
}

static int steal(void)
{
    int64_t top = roti_load(TD13, acquire, &deque.top);
    /* [TD10] seq_cst: pairs with [TD19]. */
    roti_fence(TD10, seq_cst);
    /* [TD11] acquire: pairs with [TD8]. */
    int64_t bottom = roti_load(TD11, acquire, &deque.bottom);
    if (top >= bottom)
        return EMPTY;
    /* [TD12] acquire: pairs with [TD3]. */
    struct array *array = roti_load(TD12, acquire, &deque.array);
    int item = roti_load(TD14, relaxed, item_at(array, top));
    /* [TD15] One of all that want this item gets it; its release half pairs with [TD5]. */
    if (!roti_cas(TD15, seq_cst, &deque.top, &top, top + 1))
        return LOST;
    ROTI_LOAD_KEPT(item_at(array, top));
    return item;
}

/* ---- The program: six items, one owner, two thieves ---- */

static void got(int item)
{
    if (item == EMPTY || item == LOST)
        return;
    if (item < 1 || item > ITEM_COUNT)
        model_fail("an item that was never pushed: %#x", (unsigned)item);
    if (++times_got[item] > 1)
        model_fail("item %d came out twice", item);
}

static void owner(unsigned thread)
{
    (void)thread;
    for (int item = 1; item <= ITEM_COUNT; item++) {
        push(item);
        if (item == 2 || item == 5)
            got(take());
    }
    got(take());
    got(take());
}

static void thief(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < STEALS; i++)
        got(steal());
}

static void reset(void)
{
    roti_store(TD25, relaxed, &deque.top, 0);
    roti_store(TD26, relaxed, &deque.bottom, 0);
    roti_store(TD27, relaxed, &deque.array, array_create(CAPACITY_FIRST, NULL));
    writes_to_stale_array = false;
    for (int item = 0; item <= ITEM_COUNT; item++)
        times_got[item] = 0;
}

static void reset_with_stale_array(void)
{
    reset();
    writes_to_stale_array = true;
}

static void check(void)
{
    for (int item = take(); item != EMPTY; item = take())
        got(item);
    for (int item = 1; item <= ITEM_COUNT; item++)
        if (times_got[item] == 0)
            model_fail("item %d never came out", item);
    for (struct array *array = roti_load(TD28, relaxed, &deque.array), *older; array != NULL;
         array = older) {
        older = array->older;
        roti_free(array, array_size(array->capacity));
    }
    MODEL_ASSERT(model_live_blocks() == 0);
}

#define DEQUE(identifier, setup_function, ...)                                                     \
    MODEL_TEST(identifier) = {.threads = {owner, thief, thief},                                    \
                              .setup = setup_function,                                             \
                              .check = check,                                                      \
                              .steps_max = 1000,                                                   \
                              __VA_ARGS__}

MODEL_SURVIVES("TD13:0", "the fence behind it, TD10, acquires as well");
MODEL_SURVIVES("TD15:0", "the fences TD10 and TD19 order the indices; acq_rel claims the item");
MODEL_SURVIVES("TD23:0", "the fences TD10 and TD19 order the indices; acq_rel claims the item");

DEQUE(deque, reset, .fails_within = 0);
DEQUE(deque_stale_array, reset_with_stale_array, .fails_within = 20);
DEQUE(deque_relaxed_array, reset, .mutant = "TD3", .fails_within = 200000, .hidden_by_sc = true);
DEQUE(deque_take_without_fence, reset, .mutant = "TD19", .fails_within = 2000,
      .hidden_by_sc = true);
DEQUE(deque_steal_without_fence, reset, .mutant = "TD10", .fails_within = 10000,
      .hidden_by_sc = true);
DEQUE(deque_push_without_fence, reset, .mutant = "TD8", .fails_within = 500, .hidden_by_sc = true);
