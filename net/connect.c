/* SPDX-License-Identifier: MIT */
/*
 * connect.c - streams from descriptors: of the program's, and of new connections.
 */
#include "net/stream_impl.h"

#include "loop/io.h"
#include "loop/loop_impl.h"
#include "net/socket.h"
#include "sched/base/alloc.h"
#include "sched/fork.h"

#include <errno.h>
#include <rota/timeout.h>
#include <string.h>

/* How long a connect waits where a unix listener's queue is full, which no poller tells of. */
#define CONNECT_PAUSE_MIN_NS ROTA_MS
#define CONNECT_PAUSE_MAX_NS (50 * ROTA_MS)

static const struct rota_stream_opts default_opts;

int rota_stream_from_fd(struct rota_stream **ret_stream, int fd,
                        const struct rota_stream_opts *opts)
{
    struct rota_stream *stream;
    struct roti_stream_init init = {0};
    struct sockaddr_storage peer;
    socklen_t size;
    if (opts == NULL)
        opts = &default_opts;
    if (ret_stream == NULL)
        return -EINVAL;
    if (roti_loop_current() == NULL)
        return roti_fork_no_loop();
    int r = roti_socket_check_stream(fd);
    if (r == 0)
        r = roti_sys_getpeername(fd, &peer, &size);
    if (r < 0)
        return r;
    init.peer = roti_peer_of(&peer, size);
    r = roti_stream_create(&stream, &init, opts);
    if (r == 0)
        r = roti_stream_open(stream, fd, roti_loop_current());
    if (r < 0)
        return r;
    if (!opts->delay)
        roti_socket_send_at_once(fd);
    *ret_stream = stream;
    return 0;
}

/* ---- Connecting ---- */

static int connect_io(struct roti_io *io, const struct sockaddr *sockaddr, socklen_t size)
{
    int64_t pause_ns = CONNECT_PAUSE_MIN_NS;
    for (;;) {
        int r = roti_io_connect(io, sockaddr, size);
        if (r != -EAGAIN || sockaddr->sa_family != AF_UNIX)
            return r;
        r = rota_sleep(pause_ns);
        if (r < 0)
            return r;
        pause_ns = pause_ns < CONNECT_PAUSE_MAX_NS / 2 ? 2 * pause_ns : CONNECT_PAUSE_MAX_NS;
    }
}

int rota_stream_connect(struct rota_stream **ret_stream, const struct rota_addr *addr,
                        const struct rota_stream_opts *opts)
{
    struct rota_stream *stream;
    struct roti_stream_init init = {0};
    socklen_t size = 0;
    const struct sockaddr *sockaddr = rota_addr_sockaddr(addr, &size);
    if (opts == NULL)
        opts = &default_opts;
    if (ret_stream == NULL || sockaddr == NULL)
        return -EINVAL;
    if (!roti_worker_in_task())
        return ROTA_ENOTASK;
    if (sockaddr->sa_family != AF_UNIX) {
        memcpy(&init.peer.addr, sockaddr, size);
        init.peer.size = size;
    }
    int r = roti_stream_create(&stream, &init, opts);
    if (r < 0)
        return r;
    int fd = roti_sys_socket(sockaddr->sa_family);
    if (fd < 0) {
        roti_free(stream, sizeof *stream);
        return fd;
    }
    if (!opts->delay)
        roti_socket_send_at_once(fd);
    r = roti_stream_open(stream, fd, roti_loop_current());
    if (r < 0) {
        roti_sys_close(fd);
        return r;
    }
    r = connect_io(stream->io, sockaddr, size);
    if (r < 0) {
        roti_io_unref(stream->io); /* the last reference closes */
        roti_free(stream, sizeof *stream);
        return r;
    }
    *ret_stream = stream;
    return 0;
}
