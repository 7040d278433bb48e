/* SPDX-License-Identifier: MIT */
/*
 * handle_node.c - the life of a callback's node but for its running: memory, and who waits for it.
 *
 * Waiting. Who waits for the end of a running callback is in one list for the process; one bit of
 *          the node's word tells the runner to look there. It is rare, and so needs no room in
 *          each node.
 */
#include "loop/handle_node.h"

#include "loop/loop_impl.h"
#include "sched/base/thread.h"
#include "sched/fork.h"
#include "sched/wait.h"

#include <assert.h>
#include <pthread.h>
#include <rota/error.h>

static_assert(sizeof(struct roti_handle_node) == 128, "two cache lines");
static_assert(offsetof(struct roti_handle_node, timer) == 64, "a callback without delay needs one");

struct roti_slots roti_handle_slots = ROTI_SLOTS_INIT(sizeof(struct roti_handle_node));

/* ---- Where nodes come from and go to ---- */

static pthread_once_t guard_once = PTHREAD_ONCE_INIT;
static pthread_key_t guard_key;
static bool guard_made;

static void give_back_cache(void *arg)
{
    struct roti_thread *self = arg;
    roti_slots_drain(&roti_handle_slots, &self->handles);
    self->handles_guarded = false;
}

static void make_guard(void)
{
    guard_made = pthread_key_create(&guard_key, give_back_cache) == 0;
}

struct roti_slots_cache *roti_handle_guard(struct roti_thread *thread)
{
    (void)pthread_once(&guard_once, make_guard);
    if (!guard_made || pthread_setspecific(guard_key, thread) != 0)
        return NULL;
    thread->handles_guarded = true;
    return &thread->handles;
}

/* ---- Who waits for the end of a callback ---- */

static struct roti_spin awaited_lock;
static struct roti_list awaited = {&awaited, &awaited}; /* under awaited_lock */

/* The node is still in hand, so that who waits for it waits for its last life. */
void roti_handle_wake_awaiting(const struct roti_handle_node *node)
{
    struct roti_list woken;
    roti_list_init(&woken);
    roti_spin_lock(&awaited_lock);
    for (struct roti_list *link = awaited.next; link != &awaited;) {
        struct roti_wait *wait = roti_container_of(link, struct roti_wait, link);
        link = link->next;
        if (wait->object != node)
            continue;
        roti_wait_unlink(wait);
        if (roti_wait_claim(wait, 0))
            roti_list_push_back(&woken, &wait->link);
    }
    roti_spin_unlock(&awaited_lock);
    roti_wait_wake_all(&woken);
}

void roti_handle_forget(void)
{
    roti_slots_forget(&roti_handle_slots);
    roti_spin_unlock(&awaited_lock);
    roti_list_init(&awaited);
}

int roti_handle_await_end(struct roti_handle_node *node, uint64_t generation)
{
    struct roti_wait wait;
    struct roti_thread_waiter waiter;
    bool in_task = roti_worker_in_task();
    if (!in_task && roti_fork_is_child())
        return ROTA_EFORKED;
    if (in_task)
        roti_wait_init(&wait, ROTI_WAIT_HANDLE, node, 0);
    else
        roti_thread_wait_init(&wait, &waiter, ROTI_WAIT_HANDLE, node);
    int r = in_task ? roti_wait_begin(ROTI_ABSORBS) : 0;
    if (r < 0)
        return r;
    roti_spin_lock(&awaited_lock);
    bool linked = roti_handle_await(&node->word, generation);
    if (linked)
        roti_wait_link(&wait, &awaited);
    roti_spin_unlock(&awaited_lock);
    if (in_task && linked)
        r = roti_wait_suspend();
    else if (in_task)
        roti_wait_abandon();
    else if (linked)
        r = roti_thread_wait_sleep(&waiter, INT64_MAX);
    return r;
}
