#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_objects.py - what the compiler made of the rules on thread-local state and on stacks.

    check_objects.py [--objdump <program>] [--readelf <program>] --library <file.a> [<program>...]

A task may go on on another thread, so that no code of the library but the accessor in
sched/base/thread.c may reach thread-local storage (H23, H24, H26). The canary of the stack
protector is the same in all threads and may be read. No object may ask for an executable stack.
"""

import argparse
import re
import subprocess
import sys

ACCESSOR = "thread.c.o"
WHOLE = "rota_whole.o"  # all of the library in one object, where it is known by its function
CANARY = re.compile(r"%fs:0x28\b")

# x86-64: a segment register; the general models' call. aarch64: the thread pointer, descriptors.
THREAD_LOCAL = re.compile(r"%[fg]s:|__tls_get_addr|tpidr_el0|tlsdesc|R_\w+_(TLS|GOTTPOFF|TPOFF)\w*")


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def thread_local_accesses(disassembly):
    """Yields (object, function, line) for each access outside the accessor's object."""
    member = function = ""
    for line in disassembly.splitlines():
        if match := re.match(r"(\S+):\s+file format", line):
            member = match.group(1)
        elif match := re.match(r"[0-9a-f]+ <(.+)>:", line):
            function = match.group(1)
        elif (member, function) == (WHOLE, "roti_thread_self"):
            continue
        elif member != ACCESSOR and THREAD_LOCAL.search(CANARY.sub("", line)):
            yield member, function, line.strip()


def has_executable_stack(headers):
    """Whether a program header of the stack has the flag E; `headers` is from readelf -lW."""
    return any(re.search(r"GNU_STACK.*\bRWE\b", line) for line in headers.splitlines())


def objects_without_stack_note(sections):
    """Yields each object whose sections (readelf -SW) lack the note, or mark it executable."""
    for part in re.split(r"^File: ", sections, flags=re.M)[1:]:
        note = re.search(r"\.note\.GNU-stack\s+PROGBITS\s+(?:[0-9a-f]+\s+){4}(\w*)", part)
        if note is None or "X" in note.group(1):
            yield part.split("\n", 1)[0]


def self_test():
    """Text as the tools print it, with one fault of each kind."""
    disassembly = ("thread.c.o:     file format elf64-x86-64\n0000 <roti_thread_self>:\n"
                   "  0:\tmov    %fs:0x0,%rax\n"
                   "rota_whole.o:     file format elf64-x86-64\n0000 <roti_thread_self>:\n"
                   "  0:\tmov    %fs:0x0,%rax\n0010 <worse>:\n  10:\tmov    %fs:0x0,%rax\n"
                   "worker.c.o:     file format elf64-x86-64\n0000 <good>:\n"
                   "  0:\tmov    %fs:0x28,%rax\n0010 <bad>:\n  10:\tmov    %fs:0x0,%rax\n"
                   "\t\t\t14: R_X86_64_TLSGD\tobject-0x4\n")
    found = list(thread_local_accesses(disassembly))
    assert [(item[0], item[1]) for item in found] == \
        [("rota_whole.o", "worse")] + [("worker.c.o", "bad")] * 2, found
    arm = "worker.c.o:     file format elf64-littleaarch64\n0 <bad>:\n 0:\tmrs\tx0, tpidr_el0\n"
    assert len(list(thread_local_accesses(arm))) == 1
    stack = "  GNU_STACK      0x000000 0x0000 0x0000 0x000000 0x000000 RW{} 0x10\n"
    assert has_executable_stack(stack.format("E")) and not has_executable_stack(stack.format(" "))
    note = "  [ 9] .note.GNU-stack   PROGBITS        0000000000000000 0000ae 000000 00 {} 0 0 1\n"
    sections = f"\nFile: a.a(good.o)\n{note.format('  ')}\nFile: a.a(bad.o)\n{note.format(' X')}" \
               "\nFile: a.a(none.o)\n"
    assert list(objects_without_stack_note(sections)) == ["a.a(bad.o)", "a.a(none.o)"]
    print("self-test passed")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--objdump", default="objdump")
    parser.add_argument("--readelf", default="readelf")
    parser.add_argument("--library", action="append", default=[])
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("executable", nargs="*")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    failures = 0
    objects = 0
    for library in arguments.library:
        disassembly = output_of(arguments.objdump, "-dr", "--no-show-raw-insn", library)
        objects += disassembly.count("file format")
        for member, function, line in thread_local_accesses(disassembly):
            failures += 1
            print(f"{library}({member}): {function} reaches thread-local storage: {line}")
        sections = output_of(arguments.readelf, "-SW", library)
        for member in objects_without_stack_note(sections):
            failures += 1
            print(f"{member}: asks for an executable stack")
    for executable in arguments.executable:
        if has_executable_stack(output_of(arguments.readelf, "-lW", executable)):
            failures += 1
            print(f"{executable}: its stack is executable")
    print(f"{objects} objects, {len(arguments.executable)} executables, {failures} failures")
    return 1 if failures or not objects else 0


if __name__ == "__main__":
    sys.exit(main())
