/* SPDX-License-Identifier: MIT */
/*
 * handle.c - callbacks and timers: scheduling them, running them, cancelling them.
 *
 * Design.     A post takes a node from its thread's cache, captures the context, and pushes: no
 *             lock, no allocation, nothing shared but the inbox. The word of the node
 *             (loop/handle_state.h) decides between running and cancelling.
 * Cancelling. A queued callback is marked; its context is released when its turn comes and it is
 *             skipped, at the next pass. A timer is taken out of the wheel at once, and its context
 *             is released by the canceller. `arg` is never touched after PREVENTED.
 * Lifetime.   Whoever marks an armed timer goes on to lock the timers of its loop, which must then
 *             still exist. So a marked timer stays in the wheel until its canceller takes it out:
 *             one that falls due meanwhile is put back for ever, and a closing loop waits until its
 *             wheel is empty. That costs nothing, where a counted reference on the loop would cost
 *             two read-modify-writes for each timer.
 * Invariants. I1 A token is written only by a call that is given it.
 *             I2 Nodes are of the thread that holds them: queue, wheel and inbox hand them over.
 */
#include "loop/handle.h"

#include "loop/loop_impl.h"
#include "loop/handle_node.h"
#include "sched/fork.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <rota/error.h>
#include <sched.h>
#include <stdio.h>

static struct roti_handle_node *node_of(struct roti_work *work)
{
    return roti_container_of(work, struct roti_handle_node, work);
}

/* Changes the state of a node that this loop has in hand. False if it was cancelled instead, which
 * takes a token. */
static bool node_move(struct roti_handle_node *node, enum roti_handle_state from,
                      enum roti_handle_state to)
{
    return !roti_handle_has_token(node) || roti_handle_move(&node->word, from, to);
}

void roti_handle_drop(struct rota_loop *loop, struct roti_work *work)
{
    (void)loop;
    roti_handle_free(roti_thread_self(), node_of(work));
}

/* ---- Timers ---- */

/* A timer is due; under the timers' lock, on the loop's thread. */
static void fire(struct roti_timer *timer, struct roti_list *woken)
{
    (void)woken;
    struct roti_handle_node *node = roti_container_of(timer, struct roti_handle_node, timer);
    struct rota_loop *loop = roti_container_of(timer->timers, struct rota_loop, timers);
    if (node_move(node, ROTI_HANDLE_ARMED, ROTI_HANDLE_QUEUED)) {
        roti_worker_queues(&loop->worker, true, &node->work);
        roti_worker_push_local(&loop->worker, &node->work);
        return;
    }
    roti_wheel_add(&timer->timers->wheel, &timer->node, INT64_MAX); /* for its canceller */
}

/* A timer of another thread has arrived. */
static void arm_posted(struct rota_loop *loop, struct roti_handle_node *node)
{
    node->work.extra &= ROTI_WORK_EXTRA_MAX & ~ROTI_HANDLE_ARRIVES;
    roti_timer_arm(&loop->timers, &node->timer, node->when_ns, ROTI_TIMER_CALLBACK, fire);
    if (node_move(node, ROTI_HANDLE_ARMING, ROTI_HANDLE_ARMED))
        return;
    (void)roti_timer_disarm(&node->timer);
    roti_handle_free(loop->worker.thread_object, node);
}

void roti_handle_close(struct rota_loop *loop)
{
    struct roti_timers *timers = &loop->timers;
    for (;;) {
        roti_spin_lock(&timers->lock);
        struct roti_wheel_node *next = roti_wheel_drain(&timers->wheel);
        struct roti_timer *timer =
            next != NULL ? roti_container_of(next, struct roti_timer, node) : NULL;
        bool ours = timer != NULL && timer->fire == fire;
        struct roti_handle_node *node =
            ours ? roti_container_of(timer, struct roti_handle_node, timer) : NULL;
        bool taken = ours && node_move(node, ROTI_HANDLE_ARMED, ROTI_HANDLE_QUEUED);
        if (ours && !taken)
            roti_wheel_add(&timers->wheel, &timer->node, INT64_MAX); /* for its canceller */
        roti_spin_unlock(&timers->lock);
        if (next == NULL)
            break;
        if (taken)
            roti_handle_free(loop->worker.thread_object, node);
        else
            (void)sched_yield();
    }
    roti_slots_drain(&roti_handle_slots, &loop->worker.thread_object->handles);
}

/* ---- Running ---- */

/* What the program wants to be called; for reports. */
static inline void *function_of(const struct roti_handle_node *node)
{
    bool owned = (node->work.extra & ROTI_HANDLE_OWNED) != 0;
    return owned ? (void *)node->owned.fn : (void *)node->fn;
}

/* Tells the exception handler of what went wrong with a callback. */
static __attribute__((cold)) void report(struct rota_loop *loop,
                                         const struct roti_handle_node *node, const char *message,
                                         int status)
{
    struct rota_error_info info = {.message = message, .error = status, .loop = loop};
    if ((node->work.extra & ROTI_HANDLE_OWNED) != 0) {
        info.future = node->owned.future;
        info.arg = node->owned.arg;
    } else {
        info.callback = node->fn;
        info.arg = node->arg;
    }
    roti_loop_report(&info);
}

static void report_slow(struct rota_loop *loop, const struct roti_handle_node *node,
                        int64_t took_ns)
{
    void *code = function_of(node);
    Dl_info symbol;
    bool known = dladdr(code, &symbol) != 0 && symbol.dli_sname != NULL;
    char message[160];
    (void)snprintf(message, sizeof message, "callback %s (%p) ran for %" PRId64 " us",
                   known ? symbol.dli_sname : "without a symbol", code, took_ns / 1000);
    report(loop, node, message, 0);
}

/* Debug mode: calls the function, with a look at the clock before and after. */
static __attribute__((cold)) int call_timed(struct rota_loop *loop,
                                            const struct roti_handle_node *node)
{
    int64_t start_ns = loop->worker.driver->now(loop);
    int status = node->fn(node->arg);
    int64_t took_ns = loop->worker.driver->now(loop) - start_ns;
    if (took_ns >= loop->runtime->slow_callback_ns)
        report_slow(loop, node, took_ns);
    return status;
}

/* Runs the function in its context, and tells of what went wrong. */
static void run(struct rota_loop *loop, struct roti_handle_node *node)
{
    struct roti_context_slot *slot = &loop->worker.context; /* current while callbacks run */
    struct roti_context_slot saved;
    int status = roti_context_enter_on(slot, &node->context, loop, &saved);
    if (__builtin_expect(status < 0, 0)) {
        report(loop, node, "a callback did not run, as its context was entered elsewhere", status);
        return;
    }
    status = __builtin_expect(loop->debug, 0) ? call_timed(loop, node) : node->fn(node->arg);
    if (status == ROTA_EXIT)
        roti_runtime_exit(loop->runtime);
    else if (status < 0)
        report(loop, node, "a callback failed", status);
    roti_context_exit_on(slot, &node->context, &saved);
}

/* A callback cannot suspend, so that its loop's thread is one and the same throughout. */
void roti_handle_run(struct rota_loop *loop, struct roti_work *work)
{
    struct roti_handle_node *node = node_of(work);
    struct roti_thread *thread = loop->worker.thread_object;
    if ((work->extra & ROTI_HANDLE_ARRIVES) != 0) {
        arm_posted(loop, node);
        return;
    }
    if (node_move(node, ROTI_HANDLE_QUEUED, ROTI_HANDLE_RUNNING)) {
        /* [HN12] relaxed: read by this thread, and by dumps that take it for a hint. */
        roti_store(HN12, relaxed, &loop->running_handle, node);
        /* [HN18] relaxed: an address, for reports. */
        roti_store(HN18, relaxed, &loop->running_fn, function_of(node));
        run(loop, node);
        /* [HN13] relaxed: as [HN12]. */
        roti_store(HN13, relaxed, &loop->running_handle, NULL);
    }
    roti_handle_free(thread, node);
}

/* ---- Scheduling ---- */

/* What a caller wants to be called, and when. */
struct request {
    rota_callback_fn fn;
    void *arg;
    struct rota_context *context;
    int64_t when_ns;
    bool timed;
};

/* Hands the node over. False if the loop is closed; the node is the caller's then. */
static inline bool submit(struct rota_loop *loop, struct roti_handle_node *node, bool own,
                          bool timed)
{
    if (own && timed) {
        roti_timer_arm(&loop->timers, &node->timer, node->when_ns, ROTI_TIMER_CALLBACK, fire);
        return true;
    }
    roti_worker_queues(&loop->worker, own, &node->work);
    if (!own)
        return roti_worker_post(&loop->worker, &node->work);
    roti_worker_push_local(&loop->worker, &node->work);
    return true;
}

/* Begins a life that the token is to know; done before the callback may run, as it may use it. */
static inline void fill_token(struct rota_handle *handle, struct roti_handle_node *node, bool own,
                              const struct request *request)
{
    enum roti_handle_state state = ROTI_HANDLE_QUEUED;
    if (request->timed)
        state = own ? ROTI_HANDLE_ARMED : ROTI_HANDLE_ARMING;
    *handle = (struct rota_handle){
        .node = node,
        .generation = roti_handle_begin(&node->word, state),
        .when_ns = request->when_ns,
    };
}

/* Schedules on `loop`, from the thread of `thread`. Inlined into each public call, which knows most
 * of the request. */
static inline __attribute__((always_inline)) int schedule(struct rota_loop *loop,
                                                          struct roti_thread *thread,
                                                          struct rota_handle *handle,
                                                          const struct request *request)
{
    bool own = loop == roti_loop_of(thread);
    /* [HN14] relaxed: written by the loop's own thread; from others the inbox has the last word. */
    if (roti_load(HN14, relaxed, &loop->closed))
        return ROTA_ECLOSED;
    uint32_t extra = handle != NULL ? ROTI_HANDLE_TOKEN : 0;
    if (request->timed && !own)
        extra |= ROTI_HANDLE_ARRIVES;
    struct roti_handle_node *node =
        roti_handle_new(thread, request->fn, request->arg, request->context, extra);
    if (node == NULL)
        return -ENOMEM;
    if (request->timed)
        node->when_ns = request->when_ns;
    if (own) {
        if (handle != NULL)
            fill_token(handle, node, own, request);
        (void)submit(loop, node, own, request->timed); /* it is this thread that would close it */
        return 0;
    }
    struct rota_handle before = {0};
    if (handle != NULL) {
        before = *handle;
        fill_token(handle, node, own, request);
    }
    if (submit(loop, node, own, request->timed))
        return 0;
    if (handle != NULL)
        *handle = before;
    roti_handle_free(thread, node);
    return ROTA_ECLOSED;
}

/* The loop that a call without "threadsafe" means: *loop, or the running one. */
static inline int choose_loop(struct rota_loop **loop, struct rota_loop *current,
                              rota_callback_fn fn)
{
    if (fn == NULL)
        return -EINVAL;
    if (*loop == NULL)
        *loop = current;
    if (*loop == NULL)
        return roti_fork_no_loop();
    if (*loop == current)
        return 0; /* and schedule() asks whether it is closed */
    /* [HN15] relaxed: as [HN14]. */
    if (roti_load(HN15, relaxed, &(*loop)->closed))
        return ROTA_ECLOSED;
    return (*loop)->debug ? ROTA_EWRONGLOOP : 0;
}

int rota_call_soon(struct rota_loop *loop, struct rota_handle *handle, rota_callback_fn fn,
                   void *arg, struct rota_context *context)
{
    struct roti_thread *thread = roti_thread_self();
    int r = choose_loop(&loop, roti_loop_of(thread), fn);
    if (r < 0)
        return r;
    struct request request = {fn, arg, context, 0, false};
    return schedule(loop, thread, handle, &request);
}

int rota_call_soon_threadsafe(struct rota_loop *loop, struct rota_handle *handle,
                              rota_callback_fn fn, void *arg, struct rota_context *context)
{
    if (loop == NULL || fn == NULL)
        return -EINVAL;
    struct request request = {fn, arg, context, 0, false};
    return schedule(loop, roti_thread_self(), handle, &request);
}

int rota_call_at(struct rota_loop *loop, struct rota_handle *handle, int64_t when_ns,
                 rota_callback_fn fn, void *arg, struct rota_context *context)
{
    struct roti_thread *thread = roti_thread_self();
    int r = choose_loop(&loop, roti_loop_of(thread), fn);
    if (r < 0)
        return r;
    struct request request = {fn, arg, context, when_ns, true};
    return schedule(loop, thread, handle, &request);
}

int rota_call_later(struct rota_loop *loop, struct rota_handle *handle, int64_t delay_ns,
                    rota_callback_fn fn, void *arg, struct rota_context *context)
{
    struct roti_thread *thread = roti_thread_self();
    int r = choose_loop(&loop, roti_loop_of(thread), fn);
    if (r < 0)
        return r;
    int64_t when_ns = roti_deadline_after(loop->worker.driver->now(loop), delay_ns);
    struct request request = {fn, arg, context, when_ns, true};
    return schedule(loop, thread, handle, &request);
}

struct roti_handle_node *roti_handle_reserve(rota_callback_fn fn, void *arg,
                                             struct rota_context *context)
{
    struct roti_handle_node *node =
        roti_handle_new(roti_thread_self(), fn, arg, context, ROTI_HANDLE_OWNED);
    if (node == NULL)
        return NULL;
    node->owned = (struct roti_handle_owned){0};
    return node;
}

void roti_handle_post(struct rota_loop *loop, struct roti_handle_node *node)
{
    struct roti_thread *thread = roti_thread_self();
    bool own = loop == roti_loop_of(thread);
    /* [HN16] relaxed: as [HN14]. */
    if ((own && roti_load(HN16, relaxed, &loop->closed)) || !submit(loop, node, own, false))
        roti_handle_free(thread, node);
}

/* ---- Cancelling ---- */

/* Takes a cancelled timer out of its wheel. Until then the loop's timers stay. */
static void take_out(struct roti_handle_node *node)
{
    (void)roti_timer_disarm(&node->timer);
    roti_handle_free(roti_thread_self(), node);
}

int rota_handle_cancel(struct rota_handle *handle)
{
    if (handle == NULL || handle->node == NULL)
        return -EINVAL;
    struct roti_handle_node *node = handle->node;
    bool prevented = handle->verdict == ROTA_PREVENTED || handle->verdict == ROTA_ALREADY_CANCELLED;
    int verdict = ROTA_PREVENTED;
    switch (roti_handle_try_cancel(&node->word, handle->generation)) {
    case ROTI_HANDLE_CANCEL_GONE:
        verdict = prevented ? ROTA_ALREADY_CANCELLED : ROTA_ALREADY_RAN;
        break;
    case ROTI_HANDLE_CANCEL_REPEATED:
        verdict = ROTA_ALREADY_CANCELLED;
        break;
    case ROTI_HANDLE_CANCEL_RUNNING:
        verdict = ROTA_RUNNING;
        break;
    case ROTI_HANDLE_CANCEL_DISARM:
        take_out(node);
        break;
    case ROTI_HANDLE_CANCEL_SKIP:
        break;
    }
    handle->verdict = verdict;
    return verdict;
}

int rota_handle_cancel_wait(struct rota_handle *handle)
{
    int verdict = rota_handle_cancel(handle);
    if (verdict != ROTA_RUNNING)
        return verdict;
    struct rota_loop *loop = roti_loop_current();
    if (loop != NULL && !roti_worker_in_task()) {
        /* [HN17] relaxed: this thread's own store. */
        bool inside = roti_load(HN17, relaxed, &loop->running_handle) == handle->node;
        return inside ? ROTA_RUNNING : ROTA_ESTATE;
    }
    int r = roti_handle_await_end(handle->node, handle->generation);
    if (r < 0)
        return r;
    handle->verdict = ROTA_ALREADY_RAN;
    return ROTA_ALREADY_RAN;
}

bool rota_handle_cancelled(const struct rota_handle *handle)
{
    return handle != NULL && handle->verdict != 0;
}

int64_t rota_handle_when(const struct rota_handle *handle)
{
    return handle != NULL ? handle->when_ns : 0;
}
