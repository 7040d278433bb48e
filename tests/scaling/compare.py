#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""compare.py - the same loads in the model and on this machine, side by side.

    compare.py BUILD [NAME=NS...]

BUILD is the directory of a build; the rest are costs of this machine, for the model. The real
program is run five times for each load, by the kernel's real-time class where that is allowed, so
that other programs do not get between; the run with the least time is shown. Two loops, for which
there must be two CPUs.
"""

import json
import pathlib
import subprocess
import sys

LOADS = [
    {"load": "yields", "loops": 1, "requests": 500000},
    {"load": "spawns", "loops": 1, "requests": 100000},
    {"load": "burst", "loops": 1, "service_us": 10, "requests": 5000},
    {"load": "burst", "loops": 2, "service_us": 1, "requests": 5000},
    {"load": "burst", "loops": 2, "service_us": 10, "requests": 5000},
    {"load": "burst", "loops": 2, "service_us": 100, "requests": 2000},
    {"load": "sleepers", "loops": 2, "think_us": 800, "requests": 6400},
    {"load": "sleepers", "loops": 2, "think_us": 2000, "requests": 6400},
    {"load": "sleepers", "loops": 2, "think_us": 8000, "requests": 6400},
]
KEYS = ["mean_us", "p99_us", "steals_tried", "steals_won", "tasks_stolen", "wakes", "parks",
        "migrations"]
TIMES = 5


def play(command, load, costs=()):
    arguments = [f"{name}={value}" for name, value in load.items()]
    done = subprocess.run([*command, *arguments, *costs], capture_output=True, text=True,
                          check=True)
    return json.loads(done.stdout)


def real_time():
    """How to run without others in between, or nothing."""
    command = ["chrt", "-f", "10"]
    try:
        allowed = subprocess.run([*command, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return []
    return command if allowed.returncode == 0 else []


def cells(real, model):
    """Each figure of both, the model's behind."""
    if real["load"] in ("yields", "spawns"):
        yield f"{real['overhead_ns']:.0f} / {model['overhead_ns']:.0f} ns"
        yield from ["-"] * (len(KEYS) - 1)
        return
    for key in KEYS:
        yield f"{real[key]:.3g} / {model[key]:.3g}"


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1]) / "tests/scaling"
    before = real_time()
    print("| load | " + " | ".join(KEYS) + " |")
    print("|---" * (len(KEYS) + 1) + "|")
    for load in LOADS:
        runs = [play([*before, folder / "scaling-native"], load) for _ in range(TIMES)]
        real = min(runs, key=lambda run: (run["mean_us"], run["overhead_ns"]))
        model = play([folder / "scaling"], load, sys.argv[2:])
        name = ", ".join(f"{value}" if key == "load" else f"{key} {value}"
                         for key, value in load.items() if key != "requests")
        print(f"| {name} | " + " | ".join(cells(real, model)) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
