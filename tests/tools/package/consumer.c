/* SPDX-License-Identifier: MIT */
/*
 * consumer.c - a program outside of rota: tasks of two loops, a message to itself, the version.
 *
 * It is C99, and C++11 as well. package_test.py builds it against an installed rota.
 */
#include <rota/errno.h>
#include <rota/rota.h>

#include <stdio.h>

#define TASKS 16

static int step(void *arg)
{
    int *done = (int *)arg;
    for (int i = 0; i < 10; i++)
        if (rota_yield() != 0)
            return -1;
    *done = 1;
    return 7;
}

static int run(void *arg)
{
    struct rota_task *tasks[TASKS];
    int done[TASKS] = {0};
    int sum = 0;
    (void)arg;
    for (int i = 0; i < TASKS; i++) {
        int r = rota_task_spawn(&tasks[i], step, &done[i], NULL);
        if (r != 0)
            return r;
    }
    for (int i = 0; i < TASKS; i++) {
        int status = 0;
        int r = rota_task_await(tasks[i], &status);
        if (r != 0)
            return r;
        rota_task_unref(tasks[i]);
        sum += status * done[i];
    }
    return sum;
}

int main(void)
{
    static struct rota_run_opts opts;
    opts.loops = 2;
    int r = rota_run(run, NULL, &opts);
    if (r != TASKS * 7) {
        fprintf(stderr, "rota_run: %d (%s)\n", r, rota_strerror(r));
        return 1;
    }
    errno = 0;
    printf("rota %d.%d.%d\n", ROTA_VERSION_MAJOR, ROTA_VERSION_MINOR, ROTA_VERSION_PATCH);
    return errno != 0;
}
