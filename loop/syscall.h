/* SPDX-License-Identifier: MIT */
/*
 * syscall.h - the system calls of loop and net, each returning its result or a negative errno.
 *
 * Problem.  glibc declares the accessor of errno to be constant, so that a compiler may keep its
 *           address over a suspension and read another thread's value after it.
 * Design.   Each call and the one reading of its errno stand in one function that is never inlined
 *           and never suspends. An interrupted call is made again here, and nowhere else.
 * Testing.  A hook is asked before each call and may answer in the kernel's place, so that a test
 *           can fail each site with each error.
 */
#ifndef ROTI_SYSCALL_H
#define ROTI_SYSCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

/* X(name): every call that the hook is asked about. */
#define ROTI_SYSCALLS(X)                                                                           \
    X(epoll_create1)                                                                               \
    X(epoll_ctl)                                                                                   \
    X(epoll_pwait2)                                                                                \
    X(epoll_wait)                                                                                  \
    X(eventfd)                                                                                     \
    X(timerfd_create)                                                                              \
    X(timerfd_settime)                                                                             \
    X(read)                                                                                        \
    X(write)                                                                                       \
    X(poll)                                                                                        \
    X(recv)                                                                                        \
    X(send)                                                                                        \
    X(sendmsg)                                                                                     \
    X(accept4)                                                                                     \
    X(connect)                                                                                     \
    X(getsockopt)                                                                                  \
    X(socketpair)                                                                                  \
    X(socket)                                                                                      \
    X(bind)                                                                                        \
    X(listen)                                                                                      \
    X(setsockopt)                                                                                  \
    X(getsockname)                                                                                 \
    X(getpeername)                                                                                 \
    X(shutdown)                                                                                    \
    X(dup)                                                                                         \
    X(open)                                                                                        \
    X(stat)                                                                                        \
    X(unlink)                                                                                      \
    X(open_file)                                                                                   \
    X(read_file)                                                                                   \
    X(sched_getaffinity)                                                                           \
    X(sched_setaffinity)

enum roti_syscall {
#define ROTI_SYSCALL_ENUM(name) ROTI_SYSCALL_##name,
    ROTI_SYSCALLS(ROTI_SYSCALL_ENUM) ROTI_SYSCALL_COUNT
#undef ROTI_SYSCALL_ENUM
};

/* 0: make the call. A negative errno: it is the answer, and the call is not made. */
typedef int (*roti_syscall_hook_fn)(enum roti_syscall site);

#ifdef __cplusplus
extern "C" {
#endif

/* Installs the hook, NULL to remove it. For tests; any thread, so the hook must be thread-safe. */
void roti_syscall_set_hook(roti_syscall_hook_fn hook);

/* "recv", "accept4", ... */
const char *roti_syscall_name(enum roti_syscall site);

/* Close-on-exec and, where there is such a thing, non-blocking. */
int roti_sys_epoll_create(void);
int roti_sys_eventfd(void);
int roti_sys_timerfd(void);

/* Has the timer run out once, after that time (> 0); it is readable then. */
int roti_sys_timerfd_set(int fd, int64_t delay_ns);

int roti_sys_epoll_ctl(int epoll_fd, int command, int fd, uint32_t events, uint64_t data);

/* Waits with nanoseconds, or -ENOSYS. -EINTR is the caller's: its deadline may have moved. */
int roti_sys_epoll_pwait2(int epoll_fd, struct epoll_event *events, int count, int64_t timeout_ns);

/* Waits with milliseconds; as above. */
int roti_sys_epoll_wait(int epoll_fd, struct epoll_event *events, int count, int timeout_ms);

ssize_t roti_sys_read(int fd, void *buffer, size_t size);
ssize_t roti_sys_write(int fd, const void *data, size_t size);

/* The events of `events` and of POLLERR and POLLHUP that hold now; does not wait. */
int roti_sys_poll(int fd, short events);

ssize_t roti_sys_recv(int fd, void *buffer, size_t size, int flags);
ssize_t roti_sys_send(int fd, const void *data, size_t size, int flags);
ssize_t roti_sys_sendmsg(int fd, const struct msghdr *message, int flags);
int roti_sys_accept(int fd, struct sockaddr_storage *peer, socklen_t *size);

/* -EINPROGRESS also where the call was interrupted: the connection is on its way then. */
int roti_sys_connect(int fd, const struct sockaddr *addr, socklen_t size);

/* An option whose value is an int. */
int roti_sys_getsockopt(int fd, int level, int name, int *ret_value);

/* A stream socket. */
int roti_sys_socket(int family);

int roti_sys_bind(int fd, const struct sockaddr *addr, socklen_t size);
int roti_sys_listen(int fd, int backlog);
int roti_sys_setsockopt(int fd, int level, int name, int value);

/* The local address, and the peer's: the size that the kernel reports. */
int roti_sys_getsockname(int fd, struct sockaddr_storage *addr, socklen_t *ret_size);
int roti_sys_getpeername(int fd, struct sockaddr_storage *addr, socklen_t *ret_size);

int roti_sys_shutdown(int fd, int how);

/* Another descriptor of the same file. */
int roti_sys_dup(int fd);

/* A descriptor that is good for nothing but to be closed: one number kept in reserve. */
int roti_sys_open_null(void);

/* What a path names, itself where it is a symbolic link; and away with it. */
struct stat;
int roti_sys_stat(const char *path, struct stat *ret_stat);
int roti_sys_unlink(const char *path);

/* A file for reading, and its next bytes. Sites of their own, as what fails here does no harm. */
int roti_sys_open_file(const char *path);
ssize_t roti_sys_read_file(int fd, void *buffer, size_t size);

/* The affinity mask of the calling thread, of any size: how many bytes of it the kernel has. */
int roti_sys_getaffinity(void *mask, size_t size);
int roti_sys_setaffinity(const void *mask, size_t size);

/* Two connected stream sockets. */
int roti_sys_socketpair(int ret_fds[2]);

/* Sends from a signal handler: leaves the errno of what was interrupted alone, reports nothing, and
 * always returns, as it is no point of cancellation of threads. */
void roti_sys_signal_send(int fd, const void *data, size_t size);

/* The number is free afterwards, whatever happened. Never made again: it may be another's by then.
 */
void roti_sys_close(int fd);

#ifdef __cplusplus
}
#endif

#endif
