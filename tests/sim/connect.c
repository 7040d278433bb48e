/* SPDX-License-Identifier: MIT */
/*
 * connect.c - addresses, listeners and connections of the simulated kernel, and options of sockets.
 */
#include "tests/sim/socket.h"

#include "loop/syscall.h"
#include "tests/sim/engine.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define SYN_AGAIN_NS INT64_C(1000000000) /* a listener with a full queue answers nothing */
#define FIRST_PORT 40000

static struct sim_socket *listeners[64];
static unsigned listener_count;
static uint16_t next_port = FIRST_PORT;

/* ---- Listeners ---- */

/* Connections that nobody has accepted break. */
void sim_socket_stop_listening(struct sim_socket *self)
{
    for (unsigned i = 0; i < listener_count; i++)
        if (listeners[i] == self)
            listeners[i] = listeners[--listener_count];
    for (unsigned i = 0; i < self->queued; i++) {
        struct sim_socket *left = self->queue[i];
        sim_socket_break(left->peer, ECONNRESET);
        if (left->peer != NULL)
            left->peer->peer = NULL;
        left->closed = true;
        sim_socket_free_if_gone(left);
    }
}

/* ---- Addresses and connections ---- */

static bool is_same_addr(const struct sim_socket *bound, const struct sockaddr *addr,
                         socklen_t size)
{
    if (bound->addr.ss_family != addr->sa_family)
        return false;
    if (addr->sa_family == AF_INET)
        return ((const struct sockaddr_in *)&bound->addr)->sin_port ==
               ((const struct sockaddr_in *)addr)->sin_port;
    return bound->addr_size == size && memcmp(&bound->addr, addr, size) == 0;
}

int roti_sys_bind(int fd, const struct sockaddr *addr, socklen_t size)
{
    sim_kernel_enter();
    struct sim_socket *self = sim_socket_of(fd);
    memcpy(&self->addr, addr, size);
    self->addr_size = size;
    struct sockaddr_in *inet = (struct sockaddr_in *)&self->addr;
    if (addr->sa_family == AF_INET && inet->sin_port == 0)
        inet->sin_port = htons(next_port++);
    return 0;
}

int roti_sys_listen(int fd, int backlog)
{
    sim_kernel_enter();
    struct sim_socket *self = sim_socket_of(fd);
    self->listening = true;
    self->backlog =
        (unsigned)backlog + 1 < SIM_BACKLOG_MAX ? (unsigned)backlog + 1 : SIM_BACKLOG_MAX;
    listeners[listener_count++] = self;
    return 0;
}

static struct sim_socket *listener_for(const struct sockaddr *addr, socklen_t size)
{
    struct sim_socket *found[64];
    uint32_t count = 0;
    for (unsigned i = 0; i < listener_count; i++)
        if (listeners[i]->backlog > 0 && is_same_addr(listeners[i], addr, size))
            found[count++] = listeners[i];
    return count > 0 ? found[sim_choose(SIM_EVENTS, count)] : NULL;
}

/* The other side's end of a new connection, in the listener's queue. */
static void establish(struct sim_socket *self, struct sim_socket *listener)
{
    struct sim_socket *accepted = sim_socket_make(self->family);
    accepted->addr = listener->addr;
    accepted->addr_size = listener->addr_size;
    accepted->peer_addr = self->addr;
    accepted->peer_addr_size = self->addr_size;
    self->connecting = false;
    sim_socket_join(self, accepted);
    listener->queue[listener->queued++] = accepted;
    sim_trace("a connection is established\n");
    sim_socket_tell(listener);
    sim_socket_tell(self);
}

/* A connection request arrives. */
static void knock(void *arg, uint64_t unused)
{
    struct sim_socket *self = arg;
    (void)unused;
    self->references--;
    if (self->closed) {
        sim_socket_free_if_gone(self);
        return;
    }
    struct sim_socket *listener =
        listener_for((struct sockaddr *)&self->peer_addr, self->peer_addr_size);
    if (listener == NULL || sim_chance(SIM_RESET)) {
        sim_socket_break(self, ECONNREFUSED);
    } else if (listener->queued >= listener->backlog) {
        self->references++;
        sim_at(sim_now() + SYN_AGAIN_NS, knock, self, 0);
    } else {
        establish(self, listener);
    }
}

static int connect_unix(struct sim_socket *self, const struct sockaddr *addr, socklen_t size)
{
    struct sim_socket *listener = listener_for(addr, size);
    if (listener == NULL)
        return -ECONNREFUSED;
    if (listener->queued >= listener->backlog)
        return -EAGAIN;
    establish(self, listener);
    return 0;
}

int roti_sys_connect(int fd, const struct sockaddr *addr, socklen_t size)
{
    sim_kernel_enter();
    struct sim_socket *self = sim_socket_of(fd);
    if (self->connected)
        return -EISCONN;
    if (self->connecting)
        return -EALREADY;
    memcpy(&self->peer_addr, addr, size);
    self->peer_addr_size = size;
    if (self->family == AF_UNIX)
        return connect_unix(self, addr, size);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(next_port++)};
    memcpy(&self->addr, &own, sizeof own);
    self->addr_size = sizeof own;
    self->connecting = true;
    self->references++;
    int64_t wait_ns = sim_socket_delay_ns(self);
    if (wait_ns > 0)
        sim_at(sim_now() + wait_ns, knock, self, 0);
    else
        knock(self, 0);
    return self->connecting ? -EINPROGRESS : self->connected ? 0 : sim_socket_take_error(self);
}

int roti_sys_accept(int fd, struct sockaddr_storage *peer, socklen_t *size)
{
    sim_kernel_enter();
    struct sim_socket *self = sim_socket_of(fd);
    if (self == NULL)
        return -EBADF;
    if (sim_chance(SIM_LIMIT)) {
        static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED};
        return -errors[sim_choose(SIM_LIMIT, 5)];
    }
    if (self->queued == 0)
        return self->backlog == 0 ? -EINVAL : -EAGAIN;
    struct sim_socket *accepted = self->queue[0];
    int accepted_fd = sim_file_install(&accepted->file);
    if (accepted_fd < 0)
        return accepted_fd;
    memmove(self->queue, self->queue + 1, --self->queued * sizeof *self->queue);
    if (peer != NULL) {
        *peer = accepted->peer_addr;
        *size = accepted->peer_addr_size;
    }
    sim_trace("accept(%d) = %d\n", fd, accepted_fd);
    return accepted_fd;
}

/* ---- Options ---- */

int roti_sys_getsockopt(int fd, int level, int name, int *ret_value)
{
    sim_kernel_enter();
    struct sim_socket *self = sim_socket_of(fd);
    if (self == NULL)
        return -ENOTSOCK;
    if (level != SOL_SOCKET)
        sim_fail("getsockopt: level %d is not simulated", level);
    if (name == SO_PROTOCOL)
        *ret_value = self->family == AF_UNIX ? 0 : IPPROTO_TCP;
    else if (name == SO_DOMAIN)
        *ret_value = self->family;
    else if (name == SO_ERROR)
        *ret_value = -sim_socket_take_error(self);
    else if (name == SO_TYPE)
        *ret_value = SOCK_STREAM;
    else if (name == SO_ACCEPTCONN)
        *ret_value = self->listening;
    else
        sim_fail("getsockopt: option %d is not simulated", name);
    return 0;
}

int roti_sys_setsockopt(int fd, int level, int name, int value)
{
    (void)level;
    (void)name;
    (void)value;
    return sim_socket_of(fd) != NULL ? 0 : -ENOTSOCK;
}

int roti_sys_getsockname(int fd, struct sockaddr_storage *addr, socklen_t *ret_size)
{
    const struct sim_socket *self = sim_socket_of(fd);
    if (self == NULL)
        return -ENOTSOCK;
    *addr = self->addr;
    *ret_size = self->addr_size;
    return 0;
}

int roti_sys_getpeername(int fd, struct sockaddr_storage *addr, socklen_t *ret_size)
{
    const struct sim_socket *self = sim_socket_of(fd);
    if (self == NULL || !self->connected)
        return -ENOTCONN;
    *addr = self->peer_addr;
    *ret_size = self->peer_addr_size;
    return 0;
}
