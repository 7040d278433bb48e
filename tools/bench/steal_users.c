/* SPDX-License-Identifier: MIT */
/*
 * steal_users.c - users in a closed loop, stalls that arrive, and what counts. The essay is in the
 * header.
 */
#include "tools/bench/steal_users.h"

#include <math.h>

#define SPREAD_NS (4 * ROTA_MS) /* within which all users send for the first time */

/* ---- Chance ---- */

/* From 0 to 1, never 0. */
static double draw(uint64_t *random)
{
    return (double)((bench_random(random) >> 11) + 1) * 0x1p-53;
}

static void draw_stall(struct steal_users *users)
{
    users->stall_ns += -log(draw(&users->stall_random)) / users->plan->stall_rate * 1e9;
}

static void think(struct steal_users *users, struct steal_user *user, int64_t now_ns)
{
    double time_ns = (double)users->plan->think_ns * (0.5 + draw(&users->random));
    user->due.when_ns = now_ns + (int64_t)time_ns;
    plain_heap_add(&users->thinking, &user->due);
}

void steal_users_start(struct steal_users *users, const struct steal_plan *plan,
                       struct steal_seen *seen, int64_t now_ns)
{
    users->plan = plan;
    users->seen = seen;
    users->begin_ns = now_ns + plan->warm_ns;
    users->end_ns = users->begin_ns + plan->window_ns;
    users->stall_ns = (double)now_ns;
    draw_stall(users);
    users->thinking.entries = users->entries;
    for (unsigned i = 0; i < STEAL_USERS; i++) {
        struct steal_user *user = &users->users[i];
        user->after = &user->first;
        user->due.arg = user;
        user->due.when_ns = now_ns + (int64_t)(draw(&users->random) * (double)SPREAD_NS);
        plain_heap_add(&users->thinking, &user->due);
    }
    for (unsigned i = 0; i < STEAL_WAITING_MAX; i++) {
        users->arrivals[i].next = users->unused;
        users->unused = &users->arrivals[i];
    }
}

/* ---- What counts ---- */

/* A message is over: it was answered by now, or never will be. */
static void count(struct steal_users *users, int64_t intended_ns, bool stalled, bool answered,
                  int64_t now_ns)
{
    struct steal_seen *seen = users->seen;
    int64_t took_ns = now_ns - intended_ns;
    if (intended_ns >= users->end_ns || now_ns < users->begin_ns)
        return;
    steal_times_add(&seen->all, took_ns);
    if (!stalled)
        steal_times_add(&seen->free, took_ns);
    seen->in_time += answered && took_ns <= STEAL_IN_TIME_NS;
    seen->unanswered += !answered;
    int64_t overdue_ns = intended_ns + STEAL_IN_TIME_NS;
    int64_t from_ns = overdue_ns > users->begin_ns ? overdue_ns : users->begin_ns;
    int64_t until_ns = now_ns < users->end_ns ? now_ns : users->end_ns;
    seen->overdue_ns += until_ns > from_ns ? until_ns - from_ns : 0;
    int64_t when_ns = intended_ns;
    do {
        steal_times_add(&seen->paced, now_ns - when_ns);
        when_ns += users->plan->think_ns;
    } while (users->plan->think_ns > 0 && when_ns < now_ns && when_ns < users->end_ns);
}

/* ---- Messages ---- */

static void intend(struct steal_user *user, int64_t when_ns, bool stalled)
{
    user->intended_ns = when_ns;
    user->out = true;
    user->stalled = stalled;
}

int64_t steal_users_next(const struct steal_users *users)
{
    int64_t stall_ns = users->stall_ns < 0x1p62 ? (int64_t)users->stall_ns : INT64_MAX;
    int64_t due_ns = users->thinking.count > 0 ? users->thinking.entries[0].when_ns : INT64_MAX;
    return stall_ns < due_ns ? stall_ns : due_ns;
}

/* The next stall has arrived. Returns the user if it is to send it at once. */
static struct steal_user *arrive(struct steal_users *users)
{
    int64_t when_ns = (int64_t)users->stall_ns;
    uint64_t victim = bench_random(&users->stall_random) % users->victim_count;
    struct steal_user *user = users->victims[victim];
    draw_stall(users);
    if (!user->out) {
        plain_heap_remove(&users->thinking, &user->due);
        intend(user, when_ns, true);
        return user;
    }
    struct steal_arrival *arrival = users->unused;
    if (arrival == NULL)
        return NULL; /* a minute's backlog at the highest load: one more shows nothing */
    users->unused = arrival->next;
    *arrival = (struct steal_arrival){.when_ns = when_ns};
    *user->after = arrival;
    user->after = &arrival->next;
    return NULL;
}

struct steal_user *steal_users_due(struct steal_users *users, int64_t now_ns)
{
    struct steal_user *user = NULL;
    while (user == NULL && users->victim_count > 0 && users->stall_ns <= (double)now_ns)
        user = arrive(users);
    if (user == NULL && users->thinking.count > 0 && users->thinking.entries[0].when_ns <= now_ns) {
        user = users->thinking.entries[0].timer->arg;
        plain_heap_remove(&users->thinking, &user->due);
        intend(user, user->due.when_ns, false);
    }
    return user;
}

static int64_t take_waiting(struct steal_users *users, struct steal_user *user)
{
    struct steal_arrival *arrival = user->first;
    user->first = arrival->next;
    if (user->first == NULL)
        user->after = &user->first;
    arrival->next = users->unused;
    users->unused = arrival;
    return arrival->when_ns;
}

bool steal_users_answered(struct steal_users *users, struct steal_user *user, int64_t now_ns)
{
    user->out = false;
    count(users, user->intended_ns, user->stalled, true, now_ns);
    if (now_ns >= users->begin_ns && now_ns < users->end_ns) {
        users->seen->answers++;
        users->seen->stalls += user->stalled;
    }
    if (now_ns >= users->end_ns)
        return false;
    if (user->first != NULL)
        intend(user, take_waiting(users, user), true);
    else if (users->plan->think_ns == 0)
        intend(user, now_ns, false);
    else
        think(users, user, now_ns);
    return user->out;
}

void steal_users_end(struct steal_users *users, int64_t now_ns)
{
    for (unsigned i = 0; i < STEAL_USERS; i++) {
        struct steal_user *user = &users->users[i];
        if (user->out)
            count(users, user->intended_ns, user->stalled, false, now_ns);
        while (user->first != NULL)
            count(users, take_waiting(users, user), true, false, now_ns);
    }
}
