/* SPDX-License-Identifier: MIT */
/*
 * lines.c - what an atomic access costs, by who has used its line of memory before.
 *
 * The usual protocol of caches: a line is in the hands of one CPU that may write it, or of several
 * that may read it. An access by a CPU that has it so costs an instruction. Else the line comes
 * from another CPU, and does so for one at a time: who wants it meanwhile queues. That is what
 * makes a line that all CPUs write the limit of the machine: one access in each transfer's time.
 * A plain store waits for nobody: it goes into the CPU's buffer. The next read-modify-write waits
 * until the buffer has drained.
 */
#include "tests/scaling/cost.h"

#define LINES_MAX (1u << 18)
#define NOBODY UINT32_MAX

struct line {
    uint64_t number; /* its address, divided; 0: free */
    uint32_t writer; /* CPU that may write it; NOBODY: it is shared */
    uint32_t socket; /* of its last writer */
    int64_t free_ns; /* it is under way until then */
    uint64_t readers[(SCALE_CPUS_MAX + 63) / 64];
    bool read_abroad; /* some reader is on another socket than the last writer */
};

static struct line lines[LINES_MAX];
static unsigned line_count;
static uintptr_t watched_low;
static uintptr_t watched_high;

void scale_watch(const void *memory, size_t size)
{
    watched_low = (uintptr_t)memory;
    watched_high = watched_low + size;
}

static struct line *line_of(const volatile void *address)
{
    uint64_t number = (uintptr_t)address / ROTI_CACHE_LINE;
    size_t i = (number * UINT64_C(0x9E3779B97F4A7C15)) >> 46;
    while (lines[i].number != number) {
        if (lines[i].number == 0) {
            if (++line_count > LINES_MAX / 4 * 3)
                sim_fail("more than %u lines of memory", LINES_MAX / 4 * 3);
            lines[i] = (struct line){.number = number, .writer = NOBODY};
            return &lines[i];
        }
        i = (i + 1) % LINES_MAX;
    }
    return &lines[i];
}

static bool reads(const struct line *line, unsigned cpu)
{
    return (line->readers[cpu / 64] >> (cpu % 64) & 1) != 0;
}

static void add_reader(struct line *line, const struct scale_cpu *cpu)
{
    line->readers[cpu->index / 64] |= UINT64_C(1) << (cpu->index % 64);
    line->read_abroad = line->read_abroad || cpu->socket != line->socket;
}

static int64_t later(int64_t one_ns, int64_t two_ns)
{
    return one_ns > two_ns ? one_ns : two_ns;
}

/* The instant at which a read is done. */
static int64_t fetch(struct line *line, const struct scale_cpu *cpu)
{
    if (reads(line, cpu->index))
        return cpu->now_ns;
    int64_t begin_ns = later(cpu->now_ns, line->free_ns);
    bool abroad = cpu->socket != line->socket && !line->read_abroad;
    line->free_ns = begin_ns + scale_cost.share;
    line->writer = NOBODY;
    add_reader(line, cpu);
    scale_sums.transfers++;
    return begin_ns + scale_cost.line * (abroad ? scale_cost.remote : 1);
}

/* The instant from which on the CPU may write the line. */
static int64_t own(struct line *line, const struct scale_cpu *cpu, int64_t begin_ns)
{
    if (line->writer == cpu->index)
        return begin_ns;
    bool abroad = line->read_abroad || cpu->socket != line->socket;
    begin_ns = later(begin_ns, line->free_ns);
    line->free_ns = begin_ns + scale_cost.line * (abroad ? scale_cost.remote : 1);
    line->writer = cpu->index;
    line->socket = cpu->socket;
    for (unsigned i = 0; i < sizeof line->readers / sizeof *line->readers; i++)
        line->readers[i] = 0;
    line->read_abroad = false;
    add_reader(line, cpu);
    scale_sums.transfers++;
    return line->free_ns;
}

void sim_point(enum sim_access access, const volatile void *address)
{
    struct scale_cpu *cpu = scale_cpu();
    if (cpu == NULL)
        return;
    scale_sums.points++;
    if (access == SIM_FENCE) {
        scale_charge(later(cpu->drain_ns - cpu->now_ns, 0) + scale_cost.fence);
        return;
    }
    struct line *line = line_of(address);
    int64_t done_ns = cpu->now_ns;
    if (access == SIM_LOAD)
        done_ns = fetch(line, cpu);
    else if (access == SIM_STORE)
        cpu->drain_ns = own(line, cpu, later(cpu->now_ns, cpu->drain_ns));
    else
        done_ns = own(line, cpu, later(cpu->now_ns, cpu->drain_ns)) + scale_cost.update;
    int64_t ns = done_ns - cpu->now_ns + scale_cost.point;
    cpu->in_watched = (uintptr_t)address - watched_low < watched_high - watched_low;
    if (cpu->in_watched)
        scale_sums.watched_ns += ns;
    scale_profile_here(ns);
    scale_charge(ns);
}
