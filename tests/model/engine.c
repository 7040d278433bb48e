/* SPDX-License-Identifier: MIT */
/*
 * engine.c - one run: virtual threads, who can go on, how a run ends.
 *
 * The chooser runs on the stack of the thread that yields, and switches straight to the one that
 * it chose; the driver's own stack is only where runs begin and end. A failed run is left where it
 * stands: its stacks are begun anew by the next run.
 */
#include "tests/model/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Pauses ended by force, per thread, before the run counts as a livelock. */
#define STUCK_ROUNDS_MAX 32

struct model_engine model = {.current = -1};

/* ---- The end of a run ---- */

static __attribute__((noreturn)) void leave_to_driver(void)
{
    void *abandoned;
    model.current = -1;
    model_switch(&abandoned, model.driver_stack_pointer);
    __builtin_unreachable();
}

void model_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(model.reason, sizeof model.reason, format, args);
    va_end(args);
    model.failed = true;
    if (model.tracing)
        printf("%6lu  %c  FAILED: %s\n", (unsigned long)model.steps,
               model.current < 0 ? '-' : '0' + model.current, model.reason);
    leave_to_driver();
}

static void fail_stuck(void)
{
    char states[MODEL_THREADS_MAX + 1] = "";
    for (unsigned i = 0; i < model.thread_count; i++)
        states[i] = "rwpd"[model.threads[i].state];
    model_fail("nobody can go on (threads %s: w waits, p pauses, d is done)", states);
}

/* ---- Who can go on ---- */

static bool is_enabled(struct model_thread *thread)
{
    switch (thread->state) {
    case MODEL_READY:
        return true;
    case MODEL_WAITING:
        model.in_predicate = true;
        bool holds = thread->predicate(thread->predicate_arg);
        model.in_predicate = false;
        return holds;
    case MODEL_PAUSED:
        return model.changes - thread->changes != thread->pause_stamp;
    case MODEL_DONE:
        return false;
    }
    return false;
}

/* Nobody is enabled: threads that only pause go on, with newest values, but not for ever. */
static int collect_paused(int *ret_enabled)
{
    int count = 0;
    for (unsigned i = 0; i < model.thread_count; i++) {
        if (model.threads[i].state != MODEL_PAUSED)
            continue;
        model.threads[i].fresh = true;
        ret_enabled[count++] = (int)i;
    }
    if (count == 0)
        fail_stuck();
    if (model.stuck_changes != model.changes)
        model.stuck_rounds = 0;
    model.stuck_changes = model.changes;
    if (++model.stuck_rounds > STUCK_ROUNDS_MAX * model.thread_count)
        fail_stuck();
    return count;
}

static int next_thread(void)
{
    int enabled[MODEL_THREADS_MAX];
    int count = 0;
    unsigned done = 0;
    for (unsigned i = 0; i < model.thread_count; i++) {
        if (is_enabled(&model.threads[i]))
            enabled[count++] = (int)i;
        done += model.threads[i].state == MODEL_DONE;
    }
    if (done == model.thread_count)
        return -1;
    if (count == 0)
        count = collect_paused(enabled);
    return model_choose_thread(enabled, count, model.current, model.steps);
}

/* Lets the chooser pick; returns when the caller was picked. Ends the run when all are done. */
static void reschedule(void)
{
    int next = next_thread();
    if (next < 0)
        leave_to_driver();
    struct model_thread *to = &model.threads[next];
    to->state = MODEL_READY;
    if (next == model.current)
        return;
    void *from_driver;
    void **from = model.current < 0 ? &from_driver : &model_running()->stack_pointer;
    model.current = next;
    model_note((uint64_t)next);
    model_switch(from, to->stack_pointer);
}

void model_yield(void)
{
    if (++model.steps > model.steps_max)
        model_fail("more than %lu steps", (unsigned long)model.steps_max);
    reschedule();
}

void model_pause(void)
{
    if (model_is_native())
        return;
    struct model_thread *self = model_running();
    self->state = MODEL_PAUSED;
    self->fresh = false;
    self->pause_stamp = model.changes - self->changes;
    model_yield();
}

void model_wait_until(model_predicate_fn predicate, void *arg)
{
    if (model_is_native())
        model_fail("only a virtual thread can wait");
    struct model_thread *self = model_running();
    self->predicate = predicate;
    self->predicate_arg = arg;
    self->state = MODEL_WAITING;
    if (model.tracing)
        printf("%6lu  %d  waits\n", (unsigned long)model.steps, model.current);
    model_yield();
    if (model.tracing)
        printf("%6lu  %d  goes on\n", (unsigned long)model.steps, model.current);
}

void model_changed(void)
{
    model.changes++;
    model_running()->changes++;
}

int model_self(void)
{
    return model.current;
}

/* ---- What happened ---- */

void model_note(uint64_t number)
{
    model.hash = (model.hash ^ number) * 1099511628211u;
}

void model_trace(const struct model_site *site, const char *format, ...)
{
    if (!model.tracing)
        return;
    va_list args;
    printf("%6lu  %d  %s:%d: %s %s %s ", (unsigned long)model.steps, model.current, site->file,
           site->line, site->label, model_operation_name(site->operation),
           model_order_name(site->order));
    if (site->object != NULL)
        printf("%s ", site->object);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void model_outcome(unsigned count, const int *digits)
{
    if (count >= sizeof model.outcome)
        model_fail("an outcome of more than 15 numbers");
    for (unsigned i = 0; i < count; i++) {
        if (digits[i] < 0 || digits[i] > 9)
            model_fail("an outcome has %d, which is not a digit", digits[i]);
        model.outcome[i] = (char)('0' + digits[i]);
    }
    model.outcome[count] = '\0';
}

/* ---- A run ---- */

static void thread_entry(void)
{
    unsigned self = (unsigned)model.current;
    model.test->threads[self](self);
    model_running()->state = MODEL_DONE;
    reschedule();
    __builtin_unreachable();
}

static void setup_entry(void)
{
    model.test->setup();
    leave_to_driver();
}

static void check_entry(void)
{
    model.test->check();
    leave_to_driver();
}

static void run_alone(void (*entry)(void))
{
    model_fiber_start(&model.main, entry);
    model_switch(&model.driver_stack_pointer, model.main.stack_pointer);
}

static void start_threads(void)
{
    reschedule();
}

static void begin(const struct model_test *test, const struct model_search *search, uint64_t seed)
{
    unsigned count = 0;
    while (count < MODEL_THREADS_MAX && test->threads[count] != NULL)
        count++;
    model.thread_count = count;
    model.current = -1;
    model.in_predicate = false;
    model.test = test;
    model.search = *search;
    model.steps = 0;
    model.steps_max = test->steps_max != 0 ? test->steps_max : MODEL_STEPS_DEFAULT;
    model.changes = 0;
    model.stuck_changes = 0;
    model.stuck_rounds = 0;
    model.hash = 14695981039346656037u;
    model.failed = false;
    model.outcome[0] = '\0';
    model_memory_begin();
    model_race_begin();
    model_stand_in_begin();
    for (unsigned i = 0; i < count; i++) {
        struct model_thread *thread = &model.threads[i];
        thread->state = MODEL_READY;
        thread->fresh = false;
        thread->changes = 0;
        model_thread_memory_begin(thread, i);
        model_fiber_start(thread, thread_entry);
    }
    model_search_begin(search, seed, count);
}

void model_run(const struct model_test *test, const struct model_search *search, uint64_t seed,
               bool tracing, struct model_result *ret_result)
{
    model.tracing = tracing;
    begin(test, search, seed);
    if (test->setup != NULL)
        run_alone(setup_entry);
    if (!model.failed)
        run_alone(start_threads);
    if (!model.failed && test->check != NULL)
        run_alone(check_entry);
    model.test = NULL;
    ret_result->failed = model.failed;
    ret_result->steps = model.steps;
    ret_result->hash = model.hash;
    memcpy(ret_result->reason, model.reason, sizeof model.reason);
    memcpy(ret_result->outcome, model.outcome, sizeof model.outcome);
}
