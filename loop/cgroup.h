/* SPDX-License-Identifier: MIT */
/*
 * cgroup.h - the CPU limit of the control groups that this process is in.
 *
 * Problem.    A container may be given less time than its CPUs have. The kernel does not say so in
 *             one place: each group from the process's own up to the root has a limit of its own,
 *             and which folder shows a group depends on mounts and on namespaces.
 * Design.     /proc/self/cgroup names the group in the unified hierarchy (version 2) and in that of
 *             the `cpu` controller (version 1). /proc/self/mountinfo says which group each mount
 *             shows at its top. Both are seen from the same namespace, so that one path is taken
 *             off the other. From the folder found so up to the top of its mount each group's limit
 *             is read; the least holds. Hybrid systems have both, one of them without a limit.
 *             Where a mount shows only a group further up, as in a namespace whose mounts were made
 *             outside of it, the limit of that group holds all the same.
 * Strictness. What is missing, cannot be read, is malformed, too long or out of the kernel's range
 *             is passed over, and is no limit: never an error, as a run must not fail for it.
 * Rejected.   To look at /sys/fs/cgroup alone: systems mount it elsewhere, and version 1 has a
 *             folder for each controller. To read the group's own limit alone: services and pods
 *             are limited a level or two above.
 * Threads.    One at a time for each object.
 */
#ifndef ROTI_CGROUP_H
#define ROTI_CGROUP_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define ROTI_CGROUP_LINE_SIZE 8192 /* longer lines are passed over; escapes are four for one */

/* At most `quota_us` of CPU time in each `period_us`; a period of 0: no limit. */
struct roti_cpu_limit {
    uint64_t quota_us;
    uint64_t period_us;
};

enum roti_cgroup_version {
    ROTI_CGROUP_V2,
    ROTI_CGROUP_V1, /* of the `cpu` controller */
    ROTI_CGROUP_VERSIONS
};

/* What is known of one hierarchy. */
struct roti_cgroup_tree {
    char group[PATH_MAX];  /* of this process, as /proc/self/cgroup names it; empty: none */
    char folder[PATH_MAX]; /* that shows it, or a group above it; empty: none is known */
    size_t top_length;     /* of the part of `folder` that is the mount point */
};

struct roti_cgroup {
    const char *root;
    struct roti_cgroup_tree trees[ROTI_CGROUP_VERSIONS];
    char line[ROTI_CGROUP_LINE_SIZE]; /* a line that is looked at, or the path of a folder */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Prepares zeroed memory. `root` stands for the root folder, "" is the real one; borrowed. */
void roti_cgroup_init(struct roti_cgroup *cgroup, const char *root);

/* Reads the least limit of all groups up to the root. Mounts are looked at again only where the
 * process is in another group than the last time. */
struct roti_cpu_limit roti_cgroup_cpu_limit(struct roti_cgroup *cgroup);

#ifdef __cplusplus
}
#endif

#endif
