/* SPDX-License-Identifier: MIT */
/*
 * fiber.h - a flow of control with its own stack, and the switch from one to another.
 *
 * What a switch keeps: the registers that the ABI lets a called function rely on. What it does not
 * keep: MXCSR and the x87 control word (FPCR on aarch64), errno, and the signal mask. They belong
 * to the thread, that is to the loop, and a task that changes one changes it for whoever runs next.
 *
 * A fiber may be resumed on another thread than it was parked on; that the parking is complete
 * before is the caller's protocol, not this file's.
 */
#ifndef ROTI_FIBER_H
#define ROTI_FIBER_H

#include "sched/base/assert.h"
#include "sched/sanitizer.h"
#include "sched/stack.h"

#include <stddef.h>
#include <stdint.h>

/* One flow of control. Only the thread that switches touches it. */
struct roti_fiber {
    void *sp;          /* parked: its saved frame; running: meaningless */
    char *stack_low;   /* the stack's lowest usable byte */
    size_t stack_size; /* usable bytes from there */
#if ROTI_SWITCH_ANNOUNCED
    struct roti_stack *stack; /* NULL for a thread's own stack */
    void *asan_fake_stack;    /* parked: what ASan keeps of its locals */
    void *tsan_context;       /* NULL until first switched to */
    struct roti_fiber_exit (*entry)(void *arg, void *transfer);
    void *arg;
#endif
};

/* Where a fiber goes for good when its entry function returns. */
struct roti_fiber_exit {
    struct roti_fiber *to;
    void *transfer; /* what `to` gets as the result of its switch */
};

/*
 * What a fiber runs, with the argument of its init and the transfer of the switch that started it.
 * It ends by returning; nobody may resume it, and its stack is free, once `to` goes on.
 */
typedef struct roti_fiber_exit (*roti_fiber_entry_fn)(void *arg, void *transfer);

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Lays out the first frame of a parked fiber on `stack`, whose top `reserved` bytes (rounded up
 * to 16) below roti_stack_top() are the caller's: arguments and waits share the page of the first
 * frames. Touches that page and nothing else.
 */
void roti_fiber_init(struct roti_fiber *fiber, struct roti_stack *stack, size_t reserved,
                     roti_fiber_entry_fn entry, void *arg);

/*
 * Makes `fiber` stand for the calling thread's own stack, so that it can be switched from and back
 * to. Returns 0, or -ENOMEM or another negative errno where the stack's bounds cannot be had.
 */
int roti_fiber_adopt_thread(struct roti_fiber *fiber);

/*
 * In assembly. Saves the caller's registers on its stack and the stack pointer to *ret_from_sp,
 * goes on with the frame at `to_sp`, and returns `transfer` there.
 */
void *roti_fiber_jump(void **ret_from_sp, void *to_sp, void *transfer);

/* The same where what comes back is an int. As the last thing that a function does it needs no
 * frame of that function: the switch returns to the function's caller. See sched/step.h. */
int roti_fiber_suspend(void **ret_from_sp, void *to_sp, void *transfer);

/*
 * Parks `from`, which is the running fiber, and goes on with `to`, which is parked; `transfer` is
 * the result of the switch that parked `to`, or its entry function's second argument.
 * Returns what the switch that comes back transfers, possibly on another thread.
 */
#if ROTI_SWITCH_ANNOUNCED
void *roti_fiber_switch(struct roti_fiber *from, struct roti_fiber *to, void *transfer);

static inline int roti_fiber_switch_last(struct roti_fiber *from, struct roti_fiber *to,
                                         void *transfer)
{
    return (int)(intptr_t)roti_fiber_switch(from, to, transfer);
}
#else
static inline void *roti_fiber_switch(struct roti_fiber *from, struct roti_fiber *to,
                                      void *transfer)
{
    ROTI_DEBUG_ASSERT(to->sp != NULL);
    return roti_fiber_jump(&from->sp, to->sp, transfer);
}

/* The same by roti_fiber_suspend(). */
static inline int roti_fiber_switch_last(struct roti_fiber *from, struct roti_fiber *to,
                                         void *transfer)
{
    ROTI_DEBUG_ASSERT(to->sp != NULL);
    return roti_fiber_suspend(&from->sp, to->sp, transfer);
}
#endif

/*
 * Return addresses on the stack of a parked fiber that nobody resumes meanwhile, innermost first,
 * by its chain of frame pointers; as far as code keeps them. Returns how many of `max`.
 */
int roti_fiber_frames(const struct roti_fiber *fiber, void **ret_pcs, int max);

/* The same from a frame pointer on, on a stack that is in use between `low` and `high`, by the
 * thread that uses it. */
int roti_fiber_chain(uintptr_t frame, uintptr_t low, uintptr_t high, void **ret_pcs, int max);

#ifdef __cplusplus
}
#endif

#endif
