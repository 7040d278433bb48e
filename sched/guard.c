/* SPDX-License-Identifier: MIT */
/*
 * guard.c - guard pages: by a mark in the page table, or by protection within a budget.
 *
 * Problem.  A PROT_NONE page in the middle of a mapping splits it in three, and the kernel limits
 *           the mappings of a process (65,530 by default): some 32,000 stacks, and then mmap fails
 *           for everybody in the program.
 * Design.   MADV_GUARD_INSTALL (Linux 6.13) needs no mapping. Whether it works is probed by its
 *           effect, since emulators accept any advice and do nothing: write(2) from a guarded page
 *           must fail with EFAULT. Elsewhere mprotect, for at most half of the mappings that the
 *           system allows, less those that the process had already; then -ENOMEM. Who promises
 *           stacks pays for their guards beforehand, so that a spawn is refused and no first step.
 * Threads.  Any. Two threads that probe at once find the same answer.
 */
#include "sched/guard.h"

#include "sched/base/atomic.h"
#include "sched/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAPPINGS_PER_GUARD 2 /* the guard, and the rest of the mapping that it splits */
#define MAX_MAP_COUNT_DEFAULT 65530

static _Atomic(int) guard_kind;              /* enum roti_guard */
static _Atomic(size_t) mapping_count;        /* charged for guards that exist */
static _Atomic(size_t) mapping_limit_plus_1; /* zero: not known yet */

size_t roti_guard_size(void)
{
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
#if defined(__aarch64__)
    size_t probe_step = (size_t)64 << 10; /* of -fstack-clash-protection */
    return page_size > probe_step ? page_size : probe_step;
#else
    return page_size;
#endif
}

/* Whether a byte of `page` can be read by the kernel on our behalf: 1, 0, or a negative errno. */
static int page_readable(const void *page)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    ssize_t written = write(ends[1], page, 1);
    int r = written == 1 ? 1 : errno == EFAULT ? 0 : -errno;
    close(ends[0]);
    close(ends[1]);
    return r;
}

/* Makes one guard and tries it. Descriptors or memory may be short, and then the answer is open. */
static enum roti_guard guard_probe(void)
{
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return ROTI_GUARD_PROBE;
    enum roti_guard kind = ROTI_GUARD_MPROTECT;
    if (madvise(page, page_size, ROTI_ADVICE_GUARD) == 0) {
        int readable = page_readable(page);
        kind = readable < 0 ? ROTI_GUARD_PROBE : readable ? ROTI_GUARD_MPROTECT : ROTI_GUARD_MARKER;
    }
    munmap(page, page_size);
    return kind;
}

enum roti_guard roti_guard_kind(void)
{
    /* [KG1] relaxed: the value stands for itself, and whoever misses [KG2] finds out the same. */
    enum roti_guard kind = (enum roti_guard)roti_load(KG1, relaxed, &guard_kind);
    if (__builtin_expect(kind == ROTI_GUARD_PROBE, 0)) {
        kind = guard_probe();
        /* [KG2] relaxed: read by [KG1]. */
        roti_store(KG2, relaxed, &guard_kind, (int)kind);
    }
    return kind;
}

/* The number in a file of one number, or `otherwise`. */
static size_t read_number(const char *path, size_t otherwise)
{
    char text[32];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return otherwise;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return otherwise;
    text[n] = 0;
    return (size_t)strtoul(text, NULL, 10);
}

/* Lines of /proc/self/maps; zero where it cannot be read. */
static size_t count_mappings(void)
{
    char text[1024];
    size_t count = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    for (ssize_t n; (n = read(fd, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            count += text[i] == '\n';
    close(fd);
    return count;
}

/* How many mappings guards may use, found out once. */
static size_t mapping_limit(void)
{
    /* [KG3] relaxed: as [KG1]. */
    size_t limit_plus_1 = roti_load(KG3, relaxed, &mapping_limit_plus_1);
    if (limit_plus_1 == 0) {
        size_t half = read_number("/proc/sys/vm/max_map_count", MAX_MAP_COUNT_DEFAULT) / 2;
        size_t used = count_mappings();
        limit_plus_1 = half > used ? half - used + 1 : 1;
        /* [KG4] relaxed: read by [KG3]. */
        roti_store(KG4, relaxed, &mapping_limit_plus_1, limit_plus_1);
    }
    return limit_plus_1 - 1;
}

int roti_guard_charge(size_t count)
{
    size_t mappings = count * MAPPINGS_PER_GUARD;
    if (count == 0 || roti_guard_kind() == ROTI_GUARD_MARKER)
        return 0;
    /* [KG5] relaxed: a count; what it bounds is the kernel's. */
    if (roti_fetch_add(KG5, relaxed, &mapping_count, mappings) + mappings <= mapping_limit())
        return (int)count;
    roti_guard_release(count);
    return -ENOMEM;
}

void roti_guard_release(size_t count)
{
    if (count != 0)
        /* [KG6] relaxed: as [KG5]. */
        roti_fetch_sub(KG6, relaxed, &mapping_count, count * MAPPINGS_PER_GUARD);
}

int roti_guard_install(const struct iovec *guards, unsigned count)
{
    if (roti_guard_kind() == ROTI_GUARD_MARKER) {
        int r = roti_pages_advise(guards, count, ROTI_ADVICE_GUARD);
        if (r != -EINVAL)
            return r < 0 ? -ENOMEM : 0;
        /* The first kernels that have it refuse locked memory so, and then all of it.
         * [KG9] relaxed: as [KG2]. */
        roti_store(KG9, relaxed, &guard_kind, (int)ROTI_GUARD_MPROTECT);
        return -EAGAIN;
    }
    for (unsigned i = 0; i < count; i++)
        if (roti_pages_protect(guards[i].iov_base, guards[i].iov_len, PROT_NONE) < 0)
            return -ENOMEM;
    return 0;
}

void roti_guard_override(enum roti_guard kind, size_t mapping_count_max)
{
    /* [KG7] relaxed: read by [KG1]; no stack exists. */
    roti_store(KG7, relaxed, &guard_kind, (int)kind);
    /* [KG8] relaxed: read by [KG3]. */
    roti_store(KG8, relaxed, &mapping_limit_plus_1,
               mapping_count_max != 0 ? mapping_count_max + 1 : 0);
}
