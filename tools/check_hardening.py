#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_hardening.py - that what was built has the defences that the build asks for.

    check_hardening.py [--readelf <program>] [--library <file.a>] [--shared <file.so>] [program...]

Objects: compiled with stack protection and branch tracking (H35), none without the mark that says
so (x86-64: IBT; aarch64: BTI), and the C library's checked functions are called. Linked files: no
executable stack (H36), no segment that is written and executed, relocations read-only and bound at
the start, none in the code, no search path of their own; programs are position-independent; the
shared library can be loaded late.

What a linked x86-64 file says of branch tracking is printed, and not checked: the linker keeps the
mark only if the C library's start files have it, and Debian's crti.o has none. Shadow stacks are
not claimed, because fibers do not switch them.
"""

import argparse
import re
import subprocess
import sys

# What gcc writes into each object about how it was compiled.
FLAGS = ["-fstack-protector-strong", "-fstack-clash-protection"]
MACHINES = {
    "X86-64": {"flag": "-fcf-protection=full", "mark": "IBT"},
    "AArch64": {"flag": "-mbranch-protection=standard", "mark": "BTI"},
}
UNKNOWN = {"flag": "", "mark": ""}


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def machine_of(headers):
    found = re.search(r"Machine:\s+(.*)", headers).group(1)
    return next((rules for name, rules in MACHINES.items() if name in found), UNKNOWN)


def members(text):
    """(name, text) of each object in what readelf prints about an archive."""
    for part in re.split(r"^File: ", text, flags=re.M)[1:]:
        name, _, rest = part.partition("\n")
        yield name, rest


def object_faults(headers, notes, producers):
    """What is wrong with the objects of an archive, by readelf -h, -nW and --debug-dump=info."""
    rules = machine_of(headers)
    marks = dict(members(notes))
    for name, _ in members(headers):
        feature = re.search(r"feature: (.*)", marks.get(name, ""))
        if feature is None or rules["mark"] not in feature.group(1):
            yield f"{name}: not marked {rules['mark']}"
        elif name.endswith(".S.o)") and "SHSTK" in feature.group(1):
            yield f"{name}: claims shadow stacks, which fibers do not switch"
    for line in producers:
        for flag in [*FLAGS, rules["flag"]]:
            if "GNU C" in line and flag not in line.split():
                yield f"an object was compiled without {flag}: {line}"


def symbol_faults(undefined):
    """What is wrong with the names that a file wants from others."""
    if not any(name.endswith("_chk") for name in undefined):
        yield "calls no checked function of the C library (_FORTIFY_SOURCE)"
    if "__stack_chk_fail" not in undefined:
        yield "has no protected stack frame"


def linked_faults(text, is_library):
    """What is wrong with a linked file, by readelf -hldW."""
    segments = re.findall(r"^ +(\w+) +0x\S+ 0x\S+ 0x\S+ 0x\S+ 0x\S+ ([RWE ]{3})", text, re.M)
    if not any(kind == "GNU_STACK" and "E" not in flags for kind, flags in segments):
        yield "its stack is executable"
    if any(kind == "LOAD" and "W" in flags and "E" in flags for kind, flags in segments):
        yield "a segment is both written and executed"
    if not any(kind == "GNU_RELRO" for kind, _ in segments):
        yield "its relocations stay writable (no RELRO)"
    if not re.search(r"\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*\bNOW\b|\(BIND_NOW\)", text):
        yield "its symbols are bound lazily (no BIND_NOW)"
    if re.search(r"\(TEXTREL\)|\(FLAGS\).*TEXTREL", text):
        yield "it has relocations in its code"
    if re.search(r"\((RPATH|RUNPATH)\)", text):
        yield "it has a search path of its own"
    if not re.search(r"Type:\s+DYN", text) or not (is_library or
                                                   re.search(r"\(FLAGS_1\).*\bPIE\b", text)):
        yield "it is not position-independent"
    if is_library and re.search(r"\(FLAGS\).*STATIC_TLS", text):
        yield "its thread-local storage needs room in the static block"


# ---- The tools ----------------------------------------------------------------------------------


def undefined_symbols(readelf, file, *options):
    table = output_of(readelf, "-sW", *options, file)
    return {name.split("@")[0] for name in re.findall(r"\bUND\s+(\S+)", table)}


def check_archive(readelf, file):
    producers = re.findall(r"DW_AT_producer\s*:(?: \(.*\):)? (.*)",
                           output_of(readelf, "--debug-dump=info", file))
    if not any("GNU C" in line for line in producers):
        print(f"{file}: how it was compiled is not known: no gcc, or no debug information")
    yield from object_faults(output_of(readelf, "-hW", file), output_of(readelf, "-nW", file),
                             producers)
    yield from symbol_faults(undefined_symbols(readelf, file))


def check_linked(readelf, file, is_library):
    yield from linked_faults(output_of(readelf, "-hldW", file), is_library)
    yield from symbol_faults(undefined_symbols(readelf, file, "--dyn-syms"))
    feature = re.search(r"feature: (.*)", output_of(readelf, "-nW", file))
    print(f"{file}: marked {feature.group(1) if feature else 'with no feature'}")


# ---- Self-test ----------------------------------------------------------------------------------

HEADER = "  Machine:                           Advanced Micro Devices X86-64\n"
LINKED = """  Type:                              DYN (Position-Independent Executable file)
  LOAD           0x001000 0x0000000000001000 0x0000000000001000 0x0001d5 0x0001d5 R E 0x1000
  GNU_STACK      0x000000 0x0000000000000000 0x0000000000000000 0x000000 0x000000 RW  0x10
  GNU_RELRO      0x002db8 0x0000000000003db8 0x0000000000003db8 0x000248 0x000248 R   0x1
 0x000000000000001e (FLAGS)              BIND_NOW
 0x000000006ffffffb (FLAGS_1)            Flags: NOW PIE
"""
LINKED_FAULTS = [  # (what is there, what stands in its place, what must be said)
    ("RW  0x10", "RWE 0x10", "executable"),
    ("R E 0x1000", "RWE 0x1000", "both written"),
    ("GNU_RELRO", "NOTE", "RELRO"),
    (" BIND_NOW\n 0x000000006ffffffb (FLAGS_1)            Flags: NOW", "\n (FLAGS_1)  Flags:",
     "BIND_NOW"),
    ("BIND_NOW\n", "BIND_NOW TEXTREL\n", "in its code"),
    ("(FLAGS) ", "(RUNPATH)  Library runpath: [/x]\n (FLAGS) ", "search path"),
    ("NOW PIE", "NOW", "position-independent"),
    ("DYN", "EXEC", "position-independent"),
]


def self_test():
    """Text as readelf prints it, with one fault of each kind."""
    assert not list(linked_faults(LINKED, False))
    for good, bad, words in LINKED_FAULTS:
        assert good in LINKED
        found = list(linked_faults(LINKED.replace(good, bad), False))
        assert len(found) == 1 and words in found[0], (bad, found)
    assert len(list(linked_faults(LINKED.replace("BIND_NOW", "BIND_NOW STATIC_TLS"), True))) == 1

    headers = f"\nFile: a.a(x.c.o)\n{HEADER}\nFile: a.a(y.S.o)\n{HEADER}"
    notes = "\nFile: a.a(x.c.o)\n      Properties: x86 feature: {}\n" \
            "\nFile: a.a(y.S.o)\n      Properties: x86 feature: {}\n"
    producer = " ".join(["GNU C17 12 -g", *FLAGS, MACHINES["X86-64"]["flag"]])
    good = notes.format("IBT, SHSTK", "IBT")
    assert not list(object_faults(headers, good, [producer]))
    for bad in (notes.format("SHSTK", "IBT"), notes.format("IBT", "IBT, SHSTK"),
                good.split("\nFile: a.a(y")[0]):
        assert len(list(object_faults(headers, bad, [producer]))) == 1, bad
    for flag in producer.split()[4:]:
        assert len(list(object_faults(headers, good, [producer.replace(flag, "")]))) == 1, flag
    assert len(list(symbol_faults({"printf"}))) == 2
    assert not list(symbol_faults({"__printf_chk", "__stack_chk_fail"}))
    print("self-test passed")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--readelf", default="readelf")
    parser.add_argument("--library", action="append", default=[])
    parser.add_argument("--shared", action="append", default=[])
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("program", nargs="*")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    failures = files = 0
    for check, group in ((check_archive, arguments.library),
                         (lambda readelf, file: check_linked(readelf, file, True),
                          arguments.shared),
                         (lambda readelf, file: check_linked(readelf, file, False),
                          arguments.program)):
        for file in group:
            files += 1
            for fault in check(arguments.readelf, file):
                failures += 1
                print(f"{file}: {fault}")
    print(f"{files} files, {failures} failures")
    return 1 if failures or not files else 0


if __name__ == "__main__":
    sys.exit(main())
