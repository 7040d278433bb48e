#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_headers.py - each public header compiles alone, and exports nothing without a prefix (S1).

    check_headers.py --root <dir> <check> <command>...

<check> is the name of a language standard (c99, c++11 and later), by which every public header is
compiled alone and twice over, as strictly as a user may ask for, or `names`, which looks at all
macros and all file-scope identifiers that the headers define, or `symbols`: then the command is
readelf and a static library, in which what the headers declare, and nothing else, must be visible.
"""

import argparse
import contextlib
import io
import pathlib
import re
import subprocess
import sys
import tempfile

PUBLIC = ["sched/base/include", "ctx/include", "sched/include", "loop/include", "net/include"]
STRICT = ["-pedantic-errors", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-fsyntax-only"]

# Words that C and C++ programs use: a header must survive that a user's macro has such a name only
# if it does not use the word itself, so that none of them may occur in a declaration.
RESERVED_WORDS = ["async", "await", "go", "spawn", "yield", "class", "new", "delete", "this",
                  "template", "private", "public", "protected", "operator", "namespace", "typename",
                  "requires", "concept", "co_await", "co_yield", "co_return", "try", "catch",
                  "throw", "virtual", "friend", "using", "explicit", "export", "mutable"]

# A header whose purpose is to replace a macro of the C library.
REPLACED_MACROS = {"errno.h": {"errno"}}


def public_headers(root):
    for directory in PUBLIC:
        for header in sorted((root / directory).glob("rota/*.h")):
            yield header


def include_flags(root):
    return [f"-I{root / directory}" for directory in PUBLIC if (root / directory).is_dir()]


def run(command, text=""):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def compile_alone(root, standard, compiler):
    """Compiles each header as the only, and twice the same, include of a file."""
    failures = 0
    suffix = ".cc" if "++" in standard else ".c"
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory) / ("alone" + suffix)
        for header in public_headers(root):
            source.write_text(f"#include <rota/{header.name}>\n#include <rota/{header.name}>\n"
                              "extern int not_empty;\n", encoding="utf-8")
            result = run([*compiler, f"-std={standard}", *STRICT, *include_flags(root),
                          str(source)])
            if result.returncode != 0:
                failures += 1
                print(f"{header.name} does not compile alone as {standard}:\n{result.stderr}")
    return failures


def macros_of(text):
    """Yields (file, macro) for each #define and #undef in the output of the preprocessor (-dD)."""
    current = ""
    for line in text.splitlines():
        if match := re.match(r'# \d+ "([^"]*)"', line):
            current = match.group(1)
        elif match := re.match(r"#(?:define|undef) (\w+)", line):
            yield current, match.group(1)


def check_macros(root, compiler):
    failures = 0
    for header in public_headers(root):
        result = run([*compiler, "-std=c17", "-E", "-dD", "-x", "c", *include_flags(root),
                      str(header)])
        if result.returncode != 0:
            print(result.stderr)
            return failures + 1
        for file, macro in macros_of(result.stdout):
            path = pathlib.Path(file)
            if "rota" != path.parent.name or not path.is_relative_to(root):
                continue
            if not macro.startswith("ROTA_") and macro not in REPLACED_MACROS.get(path.name, ()):
                failures += 1
                print(f"{path.name} defines the macro {macro}, which lacks the prefix")
    return failures


def declarations(text):
    """The text without comments, preprocessor lines and the contents of strings."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', text)


def check_identifiers(root):
    """Struct tags, enumerators and functions have the prefix; no word of C++ is an identifier."""
    failures = 0
    words = re.compile(r"\b(" + "|".join(RESERVED_WORDS) + r")\b")
    for header in public_headers(root):
        code = declarations(header.read_text(encoding="utf-8"))
        declared = re.findall(r"\b(?:struct|enum|union)\s+(\w+)", code)
        declared += re.findall(r"typedef[^;]*\(\*(\w+)\)", code)
        declared += re.findall(r"(?:ROTA_API|static inline)[^;(]*?\b(\w+)\s*\(", code)
        allowed = re.compile(r"(rota|ROTA)_|(iovec|sockaddr\w*|msghdr|timespec|addrinfo|stat)$")
        for name in declared:
            if not allowed.match(name):
                failures += 1
                print(f"{header.name} declares {name}, which lacks the prefix")
        for match in words.finditer(code):
            failures += 1
            print(f"{header.name} uses the word '{match.group(1)}' as an identifier")
    return failures


def declared_functions(root):
    """The functions marked ROTA_API, by name."""
    functions = {}
    for header in public_headers(root):
        code = declarations(header.read_text(encoding="utf-8"))
        for name in re.findall(r"ROTA_API\b[^;(]*?\b(\w+)\s*\(", code):
            functions[name] = header.name
    return functions


def check_symbols(root, table):
    """What is declared is defined, and nothing else is visible; `table` is from readelf -sW."""
    failures = 0
    declared = declared_functions(root)
    symbol = re.compile(r"^\s*\d+:\s+\S+\s+\S+\s+(?:FUNC|OBJECT|TLS|NOTYPE)\s+(?:GLOBAL|WEAK)\s+"
                        r"(\w+)\s+(?:\[.*\]\s+)?(\d+)\s+(\w+)", re.M)
    visible = {name for visibility, _, name in symbol.findall(table) if visibility == "DEFAULT"}
    for name in sorted(visible - set(declared)):
        failures += 1
        print(f"{name} is visible, and no public header declares it")
    for name in sorted(set(declared) - visible):
        failures += 1
        print(f"{name} is declared in {declared[name]}, and not defined or not visible")
    return failures


def self_test():
    """A header with every fault is caught in each of them."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        rota = root / PUBLIC[0] / "rota"
        rota.mkdir(parents=True)
        (rota / "bad.h").write_text("#define spawn 1\nstruct queue { int new; };\n"
                                    "size_t rota_bad(void);\n", encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()):
            assert compile_alone(root, "c17", ["cc"]) == 1
            assert check_macros(root, ["cc"]) == 1
            assert check_identifiers(root) == 2
            (rota / "bad.h").write_text("ROTA_API int rota_here(void);\n"
                                        "ROTA_API int *rota_missing(void);\n", encoding="utf-8")
            row = "    12: 0000000000000000    42 FUNC    GLOBAL {}    1 {}\n"
            assert check_symbols(root, row.format("DEFAULT", "rota_here")
                                 + row.format("HIDDEN", "roti_hidden")
                                 + row.format("DEFAULT", "roti_shown")) == 2
    print("self-test passed")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=".")
    parser.add_argument("check", choices=["c99", "c17", "c++11", "c++20", "c++23", "names",
                                          "symbols", "self-test"])
    parser.add_argument("command", nargs="*", default=["cc"])
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    if arguments.check == "self-test":
        return self_test()
    if arguments.check == "names":
        failures = check_macros(root, arguments.command) + check_identifiers(root)
    elif arguments.check == "symbols":
        readelf, library = arguments.command
        failures = check_symbols(root, run([readelf, "-sW", library]).stdout)
    else:
        standard = arguments.check
        if standard == "c++23" and "clang" in arguments.command[0]:
            standard = "c++2b"
        failures = compile_alone(root, standard, arguments.command)
    headers = len(list(public_headers(root)))
    print(f"{headers} headers, {failures} failures")
    return 1 if failures or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
