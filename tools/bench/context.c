/* SPDX-License-Identifier: MIT */
/*
 * context.c - benches of context variables. Baselines are arrays: a get is a load, a set a store
 * or, where the array is shared, a copy of it; a copy is a memcpy().
 */
#include "tools/bench/bench.h"

#include <errno.h>
#include <rota/context.h>
#include <stdlib.h>
#include <string.h>

#define FEW 10
#define MANY 100000

/* Variables for all benches, made once: they are of the kind that lives as long as the process. */
static struct rota_context_var *vars[MANY];
static void *slots[MANY];
static void *copied[MANY];

struct setting {
    const struct bench_run *run;
    uint64_t var_count;
    int (*body)(const struct setting *setting);
    double value;
};

static int make_vars(void)
{
    static const struct rota_context_var_opts opts = {.permanent = true};
    for (size_t i = 0; i < MANY; i++)
        if (vars[i] == NULL) {
            int r = rota_context_var_create(&vars[i], "bench", &opts);
            if (r < 0)
                return r;
        }
    return 0;
}

/* Gives each variable a value, and lets the body do its operations. */
static int setting_main(void *arg)
{
    struct setting *setting = arg;
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < setting->var_count; i++)
        r = rota_context_var_set(vars[i], &vars[i], NULL);
    if (r < 0)
        return r;
    struct bench_instant start = bench_now();
    r = setting->body(setting);
    setting->value = bench_cpu_per(setting->run, start);
    return r;
}

static int in_context(const struct bench_run *run, uint64_t var_count,
                      int (*body)(const struct setting *), double *ret_value)
{
    struct setting setting = {.run = run, .var_count = var_count, .body = body};
    int r = make_vars();
    if (r == 0)
        r = bench_in_runtime(run, setting_main, &setting);
    *ret_value = setting.value;
    return r;
}

/* ---- Get ---- */

static int get_body(const struct setting *setting)
{
    size_t at = 0;
    for (uint64_t i = 0; i < setting->run->n; i++) {
        void *value;
        int r = rota_context_var_get(vars[at], &value);
        if (r < 0)
            return r;
        BENCH_USE(value);
        at = at + 1 == setting->var_count ? 0 : at + 1;
    }
    return 0;
}

static int rota_get(const struct bench_run *run, double *ret_value)
{
    return in_context(run, FEW, get_body, ret_value);
}

__attribute__((noinline)) static void *plain_load(size_t at)
{
    void *value = slots[at];
    __asm__ volatile("" : "+r"(value));
    return value;
}

static int plain_get(const struct bench_run *run, double *ret_value)
{
    size_t at = 0;
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < run->n; i++) {
        BENCH_USE(plain_load(at));
        at = at + 1 == FEW ? 0 : at + 1;
    }
    *ret_value = bench_cpu_per(run, start);
    return 0;
}

/* ---- Set ---- */

/* Variables in pseudo-random order, values that differ from the ones before. */
static int set_body(const struct setting *setting)
{
    uint64_t state = 1;
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < setting->run->n; i++)
        r = rota_context_var_set(vars[bench_random(&state) % setting->var_count], &slots[i % FEW],
                                 NULL);
    return r;
}

/* Before each set somebody takes a copy of the context, so that no node is owned alone. */
static int set_shared_body(const struct setting *setting)
{
    uint64_t state = 1;
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < setting->run->n; i++) {
        struct rota_context *copy;
        r = rota_context_copy_current(&copy);
        if (r < 0)
            break;
        r = rota_context_var_set(vars[bench_random(&state) % setting->var_count], &slots[i % FEW],
                                 NULL);
        rota_context_unref(copy);
    }
    return r;
}

static int rota_set(const struct bench_run *run, double *ret_value)
{
    return in_context(run, FEW, set_body, ret_value);
}

static int rota_set_shared(const struct bench_run *run, double *ret_value)
{
    return in_context(run, FEW, set_shared_body, ret_value);
}

static int rota_set_many(const struct bench_run *run, double *ret_value)
{
    return in_context(run, MANY, set_body, ret_value);
}

__attribute__((noinline)) static void plain_store(size_t at, void *value)
{
    slots[at] = value;
    __asm__ volatile("" : : : "memory");
}

static double plain_stores(const struct bench_run *run, uint64_t var_count, size_t copy_count)
{
    uint64_t state = 1;
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < run->n; i++) {
        memcpy(copied, slots, copy_count * sizeof *slots);
        plain_store(bench_random(&state) % var_count, &slots[i % FEW]);
        BENCH_USE(copied);
    }
    return bench_cpu_per(run, start);
}

/* A store to an array of ten. */
static int plain_set(const struct bench_run *run, double *ret_value)
{
    *ret_value = plain_stores(run, FEW, 0);
    return 0;
}

/* A copy of an array of ten, and a store. */
static int plain_set_shared(const struct bench_run *run, double *ret_value)
{
    *ret_value = plain_stores(run, FEW, FEW);
    return 0;
}

/* A store to an array of 10^5. */
static int plain_set_many(const struct bench_run *run, double *ret_value)
{
    *ret_value = plain_stores(run, MANY, 0);
    return 0;
}

/* ---- Copy ---- */

static int copy_body(const struct setting *setting)
{
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < setting->run->n; i++) {
        struct rota_context *copy;
        r = rota_context_copy_current(&copy);
        if (r == 0)
            rota_context_unref(copy);
    }
    return r;
}

static int rota_copy(const struct bench_run *run, double *ret_value)
{
    return in_context(run, FEW, copy_body, ret_value);
}

static int rota_copy_many(const struct bench_run *run, double *ret_value)
{
    return in_context(run, MANY, copy_body, ret_value);
}

static double plain_copies(const struct bench_run *run, size_t count)
{
    struct bench_instant start = bench_now();
    for (uint64_t i = 0; i < run->n; i++) {
        memcpy(copied, slots, count * sizeof *slots);
        BENCH_USE(copied);
    }
    return bench_cpu_per(run, start);
}

/* A memcpy() of ten pointers, to memory that is there already. */
static int plain_copy(const struct bench_run *run, double *ret_value)
{
    *ret_value = plain_copies(run, FEW);
    return 0;
}

/* A memcpy() of 10^5 pointers. */
static int plain_copy_many(const struct bench_run *run, double *ret_value)
{
    struct bench_run fewer = {.n = run->n / 1000 + 1, .loops = 1, .notes = run->notes};
    *ret_value = plain_copies(&fewer, MANY);
    return 0;
}

/* ---- The table ---- */

const struct bench bench_context_benches[] = {
    {"ctx.get", "ns", "one get, 10 variables", "<= 3 ns", "a load from an array", rota_get,
     plain_get, 10000000, 1, 9, 0, NULL},
    {"ctx.set", "ns", "one set, 10 variables, nobody shares the context", "<= 40 ns",
     "a store to an array", rota_set, plain_set, 5000000, 1, 9, 0, NULL},
    {"ctx.set_shared", "ns", "a copy, a set that finds all shared, the copy's end",
     "<= 158 ns (150 and the copy)", "a copy of an array, a store", rota_set_shared,
     plain_set_shared, 1000000, 1, 9, 0, NULL},
    {"ctx.set_100k", "ns", "one set, 10^5 variables, in random order", "<= 400 ns",
     "a store to an array of 10^5", rota_set_many, plain_set_many, 1000000, 1, 5, 0, NULL},
    {"ctx.copy", "ns", "a copy of the current context and its end, 10 variables", "<= 8 ns",
     "a memcpy() of ten pointers", rota_copy, plain_copy, 5000000, 1, 9, 0, NULL},
    {"ctx.copy_100k", "ns", "the same, 10^5 variables", "<= 8 ns", "a memcpy() of 10^5 pointers",
     rota_copy_many, plain_copy_many, 5000000, 1, 5, 0, NULL},
    {0},
};
