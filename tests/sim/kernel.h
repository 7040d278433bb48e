/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - the simulated kernel: files, who watches them, and what they answer.
 *
 * It promises what Linux promises and no more: an edge for each arrival, merged with others where
 * nobody has looked in between; a short read of a TCP socket means that it was empty; bytes arrive
 * in order or not at all; a number is reused at once.
 */
#ifndef ROTI_TESTS_SIM_KERNEL_H
#define ROTI_TESTS_SIM_KERNEL_H

#include "tests/sim/sim.h"

#include "sched/base/list.h"

#include <sys/socket.h>

#define SIM_FD_FIRST 1000 /* numbers that no real descriptor of the process has */
#define SIM_FD_MAX 512

enum sim_file_kind {
    SIM_FILE_NULL,
    SIM_FILE_EPOLL,
    SIM_FILE_EVENT,
    SIM_FILE_TIMER,
    SIM_FILE_SOCKET
};

struct sim_file {
    enum sim_file_kind kind;
    unsigned refs;            /* numbers that name it */
    struct roti_list watches; /* of epolls */
};

/* A file in an epoll. */
struct sim_watch {
    struct roti_list of_file;
    struct roti_list of_epoll;
    struct sim_epoll *epoll;
    struct sim_file *file;
    int fd;
    uint32_t events;
    uint64_t data;
    bool ready; /* something has happened since it was told of last */
};

struct sim_epoll {
    struct sim_file file;
    struct roti_list watches;
    unsigned sleepers; /* threads in a wait */
};

struct sim_eventfd {
    struct sim_file file;
    uint64_t count;
};

struct sim_timerfd {
    struct sim_file file;
    uint64_t setting; /* the number of the last one: earlier ones do nothing when they run out */
    bool expired;
};

/* kernel.c */
struct sim_file *sim_file_of(int fd);
/* The lowest free number for the file: it or -EMFILE. */
int sim_file_install(struct sim_file *file);
/* Something has happened there: `events` for those that watch it. */
void sim_file_event(struct sim_file *file, uint32_t events);
/* A thread comes into the kernel: another may go on first. */
void sim_kernel_enter(void);
/* How many CPUs the process may use from now on, below 64. 0, as at first: that cannot be read. */
void sim_set_cpus(unsigned count);

/* How many numbers are in use. */
unsigned sim_files_open(void);

/* socket.c */
uint32_t sim_socket_events(const struct sim_file *file);
void sim_socket_close(struct sim_file *file);
ssize_t sim_socket_read(struct sim_file *file, void *buffer, size_t size);

#endif
