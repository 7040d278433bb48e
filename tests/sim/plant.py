#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""plant.py - a copy of a source file with a scheduler's classic fault in it.

Usage: plant.py --list | plant.py FAULT ROOT OUTPUT

A simulator that finds nothing proves nothing: each of these faults must be found. They are changes
of the text, so that the product itself knows nothing of them; a text that is not there any more
fails the build, and is to be adapted.
"""
import os
import sys

# name: what it does, the file, the scenario that finds it, and pairs of text.
FAULTS = {
    "parked_early": (
        "a task that is still being parked is put into a queue, and may be resumed elsewhere",
        "sched/task_state.c", "cancel", [
            ("with_state(from, state == ROTI_PARKING ? ROTI_CLAIMED : ROTI_QUEUED);",
             "with_state(from, ROTI_QUEUED);"),
            ("return state == ROTI_PARKING ? ROTI_NEXT_RELEASE : ROTI_NEXT_ENQUEUE;",
             "return ROTI_NEXT_ENQUEUE;"),
            ("state == ROTI_PARKING || state == ROTI_CLAIMED || state == ROTI_NOTIFIED);",
             "true);")]),
    "enqueued_twice": (
        "the parker and the claimer of a task both put it into a queue",
        "sched/task_state.c", "futures", [
            ("return state == ROTI_NOTIFIED ? ROTI_NEXT_ENQUEUE : ROTI_NEXT_NOTHING;",
             "return state != ROTI_PARKING ? ROTI_NEXT_ENQUEUE : ROTI_NEXT_NOTHING;")]),
    "cancel_missed": (
        "a cancellation that comes while the task is being parked only leaves its mark",
        "sched/task_state.c", "cancel", [
            ("bool waits = state == ROTI_PARKING || state == ROTI_WAITING;\n"
             "    if (waits && (from & ROTI_ABSORBS) == 0)",
             "bool waits = state == ROTI_WAITING;\n"
             "    if (waits && (from & ROTI_ABSORBS) == 0)")]),
    "steal_looks_then_takes": (
        "a thief looks at the head, and then moves it without looking again",
        "sched/ready_ring.c", "hold", [
            ("if (!roti_cas(R19, release, &ring->head, &claimed, head + count))\n"
             "        return ROTI_STEAL_LOST;",
             "(void)claimed;\n"
             "    roti_store(R19, release, &ring->head, head + count);")]),
    "park_drops_wake": (
        "a loop parks although it was notified since its last look",
        "sched/inbox.c", "tree", [
            ("    ROTI_ASSERT(running == ROTI_INBOX_NOTIFIED);\n"
             "    roti_inbox_unpark(inbox);\n"
             "    return false;",
             "    roti_store(I10, release, &inbox->state, (uint32_t)ROTI_INBOX_PARKED);\n"
             "    return true;")]),
    "no_second_look": (
        "a loop goes to sleep without a look at the others after it has said so",
        "sched/worker.c", "hold", [
            ("bool work = shared && any_work(worker);",
             "bool work = shared && has_own_work(worker);")]),
    "wake_eaten": (
        "a loop that was picked goes on as if it had woken by itself, and its search is never over",
        "sched/worker.c", "tree", [
            ("if (pool->worker_count > 1 && roti_idle_wake(&pool->idle, worker->index))\n"
             "        worker->searching = true; /* on the waker's account */",
             "if (pool->worker_count > 1)\n"
             "        (void)roti_idle_wake(&pool->idle, worker->index);")]),
    "nobody_told": (
        "what a poll has made ready is told to nobody",
        "sched/worker.c", "together", [
            ("if (count > 0 && !worker->unannounced)", "if (false)")]),
    "timer_outlives_sleep": (
        "a sleep that is cancelled does not wait until its timer has fired or never will",
        "loop/timer.c", "timers", [
            ("    roti_spin_lock(&timers->lock);\n"
             "    bool removed = roti_wheel_remove(&timers->wheel, &timer->node);\n"
             "    roti_spin_unlock(&timers->lock);",
             "    bool removed = timer->node.place != ROTI_WHEEL_OUT &&\n"
             "                   roti_wheel_remove(&timers->wheel, &timer->node);")]),
    "oversleeps": (
        "a loop's poll takes ten seconds more than its next timer allows",
        "loop/loop.c", "timers", [
            ("return until_ns > now_ns ? until_ns - now_ns : 0;",
             "return until_ns > now_ns ? until_ns - now_ns + INT64_C(10000000000) : 0;")]),
    "edge_erased": (
        "the note that a descriptor has nothing erases an edge that came meanwhile",
        "loop/readiness.c", "echo", [
            ("        if (((now ^ seen) & same) != 0)\n            return false;",
             "        (void)same;\n        (void)seen;")]),
    "end_missed": (
        "a task that ends between the look at it and the wait for it is waited for for ever",
        "sched/join.c", "cancel", [
            ("    roti_spin_lock(&task->lock);\n"
             "    if (rota_task_done(task)) {\n"
             "        roti_spin_unlock(&task->lock);\n"
             "        return 0;\n"
             "    }\n",
             "    roti_spin_lock(&task->lock);\n")]),
    "posts_reversed": (
        "what was posted runs newest first",
        "sched/inbox.c", "posts", [
            ("        newest->next = oldest;\n        oldest = newest;\n        newest = next;\n"
             "        count++;\n    }\n    taken.head = oldest;",
             "        taken.tail = &newest->next;\n        newest = next;\n"
             "        count++;\n    }\n    taken.head = first;"),
            ("    struct roti_link *oldest = NULL;", "    struct roti_link *first = newest;")]),
}


def plant(name, root, output):
    _, path, _, changes = FAULTS[name]
    with open(os.path.join(root, path), encoding="utf-8") as file:
        text = file.read()
    for before, after in changes:
        if text.count(before) != 1:
            sys.exit(f"plant.py: {name}: {path} has {text.count(before)} places like:\n{before}")
        text = text.replace(before, after)
    with open(output, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        for name, (_, path, scenario, _) in FAULTS.items():
            print(f"{name} {path} {scenario}")
    elif len(sys.argv) == 4 and sys.argv[1] in FAULTS:
        plant(*sys.argv[1:])
    else:
        sys.exit(__doc__)
