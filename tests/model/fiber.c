/* SPDX-License-Identifier: MIT */
/*
 * fiber.c - stacks of virtual threads, the switch between them, and crashes on them.
 *
 * A switch saves the six registers that a call preserves and exchanges stack pointers; signal
 * masks and floating-point modes are the same for all. The explorer runs on x86-64 alone. A crash
 * of a virtual thread is the failure of its run: the handler makes the thread go on in a function
 * that says so, and the stack is begun anew in the next run.
 */
#include "tests/model/engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#define GUARD_SIZE 4096

/* void model_switch(void **ret_from, void *to) */
__asm__(".text\n"
        ".p2align 4\n"
        ".globl model_switch\n"
        ".type model_switch, @function\n"
        "model_switch:\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbx\n"
        "    pop %rbp\n"
        "    ret\n"
        ".size model_switch, . - model_switch\n");

static char *stack_create(void)
{
    char *memory = mmap(NULL, GUARD_SIZE + MODEL_STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, GUARD_SIZE, PROT_NONE) != 0) {
        perror("stack of a virtual thread");
        exit(2);
    }
    return memory + GUARD_SIZE;
}

/* The next switch to `thread` calls entry(), which must not return. */
void model_fiber_start(struct model_thread *thread, void (*entry)(void))
{
    if (thread->stack == NULL)
        thread->stack = stack_create();
    void **top = (void **)(thread->stack + MODEL_STACK_SIZE);
    *--top = NULL; /* entry's return address; it leaves the stack as a call would */
    *--top = (void *)entry;
    for (int i = 0; i < 6; i++)
        *--top = NULL;
    thread->stack_pointer = top;
}

static int crash_signal;

static void crash_landing(void)
{
    model_fail("crash: signal %d", crash_signal);
}

static void on_crash(int number, siginfo_t *info, void *context)
{
    (void)info;
    bool in_run = model.test != NULL;
    if (!in_run) {
        signal(number, SIG_DFL);
        return; /* the instruction is run again, and now kills the process */
    }
    struct model_thread *thread = model.current < 0 ? &model.main : model_running();
    ucontext_t *registers = context;
    crash_signal = number;
    registers->uc_mcontext.gregs[REG_RIP] = (greg_t)crash_landing;
    registers->uc_mcontext.gregs[REG_RSP] = (greg_t)(thread->stack + MODEL_STACK_SIZE - 8);
}

/* From now on a crash of a virtual thread fails its run. */
void model_crashes_fail(void)
{
    static char signal_stack[64 * 1024];
    stack_t alternate = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    struct sigaction action = {.sa_sigaction = on_crash,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    if (sigaltstack(&alternate, NULL) != 0 || sigaction(SIGSEGV, &action, NULL) != 0 ||
        sigaction(SIGBUS, &action, NULL) != 0 || sigaction(SIGFPE, &action, NULL) != 0 ||
        sigaction(SIGILL, &action, NULL) != 0) {
        perror("signal handlers");
        exit(2);
    }
}
