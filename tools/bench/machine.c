/* SPDX-License-Identifier: MIT */
/*
 * machine.c - clocks, and what else this machine is busy with.
 */
#include "tools/bench/machine.h"

#include "tools/bench/bench.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

int64_t bench_clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * ROTA_SEC + now.tv_nsec;
}

struct bench_instant bench_now(void)
{
    return (struct bench_instant){
        .wall_ns = bench_clock_ns(CLOCK_MONOTONIC),
        .cpu_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID),
    };
}

double bench_cpu_per(const struct bench_run *run, struct bench_instant start)
{
    struct bench_instant end = bench_now();
    bench_note(run, "wall_ns", (double)(end.wall_ns - start.wall_ns) / (double)run->n);
    return (double)(end.cpu_ns - start.cpu_ns) / (double)run->n;
}

void bench_sleep_ns(int64_t delay_ns)
{
    struct timespec rest = {delay_ns / ROTA_SEC, delay_ns % ROTA_SEC};
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
        continue;
}

uint64_t bench_proc_bytes(const char *path, const char *key)
{
    char line[256];
    uint64_t kilobytes = 0;
    size_t length = strlen(key);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            (void)sscanf(line + length + 1, "%" SCNu64, &kilobytes);
    (void)fclose(file);
    return kilobytes * 1024;
}

/* ---- What else runs ---- */

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

/* Processor time of this process and of those that it has waited for. */
static double own_seconds(void)
{
    struct rusage self;
    struct rusage children;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return seconds(self.ru_utime) + seconds(self.ru_stime) + seconds(children.ru_utime) +
           seconds(children.ru_stime);
}

struct machine_use machine_use_now(void)
{
    struct machine_use use = {.own = own_seconds()};
    uint64_t ticks[8] = {0};
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        return use;
    /* user nice system idle iowait irq softirq steal */
    if (fscanf(file,
               "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
               " %" SCNu64 " %" SCNu64,
               &ticks[0], &ticks[1], &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6],
               &ticks[7]) == 8)
        for (int i = 0; i < 8; i++) {
            double amount = (double)ticks[i] / (double)sysconf(_SC_CLK_TCK);
            use.total += amount;
            use.busy += i == 3 || i == 4 ? 0 : amount;
        }
    (void)fclose(file);
    return use;
}

double machine_others_busy(struct machine_use start)
{
    struct machine_use end = machine_use_now();
    double total = end.total - start.total;
    double others = end.busy - start.busy - (end.own - start.own);
    return total <= 0 || others <= 0 ? 0 : others / total;
}

/* The second figure of a thread's schedstat. */
static int64_t delay_of(int folder, const char *thread)
{
    char path[NAME_MAX + 16];
    int64_t delay_ns = 0;
    (void)snprintf(path, sizeof path, "%s/schedstat", thread);
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return 0;
    }
    if (fscanf(file, "%*s %" SCNd64, &delay_ns) != 1)
        delay_ns = 0;
    (void)fclose(file);
    return delay_ns;
}

int64_t machine_delay_ns(pid_t process)
{
    char path[64];
    int64_t delay_ns = 0;
    const struct dirent *entry;
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *threads = opendir(path);
    if (threads == NULL)
        return 0;
    while ((entry = readdir(threads)) != NULL)
        if (entry->d_name[0] != '.')
            delay_ns += delay_of(dirfd(threads), entry->d_name);
    (void)closedir(threads);
    return delay_ns;
}

unsigned machine_cpu_count(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

bool machine_has_jemalloc(void)
{
    return dlsym(RTLD_DEFAULT, "mallocx") != NULL;
}

void machine_bind(cpu_set_t *ret_before)
{
    cpu_set_t one;
    int cpu = sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET(cpu >= 0 ? cpu : 0, &one);
    if (sched_getaffinity(0, sizeof *ret_before, ret_before) == 0)
        (void)sched_setaffinity(0, sizeof one, &one);
    else
        CPU_ZERO(ret_before);
}

void machine_unbind(const cpu_set_t *before)
{
    if (CPU_COUNT(before) > 0)
        (void)sched_setaffinity(0, sizeof *before, before);
}
