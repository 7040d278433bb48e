/* SPDX-License-Identifier: MIT */
/*
 * registers.S - fills every register that the ABI keeps over a call, calls, and looks again.
 *
 *      long test_registers(void (*call)(void *), void *arg, unsigned long seed)
 *
 * Returns the number of registers that changed. Register i holds seed + i. On x86-64 no vector
 * register is kept; on aarch64 the low halves of v8 to v15 are.
 */
        .text
        .globl  test_registers

#if defined(__x86_64__)

        .type   test_registers, @function
test_registers:
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        pushq   %rdx                    /* the seed, and the alignment */
        .cfi_adjust_cfa_offset 8
        leaq    0(%rdx), %rbp
        leaq    1(%rdx), %rbx
        leaq    2(%rdx), %r12
        leaq    3(%rdx), %r13
        leaq    4(%rdx), %r14
        leaq    5(%rdx), %r15
        movq    %rdi, %rax
        movq    %rsi, %rdi
        callq   *%rax
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        xorl    %eax, %eax
        .macro  check register, index
        leaq    \index(%rdx), %rcx
        cmpq    %rcx, \register
        setne   %cl
        movzbl  %cl, %ecx
        addq    %rcx, %rax
        .endm
        check   %rbp, 0
        check   %rbx, 1
        check   %r12, 2
        check   %r13, 3
        check   %r14, 4
        check   %r15, 5
        popq    %r15
        .cfi_adjust_cfa_offset -8
        popq    %r14
        .cfi_adjust_cfa_offset -8
        popq    %r13
        .cfi_adjust_cfa_offset -8
        popq    %r12
        .cfi_adjust_cfa_offset -8
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   test_registers, . - test_registers

#elif defined(__aarch64__)

        .type   test_registers, %function
test_registers:
        .cfi_startproc
        hint    #34                     /* bti c */
        stp     x29, x30, [sp, #-176]!
        .cfi_adjust_cfa_offset 176
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        str     x2, [sp, #160]
        .irp    n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
        add     x\n, x2, #\n
        .endr
        .irp    n, 8, 9, 10, 11, 12, 13, 14, 15
        add     x9, x2, #\n
        fmov    d\n, x9
        .endr
        mov     x9, x0
        mov     x0, x1
        blr     x9
        ldr     x2, [sp, #160]
        mov     x0, #0
        .irp    n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
        add     x9, x2, #\n
        cmp     x9, x\n
        cinc    x0, x0, ne
        .endr
        .irp    n, 8, 9, 10, 11, 12, 13, 14, 15
        add     x9, x2, #\n
        fmov    x10, d\n
        cmp     x9, x10
        cinc    x0, x0, ne
        .endr
        ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x27, x28, [sp, #80]
        ldp     x25, x26, [sp, #64]
        ldp     x23, x24, [sp, #48]
        ldp     x21, x22, [sp, #32]
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp], #176
        ret
        .cfi_endproc
        .size   test_registers, . - test_registers

#endif

        .section .note.GNU-stack, "", %progbits
