/* SPDX-License-Identifier: MIT */
/*
 * sample.c - where another thread is just now. The essay is in the header.
 */
#include "sched/sample.h"

#include "sched/base/thread.h"
#include "sched/fiber.h"
#include "sched/task_impl.h"
#include "sched/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define SAMPLE_SIGNAL SIGURG
#define LOOKS_MAX 40 /* for the answer, each LOOK_NS */
#define LOOK_NS 50000

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned open_count;            /* under open_lock */
static struct sigaction former_action; /* under open_lock */

/* ---- In the handler ---- */

static void registers_of(const ucontext_t *context, uintptr_t *ret_pc, uintptr_t *ret_fp,
                         uintptr_t *ret_sp)
{
#if defined(__x86_64__)
    *ret_pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    *ret_fp = (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
    *ret_sp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    *ret_pc = (uintptr_t)context->uc_mcontext.pc;
    *ret_fp = (uintptr_t)context->uc_mcontext.regs[29];
    *ret_sp = (uintptr_t)context->uc_mcontext.sp;
#else
#error "no registers are known for this machine"
#endif
}

static bool lies_in(uintptr_t address, const void *low, size_t size)
{
    return address - (uintptr_t)low < size;
}

/* The end of the stack that the worker's thread is on, by an address in it; false: none that is
 * known. */
static bool stack_of(const struct roti_worker *worker, uintptr_t sp, uintptr_t *ret_high)
{
    const struct rota_task *task = roti_worker_task(worker);
    const struct roti_fiber *fibers[] = {
        &worker->fiber,
        task != NULL && task->frame != NULL ? &task->frame->fiber : NULL,
    };
    for (size_t i = 0; i < sizeof fibers / sizeof *fibers; i++)
        if (fibers[i] != NULL && lies_in(sp, fibers[i]->stack_low, fibers[i]->stack_size)) {
            *ret_high = (uintptr_t)fibers[i]->stack_low + fibers[i]->stack_size;
            return true;
        }
    return false;
}

static void fill(struct roti_answer *answer, const struct roti_worker *worker,
                 const ucontext_t *context)
{
    uintptr_t pc, fp, sp, high;
    registers_of(context, &pc, &fp, &sp);
    answer->addresses[0] = (void *)pc;
    answer->count = 1;
    if (stack_of(worker, sp, &high))
        answer->count +=
            roti_fiber_chain(fp, sp, high, answer->addresses + 1, ROTI_SAMPLE_FRAMES - 1);
}

/* The worker's own thread; errno stays, as nothing here changes it. */
static void handle_signal(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)info;
    struct roti_worker *worker = roti_thread_self()->worker;
    if (worker == NULL || !roti_answer_begin(&worker->sample.answer))
        return;
    fill(&worker->sample.answer, worker, context);
    roti_answer_end(&worker->sample.answer);
}

/* ---- Coming and going ---- */

/* Whether the signal comes to us: the program may have set a handler since. Any thread. */
static bool is_ours(void)
{
    struct sigaction current;
    sigaction(SAMPLE_SIGNAL, NULL, &current);
    return (current.sa_flags & SA_SIGINFO) && current.sa_sigaction == handle_signal;
}

/* Ours, unless the program handles it. Under open_lock. */
static void install(void)
{
    struct sigaction action;
    if (is_ours())
        return; /* left there, or put back by the program */
    sigaction(SAMPLE_SIGNAL, NULL, &former_action);
    if (former_action.sa_flags & SA_SIGINFO || former_action.sa_handler != SIG_DFL)
        return;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SAMPLE_SIGNAL, &action, NULL);
}

/* Under open_lock. */
static void uninstall(void)
{
    if (is_ours()) /* else it may call us, and put us back */
        sigaction(SAMPLE_SIGNAL, &former_action, NULL);
}

void roti_sample_open(void)
{
    pthread_mutex_lock(&open_lock);
    if (open_count++ == 0)
        install();
    pthread_mutex_unlock(&open_lock);
}

void roti_sample_close(void)
{
    pthread_mutex_lock(&open_lock);
    if (--open_count == 0)
        uninstall();
    pthread_mutex_unlock(&open_lock);
}

void roti_sample_forked(void)
{
    pthread_mutex_init(&open_lock, NULL);
    open_count = 0;
}

void roti_sample_enter(struct roti_sample *sample)
{
    sigset_t ours, before;
    sigemptyset(&ours);
    sigaddset(&ours, SAMPLE_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &ours, &before);
    sample->was_blocked = sigismember(&before, SAMPLE_SIGNAL) == 1;
    /* [SM1] relaxed: a number. */
    roti_store(SM1, relaxed, &sample->tid, (pid_t)syscall(SYS_gettid));
}

void roti_sample_leave(struct roti_sample *sample)
{
    sigset_t ours;
    /* [SM2] relaxed: as [SM1]; a signal to a thread without a loop does nothing. */
    roti_store(SM2, relaxed, &sample->tid, 0);
    if (!sample->was_blocked)
        return;
    sigemptyset(&ours);
    sigaddset(&ours, SAMPLE_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &ours, NULL);
}

/* ---- The kernel's answers ---- */

/* A file of a thread of this process, zero-terminated. False: there is none. */
static bool read_file(pid_t tid, const char *name, char *buf, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)tid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, buf, size - 1);
    close(fd);
    if (length <= 0)
        return false;
    buf[length] = 0;
    return true;
}

uint64_t roti_sample_cpu_wait_ns(pid_t tid)
{
    char text[96];
    unsigned long long ran, waited;
    /* "time on a CPU, time ready without one, times" */
    if (!read_file(tid, "schedstat", text, sizeof text) ||
        sscanf(text, "%llu %llu", &ran, &waited) != 2)
        return 0;
    return waited;
}

/* "running", or "number arguments... sp pc" of a system call; -1 for what is none, a page fault. */
static enum roti_whereabouts whereabouts_of(pid_t tid, void **ret_pc)
{
    char text[256];
    if (!read_file(tid, "syscall", text, sizeof text))
        return ROTI_WHEREABOUTS_UNKNOWN;
    if (strncmp(text, "running", 7) == 0)
        return ROTI_ON_CPU;
    const char *last = strrchr(text, ' ');
    if (last == NULL)
        return ROTI_WHEREABOUTS_UNKNOWN;
    *ret_pc = (void *)(uintptr_t)strtoull(last + 1, NULL, 16);
    return ROTI_IN_KERNEL;
}

/* ---- The question ---- */

static bool wait_for(const struct roti_answer *answer)
{
    struct timespec pause = {.tv_nsec = LOOK_NS};
    for (int i = 0; i < LOOKS_MAX; i++) {
        if (roti_answer_given(answer))
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* Asks the thread by the signal. The number of addresses. */
static int ask(struct roti_answer *answer, pid_t tid, void **ret_pcs)
{
    if (!roti_answer_ask(answer))
        return 0;
    bool given = syscall(SYS_tgkill, getpid(), tid, SAMPLE_SIGNAL) == 0 && wait_for(answer);
    if (!given && (roti_answer_take_back(answer) || !roti_answer_given(answer)))
        return 0;
    int count = answer->count;
    memcpy(ret_pcs, answer->addresses, (size_t)count * sizeof *ret_pcs);
    roti_answer_done(answer);
    return count;
}

int roti_sample_take(struct roti_sample *sample, void **ret_pcs,
                     enum roti_whereabouts *ret_whereabouts)
{
    pid_t tid = roti_sample_tid(sample);
    *ret_whereabouts = ROTI_WHEREABOUTS_UNKNOWN;
    if (tid == 0)
        return 0;
    *ret_whereabouts = whereabouts_of(tid, ret_pcs);
    if (*ret_whereabouts == ROTI_IN_KERNEL)
        return 1;
    if (*ret_whereabouts != ROTI_ON_CPU || !is_ours())
        return 0;
    return ask(&sample->answer, tid, ret_pcs);
}
