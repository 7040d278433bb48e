/* SPDX-License-Identifier: MIT */
/*
 * schedule.c - virtual threads, virtual time, and who runs next.
 *
 * A thread runs until its slice of points is used up, it waits, or it pauses; then the next one is
 * chosen among those that can go on. Where none can, time jumps to what comes first: a deadline, a
 * delivery, the end of a stall. Where nothing comes, the run is stuck, and fails.
 * A virtual thread may be preempted anywhere, on the stack of a task too: what is kept is the stack
 * pointer, whosever stack it points to.
 */
#include "tests/sim/engine.h"

#include "sched/base/alloc.h"
#include "sched/stack.h"
#include "sched/worker.h"

#include <rota/loop.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EVENTS_MAX 65536
#define START_NS INT64_C(1000000000000)
#define POINT_NS 20
#define STALL_NS INT64_C(20000000)
#define REPORT_SECONDS 5
#define HEALTHY_NS INT64_C(120000000000) /* what has healed comes to its end within so much */
#define SCHEDULING_STEPS 10              /* so that a loop which only pauses comes to an end */
#define PAUSE_ROUNDS 4 /* schedulings that a thread in a loop of waiting sits out */

struct event {
    int64_t when_ns;
    uint64_t number; /* of its making: equal times keep their order */
    void (*fn)(void *arg, uint64_t value);
    void *arg;
    uint64_t value;
};

uint32_t sim_slice;

static struct {
    struct sim_thread threads[SIM_THREADS_MAX];
    unsigned count;
    struct sim_thread *current;
    void *driver_sp;
    uint32_t slice; /* as it was given */
    uint64_t steps;
    uint64_t steps_max;
    uint64_t rounds; /* schedulings */
    int64_t now_ns;
    int64_t healed_ns;               /* 0: not yet */
    struct event events[EVENTS_MAX]; /* a heap */
    unsigned event_count;
    uint64_t events_made;
    bool stopped;
    bool tracing;
} sim;

/* ---- Events of the outside ---- */

static bool event_before(const struct event *one, const struct event *two)
{
    return one->when_ns < two->when_ns ||
           (one->when_ns == two->when_ns && one->number < two->number);
}

static void event_swap(unsigned one, unsigned two)
{
    struct event kept = sim.events[one];
    sim.events[one] = sim.events[two];
    sim.events[two] = kept;
}

void sim_at(int64_t when_ns, void (*fn)(void *arg, uint64_t value), void *arg, uint64_t value)
{
    if (sim.event_count == EVENTS_MAX)
        sim_fail("more than %d events at once", EVENTS_MAX);
    unsigned i = sim.event_count++;
    sim.events[i] = (struct event){when_ns, sim.events_made++, fn, arg, value};
    for (; i > 0 && event_before(&sim.events[i], &sim.events[(i - 1) / 2]); i = (i - 1) / 2)
        event_swap(i, (i - 1) / 2);
}

static struct event event_take(void)
{
    struct event first = sim.events[0];
    sim.events[0] = sim.events[--sim.event_count];
    for (unsigned i = 0;;) {
        unsigned least = i;
        for (unsigned child = 2 * i + 1; child <= 2 * i + 2 && child < sim.event_count; child++)
            if (event_before(&sim.events[child], &sim.events[least]))
                least = child;
        if (least == i)
            return first;
        event_swap(i, least);
        i = least;
    }
}

static void run_due_events(void)
{
    while (sim.event_count > 0 && sim.events[0].when_ns <= sim.now_ns) {
        struct event event = event_take();
        event.fn(event.arg, event.value);
    }
}

/* ---- Who can go on ---- */

static bool is_waiting_in_vain(const struct sim_thread *thread)
{
    return thread->state == SIM_WAITING && thread->deadline_ns > sim.now_ns;
}

static bool can_run(const struct sim_thread *thread)
{
    return thread->state != SIM_DONE && !is_waiting_in_vain(thread) &&
           thread->stalled_until_ns <= sim.now_ns;
}

static void fail_stuck(void)
{
    char text[1024];
    size_t length = 0;
    for (unsigned i = 0; i < sim.count && length < sizeof text; i++)
        if (sim.threads[i].state == SIM_WAITING)
            length += (size_t)snprintf(text + length, sizeof text - length, " %u: %s;", i,
                                       sim.threads[i].what);
    sim_fail("nobody can go on:%s", text);
}

/* Nobody can go on now: time jumps to what comes first. */
static void jump(void)
{
    int64_t next_ns = sim.event_count > 0 ? sim.events[0].when_ns : INT64_MAX;
    for (unsigned i = 0; i < sim.count; i++) {
        const struct sim_thread *thread = &sim.threads[i];
        int64_t at_ns = INT64_MAX;
        if (thread->state == SIM_WAITING)
            at_ns = thread->deadline_ns;
        else if (thread->state == SIM_READY)
            at_ns = thread->stalled_until_ns;
        if (at_ns < next_ns)
            next_ns = at_ns;
    }
    if (next_ns == INT64_MAX)
        fail_stuck();
    if (next_ns > sim.now_ns)
        sim.now_ns = next_ns;
}

/* Those that can go on, the current one first, then in a ring. Who pauses comes only where nobody
 * else does. */
static unsigned collect(struct sim_thread **ret_ready)
{
    unsigned first = sim.current != NULL ? sim_thread_index(sim.current) + 1 : 0;
    unsigned count = 0;
    for (int pass = 0; pass < 2 && count == 0; pass++)
        for (unsigned i = 0; i < sim.count; i++) {
            struct sim_thread *thread = &sim.threads[(first + i) % sim.count];
            bool pauses = thread->paused_until > sim.rounds;
            if (can_run(thread) && (pass == 1 || !pauses))
                ret_ready[count++] = thread;
        }
    return count;
}

static struct sim_thread *choose(void)
{
    struct sim_thread *ready[SIM_THREADS_MAX];
    unsigned count;
    run_due_events();
    while ((count = collect(ready)) == 0) {
        jump();
        run_due_events();
    }
    return ready[sim_choose(SIM_THREAD, count)];
}

/* ---- Switching ---- */

static void charge(void)
{
    sim.steps += sim.slice - sim_slice + SCHEDULING_STEPS;
    sim.now_ns += (int64_t)(sim.slice - sim_slice) * POINT_NS;
    if (sim.steps > sim.steps_max)
        sim_fail("more than %lu steps", (unsigned long)sim.steps_max);
    if (sim.healed_ns == 0 && sim_healed())
        sim.healed_ns = sim.now_ns;
    if (sim.healed_ns != 0 && sim.now_ns > sim.healed_ns + HEALTHY_NS)
        sim_fail("healthy for %ld s, and not at its end", (long)(HEALTHY_NS / 1000000000));
}

static void give_slice(void)
{
    sim.slice = sim_choose_slice();
    sim_slice = sim.slice;
}

/* Lets the chooser pick. Returns when the caller was picked again. */
static void reschedule(void)
{
    struct sim_thread *from = sim.current;
    if (sim.stopped)
        _exit(1); /* a report waits for a lock that will not be free */
    charge();
    sim.rounds++;
    struct sim_thread *to = choose();
    to->state = SIM_READY;
    give_slice();
    if (to == from)
        return;
    sim_note(sim_thread_index(to));
    sim_trace("thread %u goes on\n", sim_thread_index(to));
    sim.current = to;
    roti_fiber_jump(&from->fiber.sp, to->fiber.sp, NULL);
}

void sim_preempt(void)
{
    if (sim.current == NULL || sim.stopped) {
        sim_slice = SIM_SLICE_MAX;
        return;
    }
    if (sim_chance(SIM_STALL))
        sim.current->stalled_until_ns = sim.now_ns + sim_choose(SIM_STALL, 8) * STALL_NS / 8;
    reschedule();
}

/* Memory is sequentially consistent here. */
long sim_membarrier(int command)
{
    (void)command;
    sim_preempt();
    return 0;
}

void sim_pause(void)
{
    if (sim.current == NULL || sim.stopped)
        return;
    sim.current->paused_until = sim.rounds + PAUSE_ROUNDS;
    sim.now_ns += 10 * POINT_NS;
    reschedule();
}

void sim_wait(const void *key, int64_t deadline_ns, const char *what)
{
    struct sim_thread *self = sim.current;
    self->state = SIM_WAITING;
    self->key = key;
    self->deadline_ns = deadline_ns;
    self->what = what;
    sim_trace("thread %u waits: %s\n", sim_thread_index(self), what);
    reschedule();
    self->key = NULL;
}

void sim_notify(const void *key)
{
    for (unsigned i = 0; i < sim.count; i++)
        if (sim.threads[i].state == SIM_WAITING && sim.threads[i].key == key)
            sim.threads[i].deadline_ns = 0;
}

int64_t sim_now(void)
{
    sim.now_ns += POINT_NS;
    return sim.now_ns;
}

/* ---- Threads ---- */

static struct roti_fiber_exit thread_entry(void *arg, void *transfer)
{
    struct sim_thread *self = arg;
    (void)transfer;
    (void)self->fn(self->arg);
    sim_thread_keys_end(self);
    self->state = SIM_DONE;
    sim_notify(self);
    if (self == &sim.threads[0]) {
        void *abandoned;
        sim.current = NULL;
        roti_fiber_jump(&abandoned, sim.driver_sp, NULL);
    }
    reschedule();
    abort();
}

struct sim_thread *sim_thread_start(void *(*fn)(void *arg), void *arg)
{
    if (sim.count == SIM_THREADS_MAX)
        return NULL;
    struct sim_thread *thread = &sim.threads[sim.count];
    char *memory = mmap(NULL, SIM_STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    memset(thread, 0, sizeof *thread);
    thread->stack = (struct roti_stack){.low = memory, .size = SIM_STACK_SIZE};
    thread->fn = fn;
    thread->arg = arg;
    thread->object.context = &thread->object.top;
    thread->object.random_state = sim.count + 1;
    roti_fiber_init(&thread->fiber, &thread->stack, 0, thread_entry, thread);
    sim.count++;
    return thread;
}

bool sim_thread_done(const struct sim_thread *thread)
{
    return thread->state == SIM_DONE;
}

struct sim_thread *sim_self(void)
{
    return sim.current;
}

unsigned sim_thread_index(const struct sim_thread *thread)
{
    return (unsigned)(thread - sim.threads);
}

/* ---- A run ---- */

static bool may_allocate(size_t size)
{
    (void)size;
    return sim.current == NULL || sim.stopped || !sim_chance(SIM_MEMORY);
}

static void *run_scenario(void *arg)
{
    const struct sim_scenario *scenario = arg;
    scenario->run();
    for (unsigned i = 1; i < sim.count; i++)
        if (!sim_thread_done(&sim.threads[i]))
            sim_fail("thread %u has not ended", i);
    return NULL;
}

void sim_play(const struct sim_scenario *scenario, const struct sim_options *options)
{
    sim.now_ns = START_NS;
    sim.steps_max = scenario->steps_max;
    sim.tracing = options->tracing;
    struct sim_thread *first = sim_thread_start(run_scenario, (void *)scenario);
    if (first == NULL)
        sim_fail("no memory for a virtual thread");
    roti_alloc_set_hook(may_allocate);
    give_slice();
    sim.current = first;
    roti_fiber_jump(&sim.driver_sp, first->fiber.sp, NULL);
}

uint64_t sim_steps(void)
{
    return sim.steps;
}

/* As one loop of each runtime, as only a loop can ask. Nobody else runs meanwhile. */
void sim_report_tasks(void)
{
    const void *reported = NULL;
    sim.stopped = true;
    sim_slice = UINT32_MAX;
    alarm(REPORT_SECONDS); /* a lock may be held by whoever was interrupted */
    for (unsigned i = 0; i < sim.count; i++) {
        struct roti_worker *worker = sim.threads[i].object.worker;
        if (worker == NULL || worker->pool == reported)
            continue;
        reported = worker->pool;
        sim.current = &sim.threads[i];
        (void)rota_dump_tasks(stdout);
    }
    fflush(stdout);
}

bool sim_is_tracing(void)
{
    return sim.tracing;
}

void sim_trace(const char *format, ...)
{
    if (!sim.tracing)
        return;
    va_list args;
    printf("%9.3f us  %8lu  ", (double)(sim.now_ns - START_NS) / 1e3, (unsigned long)sim.steps);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}
