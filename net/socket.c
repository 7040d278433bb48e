/* SPDX-License-Identifier: MIT */
/*
 * socket.c - options, addresses and names of stream sockets.
 *
 * Files of unix sockets. bind(2) refuses a name that exists, also where the process that made it is
 * gone. Whether somebody listens there is asked by connecting: only a refusal tells that nobody
 * does, and only then, and only if it is a socket, the file is removed. What is bound is remembered
 * by device and inode, so that the file of another server, which took the name over meanwhile, is
 * left alone at the end.
 */
#include "net/socket.h"

#include "loop/io_impl.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

int roti_socket_check_stream(int fd)
{
    int type = 0;
    int r = roti_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type);
    return r == 0 && type != SOCK_STREAM ? -EINVAL : r;
}

void roti_socket_send_at_once(int fd)
{
    int protocol = 0;
    if (roti_sys_getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol) == 0 && protocol == IPPROTO_TCP)
        (void)roti_sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/* ---- Addresses ---- */

int roti_socket_name(int fd, struct rota_addr *ret_addr)
{
    struct sockaddr_storage storage;
    socklen_t size;
    int r = roti_sys_getsockname(fd, &storage, &size);
    return r < 0 ? r : rota_addr_from_sockaddr(ret_addr, (struct sockaddr *)&storage, size);
}

int roti_socket_local_addr(struct roti_io *io, struct rota_addr *ret_addr)
{
    int r = roti_io_enter(io);
    if (r < 0)
        return r;
    r = roti_socket_name(io->fd, ret_addr);
    roti_io_leave(io);
    return r;
}

int roti_socket_peer_addr(struct roti_io *io, struct rota_addr *ret_addr)
{
    struct sockaddr_storage storage;
    socklen_t size;
    int r = roti_io_enter(io);
    if (r < 0)
        return r;
    r = roti_sys_getpeername(io->fd, &storage, &size);
    roti_io_leave(io);
    return r < 0 ? r : rota_addr_from_sockaddr(ret_addr, (struct sockaddr *)&storage, size);
}

/* ---- Names in the file system ---- */

static bool has_file(const struct rota_addr *addr)
{
    return addr->sockaddr.any.sa_family == AF_UNIX && addr->sockaddr.local.sun_path[0] != '\0';
}

/* Whether a path names a socket on which nobody listens. */
static bool is_stale(const struct rota_addr *addr)
{
    struct stat status;
    if (roti_sys_stat(addr->sockaddr.local.sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = roti_sys_socket(AF_UNIX);
    if (fd < 0)
        return false;
    int r = roti_sys_connect(fd, &addr->sockaddr.any, addr->size);
    roti_sys_close(fd);
    return r == -ECONNREFUSED;
}

static int bind_file(int fd, const struct rota_addr *addr, struct roti_socket_file *ret_file)
{
    struct stat status;
    const char *path = addr->sockaddr.local.sun_path;
    int r = roti_sys_bind(fd, &addr->sockaddr.any, addr->size);
    if (r == -EADDRINUSE && is_stale(addr) && roti_sys_unlink(path) == 0)
        r = roti_sys_bind(fd, &addr->sockaddr.any, addr->size);
    if (r < 0)
        return r;
    r = roti_sys_stat(path, &status);
    if (r == 0)
        *ret_file = (struct roti_socket_file){
            .device = status.st_dev, .inode = status.st_ino, .bound = true};
    return r;
}

void roti_socket_remove_file(const struct rota_addr *addr, struct roti_socket_file *file)
{
    struct stat status;
    const char *path = addr->sockaddr.local.sun_path;
    if (file->bound && roti_sys_stat(path, &status) == 0 && status.st_dev == file->device &&
        status.st_ino == file->inode)
        (void)roti_sys_unlink(path);
    file->bound = false;
}

/* ---- Binding ---- */

static int bind_inet(int fd, const struct rota_addr *addr, bool reuse_port)
{
    int r = roti_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (r == 0 && reuse_port)
        r = roti_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (r == 0 && addr->sockaddr.any.sa_family == AF_INET6)
        r = roti_sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, !addr->dual_stack);
    if (r < 0)
        return r;
    return roti_sys_bind(fd, &addr->sockaddr.any, addr->size);
}

int roti_socket_bind(const struct rota_addr *addr, bool reuse_port,
                     struct roti_socket_file *ret_file)
{
    *ret_file = (struct roti_socket_file){0};
    int fd = roti_sys_socket(addr->sockaddr.any.sa_family);
    if (fd < 0)
        return fd;
    int r;
    if (has_file(addr))
        r = bind_file(fd, addr, ret_file);
    else if (addr->sockaddr.any.sa_family == AF_UNIX)
        r = roti_sys_bind(fd, &addr->sockaddr.any, addr->size);
    else
        r = bind_inet(fd, addr, reuse_port);
    if (r < 0) {
        roti_sys_close(fd);
        return r;
    }
    return fd;
}
