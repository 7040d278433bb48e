/* SPDX-License-Identifier: MIT */
/*
 * cpus.h - how many CPUs this process may use: the affinity mask, and the CPU limit of its groups.
 *
 * A limit is rounded up: 1.5 CPUs are two loops. Loops without work sleep and use up nothing of it,
 * while rounding down would leave half a CPU unused that is paid for. Less than one is one loop.
 */
#ifndef ROTI_CPUS_H
#define ROTI_CPUS_H

#include "loop/cgroup.h"

#include <stdbool.h>

/* The most CPUs that a kernel for any machine can be built for; cpu_set_t has 1,024. */
#define ROTI_CPU_MAX 8192
#define ROTI_CPU_WORD_BITS (CHAR_BIT * sizeof(unsigned long))

/* As the kernel reads and writes it. */
struct roti_cpu_mask {
    unsigned long words[ROTI_CPU_MAX / ROTI_CPU_WORD_BITS];
};

struct roti_cpus {
    unsigned count; /* 1 to ROTI_LOOP_MAX */
    bool quota;     /* a limit allows less time than the CPUs of the mask have */
};

#ifdef __cplusplus
extern "C" {
#endif

/* The mask of the calling thread. False where it cannot be read: CPU 0 alone. */
bool roti_cpu_mask_read(struct roti_cpu_mask *ret_mask);

/* Binds the calling thread to the n-th CPU of `mask`, counted round. Best effort. */
void roti_cpu_mask_bind(const struct roti_cpu_mask *mask, unsigned n);

/* Gives the calling thread the mask. Best effort. */
void roti_cpu_mask_apply(const struct roti_cpu_mask *mask);

/* The number of its n-th CPU, counted round. */
unsigned roti_cpu_mask_nth(const struct roti_cpu_mask *mask, unsigned n);

/* How many CPUs it has, 1 or more, as an empty one cannot be. */
unsigned roti_cpu_mask_count(const struct roti_cpu_mask *mask);

/* What mask and limit together allow. */
struct roti_cpus roti_cpus_within(const struct roti_cpu_mask *mask, struct roti_cpu_limit limit);

#ifdef __cplusplus
}
#endif

#endif
