#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""check_plot.py - the test of plot.py: its verdicts and its pictures, of figures that are made up.

    check_plot.py <plot.py>

Fails on the first fault; 77 where matplotlib is missing and the rest is right.
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile

MISSING = 77
SIZE_MAX = 100_000
WIDTH_MIN = 900
NAMES = [f"steal.{pattern}_{load}.{think}ms" for pattern in ("spread", "skewed")
         for load in ("0", "6", "64", "160") for think in (0, 1, 4)
         if (pattern, load) != ("skewed", "0")]
TIMES = ("p50_us", "p99_us", "p999_us")


class Fault(Exception):
    """What is wrong, in one sentence."""


def expect(condition, what):
    if not condition:
        raise Fault(what)


def record_of(name, rota, p999_us, in_time):
    """Rota's figures beside a reference of 1,000 answers, all in time, and a bound of 1,000."""
    extra = {"rota_in_time": in_time, "baseline_in_time": 1000, "baseline_bound": 1000,
             "baseline_bound_in_time": 1000, "baseline_parted_in_time": 0}
    for key in TIMES:
        extra |= {f"rota_{key}": p999_us, f"baseline_{key}": 1000, f"baseline_bound_{key}": 0,
                  f"baseline_parted_{key}": 1000}
    return {"name": name, "rota": rota, "baseline": 1000, "ratio": rota / 1000, "extra": extra}


def run(program, prefix, text, status):
    done = subprocess.run([program, *prefix], input=text, capture_output=True, text=True,
                          timeout=100, check=False)
    expect(done.returncode in status, f"status {done.returncode}, not {status}: {done.stderr}")
    return done


def verdicts(program, prefix, rota, p999_us, in_time):
    """By name of the bench, what stands under "met"."""
    text = "".join(json.dumps(record_of(name, rota, p999_us, in_time)) + "\n" for name in NAMES)
    done = run(program, [prefix], text, (0, MISSING))
    rows = done.stdout.splitlines()[2:]
    expect(len(rows) == len(NAMES), f"{len(rows)} rows of {len(NAMES)} figures")
    found = {name: row.rstrip(" |").rpartition("| ")[2] for name, row in zip(NAMES, rows)}
    return done.returncode, found


def check_verdicts(program, prefix):
    _, met = verdicts(program, prefix, 1000, 200, 1500)
    expect(set(met.values()) == {"yes"}, f"all is met, but: {met}")
    _, met = verdicts(program, prefix, 940, 700, 1499)
    expect(met["steal.spread_6.1ms"] == "**no**: throughput", f"throughput is missed: {met}")
    expect(met["steal.skewed_64.4ms"] == "**no**: in time, p99.9", f"both are missed: {met}")
    expect(met["steal.skewed_6.0ms"] == "yes", f"the bound alone is aimed at: {met}")
    status, met = verdicts(program, prefix, 899, 760, 1500)
    expect(met["steal.spread_0.0ms"] == "**no**: bound, throughput", f"too slow: {met}")
    expect(met["steal.spread_160.4ms"] == "**no**: bound, throughput, p99.9", f"too late: {met}")
    return status


def check_picture(path):
    data = pathlib.Path(path).read_bytes()
    expect(data[:8] == b"\x89PNG\r\n\x1a\n", f"{path} is no PNG")
    expect(len(data) <= SIZE_MAX, f"{path} has {len(data)} bytes")
    width, height = struct.unpack(">II", data[16:24])
    expect(width >= WIDTH_MIN <= 2 * height, f"{path} is {width} x {height}")


def main():
    program = sys.argv[1]
    try:
        with tempfile.TemporaryDirectory() as folder:
            prefix = f"{folder}/steal"
            run(program, [], "", (2,))
            run(program, [prefix], '{"name":"task.yield"}\n', (1,))
            status = check_verdicts(program, prefix)
            lines = pathlib.Path(f"{prefix}.jsonl").read_text(encoding="utf-8").splitlines()
            expect(len(lines) == len(NAMES), "the figures are not kept")
            if status == 0:
                check_picture(f"{prefix}-latency.png")
                check_picture(f"{prefix}-answers.png")
    except Fault as fault:
        print(f"check_plot: {fault}")
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
