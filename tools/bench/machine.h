/* SPDX-License-Identifier: MIT */
/*
 * machine.h - what rota-bench asks of the machine: how busy others keep it, CPUs, the allocator.
 */
#ifndef ROTI_BENCH_MACHINE_H
#define ROTI_BENCH_MACHINE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Seconds of processor time so far: of all CPUs, of those not idle, of this process and its
 * children. */
struct machine_use {
    double total;
    double busy;
    double own;
};

struct machine_use machine_use_now(void);

/* The share of all processor time since `start` that others used, from 0 to 1. */
double machine_others_busy(struct machine_use start);

/* How long the threads of a process that live have waited for a CPU, together: nanoseconds; 0 where
 * the kernel does not say. */
int64_t machine_delay_ns(pid_t process);

/* CPUs that this process may use. */
unsigned machine_cpu_count(void);

bool machine_has_jemalloc(void);

/* Binds this thread to the CPU that it is on; unbind undoes it. */
void machine_bind(cpu_set_t *ret_before);
void machine_unbind(const cpu_set_t *before);

#endif
