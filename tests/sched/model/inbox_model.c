/* SPDX-License-Identifier: MIT */
/*
 * inbox_model.c - the inbox under weak memory: an owner that sleeps, posters, a thief, and the
 * close.
 *
 * The owner plays a loop's turn: take both lists, or park and sleep on an eventfd, here an atomic
 * that orders nothing: the state word alone must do. Each item hands over plain data.
 */
#include "sched/base/assert.h"
#include "sched/inbox.h"

#define ITEM_MAX 8

struct item {
    struct roti_link link;
    int poster;  /* plain: the poster's, then the taker's */
    int number;  /* of that poster's items, from 1; 0 once taken */
    bool handed; /* the push was accepted; its poster's, then check's */
};

static struct roti_inbox inbox;
static struct item items[MODEL_THREADS_MAX][ITEM_MAX];
static _Atomic(bool) eventfd;
static _Atomic(unsigned) wakes; /* calls of the kernel */
static _Atomic(unsigned) taken; /* items, by whoever */
static unsigned parked_times;   /* owner only: it went to sleep */
static unsigned expected;
static int last[MODEL_THREADS_MAX]; /* owner only: the last number of each poster */

static struct item *item_of(struct roti_link *link)
{
    return roti_container_of(link, struct item, link);
}

static void notify(void)
{
    if (!roti_inbox_notify(&inbox))
        return;
    (void)roti_fetch_add(TI1, relaxed, &wakes, 1U);
    (void)roti_exchange(TI2, relaxed, &eventfd, true);
}

/* Posts one item. False when the list is closed. */
static bool post(_Atomic(struct roti_link *) *list, unsigned thread, int number)
{
    struct item *item = &items[thread][number - 1];
    ROTI_PLAIN_WRITE(&item->number);
    item->poster = (int)thread;
    item->number = number;
    enum roti_push pushed = roti_inbox_push(list, &item->link);
    if (pushed == ROTI_PUSH_FIRST)
        notify();
    return pushed != ROTI_PUSH_CLOSED;
}

/* What a taker does with items that are now its own; a poster's must come in its order. */
static void consume_all(struct roti_fifo *fifo, int *lasts)
{
    struct roti_link *link;
    while ((link = roti_fifo_pop(fifo)) != NULL) {
        struct item *item = item_of(link);
        ROTI_PLAIN_READ(&item->number);
        MODEL_ASSERT(item->number > lasts[item->poster]);
        lasts[item->poster] = item->number;
        ROTI_PLAIN_WRITE(&item->number);
        item->number = 0;
        (void)roti_fetch_add(TI3, relaxed, &taken, 1U);
    }
}

static bool woken(void *arg)
{
    (void)arg;
    return roti_load(TI4, relaxed, &eventfd);
}

/* One turn of the owner: takes everything, or sleeps until it is woken. */
static void turn(void)
{
    struct roti_fifo fifo;
    roti_fifo_init(&fifo);
    roti_inbox_take(&inbox.posts, &fifo);
    roti_inbox_take(&inbox.tasks, &fifo);
    bool found = !roti_fifo_empty(&fifo);
    consume_all(&fifo, last);
    if (found || !roti_inbox_empty(&inbox.posts) || !roti_inbox_empty(&inbox.tasks))
        return;
    if (!roti_inbox_park(&inbox))
        return;
    parked_times++;
    model_wait_until(woken, NULL);
    (void)roti_exchange(TI5, relaxed, &eventfd, false);
    MODEL_ASSERT(roti_inbox_unpark(&inbox));
}

static void owner(unsigned thread)
{
    (void)thread;
    while (roti_load(TI6, relaxed, &taken) < expected)
        turn();
}

static void reset(void)
{
    roti_inbox_init(&inbox);
    for (unsigned i = 0; i < MODEL_THREADS_MAX; i++) {
        last[i] = 0;
        for (unsigned j = 0; j < ITEM_MAX; j++)
            items[i][j] = (struct item){.number = 0};
    }
    parked_times = 0;
    roti_store(TI7, relaxed, &eventfd, false);
    roti_store(TI8, relaxed, &wakes, 0);
    roti_store(TI9, relaxed, &taken, 0);
}

/* A loop that slept n times was woken n times: a burst to a sleeping loop is one call. */
static void check(void)
{
    MODEL_ASSERT(roti_load(TI10, relaxed, &taken) == expected);
    MODEL_ASSERT(roti_load(TI11, relaxed, &wakes) == parked_times);
    MODEL_ASSERT(roti_inbox_empty(&inbox.posts) && roti_inbox_empty(&inbox.tasks));
}

/* ---- Posters to both lists ---- */

static void poster(unsigned thread)
{
    MODEL_ASSERT(post(&inbox.posts, thread, 1));
    MODEL_ASSERT(post(&inbox.posts, thread, 2));
}

static void task_poster(unsigned thread)
{
    MODEL_ASSERT(post(&inbox.tasks, thread, 1));
    MODEL_ASSERT(post(&inbox.tasks, thread, 2));
}

static void reset_six(void)
{
    reset();
    expected = 6;
}

static void reset_two(void)
{
    reset();
    expected = 2;
}

static void single_poster(unsigned thread)
{
    MODEL_ASSERT(post(&inbox.posts, thread, 1));
}

MODEL_TEST(inbox) = {
    .threads = {owner, poster, poster, task_poster}, .setup = reset_six, .check = check};
MODEL_TEST(inbox_short) = {
    .threads = {owner, single_poster, single_poster}, .setup = reset_two, .check = check};

/* ---- A thief takes tasks that the owner was woken for ---- */

static void thief(unsigned thread)
{
    int lasts[MODEL_THREADS_MAX] = {0};
    struct roti_fifo fifo;
    (void)thread;
    for (int i = 0; i < 2; i++) {
        roti_fifo_init(&fifo);
        roti_inbox_take(&inbox.tasks, &fifo);
        consume_all(&fifo, lasts);
    }
}

/* The owner goes by notifications alone: the thief may have taken what they were for. */
static void robbed_owner(unsigned thread)
{
    struct roti_fifo fifo;
    (void)thread;
    roti_fifo_init(&fifo);
    for (int turns = 0; turns < 3; turns++) {
        roti_inbox_take(&inbox.tasks, &fifo);
        consume_all(&fifo, last);
        if (turns < 2 && !roti_inbox_park(&inbox))
            continue;
        (void)roti_inbox_unpark(&inbox);
    }
}

static void check_robbed(void)
{
    struct roti_fifo fifo;
    roti_fifo_init(&fifo);
    roti_inbox_take(&inbox.tasks, &fifo);
    consume_all(&fifo, last);
    MODEL_ASSERT(roti_load(TI12, relaxed, &taken) == expected);
}

MODEL_TEST(inbox_robbed) = {
    .threads = {robbed_owner, thief, task_poster}, .setup = reset_two, .check = check_robbed};

/* ---- A close among posts: each is delivered once, or refused ---- */

static void closing_owner(unsigned thread)
{
    struct roti_fifo fifo;
    (void)thread;
    roti_fifo_init(&fifo);
    roti_inbox_take(&inbox.posts, &fifo);
    roti_inbox_close(&inbox.posts, &fifo);
    consume_all(&fifo, last);
    MODEL_ASSERT(roti_inbox_empty(&inbox.posts));
}

static void late_poster(unsigned thread)
{
    for (int i = 1; i <= 2; i++)
        items[thread][i - 1].handed = post(&inbox.posts, thread, i);
}

static void check_closed(void)
{
    struct roti_fifo fifo;
    roti_fifo_init(&fifo);
    roti_inbox_close(&inbox.posts, &fifo);
    MODEL_ASSERT(roti_fifo_empty(&fifo)); /* twice is harmless, and nothing is left */
    for (unsigned i = 1; i <= 2; i++)
        for (unsigned j = 0; j < 2; j++)
            MODEL_ASSERT(items[i][j].handed == (items[i][j].number == 0));
}

MODEL_TEST(inbox_close) = {
    .threads = {closing_owner, late_poster, late_poster}, .setup = reset, .check = check_closed};

/* ---- What was done before a notification alone, without any list ---- */

static _Atomic(bool) flag; /* what the owner is told to look at: a phase of the pool */

static void teller(unsigned thread)
{
    (void)thread;
    roti_store(TI13, relaxed, &flag, true);
    notify();
}

static void told_owner(unsigned thread)
{
    (void)thread;
    while (!roti_load(TI14, relaxed, &flag)) {
        if (!roti_inbox_park(&inbox)) {
            MODEL_ASSERT(roti_load(TI15, relaxed, &flag));
            break;
        }
        model_wait_until(woken, NULL);
        (void)roti_exchange(TI16, relaxed, &eventfd, false);
        (void)roti_inbox_unpark(&inbox);
        MODEL_ASSERT(roti_load(TI17, relaxed, &flag));
    }
}

static void reset_told(void)
{
    reset();
    roti_store(TI18, relaxed, &flag, false);
}

MODEL_TEST(inbox_told) = {.threads = {told_owner, teller}, .setup = reset_told};
