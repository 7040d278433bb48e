/* SPDX-License-Identifier: MIT */
/*
 * stop.c - how a run is asked to end. The essay is in the header.
 */
#include "loop/stop.h"

#include "loop/doorbell.h"
#include "loop/io.h"
#include "loop/loop_impl.h"
#include "loop/syscall.h"
#include "sched/base/assert.h"
#include "sched/cancel.h"

#include <errno.h>
#include <rota/error.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static const int signal_numbers[2] = {SIGINT, SIGTERM};

/* What the handler may touch: this, and the doorbell. */
static _Atomic(uint32_t) signal_counts[2];

/* ---- The handler ---- */

static void on_signal(int number)
{
    int which = number == SIGINT ? 0 : 1;
    /* [SG1] relaxed: one word; the byte is the message. */
    if (roti_fetch_add(SG1, relaxed, &signal_counts[which], 1U) > 0) {
        signal(number, SIG_DFL); /* the second one: somebody is in a hurry */
        raise(number);
        return;
    }
    roti_doorbell_ring((char)number);
}

/* Takes over each disposition that is the default. Only one runtime of a process at a time does. */
static void install_handlers(struct roti_stop *stop)
{
    if (!roti_doorbell_hang(stop->sockets[0]))
        return;
    for (int i = 0; i < 2; i++) {
        struct sigaction old;
        struct sigaction ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
        sigfillset(&ours.sa_mask);
        /* [SG5] relaxed: read by the handler, which is installed afterwards. */
        roti_store(SG5, relaxed, &signal_counts[i], 0U);
        if (sigaction(signal_numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL &&
            sigaction(signal_numbers[i], &ours, NULL) == 0)
            stop->handles[i] = true;
    }
}

/* Gives back what is still ours. Nobody writes to the socket afterwards. */
static void remove_handlers(struct roti_stop *stop)
{
    if (stop->sockets[0] < 0)
        return;
    for (int i = 0; i < 2; i++) {
        struct sigaction now;
        if (stop->handles[i] && sigaction(signal_numbers[i], NULL, &now) == 0 &&
            now.sa_handler == on_signal)
            signal(signal_numbers[i], SIG_DFL);
        stop->handles[i] = false;
    }
    roti_doorbell_take(stop->sockets[0]);
}

/* ---- The reader ---- */

static void cancel_main(struct roti_stop *stop)
{
    struct rota_task *main_task = stop->runtime->pool.main_task;
    if (main_task != NULL)
        (void)roti_task_cancel_request(main_task, NULL);
}

/* The body of the runtime's own task. Ends when it is cancelled, in the last phase of the run. */
static int read_signals(void *arg)
{
    struct roti_stop *stop = arg;
    char byte;
    ssize_t n;
    while ((n = roti_io_recv(stop->io, &byte, 1, 0)) == 1) {
        if (byte == SIGTERM) {
            roti_stop_request(stop);
            continue;
        }
        /* [SG4] relaxed: read after the run. */
        roti_store(SG4, relaxed, &stop->interrupted, true);
        cancel_main(stop);
    }
    return (int)n;
}

/* Also where it was cancelled before its first step. */
static void read_signals_release(void *arg)
{
    struct roti_stop *stop = arg;
    roti_io_close(stop->io);
    roti_io_unref(stop->io);
}

/* What can fail does so here, before the user's function runs. */
static int start_reader(struct roti_stop *stop)
{
    static const struct rota_task_opts opts = {.name = "signals",
                                               .arg_release = read_signals_release};
    const struct roti_spawn spawn = {
        .fn = read_signals, .arg = stop, .opts = &opts, .flags = ROTI_TASK_INTERNAL};
    struct roti_worker *worker = roti_worker_current();
    int r = roti_io_open(&stop->io, stop->sockets[1], roti_loop_current());
    if (r < 0)
        return r;
    stop->sockets[1] = -1; /* the operation object owns it now */
    r = roti_task_spawn(worker->pool, worker, &spawn, NULL);
    if (r < 0)
        read_signals_release(stop);
    return r;
}

int roti_stop_main(void *arg)
{
    struct roti_stop *stop = arg;
    int r = stop->sockets[1] >= 0 ? start_reader(stop) : 0;
    return r < 0 ? r : stop->fn(stop->arg);
}

/* ---- Life ---- */

int roti_stop_init(struct roti_stop *stop, struct rota_runtime *runtime, rota_task_fn fn, void *arg,
                   bool wants_signals)
{
    *stop = (struct roti_stop){.runtime = runtime, .fn = fn, .arg = arg, .sockets = {-1, -1}};
    roti_list_init(&stop->listeners);
    runtime->stop = stop;
    if (!wants_signals)
        return 0;
    int r = roti_sys_socketpair(stop->sockets);
    if (r < 0)
        return r;
    install_handlers(stop);
    return 0;
}

bool roti_stop_done(struct roti_stop *stop)
{
    remove_handlers(stop);
    for (int i = 0; i < 2; i++)
        if (stop->sockets[i] >= 0)
            roti_sys_close(stop->sockets[i]);
    /* [SG7] relaxed: every thread of the run has been joined. */
    return roti_load(SG7, relaxed, &stop->interrupted);
}

/* ---- Listeners ---- */

void roti_stop_request(struct roti_stop *stop)
{
    struct roti_list *node;
    roti_spin_lock(&stop->lock);
    bool first = !stop->requested;
    bool heard = !roti_list_empty(&stop->listeners);
    stop->requested = true;
    while ((node = roti_list_pop_front(&stop->listeners)) != NULL) {
        struct roti_stop_listener *listener =
            roti_container_of(node, struct roti_stop_listener, node);
        listener->told(listener);
    }
    roti_spin_unlock(&stop->lock);
    if (first && !heard) {
        /* [SG8] relaxed: as [SG4]. */
        roti_store(SG8, relaxed, &stop->interrupted, true);
        cancel_main(stop);
    }
}

void roti_stop_add(struct roti_stop *stop, struct roti_stop_listener *listener)
{
    roti_list_init(&listener->node);
    roti_spin_lock(&stop->lock);
    if (stop->requested)
        listener->told(listener);
    else
        roti_list_push_back(&stop->listeners, &listener->node);
    roti_spin_unlock(&stop->lock);
}

void roti_stop_remove(struct roti_stop *stop, struct roti_stop_listener *listener)
{
    roti_spin_lock(&stop->lock);
    roti_list_remove(&listener->node);
    roti_spin_unlock(&stop->lock);
}

int rota_runtime_stop(struct rota_runtime *runtime)
{
    if (runtime == NULL)
        return -EINVAL;
    roti_stop_request(runtime->stop);
    return 0;
}
