/* SPDX-License-Identifier: MIT */
/*
 * plain_fiber.S - the baseline's switch: the registers that a called function must keep, and a jump
 * through a register, because a `ret` would miss the predictor of returns. Nothing else.
 */
#if defined(__x86_64__)

        .text

/* void *bench_plain_switch(void **ret_from_sp, void *to_sp, void *transfer) */
        .globl  bench_plain_switch
        .type   bench_plain_switch, @function
        .p2align 6
bench_plain_switch:
        endbr64
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        movq    %rdx, %rax
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        popq    %rcx
        notrack jmp *%rcx
        .size   bench_plain_switch, .-bench_plain_switch

/* The first frame: r13 is the entry function, r12 its argument. */
        .globl  bench_plain_start
        .type   bench_plain_start, @function
        .p2align 4
bench_plain_start:
        movq    %r12, %rdi
        call    *%r13
        ud2
        .size   bench_plain_start, .-bench_plain_start

#elif defined(__aarch64__)

        .text

        .globl  bench_plain_switch
        .type   bench_plain_switch, %function
        .p2align 6
bench_plain_switch:
        hint    #34
        stp     x19, x20, [sp, #-160]!
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     x29, x30, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        mov     x0, x2
        ldp     x21, x22, [sp, #16]
        ldp     x23, x24, [sp, #32]
        ldp     x25, x26, [sp, #48]
        ldp     x27, x28, [sp, #64]
        ldp     x29, x17, [sp, #80]
        ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        ldp     x19, x20, [sp], #160
        mov     x30, x17
        br      x17
        .size   bench_plain_switch, .-bench_plain_switch

/* The first frame: x20 is the entry function, x19 its argument. */
        .globl  bench_plain_start
        .type   bench_plain_start, %function
        .p2align 4
bench_plain_start:
        hint    #36
        mov     x0, x19
        blr     x20
        brk     #0
        .size   bench_plain_start, .-bench_plain_start

#else
#error "the baseline's switch is written for x86-64 and aarch64"
#endif

        .section .note.GNU-stack, "", %progbits
