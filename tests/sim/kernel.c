/* SPDX-License-Identifier: MIT */
/*
 * kernel.c - numbers, epoll and eventfd of the simulated kernel; it stands in for loop/syscall.c.
 */
#include "tests/sim/kernel.h"

#include "loop/syscall.h"
#include "tests/sim/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MS INT64_C(1000000)

static struct sim_file *files[SIM_FD_MAX];

/* ---- Numbers ---- */

void sim_kernel_enter(void)
{
    if (sim_self() != NULL)
        sim_preempt();
}

struct sim_file *sim_file_of(int fd)
{
    unsigned index = (unsigned)fd - SIM_FD_FIRST;
    return index < SIM_FD_MAX ? files[index] : NULL;
}

int sim_file_install(struct sim_file *file)
{
    for (unsigned i = 0; i < SIM_FD_MAX; i++)
        if (files[i] == NULL) {
            files[i] = file;
            file->refs++;
            sim_note(i);
            return SIM_FD_FIRST + (int)i;
        }
    return -EMFILE;
}

unsigned sim_files_open(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SIM_FD_MAX; i++)
        count += files[i] != NULL;
    return count;
}

static void watch_end(struct sim_watch *watch)
{
    roti_list_remove(&watch->of_file);
    roti_list_remove(&watch->of_epoll);
    free(watch);
}

static void file_end(struct sim_file *file)
{
    while (!roti_list_empty(&file->watches))
        watch_end(roti_container_of(file->watches.next, struct sim_watch, of_file));
    if (file->kind == SIM_FILE_SOCKET) {
        sim_socket_close(file);
        return;
    }
    if (file->kind == SIM_FILE_EPOLL) {
        struct sim_epoll *epoll = (struct sim_epoll *)file;
        while (!roti_list_empty(&epoll->watches))
            watch_end(roti_container_of(epoll->watches.next, struct sim_watch, of_epoll));
    }
    free(file);
}

void roti_sys_close(int fd)
{
    sim_kernel_enter();
    struct sim_file *file = sim_file_of(fd);
    if (file == NULL)
        sim_fail("close of %d, which is not open", fd);
    files[fd - SIM_FD_FIRST] = NULL;
    sim_trace("close(%d)\n", fd);
    if (--file->refs == 0)
        file_end(file);
}

int roti_sys_dup(int fd)
{
    sim_kernel_enter();
    struct sim_file *file = sim_file_of(fd);
    if (file == NULL)
        return -EBADF;
    return sim_chance(SIM_LIMIT) ? -EMFILE : sim_file_install(file);
}

static int make(size_t size, enum sim_file_kind kind)
{
    sim_kernel_enter();
    if (sim_chance(SIM_LIMIT))
        return sim_choose(SIM_LIMIT, 2) == 0 ? -EMFILE : -ENFILE;
    struct sim_file *file = calloc(1, size);
    if (file == NULL)
        return -ENOMEM;
    file->kind = kind;
    roti_list_init(&file->watches);
    if (kind == SIM_FILE_EPOLL)
        roti_list_init(&((struct sim_epoll *)file)->watches);
    int fd = sim_file_install(file);
    if (fd < 0)
        free(file);
    return fd;
}

int roti_sys_epoll_create(void)
{
    return make(sizeof(struct sim_epoll), SIM_FILE_EPOLL);
}

int roti_sys_eventfd(void)
{
    return make(sizeof(struct sim_eventfd), SIM_FILE_EVENT);
}

int roti_sys_open_null(void)
{
    return make(sizeof(struct sim_file), SIM_FILE_NULL);
}

/* ---- CPUs, and no files ---- */

static unsigned cpu_count;

void sim_set_cpus(unsigned count)
{
    cpu_count = count;
}

int roti_sys_open_file(const char *path)
{
    sim_kernel_enter();
    (void)path;
    return -ENOENT;
}

ssize_t roti_sys_read_file(int fd, void *buffer, size_t size)
{
    (void)buffer, (void)size;
    sim_fail("read of %d, which is no file", fd);
}

int roti_sys_getaffinity(void *mask, size_t size)
{
    sim_kernel_enter();
    if (cpu_count == 0)
        return -ENOSYS;
    if (size < sizeof(uint64_t))
        return -EINVAL;
    *(uint64_t *)mask = (UINT64_C(1) << cpu_count) - 1;
    return sizeof(uint64_t);
}

int roti_sys_setaffinity(const void *mask, size_t size)
{
    (void)mask, (void)size;
    return -ENOSYS;
}

/* ---- eventfd ---- */

ssize_t roti_sys_write(int fd, const void *data, size_t size)
{
    sim_kernel_enter();
    struct sim_file *file = sim_file_of(fd);
    if (file == NULL)
        return -EBADF;
    if (file->kind != SIM_FILE_EVENT || size != sizeof(uint64_t))
        sim_fail("write(2) to what is no eventfd");
    ((struct sim_eventfd *)file)->count += *(const uint64_t *)data;
    sim_trace("eventfd %d is raised\n", fd);
    sim_file_event(file, EPOLLIN);
    return (ssize_t)size;
}

ssize_t roti_sys_read(int fd, void *buffer, size_t size)
{
    sim_kernel_enter();
    struct sim_file *file = sim_file_of(fd);
    if (file == NULL)
        return -EBADF;
    if (file->kind == SIM_FILE_SOCKET)
        return sim_socket_read(file, buffer, size);
    struct sim_eventfd *event = (struct sim_eventfd *)file;
    if (event->count == 0)
        return -EAGAIN;
    *(uint64_t *)buffer = event->count;
    event->count = 0;
    return sizeof(uint64_t);
}

/* ---- timerfd ---- */

int roti_sys_timerfd(void)
{
    return make(sizeof(struct sim_timerfd), SIM_FILE_TIMER);
}

/* The number may be closed, or another file's by now. */
static void run_out(void *arg, uint64_t number)
{
    struct sim_file *file = sim_file_of((int)(intptr_t)arg);
    struct sim_timerfd *timer = (struct sim_timerfd *)file;
    if (file == NULL || file->kind != SIM_FILE_TIMER || timer->setting != number)
        return;
    timer->expired = true;
    sim_trace("timer %d runs out\n", (int)(intptr_t)arg);
    sim_file_event(file, EPOLLIN);
}

int roti_sys_timerfd_set(int fd, int64_t delay_ns)
{
    static uint64_t settings;
    sim_kernel_enter();
    struct sim_file *file = sim_file_of(fd);
    if (file == NULL || file->kind != SIM_FILE_TIMER)
        sim_fail("%d is no timer", fd);
    struct sim_timerfd *timer = (struct sim_timerfd *)file;
    timer->setting = ++settings;
    timer->expired = false;
    sim_at(sim_now() + delay_ns, run_out, (void *)(intptr_t)fd, timer->setting);
    return 0;
}

/* ---- epoll ---- */

static uint32_t events_of(const struct sim_file *file)
{
    switch (file->kind) {
    case SIM_FILE_EVENT:
        return (((const struct sim_eventfd *)file)->count > 0 ? EPOLLIN : 0) | EPOLLOUT;
    case SIM_FILE_TIMER:
        return ((const struct sim_timerfd *)file)->expired ? EPOLLIN : 0;
    case SIM_FILE_SOCKET:
        return sim_socket_events(file);
    default:
        return 0;
    }
}

static uint32_t wanted_by(const struct sim_watch *watch)
{
    return watch->events | EPOLLERR | EPOLLHUP;
}

static void watch_raise(struct sim_watch *watch)
{
    watch->ready = true;
    sim_notify(watch->epoll);
}

/* Of several exclusive watches one that somebody waits for is told; where nobody waits, all are. */
void sim_file_event(struct sim_file *file, uint32_t events)
{
    bool told = false;
    for (struct roti_list *link = file->watches.next; link != &file->watches; link = link->next) {
        struct sim_watch *watch = roti_container_of(link, struct sim_watch, of_file);
        bool exclusive = (watch->events & EPOLLEXCLUSIVE) != 0;
        if ((wanted_by(watch) & events) == 0 || (exclusive && watch->epoll->sleepers == 0) ||
            (exclusive && told))
            continue;
        watch_raise(watch);
        told = told || exclusive;
    }
    if (told)
        return;
    for (struct roti_list *link = file->watches.next; link != &file->watches; link = link->next) {
        struct sim_watch *watch = roti_container_of(link, struct sim_watch, of_file);
        if ((watch->events & EPOLLEXCLUSIVE) != 0 && (wanted_by(watch) & events) != 0)
            watch_raise(watch);
    }
}

static struct sim_watch *watch_find(struct sim_epoll *epoll, const struct sim_file *file, int fd)
{
    for (struct roti_list *link = epoll->watches.next; link != &epoll->watches; link = link->next) {
        struct sim_watch *watch = roti_container_of(link, struct sim_watch, of_epoll);
        if (watch->file == file && watch->fd == fd)
            return watch;
    }
    return NULL;
}

int roti_sys_epoll_ctl(int epoll_fd, int command, int fd, uint32_t events, uint64_t data)
{
    sim_kernel_enter();
    struct sim_epoll *epoll = (struct sim_epoll *)sim_file_of(epoll_fd);
    struct sim_file *file = sim_file_of(fd);
    if (epoll == NULL || file == NULL)
        return -EBADF;
    struct sim_watch *watch = watch_find(epoll, file, fd);
    if (command == EPOLL_CTL_DEL) {
        if (watch == NULL)
            return -ENOENT;
        watch_end(watch);
        return 0;
    }
    if (command != EPOLL_CTL_ADD)
        sim_fail("epoll_ctl: command %d is not simulated", command);
    if (watch != NULL)
        return -EEXIST;
    if (sim_chance(SIM_LIMIT))
        return sim_choose(SIM_LIMIT, 2) == 0 ? -ENOSPC : -ENOMEM;
    watch = calloc(1, sizeof *watch);
    *watch = (struct sim_watch){
        .epoll = epoll, .file = file, .fd = fd, .events = events, .data = data, .ready = true};
    roti_list_push_back(&file->watches, &watch->of_file);
    roti_list_push_back(&epoll->watches, &watch->of_epoll);
    sim_notify(epoll);
    return 0;
}

/* One event of a watch that is ready, if anything of it still holds. */
static bool watch_tell(struct sim_watch *watch, struct epoll_event *ret_event)
{
    uint32_t events = watch->ready ? events_of(watch->file) & wanted_by(watch) : 0;
    watch->ready = false;
    if (events == 0 && !sim_chance(SIM_EVENTS))
        return false;
    ret_event->events = events;
    ret_event->data.u64 = watch->data;
    return events != 0;
}

static int gather(struct sim_epoll *epoll, struct epoll_event *events, int count)
{
    int told = 0;
    /* Who was told goes to the end, as with the kernel's list; chance may begin elsewhere. */
    unsigned length = 0;
    for (struct roti_list *link = epoll->watches.next; link != &epoll->watches; link = link->next)
        length++;
    for (uint32_t skipped = sim_choose(SIM_EVENTS, length); skipped > 0; skipped--)
        roti_list_push_back(&epoll->watches, roti_list_pop_front(&epoll->watches));
    for (unsigned i = 0; i < length && told < count; i++) {
        struct roti_list *link = roti_list_pop_front(&epoll->watches);
        struct sim_watch *watch = roti_container_of(link, struct sim_watch, of_epoll);
        roti_list_push_back(&epoll->watches, link);
        told += watch->ready && watch_tell(watch, &events[told]);
    }
    return told;
}

int roti_sys_epoll_pwait2(int epoll_fd, struct epoll_event *events, int count, int64_t timeout_ns)
{
    sim_kernel_enter();
    struct sim_epoll *epoll = (struct sim_epoll *)sim_file_of(epoll_fd);
    int64_t until_ns = timeout_ns < 0 ? INT64_MAX : sim_now() + timeout_ns;
    int told;
    while ((told = gather(epoll, events, count)) == 0 && sim_now() < until_ns) {
        epoll->sleepers++;
        sim_wait(epoll, until_ns, "epoll");
        epoll->sleepers--;
    }
    sim_trace("epoll %d tells of %d\n", epoll_fd, told);
    sim_note((uint64_t)told);
    return told;
}

int roti_sys_epoll_wait(int epoll_fd, struct epoll_event *events, int count, int timeout_ms)
{
    return roti_sys_epoll_pwait2(epoll_fd, events, count, timeout_ms < 0 ? -1 : timeout_ms * MS);
}

int roti_sys_poll(int fd, short events)
{
    sim_kernel_enter();
    const struct sim_file *file = sim_file_of(fd);
    if (file == NULL)
        return POLLNVAL;
    return (int)(events_of(file) & ((uint32_t)events | POLLERR | POLLHUP));
}

/* ---- What is not simulated ---- */

int roti_sys_stat(const char *path, struct stat *ret_stat)
{
    (void)path;
    (void)ret_stat;
    return -ENOENT;
}

int roti_sys_unlink(const char *path)
{
    (void)path;
    return 0;
}

void roti_syscall_set_hook(roti_syscall_hook_fn hook)
{
    (void)hook;
}

const char *roti_syscall_name(enum roti_syscall site)
{
    (void)site;
    return "simulated";
}
