/* SPDX-License-Identifier: MIT */
/*
 * cpus.c - how many CPUs this process may use. See the header.
 */
#include "loop/cpus.h"

#include "loop/syscall.h"
#include "sched/pool.h"

#include <string.h>

#define WORD_COUNT (ROTI_CPU_MAX / ROTI_CPU_WORD_BITS)

bool roti_cpu_mask_read(struct roti_cpu_mask *ret_mask)
{
    struct roti_cpu_mask mask;
    memset(&mask, 0, sizeof mask); /* the kernel writes as many CPUs as it knows */
    bool known = roti_sys_getaffinity(&mask, sizeof mask) > 0;
    if (!known)
        mask.words[0] = 1;
    *ret_mask = mask;
    return known;
}

void roti_cpu_mask_apply(const struct roti_cpu_mask *mask)
{
    (void)roti_sys_setaffinity(mask, sizeof *mask);
}

unsigned roti_cpu_mask_count(const struct roti_cpu_mask *mask)
{
    unsigned count = 0;
    for (size_t i = 0; i < WORD_COUNT; i++)
        count += (unsigned)__builtin_popcountl(mask->words[i]);
    return count > 0 ? count : 1;
}

unsigned roti_cpu_mask_nth(const struct roti_cpu_mask *mask, unsigned n)
{
    unsigned cpu = 0;
    n %= roti_cpu_mask_count(mask);
    for (size_t i = 0; i < WORD_COUNT; i++) {
        unsigned count = (unsigned)__builtin_popcountl(mask->words[i]);
        if (n >= count) {
            n -= count;
            continue;
        }
        unsigned long word = mask->words[i];
        while (n-- > 0)
            word &= word - 1; /* its lowest bit */
        cpu = (unsigned)(i * ROTI_CPU_WORD_BITS) + (unsigned)__builtin_ctzl(word);
        break;
    }
    return cpu;
}

void roti_cpu_mask_bind(const struct roti_cpu_mask *mask, unsigned n)
{
    struct roti_cpu_mask one = {{0}};
    unsigned cpu = roti_cpu_mask_nth(mask, n);
    one.words[cpu / ROTI_CPU_WORD_BITS] = 1UL << (cpu % ROTI_CPU_WORD_BITS);
    roti_cpu_mask_apply(&one);
}

struct roti_cpus roti_cpus_within(const struct roti_cpu_mask *mask, struct roti_cpu_limit limit)
{
    uint64_t count = roti_cpu_mask_count(mask);
    bool quota = limit.period_us != 0 && limit.quota_us < count * limit.period_us;
    if (quota)
        count = (limit.quota_us + limit.period_us - 1) / limit.period_us;
    if (count < 1)
        count = 1;
    if (count > ROTI_LOOP_MAX)
        count = ROTI_LOOP_MAX;
    return (struct roti_cpus){.count = (unsigned)count, .quota = quota};
}
