#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""instructions.py - instructions per operation, which no noise changes.

    instructions.py <rota-bench> [--n N] [--top COUNT] NAME...

Counts by callgrind a run of N operations and one of 2 N, for each side of each bench; the
difference, divided by N, is what one operation costs. With --top also the functions in which
rota's side spends most. Under callgrind one thread runs at a time, so that what threads do to each
other is not in the figures.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile


def count(program, name, side, operations):
    """Instructions of a whole run: in all, and by function."""
    with tempfile.TemporaryDirectory() as directory:
        output = os.path.join(directory, "out")
        subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", program, name,
             "--side", side, "--runs", "1", "--n", str(operations)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        text = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no", output],
                              check=True, capture_output=True, text=True).stdout
    functions = {}
    total = 0
    for line in text.splitlines():
        match = re.match(r"\s*([\d,]+) \([ \d.]+%\)\s+(?:\S*:)?(\S+)", line)
        if match and "PROGRAM" in line:
            total = int(match.group(1).replace(",", ""))
        elif match:
            function = match.group(2).split("'")[0]
            functions[function] = functions.get(function, 0) + int(match.group(1).replace(",", ""))
    return total, functions


def per_operation(program, name, side, operations):
    once, functions_once = count(program, name, side, operations)
    twice, functions_twice = count(program, name, side, 2 * operations)
    functions = {function: (amount - functions_once.get(function, 0)) / operations
                 for function, amount in functions_twice.items()}
    return (twice - once) / operations, functions


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("program")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--n", type=int, default=20000)
    parser.add_argument("--top", type=int, default=0)
    arguments = parser.parse_args()
    for name in arguments.names:
        ours, functions = per_operation(arguments.program, name, "rota", arguments.n)
        theirs, _ = per_operation(arguments.program, name, "baseline", arguments.n)
        print(f"{name:28} {ours:9.1f} instructions; baseline {theirs:9.1f}")
        top = sorted(functions.items(), key=lambda item: -item[1])[:arguments.top]
        for function, amount in top:
            print(f"    {amount:9.1f}  {function}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
