/* SPDX-License-Identifier: MIT */
/*
 * socket.h - options, addresses and names of stream sockets.
 */
#ifndef ROTI_SOCKET_H
#define ROTI_SOCKET_H

#include <rota/addr.h>

#include "loop/syscall.h"

struct roti_io;

/* The file of a bound unix socket. */
struct roti_socket_file {
    uint64_t device;
    uint64_t inode;
    bool bound; /* false: not one with a file */
};

#ifdef __cplusplus
extern "C" {
#endif

/* 0 if `fd` is a stream socket; -EINVAL, -EBADF, -ENOTSOCK. */
int roti_socket_check_stream(int fd);

/* Turns Nagle's algorithm off if it is TCP, by whatever number the socket was made. Best effort: a
 * stream works without. Accepted sockets inherit it. */
void roti_socket_send_at_once(int fd);

/* The addresses of the two ends; as rota_stream_local_addr(). */
int roti_socket_local_addr(struct roti_io *io, struct rota_addr *ret_addr);
int roti_socket_peer_addr(struct roti_io *io, struct rota_addr *ret_addr);

/* What bind(2) has chosen. 0 or a negative errno. */
int roti_socket_name(int fd, struct rota_addr *ret_addr);

/* A socket that is bound to `addr` and does not listen yet: its descriptor, or a negative errno.
 * `reuse_port`: several may be bound to one port. A unix socket's file is remembered in *ret_file;
 * a stale one in its place is removed. */
int roti_socket_bind(const struct rota_addr *addr, bool reuse_port,
                     struct roti_socket_file *ret_file);

/* Removes the file of a bound unix socket, if it is still the one that was made. */
void roti_socket_remove_file(const struct rota_addr *addr, struct roti_socket_file *file);

#ifdef __cplusplus
}
#endif

#endif
