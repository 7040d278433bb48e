/* SPDX-License-Identifier: MIT */
/*
 * threads.c - a fiber that goes from thread to thread: each resumes it in turn, and lives on.
 */
#include "tests/hoisting/hoisting.h"

#include "sched/fiber.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define THREADS 3
#define STACK_SIZE ((size_t)256 << 10)

static const struct hoisting_probe *probe;
static struct roti_fiber fiber;
static struct roti_fiber *home;    /* of the thread that runs the fiber now */
static int reads, wrong, finished; /* touched by who has the turn, and at the end */

struct turn {
    struct hoisting_place place;
    sem_t mine;
    struct turn *next;
    pthread_t thread;
};

struct hoisting_place *hoisting_move(void)
{
    return roti_fiber_switch(&fiber, home, NULL);
}

static struct roti_fiber_exit probe_entry(void *arg, void *transfer)
{
    (void)arg;
    wrong = probe->run(transfer, &reads);
    finished = 1;
    return (struct roti_fiber_exit){home, NULL};
}

/* On its own stack, so that nothing here is over a move. */
static void *take_turns(void *arg)
{
    struct turn *turn = arg;
    struct roti_fiber own;
    if (roti_fiber_adopt_thread(&own) != 0)
        abort();
    for (;;) {
        while (sem_wait(&turn->mine) != 0)
            continue;
        if (finished)
            break;
        home = &own;
        probe->set(turn->place.number);
        roti_fiber_switch(&own, &fiber, &turn->place);
        sem_post(&turn->next->mine);
    }
    sem_post(&turn->next->mine);
    return NULL;
}

static void run_probe(struct roti_stack *stack)
{
    static struct turn turns[THREADS];
    reads = wrong = finished = 0;
    roti_fiber_init(&fiber, stack, 0, probe_entry, NULL);
    for (int i = 0; i < THREADS; i++) {
        turns[i].place.number = i + 1;
        turns[i].next = &turns[(i + 1) % THREADS];
        if (sem_init(&turns[i].mine, 0, i == 0) != 0)
            abort();
    }
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&turns[i].thread, NULL, take_turns, &turns[i]) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(turns[i].thread, NULL);
}

int hoisting_run(void)
{
    char *low = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (low == MAP_FAILED)
        return 1;
    struct roti_stack stack = {.low = low, .size = STACK_SIZE};
    for (int i = 0; i < hoisting_probe_count; i++) {
        probe = &hoisting_probes[i];
        run_probe(&stack);
        printf("%s %s %d %d\n", probe->way, probe->form, reads, wrong);
    }
    return munmap(low, STACK_SIZE) != 0;
}
