/* SPDX-License-Identifier: MIT */
/*
 * steal.c - the benches of stealing: a client, a server, what both saw, and the bound.
 *
 * One operation is a millisecond of load.
 */
#include "tools/bench/steal.h"

#include "tools/bench/steal_bound.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WARM_SHARE 8 /* of the window */

/* ---- Sessions ---- */

static void look(struct steal_session *session, struct steal_work *ret_work)
{
    clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
    (void)clock_getcpuclockid(session->process, &clock);
    *ret_work = (struct steal_work){
        .use = machine_use_now(),
        .cpu_ns = bench_clock_ns(clock),
        .delay_ns = machine_delay_ns(session->process),
    };
    session->look(session->server, ret_work);
}

static void *conduct(void *arg)
{
    struct steal_session *session = arg;
    char what = 0;
    ssize_t n = send(session->control, &session->port, sizeof session->port, MSG_NOSIGNAL);
    /* Nothing comes from a client that has died. */
    while (what != STEAL_QUIT && n > 0 && (n = recv(session->control, &what, 1, 0)) == 1)
        if (what == STEAL_BEGIN)
            look(session, &session->begin);
        else if (what == STEAL_END)
            look(session, &session->end);
    atomic_store_explicit(&session->stopping, true, memory_order_relaxed);
    session->stop(session->server);
    return NULL;
}

int steal_conduct(struct steal_session *session)
{
    return -pthread_create(&session->conductor, NULL, conduct, session);
}

void steal_conducted(struct steal_session *session)
{
    (void)pthread_join(session->conductor, NULL);
}

void steal_handle(struct steal_session *session, struct steal_message *message, uint64_t home)
{
    message->home = home;
    if (message->stall_ns == 0)
        return;
    if (message->stall_ns == STEAL_ENDLESS) {
        while (!atomic_load_explicit(&session->stopping, memory_order_relaxed))
            __asm__ volatile("" ::: "memory");
        return;
    }
    int64_t start_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    while (bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns < (int64_t)message->stall_ns)
        continue;
}

/* What keeps a processor busy beside a server that does not serve with it. */
static void *keep_busy(void *arg)
{
    struct steal_message endless = {.stall_ns = STEAL_ENDLESS};
    steal_handle(arg, &endless, 0);
    return NULL;
}

/* ---- One run ---- */

/* Client and server. Each of them ends when the other one has gone. */
static int run_session(const struct steal_plan *plan, struct steal_session *session,
                       steal_serve_fn serve, struct steal_seen *seen)
{
    int ends[2];
    int status = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    pid_t client = fork();
    if (client < 0) {
        int error = errno;
        (void)close(ends[0]);
        (void)close(ends[1]);
        return -error;
    }
    if (client == 0) {
        (void)close(ends[0]);
        steal_client(plan, ends[1], seen);
        _exit(0);
    }
    (void)close(ends[1]);
    session->control = ends[0];
    int r = serve(session);
    (void)close(ends[0]);
    while (waitpid(client, &status, 0) < 0 && errno == EINTR)
        continue;
    if (r == 0 && status != 0)
        r = -ECHILD;
    return r < 0 ? r : seen->error;
}

/* What the server's threads did: the rest of the time they ran. */
static void note_threads(const struct bench_run *run, const struct steal_plan *plan,
                         const struct steal_session *session)
{
    double all_ns = (double)plan->window_ns * session->threads;
    double cpu = (double)(session->end.cpu_ns - session->begin.cpu_ns) / all_ns;
    double delayed = (double)(session->end.delay_ns - session->begin.delay_ns) / all_ns;
    bench_note(run, "delayed", delayed);
    bench_note(run, "asleep", fmax(1 - cpu - delayed, 0));
}

/* What messages without a stall took, stalls subtracted. */
static struct steal_costs costs_of(const struct steal_session *session,
                                   const struct steal_seen *seen)
{
    double answers = seen->answers > 0 ? (double)seen->answers : 1;
    double stalls_ns = (double)seen->stalls * (double)STEAL_STALL_NS;
    double server_ns = (double)(session->end.cpu_ns - session->begin.cpu_ns) - stalls_ns;
    return (struct steal_costs){
        .server_ns = fmax(server_ns, 0) / answers,
        .client_ns = (double)seen->client_cpu_ns / answers,
    };
}

/* The share of all CPUs that neither server nor client used: what held this side up. */
static double others_of(const struct steal_session *session, const struct steal_seen *seen)
{
    const struct steal_work *begin = &session->begin;
    const struct steal_work *end = &session->end;
    double own = (double)(end->cpu_ns - begin->cpu_ns + seen->client_cpu_ns) / 1e9;
    double total = end->use.total - begin->use.total;
    double others = end->use.busy - begin->use.busy - own;
    return total > 0 ? fmax(others, 0) / total : 0;
}

/* How often something happened for each answer. */
static void note_per_answer(const struct bench_run *run, const struct steal_seen *seen,
                            const char *key, uint64_t before, uint64_t after)
{
    double answers = seen->answers > 0 ? (double)seen->answers : 1;
    bench_note(run, key, (double)(after - before) / answers);
}

static void note_work(const struct bench_run *run, const struct steal_session *session,
                      const struct steal_seen *seen)
{
    const struct steal_work *begin = &session->begin;
    const struct steal_work *end = &session->end;
    note_per_answer(run, seen, "turns", begin->turns, end->turns);
    note_per_answer(run, seen, "parks", begin->parks, end->parks);
    note_per_answer(run, seen, "wakes", begin->wakes, end->wakes);
    note_per_answer(run, seen, "searches", begin->searches, end->searches);
    note_per_answer(run, seen, "stolen", begin->stolen, end->stolen);
    note_per_answer(run, seen, "migrations", begin->migrations, end->migrations);
    note_per_answer(run, seen, "helps", begin->helps, end->helps);
    note_per_answer(run, seen, "rescued", begin->rescued, end->rescued);
}

static void note_seen(const struct bench_run *run, const struct steal_plan *plan,
                      const struct steal_seen *seen)
{
    double seconds = (double)plan->window_ns / 1e9;
    bench_note(run, "p50_us", steal_times_us(&seen->all, 0.5));
    bench_note(run, "p99_us", steal_times_us(&seen->all, 0.99));
    bench_note(run, "p999_us", steal_times_us(&seen->all, 0.999));
    bench_note(run, "paced_p99_us", steal_times_us(&seen->paced, 0.99));
    bench_note(run, "free_p999_us", steal_times_us(&seen->free, 0.999));
    bench_note(run, "in_time", (double)seen->in_time / seconds);
    bench_note(run, "overdue", (double)seen->overdue_ns / (double)plan->window_ns);
    bench_note(run, "stalls", (double)seen->stalls / seconds);
    bench_note(run, "unanswered", (double)seen->unanswered);
    bench_note(run, "home", (double)seen->home_count);
}

/* Plays a simulation, and notes its figures under names that begin so. */
static int note_played(const struct bench_run *run, const struct steal_plan *plan,
                       const struct steal_server *server, const char *name)
{
    double seconds = (double)plan->window_ns / 1e9;
    char key[BENCH_KEY_SIZE];
    struct steal_seen *seen = calloc(1, sizeof *seen);
    if (seen == NULL)
        return -ENOMEM;
    int r = steal_bound(plan, server, seen);
    const struct {
        const char *suffix;
        double value;
    } figures[] = {
        {"", (double)seen->answers / seconds},
        {"_p50_us", steal_times_us(&seen->all, 0.5)},
        {"_p99_us", steal_times_us(&seen->all, 0.99)},
        {"_p999_us", steal_times_us(&seen->all, 0.999)},
        {"_in_time", (double)seen->in_time / seconds},
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        (void)snprintf(key, sizeof key, "%s%s", name, figures[i].suffix);
        bench_note(run, key, figures[i].value);
    }
    free(seen);
    return r;
}

/* The bound of what was measured, and what the reference would be without any trouble. */
static int note_bounds(const struct bench_run *run, const struct steal_plan *plan,
                       struct steal_costs costs)
{
    struct steal_server server = {
        .costs = costs,
        .threads = run->loops,
        .cpus = machine_cpu_count(),
    };
    int r = note_played(run, plan, &server, "bound");
    server.parted = true;
    return r < 0 ? r : note_played(run, plan, &server, "parted");
}

/* The figure of a run: answers a second, or, with a blocked thread, milliseconds. */
static double figure_of(const struct steal_plan *plan, const struct steal_seen *seen)
{
    if (plan->blocked || plan->apart)
        return steal_times_us(&seen->paced, 0.99) / 1e3;
    return (double)seen->answers / ((double)plan->window_ns / 1e9);
}

static int measure(const struct bench_run *run, const struct steal_plan *plan, steal_serve_fn serve,
                   struct steal_seen *seen)
{
    struct steal_session session = {
        .threads = run->loops,
        .peer = run->peer,
        .process = getpid(),
    };
    pthread_t beside;
    bool apart = plan->apart && !plan->blocked;
    if (apart && session.threads > 1)
        session.threads--;
    int r = apart ? -pthread_create(&beside, NULL, keep_busy, &session) : 0;
    if (r < 0)
        return r;
    r = run_session(plan, &session, serve, seen);
    /* Where nobody conducted, nobody has ended it. */
    atomic_store_explicit(&session.stopping, true, memory_order_relaxed);
    if (apart)
        (void)pthread_join(beside, NULL);
    if (r < 0)
        return r;
    note_seen(run, plan, seen);
    note_work(run, &session, seen);
    note_threads(run, plan, &session);
    bench_note(run, "others", others_of(&session, seen));
    if (plan->blocked || plan->apart)
        return 0; /* the endless stall would count as the cost of messages */
    struct steal_costs costs = costs_of(&session, seen);
    bench_note(run, "server_us", costs.server_ns / 1e3);
    bench_note(run, "client_us", costs.client_ns / 1e3);
    return note_bounds(run, plan, costs);
}

static int run_side(const struct bench_run *run, steal_serve_fn serve, double *ret_value)
{
    struct steal_plan plan = *(const struct steal_plan *)run->arg;
    plan.window_ns = (int64_t)run->n * ROTA_MS;
    plan.warm_ns = plan.window_ns / WARM_SHARE;
    plan.blocked = plan.blocked && !(plan.apart && serve == steal_serve_reference);
    struct steal_seen *seen =
        mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED)
        return -errno;
    int r = measure(run, &plan, serve, seen);
    if (r == 0)
        *ret_value = figure_of(&plan, seen);
    (void)munmap(seen, sizeof *seen);
    return r;
}

static int rota_side(const struct bench_run *run, double *ret_value)
{
    return run_side(run, steal_serve_rota, ret_value);
}

static int reference_side(const struct bench_run *run, double *ret_value)
{
    return run_side(run, run->peer != NULL ? steal_serve_peer : steal_serve_reference, ret_value);
}

/* ---- The table ---- */

#define REFERENCE "epoll, a thread for each CPU, SO_REUSEPORT"
#define WINDOW_MS 2000
#define RUNS 5
#define FLAGS (BENCH_THREADS | BENCH_NOTE_RATIOS | BENCH_PEER_SERVES)

enum { is_spread = false, is_skewed = true };

/* Stalls of `percent` of one CPU, and so many milliseconds of thinking. */
#define STEAL(pattern, load, percent, think_ms, target_text)                                       \
    {                                                                                              \
        .name = "steal." #pattern "_" #load "." #think_ms "ms", .unit = "/s",                      \
        .text = "answers, stalls of " #percent " % of a CPU " #pattern ", " #think_ms              \
                " ms of thinking",                                                                 \
        .target = target_text, .baseline_name = REFERENCE, .rota = rota_side,                      \
        .baseline = reference_side, .n = WINDOW_MS, .runs = RUNS, .flags = FLAGS,                  \
        .arg = &(const struct steal_plan){                                                         \
            .think_ns = (think_ms)*ROTA_MS,                                                        \
            .stall_rate = (percent) / 100.0 * (double)ROTA_SEC / (double)STEAL_STALL_NS,           \
            .skewed = is_##pattern,                                                                \
        },                                                                                         \
    }

#define CALM ">= 0.95 x, >= 0.9 of the bound; p99.9 <= 1.1 x"
#define LOADED ">= 0.95 x, >= 0.9 of the bound; p99.9 <= 0.75 x"
#define SKEWED_CALM ">= 0.9 of the bound"
#define SKEWED_LOADED ">= 0.9 of the bound; in time >= 1.5 x; p99.9 <= 0.3 x"

const struct bench bench_steal_benches[] = {
    STEAL(spread, 0, 0, 0, CALM),
    STEAL(spread, 0, 0, 1, CALM),
    STEAL(spread, 0, 0, 4, CALM),
    STEAL(spread, 6, 6.4, 0, CALM),
    STEAL(spread, 6, 6.4, 1, CALM),
    STEAL(spread, 6, 6.4, 4, CALM),
    STEAL(spread, 64, 64, 0, LOADED),
    STEAL(spread, 64, 64, 1, LOADED),
    STEAL(spread, 64, 64, 4, LOADED),
    STEAL(spread, 160, 160, 0, LOADED),
    STEAL(spread, 160, 160, 1, LOADED),
    STEAL(spread, 160, 160, 4, LOADED),
    STEAL(skewed, 6, 6.4, 0, SKEWED_CALM),
    STEAL(skewed, 6, 6.4, 1, SKEWED_CALM),
    STEAL(skewed, 6, 6.4, 4, SKEWED_CALM),
    STEAL(skewed, 64, 64, 0, SKEWED_LOADED),
    STEAL(skewed, 64, 64, 1, SKEWED_LOADED),
    STEAL(skewed, 64, 64, 4, SKEWED_LOADED),
    STEAL(skewed, 160, 160, 0, SKEWED_LOADED),
    STEAL(skewed, 160, 160, 1, SKEWED_LOADED),
    STEAL(skewed, 160, 160, 4, SKEWED_LOADED),
    {
        .name = "steal.blocked",
        .unit = "ms",
        .text = "p99 of all connections while one thread is blocked for good, 4 ms of thinking",
        .target = "< 5 ms",
        .baseline_name = REFERENCE,
        .rota = rota_side,
        .baseline = reference_side,
        .n = WINDOW_MS,
        .runs = RUNS,
        .flags = FLAGS,
        .arg = &(const struct steal_plan){.think_ns = 4 * ROTA_MS, .blocked = true},
    },
    {
        .name = "steal.blocked_apart",
        .unit = "ms",
        .text = "the same against a thread less, and what blocks as a thread that serves nobody",
        .target = "reported only",
        .baseline_name = "epoll, one thread less, an endless thread beside it",
        .rota = rota_side,
        .baseline = reference_side,
        .n = WINDOW_MS,
        .runs = RUNS,
        .flags = BENCH_THREADS | BENCH_NOTE_RATIOS,
        .arg = &(const struct steal_plan){.think_ns = 4 * ROTA_MS, .blocked = true, .apart = true},
    },
    {0},
};
