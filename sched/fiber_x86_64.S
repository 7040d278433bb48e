/* SPDX-License-Identifier: MIT */
/*
 * fiber_x86_64.S - the switch between two fibers, System V ABI.
 *
 * A parked fiber is its saved stack pointer, which points at this frame:
 *
 *      sp + 0   r15
 *      sp + 8   r14
 *      sp + 16  r13      the entry function, before the first switch
 *      sp + 24  r12      its argument, before the first switch
 *      sp + 32  rbx
 *      sp + 40  rbp      zero before the first switch: the end of the chain of frame pointers
 *      sp + 48  rip      the caller of the switch, or roti_fiber_start
 *
 * The last step is a jump through a register: the processor predicts that a `ret` goes back to the
 * latest `call`, which was the other fiber's. `notrack`, because a return address is no landing pad
 * for indirect-branch tracking. Shadow stacks are not switched, and the property note below claims
 * branch tracking only.
 *
 * The unwind rules are the same on either side of the exchange of rsp, so that a debugger that sets
 * rsp to a parked fiber's sp and rip to roti_fiber_resume sees the parked fiber's frames.
 */
#if defined(__x86_64__)

        .text

/* void *roti_fiber_jump(void **ret_from_sp, void *to_sp, void *transfer) */
        .globl  roti_fiber_jump
        .hidden roti_fiber_jump
        .type   roti_fiber_jump, @function
        .globl  roti_fiber_suspend
        .hidden roti_fiber_suspend
        .type   roti_fiber_suspend, @function
        .p2align 6
roti_fiber_suspend:                     /* the same; its type in C is all that differs */
roti_fiber_jump:
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp

        .globl  roti_fiber_resume
        .hidden roti_fiber_resume
roti_fiber_resume:
        movq    %rdx, %rax
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rcx
        notrack jmp *%rcx
        .cfi_endproc
        .size   roti_fiber_jump, . - roti_fiber_jump
        .size   roti_fiber_suspend, . - roti_fiber_suspend

/*
 * The first thing that a fiber runs: calls r13(r12, transfer), which returns where to go in
 * rax:rdx. rsp is 16-byte aligned here, so that the function sees what the ABI promises. There is
 * no caller: the undefined return address tells unwinders so.
 */
        .globl  roti_fiber_start
        .hidden roti_fiber_start
        .type   roti_fiber_start, @function
        .p2align 4
        .cfi_startproc
        .cfi_undefined %rip
        nop                             /* unwinders look up a return address minus one */
roti_fiber_start:
        endbr64
        movq    %r12, %rdi
        movq    %rax, %rsi
        callq   *%r13
        movq    %rax, %rdi
        movq    %rdx, %rsi
        callq   roti_fiber_exit_to
        ud2
        .cfi_endproc
        .size   roti_fiber_start, . - roti_fiber_start

/* Branch tracking (1), not shadow stacks (2). */
        .section .note.gnu.property, "a"
        .p2align 3
        .long   4                       /* size of the name */
        .long   16                      /* size of the description */
        .long   5                       /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000002              /* GNU_PROPERTY_X86_FEATURE_1_AND */
        .long   4
        .long   1
        .long   0

#endif

        .section .note.GNU-stack, "", %progbits
