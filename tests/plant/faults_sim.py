# SPDX-License-Identifier: MIT
"""faults_sim.py - the faults that the simulator must find: see plant.py."""
from fault import Fault

# The word says QUEUED while the task is still on its stack. The explorer has it, too.
PARKED_EARLY = [
    ("with_state(from, state == ROTI_PARKING ? ROTI_CLAIMED : ROTI_ACTIVE);",
     "with_state(from, ROTI_ACTIVE);"),
    ("return state == ROTI_PARKING ? ROTI_NEXT_RELEASE : ROTI_NEXT_ENQUEUE;",
     "return ROTI_NEXT_ENQUEUE;"),
    ("state == ROTI_PARKING || state == ROTI_CLAIMED || state == ROTI_NOTIFIED);",
     "true);")]

FAULTS = [
    Fault(
        "parked_early", "H40",
        "a task that is still being parked is put into a queue, and may be resumed elsewhere",
        "sched/task_state.c", "sim", "futures", PARKED_EARLY),
    Fault(
        "enqueued_twice", "H41",
        "the parker and the claimer of a task both put it into a queue",
        "sched/task_state.c", "sim", "futures", [
            ("return state == ROTI_NOTIFIED ? ROTI_NEXT_ENQUEUE : ROTI_NEXT_NOTHING;",
             "return state != ROTI_PARKING ? ROTI_NEXT_ENQUEUE : ROTI_NEXT_NOTHING;")]),
    Fault(
        "cancel_missed", "H43",
        "a cancellation that comes while the task is being parked only leaves its mark",
        "sched/task_state.c", "sim", "cancel", [
            ("bool waits = state == ROTI_PARKING || state == ROTI_WAITING;\n"
             "    if (waits && (from & ROTI_ABSORBS) == 0)",
             "bool waits = state == ROTI_WAITING;\n"
             "    if (waits && (from & ROTI_ABSORBS) == 0)")]),
    Fault(
        "steal_looks_then_takes", "H05",
        "a thief looks at the head, and then moves it without looking again",
        "sched/ready_ring.c", "sim", "hold", [
            ("if (!roti_cas(R19, release, &ring->head, &claimed, head + count))\n"
             "        return ROTI_STEAL_LOST;",
             "(void)claimed;\n"
             "    roti_store(R19, release, &ring->head, head + count);")]),
    Fault(
        "park_drops_wake", "H09",
        "a loop parks although it was notified since its last look",
        "sched/inbox.c", "sim", "tree", [
            ("    ROTI_ASSERT(running == ROTI_INBOX_NOTIFIED);\n"
             "    roti_inbox_unpark(inbox);\n"
             "    return false;",
             "    roti_store(I10, release, &inbox->state, (uint32_t)ROTI_INBOX_PARKED);\n"
             "    return true;")]),
    Fault(
        "no_second_look", "H10",
        "a loop goes to sleep without a look at the others after it has said so",
        "sched/worker.c", "sim", "hold", [
            ("bool work = shared && any_work(worker);",
             "bool work = shared && roti_worker_has_work(worker);")]),
    Fault(
        "wake_eaten", "H09",
        "a loop that was picked goes on as if it had woken by itself, and its search is never over",
        "sched/worker.c", "sim", "tree", [
            ("if (worker->announced && roti_idle_wake(&worker->pool->idle, worker->index))\n"
             "        worker->searching = true; /* on the waker's account */",
             "if (worker->announced)\n"
             "        (void)roti_idle_wake(&worker->pool->idle, worker->index);")]),
    Fault(
        "nobody_told", "H10",
        "what a poll has made ready is told to nobody",
        "sched/worker.c", "sim", "together", [
            ("if (count > 0 && !worker->unannounced)",
             "if (false)")]),
    Fault(
        "timer_outlives_sleep", "H45",
        "a sleep that is cancelled does not wait until its timer has fired or never will",
        "loop/timer.c", "sim", "timers", [
            ("    roti_spin_lock(&timers->lock);\n"
             "    ROTI_PLAIN_WRITE(&timers->wheel);\n"
             "    bool removed = roti_wheel_remove(&timers->wheel, &timer->node);\n"
             "    roti_spin_unlock(&timers->lock);",
             "    bool removed = timer->node.place != ROTI_WHEEL_OUT &&\n"
             "                   roti_wheel_remove(&timers->wheel, &timer->node);")]),
    Fault(
        "oversleeps", "",
        "a loop's poll takes a quarter of an hour more than its next timer allows",
        "loop/loop.c", "sim", "timers", [
            ("return until_ns > now_ns ? until_ns - now_ns : 0;",
             "return until_ns > now_ns ? until_ns - now_ns + INT64_C(1000000000000) : 0;")]),
    Fault(
        "edge_erased", "H56",
        "the note that a descriptor has nothing erases an edge that came meanwhile",
        "loop/readiness.c", "sim", "echo", [
            ("        if (((now ^ seen) & same) != 0)\n"
             "            return false;",
             "        (void)same;\n"
             "        (void)seen;")]),
    Fault(
        "short_read_ends", "H56",
        "a short read is taken to have drained a socket whose end came together with the data",
        "loop/io_ready.c", "sim", "echo", [
            ("return result > 0 && (size_t)result < asked && roti_readiness_short_drains(seen);",
             "return result > 0 && (size_t)result < asked && (seen & ROTI_READY_DRAINS) != 0;")]),
    Fault(
        "end_missed", "",
        "a task that ends between the look at it and the wait for it is waited for for ever",
        "sched/join.c", "sim", "cancel", [
            ("    roti_spin_lock(&task->lock);\n"
             "    if (rota_task_done(task)) {\n"
             "        roti_spin_unlock(&task->lock);\n"
             "        return 0;\n"
             "    }\n",
             "    roti_spin_lock(&task->lock);\n")]),
    Fault(
        "posts_reversed", "",
        "what was posted runs newest first",
        "sched/inbox.c", "sim", "posts", [
            ("        newest->next = oldest;\n"
             "        oldest = newest;\n"
             "        newest = next;\n"
             "        count++;\n"
             "    }\n"
             "    taken.head = oldest;",
             "        taken.tail = &newest->next;\n"
             "        newest = next;\n"
             "        count++;\n"
             "    }\n"
             "    taken.head = first;"),
            ("    struct roti_link *oldest = NULL;",
             "    struct roti_link *first = newest;")]),
    Fault(
        "blocked_only_robbed", "H15",
        "a blocked loop's ready tasks are taken, and its poller is left alone",
        "sched/worker.c", "sim", "blocked", [
            ("    if (roti_spin_try_lock(&blocked->poll_lock)) {", "    if (false) {")]),
    Fault(
        "timers_not_helped", "H15",
        "a blocked loop's poller is looked after, and its timers are not",
        "loop/loop.c", "sim", "blocked", [
            ("    if (roti_timers_next(&loop->timers) <= now_ns)\n", "    if (false)\n")]),
]
