/* SPDX-License-Identifier: MIT */
/*
 * costs_check.c - the machine with costs, held to its own rules: one case a run, by name.
 */
#include "tests/scaling/cost.h"

#include "loop/syscall.h"
#include "sched/base/spin.h"
#include "sched/ready_ring.h"

#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>

#define THREADS 8
#define ROUNDS 100
#define LONG_NS INT64_C(1000000)

/* A place for each case's shared word, on a line of its own. */
static alignas(ROTI_CACHE_LINE) _Atomic(uint64_t) word;
static alignas(ROTI_CACHE_LINE) struct roti_spin lock;
static alignas(ROTI_CACHE_LINE) struct roti_ring ring;

static int64_t clock_ns(void)
{
    return scale_cpu()->now_ns;
}

/* Runs fn(arg) on a CPU of its own. Returns how long it took there. */
struct piece {
    void (*fn)(void *arg);
    void *arg;
    int64_t begun_ns;
    int64_t ended_ns;
};

static void *run_piece(void *arg)
{
    struct piece *piece = arg;
    scale_settle();
    piece->begun_ns = clock_ns();
    piece->fn(piece->arg);
    piece->ended_ns = clock_ns();
    return NULL;
}

static int64_t run_elsewhere(void (*fn)(void *arg), void *arg)
{
    struct piece piece = {.fn = fn, .arg = arg};
    struct sim_thread *thread = sim_thread_start(run_piece, &piece);
    while (!sim_thread_done(thread))
        sim_wait(thread, INT64_MAX, "a piece");
    return piece.ended_ns - piece.begun_ns;
}

/* Several at once. Returns from the first begin to the last end. */
static int64_t run_together(void (*fn)(void *arg), unsigned count)
{
    struct piece pieces[THREADS];
    struct sim_thread *threads[THREADS];
    int64_t begun_ns = INT64_MAX;
    int64_t ended_ns = 0;
    for (unsigned i = 0; i < count; i++) {
        pieces[i] = (struct piece){.fn = fn, .arg = &pieces[i]};
        threads[i] = sim_thread_start(run_piece, &pieces[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        while (!sim_thread_done(threads[i]))
            sim_wait(threads[i], INT64_MAX, "a piece");
        begun_ns = pieces[i].begun_ns < begun_ns ? pieces[i].begun_ns : begun_ns;
        ended_ns = pieces[i].ended_ns > ended_ns ? pieces[i].ended_ns : ended_ns;
    }
    return ended_ns - begun_ns;
}

/* ---- Lines ---- */

static void load_once(void *arg)
{
    (void)arg;
    (void)roti_load(XS1, relaxed, &word);
}

static void load_twice(void *arg)
{
    load_once(arg);
    load_once(arg);
}

static void store_once(void *arg)
{
    (void)arg;
    roti_store(XS2, relaxed, &word, 1);
}

static void update_often(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++)
        (void)roti_fetch_add(XS3, relaxed, &word, 1);
}

/* What one CPU has written, another fetches once; a store waits for nobody. */
static void check_line(void)
{
    store_once(NULL);
    SIM_ASSERT(run_elsewhere(load_once, NULL) == scale_cost.line + scale_cost.point);
    SIM_ASSERT(run_elsewhere(load_twice, NULL) == scale_cost.line + 2 * scale_cost.point);
    SIM_ASSERT(run_elsewhere(store_once, NULL) == scale_cost.point);
    int64_t own_ns = clock_ns();
    update_often(NULL);
    SIM_ASSERT(clock_ns() - own_ns ==
               ROUNDS * (scale_cost.point + scale_cost.update) + scale_cost.line);
}

/* A line that all want gives each access its turn. */
static void check_queue(void)
{
    int64_t alone_ns = run_together(update_often, 1);
    int64_t all_ns = run_together(update_often, THREADS);
    SIM_ASSERT(alone_ns <= ROUNDS * (scale_cost.point + scale_cost.update) + scale_cost.line);
    SIM_ASSERT(roti_load(XS4, relaxed, &word) == (THREADS + 1) * ROUNDS);
    /* Of accesses within one transfer's time some find the line still there. */
    SIM_ASSERT(all_ns > THREADS * ROUNDS * scale_cost.line / 4);
    SIM_ASSERT(all_ns < THREADS * (ROUNDS + 1) * (scale_cost.line + scale_cost.update + 2));
}

/* With one CPU a socket. */
static void check_abroad(void)
{
    scale_set_sockets(1);
    store_once(NULL);
    SIM_ASSERT(run_elsewhere(load_once, NULL) ==
               scale_cost.line * scale_cost.remote + scale_cost.point);
}

static void lock_long(void *arg)
{
    (void)arg;
    roti_spin_lock(&lock);
    scale_charge(LONG_NS);
    roti_spin_unlock(&lock);
}

/* Who holds a lock makes the others wait. */
static void check_lock(void)
{
    int64_t ns = run_together(lock_long, THREADS);
    SIM_ASSERT(ns > THREADS * LONG_NS);
    SIM_ASSERT(ns < (THREADS + 1) * LONG_NS);
}

static void steal_one(void *arg)
{
    struct roti_link *items[ROTI_STEAL_MAX];
    (void)arg;
    SIM_ASSERT(roti_ring_steal(&ring, items) == 1);
    /* The task itself comes over, too. */
    (void)roti_fetch_add(XS5, relaxed, &word, 1);
}

/* About 200 ns for a task of the same socket: the figure that the line's cost was chosen for. */
static void check_steal(void)
{
    struct roti_link item;
    roti_ring_init(&ring);
    roti_ring_push(&ring, &item);
    (void)roti_fetch_add(XS6, relaxed, &word, 1);
    int64_t ns = run_elsewhere(steal_one, NULL);
    SIM_ASSERT(ns > 150 && ns < 250);
}

/* ---- The kernel ---- */

static int epoll_fd;
static int event_fd;
static int64_t written_ns;

static void wait_for_event(void *arg)
{
    struct epoll_event event;
    int64_t *ret_woken_ns = arg;
    SIM_ASSERT(roti_sys_epoll_wait(epoll_fd, &event, 1, -1) == 1);
    *ret_woken_ns = clock_ns();
}

static void write_later(void *arg, uint64_t value)
{
    (void)arg;
    (void)value;
    written_ns = sim_now();
}

static void open_event(void)
{
    epoll_fd = roti_sys_epoll_create();
    event_fd = roti_sys_eventfd();
    SIM_ASSERT(roti_sys_epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, EPOLLIN | EPOLLET, 0) == 0);
}

/* Who sleeps goes on a wake's time after it was woken, and the waker pays its part. */
static void check_wake(void)
{
    const uint64_t one = 1;
    int64_t woken_ns = 0;
    open_event();
    struct piece piece = {.fn = wait_for_event, .arg = &woken_ns};
    struct sim_thread *thread = sim_thread_start(run_piece, &piece);
    scale_charge(LONG_NS);
    int64_t begun_ns = clock_ns();
    SIM_ASSERT(roti_sys_write(event_fd, &one, sizeof one) == sizeof one);
    SIM_ASSERT(clock_ns() - begun_ns == scale_cost.syscall + scale_cost.wake_send);
    while (!sim_thread_done(thread))
        sim_wait(thread, INT64_MAX, "the woken one");
    SIM_ASSERT(woken_ns == begun_ns + scale_cost.syscall + scale_cost.wake + scale_cost.event);
    roti_sys_close(event_fd);
    roti_sys_close(epoll_fd);
}

/* A sleep that nobody ends, ends at its deadline and a wake's time. */
static void check_deadline(void)
{
    int64_t until_ns = clock_ns() + LONG_NS;
    sim_wait(&word, until_ns, "a deadline");
    SIM_ASSERT(clock_ns() == until_ns + scale_cost.wake);
}

static void interrupt_all(void *arg)
{
    (void)arg;
    SIM_ASSERT(sim_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0);
}

static void work_long(void *arg)
{
    (void)arg;
    scale_charge(LONG_NS);
    scale_settle();
}

/* One caller at a time, and each costs all who run. */
static void check_membarrier(void)
{
    int64_t alone_ns = run_together(interrupt_all, 1);
    SIM_ASSERT(alone_ns == scale_cost.membarrier);
    int64_t all_ns = run_together(interrupt_all, THREADS);
    SIM_ASSERT(all_ns > (THREADS - 1) * (scale_cost.membarrier + scale_cost.ipi));
    struct piece worker = {.fn = work_long};
    struct sim_thread *thread = sim_thread_start(run_piece, &worker);
    int64_t begun_ns = clock_ns();
    scale_charge(LONG_NS / 2);
    interrupt_all(NULL);
    SIM_ASSERT(clock_ns() - begun_ns ==
               LONG_NS / 2 + scale_cost.membarrier + scale_cost.ipi + scale_cost.ipi_each);
    while (!sim_thread_done(thread))
        sim_wait(thread, INT64_MAX, "who was interrupted");
    SIM_ASSERT(worker.ended_ns - worker.begun_ns == LONG_NS + scale_cost.irq);
}

/* ---- Time ---- */

static int64_t seen_ns;

static void see(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        scale_charge(1 + (int64_t)(scale_cpu()->index * 37 + i * 11) % 500);
        scale_settle();
        SIM_ASSERT(clock_ns() >= seen_ns);
        seen_ns = clock_ns();
    }
}

/* What settles happens in the order of the clocks; and what comes from outside comes between. */
static void check_order(void)
{
    int64_t when_ns = clock_ns() + 20000;
    seen_ns = 0;
    written_ns = 0;
    sim_at(when_ns, write_later, NULL, 0);
    (void)run_together(see, THREADS);
    SIM_ASSERT(written_ns == when_ns);
}

/* ---- */

static const struct {
    const char *name;
    void (*fn)(void);
} checks[] = {
    {"line", check_line},         {"queue", check_queue},           {"abroad", check_abroad},
    {"lock", check_lock},         {"steal", check_steal},           {"wake", check_wake},
    {"deadline", check_deadline}, {"membarrier", check_membarrier}, {"order", check_order}};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (argc != 2 || strcmp(checks[i].name, argv[1]) != 0)
            continue;
        scale_play(checks[i].fn, false);
        return 0;
    }
    fputs("scaling-costs: name a check\n", stderr);
    return 2;
}
