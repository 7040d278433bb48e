/* SPDX-License-Identifier: MIT */
/*
 * socket.c - stream sockets of the simulated kernel: TCP over a network that delays, splits and
 * breaks, and unix sockets, which only split.
 *
 * A connection is two sockets that know each other. What one sends is on its way as a segment with
 * an instant of arrival, in order, and lies in the other's buffer from then on. An end of the
 * stream travels the same way; a reset overtakes everything.
 */
#include "tests/sim/socket.h"

#include "loop/syscall.h"
#include "tests/sim/engine.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define US INT64_C(1000)

struct segment {
    struct sim_socket *to;
    size_t size;
    bool end;
    char bytes[];
};

/* ---- Life ---- */

struct sim_socket *sim_socket_of(int fd)
{
    struct sim_file *file = sim_file_of(fd);
    return file != NULL && file->kind == SIM_FILE_SOCKET ? (struct sim_socket *)file : NULL;
}

struct sim_socket *sim_socket_make(int family)
{
    struct sim_socket *made = calloc(1, sizeof *made);
    char *bytes = malloc(SIM_BUFFER_MAX);
    if (made == NULL || bytes == NULL)
        sim_fail("no memory for a socket");
    made->file.kind = SIM_FILE_SOCKET;
    roti_list_init(&made->file.watches);
    made->family = family;
    made->bytes = bytes;
    made->capacity = sim_chance(SIM_PARTIAL) ? 1 + sim_choose(SIM_PARTIAL, 2000) : SIM_BUFFER_MAX;
    return made;
}

/* Frees it once nobody names it, knows it or has something under way to it. */
void sim_socket_free_if_gone(struct sim_socket *gone)
{
    if (!gone->closed || gone->references > 0)
        return;
    free(gone->bytes);
    free(gone);
}

int roti_sys_socket(int family)
{
    sim_kernel_enter();
    if (sim_chance(SIM_LIMIT))
        return -EMFILE;
    struct sim_socket *made = sim_socket_make(family);
    int fd = sim_file_install(&made->file);
    if (fd < 0) {
        made->closed = true;
        sim_socket_free_if_gone(made);
    }
    return fd;
}

void sim_socket_join(struct sim_socket *one, struct sim_socket *two)
{
    one->peer = two;
    two->peer = one;
    one->connected = true;
    two->connected = true;
}

int roti_sys_socketpair(int ret_fds[2])
{
    sim_kernel_enter();
    if (sim_chance(SIM_LIMIT))
        return -EMFILE;
    struct sim_socket *one = sim_socket_make(AF_UNIX);
    struct sim_socket *two = sim_socket_make(AF_UNIX);
    sim_socket_join(one, two);
    ret_fds[0] = sim_file_install(&one->file);
    ret_fds[1] = sim_file_install(&two->file);
    return ret_fds[0] < 0 || ret_fds[1] < 0 ? -EMFILE : 0;
}

/* ---- What it says of itself ---- */

static size_t room_at(const struct sim_socket *to)
{
    size_t taken = to->count + to->under_way;
    return taken < to->capacity ? to->capacity - taken : 0;
}

uint32_t sim_socket_events(const struct sim_file *file)
{
    const struct sim_socket *self = (const struct sim_socket *)file;
    uint32_t events = 0;
    if (self->listening)
        return self->queued > 0 ? EPOLLIN : 0;
    if (!self->connected && !self->connecting && !self->reset && self->error == 0)
        return EPOLLOUT | EPOLLHUP;
    if (self->connecting)
        return 0;
    if (self->count > 0 || self->end_seen || self->reset || self->error != 0)
        events |= EPOLLIN;
    if (self->end_seen || self->reset)
        events |= EPOLLRDHUP;
    if ((self->end_seen && self->end_sent) || self->reset)
        events |= EPOLLHUP;
    if (self->error != 0)
        events |= EPOLLERR;
    if (self->reset || self->error != 0 || self->end_sent || self->peer == NULL ||
        room_at(self->peer) > 0)
        events |= EPOLLOUT;
    return events;
}

void sim_socket_tell(struct sim_socket *self)
{
    if (!self->closed)
        sim_file_event(&self->file, sim_socket_events(&self->file));
}

/* ---- The network ---- */

int64_t sim_socket_delay_ns(const struct sim_socket *to)
{
    if (to->family == AF_UNIX || !sim_chance(SIM_DELAY))
        return 0;
    return (1 + sim_choose(SIM_DELAY, 5000)) * US;
}

void sim_socket_break(struct sim_socket *self, int error)
{
    if (self == NULL || self->reset)
        return;
    self->reset = true;
    self->error = error;
    self->connecting = false;
    self->count = 0;
    sim_trace("a connection breaks\n");
    sim_socket_tell(self);
}

static void arrive(void *arg, uint64_t unused)
{
    struct segment *segment = arg;
    struct sim_socket *to = segment->to;
    (void)unused;
    to->under_way -= segment->size;
    to->references--;
    if (to->closed) {
        if (segment->size > 0)
            sim_socket_break(to->peer, ECONNRESET);
    } else if (!to->reset) {
        for (size_t i = 0; i < segment->size; i++)
            to->bytes[(to->first + to->count++) % SIM_BUFFER_MAX] = segment->bytes[i];
        to->end_seen = to->end_seen || segment->end;
        sim_trace("%zu bytes arrive%s\n", segment->size, segment->end ? ", and the end" : "");
        sim_socket_tell(to);
    }
    free(segment);
    sim_socket_free_if_gone(to);
}

static void dispatch(struct sim_socket *to, const void *data, size_t size, bool end)
{
    struct segment *segment = malloc(sizeof *segment + size);
    if (segment == NULL)
        sim_fail("no memory for a segment");
    *segment = (struct segment){.to = to, .size = size, .end = end};
    if (size > 0)
        memcpy(segment->bytes, data, size);
    to->under_way += size;
    to->references++;
    int64_t at_ns = sim_now() + sim_socket_delay_ns(to);
    if (at_ns < to->last_arrival_ns)
        at_ns = to->last_arrival_ns;
    to->last_arrival_ns = at_ns;
    if (at_ns <= sim_now() && to->references == 1) /* and nothing that was sent before */
        arrive(segment, 0);
    else
        sim_at(at_ns, arrive, segment, 0);
}

/* ---- Bytes ---- */

int sim_socket_take_error(struct sim_socket *self)
{
    int error = self->error;
    self->error = 0;
    return -error;
}

static ssize_t transmit(struct sim_socket *self, const void *data, size_t size)
{
    if (self == NULL)
        return -EBADF;
    if (self->error != 0)
        return sim_socket_take_error(self);
    if (!self->connected || self->end_sent || self->reset || self->peer == NULL)
        return self->connecting ? -EAGAIN : -EPIPE;
    if (self->family != AF_UNIX && sim_chance(SIM_RESET)) {
        sim_socket_break(self->peer, ECONNRESET);
        sim_socket_break(self, ECONNRESET);
        return sim_socket_take_error(self);
    }
    size_t room = room_at(self->peer);
    if (room == 0) {
        self->wants_room = true;
        return -EAGAIN;
    }
    size_t sent = size < room ? size : room;
    if (sent > 1 && sim_chance(SIM_PARTIAL))
        sent = 1 + sim_choose(SIM_PARTIAL, (uint32_t)sent);
    if (sent < size)
        self->wants_room = true;
    sim_note(sent);
    dispatch(self->peer, data, sent, false);
    return (ssize_t)sent;
}

static ssize_t receive(struct sim_socket *self, void *buffer, size_t size, bool peek)
{
    if (self == NULL)
        return -EBADF;
    if (self->error != 0)
        return sim_socket_take_error(self);
    if (self->count == 0)
        return self->end_seen || self->reset ? 0 : self->connected ? -EAGAIN : -ENOTCONN;
    size_t got = size < self->count ? size : self->count;
    /* A short read of TCP says that there is no more: only a unix socket's may be short. */
    if (self->family == AF_UNIX && got > 1 && sim_chance(SIM_PARTIAL))
        got = 1 + sim_choose(SIM_PARTIAL, (uint32_t)got);
    for (size_t i = 0; i < got; i++)
        ((char *)buffer)[i] = self->bytes[(self->first + i) % SIM_BUFFER_MAX];
    sim_note(got);
    if (peek)
        return (ssize_t)got;
    self->first = (self->first + got) % SIM_BUFFER_MAX;
    self->count -= got;
    if (self->peer != NULL && self->peer->wants_room) {
        self->peer->wants_room = false;
        sim_socket_tell(self->peer);
    }
    return (ssize_t)got;
}

ssize_t roti_sys_send(int fd, const void *data, size_t size, int flags)
{
    (void)flags;
    sim_kernel_enter();
    ssize_t r = transmit(sim_socket_of(fd), data, size);
    sim_trace("send(%d, %zu) = %zd\n", fd, size, r);
    return r;
}

ssize_t roti_sys_sendmsg(int fd, const struct msghdr *message, int flags)
{
    static char whole[SIM_BUFFER_MAX];
    size_t size = 0;
    (void)flags;
    sim_kernel_enter();
    for (size_t i = 0; i < message->msg_iovlen && size < sizeof whole; i++) {
        size_t part = message->msg_iov[i].iov_len;
        if (part > sizeof whole - size)
            part = sizeof whole - size;
        memcpy(whole + size, message->msg_iov[i].iov_base, part);
        size += part;
    }
    ssize_t r = transmit(sim_socket_of(fd), whole, size);
    sim_trace("sendmsg(%d, %zu) = %zd\n", fd, size, r);
    return r;
}

void roti_sys_signal_send(int fd, const void *data, size_t size)
{
    (void)transmit(sim_socket_of(fd), data, size);
}

ssize_t roti_sys_recv(int fd, void *buffer, size_t size, int flags)
{
    sim_kernel_enter();
    ssize_t r = receive(sim_socket_of(fd), buffer, size, (flags & MSG_PEEK) != 0);
    sim_trace("recv(%d, %zu) = %zd\n", fd, size, r);
    return r;
}

ssize_t sim_socket_read(struct sim_file *file, void *buffer, size_t size)
{
    return receive((struct sim_socket *)file, buffer, size, false);
}

/* ---- Ends ---- */

static void send_end(struct sim_socket *self)
{
    if (self->end_sent || self->reset)
        return;
    self->end_sent = true;
    if (self->peer != NULL)
        dispatch(self->peer, NULL, 0, true);
}

int roti_sys_shutdown(int fd, int how)
{
    sim_kernel_enter();
    struct sim_socket *self = sim_socket_of(fd);
    if (self == NULL)
        return -EBADF;
    if (self->listening) {
        self->backlog = 0;
        sim_socket_tell(self);
        return 0;
    }
    if (!self->connected)
        return -ENOTCONN;
    if (how != SHUT_RD)
        send_end(self);
    if (how != SHUT_WR)
        self->end_seen = true;
    sim_socket_tell(self);
    return 0;
}

void sim_socket_close(struct sim_file *file)
{
    struct sim_socket *self = (struct sim_socket *)file;
    self->closed = true;
    if (self->listening)
        sim_socket_stop_listening(self);
    if (self->peer != NULL) {
        if (self->count > 0)
            sim_socket_break(self->peer, ECONNRESET);
        else
            send_end(self);
        self->peer->peer = NULL;
        if (self->peer->wants_room)
            sim_socket_tell(self->peer);
        self->peer = NULL;
    }
    sim_socket_free_if_gone(self);
}
