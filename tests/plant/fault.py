# SPDX-License-Identifier: MIT
"""fault.py - what describes a planted fault: see plant.py."""
import typing


class Fault(typing.NamedTuple):
    """One change of one file."""
    name: str
    hazards: str  # "H08 H10"; "" where it is no hazard of the list
    what: str
    file: str
    program: str  # "sim", or a program of the explorer without its model_
    test: str  # a scenario of the simulator; a test of the program, or "-" for all
    changes: list  # of pairs: a text that the file has once, and what stands there instead
