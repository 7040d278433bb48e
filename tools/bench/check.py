#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check.py - the smoke test of rota-bench: its list, its JSON, its answers to wrong use.

    check.py <rota-bench>

Every bench runs once with few operations; no figure is judged. Fails on the first fault.
"""

import json
import math
import subprocess
import sys

NAMES = {
    "task.switch", "task.yield", "task.roundtrip", "task.spawn_join", "task.spawn_batch",
    "task.parked", "task.create_cold", "task.idle", "task.yield_debug", "task.spawn_join_debug",
    "post.throughput", "post.burst", "post.roundtrip", "post.roundtrip_hot",
    "timer.create_cancel", "timer.create_cancel_same", "timer.create_cancel_random", "timer.fire",
    "loop.turn", "loop.poll", "loop.callback",
    "ctx.get", "ctx.set", "ctx.set_shared", "ctx.set_100k", "ctx.copy", "ctx.copy_100k",
    "aio.running_loop", "aio.sleep0", "steal.blocked",
    "steal.blocked_apart", "steal.healthy",
} | {
    f"steal.{load}.{think}ms"
    for load in ("spread_0", "spread_6", "spread_64", "spread_160",
                 "skewed_6", "skewed_64", "skewed_160")
    for think in (0, 1, 4)
}
MEMBERS = ["name", "unit", "rota", "baseline", "baseline_name", "ratio", "loops", "n", "extra"]
NUMBER_OR_NULL = (int, float, type(None))
OPERATIONS = 200


class Fault(Exception):
    """What is wrong, in one sentence."""


def expect(condition, what):
    if not condition:
        raise Fault(what)


def run(program, *arguments, status=0):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=200,
                          check=False)
    expect(done.returncode == status,
           f"{' '.join(arguments)}: status {done.returncode} and not {status}: {done.stderr}")
    return done.stdout, done.stderr


def check_record(line):
    record = json.loads(line)
    name = record.get("name")
    expect(list(record) == MEMBERS, f"{name}: members {list(record)}")
    for member in ("name", "unit", "baseline_name"):
        expect(isinstance(record[member], str), f"{name}: {member} is no string")
    for member in ("rota", "baseline", "ratio"):
        value = record[member]
        expect(isinstance(value, NUMBER_OR_NULL), f"{name}: {member} is no number")
        expect(value is None or math.isfinite(value), f"{name}: {member} is {value}")
    expect(record["loops"] >= 1 and record["n"] == OPERATIONS, f"{name}: loops or n is wrong")
    extra = record["extra"]
    for member in ("runs", "rota_min", "rota_max", "others_busy", "jemalloc"):
        expect(isinstance(extra.get(member), NUMBER_OR_NULL[:2]), f"{name}: extra.{member}")
    expect(extra["rota_min"] <= record["rota"] <= extra["rota_max"],
           f"{name}: the median is outside its spread")
    expect(0 <= extra["others_busy"] <= 1, f"{name}: extra.others_busy is no share")
    if name.startswith("steal.") and name != "steal.healthy":
        check_steal(record)
    return record


def check_bound(name, bound):
    """No more answers than 256 users can wait for who think, and some."""
    think = int(name[-3])
    most = 256_000 / think * 1.1 if think > 0 else math.inf
    expect(0 < bound < most, f"{name}: the bound is {bound}")


def check_steal(record):
    """Both servers served, stalls and all, and the bound was played."""
    name, extra = record["name"], record["extra"]
    for side in ("rota", "baseline"):
        expect(record[side] > 0, f"{name}: {side} answered nothing")
        expect(extra[f"{side}_p50_us"] <= extra[f"{side}_p99_us"] <= extra[f"{side}_p999_us"],
               f"{name}: {side}'s percentiles are in disorder")
        alone = record["loops"] == 1 or (name == "steal.blocked_apart" and side == "baseline")
        expect(0 < extra[f"{side}_home"] < 256 or alone,
               f"{name}: {side} has {extra[f'{side}_home']} users on one thread")
        stalls = extra[f"{side}_stalls"]
        if "_0." in name or name.startswith("steal.blocked"):
            expect(stalls == 0, f"{name}: {side} took stalls")
        else:
            expect(stalls + extra[f"{side}_unanswered"] > 0, f"{name}: {side} took no stall")
        if not name.startswith("steal.blocked"):
            check_bound(name, extra[f"{side}_bound"])


def check_list(program):
    names = {line.split()[0] for line in run(program, "--list")[0].splitlines()}
    expect(NAMES <= names, f"--list has no {sorted(NAMES - names)}")


def check_all(program):
    output, errors = run(program, "all", "--json", "--runs", "1", "--n", str(OPERATIONS))
    records = [check_record(line) for line in output.splitlines()]
    # A bench may be impossible on this machine; then it is said, and nothing else is missing.
    found = {record["name"] for record in records}
    for name in NAMES - found:
        expect(f"{name}: cannot be run" in errors, f"nothing about {name}")
    expect(any(record["ratio"] is not None for record in records), "no ratio at all")


def check_sides(program):
    few = ["ctx.get", "--json", "--runs", "3", "--n", str(OPERATIONS)]
    record = check_record(run(program, *few, "--aa")[0])
    expect(record["extra"]["runs"] == 3 and record["ratio"] > 0, "--aa gives no ratio")
    expect(record["extra"]["ratio_min"] <= record["extra"]["ratio_max"], "--aa has no spread")
    record = json.loads(run(program, *few, "--side", "rota")[0])
    expect(record["baseline"] is None and record["ratio"] is None, "--side runs both")
    text = run(program, *few[:1], *few[2:])[0]
    expect("others used" in text, "the text does not say what else ran")


def check_misuse(program):
    run(program, status=2)
    run(program, "ctx.get", "--runs", "0", status=2)
    run(program, "ctx.get", "--n", "-1", status=2)
    run(program, "ctx.get", "--side", "left", status=2)
    expect("no bench" in run(program, "ctx.nothing", status=1)[1], "an unknown name is accepted")


def main():
    program = sys.argv[1]
    try:
        check_list(program)
        check_misuse(program)
        check_sides(program)
        check_all(program)
    except Fault as fault:
        print(f"check: {fault}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
