/* SPDX-License-Identifier: MIT */
/*
 * schedule_test.cc - what loops and tasks do with contexts: captured, entered, given to tasks;
 * B-V01, B-V03, B-V06; credits of references.
 */
#include "tests/ctx/fixtures.h"

#include "ctx/credit.h"
#include "ctx/hamt_impl.h"

namespace {

using namespace ctx_test;

class ScheduleTest : public CtxTest {};

/* Identities of loops. */
int loop_a, loop_b;

void set(rota_context_var *var, std::intptr_t number)
{
    EXPECT_EQ(0, rota_context_var_set(var, val(number), nullptr));
}

/* Runs `body` as a callback of `loop` in *ref; the result of entering. */
int call(roti_context_ref *ref, void *loop, const std::function<void()> &body)
{
    roti_context_slot saved;
    int r = roti_context_enter(ref, loop, &saved);
    if (r < 0)
        return r;
    body();
    roti_context_exit(ref, &saved);
    return 0;
}

/* A task: a slot that is current while a step runs, on whatever thread. */
struct Task {
    roti_context_slot slot = {};
    void *home = nullptr;
    bool spawned = false;

    int spawn(rota_context *context = nullptr, void *loop = &loop_a)
    {
        int r = roti_context_task_init(&slot, context, loop, &home);
        spawned = r == 0;
        return r;
    }
    void step(const std::function<void()> &body)
    {
        roti_thread *self = roti_thread_self();
        roti_context_slot *outer = self->context;
        self->context = &slot;
        body();
        self->context = outer;
    }
    void end()
    {
        if (spawned)
            roti_context_task_end(&slot);
        spawned = false;
    }
    ~Task()
    {
        end();
    }
};

TEST_F(ScheduleTest, BV01_ChildSeesTheValueAtItsSpawn)
{
    Var var;
    Context().inside([&] {
        set(var, 1);
        Task child;
        EXPECT_EQ(0, child.spawn());
        EXPECT_EQ(nullptr, child.home);
        set(var, 2);
        child.step([&] {
            EXPECT_EQ(val(1), var.get());
            set(var, 3);
        });
        EXPECT_EQ(val(2), var.get());
        child.step([&] { EXPECT_EQ(val(3), var.get()); });
    });
}

TEST_F(ScheduleTest, CallbackRunsInACopyOfWhereItWasScheduled)
{
    Var var;
    Context().inside([&] {
        set(var, 1);
        roti_context_ref ref = roti_context_capture(nullptr);
        set(var, 2);
        EXPECT_EQ(0, call(&ref, &loop_a, [&] {
                      EXPECT_EQ(val(1), var.get());
                      set(var, 3);
                  }));
        EXPECT_EQ(val(2), var.get());
        /* A reader's next firing sees what the one before set. */
        EXPECT_EQ(0, call(&ref, &loop_a, [&] { EXPECT_EQ(val(3), var.get()); }));
        roti_context_ref_release(&ref);
        EXPECT_EQ(nullptr, ref.root);
        roti_context_ref_release(&ref);
    });
}

/* A token of one firing is good in the next: the context is the same one. */
TEST_F(ScheduleTest, ReadersContextKeepsItsIdentity)
{
    Var var;
    rota_context_token token;
    roti_context_ref ref = roti_context_capture(nullptr);
    EXPECT_EQ(
        0, call(&ref, &loop_a, [&] { EXPECT_EQ(0, rota_context_var_set(var, val(1), &token)); }));
    EXPECT_EQ(ROTA_ECTX, rota_context_var_reset(var, &token));
    EXPECT_EQ(0, call(&ref, &loop_a, [&] {
                  EXPECT_EQ(val(1), var.get());
                  EXPECT_EQ(0, rota_context_var_reset(var, &token));
                  EXPECT_EQ(val(-1), var.get());
              }));
    roti_context_ref_release(&ref);
}

TEST_F(ScheduleTest, CallbackWithAnObjectWritesIntoIt)
{
    Var var;
    Context context;
    roti_context_ref ref = roti_context_capture(context);
    EXPECT_EQ(0, call(&ref, &loop_a, [&] {
                  set(var, 1);
                  EXPECT_EQ(-EBUSY, context.run([] { return 0; }));
              }));
    EXPECT_EQ(val(1), context.at(var));
    context.inside([&] {
        roti_thread *self = roti_thread_self();
        roti_context_slot before = *roti_thread_context(self);
        EXPECT_EQ(-EBUSY, call(&ref, &loop_a, [] { ADD_FAILURE() << "called"; }));
        EXPECT_EQ(before.cell, roti_thread_context(self)->cell);
    });
    EXPECT_EQ(0, call(&ref, &loop_b, [&] { set(var, 2); })); /* another loop, alone */
    EXPECT_EQ(val(2), context.at(var));
    roti_context_ref_release(&ref);
}

TEST_F(ScheduleTest, HomeIsTheLoopThatWasFirst)
{
    Context context;
    EXPECT_EQ(&loop_b, roti_context_home(context, &loop_b));
    EXPECT_EQ(&loop_b, roti_context_home(context, &loop_a));
    Task task;
    EXPECT_EQ(0, task.spawn(context, &loop_a));
    EXPECT_EQ(&loop_b, task.home);
}

/* B-V03, D8: two tasks of one object take turns and see each other's writes. */
TEST_F(ScheduleTest, BV03_TasksOfOneObjectTakeTurns)
{
    Var var;
    Context context;
    Task one, two;
    EXPECT_EQ(0, one.spawn(context, &loop_a));
    EXPECT_EQ(0, two.spawn(context, &loop_b));
    EXPECT_EQ(&loop_a, one.home);
    EXPECT_EQ(&loop_a, two.home);
    one.step([&] { set(var, 1); });
    EXPECT_EQ(val(1), context.at(var));
    two.step([&] {
        EXPECT_EQ(val(1), var.get());
        set(var, 2);
    });
    one.step([&] { EXPECT_EQ(val(2), var.get()); });
    EXPECT_EQ(val(2), context.at(var));

    /* While they live: no run, and callbacks of their loop only. */
    EXPECT_EQ(-EBUSY, context.run([] { return 0; }));
    roti_context_ref ref = roti_context_capture(context);
    EXPECT_EQ(-EBUSY, call(&ref, &loop_b, [] {}));
    EXPECT_EQ(0, call(&ref, &loop_a, [&] {
                  set(var, 3);
                  Task third; /* spawned by the callback in its own context */
                  EXPECT_EQ(0, third.spawn(context, &loop_a));
              }));
    roti_context_ref_release(&ref);
    one.step([&] { EXPECT_EQ(val(3), var.get()); });
    one.end();
    EXPECT_EQ(-EBUSY, context.run([] { return 0; }));
    two.end();
    EXPECT_EQ(0, context.run([] { return 0; }));
}

TEST_F(ScheduleTest, TaskOfAnEnteredObjectIsRefused)
{
    Context context;
    context.inside([&] {
        Task task;
        EXPECT_EQ(-EBUSY, task.spawn(context));
        EXPECT_EQ(nullptr, task.slot.cell);
    });
    Task task;
    EXPECT_EQ(0, task.spawn(context));
    EXPECT_EQ(&loop_a, roti_context_home(context, &loop_b));
}

TEST_F(ScheduleTest, RunInsideATaskStaysEnteredWhileTheTaskMoves)
{
    Var var;
    Context context;
    Task task;
    EXPECT_EQ(0, task.spawn());
    /* What rota_context_run() does, cut in two where its function suspends. */
    task.step([&] {
        context.inside([&] {
            set(var, 1);
            roti_thread *self = roti_thread_self();
            self->context = &self->top; /* suspended: another task runs here */
            EXPECT_EQ(val(-1), var.get());
            EXPECT_EQ(-EBUSY, context.run([] { return 0; }));
            on_new_thread([&] { /* and this one on another loop */
                                task.step([&] {
                                    EXPECT_EQ(val(1), var.get());
                                    set(var, 2);
                                });
                                EXPECT_EQ(-EBUSY, context.run([] { return 0; }));
            });
            roti_thread_self()->context = &task.slot;
        });
        EXPECT_EQ(val(-1), var.get());
    });
    EXPECT_EQ(val(2), context.at(var));
}

/* B-V06: a token taken before a migration is good after it. */
TEST_F(ScheduleTest, BV06_TokenTravelsWithItsTask)
{
    Var var;
    Task task;
    rota_context_token token;
    EXPECT_EQ(0, task.spawn());
    task.step([&] { EXPECT_EQ(0, rota_context_var_set(var, val(1), &token)); });
    on_new_thread([&] {
        EXPECT_EQ(ROTA_ECTX, rota_context_var_reset(var, &token)); /* the thread's own context */
        task.step([&] {
            EXPECT_EQ(val(1), var.get());
            EXPECT_EQ(0, rota_context_var_reset(var, &token));
            EXPECT_EQ(val(-1), var.get());
        });
    });
}

/* A token in a child is a token of another context (V4). */
TEST_F(ScheduleTest, TokenOfTheParentIsForeignInTheChild)
{
    Var var;
    Context().inside([&] {
        rota_context_token token;
        EXPECT_EQ(0, rota_context_var_set(var, val(1), &token));
        Task child;
        EXPECT_EQ(0, child.spawn());
        child.step([&] { EXPECT_EQ(ROTA_ECTX, rota_context_var_reset(var, &token)); });
        EXPECT_EQ(0, rota_context_var_reset(var, &token));
    });
}

/* H52: many tasks, each setting its own; nothing leaks to a sibling or to the parent. */
TEST_F(ScheduleTest, H52_SiblingsNeverSeeEachOther)
{
    Counted shared;
    Var inherited("inherited", counted_opts()), own("own");
    Context().inside([&] {
        EXPECT_EQ(0, rota_context_var_set(inherited, &shared, nullptr));
        set(own, 0);
        std::int64_t rounds = support::scale(100'000);
        constexpr int alive = 16;
        Task tasks[alive];
        for (std::int64_t i = 0; i < rounds; i++) {
            Task &task = tasks[i % alive];
            task.step([&] { EXPECT_EQ(i < alive ? val(-1) : val(i - alive + 1), own.get()); });
            task.end();
            ASSERT_EQ(0, task.spawn());
            task.step([&] {
                EXPECT_EQ(val(0), own.get());
                EXPECT_EQ(&shared, inherited.get());
                set(own, i + 1);
            });
        }
        EXPECT_EQ(val(0), own.get());
    });
    park();
    EXPECT_EQ(0, shared.held());
}

/* ---- Credits ---- */

std::uint64_t refs_of(const roti_map *map)
{
    return map->refs.load(std::memory_order_relaxed);
}

/* Capturing one root again and again does not touch its count. */
TEST_F(ScheduleTest, CreditsMakeCapturesFree)
{
    Var var;
    on_new_thread([&] {
        set(var, 1);
        roti_thread *self = roti_thread_self();
        const roti_map *root = self->top.root;
        EXPECT_EQ(1u, refs_of(root));
        roti_context_ref ref = roti_context_capture(nullptr);
        EXPECT_EQ(1u + ROTI_CREDIT_BATCH, refs_of(root));
        for (int i = 0; i < 10 * ROTI_CREDIT_BATCH; i++) {
            roti_context_ref other = roti_context_capture(nullptr);
            EXPECT_EQ(root, other.root);
            roti_context_ref_release(&other);
            EXPECT_EQ(1u + ROTI_CREDIT_BATCH, refs_of(root));
        }
        roti_context_ref_release(&ref);
        park();
        EXPECT_EQ(1u, refs_of(root));
    });
}

/* What is handed out and never comes back, and what comes from elsewhere, both stay bounded. */
TEST_F(ScheduleTest, CreditsAreBoundedBothWays)
{
    Var var;
    on_new_thread([&] {
        set(var, 1);
        roti_thread *self = roti_thread_self();
        const roti_map *root = self->top.root;
        std::vector<roti_context_ref> refs;
        for (int i = 0; i < 1000; i++) {
            refs.push_back(roti_context_capture(nullptr));
            EXPECT_GE(refs_of(root), refs.size() + 1);
            EXPECT_LE(refs_of(root), refs.size() + 1 + ROTI_CREDIT_BATCH);
        }
        while (!refs.empty()) {
            roti_context_ref_release(&refs.back());
            refs.pop_back();
            EXPECT_GE(refs_of(root), refs.size() + 1);
            EXPECT_LE(refs_of(root), refs.size() + 1 + ROTI_CREDIT_MAX);
        }
        park();
        EXPECT_EQ(1u, refs_of(root));
    });
}

/* A credited root is shared for others, and not for the thread whose credit it is. */
TEST_F(ScheduleTest, WritingGivesTheWritersCreditsBackFirst)
{
    Var var;
    on_new_thread([&] {
        set(var, 1);
        roti_thread *self = roti_thread_self();
        roti_map *root = self->top.root;
        roti_context_ref ref = roti_context_capture(nullptr);
        roti_context_ref_release(&ref);
        EXPECT_GT(refs_of(root), 1u);
        set(var, 2);
        EXPECT_EQ(root, self->top.root); /* in place */
        EXPECT_EQ(1u, refs_of(root));

        ref = roti_context_capture(nullptr);
        set(var, 3);
        EXPECT_NE(root, self->top.root); /* copied: somebody holds the old one */
        EXPECT_EQ(1u, refs_of(root));
        roti_context_slot saved;
        EXPECT_EQ(0, roti_context_enter(&ref, &loop_a, &saved));
        EXPECT_EQ(val(2), var.get());
        roti_context_exit(&ref, &saved);
        roti_context_ref_release(&ref);
    });
}

/* A loop keeps the root it dropped last as well; a thread that is no loop does not. */
TEST_F(ScheduleTest, OnlyLoopsKeepWhatTheyDropped)
{
    Counted value;
    Var var("counted", counted_opts());
    for (bool loop : {false, true}) {
        std::vector<roti_context_ref> refs;
        on_new_thread([&] {
            EXPECT_EQ(0, rota_context_var_set(var, &value, nullptr));
            for (int i = 0; i < 300; i++)
                refs.push_back(roti_context_capture(nullptr));
        });
        EXPECT_EQ(1, value.held());
        on_new_thread([&] {
            roti_thread *self = roti_thread_self();
            if (loop)
                self->worker = reinterpret_cast<roti_worker *>(&loop_a);
            for (roti_context_ref &ref : refs)
                roti_context_ref_release(&ref);
            EXPECT_EQ(loop ? 1 : 0, value.held());
            roti_context_park(self);
            EXPECT_EQ(0, value.held());
            self->worker = nullptr;
        });
    }
}

/* Another root takes the place of the one before, whose references go back. */
TEST_F(ScheduleTest, CreditsGoBackWhenTheRootChangesAndAtExit)
{
    Counted one, two;
    Var var("counted", counted_opts());
    on_new_thread([&] {
        {
            Context context;
            context.inside([&] {
                EXPECT_EQ(0, rota_context_var_set(var, &one, nullptr));
                Context copy = Context::copy_of_current();
            });
        }
        EXPECT_EQ(1, one.held()); /* by credit alone */
        Context context;
        context.inside([&] {
            EXPECT_EQ(0, rota_context_var_set(var, &two, nullptr));
            Context copy = Context::copy_of_current();
        });
        EXPECT_EQ(0, one.held());
        EXPECT_EQ(1, two.held());
    });
    EXPECT_EQ(0, two.held()); /* at the thread's exit */
}

} // namespace
