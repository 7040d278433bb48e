/* SPDX-License-Identifier: MIT */
/*
 * server_model.c - the references of a server in the explorer: its supervisor frees it after the
 * last use, and once.
 *
 * The product's files but for listeners and connections. The supervisor is virtual thread 0 in the
 * place of a task of its own. A server that is freed while somebody uses it fails the run.
 */
#include "net/server_impl.h"

#include "net/stream_impl.h"
#include "sched/base/alloc.h"
#include "sched/fork.h"
#include "tests/model/absent.h"
#include "tests/sched/model/task_stand_in.h"

#include <errno.h>
#include <rota/timeout.h>

static struct rota_runtime runtime;
static struct rota_loop loop;
static struct roti_spawn supervisor;         /* plain: from the creator to thread 0 */
static _Atomic(bool) spawned;                /* it is */
static _Atomic(struct rota_server *) shared; /* for thread 2, with a reference */
static struct roti_leftover *leftover;       /* thread 0's: left to the end of the run */
static int results[3];                       /* each thread's own */
static int listening;                        /* plain: 1 while the listeners are open */

/* ---- What a server asks of its surroundings ---- */

struct rota_loop *rota_loop_ref(struct rota_loop *self)
{
    return self;
}

void rota_loop_unref(struct rota_loop *self)
{
    (void)self;
}

struct roti_context_ref roti_context_capture(struct rota_context *context)
{
    (void)context;
    return (struct roti_context_ref){0};
}

void roti_context_ref_release(struct roti_context_ref *ref)
{
    (void)ref;
}

int roti_listeners_bind(struct rota_server *server, const struct rota_addr *addr)
{
    (void)server, (void)addr;
    return 0;
}

int roti_listeners_start(struct rota_server *server)
{
    (void)server;
    ROTI_PLAIN_WRITE(&listening);
    listening = 1;
    return 0;
}

/* Also where the listeners were never started. */
void roti_listeners_close(struct rota_server *server, bool drain)
{
    (void)server, (void)drain;
    ROTI_PLAIN_WRITE(&listening);
    listening = 0;
}

void roti_listeners_free(struct rota_server *server)
{
    (void)server;
    ROTI_PLAIN_READ(&listening);
    MODEL_ASSERT(listening == 0);
}

void roti_stop_add(struct roti_stop *stop, struct roti_stop_listener *listener)
{
    (void)stop, (void)listener;
}

void roti_stop_remove(struct roti_stop *stop, struct roti_stop_listener *listener)
{
    (void)stop, (void)listener;
}

int roti_server_spawn(struct rota_server *server, struct rota_loop *at, rota_task_fn fn, void *arg,
                      const struct rota_task_opts *opts, uint32_t flags)
{
    (void)server, (void)at;
    ROTI_PLAIN_WRITE(&supervisor);
    supervisor = (struct roti_spawn){.fn = fn, .arg = arg, .opts = opts, .flags = flags};
    /* [TU1] release: pairs with [TU3]. */
    roti_store(TU1, release, &spawned, true);
    return 0;
}

void roti_runtime_leave(struct rota_runtime *self, struct roti_leftover *left)
{
    MODEL_ASSERT(self == &runtime && leftover == NULL);
    leftover = left;
}

const struct sockaddr *rota_addr_sockaddr(const struct rota_addr *addr, socklen_t *ret_size)
{
    *ret_size = sizeof addr->sockaddr;
    return &addr->sockaddr.any;
}

int roti_stream_check_opts(const struct rota_stream_opts *opts)
{
    (void)opts;
    return 0;
}

void rota_server_abort_clients(struct rota_server *server)
{
    MODEL_ASSERT(rota_server_connection_count(server) == 0);
}

MODEL_ABSENT(int, roti_fork_no_loop, void)
MODEL_ABSENT(void, rota_server_close_clients, struct rota_server *server)
MODEL_ABSENT(void, roti_connections_cancel, struct rota_server *server)
MODEL_ABSENT(int, rota_timeout_begin, struct rota_timeout *timeout, int64_t delay_ns)
MODEL_ABSENT(int, rota_timeout_end, struct rota_timeout *timeout, int status)

/* ---- Threads ---- */

static bool is_spawned(void *arg)
{
    (void)arg;
    return roti_load(TU2, relaxed, &spawned);
}

static void supervises(unsigned thread)
{
    (void)thread;
    roti_worker_current()->loop = &loop;
    model_wait_until(is_spawned, NULL);
    while (!roti_load(TU3, acquire, &spawned))
        roti_pause();
    ROTI_PLAIN_READ(&supervisor);
    (void)supervisor.fn(supervisor.arg);
    supervisor.opts->arg_release(supervisor.arg);
}

static int serve(struct rota_stream *stream, void *arg)
{
    (void)stream, (void)arg;
    return 0;
}

/* A server that serves, with one reference; NULL: the end of the run came between. */
static struct rota_server *create(void)
{
    static const struct rota_addr addr = {.sockaddr.any.sa_family = AF_INET};
    struct rota_server *server = NULL;
    roti_worker_current()->loop = &loop;
    int r = rota_server_create(&server, &addr, serve, NULL, NULL);
    MODEL_ASSERT(r == (server != NULL ? 0 : ROTA_ECLOSED));
    return server;
}

/* Hands thread 2 a reference of its own. The server's lock orders what it sees of it. */
static struct rota_server *create_shared(void)
{
    struct rota_server *server = create();
    roti_store(TU4, relaxed, &shared, rota_server_ref(server));
    return server;
}

static bool is_shared(void *arg)
{
    (void)arg;
    return roti_load(TU5, relaxed, &shared) != NULL;
}

static struct rota_server *take_shared(void)
{
    struct rota_server *server;
    model_wait_until(is_shared, NULL);
    roti_worker_current()->loop = &loop;
    while ((server = roti_load(TU6, relaxed, &shared)) == NULL)
        roti_pause();
    return server;
}

static void creates_and_drops(unsigned thread)
{
    (void)thread;
    rota_server_unref(create());
}

static void creates_and_closes(unsigned thread)
{
    (void)thread;
    struct rota_server *server = create_shared();
    rota_server_close(server);
    rota_server_unref(server);
}

static void waits_closed(unsigned thread)
{
    struct rota_server *server = take_shared();
    results[thread] = rota_server_wait_closed(server);
    MODEL_ASSERT(!rota_server_is_serving(server));
    rota_server_unref(server);
}

static void creates_and_serves(unsigned thread)
{
    struct rota_server *server = create_shared();
    results[thread] = rota_server_serve_forever(server);
    rota_server_unref(server);
}

static void closes(unsigned thread)
{
    struct rota_server *server = take_shared();
    (void)thread;
    rota_server_close(server);
    rota_server_unref(server);
}

/* What a callback does while the run ends; its reference ends with the run. */
static void creates_and_asks(unsigned thread)
{
    struct rota_server *server = create();
    if (server == NULL)
        return;
    results[thread] = 1;
    rota_server_close(server);
    MODEL_ASSERT(rota_server_connection_count(server) == 0);
}

/* The end of the run, for the runtime's own tasks. */
static void cancels_supervisor(unsigned thread)
{
    (void)thread;
    (void)roti_task_cancel_request(&stand_ins[0].task, NULL);
}

/* ---- The tests ---- */

static void reset(void)
{
    static struct roti_worker *workers[] = {&loop.worker};
    stand_in_reset(3);
    loop.runtime = &runtime;
    runtime.pool.workers = workers;
    roti_store(TU9, relaxed, &runtime.pool.worker_count, 1U);
    roti_store(TU10, relaxed, &runtime.pool.active_count, 1U);
    roti_store(TU7, relaxed, &spawned, false);
    roti_store(TU8, relaxed, &shared, NULL);
    leftover = NULL;
    results[1] = results[2] = 0;
    listening = 0;
}

static void check(void)
{
    MODEL_ASSERT(leftover == NULL);
    MODEL_ASSERT(results[1] == 0 && results[2] == 0);
    MODEL_ASSERT(model_live_blocks() == 0);
}

/* A server with a reference is there to the end, which the check plays. */
static void check_ended(void)
{
    MODEL_ASSERT(results[1] == 0 || leftover != NULL);
    if (leftover != NULL)
        leftover->run_ended(leftover);
    MODEL_ASSERT(model_live_blocks() == 0);
    MODEL_OUTCOME(leftover != NULL);
}

static void check_served(void)
{
    MODEL_ASSERT(results[1] == 0 || results[1] == ROTA_ECLOSED); /* closed before it began */
    results[1] = 0;
    check();
}

MODEL_TEST(server_dropped) = {
    .threads = {supervises, creates_and_drops}, .setup = reset, .check = check};
MODEL_TEST(server_waited_for) = {
    .threads = {supervises, creates_and_closes, waits_closed}, .setup = reset, .check = check};
MODEL_TEST(server_serves_forever) = {
    .threads = {supervises, creates_and_serves, closes}, .setup = reset, .check = check_served};
MODEL_TEST(server_left) = {.threads = {supervises, creates_and_asks, cancels_supervisor},
                           .setup = reset,
                           .check = check_ended};
MODEL_TEST(server_end_of_run) = {.threads = {supervises, creates_and_drops, cancels_supervisor},
                                 .setup = reset,
                                 .check = check_ended};

MODEL_SURVIVES("W4:0", "each task is resumed by its own thread here: see model_word");
