#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""package_test.py - rota as it is installed: from a temporary prefix, by programs outside.

    package_test.py ROOT BUILD GENERATOR CC CXX CLASS [unittest arguments]

Each class installs what is built in BUILD and moves it elsewhere, so that nothing can depend on
where it was built or first installed. Compilers get no flags but those that a program's author
would give.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = BUILD = GENERATOR = None
COMPILERS = {}
PATIENCE = 300 * float(os.environ.get("ROTA_TEST_TIMEOUT_SCALE", "1"))
PARTS = pathlib.Path(__file__).resolve().parent / "package"
FIRST_PLACE = "first/place"

CONSUMER = """
cmake_minimum_required(VERSION 3.25)
project(consumer {language})
{before}
find_package(rota {version} {components})
add_executable(consumer consumer.{suffix})
target_link_libraries(consumer PRIVATE {target})
"""


def run(command, directory, fails=False, **environment):
    result = subprocess.run([str(word) for word in command], cwd=directory,
                            env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=PATIENCE, check=False)
    if (result.returncode != 0) != fails:
        raise AssertionError(f"{command} ended with {result.returncode}:\n{result.stdout}")
    return result.stdout


def version():
    text = (ROOT / "sched/base/include/rota/base.h").read_text(encoding="utf-8")
    return ".".join(re.findall(r"#define ROTA_VERSION_\w+ (\d+)", text))


def readme_block(language, word=""):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    return next(block for block in blocks if word in block)


class Package(unittest.TestCase):
    """An installed rota in `prefix`, and an empty directory `work`."""

    @classmethod
    def setUpClass(cls):
        place = tempfile.TemporaryDirectory()
        cls.addClassCleanup(place.cleanup)
        top = pathlib.Path(place.name).resolve()
        run(["cmake", "--install", BUILD, "--prefix", top / FIRST_PLACE], top)
        cls.prefix = top / "second"
        (top / FIRST_PLACE).rename(cls.prefix)
        cls.library = next(cls.prefix.rglob("librota.a")).parent
        cls.work = top / "work"

    def setUp(self):
        self.work.mkdir()
        self.addCleanup(shutil.rmtree, self.work)

    def dynamic(self, file, tag):
        """The values of a tag of a file's dynamic section."""
        return re.findall(rf"\({tag}\).*\[(.*)\]", run(["readelf", "-dW", file], "."))


class Layout(Package):
    def test_everything_is_there(self):
        full = version()
        interface = ".".join(full.split(".")[: 2 if full.startswith("0.") else 1])
        names = {path.name: path for path in self.prefix.rglob("*") if not path.is_dir()}
        shared = f"librota.so.{full}"
        for name in ("librota.a", shared, "rota.pc", "rotaConfig.cmake",
                     "rotaConfigVersion.cmake", "LICENSE", "rota.h"):
            self.assertIn(name, names)
        self.assertEqual(f"librota.so.{interface}", os.readlink(names["librota.so"]))
        self.assertEqual(shared, os.readlink(names[f"librota.so.{interface}"]))
        self.assertEqual([f"librota.so.{interface}"], self.dynamic(names[shared], "SONAME"))
        headers = {path.name for path in ROOT.glob("*/include/rota/*.h")}
        headers |= {path.name for path in ROOT.glob("sched/base/include/rota/*.h")}
        self.assertEqual(headers, {path.name for path in (self.prefix / "include/rota").iterdir()})

    def test_nothing_says_where_it_was_built(self):
        for path in self.prefix.rglob("*"):
            if path.is_dir() or path.suffix == ".a" or ".so" in path.name:
                continue
            text = path.read_text(encoding="utf-8")
            for place in (str(ROOT), str(BUILD), FIRST_PLACE):
                self.assertNotIn(place, text, path)
        stripped = self.work / "stripped.so"
        run(["objcopy", "--strip-debug", self.library / "librota.so", stripped], ".")
        for place in (str(ROOT), str(BUILD), FIRST_PLACE):
            self.assertNotIn(place.encode(), stripped.read_bytes())

    def test_components(self):
        """A package for programs, and one for developers, have no file in common."""
        files = {}
        for part in ("runtime", "development"):
            run(["cmake", "--install", BUILD, "--prefix", self.work / part, "--component", part],
                ".")
            files[part] = {path.relative_to(self.work / part)
                           for path in (self.work / part).rglob("*") if not path.is_dir()}
        everything = {path.relative_to(self.prefix)
                      for path in self.prefix.rglob("*") if not path.is_dir()}
        self.assertEqual(everything, files["runtime"] | files["development"])
        self.assertFalse(files["runtime"] & files["development"])
        self.assertEqual({"LICENSE", f"librota.so.{version()}"},
                         {path.name for path in files["runtime"]
                          if not (self.work / "runtime" / path).is_symlink()})

    def test_the_shared_library_exports_only_the_interface(self):
        table = run(["nm", "-D", "--defined-only", "--with-symbol-versions",
                     self.library / "librota.so"], ".")
        symbols = [line.split()[-2:] for line in table.splitlines()]
        node = next(name for kind, name in symbols if kind == "A")
        self.assertRegex(node, r"^ROTA_\d+(\.\d+)?$")
        self.assertEqual([], [name for kind, name in symbols
                              if kind != "A" and not re.fullmatch(rf"rota_\w+@@{node}", name)])
        declared = set()
        for header in (self.prefix / "include/rota").iterdir():
            code = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.S)
            declared |= set(re.findall(r"ROTA_API\b[^;]*?\b(rota_\w+)\s*\(", code))
        self.assertEqual(declared, {name.split("@")[0] for kind, name in symbols if kind != "A"})

    def test_the_archive_defines_no_name_without_a_prefix(self):
        table = run(["nm", "--defined-only", "--extern-only", self.library / "librota.a"], ".")
        names = [line.split()[2] for line in table.splitlines() if len(line.split()) == 3]
        self.assertGreater(len(names), 100)
        self.assertEqual([], [name for name in names if not re.match(r"rot[ai]_", name)])

    def test_it_needs_concurrencykit_and_the_c_library(self):
        needed = self.dynamic(self.library / "librota.so", "NEEDED")
        strange = [name for name in needed if not re.match(r"lib(ck|c)\.so|ld-linux", name)]
        self.assertEqual([], strange)


class CMake(Package):
    def build(self, language, version_wanted="", before="", components="REQUIRED",
              target="rota::rota", fails=False):
        project = self.work / "project"
        shutil.rmtree(project, ignore_errors=True)
        project.mkdir()
        suffix = "c" if language == "C" else "cc"
        (project / "CMakeLists.txt").write_text(CONSUMER.format(
            language=language, suffix=suffix, version=version_wanted, before=before,
            components=components, target=target), encoding="utf-8")
        shutil.copy(PARTS / "consumer.c", project / f"consumer.{suffix}")
        out = run(["cmake", "-G", GENERATOR, "-S", project, "-B", project / "build",
                   f"-DCMAKE_{language}_COMPILER={COMPILERS[language]}",
                   f"-DCMAKE_PREFIX_PATH={self.prefix}"], self.work, fails, CFLAGS="", CXXFLAGS="")
        if fails:
            return out
        run(["cmake", "--build", project / "build"], self.work)
        self.assertEqual(f"rota {version()}\n", run([project / "build/consumer"], self.work))
        return self.dynamic(project / "build/consumer", "NEEDED")

    def is_shared(self, needed):
        return any(name.startswith("librota.so") for name in needed)

    def test_shared_in_c(self):
        needed = self.build("C", version())
        self.assertTrue(self.is_shared(needed))
        self.assertNotIn("libck.so.0", needed)

    def test_static_in_c(self):
        self.assertFalse(self.is_shared(self.build("C", before="set(ROTA_USE_STATIC_LIBS ON)")))

    def test_both_in_cxx(self):
        self.assertTrue(self.is_shared(self.build("CXX")))
        self.assertFalse(self.is_shared(self.build("CXX", components="REQUIRED COMPONENTS static",
                                                   target="rota::rota_static")))

    def test_where_concurrencykit_is_not_installed(self):
        """The shared library needs nothing to be found; the static one says what it lacks."""
        hidden = "set(CMAKE_FIND_LIBRARY_PREFIXES none)\n"
        self.assertTrue(self.is_shared(self.build("C", before=hidden)))
        out = self.build("C", before=hidden + "set(ROTA_USE_STATIC_LIBS ON)", fails=True)
        self.assertIn("concurrencykit", out)

    def test_another_version(self):
        major, minor, _ = version().split(".")
        for wanted in (f"{major}.{int(minor) + 1}", f"{int(major) + 1}.0"):
            self.assertIn("version", self.build("C", wanted, fails=True))

    def test_the_lines_of_the_readme(self):
        lines = readme_block("cmake", "find_package")
        (self.work / "CMakeLists.txt").write_text(lines, encoding="utf-8")
        (self.work / "service.c").write_text(readme_block("c"), encoding="utf-8")
        run(["cmake", "-G", GENERATOR, "-S", ".", "-B", "build",
             f"-DCMAKE_C_COMPILER={COMPILERS['C']}", f"-DCMAKE_PREFIX_PATH={self.prefix}"],
            self.work)
        run(["cmake", "--build", "build"], self.work)
        self.assertTrue(self.is_shared(self.dynamic(self.work / "build/service", "NEEDED")))


class PkgConfig(Package):
    def pkg_config(self, *words):
        return run(["pkg-config", *words, "rota"], self.work,
                   PKG_CONFIG_PATH=str(self.library / "pkgconfig")).split()

    def build(self, language, *flags):
        """Builds the program and runs it where the library is found."""
        name = {"C": "c", "CXX": "c++"}[language]
        run([COMPILERS[language], "-x", name, PARTS / "consumer.c", "-x", "none", "-o", "consumer",
             *self.pkg_config("--cflags"), *flags], self.work)
        out = run([self.work / "consumer"], self.work, LD_LIBRARY_PATH=str(self.library))
        self.assertEqual(f"rota {version()}\n", out)

    def test_version_and_flags(self):
        self.assertEqual([version()], self.pkg_config("--modversion"))
        flag, = self.pkg_config("--cflags")
        self.assertEqual(f"-I{self.prefix}/include", os.path.normpath(flag))
        self.assertNotIn("-lck", self.pkg_config("--libs"))
        for word in ("-lrota", "-lck", "-pthread"):
            self.assertIn(word, self.pkg_config("--static", "--libs"))

    def test_shared(self):
        for language in COMPILERS:
            self.build(language, *self.pkg_config("--libs"))
            self.assertTrue(any(name.startswith("librota.so")
                                for name in self.dynamic(self.work / "consumer", "NEEDED")))

    def test_the_archive_alone(self):
        for language in COMPILERS:
            words = self.pkg_config("--static", "--libs")
            self.build(language, *["-l:librota.a" if word == "-lrota" else word for word in words])
            self.assertIn("libck.so.0", self.dynamic(self.work / "consumer", "NEEDED"))

    def test_a_program_without_any_shared_library(self):
        for language in COMPILERS:
            self.build(language, "-static", *self.pkg_config("--static", "--libs"))
            self.assertEqual([], self.dynamic(self.work / "consumer", "NEEDED"))

    def test_the_line_of_the_readme(self):
        line = re.search(r"^cc .*pkg-config.*$", (ROOT / "README.md").read_text(encoding="utf-8"),
                         re.M).group(0)
        (self.work / "service.c").write_text(readme_block("c"), encoding="utf-8")
        run(["bash", "-c", line], self.work, PKG_CONFIG_PATH=str(self.library / "pkgconfig"))


class Dlopen(Package):
    def loader(self, *flags):
        run([COMPILERS["C"], f"-I{self.prefix}/include", "-Wall", "-Werror",
             PARTS / "loader.c", "-o", "loader", *flags], self.work)
        return self.work / "loader"

    def test_loaded_and_closed(self):
        run([self.loader(), self.library / "librota.so", "3"], self.work)

    def test_no_room_in_the_static_block_is_asked_for(self):
        flags = run(["readelf", "-dW", self.library / "librota.so"], ".")
        self.assertNotIn("STATIC_TLS", flags)
        self.assertIn("NODELETE", flags)
        self.assertNotIn("NOOPEN", flags)

    def test_memory_comes_from_the_programs_jemalloc(self):
        """The library links no allocator, and takes the one that the program has (H25)."""
        found = run(["cc", "-print-file-name=libjemalloc.so"], self.work).strip()
        if not os.path.exists(found):
            self.skipTest("jemalloc is not installed")
        for flags, bound in ((["-Wl,--no-as-needed", "-ljemalloc"], True), ([], False)):
            out = run([self.loader(*flags), self.library / "librota.so"], self.work,
                      LD_DEBUG="bindings")
            found = re.search(r"librota\S* \[0\] to \S*libjemalloc\S* \[0\]: .* `mallocx'", out)
            self.assertEqual(bound, found is not None)


def main():
    global ROOT, BUILD, GENERATOR
    ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
    BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
    GENERATOR = sys.argv.pop(1)
    COMPILERS["C"] = sys.argv.pop(1)
    COMPILERS["CXX"] = sys.argv.pop(1)
    return unittest.main()


if __name__ == "__main__":
    sys.exit(main())
