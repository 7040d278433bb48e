/* SPDX-License-Identifier: MIT */
/*
 * socket.h - what a simulated socket consists of, for the two files that simulate it.
 */
#ifndef ROTI_TESTS_SIM_SOCKET_H
#define ROTI_TESTS_SIM_SOCKET_H

#include "tests/sim/kernel.h"

#define SIM_BUFFER_MAX 65536
#define SIM_BACKLOG_MAX 256

struct sim_socket {
    struct sim_file file;
    int family;
    struct sockaddr_storage addr;
    socklen_t addr_size;
    struct sockaddr_storage peer_addr;
    socklen_t peer_addr_size;
    struct sim_socket *peer; /* NULL: not connected, or the peer is gone */
    bool closed;             /* no number names it any more */
    bool connecting;
    bool connected;
    int error;       /* to be told once */
    bool reset;      /* the connection broke */
    bool end_sent;   /* shut down for writing */
    bool end_seen;   /* the peer's end has arrived */
    bool wants_room; /* a write found none */
    char *bytes;     /* of SIM_BUFFER_MAX, a ring */
    size_t first;
    size_t count;
    size_t capacity;         /* of the buffer, counting what is on its way here */
    size_t under_way;        /* sent to here, not arrived */
    int64_t last_arrival_ns; /* here: what is sent later arrives later */
    bool listening;
    struct sim_socket *queue[SIM_BACKLOG_MAX];
    unsigned queued;
    unsigned backlog;
    unsigned references; /* of events under way */
};

/* socket.c */
struct sim_socket *sim_socket_of(int fd);
struct sim_socket *sim_socket_make(int family);
void sim_socket_free_if_gone(struct sim_socket *gone);
void sim_socket_join(struct sim_socket *one, struct sim_socket *two);
/* Tells those that watch it of what holds now. */
void sim_socket_tell(struct sim_socket *self);
/* The connection breaks: whoever still has this end is told of the error. */
void sim_socket_break(struct sim_socket *self, int error);
/* How long something is under way to it. */
int64_t sim_socket_delay_ns(const struct sim_socket *to);
/* The error that is to be told once: 0 or negative. */
int sim_socket_take_error(struct sim_socket *self);

/* connect.c */
void sim_socket_stop_listening(struct sim_socket *self);

#endif
