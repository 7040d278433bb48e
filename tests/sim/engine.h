/* SPDX-License-Identifier: MIT */
/*
 * engine.h - the simulator's inside: what its files know of each other.
 */
#ifndef ROTI_TESTS_SIM_ENGINE_H
#define ROTI_TESTS_SIM_ENGINE_H

#include "tests/sim/sim.h"

#include "sched/base/thread.h"
#include "sched/fiber.h"

#define SIM_THREADS_MAX 32
#define SIM_STACK_SIZE ((size_t)256 * 1024)
#define SIM_SLICE_MAX 4096
#define SIM_LOG_MAX (1u << 20)

/* The answers of one run, in memory that two processes share. */
struct sim_log {
    uint32_t count;
    uint32_t answers[SIM_LOG_MAX];
};

struct sim_options {
    bool replaying;
    bool tracing;
};

enum sim_state { SIM_READY, SIM_WAITING, SIM_DONE };

struct sim_thread {
    struct roti_fiber fiber;
    struct roti_thread object; /* what roti_thread_self() gives there */
    struct roti_stack stack;
    enum sim_state state;
    const void *key;       /* waiting: for this */
    int64_t deadline_ns;   /* waiting: at most until then */
    const char *what;      /* waiting: for reports */
    uint64_t paused_until; /* schedulings: it waits in a loop for others */
    int64_t stalled_until_ns;
    void *(*fn)(void *arg);
    void *arg;
    void *specific[4]; /* values of keys */
};

/* decide.c */
void sim_decide_begin(const struct sim_options *options, uint64_t seed, struct sim_log *log);
uint32_t sim_choose_slice(void);
uint64_t sim_hash(void);
/* The run's faults are over, and threads take turns. */
bool sim_healed(void);

/* schedule.c: plays a scenario to its end. */
void sim_play(const struct sim_scenario *scenario, const struct sim_options *options);
uint64_t sim_steps(void);
/* After a failure: prints what each task of each runtime waits for. */
void sim_report_tasks(void);
/* What membarrier(2) answers to a command. */
long sim_membarrier(int command);
bool sim_is_tracing(void);
/* One line of the trace. */
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* thread.c: the values of keys are given back. */
void sim_thread_keys_end(struct sim_thread *thread);

#endif
