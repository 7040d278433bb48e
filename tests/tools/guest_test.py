#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""guest_test.py - rota inside another project's build, by the very lines that README.md gives.

Usage: guest_test.py ROOT GENERATOR CC [unittest arguments]. Exits with 77, which ctest takes for
"skipped", where the echo's port is in use by somebody else.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = GENERATOR = COMPILER = None
PATIENCE = 400 * float(os.environ.get("ROTA_TEST_TIMEOUT_SCALE", "1"))

# What the parent has after rota was added to it.
REPORT = """
foreach(name BUILD_TESTING CMAKE_BUILD_TYPE CMAKE_C_FLAGS CMAKE_CXX_COMPILER CMAKE_C_STANDARD)
  file(APPEND ${CMAKE_BINARY_DIR}/report "${name}=${${name}}\\n")
endforeach()
"""


def readme_block(language, word=""):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    return next(block for block in blocks if word in block)


def run(command, directory, **environment):
    result = subprocess.run(command, cwd=directory, env={**os.environ, **environment},
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False)
    if result.returncode != 0:
        raise AssertionError(f"{command} ended with {result.returncode}:\n{result.stdout}")
    return result.stdout


class Parent:
    """A project of README's lines, with a program in C, as a context. Configured, not yet built."""

    def __init__(self, *options, before="", after=""):
        self.options = options
        self.lists = readme_block("cmake", "add_subdirectory").replace(
            "add_subdirectory(rota)", f"{before}\nadd_subdirectory(rota)\n{after}\n") + REPORT

    def __enter__(self):
        self.place = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.place.name)
        (self.path / "rota").symlink_to(ROOT)
        (self.path / "CMakeLists.txt").write_text(self.lists, encoding="utf-8")
        (self.path / "service.c").write_text(readme_block("c"), encoding="utf-8")
        # There is no C++ compiler.
        run(["cmake", "-S", ".", "-B", "build", "-G", GENERATOR, f"-DCMAKE_C_COMPILER={COMPILER}",
             "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *self.options], self.path, CXX="no-c++-compiler",
            CFLAGS="")
        return self

    def __exit__(self, *error):
        self.place.cleanup()

    def report(self):
        lines = (self.path / "build/report").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def cached(self):
        text = (self.path / "build/CMakeCache.txt").read_text(encoding="utf-8")
        return dict(re.findall(r"^([^#/\n:]+):[^=\n]*=(.*)$", text, re.M))

    def tests(self):
        return re.findall(r"Test +#\d+: (\S+)", run(["ctest", "-N"], self.path / "build"))

    def commands(self):
        """How each source file is compiled."""
        text = (self.path / "build/compile_commands.json").read_text(encoding="utf-8")
        return {pathlib.Path(entry["file"]).name: entry["command"] for entry in json.loads(text)}

    def built(self):
        """The archives and programs that are there."""
        paths = [path for path in (self.path / "build").rglob("*") if path.is_file() and
                 "CMakeFiles" not in path.parts]
        return {path.name for path in paths if path.suffix == ".a" or os.access(path, os.X_OK)}


class Guest(unittest.TestCase):
    def test_a_program_in_c(self):
        with Parent() as parent:
            report = parent.report()
            self.assertEqual("", report["CMAKE_BUILD_TYPE"])
            self.assertEqual("", report["BUILD_TESTING"])
            self.assertEqual("", report["CMAKE_CXX_COMPILER"])
            self.assertEqual("", report["CMAKE_C_STANDARD"])
            self.assertEqual("", parent.cached()["CMAKE_BUILD_TYPE"])
            own = re.compile(r"ROT[AI]_|rota|service|_?CMAKE_|FIND_PACKAGE_MESSAGE_DETAILS_")
            self.assertEqual([], [name for name in parent.cached() if not own.match(name)])
            self.assertEqual([], parent.tests())

            commands = parent.commands()
            self.assertNotRegex(commands["service.c"], r" -([WDOfm]|std)")
            self.assertRegex(commands["worker.c"], r" -O2 ")
            run(["cmake", "--build", "build", "--parallel", "2"], parent.path)
            layers = {f"librota_{layer}.a" for layer in ("base", "ctx", "sched", "loop", "net")}
            self.assertEqual({"service", "librota.a"}, parent.built() - layers)
            self.talk_to(parent.path / "build/service")

            plain = re.search(r"^cc -I.*$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
            run(["bash", "-c", plain.group(0)], parent.path)
            self.talk_to(parent.path / "service")

    def talk_to(self, program):
        run([sys.executable, ROOT / "docs/examples/check_echo.py", program], ".")

    def test_the_parent_has_tests_of_its_own(self):
        own = "\nadd_test(NAME own COMMAND service)"
        for before, after in (("include(CTest)", own), ("", "include(CTest)" + own)):
            with Parent("-DCMAKE_BUILD_TYPE=Debug", before=before, after=after) as parent:
                self.assertEqual("ON", parent.report()["BUILD_TESTING"])
                self.assertEqual("Debug", parent.report()["CMAKE_BUILD_TYPE"])
                self.assertEqual("Debug", parent.cached()["CMAKE_BUILD_TYPE"])
                self.assertEqual(["own"], parent.tests())


def main():
    global ROOT, GENERATOR, COMPILER
    ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
    GENERATOR = sys.argv.pop(1)
    COMPILER = sys.argv.pop(1)
    sys.path.insert(0, str(ROOT / "docs/examples"))
    import check_echo  # pylint: disable=import-outside-toplevel
    if not check_echo.port_is_free():
        return 77
    return unittest.main()


if __name__ == "__main__":
    sys.exit(main())
