/* SPDX-License-Identifier: MIT */
/*
 * context_test.c - contexts under weak memory: shared maps, edits in place, credits, objects.
 *
 * What is at stake (H52): a node is edited in place, and freed, by whoever finds itself alone, and
 * so after all reads of those who were there before. The reads and writes of a map's values, of an
 * object's root and of a variable are announced to the explorer, so that each is a race unless the
 * counts order it.
 */
#include "ctx/context_impl.h"
#include "ctx/hamt.h"

#include <errno.h>

#define OLD ((void *)1)
#define NEW ((void *)2)

static struct rota_context_var *var;
static struct rota_context_var *other;
static struct rota_context *context;
static struct roti_context_ref refs[2]; /* one for each thread, of one root */
static struct roti_context_ref parcel;
static _Atomic(bool) sent;
static int balance; /* references to values; changed by one virtual thread at a time */

static void retain(void *value)
{
    (void)value;
    balance++;
}

static void release(void *value)
{
    (void)value;
    balance--;
}

static const struct rota_context_var_opts opts = {.retain = retain, .release = release};

static void set(struct rota_context_var *which, void *value)
{
    MODEL_ASSERT(rota_context_var_set(which, value, NULL) == 0);
}

static void expect(struct rota_context_var *which, void *value)
{
    MODEL_ASSERT(rota_context_var_get_or(which, NULL) == value);
}

/* Runs `body` in *ref on this virtual thread, as a loop runs a callback. */
static void inside(struct roti_context_ref *ref, void (*body)(void))
{
    struct roti_context_slot saved;
    MODEL_ASSERT(roti_context_enter(ref, NULL, &saved) == 0);
    body();
    roti_context_exit(ref, &saved);
}

static int set_old(void *arg)
{
    (void)arg;
    set(var, OLD);
    set(other, OLD);
    return 0;
}

/* A root with two values; refs hold it twice, and nobody else does. */
static void setup_map(void)
{
    balance = 0;
    MODEL_ASSERT(rota_context_var_create(&var, "var", &opts) == 0);
    MODEL_ASSERT(rota_context_var_create(&other, "other", &opts) == 0);
    MODEL_ASSERT(rota_context_create(&context) == 0);
    MODEL_ASSERT(rota_context_run(context, set_old, NULL) == 0);
    refs[0] = (struct roti_context_ref){.cell = NULL, .root = context->root};
    refs[1] = refs[0];
    roti_map_ref(context->root, 2);
    rota_context_unref(context);
    roti_context_park(roti_thread_self());
    parcel = (struct roti_context_ref){.cell = NULL, .root = NULL};
    roti_store(TX1, relaxed, &sent, false);
}

/* Nothing is left: each value released, each block freed. */
static void check_empty(void)
{
    rota_context_var_unref(var);
    rota_context_var_unref(other);
    MODEL_ASSERT(balance == 0);
    MODEL_ASSERT(model_live_blocks() == 0);
}

static void give_back(struct roti_context_ref *ref)
{
    roti_context_ref_release(ref);
    roti_context_park(roti_thread_self());
}

/* ---- Two holders of one root, each changes its own copy ---- */

static void change_var(void)
{
    expect(var, OLD);
    set(var, NEW);
    expect(var, NEW);
    expect(other, OLD);
}

static void change_other(void)
{
    expect(var, OLD);
    set(other, NEW);
    expect(other, NEW);
    expect(var, OLD);
}

static void holder(unsigned thread)
{
    inside(&refs[thread], thread == 0 ? change_var : change_other);
    give_back(&refs[thread]);
}

MODEL_TEST(two_holders) = {.threads = {holder, holder}, .setup = setup_map, .check = check_empty};

/* ---- One reads and lets go, the other edits ---- */

static void read_both(void)
{
    expect(var, OLD);
    expect(other, OLD);
}

static void reader(unsigned thread)
{
    inside(&refs[thread], read_both);
    give_back(&refs[thread]);
}

MODEL_TEST(reader_and_editor) = {
    .threads = {holder, reader}, .setup = setup_map, .check = check_empty};

/* ---- A batch of credits, a reference handed over, and a write meanwhile ---- */

static void capture_and_write(void)
{
    parcel = roti_context_capture(NULL);
    struct roti_context_ref kept = roti_context_capture(NULL);
    /* [TX2] release: pairs with [TX3]; the parcel is complete. */
    roti_store(TX2, release, &sent, true);
    roti_context_ref_release(&kept);
    set(var, NEW);
    expect(var, NEW);
}

static void poster(unsigned thread)
{
    inside(&refs[thread], capture_and_write);
    give_back(&refs[thread]);
}

static void receiver(unsigned thread)
{
    give_back(&refs[thread]);
    /* [TX3] acquire: pairs with [TX2]. */
    while (!roti_load(TX3, acquire, &sent))
        roti_pause();
    inside(&parcel, change_other);
    give_back(&parcel);
}

MODEL_TEST(credits) = {.threads = {poster, receiver}, .setup = setup_map, .check = check_empty};

/* ---- An object: written inside, copied from outside, given up by both ---- */

static int write_inside(void *arg)
{
    (void)arg;
    set(var, NEW);
    set(other, NEW);
    set(other, OLD);
    return 0;
}

static void setup_object(void)
{
    setup_map();
    roti_context_ref_release(&refs[0]);
    roti_context_ref_release(&refs[1]);
    MODEL_ASSERT(rota_context_create(&context) == 0);
    MODEL_ASSERT(rota_context_run(context, set_old, NULL) == 0);
    rota_context_ref(context);
    roti_context_park(roti_thread_self());
}

static void writer(unsigned thread)
{
    (void)thread;
    MODEL_ASSERT(rota_context_run(context, write_inside, NULL) == 0);
    rota_context_unref(context);
    roti_context_park(roti_thread_self());
}

static void copier(unsigned thread)
{
    (void)thread;
    struct rota_context *copy;
    void *first;
    void *second;
    MODEL_ASSERT(rota_context_copy(context, &copy) == 0);
    rota_context_unref(context);
    MODEL_ASSERT(rota_context_get(copy, var, &first) == 0);
    MODEL_ASSERT(rota_context_get(copy, other, &second) == 0);
    MODEL_ASSERT(first == NEW || second == OLD); /* written in this order */
    rota_context_unref(copy);
    roti_context_park(roti_thread_self());
}

MODEL_TEST(copy_while_written) = {
    .threads = {writer, copier}, .setup = setup_object, .check = check_empty};

/* The writer owns the object through a callback's reference: alone once the copier let go. */
static void set_twice(void)
{
    set(var, NEW);
    set(other, NEW);
    set(other, OLD);
}

static void callback(unsigned thread)
{
    (void)thread;
    struct roti_context_ref ref = {.cell = context, .root = NULL};
    inside(&ref, set_twice);
    give_back(&ref);
}

MODEL_TEST(copy_and_let_go) = {
    .threads = {callback, copier}, .setup = setup_object, .check = check_empty};

/* ---- An object is used by one at a time: runs, and a task with its steps ---- */

static int visits;

static int visit(void *arg)
{
    (void)arg;
    ROTI_PLAIN_WRITE(&visits);
    visits++;
    set(var, NEW);
    return 0;
}

static void runner(unsigned thread)
{
    (void)thread;
    int r;
    while ((r = rota_context_run(context, visit, NULL)) == -EBUSY)
        roti_pause();
    MODEL_ASSERT(r == 0);
    rota_context_unref(context);
    roti_context_park(roti_thread_self());
}

static void tasker(unsigned thread)
{
    (void)thread;
    struct roti_context_slot slot;
    struct roti_thread *self = roti_thread_self();
    void *home;
    while (roti_context_task_init(&slot, context, &visits, &home) == -EBUSY)
        roti_pause();
    MODEL_ASSERT(home == &visits);
    self->context = &slot;
    MODEL_ASSERT(visit(NULL) == 0);
    self->context = &self->top;
    roti_context_task_end(&slot);
    rota_context_unref(context);
    roti_context_park(self);
}

static void setup_visits(void)
{
    setup_object();
    visits = 0;
}

static void check_visits(void)
{
    MODEL_ASSERT(visits == 2);
    check_empty();
}

MODEL_TEST(two_runs) = {.threads = {runner, runner}, .setup = setup_visits, .check = check_visits};
MODEL_TEST(run_and_task) = {
    .threads = {runner, tasker}, .setup = setup_visits, .check = check_visits};

/* ---- A variable is freed by its last holder ---- */

static void setup_var(void)
{
    setup_object();
    rota_context_unref(context);
    rota_context_unref(context);
    roti_context_park(roti_thread_self());
    rota_context_var_ref(var);
}

static void user(unsigned thread)
{
    (void)thread;
    expect(var, NULL);
    rota_context_var_unref(var);
}

static void check_var(void)
{
    rota_context_var_unref(other);
    MODEL_ASSERT(model_live_blocks() == 0);
}

MODEL_TEST(last_of_a_variable) = {.threads = {user, user}, .setup = setup_var, .check = check_var};
