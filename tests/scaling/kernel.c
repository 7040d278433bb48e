/* SPDX-License-Identifier: MIT */
/*
 * kernel.c - the kernel of the simulator with costs: epoll, eventfd, and sources of requests.
 *
 * It stands in for loop/syscall.c. Nothing fails here, and nothing is reordered: that is the other
 * simulator's (tests/sim/kernel.c). Each call costs; a sleeping CPU is woken by the first event.
 */
#include "tests/scaling/cost.h"

#include "loop/syscall.h"
#include "sched/base/list.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FD_FIRST 1000 /* numbers that no real descriptor of the process has */
#define FD_MAX 16384
#define REQUESTS_MAX 4096 /* that wait at one source */
#define MS INT64_C(1000000)

enum file_kind { FILE_EPOLL, FILE_EVENT, FILE_TIMER, FILE_SOURCE };

struct file {
    enum file_kind kind;
    struct roti_list watches; /* of epolls */
};

struct watch {
    struct roti_list of_file;
    struct roti_list of_ready; /* in the epoll's list, if `ready` */
    struct epoll *epoll;
    struct file *file;
    uint32_t events;
    uint64_t data;
    bool ready;
};

struct epoll {
    struct file file;
    struct roti_list ready;
    struct sim_thread *sleeper;
};

struct eventfd {
    struct file file;
    uint64_t count;
};

struct timerfd {
    struct file file;
    uint64_t setting; /* the last one */
    bool expired;
};

struct scale_source {
    struct file file;
    uint64_t requests[REQUESTS_MAX]; /* a ring */
    unsigned first;
    unsigned count;
    bool ended;
};

static struct file *files[FD_MAX];
static int free_fds[FD_MAX]; /* given back, the last first */
static int free_count;
static int used_count;

/* ---- Numbers ---- */

/* A call comes in: all that is before it has happened. */
__attribute__((always_inline)) static inline void enter(void)
{
    struct scale_cpu *cpu = scale_cpu();
    cpu->now_ns += scale_cost.syscall;
    scale_profile_here(scale_cost.syscall);
    scale_settle();
}

static struct file *file_of(int fd)
{
    unsigned index = (unsigned)fd - FD_FIRST;
    if (index >= FD_MAX || files[index] == NULL)
        sim_fail("%d is no descriptor", fd);
    return files[index];
}

static int make(size_t size, enum file_kind kind, struct file **ret_file)
{
    int index = free_count > 0 ? free_fds[--free_count] : used_count++;
    struct file *file = calloc(1, size);
    if (index >= FD_MAX || file == NULL)
        sim_fail("more than %d descriptors, or no memory", FD_MAX);
    file->kind = kind;
    roti_list_init(&file->watches);
    files[index] = file;
    *ret_file = file;
    return FD_FIRST + index;
}

int roti_sys_epoll_create(void)
{
    struct file *file;
    int fd = make(sizeof(struct epoll), FILE_EPOLL, &file);
    roti_list_init(&((struct epoll *)file)->ready);
    return fd;
}

int roti_sys_eventfd(void)
{
    struct file *file;
    return make(sizeof(struct eventfd), FILE_EVENT, &file);
}

struct scale_source *scale_source_create(int *ret_fd)
{
    struct file *file;
    *ret_fd = make(sizeof(struct scale_source), FILE_SOURCE, &file);
    return (struct scale_source *)file;
}

static void watch_end(struct watch *watch)
{
    if (watch->ready)
        roti_list_remove(&watch->of_ready);
    roti_list_remove(&watch->of_file);
    free(watch);
}

/* The file's watch by that epoll, or by any. */
static struct watch *watch_of(struct file *file, const struct epoll *epoll)
{
    for (struct roti_list *link = file->watches.next; link != &file->watches; link = link->next) {
        struct watch *watch = roti_container_of(link, struct watch, of_file);
        if (epoll == NULL || watch->epoll == epoll)
            return watch;
    }
    return NULL;
}

void roti_sys_close(int fd)
{
    struct file *file = file_of(fd);
    struct watch *watch;
    while ((watch = watch_of(file, NULL)) != NULL)
        watch_end(watch);
    files[fd - FD_FIRST] = NULL;
    free_fds[free_count++] = fd - FD_FIRST;
    free(file);
}

/* ---- Events ---- */

static uint32_t events_of(const struct file *file)
{
    const struct scale_source *source = (const struct scale_source *)file;
    if (file->kind == FILE_EVENT)
        return (((const struct eventfd *)file)->count > 0 ? EPOLLIN : 0) | EPOLLOUT;
    if (file->kind == FILE_TIMER)
        return ((const struct timerfd *)file)->expired ? EPOLLIN : 0;
    return (source->count > 0 || source->ended ? EPOLLIN : 0) | EPOLLOUT;
}

/* One that watches is told. Returns whether a CPU was woken for it. */
static bool tell(struct watch *watch, int64_t now_ns)
{
    if ((watch->events & EPOLLIN) == 0)
        return false;
    if (!watch->ready) {
        watch->ready = true;
        roti_list_push_back(&watch->epoll->ready, &watch->of_ready);
    }
    struct sim_thread *sleeper = watch->epoll->sleeper;
    watch->epoll->sleeper = NULL;
    if (sleeper != NULL)
        scale_wake(sleeper, now_ns);
    return sleeper != NULL;
}

/* Something has happened there. Of several exclusive watches the first that somebody sleeps at is
 * told, and goes to the end; where nobody sleeps, all are. Returns whether a CPU was woken. */
static bool raise(struct file *file, int64_t now_ns)
{
    bool woken = false;
    for (struct roti_list *link = file->watches.next; link != &file->watches; link = link->next) {
        struct watch *watch = roti_container_of(link, struct watch, of_file);
        if ((watch->events & EPOLLEXCLUSIVE) == 0 || watch->epoll->sleeper == NULL)
            continue;
        roti_list_remove(&watch->of_file);
        roti_list_push_back(&file->watches, &watch->of_file);
        return tell(watch, now_ns);
    }
    for (struct roti_list *link = file->watches.next; link != &file->watches; link = link->next)
        woken |= tell(roti_container_of(link, struct watch, of_file), now_ns);
    return woken;
}

static void arrive(struct scale_source *source)
{
    (void)raise(&source->file, sim_now());
}

void scale_source_arrive(struct scale_source *source, uint64_t request)
{
    if (source->count == REQUESTS_MAX)
        sim_fail("more than %d requests wait at one source", REQUESTS_MAX);
    source->requests[(source->first + source->count++) % REQUESTS_MAX] = request;
    arrive(source);
}

void scale_source_end(struct scale_source *source)
{
    source->ended = true;
    arrive(source);
}

/* ---- Timers ---- */

int roti_sys_timerfd(void)
{
    struct file *file;
    return make(sizeof(struct timerfd), FILE_TIMER, &file);
}

/* The number may be closed, or another file's by now. */
static void run_out(void *arg, uint64_t setting)
{
    struct file *file = files[(int)(intptr_t)arg - FD_FIRST];
    struct timerfd *timer = (struct timerfd *)file;
    if (file == NULL || file->kind != FILE_TIMER || timer->setting != setting)
        return;
    timer->expired = true;
    (void)raise(file, sim_now());
}

int roti_sys_timerfd_set(int fd, int64_t delay_ns)
{
    static uint64_t settings;
    enter();
    struct timerfd *timer = (struct timerfd *)file_of(fd);
    if (timer->file.kind != FILE_TIMER)
        sim_fail("%d is no timer", fd);
    timer->setting = ++settings;
    timer->expired = false;
    sim_at(scale_cpu()->now_ns + delay_ns, run_out, (void *)(intptr_t)fd, timer->setting);
    return 0;
}

/* ---- Reading and writing ---- */

ssize_t roti_sys_write(int fd, const void *data, size_t size)
{
    enter();
    struct eventfd *event = (struct eventfd *)file_of(fd);
    if (event->file.kind != FILE_EVENT || size != sizeof(uint64_t))
        sim_fail("write(2) to what is no eventfd");
    event->count += *(const uint64_t *)data;
    if (raise(&event->file, scale_cpu()->now_ns)) {
        scale_profile_here(scale_cost.wake_send);
        scale_charge(scale_cost.wake_send);
    }
    return (ssize_t)size;
}

ssize_t roti_sys_read(int fd, void *buffer, size_t size)
{
    enter();
    struct eventfd *event = (struct eventfd *)file_of(fd);
    if (event->file.kind != FILE_EVENT || size != sizeof(uint64_t))
        sim_fail("read(2) of what is no eventfd");
    if (event->count == 0)
        return -EAGAIN;
    *(uint64_t *)buffer = event->count;
    event->count = 0;
    return sizeof(uint64_t);
}

/* As many requests as fit. */
ssize_t roti_sys_recv(int fd, void *buffer, size_t size, int flags)
{
    enter();
    struct scale_source *source = (struct scale_source *)file_of(fd);
    uint64_t *out = buffer;
    size_t taken = 0;
    (void)flags;
    if (source->file.kind != FILE_SOURCE)
        sim_fail("recv(2) of what is no source");
    for (; taken < size / sizeof *out && source->count > 0; source->count--) {
        out[taken++] = source->requests[source->first];
        source->first = (source->first + 1) % REQUESTS_MAX;
    }
    if (taken == 0 && !source->ended)
        return -EAGAIN;
    return (ssize_t)(taken * sizeof *out);
}

/* A source is a connection by TCP, whose short read means that nothing is left. */
int roti_sys_getsockopt(int fd, int level, int name, int *ret_value)
{
    if (file_of(fd)->kind != FILE_SOURCE || level != SOL_SOCKET)
        return -ENOTSOCK;
    *ret_value = name == SO_PROTOCOL ? IPPROTO_TCP : name == SO_DOMAIN ? AF_INET : 0;
    return 0;
}

int roti_sys_poll(int fd, short events)
{
    enter();
    return (int)(events_of(file_of(fd)) & (uint32_t)events);
}

/* ---- epoll ---- */

int roti_sys_epoll_ctl(int epoll_fd, int command, int fd, uint32_t events, uint64_t data)
{
    enter();
    struct epoll *epoll = (struct epoll *)file_of(epoll_fd);
    struct file *file = file_of(fd);
    struct watch *watch = watch_of(file, epoll);
    if (command == EPOLL_CTL_DEL && watch != NULL) {
        watch_end(watch);
        return 0;
    }
    if (command != EPOLL_CTL_ADD || watch != NULL)
        sim_fail("epoll_ctl: a file is added to an epoll once, and removed");
    watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        sim_fail("no memory");
    *watch = (struct watch){.epoll = epoll, .file = file, .events = events, .data = data};
    roti_list_push_back(&file->watches, &watch->of_file);
    if ((events_of(file) & events) != 0)
        (void)tell(watch, scale_cpu()->now_ns);
    return 0;
}

/* What is ready, edge by edge. A watch without EPOLLET stays until it was looked at in vain. */
static int gather(struct epoll *epoll, struct epoll_event *events, int count)
{
    int told = 0;
    struct roti_list again;
    struct roti_list *link;
    roti_list_init(&again);
    while (told < count && (link = roti_list_pop_front(&epoll->ready)) != NULL) {
        struct watch *watch = roti_container_of(link, struct watch, of_ready);
        uint32_t now = events_of(watch->file) & watch->events;
        bool stays = now != 0 && (watch->events & EPOLLET) == 0;
        watch->ready = stays;
        if (stays)
            roti_list_push_back(&again, link);
        if (now == 0)
            continue;
        events[told].events = now;
        events[told++].data.u64 = watch->data;
    }
    while ((link = roti_list_pop_front(&again)) != NULL)
        roti_list_push_back(&epoll->ready, link);
    return told;
}

int roti_sys_epoll_pwait2(int epoll_fd, struct epoll_event *events, int count, int64_t timeout_ns)
{
    enter();
    struct epoll *epoll = (struct epoll *)file_of(epoll_fd);
    int64_t until_ns = timeout_ns < 0 ? INT64_MAX : scale_cpu()->now_ns + timeout_ns;
    int told;
    while ((told = gather(epoll, events, count)) == 0 && scale_cpu()->now_ns < until_ns) {
        epoll->sleeper = sim_self();
        sim_wait(epoll, until_ns, "epoll");
        epoll->sleeper = NULL;
    }
    scale_profile_here(told * scale_cost.event);
    scale_charge(told * scale_cost.event);
    return told;
}

int roti_sys_epoll_wait(int epoll_fd, struct epoll_event *events, int count, int timeout_ms)
{
    return roti_sys_epoll_pwait2(epoll_fd, events, count, timeout_ms < 0 ? -1 : timeout_ms * MS);
}

/* ---- What there is not: files, and masks of CPUs ---- */

int roti_sys_open_file(const char *path)
{
    (void)path;
    return -ENOENT;
}

int roti_sys_getaffinity(void *mask, size_t size)
{
    (void)mask, (void)size;
    return -ENOSYS;
}

int roti_sys_setaffinity(const void *mask, size_t size)
{
    (void)mask, (void)size;
    return -ENOSYS;
}

/* ---- Calls that no load makes ---- */

/* The build gives their names to this function. */
__attribute__((noreturn)) void scale_refuse(void);

void scale_refuse(void)
{
    sim_fail("a system call that no load makes");
}
