#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""plant.py - copies of source files with faults in them, which tests must find.

Usage: plant.py --list | plant.py FAULT ROOT OUTPUT

Explorer and simulator that find nothing prove nothing: each fault must be found by the program that
it is planted for. Faults are changes of the text, so that the product itself knows nothing of them;
a text that is not there any more fails the build, and is to be adapted. What they are stands in
faults_model.py and faults_sim.py; most are a hazard of their kind, whose number they have.
"""
import os
import sys

import faults_model
import faults_sim

FAULTS = {fault.name: fault for fault in faults_model.FAULTS + faults_sim.FAULTS}


def plant(fault, root, output):
    with open(os.path.join(root, fault.file), encoding="utf-8") as file:
        text = file.read()
    for before, after in fault.changes:
        if text.count(before) != 1:
            sys.exit(f"plant.py: {fault.name}: {fault.file} has {text.count(before)} places like:\n"
                     f"{before}")
        text = text.replace(before, after)
    os.makedirs(os.path.dirname(output), exist_ok=True)
    with open(output, "w", encoding="utf-8") as file:
        file.write(text)


def main(arguments):
    if arguments == ["--list"]:
        for fault in FAULTS.values():
            print(fault.name, fault.file, fault.program, fault.test)
    elif len(arguments) == 3 and arguments[0] in FAULTS:
        plant(FAULTS[arguments[0]], *arguments[1:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
