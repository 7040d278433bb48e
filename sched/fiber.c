/* SPDX-License-Identifier: MIT */
/*
 * fiber.c - the first frame and the last switch of a fiber; switches that sanitizers hear of.
 *
 * The switch itself is in fiber_<processor>.S, which draws the frame that is laid out here.
 */
#include "sched/fiber.h"

#include "sched/base/thread.h"

#include <stdint.h>
#include <string.h>

/* In assembly: what a new fiber's first switch goes to. Calls no C function but the two below. */
void roti_fiber_start(void);

/* Called by roti_fiber_start with what the entry function returned. */
__attribute__((noreturn)) void roti_fiber_exit_to(struct roti_fiber *to, void *transfer);

#if defined(__x86_64__)
enum { FRAME_WORDS = 7, FRAME_ARG = 3, FRAME_ENTRY = 2, FRAME_FP = 5, FRAME_PC = 6 };
#elif defined(__aarch64__)
enum { FRAME_WORDS = 20, FRAME_ARG = 2, FRAME_ENTRY = 3, FRAME_FP = 0, FRAME_PC = 1 };
#else
#error "rota has no fiber switch for this processor"
#endif

/* Words above the first frame, zero: what a walker of frames that ignores unwind rules meets. */
enum { END_WORDS = 2 };

#if ROTI_SWITCH_ANNOUNCED

/* Tells the sanitizers that the stack of `to` comes next. */
static inline __attribute__((always_inline)) void announce_leave(void **ret_fake_stack,
                                                                 struct roti_fiber *to)
{
#if ROTI_ASAN
    __sanitizer_start_switch_fiber(ret_fake_stack, to->stack_low, to->stack_size);
#endif
#if ROTI_TSAN
    if (to->tsan_context == NULL) {
        if (to->stack->notes.tsan_context == NULL)
            to->stack->notes.tsan_context = __tsan_create_fiber(0);
        to->tsan_context = to->stack->notes.tsan_context;
    }
    __tsan_switch_to_fiber(to->tsan_context, 0);
#endif
    (void)ret_fake_stack;
    (void)to;
}

/* Tells them that the new stack is in use; `fake_stack` is what its fiber left, or NULL. */
static inline __attribute__((always_inline)) void announce_arrive(void *fake_stack)
{
#if ROTI_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
    (void)fake_stack;
}

ROTI_UNINSTRUMENTED void *roti_fiber_switch(struct roti_fiber *from, struct roti_fiber *to,
                                            void *transfer)
{
    announce_leave(&from->asan_fake_stack, to);
    void *result = roti_fiber_jump(&from->sp, to->sp, transfer);
    announce_arrive(from->asan_fake_stack);
    return result;
}

ROTI_UNINSTRUMENTED void roti_fiber_exit_to(struct roti_fiber *to, void *transfer)
{
    void *dead_sp;
    announce_leave(NULL, to); /* NULL: what ASan keeps of this stack's locals may go */
    roti_fiber_jump(&dead_sp, to->sp, transfer);
    __builtin_unreachable();
}

/* The entry function as the sanitizers need it: the first switch ends before it starts. */
ROTI_UNINSTRUMENTED static struct roti_fiber_exit announced_entry(void *arg, void *transfer)
{
    struct roti_fiber *fiber = arg;
    announce_arrive(NULL);
    return fiber->entry(fiber->arg, transfer);
}

#else

void roti_fiber_exit_to(struct roti_fiber *to, void *transfer)
{
    void *dead_sp;
    roti_fiber_jump(&dead_sp, to->sp, transfer);
    __builtin_unreachable();
}

#endif

void roti_fiber_init(struct roti_fiber *fiber, struct roti_stack *stack, size_t reserved,
                     roti_fiber_entry_fn entry, void *arg)
{
    uintptr_t top = ((uintptr_t)roti_stack_top(stack) - reserved) & ~(uintptr_t)15;
    /* Room for the frame, and for the entry function to do something. */
    ROTI_ASSERT(reserved < stack->size / 2);

    uintptr_t *frame = (uintptr_t *)top - END_WORDS - FRAME_WORDS;
    memset(frame, 0, (END_WORDS + FRAME_WORDS) * sizeof *frame);
    /* The frame is gone when roti_fiber_start runs, and its call needs 16-byte alignment. */
    ROTI_ASSERT((uintptr_t)(frame + FRAME_WORDS) % 16 == 0);
    frame[FRAME_PC] = (uintptr_t)roti_fiber_start;

    fiber->sp = frame;
    fiber->stack_low = stack->low;
    fiber->stack_size = stack->size;
#if ROTI_SWITCH_ANNOUNCED
    fiber->stack = stack;
    fiber->asan_fake_stack = NULL;
    fiber->tsan_context = NULL;
    fiber->entry = entry;
    fiber->arg = arg;
    frame[FRAME_ENTRY] = (uintptr_t)announced_entry;
    frame[FRAME_ARG] = (uintptr_t)fiber;
#else
    frame[FRAME_ENTRY] = (uintptr_t)entry;
    frame[FRAME_ARG] = (uintptr_t)arg;
#endif
}

int roti_fiber_adopt_thread(struct roti_fiber *fiber)
{
    char *low;
    size_t size;
    int r = roti_thread_stack(&low, &size);
    if (r < 0)
        return r;

    memset(fiber, 0, sizeof *fiber);
    fiber->stack_low = low;
    fiber->stack_size = size;
#if ROTI_TSAN
    fiber->tsan_context = __tsan_get_current_fiber();
#endif
    return 0;
}

ROTI_UNINSTRUMENTED int roti_fiber_chain(uintptr_t frame, uintptr_t low, uintptr_t high,
                                         void **ret_pcs, int max)
{
    int count = 0;
    /* A chain that leaves the stack or goes down is no chain: code without frame pointers. */
    while (count < max && frame >= low && frame + 2 * sizeof(uintptr_t) <= high &&
           frame % sizeof(uintptr_t) == 0) {
        const uintptr_t *pair = (const uintptr_t *)frame;
        if (pair[1] == 0)
            break;
        ret_pcs[count++] = (void *)pair[1];
        if (pair[0] <= frame)
            break;
        frame = pair[0];
    }
    return count;
}

ROTI_UNINSTRUMENTED int roti_fiber_frames(const struct roti_fiber *fiber, void **ret_pcs, int max)
{
    uintptr_t low = (uintptr_t)fiber->stack_low;
    const uintptr_t *saved = fiber->sp;
    if (max <= 0)
        return 0;
    ret_pcs[0] = (void *)saved[FRAME_PC];
    return 1 +
           roti_fiber_chain(saved[FRAME_FP], low, low + fiber->stack_size, ret_pcs + 1, max - 1);
}
