/* SPDX-License-Identifier: MIT */
/*
 * thread.c - the thread object and the threads of the system, for virtual threads.
 *
 * It stands in for sched/base/thread.c. What the product and the scenarios call of pthread, of the
 * clock and of the futex has these names there, by macros of the build.
 */
#include "tests/sim/engine.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KEYS_MAX 4
#define NS_PER_S INT64_C(1000000000)

/* ---- The thread object ---- */

static struct roti_thread outside; /* of the driver, before and after a run */

struct roti_thread *roti_thread_self(void)
{
    struct sim_thread *self = sim_self();
    return self != NULL ? &self->object : &outside;
}

int roti_thread_stack(char **ret_low, size_t *ret_size)
{
    struct sim_thread *self = sim_self();
    if (self == NULL)
        return -ENOTSUP;
    *ret_low = self->stack.low;
    *ret_size = self->stack.size;
    return 0;
}

/* ---- Threads ---- */

int sim_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
                       void *(*fn)(void *arg), void *arg);
int sim_pthread_join(pthread_t thread, void **ret_value);
int sim_pthread_mutex_lock(pthread_mutex_t *mutex);
int sim_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int sim_pthread_key_create(pthread_key_t *ret_key, void (*destroy)(void *value));
int sim_pthread_setspecific(pthread_key_t key, const void *value);
int sim_sem_wait(sem_t *semaphore);
int sim_sched_yield(void);
int sim_clock_gettime(clockid_t clock, struct timespec *ret_time);
long sim_syscall(long number, ...);

int sim_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
                       void *(*fn)(void *arg), void *arg)
{
    (void)attributes;
    if (sim_chance(SIM_LIMIT))
        return EAGAIN;
    struct sim_thread *thread = sim_thread_start(fn, arg);
    if (thread == NULL)
        return EAGAIN;
    *ret_thread = (pthread_t)thread;
    return 0;
}

int sim_pthread_join(pthread_t thread, void **ret_value)
{
    struct sim_thread *joined = (struct sim_thread *)thread;
    while (!sim_thread_done(joined))
        sim_wait(joined, INT64_MAX, "join");
    if (ret_value != NULL)
        *ret_value = NULL;
    return 0;
}

/* All virtual threads are one to the mutex, which is why a lock that is held is only tried. */
int sim_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    while (pthread_mutex_trylock(mutex) != 0)
        sim_pause();
    return 0;
}

int sim_sem_wait(sem_t *semaphore)
{
    while (sem_trywait(semaphore) != 0)
        sim_pause();
    return 0;
}

int sim_sched_yield(void)
{
    sim_pause();
    return 0;
}

/* Simulated processes do not fork. */
int sim_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    (void)prepare;
    (void)parent;
    (void)child;
    return 0;
}

static void (*destructors[KEYS_MAX])(void *value);
static unsigned key_count;

int sim_pthread_key_create(pthread_key_t *ret_key, void (*destroy)(void *value))
{
    if (key_count == KEYS_MAX)
        return EAGAIN;
    destructors[key_count] = destroy;
    *ret_key = key_count++;
    return 0;
}

int sim_pthread_setspecific(pthread_key_t key, const void *value)
{
    struct sim_thread *self = sim_self();
    if (self == NULL)
        return EINVAL;
    self->specific[key] = (void *)value;
    return 0;
}

void sim_thread_keys_end(struct sim_thread *thread)
{
    for (unsigned key = 0; key < key_count; key++)
        if (thread->specific[key] != NULL && destructors[key] != NULL)
            destructors[key](thread->specific[key]);
}

/* ---- The clock, the futex, membarrier ---- */

int sim_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    if (sim_self() == NULL)
        return clock_gettime(clock, ret_time);
    int64_t now_ns = sim_now();
    ret_time->tv_sec = now_ns / NS_PER_S;
    ret_time->tv_nsec = now_ns % NS_PER_S;
    return 0;
}

static long futex(const uint32_t *address, int operation, uint32_t value,
                  const struct timespec *deadline)
{
    if ((operation & FUTEX_CMD_MASK) == FUTEX_WAKE) {
        sim_notify(address);
        return 0;
    }
    int64_t until_ns =
        deadline != NULL ? deadline->tv_sec * NS_PER_S + deadline->tv_nsec : INT64_MAX;
    if (*(const volatile uint32_t *)address == value)
        sim_wait(address, until_ns, "futex");
    return 0;
}

long sim_syscall(long number, ...)
{
    va_list args;
    va_start(args, number);
    long result = 0;
    if (number == SYS_futex) {
        const uint32_t *address = va_arg(args, const uint32_t *);
        int operation = va_arg(args, int);
        uint32_t value = va_arg(args, uint32_t);
        result = futex(address, operation, value, va_arg(args, const struct timespec *));
    } else if (number == SYS_membarrier) {
        result = sim_membarrier(va_arg(args, int));
    } else if (number == SYS_process_madvise) {
        errno = ENOSYS; /* an older kernel: ranges of stacks go one by one */
        result = -1;
    } else {
        sim_fail("system call %ld is not simulated", number);
    }
    va_end(args);
    return result;
}
