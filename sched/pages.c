/* SPDX-License-Identifier: MIT */
/*
 * pages.c - what stacks ask of the kernel. The essay is in the header.
 */
#include "sched/pages.h"

#include "sched/base/assert.h"
#include "sched/base/atomic.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_process_madvise
#define SYS_process_madvise 440 /* the number on every architecture */
#endif

#define PIDFD_OF_SELF (-10001) /* PIDFD_SELF_THREAD_GROUP of Linux 6.15 */

static _Atomic(roti_pages_hook_fn) pages_hook;
static _Atomic(int) many_refused; /* the kernel takes one range at a time */

void roti_pages_set_hook(roti_pages_hook_fn hook)
{
    /* [PG1] relaxed: tests set it before the threads that ask it, and what it reads is atomic. */
    roti_store(PG1, relaxed, &pages_hook, hook);
}

/* What the hook says to a call. */
static int hooked(enum roti_pages_call call, int detail)
{
    /* [PG2] relaxed: as [PG1]. */
    roti_pages_hook_fn hook = roti_load(PG2, relaxed, &pages_hook);
    return __builtin_expect(hook == NULL, 1) ? 0 : hook(call, detail);
}

char *roti_pages_reserve(size_t size)
{
    int protection = PROT_READ | PROT_WRITE;
    if (hooked(ROTI_PAGES_reserve, protection) < 0)
        return NULL;
    void *low = mmap(NULL, size, protection,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (low == MAP_FAILED)
        return NULL;
    madvise(low, size, MADV_NOHUGEPAGE); /* fails where there are none: as good */
    return low;
}

void roti_pages_unmap(char *low, size_t size)
{
    munmap(low, size);
}

/* One call for all. True: done; false: nobody knows how far it came. */
static bool advise_many(const struct iovec *ranges, unsigned count, int advice)
{
    size_t size = 0;
    /* [PG3] relaxed: the value stands for itself, and whoever misses [PG4] finds out the same. */
    if (roti_load(PG3, relaxed, &many_refused))
        return false;
    for (unsigned i = 0; i < count; i++)
        size += ranges[i].iov_len;
    long advised = syscall(SYS_process_madvise, PIDFD_OF_SELF, ranges, (size_t)count, advice, 0U);
    if (advised == (long)size)
        return true;
    if (advised < 0 && (errno == ENOSYS || errno == EBADF || errno == EPERM || errno == EINVAL))
        /* [PG4] relaxed: read by [PG3]. */
        roti_store(PG4, relaxed, &many_refused, 1);
    return false;
}

int roti_pages_advise(const struct iovec *ranges, unsigned count, int advice)
{
    ROTI_ASSERT(count <= ROTI_PAGES_BATCH);
    int r = hooked(ROTI_PAGES_advise, advice);
    if (r < 0)
        return r;
    if (count > 1 && advise_many(ranges, count, advice))
        return 0;
    /* All of it again: what has been advised before is as it was. */
    for (unsigned i = 0; i < count; i++)
        if (madvise(ranges[i].iov_base, ranges[i].iov_len, advice) < 0)
            return -errno;
    return 0;
}

int roti_pages_protect(void *low, size_t size, int protection)
{
    int r = hooked(ROTI_PAGES_protect, protection);
    if (r < 0)
        return r;
    return mprotect(low, size, protection) < 0 ? -errno : 0;
}
