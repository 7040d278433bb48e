/* SPDX-License-Identifier: MIT */
/*
 * future.c - futures: completed once, from any thread.
 *
 * Design.     One short lock guards the step from pending to done, the waits and the callbacks.
 *             Who takes that step claims all waits under the lock, and wakes and posts after the
 *             unlock.
 * Callbacks.  A done-callback is the node of a callback that is yet to be queued
 *             (roti_handle_reserve), so that completing a future allocates nothing and cannot
 *             fail. It takes no memory of its own: nodes come from a cache of the loop.
 * Order.      The one who completes the future posts the callbacks one by one, without the lock,
 *             as a post may make a system call. One that is added meanwhile must not overtake
 *             them, and so goes to the same list until that is empty (`notifying`).
 * References. One word counts owners, those who could still complete it or look at it, and waits
 *             that are linked or have not looked yet. Whoever takes away the last of all frees the
 *             future. When the last owner goes, a pending future can never be completed, and who
 *             waits is told so; the word keeps a wait of the teller's own until he has.
 * Threads.    any, but for what is said at a field.
 */
#include <rota/future.h>

#include "loop/handle.h"
#include "loop/loop_impl.h"
#include "sched/base/alloc.h"
#include "sched/base/spin.h"
#include "sched/fork.h"
#include "sched/wait.h"

#include <errno.h>

enum future_state {
    PENDING,
    HAS_RESULT,
    HAS_ERROR,
    CANCELLED,
    CLOSED, /* was pending when its last owner went */
};

/* The unit of the waits in `refs`; owners are counted below it. */
#define WAIT_ONE (UINT64_C(1) << 32)

struct rota_future {
    _Atomic(uint64_t) refs; /* waits << 32 | owners */
    _Atomic(int) state;     /* enum future_state; written under lock */
    _Atomic(bool) read;     /* its error was seen, or need not be */
    struct roti_spin lock;
    bool notifying;               /* under lock: somebody is posting `callbacks` */
    int error;                    /* written before it is HAS_ERROR */
    void *value;                  /* written before it is HAS_RESULT */
    struct roti_list waits;       /* under lock */
    struct roti_fifo callbacks;   /* under lock: links of work items, in order of registration */
    struct rota_loop *loop;       /* counted; constant */
    void (*release)(void *value); /* constant */
};

/* ---- Life ---- */

int rota_future_create(struct rota_future **ret_future, const struct rota_future_opts *opts)
{
    struct rota_loop *self = roti_loop_current();
    struct rota_loop *loop = opts != NULL && opts->loop != NULL ? opts->loop : self;
    if (ret_future == NULL)
        return -EINVAL;
    if (loop == NULL)
        return roti_fork_no_loop();
    struct rota_future *future = roti_zalloc(sizeof *future);
    if (future == NULL)
        return -ENOMEM;
    /* [FU1] relaxed: nobody else knows it yet. */
    roti_store(FU1, relaxed, &future->refs, 1U);
    roti_list_init(&future->waits);
    roti_fifo_init(&future->callbacks);
    if (loop == self)
        roti_loop_ref_here(self);
    else
        rota_loop_ref(loop);
    future->loop = loop;
    future->release = opts != NULL ? opts->release : NULL;
    *ret_future = future;
    return 0;
}

static enum future_state state_of(const struct rota_future *future)
{
    /* [FU3] acquire: pairs with [FU4]; value and error are visible, and what was done before. */
    return (enum future_state)roti_load(FU3, acquire, &future->state);
}

/* Under the lock. */
static void set_state(struct rota_future *future, enum future_state state)
{
    /* [FU4] release: pairs with [FU3]. */
    roti_store(FU4, release, &future->state, (int)state);
}

/* Nobody will touch it any more. */
static void future_free(struct rota_future *future)
{
    /* [FU5] relaxed: a reader's store was before the end of its wait or reference, [FU7], [FU9]. */
    if (state_of(future) == HAS_ERROR && !roti_load(FU5, relaxed, &future->read)) {
        struct rota_error_info info = {
            .message = "a future failed, and nobody read its error",
            .error = future->error,
            .loop = future->loop,
            .future = future,
        };
        roti_loop_report(&info);
    }
    if (state_of(future) == HAS_RESULT && future->release != NULL)
        future->release(future->value);
    roti_loop_unref_on(roti_loop_current(), future->loop);
    roti_free(future, sizeof *future);
}

/* Before a wait is linked. */
static void wait_begins(struct rota_future *future)
{
    /* [FU6] relaxed: the caller has a reference. */
    (void)roti_fetch_add(FU6, relaxed, &future->refs, WAIT_ONE);
}

/* After the last look of one who has waited. */
static void wait_ends(struct rota_future *future)
{
    /* [FU7] acq_rel: the last one sees all that the others did. */
    if (roti_fetch_sub(FU7, acq_rel, &future->refs, WAIT_ONE) == WAIT_ONE)
        future_free(future);
}

struct rota_future *rota_future_ref(struct rota_future *future)
{
    if (future != NULL)
        /* [FU8] relaxed: whoever adds one has another. */
        (void)roti_fetch_add(FU8, relaxed, &future->refs, 1);
    return future;
}

/* ---- Completion ---- */

/* Queues one done-callback, which takes a reference of its own. */
static void post_callback(struct rota_future *future, struct roti_handle_node *node)
{
    node->owned.future = rota_future_ref(future);
    roti_handle_post(node->owned.loop, node);
}

/* Posts all callbacks, and those added meanwhile. The caller has set `notifying`, and a reference.
 */
static void notify(struct rota_future *future)
{
    for (;;) {
        roti_spin_lock(&future->lock);
        struct roti_link *link = roti_fifo_pop(&future->callbacks);
        future->notifying = link != NULL;
        roti_spin_unlock(&future->lock);
        if (link == NULL)
            return;
        post_callback(future, roti_container_of(link, struct roti_handle_node, work.link));
    }
}

/* Claims all waits into `woken`, for `self`, NULL on a thread without a loop. Under the lock. */
static void claim_waits(const struct roti_worker *self, struct rota_future *future,
                        struct roti_list *woken)
{
    struct roti_wait *wait;
    uint64_t waker = roti_worker_task_id(self);
    roti_list_init(woken);
    while ((wait = roti_wait_first(&future->waits)) != NULL)
        if (roti_wait_claim_by(wait, 0, waker))
            roti_list_push_back(woken, &wait->link);
}

/* Takes the future from pending to done. ROTA_ESTATE if somebody else did. */
static int complete(struct rota_future *future, enum future_state state, void *value, int error)
{
    struct roti_worker *self = roti_worker_current();
    struct roti_list woken;
    roti_spin_lock(&future->lock);
    if (state_of(future) != PENDING) {
        roti_spin_unlock(&future->lock);
        return ROTA_ESTATE;
    }
    ROTI_PLAIN_WRITE(&future->value);
    future->value = value;
    future->error = error;
    set_state(future, state);
    claim_waits(self, future, &woken);
    bool notifying = !roti_fifo_empty(&future->callbacks);
    future->notifying = notifying;
    roti_spin_unlock(&future->lock);
    roti_wait_wake_all_from(self, &woken);
    if (notifying)
        notify(future);
    return 0;
}

int rota_future_set_result(struct rota_future *future, void *value)
{
    return future != NULL ? complete(future, HAS_RESULT, value, 0) : -EINVAL;
}

int rota_future_set_error(struct rota_future *future, int error)
{
    if (future == NULL || error >= 0)
        return -EINVAL;
    return complete(future, error == -ECANCELED ? CANCELLED : HAS_ERROR, NULL, error);
}

int rota_future_cancel(struct rota_future *future)
{
    if (future == NULL)
        return -EINVAL;
    if (complete(future, CANCELLED, NULL, -ECANCELED) == 0)
        return 1;
    /* [FU10] relaxed: see [FU5]. */
    roti_store(FU10, relaxed, &future->read, true);
    return 0;
}

/* Nobody can complete it any more: who waits is told, callbacks are dropped. */
static void close_pending(struct rota_future *future)
{
    struct roti_worker *self = roti_worker_current();
    struct roti_list woken;
    struct roti_fifo dropped;
    struct roti_link *link;
    roti_fifo_init(&dropped);
    roti_spin_lock(&future->lock);
    if (state_of(future) == PENDING) /* the look without the lock may have been too early */
        set_state(future, CLOSED);
    claim_waits(self, future, &woken);
    roti_fifo_append(&dropped, &future->callbacks);
    roti_spin_unlock(&future->lock);
    roti_wait_wake_all_from(self, &woken);
    while ((link = roti_fifo_pop(&dropped)) != NULL)
        roti_handle_drop(NULL, roti_container_of(link, struct roti_work, link));
}

void rota_future_unref(struct rota_future *future)
{
    if (future == NULL)
        return;
    /* The last owner of a pending future must be able to tell who waits: it becomes a wait itself.
     * [FU2] relaxed: a guess, which [FU9] checks. */
    uint64_t refs = roti_load(FU2, relaxed, &future->refs);
    uint64_t left;
    bool last;
    do {
        last = (uint32_t)refs == 1 && state_of(future) == PENDING;
        left = last ? refs - 1 + WAIT_ONE : refs - 1;
        /* [FU9] acq_rel: the last one sees all that the others did. */
    } while (!roti_cas_weak(FU9, acq_rel, &future->refs, &refs, left));
    if (left == 0)
        future_free(future);
    if (!last)
        return;
    close_pending(future);
    wait_ends(future);
}

/* ---- Looking ---- */

bool rota_future_done(const struct rota_future *future)
{
    return future != NULL && state_of(future) != PENDING;
}

bool rota_future_cancelled(const struct rota_future *future)
{
    return future != NULL && state_of(future) == CANCELLED;
}

struct rota_loop *rota_future_get_loop(const struct rota_future *future)
{
    return future != NULL ? future->loop : NULL;
}

/* The result of a future that is done. */
static int take(struct rota_future *future, void **ret_value)
{
    switch (state_of(future)) {
    case PENDING:
        return ROTA_ESTATE;
    case HAS_RESULT:
        ROTI_PLAIN_READ(&future->value);
        if (ret_value != NULL)
            *ret_value = future->value;
        return 0;
    case HAS_ERROR:
        /* [FU11] relaxed: see [FU5]. */
        roti_store(FU11, relaxed, &future->read, true);
        return future->error;
    case CANCELLED:
        return -ECANCELED;
    case CLOSED:
        break;
    }
    return ROTA_ECLOSED;
}

int rota_future_result(struct rota_future *future, void **ret_value)
{
    return future != NULL ? take(future, ret_value) : -EINVAL;
}

/* ---- Waiting ---- */

int rota_future_await(struct rota_future *future, void **ret_value)
{
    struct roti_worker *worker = roti_worker_current();
    if (future == NULL)
        return -EINVAL;
    if (worker == NULL)
        return roti_fork_no_loop();
    if (((struct rota_loop *)worker->loop)->runtime != future->loop->runtime)
        return ROTA_EOTHERRUNTIME;
    struct roti_wait wait;
    struct rota_task *task = roti_worker_task(worker);
    roti_wait_init_of(&wait, task, ROTI_WAIT_FUTURE, future, 0);
    roti_spin_lock(&future->lock);
    if (state_of(future) != PENDING) {
        roti_spin_unlock(&future->lock);
        return take(future, ret_value);
    }
    int r = ROTA_ENOTASK;
    if (roti_worker_may_suspend(worker))
        r = roti_state_begin(&task->word, 0) ? 0 : -ECANCELED;
    if (r < 0) {
        roti_spin_unlock(&future->lock);
        return r;
    }
    wait_begins(future);
    roti_wait_link(&wait, &future->waits);
    roti_spin_unlock(&future->lock);
    r = roti_wait_suspend_on(worker);
    if (r >= 0) {
        r = take(future, ret_value);
    } else {
        roti_spin_lock(&future->lock);
        roti_wait_unlink(&wait);
        roti_spin_unlock(&future->lock);
    }
    wait_ends(future);
    return r;
}

/* Sleeps until the linked wait is claimed: 0; -ETIMEDOUT: it is unlinked again. */
static int thread_wait(struct rota_future *future, struct roti_wait *wait,
                       struct roti_thread_waiter *waiter, int64_t timeout_ns)
{
    int r = roti_thread_wait_sleep(waiter, roti_deadline_after(rota_time_ns(), timeout_ns));
    if (r == 0)
        return 0;
    roti_spin_lock(&future->lock);
    bool linked = wait->linked;
    roti_wait_unlink(wait);
    roti_spin_unlock(&future->lock);
    return linked ? r : roti_thread_wait_sleep(waiter, INT64_MAX);
}

int rota_future_wait(struct rota_future *future, int64_t timeout_ns, void **ret_value)
{
    if (future == NULL)
        return -EINVAL;
    if (roti_loop_current() != NULL)
        return ROTA_ESTATE;
    if (roti_fork_is_child())
        return ROTA_EFORKED;
    struct roti_wait wait;
    struct roti_thread_waiter waiter;
    roti_thread_wait_init(&wait, &waiter, ROTI_WAIT_FUTURE, future);
    roti_spin_lock(&future->lock);
    bool pending = state_of(future) == PENDING;
    if (pending && timeout_ns > 0) {
        wait_begins(future);
        roti_wait_link(&wait, &future->waits);
    }
    roti_spin_unlock(&future->lock);
    if (!pending)
        return take(future, ret_value);
    if (timeout_ns <= 0)
        return -ETIMEDOUT;
    int r = thread_wait(future, &wait, &waiter, timeout_ns);
    if (r == 0)
        r = take(future, ret_value);
    wait_ends(future);
    return r;
}

/* ---- Done-callbacks ---- */

static int run_callback(void *arg)
{
    struct roti_handle_node *node = arg;
    return node->owned.fn(node->owned.future, node->owned.arg);
}

static void release_callback(struct roti_handle_node *node)
{
    rota_future_unref(node->owned.future);
    rota_loop_unref(node->owned.loop);
}

int rota_future_add_done_callback(struct rota_future *future, rota_future_fn fn, void *arg,
                                  struct rota_context *context)
{
    struct rota_loop *loop = roti_loop_current();
    if (future == NULL || fn == NULL)
        return -EINVAL;
    if (loop == NULL)
        return roti_fork_no_loop();
    struct roti_handle_node *node = roti_handle_reserve(run_callback, NULL, context);
    if (node == NULL)
        return -ENOMEM;
    node->arg = node;
    node->owned = (struct roti_handle_owned){
        .fn = fn,
        .arg = arg,
        .loop = rota_loop_ref(loop),
        .release = release_callback,
    };
    roti_spin_lock(&future->lock);
    bool wait = state_of(future) == PENDING || future->notifying;
    if (wait)
        roti_fifo_push(&future->callbacks, &node->work.link);
    roti_spin_unlock(&future->lock);
    if (!wait)
        post_callback(future, node);
    return 0;
}

int rota_future_remove_done_callback(struct rota_future *future, rota_future_fn fn, void *arg)
{
    if (future == NULL || fn == NULL)
        return -EINVAL;
    struct roti_fifo kept;
    struct roti_fifo removed;
    struct roti_link *link;
    roti_fifo_init(&kept);
    roti_fifo_init(&removed);
    roti_spin_lock(&future->lock);
    while ((link = roti_fifo_pop(&future->callbacks)) != NULL) {
        const struct roti_handle_node *node =
            roti_container_of(link, struct roti_handle_node, work.link);
        bool matches = node->owned.fn == fn && node->owned.arg == arg;
        roti_fifo_push(matches ? &removed : &kept, link);
    }
    roti_fifo_append(&future->callbacks, &kept);
    roti_spin_unlock(&future->lock);
    int count = 0;
    while ((link = roti_fifo_pop(&removed)) != NULL) {
        roti_handle_drop(NULL, roti_container_of(link, struct roti_work, link));
        count++;
    }
    return count;
}
