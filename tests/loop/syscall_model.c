/* SPDX-License-Identifier: MIT */
/*
 * syscall_model.c - the hook of the system calls in the explorer: what it reads was written before.
 */
#include "loop/syscall.h"

#include "sched/base/atomic.h"

#include <errno.h>

static int answer; /* plain: the installer's, then the hook's */
static int result; /* the caller's */

static int hook(enum roti_syscall site)
{
    (void)site;
    ROTI_PLAIN_READ(&answer);
    return answer;
}

static void installs(unsigned thread)
{
    (void)thread;
    ROTI_PLAIN_WRITE(&answer);
    answer = -EIO;
    roti_syscall_set_hook(hook);
}

static void calls(unsigned thread)
{
    (void)thread;
    result = roti_sys_shutdown(-1, 0);
}

static void reset(void)
{
    roti_syscall_set_hook(NULL);
    answer = result = 0;
}

/* Without the hook the kernel answers. */
static void check(void)
{
    MODEL_ASSERT(result == -EIO || result == -EBADF);
    MODEL_OUTCOME(result == -EIO);
}

MODEL_TEST(syscall_hook) = {.threads = {installs, calls}, .setup = reset, .check = check};
