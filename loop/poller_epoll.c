/* SPDX-License-Identifier: MIT */
/*
 * poller_epoll.c - the poller by epoll.
 *
 * Descriptors are added once, edge-triggered, for all that may happen, with {slot, generation} as
 * data. An event only marks the readiness word and wakes who waits there; the woken tasks make
 * their calls themselves, on whatever loop they run.
 *
 * Urgent data (EPOLLPRI) is asked for although nobody reads it: a read stops at its mark, and must
 * not be taken for one that emptied the socket.
 *
 * The eventfd is edge-triggered too, and never read: each write is an edge, and edges between two
 * waits are one event. Only when its counter is full, once in 2^64 writes, a write is refused and
 * makes no edge; it is emptied then and written again.
 */
#include "loop/io_impl.h"
#include "loop/syscall.h"
#include "sched/base/assert.h"
#include "sched/wait.h"

#include <errno.h>

#define NS_PER_MS INT64_C(1000000)

#define EVENTS_IN (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define EVENTS_OUT (EPOLLOUT | EPOLLHUP | EPOLLERR)

static void close_if_open(int *fd)
{
    if (*fd >= 0)
        roti_sys_close(*fd);
    *fd = -1;
}

static void epoll_done(struct roti_poller *poller)
{
    close_if_open(&poller->wake_fd);
    close_if_open(&poller->epoll_fd);
}

static int epoll_init(struct roti_poller *poller)
{
    poller->has_pwait2 = true;
    poller->wake_fd = -1;
    poller->epoll_fd = roti_sys_epoll_create();
    int r = poller->epoll_fd;
    if (r >= 0) {
        poller->wake_fd = roti_sys_eventfd();
        r = poller->wake_fd;
    }
    if (r >= 0)
        r = roti_sys_epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->wake_fd, EPOLLIN | EPOLLET,
                               ROTI_IO_TOKEN_NONE);
    if (r < 0)
        epoll_done(poller);
    return r < 0 ? r : 0;
}

static void epoll_wake(struct roti_poller *poller)
{
    const uint64_t one = 1;
    uint64_t count;
    while (roti_sys_write(poller->wake_fd, &one, sizeof one) == -EAGAIN)
        roti_sys_read(poller->wake_fd, &count, sizeof count);
}

/* The kernel takes EPOLLEXCLUSIVE with few other flags, which are all that a listener needs. */
static int epoll_add(struct roti_poller *poller, struct roti_io *io, bool shared)
{
    uint32_t events = shared ? EPOLLIN | EPOLLET | EPOLLEXCLUSIVE
                             : EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
    return roti_sys_epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, io->fd, events, roti_io_token(io));
}

static void epoll_remove(struct roti_poller *poller, struct roti_io *io)
{
    if (poller->epoll_fd >= 0)
        roti_sys_epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, io->fd, 0, 0);
}

/* As with a listener: one that waits is told, and where nobody waits all are. */
static int epoll_watch_ticker(struct roti_poller *poller, int fd)
{
    return roti_sys_epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd,
                              EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, ROTI_IO_TOKEN_NONE);
}

/* Milliseconds that are no less; the argument is at most ROTI_POLLER_TIMEOUT_MAX_NS. */
static int milliseconds_up(int64_t timeout_ns)
{
    return timeout_ns < 0 ? -1 : (int)((timeout_ns + NS_PER_MS - 1) / NS_PER_MS);
}

/* Fills the batch. The number of events; 0 also where a signal ended the wait. */
static int collect(struct roti_poller *poller, int64_t timeout_ns)
{
    int count = -ENOSYS;
    /* Only a finite wait has nanoseconds to lose; the older call costs half as much. */
    if (timeout_ns > 0 && poller->has_pwait2) {
        count =
            roti_sys_epoll_pwait2(poller->epoll_fd, poller->events, ROTI_POLLER_BATCH, timeout_ns);
        /* Linux before 5.11; and filters of system calls that say EPERM to what they do not know.
         */
        poller->has_pwait2 = count != -ENOSYS && count != -EPERM;
    }
    if (timeout_ns <= 0 || !poller->has_pwait2)
        count = roti_sys_epoll_wait(poller->epoll_fd, poller->events, ROTI_POLLER_BATCH,
                                    milliseconds_up(timeout_ns));
    ROTI_ASSERT(count != -EBADF && count != -EINVAL && count != -EFAULT);
    return count < 0 ? 0 : count;
}

/* The flags of the readiness word that an event sets. */
static uint64_t flags_of(uint32_t events)
{
    uint64_t flags = 0;
    if (events & EVENTS_IN)
        flags |= ROTI_READY_READ;
    if (events & EVENTS_OUT)
        flags |= ROTI_READY_WRITE;
    if (events & EPOLLRDHUP)
        flags |= ROTI_READY_RDHUP;
    if (events & EPOLLHUP)
        flags |= ROTI_READY_HUP;
    if (events & EPOLLERR)
        flags |= ROTI_READY_ERR;
    if (events & EPOLLPRI)
        flags |= ROTI_READY_PRI;
    return flags;
}

static void epoll_wait_batch(struct roti_poller *poller, int64_t timeout_ns)
{
    poller->event_count = collect(poller, timeout_ns);
}

/* Marks what a batch tells, and wakes who waited for it. */
static unsigned take_events(const struct epoll_event *events, int count)
{
    struct roti_list woken;
    unsigned news = 0;
    roti_list_init(&woken);
    for (int i = 0; i < count; i++) {
        uint64_t token = events[i].data.u64;
        if (token != ROTI_IO_TOKEN_NONE)
            news += roti_io_edge(token, flags_of(events[i].events), &woken);
    }
    if (!roti_list_empty(&woken))
        roti_wait_wake_all(&woken);
    return news;
}

static unsigned epoll_take_batch(struct roti_poller *poller)
{
    int count = poller->event_count;
    poller->event_count = 0;
    return take_events(poller->events, count);
}

/* With a batch of its own: the owner's may be half written. */
static unsigned epoll_rescue(struct roti_poller *poller)
{
    struct epoll_event events[ROTI_RESCUE_BATCH];
    unsigned news = 0;
    int count = ROTI_RESCUE_BATCH;
    for (int i = 0; i < ROTI_RESCUE_CALLS && count == ROTI_RESCUE_BATCH; i++) {
        count = roti_sys_epoll_wait(poller->epoll_fd, events, ROTI_RESCUE_BATCH, 0);
        news += take_events(events, count);
    }
    return news;
}

const struct roti_poller_ops roti_poller_epoll = {
    .name = "epoll",
    .init = epoll_init,
    .done = epoll_done,
    .wait = epoll_wait_batch,
    .take = epoll_take_batch,
    .rescue = epoll_rescue,
    .wake = epoll_wake,
    .add = epoll_add,
    .watch_ticker = epoll_watch_ticker,
    .remove = epoll_remove,
    .perform = roti_io_perform_ready,
};
