/* SPDX-License-Identifier: MIT */
/*
 * overflow.c - the handler of SIGSEGV that reports an overflowing task, and the use of a stack
 * after its task's end.
 *
 * A fault on a stack that is used up cannot be handled on it: each loop's thread has an alternate
 * signal stack, with a guard of its own. The handler only looks up the address, describes the
 * task and writes; then the fault takes the way that it would have taken without us, so that cores
 * and other crash reporters see the original.
 *
 * dladdr() would know the name of a function, but takes the loader's lock, which the thread that
 * overflowed may hold. _dl_find_object() takes none; it knows the module, and so an offset that
 * addr2line turns into a file and a line.
 */
#include "sched/overflow.h"

#include "sched/base/alloc.h"
#include "sched/base/atomic.h"
#include "sched/stack_quarantine.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALT_STACK_SIZE_MIN ((size_t)64 << 10)

static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned thread_count;          /* under install_lock */
static bool handler_installed;         /* under install_lock; may outlast thread_count */
static struct sigaction former_action; /* written before our handler is installed */
static _Atomic(roti_overflow_describe_fn) describe_hook;

/* ---- In the handler: nothing that locks or allocates ---- */

/* Appends to a line, as far as it fits. */
static size_t line_append(char *line, size_t size, size_t length, const char *text)
{
    while (*text != 0 && length < size)
        line[length++] = *text++;
    return length;
}

static size_t line_append_hex(char *line, size_t size, size_t length, uintptr_t number)
{
    char digits[2 * sizeof number + 1];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do
        digits[--at] = "0123456789abcdef"[number % 16];
    while ((number /= 16) != 0);
    length = line_append(line, size, length, "0x");
    return line_append(line, size, length, digits + at);
}

static size_t line_append_number(char *line, size_t size, size_t length, size_t number)
{
    char digits[3 * sizeof number];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    return line_append(line, size, length, digits + at);
}

/* The path of a module; the program's own is not kept by the loader. */
static const char *module_path(const char *name, char *buf, size_t size)
{
    if (name[0] != 0)
        return name;
    ssize_t length = readlink("/proc/self/exe", buf, size - 1);
    if (length <= 0)
        return "the program";
    buf[length] = 0;
    return buf;
}

void roti_overflow_describe_address(const void *address, char *buf, size_t size)
{
    size_t n = line_append_hex(buf, size - 1, 0, (uintptr_t)address);
#if defined(DLFO_STRUCT_HAS_EH_DBASE)
    struct dl_find_object object;
    if (_dl_find_object((void *)(uintptr_t)address, &object) == 0) {
        char path[128];
        uintptr_t offset = (uintptr_t)address - object.dlfo_link_map->l_addr;
        n = line_append(buf, size - 1, n, " (");
        n = line_append(buf, size - 1, n,
                        module_path(object.dlfo_link_map->l_name, path, sizeof path));
        n = line_append(buf, size - 1, n, "+");
        n = line_append_hex(buf, size - 1, n, offset);
        n = line_append(buf, size - 1, n, ")");
    }
#endif
    buf[n] = 0;
}

void roti_overflow_describe(const struct roti_stack *stack, char *buf, size_t size)
{
    /* [KO1] relaxed: the function reads what belongs to the stack, which this thread uses. */
    roti_overflow_describe_fn describe = roti_load(KO1, relaxed, &describe_hook);
    buf[0] = 0;
    if (describe != NULL)
        describe(stack, buf, size);
    buf[size - 1] = 0;
    if (buf[0] != 0)
        return;
    size_t n = line_append(buf, size - 1, 0, "on the stack at ");
    n = line_append_hex(buf, size - 1, n, (uintptr_t)stack->low);
    buf[n] = 0;
}

static void write_line(char *line, size_t length)
{
    line[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written; /* there is nobody left to tell */
}

/* "rota: <what> <who>: fault at <address>" */
static void report(const char *what, const char *who, const void *address)
{
    char line[512];
    size_t n = line_append(line, sizeof line - 1, 0, "rota: ");
    n = line_append(line, sizeof line - 1, n, what);
    n = line_append(line, sizeof line - 1, n, who);
    n = line_append(line, sizeof line - 1, n, ": fault at ");
    n = line_append_hex(line, sizeof line - 1, n, (uintptr_t)address);
    write_line(line, n);
}

static void report_overflow(const struct roti_stack *stack, const void *address)
{
    char who[256];
    char line[256];
    roti_overflow_describe(stack, who, sizeof who);
    report("stack overflow in task ", who, address);
    size_t n = line_append(line, sizeof line - 1, 0, "rota: its stack has ");
    n = line_append_number(line, sizeof line - 1, n, stack->size);
    n = line_append(
        line, sizeof line - 1, n,
        " bytes; give it more by stack_size of rota_task_opts or rota_run_opts, or make "
        "deep calls by rota_call_on_loop_stack()");
    write_line(line, n);
}

/* What would have happened without us. */
static void hand_on(int signal_number, siginfo_t *info, void *context)
{
    if (former_action.sa_flags & SA_SIGINFO) {
        former_action.sa_sigaction(signal_number, info, context);
        return;
    }
    if (former_action.sa_handler != SIG_DFL && former_action.sa_handler != SIG_IGN) {
        former_action.sa_handler(signal_number);
        return;
    }
    if (former_action.sa_handler == SIG_IGN && info->si_code <= 0)
        return; /* sent by a process, and ignored */
    /* The faulting instruction runs again, and the kernel acts; a sent signal is sent again. */
    struct sigaction by_default;
    memset(&by_default, 0, sizeof by_default);
    by_default.sa_handler = SIG_DFL;
    sigaction(signal_number, &by_default, NULL);
    if (info->si_code <= 0)
        raise(signal_number);
}

static void handle_fault(int signal_number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    bool in_guard = false;
    const struct roti_stack *stack = NULL;
    if (info->si_code > 0)
        stack = roti_stack_find(info->si_addr, &in_guard);
    if (stack != NULL && in_guard)
        report_overflow(stack, info->si_addr);
    else if (stack != NULL && roti_stack_detained(stack) != NULL)
        report("use of a stack after the end of task ", roti_stack_detained(stack), info->si_addr);
    errno = saved_errno;
    hand_on(signal_number, info, context);
}

/* ---- Coming and going ---- */

void roti_overflow_set_describe(roti_overflow_describe_fn describe)
{
    /* [KO2] relaxed: as [KO1]. */
    roti_store(KO2, relaxed, &describe_hook, describe);
}

/* The first thread installs the handler. Under install_lock. */
static void handler_install(void)
{
    struct sigaction action;
    if (handler_installed)
        return;
    sigaction(SIGSEGV, NULL, &former_action);
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, NULL);
    handler_installed = true;
}

/* The last thread puts the former one back. Under install_lock. */
static void handler_remove(void)
{
    struct sigaction current;
    sigaction(SIGSEGV, NULL, &current);
    if (!(current.sa_flags & SA_SIGINFO) || current.sa_sigaction != handle_fault)
        return; /* it may call us: former_action must stay */
    sigaction(SIGSEGV, &former_action, NULL);
    handler_installed = false;
}

int roti_overflow_install_thread(struct roti_overflow_thread *thread)
{
    stack_t existing;
    thread->memory = NULL;
    thread->size = 0;
    if (sigaltstack(NULL, &existing) == 0 && (existing.ss_flags & SS_DISABLE)) {
        size_t guard_size = (size_t)sysconf(_SC_PAGESIZE);
        size_t size = (size_t)sysconf(_SC_SIGSTKSZ) + ALT_STACK_SIZE_MIN;
        size = guard_size + (size + guard_size - 1) / guard_size * guard_size;
        if (!roti_alloc_permitted(size))
            return -ENOMEM;
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (memory == MAP_FAILED)
            return -ENOMEM;
        stack_t own = {.ss_sp = memory + guard_size, .ss_size = size - guard_size};
        if (mprotect(memory, guard_size, PROT_NONE) < 0 || sigaltstack(&own, NULL) < 0) {
            munmap(memory, size);
            return -ENOMEM;
        }
        thread->memory = memory;
        thread->size = size;
    }
    pthread_mutex_lock(&install_lock);
    thread_count++;
    handler_install();
    pthread_mutex_unlock(&install_lock);
    return 0;
}

void roti_overflow_forked(void)
{
    pthread_mutex_init(&install_lock, NULL);
    thread_count = 0;
}

void roti_overflow_remove_thread(struct roti_overflow_thread *thread)
{
    pthread_mutex_lock(&install_lock);
    if (--thread_count == 0)
        handler_remove();
    pthread_mutex_unlock(&install_lock);
    if (thread->memory == NULL)
        return;
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    munmap(thread->memory, thread->size);
    thread->memory = NULL;
}
