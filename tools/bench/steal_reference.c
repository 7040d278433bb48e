/* SPDX-License-Identifier: MIT */
/*
 * steal_reference.c - the echo server that stealing is measured against: epoll, a thread for each
 * CPU, each with its own listening socket of one port. What a thread has accepted stays with it.
 *
 * The threads are bound to no CPU, so that the kernel can make room for the client.
 */
#include "tools/bench/steal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 64
#define THREADS_MAX 256

struct connection {
    int fd;
    size_t got;
    struct steal_message message;
};

struct serving {
    struct steal_session *session;
    uint64_t index;
    pthread_t thread;
    int epoll;
    struct connection listener;
    struct connection *stop; /* an eventfd that every thread watches, and nobody reads */
    unsigned connection_count;
    int error;
    _Atomic(uint64_t) turns; /* calls of epoll_wait() */
};

struct reference {
    struct connection stop;
    unsigned count;
    struct serving serving[THREADS_MAX];
};

/* ---- Sockets ---- */

static int watch(int epoll, struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0 ? -errno : 0;
}

/* Listens at *port, or where that is 0 at one that the kernel chooses. */
static int listen_at(int fd, uint16_t *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t size = sizeof addr;
    int on = 1;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &size) < 0)
        return -errno;
    *port = ntohs(addr.sin_port);
    return 0;
}

static void accept_one(struct serving *serving)
{
    int on = 1;
    int fd = accept4(serving->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        serving->error = -errno;
        return;
    }
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        (void)close(fd);
        serving->error = -ENOMEM;
        return;
    }
    connection->fd = fd;
    serving->connection_count++;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    serving->error = watch(serving->epoll, connection);
}

/* ---- Echo ---- */

static void drop(struct serving *serving, struct connection *connection)
{
    (void)close(connection->fd); /* which takes it out of epoll */
    free(connection);
    serving->connection_count--;
}

static void echo(struct serving *serving, struct connection *connection)
{
    char *message = (char *)&connection->message;
    size_t size = sizeof connection->message;
    ssize_t n = recv(connection->fd, message + connection->got, size - connection->got, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        drop(serving, connection);
        return;
    }
    connection->got += (size_t)n;
    if (connection->got < size)
        return;
    connection->got = 0;
    steal_handle(serving->session, &connection->message, serving->index);
    /* There is room: the client sends no more before it has this answer. */
    if (send(connection->fd, message, size, MSG_NOSIGNAL) != (ssize_t)size)
        drop(serving, connection);
}

/* Serves until it is told to stop and no client is left: they go of themselves. */
static void *serve(void *arg)
{
    struct serving *serving = arg;
    struct epoll_event events[EVENTS_MAX];
    bool stopped = false;
    while (serving->error == 0 && (!stopped || serving->connection_count > 0)) {
        int n = epoll_wait(serving->epoll, events, EVENTS_MAX, -1);
        atomic_fetch_add_explicit(&serving->turns, 1, memory_order_relaxed);
        for (int i = 0; i < n; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == &serving->listener) {
                accept_one(serving);
            } else if (connection == serving->stop) {
                stopped = true;
                (void)epoll_ctl(serving->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
            } else {
                echo(serving, connection);
            }
        }
    }
    return NULL;
}

/* ---- Start and end ---- */

static int open_serving(struct serving *serving, uint16_t *port)
{
    serving->epoll = epoll_create1(EPOLL_CLOEXEC);
    serving->listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (serving->epoll < 0 || serving->listener.fd < 0)
        return -errno;
    int r = listen_at(serving->listener.fd, port);
    if (r == 0)
        r = watch(serving->epoll, &serving->listener);
    return r < 0 ? r : watch(serving->epoll, serving->stop);
}

static void close_serving(struct serving *serving)
{
    if (serving->epoll >= 0)
        (void)close(serving->epoll);
    if (serving->listener.fd >= 0)
        (void)close(serving->listener.fd);
}

static void look(void *server, struct steal_work *work)
{
    struct reference *reference = server;
    for (unsigned i = 0; i < reference->count; i++)
        work->turns += atomic_load_explicit(&reference->serving[i].turns, memory_order_relaxed);
}

static void stop(void *server)
{
    struct reference *reference = server;
    (void)eventfd_write(reference->stop.fd, 1);
}

/* All threads, this one among them, and the conductor. */
static int run_threads(struct reference *reference, struct steal_session *session)
{
    unsigned started = 1;
    int r = 0;
    while (r == 0 && started < reference->count) {
        struct serving *serving = &reference->serving[started];
        r = -pthread_create(&serving->thread, NULL, serve, serving);
        started += r == 0;
    }
    if (r == 0)
        r = steal_conduct(session);
    bool conducted = r == 0;
    if (conducted)
        (void)serve(&reference->serving[0]);
    else
        stop(reference);
    for (unsigned i = 1; i < started; i++)
        (void)pthread_join(reference->serving[i].thread, NULL);
    if (conducted)
        steal_conducted(session);
    for (unsigned i = 0; r == 0 && i < started; i++)
        r = reference->serving[i].error;
    return r;
}

int steal_serve_reference(struct steal_session *session)
{
    if (session->threads > THREADS_MAX)
        return -EINVAL;
    struct reference *reference = calloc(1, sizeof *reference);
    if (reference == NULL)
        return -ENOMEM;
    reference->stop.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = reference->stop.fd < 0 ? -errno : 0;
    for (unsigned i = 0; r == 0 && i < session->threads; i++) {
        struct serving *serving = &reference->serving[reference->count++];
        serving->session = session;
        serving->index = i;
        serving->stop = &reference->stop;
        r = open_serving(serving, &session->port);
    }
    session->look = look;
    session->stop = stop;
    session->server = reference;
    if (r == 0)
        r = run_threads(reference, session);
    for (unsigned i = 0; i < reference->count; i++)
        close_serving(&reference->serving[i]);
    if (reference->stop.fd >= 0)
        (void)close(reference->stop.fd);
    free(reference);
    return r;
}
