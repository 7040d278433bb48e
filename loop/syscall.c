/* SPDX-License-Identifier: MIT */
/*
 * syscall.c - system calls: the only file that reads errno.
 */
#include "loop/syscall.h"

#include "sched/base/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* the number on every architecture, for headers older than 5.11 */
#endif

#define NS_PER_SECOND INT64_C(1000000000)

static _Atomic(roti_syscall_hook_fn) syscall_hook;

void roti_syscall_set_hook(roti_syscall_hook_fn hook)
{
    /* [SY1] release: pairs with [SY2]. */
    roti_store(SY1, release, &syscall_hook, hook);
}

const char *roti_syscall_name(enum roti_syscall site)
{
    static const char *const names[] = {
#define SYSCALL_NAME(name) #name,
        ROTI_SYSCALLS(SYSCALL_NAME)
#undef SYSCALL_NAME
    };
    return names[site];
}

/* What the hook says to a call. */
static inline int hooked(enum roti_syscall site)
{
    /* [SY2] acquire: pairs with [SY1], so that what the hook reads was written. */
    roti_syscall_hook_fn hook = roti_load(SY2, acquire, &syscall_hook);
    return __builtin_expect(hook == NULL, 1) ? 0 : hook(site);
}

/*
 * The body of a wrapper: the hook's answer, else the call's, with errno read right after it. GCC's
 * statement expression, because each call has its own type.
 */
#define CALL(name, call)                                                                           \
    ({                                                                                             \
        long call_result = hooked(ROTI_SYSCALL_##name);                                            \
        if (__builtin_expect(call_result == 0, 1)) {                                               \
            call_result = (long)(call);                                                            \
            if (call_result < 0)                                                                   \
                call_result = -(long)errno;                                                        \
        }                                                                                          \
        call_result;                                                                               \
    })

/* The same, made again while it is interrupted. */
#define CALL_AGAIN(name, call)                                                                     \
    ({                                                                                             \
        long again_result;                                                                         \
        do                                                                                         \
            again_result = CALL(name, call);                                                       \
        while (__builtin_expect(again_result == -EINTR, 0));                                       \
        again_result;                                                                              \
    })

#define WRAPPER __attribute__((noinline))

WRAPPER int roti_sys_epoll_create(void)
{
    return (int)CALL(epoll_create1, epoll_create1(EPOLL_CLOEXEC));
}

WRAPPER int roti_sys_eventfd(void)
{
    return (int)CALL(eventfd, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

WRAPPER int roti_sys_timerfd(void)
{
    return (int)CALL(timerfd_create, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

WRAPPER int roti_sys_timerfd_set(int fd, int64_t delay_ns)
{
    struct itimerspec when = {.it_value.tv_sec = (time_t)(delay_ns / NS_PER_SECOND),
                              .it_value.tv_nsec = (long)(delay_ns % NS_PER_SECOND)};
    return (int)CALL_AGAIN(timerfd_settime, timerfd_settime(fd, 0, &when, NULL));
}

WRAPPER int roti_sys_epoll_ctl(int epoll_fd, int command, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    return (int)CALL_AGAIN(epoll_ctl, epoll_ctl(epoll_fd, command, fd, &event));
}

WRAPPER int roti_sys_epoll_pwait2(int epoll_fd, struct epoll_event *events, int count,
                                  int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NS_PER_SECOND),
                               .tv_nsec = (long)(timeout_ns % NS_PER_SECOND)};
    return (int)CALL(epoll_pwait2, syscall(SYS_epoll_pwait2, epoll_fd, events, count,
                                           timeout_ns < 0 ? NULL : &timeout, NULL, (size_t)0));
}

WRAPPER int roti_sys_epoll_wait(int epoll_fd, struct epoll_event *events, int count, int timeout_ms)
{
    return (int)CALL(epoll_wait, epoll_wait(epoll_fd, events, count, timeout_ms));
}

WRAPPER ssize_t roti_sys_read(int fd, void *buffer, size_t size)
{
    return CALL_AGAIN(read, read(fd, buffer, size));
}

WRAPPER ssize_t roti_sys_write(int fd, const void *data, size_t size)
{
    return CALL_AGAIN(write, write(fd, data, size));
}

WRAPPER int roti_sys_poll(int fd, short events)
{
    struct pollfd entry = {.fd = fd, .events = events};
    int r = (int)CALL_AGAIN(poll, poll(&entry, 1, 0));
    return r > 0 ? entry.revents : r;
}

WRAPPER ssize_t roti_sys_recv(int fd, void *buffer, size_t size, int flags)
{
    return CALL_AGAIN(recv, recv(fd, buffer, size, flags));
}

WRAPPER ssize_t roti_sys_send(int fd, const void *data, size_t size, int flags)
{
    return CALL_AGAIN(send, send(fd, data, size, flags));
}

WRAPPER ssize_t roti_sys_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return CALL_AGAIN(sendmsg, sendmsg(fd, message, flags));
}

WRAPPER int roti_sys_accept(int fd, struct sockaddr_storage *peer, socklen_t *size)
{
    return (int)CALL_AGAIN(
        accept4, accept4(fd, (struct sockaddr *)peer, size, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

WRAPPER int roti_sys_connect(int fd, const struct sockaddr *addr, socklen_t size)
{
    int r = (int)CALL(connect, connect(fd, addr, size));
    return r == -EINTR ? -EINPROGRESS : r;
}

WRAPPER int roti_sys_getsockopt(int fd, int level, int name, int *ret_value)
{
    int value = 0;
    socklen_t size = sizeof value;
    int r = (int)CALL_AGAIN(getsockopt, getsockopt(fd, level, name, &value, &size));
    if (r == 0)
        *ret_value = value;
    return r;
}

WRAPPER int roti_sys_socket(int family)
{
    return (int)CALL(socket, socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

WRAPPER int roti_sys_bind(int fd, const struct sockaddr *addr, socklen_t size)
{
    return (int)CALL(bind, bind(fd, addr, size));
}

WRAPPER int roti_sys_listen(int fd, int backlog)
{
    return (int)CALL(listen, listen(fd, backlog));
}

WRAPPER int roti_sys_setsockopt(int fd, int level, int name, int value)
{
    return (int)CALL(setsockopt, setsockopt(fd, level, name, &value, sizeof value));
}

WRAPPER int roti_sys_getsockname(int fd, struct sockaddr_storage *addr, socklen_t *ret_size)
{
    *ret_size = sizeof *addr;
    return (int)CALL(getsockname, getsockname(fd, (struct sockaddr *)addr, ret_size));
}

WRAPPER int roti_sys_getpeername(int fd, struct sockaddr_storage *addr, socklen_t *ret_size)
{
    *ret_size = sizeof *addr;
    return (int)CALL(getpeername, getpeername(fd, (struct sockaddr *)addr, ret_size));
}

WRAPPER int roti_sys_shutdown(int fd, int how)
{
    return (int)CALL(shutdown, shutdown(fd, how));
}

WRAPPER int roti_sys_dup(int fd)
{
    return (int)CALL(dup, fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

WRAPPER int roti_sys_open_null(void)
{
    return (int)CALL_AGAIN(open, open("/dev/null", O_RDONLY | O_CLOEXEC));
}

WRAPPER int roti_sys_stat(const char *path, struct stat *ret_stat)
{
    return (int)CALL(stat, lstat(path, ret_stat));
}

WRAPPER int roti_sys_unlink(const char *path)
{
    return (int)CALL(unlink, unlink(path));
}

WRAPPER int roti_sys_open_file(const char *path)
{
    return (int)CALL_AGAIN(open_file, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

WRAPPER ssize_t roti_sys_read_file(int fd, void *buffer, size_t size)
{
    return CALL_AGAIN(read_file, read(fd, buffer, size));
}

WRAPPER int roti_sys_getaffinity(void *mask, size_t size)
{
    return (int)CALL(sched_getaffinity, syscall(SYS_sched_getaffinity, 0, size, mask));
}

WRAPPER int roti_sys_setaffinity(const void *mask, size_t size)
{
    return (int)CALL(sched_setaffinity, syscall(SYS_sched_setaffinity, 0, size, mask));
}

WRAPPER int roti_sys_socketpair(int ret_fds[2])
{
    return (int)CALL(socketpair,
                     socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret_fds));
}

WRAPPER void roti_sys_signal_send(int fd, const void *data, size_t size)
{
    int interrupted = errno;
    (void)syscall(SYS_sendto, fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, (size_t)0);
    errno = interrupted;
}

WRAPPER void roti_sys_close(int fd)
{
    close(fd);
}
