/* SPDX-License-Identifier: MIT */
/*
 * fiber_aarch64.S - the switch between two fibers, AAPCS64.
 *
 * A parked fiber is its saved stack pointer, which points at this frame:
 *
 *      sp + 0    x29, x30  frame pointer (zero before the first switch), and the caller of the
 *                          switch or roti_fiber_start
 *      sp + 16   x19, x20  before the first switch: the argument and the entry function
 *      sp + 32   x21 ... x28
 *      sp + 96   d8 ... d15
 *
 * The last step is a jump through a register, not `ret`: the processor predicts that a `ret` goes
 * back to the latest `bl`, which was the other fiber's. A call's return address is no landing pad,
 * though, so where branch target identification is on, `ret` it must be. Return addresses that
 * compiled code signs are signed before they come here; this code stores its own unsigned, and
 * the property note below claims branch targets only.
 *
 * The unwind rules are the same on either side of the exchange of sp, so that a debugger that sets
 * sp to a parked fiber's sp and pc to roti_fiber_resume sees the parked fiber's frames.
 */
#if defined(__aarch64__)

#define FRAME_SIZE 160

        .text

/* void *roti_fiber_jump(void **ret_from_sp, void *to_sp, void *transfer) */
        .globl  roti_fiber_jump
        .hidden roti_fiber_jump
        .type   roti_fiber_jump, %function
        .globl  roti_fiber_suspend
        .hidden roti_fiber_suspend
        .type   roti_fiber_suspend, %function
        .p2align 6
roti_fiber_suspend:                     /* the same; its type in C is all that differs */
roti_fiber_jump:
        .cfi_startproc
        hint    #34                     /* bti c */
        stp     x29, x30, [sp, #-FRAME_SIZE]!
        .cfi_adjust_cfa_offset FRAME_SIZE
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        stp     x19, x20, [sp, #16]
        .cfi_rel_offset x19, 16
        .cfi_rel_offset x20, 24
        stp     x21, x22, [sp, #32]
        .cfi_rel_offset x21, 32
        .cfi_rel_offset x22, 40
        stp     x23, x24, [sp, #48]
        .cfi_rel_offset x23, 48
        .cfi_rel_offset x24, 56
        stp     x25, x26, [sp, #64]
        .cfi_rel_offset x25, 64
        .cfi_rel_offset x26, 72
        stp     x27, x28, [sp, #80]
        .cfi_rel_offset x27, 80
        .cfi_rel_offset x28, 88
        stp     d8, d9, [sp, #96]
        .cfi_rel_offset d8, 96
        .cfi_rel_offset d9, 104
        stp     d10, d11, [sp, #112]
        .cfi_rel_offset d10, 112
        .cfi_rel_offset d11, 120
        stp     d12, d13, [sp, #128]
        .cfi_rel_offset d12, 128
        .cfi_rel_offset d13, 136
        stp     d14, d15, [sp, #144]
        .cfi_rel_offset d14, 144
        .cfi_rel_offset d15, 152
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1

        .globl  roti_fiber_resume
        .hidden roti_fiber_resume
roti_fiber_resume:
        mov     x0, x2
        ldp     d14, d15, [sp, #144]
        .cfi_restore d14
        .cfi_restore d15
        ldp     d12, d13, [sp, #128]
        .cfi_restore d12
        .cfi_restore d13
        ldp     d10, d11, [sp, #112]
        .cfi_restore d10
        .cfi_restore d11
        ldp     d8, d9, [sp, #96]
        .cfi_restore d8
        .cfi_restore d9
        ldp     x27, x28, [sp, #80]
        .cfi_restore x27
        .cfi_restore x28
        ldp     x25, x26, [sp, #64]
        .cfi_restore x25
        .cfi_restore x26
        ldp     x23, x24, [sp, #48]
        .cfi_restore x23
        .cfi_restore x24
        ldp     x21, x22, [sp, #32]
        .cfi_restore x21
        .cfi_restore x22
        ldp     x19, x20, [sp, #16]
        .cfi_restore x19
        .cfi_restore x20
        ldp     x29, x30, [sp], #FRAME_SIZE
        .cfi_adjust_cfa_offset -FRAME_SIZE
        .cfi_restore x29
        .cfi_restore x30
#if defined(__ARM_FEATURE_BTI_DEFAULT)
        ret
#else
        br      x30
#endif
        .cfi_endproc
        .size   roti_fiber_jump, . - roti_fiber_jump
        .size   roti_fiber_suspend, . - roti_fiber_suspend

/*
 * The first thing that a fiber runs: calls x20(x19, transfer), which returns where to go in x0, x1.
 * There is no caller: the undefined return address tells unwinders so.
 */
        .globl  roti_fiber_start
        .hidden roti_fiber_start
        .type   roti_fiber_start, %function
        .p2align 4
        .cfi_startproc
        .cfi_undefined x30
        nop                             /* unwinders look up a return address minus one */
roti_fiber_start:
        hint    #36                     /* bti j */
        mov     x1, x0
        mov     x0, x19
        blr     x20
        bl      roti_fiber_exit_to
        brk     #0
        .cfi_endproc
        .size   roti_fiber_start, . - roti_fiber_start

/* Branch target identification (1), not signed return addresses (2). */
        .section .note.gnu.property, "a"
        .p2align 3
        .long   4                       /* size of the name */
        .long   16                      /* size of the description */
        .long   5                       /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000000              /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
        .long   4
        .long   1
        .long   0

#endif

        .section .note.GNU-stack, "", %progbits
