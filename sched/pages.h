/* SPDX-License-Identifier: MIT */
/*
 * pages.h - what stacks ask of the kernel: address space, advice about pages, protection.
 *
 * Problem.  A guard, a page given back, a range made inaccessible: each is a system call for one
 *           range, and stacks come by the dozen. Half of such a call is the way into the kernel.
 * Design.   Advice is given for many ranges at once by process_madvise(2), which takes any advice
 *           for the calling process since Linux 6.13, and a name for that process without a
 *           descriptor since 6.15. Where it is refused, once, ranges go one by one from then on.
 * Testing.  A hook is asked before each call and may answer in the kernel's place.
 * Threads.  Any.
 */
#ifndef ROTI_PAGES_H
#define ROTI_PAGES_H

#include <stddef.h>
#include <sys/uio.h>

/* How many ranges one call takes, at most. */
#define ROTI_PAGES_BATCH 64

/* X(name): every call that the hook is asked about. */
#define ROTI_PAGES_CALLS(X)                                                                        \
    X(reserve)                                                                                     \
    X(advise)                                                                                      \
    X(protect)

enum roti_pages_call {
#define ROTI_PAGES_ENUM(name) ROTI_PAGES_##name,
    ROTI_PAGES_CALLS(ROTI_PAGES_ENUM) ROTI_PAGES_CALL_COUNT
#undef ROTI_PAGES_ENUM
};

/* Advice of Linux 6.13, which older headers do not have. */
#define ROTI_ADVICE_GUARD 102
#define ROTI_ADVICE_UNGUARD 103

/* 0: make the call. A negative errno: it is the answer. `detail` is the advice or protection. */
typedef int (*roti_pages_hook_fn)(enum roti_pages_call call, int detail);

#ifdef __cplusplus
extern "C" {
#endif

/* Installs the hook, NULL to remove it. For tests; any thread, so the hook must be thread-safe. */
void roti_pages_set_hook(roti_pages_hook_fn hook);

/* Readable and writable address space for which no memory is set aside, without huge pages; NULL
 * when there is none. */
char *roti_pages_reserve(size_t size);
void roti_pages_unmap(char *low, size_t size);

/* Gives the advice for each range; `count` is at most ROTI_PAGES_BATCH. 0, or the negative errno of
 * the first that was refused; some of the others may have been advised. */
int roti_pages_advise(const struct iovec *ranges, unsigned count, int advice);

/* mprotect(2): 0 or a negative errno. */
int roti_pages_protect(void *low, size_t size, int protection);

#ifdef __cplusplus
}
#endif

#endif
