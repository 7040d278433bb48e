/* SPDX-License-Identifier: MIT */
/*
 * engine.h - the explorer's inside: views, locations, virtual threads, one run's state.
 *
 * One OS thread, one run at a time: all state is one object, `model`. What a run allocates comes
 * from an arena that the next run takes over. Reset costs are what a run used, not the capacity.
 */
#ifndef ROTI_TESTS_MODEL_ENGINE_H
#define ROTI_TESTS_MODEL_ENGINE_H

#include "tests/model/model.h"

#define MODEL_LOCATIONS_MAX 1024
#define MODEL_PLAIN_MAX 1024
#define MODEL_TABLE_SIZE 4096  /* a power of two, several times the above */
#define MODEL_STORES_MAX 32000 /* per location and run: indices are 16 bits */
#define MODEL_VIEW_STEP 8      /* a view's length is a multiple, so that joins are vectors */
#define MODEL_STACK_SIZE (64 * 1024)
#define MODEL_STEPS_DEFAULT 10000
#define MODEL_REPEATS_MAX 3 /* dfs: reads of one old store, by one thread */

/* ---- Views (memory.c) ---- */

/* For each location the oldest store that may be read, and a vector clock: what happened before. */
struct model_view {
    uint32_t clock[MODEL_THREADS_MAX];
    uint32_t length; /* locations from here on are at 0, their first value */
    int16_t *at;
};

/* A view that grows in place. */
struct model_own_view {
    struct model_view view;
    int16_t room[MODEL_LOCATIONS_MAX];
};

struct model_store {
    uint64_t value;
    const struct model_view *released; /* what an acquiring reader learns; NULL: nothing */
};

struct model_location {
    const volatile void *address;
    unsigned size;
    int last;           /* index of the newest store */
    int16_t operations; /* the newest index that a seq_cst operation wrote or read */
    bool has_kept;
    uint32_t touched[MODEL_THREADS_MAX]; /* each thread's tick at its last operation here */
    uint32_t loaded[MODEL_THREADS_MAX];  /* the same, of its last load */
    uint32_t kept[MODEL_THREADS_MAX];    /* the same, of a load that is used for good; 0: none */
    const char *kept_file;               /* of the last that said so */
    int kept_line;
    struct model_store stores[MODEL_HISTORY]; /* by index modulo MODEL_HISTORY */
};

/* ---- Plain accesses (race.c) ---- */

struct model_plain_record {
    const volatile void *address;
    int writer; /* -1: none yet */
    uint32_t written;
    uint32_t read[MODEL_THREADS_MAX];
    const char *file; /* of the last write */
    int line;
};

/* From addresses to small numbers; emptied in one step by a new stamp. */
struct model_table {
    uint32_t stamp;
    struct {
        uintptr_t address;
        uint32_t stamp;
        uint32_t number;
    } entries[MODEL_TABLE_SIZE];
};

#define MODEL_TABLE_NONE UINT32_MAX

void model_table_clear(struct model_table *table);
/* The number stored for an address, or `fresh`, which is then stored. */
uint32_t model_table_get(struct model_table *table, uintptr_t address, uint32_t fresh);
/* Later lookups of this address give a fresh number. */
void model_table_drop(struct model_table *table, uintptr_t address);

/* ---- Virtual threads (engine.c) ---- */

enum model_state { MODEL_READY, MODEL_WAITING, MODEL_PAUSED, MODEL_DONE };

struct model_thread {
    void *stack_pointer;
    char *stack; /* MODEL_STACK_SIZE bytes above a guard page */
    enum model_state state;
    bool fresh; /* it was let out of a pause in which nothing changed: reads newest values */
    model_predicate_fn predicate;
    void *predicate_arg;
    uint64_t changes;                       /* of values, by this thread */
    uint64_t pause_stamp;                   /* changes by others when it paused */
    int64_t priority;                       /* pct */
    const struct model_view *release_fence; /* what a relaxed store carries; NULL: nothing */
    const struct model_view *light;         /* at its last light barrier; NULL: none yet */
    const struct model_view *interrupted;   /* what a membarrier since then has for it, or NULL */
    struct model_own_view current;
    struct model_own_view pending;        /* what an acquire fence would add */
    uint8_t repeats[MODEL_LOCATIONS_MAX]; /* dfs: reads of the oldest visible store in a row */
};

/* ---- Search (choose.c) ---- */

enum model_strategy { MODEL_RANDOM, MODEL_PCT, MODEL_DFS };

struct model_search {
    enum model_strategy strategy;
    unsigned depth;  /* pct: d; dfs: preemptions */
    unsigned length; /* pct: the steps among which points of change are laid */
    bool sequential; /* no weak memory: a load returns the newest value */
};

void model_search_begin(const struct model_search *search, uint64_t seed, unsigned thread_count);
/* Of the enabled threads, one; `current` is the one that ran last, or -1. */
int model_choose_thread(const int *enabled, int count, int current, uint64_t step);
/* How many stores behind the newest a load reads, out of 0 .. span-1. */
unsigned model_choose_store(unsigned span);
bool model_choose_spurious(void);
/* dfs: moves on to the next path; false when all have been walked. */
bool model_search_advance(void);
/* dfs: forgets all paths. */
void model_search_restart(void);

/* ---- One run (engine.c) ---- */

struct model_engine {
    struct model_thread threads[MODEL_THREADS_MAX];
    struct model_thread main; /* runs setup and check */
    unsigned thread_count;
    int current; /* -1: setup, check or the driver; operations are native then */
    bool in_predicate;
    const struct model_test *test;
    struct model_search search;
    uint64_t steps;
    uint64_t steps_max;
    uint64_t changes; /* of values, by all */
    uint64_t stuck_changes;
    unsigned stuck_rounds; /* pauses ended by force since a value last changed */
    uint64_t hash;         /* of all that happened */
    bool tracing;
    bool failed;
    char reason[256];
    char outcome[16];
    void *driver_stack_pointer;
    /* memory.c */
    unsigned location_count;
    struct model_location locations[MODEL_LOCATIONS_MAX];
    struct model_table location_table;
    struct model_own_view fences; /* what seq_cst fences have published */
    char *arena;
    size_t arena_used;
    size_t arena_size;
    /* race.c */
    unsigned plain_count;
    struct model_plain_record plain[MODEL_PLAIN_MAX];
    struct model_table plain_table;
};

extern struct model_engine model;

struct model_result {
    bool failed;
    uint64_t steps;
    uint64_t hash;
    char reason[256];
    char outcome[16];
};

/* Plays one run of a test. */
void model_run(const struct model_test *test, const struct model_search *search, uint64_t seed,
               bool tracing, struct model_result *ret_result);

/* The point before each operation where another thread may be chosen. */
void model_yield(void);
/* A value changed: paused threads may go on. */
void model_changed(void);
void model_note(uint64_t number);
void model_trace(const struct model_site *site, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline struct model_thread *model_running(void)
{
    return &model.threads[model.current];
}

/* Operations outside virtual threads are native. */
static inline bool model_is_native(void)
{
    return model.current < 0 || model.in_predicate;
}

/* memory.c: */
void model_memory_begin(void);
void model_thread_memory_begin(struct model_thread *thread, unsigned index);
/* Fails the run unless all operations there happened before this thread frees them. */
void model_memory_freed(const volatile void *address, size_t size);
/* race.c: */
void model_race_begin(void);
void model_race_forget(const volatile void *address, size_t size);
/* As model_memory_freed(), of announced plain accesses. */
void model_race_freed(const volatile void *address, size_t size);
/* stand_in.c: the heap, the thread object and assertions of sched/base, for the explorer. */
void model_stand_in_begin(void);
/* Fails the run when the address lies in a freed block. */
void model_heap_check(const volatile void *address);
/* site.c: */
void model_site_meet(struct model_site *site);
/* fiber.c: */
void model_switch(void **ret_from, void *to);
void model_fiber_start(struct model_thread *thread, void (*entry)(void));
void model_crashes_fail(void);
#endif
