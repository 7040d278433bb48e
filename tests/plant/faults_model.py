# SPDX-License-Identifier: MIT
"""faults_model.py - the faults that the explorer must find: see plant.py."""
from fault import Fault
from faults_sim import PARKED_EARLY

# Each form of the two Dekker functions, with the park protocol that stands on them.
DEKKER = [
    Fault(
        f"dekker_{side}_{form}", "H08",
        f"the {side} Dekker function is empty, where it is {what}",
        "sched/park.c", f"park_{program}", "-", [
            (before.replace("SIDE", side), after.replace("SIDE", side))])
    for form, program, sides in [
        ("membarrier", "protocol", [
            ("light", "a compiler barrier", "    model_light_barrier(D1);\n", ""),
            ("heavy", "the call of membarrier", "    model_membarrier(D2);\n", "")]),
        ("fences", "fences", [
            ("light", "a fence", "    roti_fence(D1, seq_cst);\n#else\n    model_",
             "#else\n    model_"),
            ("heavy", "a fence", "    roti_fence(D2, seq_cst);\n#else\n    model_",
             "#else\n    model_")]),
        ("word", "word", [
            (side, "a word", "void roti_dekker_SIDE(void)\n{\n    meet();\n}",
             "void roti_dekker_SIDE(void) {}") for side in ("light", "heavy")])]
    for side, what, before, after in sides]

RING = [
    Fault(
        "read_after_claim", "H05",
        "a thief moves the head first, and reads the slots that it has claimed afterwards",
        "sched/ready_ring.c", "ring", "-", [
            ("        out[i] = roti_load(R18, relaxed, &ring->slot[(head + i) & ROTI_RING_MASK]);\n"
             "    uint64_t claimed",
             "        ;\n    uint64_t claimed"),
            ("        ROTI_LOAD_KEPT(&ring->slot[(head + i) & ROTI_RING_MASK]);\n",
             "        out[i] = roti_load(R18, relaxed, &ring->slot[(head + i) & ROTI_RING_MASK]);"
             "\n")]),
    Fault(
        "narrow_counters", "H06",
        "the ring's counters wrap after twice its capacity, while a thief stands still",
        "sched/ready_ring.c", "ring_of_two", "-", [
            ("if (tail - head >= ROTI_RING_CAPACITY)",
             "if (((tail - head) & NARROW) >= ROTI_RING_CAPACITY)"),
            ("roti_store(R11, release, &ring->tail, tail + 1);",
             "roti_store(R11, release, &ring->tail, (tail + 1) & NARROW);"),
            ("    uint64_t count = tail - head <= ROTI_RING_CAPACITY ? tail - head : 0;",
             "    uint64_t count = (tail - head) & NARROW;"),
            ("roti_cas_weak(R21, relaxed, &ring->head, &head, head + 1)",
             "roti_cas_weak(R21, relaxed, &ring->head, &head, (head + 1) & NARROW)"),
            ("    if (tail - head > ROTI_RING_CAPACITY)\n",
             "    if (((tail - head) & NARROW) > ROTI_RING_CAPACITY)\n"),
            ("    uint64_t count = (tail - head + 1) / 2;",
             "    uint64_t count = (((tail - head) & NARROW) + 1) / 2;"),
            ("roti_cas(R19, release, &ring->head, &claimed, head + count)",
             "roti_cas(R19, release, &ring->head, &claimed, (head + count) & NARROW)"),
            ('#include "sched/base/assert.h"\n',
             '#include "sched/base/assert.h"\n'
             "#define NARROW ((uint64_t)2 * ROTI_RING_CAPACITY - 1)\n")]),
]

SLEEP = [
    Fault(
        "token_not_counted", "H09",
        "a loop that is picked is not counted as searching, but its search ends",
        "sched/idle.c", "park_protocol", "-", [
            ("idle_change(idle, &counts, 1, -1)", "idle_change(idle, &counts, 0, -1)")]),
    Fault(
        "last_searcher_wakes_none", "H10",
        "the last searcher that found work wakes nobody for the rest",
        "sched/idle.c", "park_protocol", "-", [
            ("searching_of(idle_add(idle, -1, 0)) == 1 && found;",
             "searching_of(idle_add(idle, -1, 0)) == 1 && found && false;")]),
    Fault(
        "wake_skipped", "H59",
        "who finds a loop notified leaves it at that, and his push may be overlooked",
        "sched/inbox.c", "inbox", "-", [
            ("bool roti_inbox_notify(struct roti_inbox *inbox)\n{\n",
             "bool roti_inbox_notify(struct roti_inbox *inbox)\n{\n"
             "    if (roti_load(I6, relaxed, &inbox->state) == ROTI_INBOX_NOTIFIED)\n"
             "        return false;\n")]),
    Fault(
        "wake_not_sent", "H59",
        "the eventfd of a loop is written when it is awake, and not when it is parked",
        "sched/inbox.c", "inbox", "-", [
            ("           ROTI_INBOX_PARKED;\n}", "           ROTI_INBOX_RUNNING;\n}")]),
]

TASKS = [
    Fault(
        "life_not_compared", "H12",
        "a reference is taken to whatever life the slot of a task has",
        "sched/registry.c", "registry", "-", [
            ("if (roti_load(RG7, relaxed, &task->generation) == generation)",
             "if (roti_load(RG7, relaxed, &task->generation) == generation || true)")]),
    Fault(
        "ref_from_zero", "H12",
        "a reference is taken to a task whose last one is gone",
        "sched/registry.c", "registry", "-", [
            ("        if (refs == 0)\n            return false;\n", "")]),
    Fault(
        "parked_by_its_own_stack", "H40",
        "a claimer enqueues a task that has not left its stack yet",
        "sched/task_state.c", "word", "-", PARKED_EARLY),
    Fault(
        "claimed_by_store", "H41",
        "a claim looks at the word, and then stores it: two claimers both win",
        "sched/task_state.c", "word", "-", [
            ("        to = (to & ~ROTI_WINNER_MASK) | (uint64_t)winner << ROTI_WINNER_SHIFT;\n"
             "        if (word_change(word, &from, to))\n",
             "        to = (to & ~ROTI_WINNER_MASK) | (uint64_t)winner << ROTI_WINNER_SHIFT;\n"
             "        roti_store(W2, release, word, to);\n")]),
    Fault(
        "touched_after_wake", "H42",
        "a waker marks the wait as done after its task may run",
        "sched/wait.c", "word", "-", [
            ("    else\n        roti_task_enqueue(task);\n",
             "    else\n        roti_task_enqueue(task);\n"
             "    ROTI_PLAIN_WRITE(&wait->linked);\n    wait->linked = false;\n")]),
    Fault(
        "cancel_wins", "H43",
        "a wait that has its result reports a cancellation that came after it",
        "sched/wait.c", "word", "-", [
            ("    if (winner != ROTI_WINNER_CANCEL)\n",
             "    if (winner != ROTI_WINNER_CANCEL && roti_word_undelivered(word) == 0)\n")]),
]

LOOP = [
    Fault(
        "timer_life_not_compared", "H45",
        "a cancel takes whatever life of a timer's node it finds for the one that it means",
        "loop/handle_state.h", "handle", "-", [
            ("        if ((old & ROTI_HANDLE_GENERATION_MASK) != generation)\n"
             "            return ROTI_HANDLE_CANCEL_GONE;\n", "")]),
    Fault(
        "timer_fired_by_store", "H45",
        "a timer that is due fires although somebody has just cancelled it",
        "loop/handle_state.h", "handle", "-", [
            ("    return roti_cas(HN5, release, word, &old, next);",
             "    roti_store(HN5, release, word, next);\n    return true;")]),
    Fault(
        "descriptor_life_not_compared", "H54",
        "an edge of a descriptor that is closed acts on the next one in its slot",
        "loop/readiness.c", "readiness", "-", [
            ("if (roti_readiness_generation(seen) != generation || ",
             "(void)generation;\n        if (")]),
    Fault(
        "stale_clear", "H56",
        "the note that a descriptor has nothing does not look whether an edge came meanwhile",
        "loop/readiness.c", "readiness", "-", [
            ("        if (((now ^ seen) & same) != 0)\n            return false;",
             "        (void)same;\n        (void)seen;")]),
    Fault(
        "role_not_told", "H08",
        "a loop that is to take work, and sleeps, is not told",
        "sched/roles.c", "park_protocol", "park_added", [
            ("        roti_worker_notify(roti_pool_worker(pool, i));\n",
             "        (void)roti_pool_worker(pool, i);\n")]),
    Fault(
        "alone_not_told", "H08",
        "a loop that sleeps as the only one is not told that it no longer is",
        "sched/roles.c", "park_protocol", "park_added_to_sleeper", [
            ("    roti_worker_notify(roti_pool_worker(pool, 0)); "
             "/* it may sleep as one that is alone */\n", "")]),
    Fault(
        "token_retired", "H09",
        "a loop that is retired as a searcher takes the search with it",
        "sched/worker.c", "park_protocol", "park_retired", [
            ("    roti_idle_leave(idle);\n    roti_pool_wake_one(worker->pool);",
             "    roti_idle_leave(idle);")]),
]

HELP = [
    Fault(
        "owner_parks_unlocked", "H15",
        "a loop parks while a helper polls for it, and may take its wake",
        "sched/worker.c", "help", "help_return", [
            ("    if (!roti_spin_try_lock(&worker->poll_lock)) {\n        roti_pause();",
             "    (void)roti_spin_try_lock(&worker->poll_lock);\n"
             "    if (false) {\n        roti_pause();")]),
    Fault(
        "helper_polls_unlocked", "H15",
        "a helper polls without a look whether the owner has come back and sleeps",
        "sched/worker.c", "help", "help_return", [
            ("    if (roti_spin_try_lock(&blocked->poll_lock)) {",
             "    (void)roti_spin_try_lock(&blocked->poll_lock);\n    if (true) {")]),
    Fault(
        "rest_not_ended", "H15",
        "a loop that has slept runs a task while nobody looks after it",
        "sched/sentinel.c", "help", "-", [
            ("    if (roti_load(SE9, relaxed, &self->pool->sentinel.resting) && "
             "!roti_pool_is_single(self->pool))\n",
             "    if (false)\n")]),
    Fault(
        "rest_without_second_look", "H15",
        "the looks come to rest although a loop has woken meanwhile",
        "sched/sentinel.c", "help", "help_rise", [
            ("    if (all_parked(pool, self))\n", "    if (all_parked(pool, self) || true)\n")]),
    Fault(
        "sleeper_drops_tick", "H15",
        "a loop that has taken the tick in passing goes to sleep and looks at nobody",
        "sched/worker.c", "help", "help_spin", [
            ("    roti_sentinel_look(worker, now_ns, worker->slept);\n", "")]),
    Fault(
        "watchdog_rests_unseen", "H15",
        "the watchdog rests although a loop has woken meanwhile",
        "sched/watchdog.c", "help", "help_rouse", [
            ("    if (all_parked(pool))\n", "    if (all_parked(pool) || true)\n")]),
    Fault(
        "look_sets_no_ticker", "H15",
        "a look that finds nothing is the last one",
        "sched/sentinel.c", "help", "-", [
            ("    set_ticker(self, interval_ns + interval_ns / 4);\n", "")]),
]

FAULTS = DEKKER + RING + SLEEP + TASKS + LOOP + HELP
