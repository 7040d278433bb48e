/* SPDX-License-Identifier: MIT */
/*
 * model.h - the explorer: plays the threads of a small program through C11's weak memory.
 *
 * Problem.  A missing fence shows up on another machine after days, never in a test on x86-64. So
 *           the product's own source is compiled with ROTI_MODEL=1: each atomic operation of
 *           sched/base/atomic.h then calls the explorer, which owns all the choices that real
 *           machines make: who goes next, and which of the values still visible a load returns.
 *
 * Threads.  Each virtual thread is a fiber, and all of them run in one OS thread. Before every
 *           operation the chooser decides who goes next. A run is a pure function of its seed.
 *
 * Memory.   Every location keeps the list of its stores in modification order. A view says, per
 *           location, which store is the oldest that may still be read. A thread has a current
 *           view, a pending one (what an acquire fence would add) and one of its last release
 *           fence; a store carries the view that its reader acquires. A load may return any store
 *           from its thread's view on, and moves the view there (coherence); an acquire load joins
 *           the store's view to the thread's. A read-modify-write reads the last store and
 *           continues its release sequence. A failed compare-and-swap is a load, and may be an old
 *           one. Sequential consistency is that of C++20: one view is shared by all seq_cst fences
 *           (joined both ways), another by all seq_cst operations (per location: a seq_cst load is
 *           never older than the last seq_cst operation there or than what the last seq_cst
 *           fence published). A seq_cst operation is not a fence for the locations around it.
 *           Vector clocks stand beside the views; they alone are happens-before, and
 *           ROTI_PLAIN_READ and ROTI_PLAIN_WRITE check them: a race fails the run.
 *           Memory itself always holds the newest value, so that plain code sees something sane.
 *           A location's first value is what memory holds at its first operation.
 *
 * Gaps.     No load buffering: a load never returns a store that comes later in the run. Where that
 *           matters, ROTI_LOAD_KEPT says so, and a store that could have been read fails the run.
 *           Modification order is execution order (the weak result of 2+2W is not seen).
 *           Release sequences are those of C++20. A load sees at most the last MODEL_HISTORY
 *           stores. Consume is not known. One size per location. A thread that model_wait_until()
 *           lets go on has acquired nothing: where the kernel's own ordering is to count, let the
 *           eventfd be an atomic that both sides exchange with acq_rel.
 *
 * Search.   random: each choice uniform; half of the loads take the newest value. pct: threads
 *           have priorities and --depth minus one points of change. dfs: every choice, with at
 *           most --depth preemptions, and three reads in a row of one old store by one thread;
 *           says "complete" when nothing is left. For two or three threads of few operations.
 *
 * A test.   Threads, a setup and a check; setup and check run alone and natively, and everything
 *           in setup happens before the threads. See handoff_test.c for a whole one:
 *
 *               static void waker(unsigned thread) { ... roti_store(X1, release, &flag, 1); ... }
 *               static void reset(void) { roti_store(X9, relaxed, &flag, 0); }
 *               static void check(void) { MODEL_ASSERT(taken == 1); }
 *               MODEL_TEST(handoff) = {
 *                   .threads = {sleeper, waker}, .setup = reset, .check = check};
 *
 *           A thread waits for the world outside (a futex, an eventfd) by model_wait_until().
 *           When nobody can go on and not all are done, a wakeup was lost: the run fails. A thread
 *           in roti_pause() is not chosen before another one has changed some value, unless all
 *           others are stuck too; then it reads newest values, and if nothing comes of it the run
 *           fails as a livelock. Heap memory (roti_alloc) is the run's: it vanishes after check,
 *           and touching a freed block fails the run; so does freeing it while an operation or an
 *           announced access of another thread there did not happen before. A crash or a failed
 *           ROTI_ASSERT is a failed run too. A loop that waits for another thread must pause or
 *           wait, or it may read the old value until the step limit. What a thread may not do: keep
 *           state over runs, block, or change an atomic without the macros (model_forget() the
 *           memory then).
 *
 * Mutants.  --sites lists all sites that ran; --mutant LABEL[:n] weakens one by a step, or takes
 *           a fence out; --mutants tries each in turn on all tests of the program that reach it,
 *           and fails if one survives that MODEL_SURVIVES does not name.
 */
#ifndef ROTI_TESTS_MODEL_H
#define ROTI_TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#error "model tests are written in C"
#endif

#define MODEL_THREADS_MAX 8
#define MODEL_HISTORY 32

/* ---- Sites: one static record for each place in the source ---- */

enum model_order {
    MODEL_ORDER_none = -1, /* a fence taken out */
    MODEL_ORDER_relaxed,
    MODEL_ORDER_acquire,
    MODEL_ORDER_release,
    MODEL_ORDER_acq_rel,
    MODEL_ORDER_seq_cst
};

enum model_operation {
    MODEL_LOAD,
    MODEL_STORE,
    MODEL_EXCHANGE,
    MODEL_ADD,
    MODEL_SUB,
    MODEL_OR,
    MODEL_AND,
    MODEL_CAS,
    MODEL_CAS_WEAK,
    MODEL_FENCE,
    MODEL_MEMBARRIER,
    MODEL_LIGHT
};

struct model_site {
    const char *label;
    const char *object; /* the operand, as written */
    const char *file;
    int line;
    enum model_operation operation;
    enum model_order declared; /* as written */
    enum model_order order;    /* as played: weaker in a mutant */
    bool known;
    uint64_t hits;
    struct model_site *next;
};

#define MODEL_SITE(site_label, site_operation, site_order, site_object)                            \
    ({                                                                                             \
        static struct model_site model_site_here = {.label = site_label,                           \
                                                    .object = site_object,                         \
                                                    .file = __FILE__,                              \
                                                    .line = __LINE__,                              \
                                                    .operation = site_operation,                   \
                                                    .declared = MODEL_ORDER_##site_order};         \
        &model_site_here;                                                                          \
    })

/* ---- What the macros of atomic.h call ---- */

uint64_t model_load(struct model_site *site, const volatile void *address, unsigned size);
void model_store(struct model_site *site, volatile void *address, unsigned size, uint64_t value);
uint64_t model_update(struct model_site *site, volatile void *address, unsigned size,
                      uint64_t operand);
bool model_cas(struct model_site *site, volatile void *address, unsigned size, void *expected,
               uint64_t desired);
void model_fence(struct model_site *site);
void model_pause(void);
void model_plain(const volatile void *address, bool write, const char *file, int line);
void model_keep(const volatile void *address, const char *file, int line);

/* The type behind a pointer to _Atomic(T), without the _Atomic. */
#define MODEL_TYPE(pointer) __typeof__((void)0, *(pointer))

#define MODEL_UPDATE(label, operation, order, object, pointer, value)                              \
    ((MODEL_TYPE(pointer))model_update(MODEL_SITE(label, operation, order, object), pointer,       \
                                       sizeof *(pointer), (uint64_t)(MODEL_TYPE(pointer))(value)))
#define MODEL_SWAP(label, operation, order, object, pointer, expected, value)                      \
    model_cas(MODEL_SITE(label, operation, order, object), pointer, sizeof *(pointer), expected,   \
              (uint64_t)(MODEL_TYPE(pointer))(value))

/*
 * membarrier(PRIVATE_EXPEDITED): a seq_cst fence on every thread at this point; and its other
 * side, a compiler barrier, without which it orders nothing there (fence.c). The argument is a
 * label, and may be left out.
 */
#define model_membarrier(...) model_fence(MODEL_SITE(#__VA_ARGS__, MODEL_MEMBARRIER, seq_cst, NULL))
#define model_light_barrier(...) model_fence(MODEL_SITE(#__VA_ARGS__, MODEL_LIGHT, seq_cst, NULL))

/* ---- For test programs ---- */

typedef void (*model_body_fn)(unsigned thread);
typedef bool (*model_predicate_fn)(void *arg);

struct model_test {
    model_body_fn
        threads[MODEL_THREADS_MAX]; /* thread i runs threads[i](i), up to the first NULL */
    void (*setup)(void);            /* before each run; may be NULL */
    void (*check)(void);            /* after each run that has not failed; may be NULL */
    unsigned steps_max;             /* more fail the run; 0: 10000 */
    const char *mutant;     /* "LABEL" or "LABEL:n": the test is of the program so weakened */
    unsigned fails_within;  /* not 0: a seeded bug, and the test passes if it is found so soon */
    const char *fails_with; /* part of the failure's text; NULL: any */
    bool hidden_by_sc;      /* the bug is one of memory: with --sc no run may fail */
    const char *must;       /* outcomes (MODEL_OUTCOME) that must be seen: "00 01 11" */
    const char *never;      /* outcomes that must not; others are allowed */
    const char *name;       /* set by MODEL_TEST */
    struct model_test *next;
};

void model_register(struct model_test *test, const char *name);

#define MODEL_TEST(identifier)                                                                     \
    static struct model_test model_test_##identifier;                                              \
    __attribute__((constructor)) static void model_register_##identifier(void)                     \
    {                                                                                              \
        model_register(&model_test_##identifier, #identifier);                                     \
    }                                                                                              \
    static struct model_test model_test_##identifier

/*
 * States why a mutant ("LABEL:n") is known to survive: the order is kept for a reason that these
 * tests, or the explorer, cannot see. Without it a surviving mutant fails the campaign.
 */
#define MODEL_SURVIVES(mutant_name, reason_text)                                                   \
    MODEL_SURVIVES_AT(__LINE__, mutant_name, reason_text)
#define MODEL_SURVIVES_AT(line, mutant_name, reason_text)                                          \
    MODEL_SURVIVES_NAMED(line, mutant_name, reason_text)
#define MODEL_SURVIVES_NAMED(line, mutant_name, reason_text)                                       \
    static struct model_survivor model_survivor_##line = {.mutant = mutant_name,                   \
                                                          .reason = reason_text};                  \
    __attribute__((constructor)) static void model_survives_##line(void)                           \
    {                                                                                              \
        model_survives(&model_survivor_##line);                                                    \
    }                                                                                              \
    struct model_survivor

struct model_survivor {
    const char *mutant;
    const char *reason;
    struct model_survivor *next;
};

void model_survives(struct model_survivor *survivor);

/* Ends the run as failed. In a thread, setup or check; does not return. */
__attribute__((noreturn, format(printf, 1, 2))) void model_fail(const char *format, ...);

#define MODEL_ASSERT(expression)                                                                   \
    ((expression) ? (void)0 : model_fail("%s:%d: %s", __FILE__, __LINE__, #expression))

/* Parks this virtual thread until predicate(arg), called on newest values at any time, is true. */
void model_wait_until(model_predicate_fn predicate, void *arg);

/* One of 0 .. count-1, a choice of the search like any other: a timeout, a lost race outside. */
unsigned model_choose(unsigned count);

/* The virtual thread that runs; -1 in setup and check. */
int model_self(void);

/* These bytes start anew: freed, or reset by plain code. Histories and race records are dropped. */
void model_forget(const volatile void *address, size_t size);

/* Blocks of roti_alloc not yet freed in this run. */
unsigned model_live_blocks(void);

/* Names this run's result (in check): up to 15 small numbers, 0..9 each. */
void model_outcome(unsigned count, const int *digits);
#define MODEL_OUTCOME(...)                                                                         \
    model_outcome(sizeof((int[]){__VA_ARGS__}) / sizeof(int), (int[]){__VA_ARGS__})

/* ---- For campaigns over mutants ---- */

/* Weakens all sites with this label, by its n-th variant; NULL: none. False: no such variant. */
bool model_set_mutant(const char *label, unsigned variant);

/* The sites that have run so far, linked by `next`. */
struct model_site *model_sites(void);

/* How many variants a site has: 0 for a relaxed one. */
unsigned model_variant_count(const struct model_site *site);

/* The order that a variant plays. */
enum model_order model_variant_order(const struct model_site *site, unsigned variant);

const char *model_order_name(enum model_order order);
const char *model_operation_name(enum model_operation operation);

#endif
