/* SPDX-License-Identifier: MIT */
/*
 * cpus.c - virtual CPUs with a clock each: the one that is furthest behind goes on.
 *
 * It stands in for tests/sim/schedule.c. CPUs that run are in a heap by their clocks, but for the
 * one that goes on; what comes from outside is in another, by time. The CPU goes on until its clock
 * passes the horizon: the least of both heaps, and one transfer of a line beyond. Before it makes a
 * system call, and after each service time, it settles: there the slack is nothing.
 */
#include "tests/scaling/cost.h"

#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EVENTS_MAX (1u << 17)
#define START_NS INT64_C(1000000000000)
#define THREAD_NS INT64_C(10000) /* until a new thread runs */

struct event {
    int64_t when_ns;
    uint64_t number; /* of its making: equal times keep their order */
    void (*fn)(void *arg, uint64_t value);
    void *arg;
    uint64_t value;
};

static struct {
    struct scale_cpu cpus[SCALE_CPUS_MAX];
    unsigned count;
    unsigned cpus_per_socket;
    struct scale_cpu *current;
    struct scale_cpu *heap[SCALE_CPUS_MAX]; /* that run, but the current one */
    unsigned heap_count;
    struct event events[EVENTS_MAX]; /* a heap */
    unsigned event_count;
    uint64_t events_made;
    int64_t event_ns; /* while an event happens: its time; else 0 */
    int64_t horizon_ns;
    int64_t membarrier_free_ns; /* the mutex of membarrier(2) */
    void *driver_sp;
    bool fences;
} engine;

struct scale_costs scale_cost = {
#define COST_DEFAULT(name, ns, text) .name = (ns),
    SCALE_COSTS(COST_DEFAULT)
#undef COST_DEFAULT
};

struct load_totals scale_sums;

/* ---- The two heaps ---- */

static bool cpu_before(const struct scale_cpu *one, const struct scale_cpu *two)
{
    return one->now_ns < two->now_ns || (one->now_ns == two->now_ns && one->index < two->index);
}

static void cpu_push(struct scale_cpu *cpu)
{
    unsigned i = engine.heap_count++;
    for (; i > 0 && cpu_before(cpu, engine.heap[(i - 1) / 2]); i = (i - 1) / 2)
        engine.heap[i] = engine.heap[(i - 1) / 2];
    engine.heap[i] = cpu;
}

static struct scale_cpu *cpu_take(void)
{
    struct scale_cpu *first = engine.heap[0];
    struct scale_cpu *last = engine.heap[--engine.heap_count];
    unsigned i = 0;
    for (;;) {
        unsigned least = 2 * i + 1;
        if (least + 1 < engine.heap_count && cpu_before(engine.heap[least + 1], engine.heap[least]))
            least++;
        if (least >= engine.heap_count || !cpu_before(engine.heap[least], last))
            break;
        engine.heap[i] = engine.heap[least];
        i = least;
    }
    engine.heap[i] = last;
    return first;
}

static bool event_before(const struct event *one, const struct event *two)
{
    return one->when_ns < two->when_ns ||
           (one->when_ns == two->when_ns && one->number < two->number);
}

static int64_t least_ns(void)
{
    int64_t cpu_ns = engine.heap_count > 0 ? engine.heap[0]->now_ns : INT64_MAX;
    int64_t event_ns = engine.event_count > 0 ? engine.events[0].when_ns : INT64_MAX;
    return cpu_ns < event_ns ? cpu_ns : event_ns;
}

static void set_horizon(void)
{
    int64_t ns = least_ns();
    engine.horizon_ns = ns == INT64_MAX ? ns : ns + scale_cost.line;
}

void sim_at(int64_t when_ns, void (*fn)(void *arg, uint64_t value), void *arg, uint64_t value)
{
    if (engine.event_count == EVENTS_MAX)
        sim_fail("more than %u events at once", EVENTS_MAX);
    struct event event = {when_ns, engine.events_made++, fn, arg, value};
    unsigned i = engine.event_count++;
    for (; i > 0 && event_before(&event, &engine.events[(i - 1) / 2]); i = (i - 1) / 2)
        engine.events[i] = engine.events[(i - 1) / 2];
    engine.events[i] = event;
    set_horizon();
}

static struct event event_take(void)
{
    struct event first = engine.events[0];
    struct event last = engine.events[--engine.event_count];
    unsigned i = 0;
    for (;;) {
        unsigned least = 2 * i + 1;
        if (least + 1 < engine.event_count &&
            event_before(&engine.events[least + 1], &engine.events[least]))
            least++;
        if (least >= engine.event_count || !event_before(&engine.events[least], &last))
            break;
        engine.events[i] = engine.events[least];
        i = least;
    }
    engine.events[i] = last;
    return first;
}

/* ---- Who goes on ---- */

static void fail_stuck(void)
{
    char text[2048];
    size_t length = 0;
    for (unsigned i = 0; i < engine.count && length < sizeof text; i++)
        if (engine.cpus[i].thread.state == SIM_WAITING)
            length += (size_t)snprintf(text + length, sizeof text - length, " %u: %s;", i,
                                       engine.cpus[i].thread.what);
    sim_fail("nobody can go on:%s", text);
}

/* What comes from outside happens first. Then the CPU that is furthest behind. */
static struct scale_cpu *choose(void)
{
    for (;;) {
        int64_t cpu_ns = engine.heap_count > 0 ? engine.heap[0]->now_ns : INT64_MAX;
        if (engine.event_count > 0 && engine.events[0].when_ns <= cpu_ns) {
            struct event event = event_take();
            engine.event_ns = event.when_ns;
            event.fn(event.arg, event.value);
            engine.event_ns = 0;
        } else if (engine.heap_count > 0) {
            return cpu_take();
        } else {
            fail_stuck();
        }
    }
}

/* Lets the one that is furthest behind go on. Returns when the caller is. */
static void reschedule(void)
{
    struct scale_cpu *from = engine.current;
    if (from->thread.state == SIM_READY)
        cpu_push(from);
    struct scale_cpu *to = choose();
    set_horizon();
    if (to == from)
        return;
    engine.current = to;
    roti_fiber_jump(&from->thread.fiber.sp, to->thread.fiber.sp, NULL);
}

void scale_settle(void)
{
    if (engine.current != NULL && least_ns() < engine.current->now_ns)
        reschedule();
}

void scale_charge(int64_t ns)
{
    struct scale_cpu *cpu = engine.current;
    cpu->now_ns += ns;
    if (__builtin_expect(cpu->now_ns > engine.horizon_ns, 0))
        reschedule();
}

struct scale_cpu *scale_cpu(void)
{
    return engine.current;
}

struct scale_cpu *scale_cpu_of(struct sim_thread *thread)
{
    return roti_container_of(thread, struct scale_cpu, thread);
}

/* ---- What the product and the stand-ins call (tests/sim/sim.h) ---- */

int64_t sim_now(void)
{
    if (engine.event_ns != 0)
        return engine.event_ns;
    scale_charge(scale_cost.clock);
    return engine.current->now_ns;
}

void sim_pause(void)
{
    struct scale_cpu *cpu = engine.current;
    if (cpu == NULL)
        return;
    if (cpu->in_watched)
        scale_sums.watched_ns += scale_cost.pause;
    scale_profile_here(scale_cost.pause);
    scale_charge(scale_cost.pause);
}

static void deadline_passed(void *arg, uint64_t sleep)
{
    struct scale_cpu *cpu = arg;
    if (cpu->thread.state == SIM_WAITING && cpu->sleeps == sleep)
        scale_wake(&cpu->thread, cpu->thread.deadline_ns);
}

void sim_wait(const void *key, int64_t deadline_ns, const char *what)
{
    struct scale_cpu *cpu = engine.current;
    cpu->now_ns += scale_cost.sleep;
    scale_profile_here(scale_cost.sleep);
    cpu->thread.state = SIM_WAITING;
    cpu->thread.key = key;
    cpu->thread.deadline_ns = deadline_ns;
    cpu->thread.what = what;
    cpu->slept_ns = cpu->now_ns;
    cpu->sleeps++;
    if (deadline_ns != INT64_MAX)
        sim_at(deadline_ns, deadline_passed, cpu, cpu->sleeps);
    reschedule();
    cpu->thread.key = NULL;
}

void scale_wake(struct sim_thread *thread, int64_t when_ns)
{
    struct scale_cpu *cpu = scale_cpu_of(thread);
    if (thread->state != SIM_WAITING)
        return;
    /* It may have gone to sleep a little after that moment, ahead of whoever wakes it. */
    int64_t begin_ns = when_ns > cpu->slept_ns ? when_ns : cpu->slept_ns;
    scale_sums.asleep_ns += begin_ns + scale_cost.wake - cpu->slept_ns;
    cpu->now_ns = begin_ns + scale_cost.wake;
    thread->state = SIM_READY;
    cpu_push(cpu);
    set_horizon();
}

void sim_notify(const void *key)
{
    int64_t now_ns = engine.event_ns != 0 ? engine.event_ns : engine.current->now_ns;
    for (unsigned i = 0; i < engine.count; i++)
        if (engine.cpus[i].thread.state == SIM_WAITING && engine.cpus[i].thread.key == key)
            scale_wake(&engine.cpus[i].thread, now_ns);
}

unsigned scale_interrupt_others(void)
{
    for (unsigned i = 0; i < engine.heap_count; i++)
        engine.heap[i]->now_ns += scale_cost.irq;
    scale_sums.irq_ns += engine.heap_count * scale_cost.irq;
    scale_sums.interrupts += engine.heap_count;
    return engine.heap_count;
}

/* One caller at a time: the kernel has a mutex around it. */
long sim_membarrier(int command)
{
    if (engine.fences)
        return -1;
    if (command != MEMBARRIER_CMD_PRIVATE_EXPEDITED)
        return 0;
    scale_settle();
    struct scale_cpu *cpu = engine.current;
    int64_t begun_ns = cpu->now_ns;
    if (cpu->now_ns < engine.membarrier_free_ns)
        cpu->now_ns = engine.membarrier_free_ns;
    scale_sums.membarriers++;
    cpu->now_ns += scale_cost.membarrier;
    if (engine.heap_count > 0) {
        unsigned others = scale_interrupt_others();
        cpu->now_ns += scale_cost.ipi + others * scale_cost.ipi_each;
    }
    engine.membarrier_free_ns = cpu->now_ns;
    scale_profile_here(cpu->now_ns - begun_ns);
    set_horizon();
    scale_settle();
    return 0;
}

/* ---- Threads ---- */

void scale_set_sockets(unsigned cpus_per_socket)
{
    engine.cpus_per_socket = cpus_per_socket;
}

unsigned scale_socket_of(unsigned cpu_index)
{
    return engine.cpus_per_socket != 0 ? cpu_index / engine.cpus_per_socket : 0;
}

static struct roti_fiber_exit thread_entry(void *arg, void *transfer)
{
    struct scale_cpu *self = arg;
    (void)transfer;
    (void)self->thread.fn(self->thread.arg);
    sim_thread_keys_end(&self->thread);
    self->thread.state = SIM_DONE;
    sim_notify(&self->thread);
    if (self == &engine.cpus[0]) {
        void *abandoned;
        engine.current = NULL;
        roti_fiber_jump(&abandoned, engine.driver_sp, NULL);
    }
    reschedule();
    abort();
}

struct sim_thread *sim_thread_start(void *(*fn)(void *arg), void *arg)
{
    if (engine.count == SCALE_CPUS_MAX)
        return NULL;
    struct scale_cpu *cpu = &engine.cpus[engine.count];
    char *memory = mmap(NULL, SIM_STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    memset(cpu, 0, sizeof *cpu);
    cpu->index = engine.count++;
    cpu->socket = scale_socket_of(cpu->index);
    cpu->now_ns = engine.current != NULL ? engine.current->now_ns + THREAD_NS : START_NS;
    cpu->thread.stack = (struct roti_stack){.low = memory, .size = SIM_STACK_SIZE};
    cpu->thread.fn = fn;
    cpu->thread.arg = arg;
    cpu->thread.object.context = &cpu->thread.object.top;
    cpu->thread.object.random_state = cpu->index + 1;
    roti_fiber_init(&cpu->thread.fiber, &cpu->thread.stack, 0, thread_entry, cpu);
    if (engine.current != NULL) {
        cpu_push(cpu);
        set_horizon();
    }
    return &cpu->thread;
}

bool sim_thread_done(const struct sim_thread *thread)
{
    return thread->state == SIM_DONE;
}

struct sim_thread *sim_self(void)
{
    return engine.current != NULL ? &engine.current->thread : NULL;
}

unsigned sim_thread_index(const struct sim_thread *thread)
{
    return roti_container_of(thread, const struct scale_cpu, thread)->index;
}

/* No fault happens here. */
bool sim_chance(enum sim_class class)
{
    (void)class;
    return false;
}

void sim_fail(const char *format, ...)
{
    va_list args;
    fputs("scaling: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* ---- A run ---- */

static void sleeps_end(int64_t now_ns)
{
    for (unsigned i = 0; i < engine.count; i++)
        if (engine.cpus[i].thread.state == SIM_WAITING && engine.cpus[i].slept_ns < now_ns) {
            scale_sums.asleep_ns += now_ns - engine.cpus[i].slept_ns;
            engine.cpus[i].slept_ns = now_ns;
        }
}

void scale_sums_begin(void)
{
    sleeps_end(engine.current->now_ns);
    scale_sums = (struct load_totals){.begun_ns = engine.current->now_ns};
    scale_profile_begin();
}

void scale_sums_end(void)
{
    scale_sums.ended_ns = engine.current->now_ns;
    sleeps_end(scale_sums.ended_ns);
}

static void *run(void *fn)
{
    (*(void (**)(void))fn)();
    return NULL;
}

void scale_play(void (*fn)(void), bool fences)
{
    engine.fences = fences;
    struct sim_thread *first = sim_thread_start(run, &fn);
    if (first == NULL)
        sim_fail("no memory for a virtual thread");
    engine.current = scale_cpu_of(first);
    set_horizon();
    roti_fiber_jump(&engine.driver_sp, first->fiber.sp, NULL);
}
