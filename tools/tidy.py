#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tidy.py - the house rules that a program can check.

    tidy.py [--root <dir>] [--self-test]

Prints one line per finding, "file:line: [rule] what", and fails when there is one. Each rule is a
function marked @rule, which is given the project and yields findings; tidy_cases.py holds, for each
rule, a file that breaks it, and --self-test proves that the rule says so.
"""

import argparse
import ast
import pathlib
import re
import shutil
import subprocess
import sys

# ---- What may be configured ----------------------------------------------------------------------

LAYERS = ["base", "ctx", "sched", "loop", "net"]  # each may include itself and what is before it
LAYER_DIRECTORIES = {"base": "sched/base", "ctx": "ctx", "sched": "sched", "loop": "loop",
                     "net": "net"}
ALL_LAYERS = {"tools", "docs"}  # directories whose files may include every layer

FILE_LINES_MAX = 800
FILE_LINES_RULE = 400  # above it a file is counted, not refused
FUNCTION_LINES_MAX = 70
TEST_FUNCTION_LINES_MAX = 120
COLUMNS_MAX = 100

ATOMICS_FILE = "sched/base/atomic.h"
EXAMPLES = "docs/examples/"
THREAD_FILE = "sched/base/thread.c"
HEAP_FILE = "sched/base/alloc.c"
SWEEP_TABLE = "tests/sweep/table.h"
CONCURRENCY_PAGE = "docs/concurrency.md"
ID_PAGES = ["docs/hazards.md", "docs/cases.md"]
# A page of labels, some of which look like ids, and the examples of this program.
NO_ID_FILES = {CONCURRENCY_PAGE, "tools/tidy.py", "tools/tidy_cases.py"}
README_EXAMPLE = "docs/examples/01-echo.c"

# Files that make system calls, and so may read errno. Everything else passes on what they return.
ERRNO_FILES = {
    "sched/errno.c", "sched/guard.c", "sched/include/rota/errno.h", "sched/overflow.c",
    "sched/pages.c", "loop/syscall.c",
}

# Includes that go against the graph, each for a reason written where it is made.
INCLUDES_ALLOWED = {("sched/base/atomic.h", "tests/model/model.h"),
                    ("sched/base/atomic.h", "tests/sim/point.h")}

# Identifiers with two underscores that belong to the compiler, the C library or a sanitizer.
UNDERSCORES_ALLOWED = re.compile(
    r"__(attribute|asm|typeof|extension|func|FILE|LINE|COUNTER|VA_ARGS|VA_OPT|cplusplus|linux|"
    r"x86_64|aarch64|clang|clang_major|GNUC|GLIBC|STDC_\w+|LP64|CET|OPTIMIZE|ELF|POPCNT)(__)?$|"
    r"__(builtin|has|SANITIZE|asan|tsan|ubsan|lsan|sanitizer|libc|ARM_FEATURE|SIZEOF|BYTE|ORDER|"
    r"NR|KERNEL|GCC)_\w+$|__errno_location$|__get_cpuid$|__(le|be|u|s)(8|16|32|64)$")

BANNED_WORDS = ["TODO", "FIXME", "XXX", "HACK", "WIP", "TBD", "not implemented", "unimplemented"]

# ---- The project ---------------------------------------------------------------------------------

CODE = (".c", ".h", ".cc")
TEXT = CODE + (".S", ".py", ".txt", ".sh", ".md", ".json")
TOP = ["CMakeLists.txt", "CMakePresets.json", "README.md"]
DIRECTORIES = ["sched", "ctx", "loop", "net", "tests", "tools", "docs", ".ci"]


COMMENT_OR_STRING = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def without_comments(text):
    """The same text with comments and the contents of strings blanked, line by line the same."""
    def blank(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[0]
        return re.sub(r"[^\n]", " ", found)

    return COMMENT_OR_STRING.sub(blank, text)


class File:
    """A text file: its path from the root, its text, and its text without comments."""

    def __init__(self, root, path):
        self.path = path.relative_to(root).as_posix()
        self.name = path.name
        self.suffix = path.suffix
        self.bytes = path.read_bytes()
        self.text = self.bytes.decode("utf-8", "replace")
        self.lines = self.text.split("\n")
        self.is_code = self.suffix in CODE
        self.code = without_comments(self.text) if self.is_code else self.text
        self.layer = self._layer()
        self.in_library = self.layer is not None and not self.path.startswith("tests/")
        self.is_public_header = "/include/rota/" in "/" + self.path

    def _layer(self):
        parts = self.path.split("/")
        if parts[0] == "tests" and len(parts) > 2:
            return parts[1] if parts[1] in LAYERS else "base" if parts[1] == "support" else None
        for layer in ["base", "ctx", "sched", "loop", "net"]:
            if self.path.startswith(LAYER_DIRECTORIES[layer] + "/"):
                return layer
        return None

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1


class Project:
    """All files that the rules look at."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        paths = [self.root / name for name in TOP if (self.root / name).is_file()]
        for directory in DIRECTORIES:
            paths += [path for path in sorted((self.root / directory).rglob("*"))
                      if path.is_file() and "__pycache__" not in path.parts]
        self.files = [File(self.root, path) for path in paths
                      if path.suffix in TEXT or (not path.suffix and is_script(path))]
        self.by_path = {file.path: file for file in self.files}
        self.code = [file for file in self.files if file.is_code]
        self.library = [file for file in self.code if file.in_library]
        self.public = [file for file in self.code if file.is_public_header]

    def owner_of_public(self, name):
        for layer in LAYERS:
            if f"{LAYER_DIRECTORIES[layer]}/include/rota/{name}" in self.by_path:
                return layer
        return None


def is_script(path):
    with path.open("rb") as stream:
        return stream.read(2) == b"#!"


RULES = {}


def rule(function):
    RULES[function.__name__.replace("_", "-")] = function
    return function


def matches(file, pattern, text=None):
    """Yields (line, match) for each match in the file's code."""
    for match in re.finditer(pattern, file.code if text is None else text):
        yield file.line_of(match.start()), match


# ---- How files look ------------------------------------------------------------------------------

@rule
def file_length(project):
    for file in project.files:
        if file.suffix != ".md" and len(file.lines) - 1 > FILE_LINES_MAX:
            yield file, 1, f"{len(file.lines) - 1} lines; at most {FILE_LINES_MAX}"


def c_functions(file):
    """Yields (line, length) of each braced body whose brace stands alone, as those of functions."""
    for start, line in enumerate(file.lines):
        if line.strip() != "{":
            continue
        end_line = line.replace("{", "}")
        for end in range(start + 1, len(file.lines)):
            if file.lines[end].startswith(end_line):
                yield start + 1, end - start - 1
                break


@rule
def function_length(project):
    for file in project.files:
        limit = TEST_FUNCTION_LINES_MAX if file.path.startswith("tests/") else FUNCTION_LINES_MAX
        found = []
        if file.is_code:
            found = c_functions(file)
        elif file.suffix == ".py":
            found = ((node.lineno, node.end_lineno - node.lineno + 1)
                     for node in ast.walk(ast.parse(file.text))
                     if isinstance(node, ast.FunctionDef))
        for line, length in found:
            if length > limit:
                yield file, line, f"a function of {length} lines; at most {limit}"


@rule
def columns(project):
    for file in project.files:
        if file.suffix in (".md", ".json"):
            continue
        for number, line in enumerate(file.lines, 1):
            if len(line) > COLUMNS_MAX:
                yield file, number, f"{len(line)} columns; at most {COLUMNS_MAX}"


@rule
def blanks(project):
    for file in project.files:
        for number, line in enumerate(file.lines, 1):
            if "\t" in line:
                yield file, number, "a tab"
            if "\r" in line:
                yield file, number, "a carriage return"
            if line.rstrip("\r") != line.rstrip():
                yield file, number, "blanks at the end of the line"
        if file.text and not file.text.endswith("\n"):
            yield file, len(file.lines), "no newline at the end"


@rule
def file_comment(project):
    for file in project.files:
        if file.suffix in (".md", ".json"):
            continue
        head = file.text.split("\n", 1)[1] if file.text.startswith("#!") else file.text
        if file.is_code or file.suffix == ".S":
            expected = f"/* SPDX-License-Identifier: MIT */\n/*\n * {file.name} - "
        elif file.suffix == ".py":
            expected = f'# SPDX-License-Identifier: MIT\n"""{file.name} - '
        else:
            expected = f"# SPDX-License-Identifier: MIT\n#\n# {file.name} - "
        if not head.startswith(expected):
            yield file, 1, f"does not start with its licence and '{file.name} - what lives here'"


@rule
def include_guard(project):
    for file in project.code:
        if file.suffix != ".h":
            continue
        prefix = r"RO(?:TI|TA)_" if not file.is_public_header else r"ROTA_"
        if file.path.startswith(EXAMPLES):
            prefix = ""  # programs to start from, with names of their own
        guard = re.search(r"^#ifndef (\w+)\n#define (\w+)\n", file.code, re.M)
        if not guard or guard.group(1) != guard.group(2) or \
                not re.fullmatch(prefix + r"\w+_H", guard.group(1)):
            yield file, 1, "no include guard of the form ROTI_NAME_H (ROTA_NAME_H when public)"


@rule
def clang_format(project):
    program = shutil.which("clang-format-14") or shutil.which("clang-format")
    style = project.root / ".clang-format"
    if not program or not project.code or not style.exists():
        return
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if "version 14." not in version.stdout:
        print("tidy: clang-format is not version 14; the layout is not checked")
        return
    result = subprocess.run(
        [program, "--dry-run", f"--style=file:{style}",
         *[str(project.root / file.path) for file in project.code]],
        capture_output=True, text=True, check=False)
    lines = {}
    for match in re.finditer(r"^(.*?):(\d+):\d+: warning: code should be", result.stderr, re.M):
        path = pathlib.Path(match.group(1)).resolve().relative_to(project.root).as_posix()
        lines.setdefault(path, set()).add(int(match.group(2)))
    for path, found in lines.items():
        yield project.by_path[path], min(found), f"{len(found)} lines not as clang-format has them"


# ---- What files may contain ----------------------------------------------------------------------

@rule
def banned_words(project):
    pattern = r"\b(" + "|".join(BANNED_WORDS) + r")\b"
    for file in project.files:
        if file.path in ("tools/tidy.py", "tools/tidy_cases.py"):
            continue  # where the words are listed
        for line, match in matches(file, pattern, file.text):
            yield file, line, f"the words '{match.group(1)}'"


@rule
def underscores(project):
    for file in project.code:
        for line, match in matches(file, r"\b\w*__\w*\b"):
            if not UNDERSCORES_ALLOWED.match(match.group(0)):
                yield file, line, f"two underscores in '{match.group(0)}'"


@rule
def type_names(project):
    for file in project.library:
        for line, _ in matches(file, r"\btypedef\s+(?:struct|union|enum)\b[^;(]*[;{]"):
            yield file, line, "a typedef of a struct, union or enum"
        for line, match in matches(file, r"\btypedef\b[^;]*?\(\s*\*?\s*(\w+)\s*\)\s*\("):
            if not match.group(1).endswith("_fn"):
                yield file, line, f"the function type '{match.group(1)}' does not end in _fn"
        for line, match in matches(file, r"\b(?:struct|union|enum)\s+(\w+_t)\b"):
            yield file, line, f"'{match.group(1)}' ends in _t"


@rule
def atomics(project):
    for file in project.library:
        if file.path != ATOMICS_FILE:
            for line, match in matches(file, r"stdatomic|\b__atomic_\w+|\b__sync_\w+|\batomic_\w+"):
                yield file, line, f"'{match.group(0)}' outside {ATOMICS_FILE}"


@rule
def thread_locals(project):
    pattern = r"\b(_Thread_local|__thread|thread_local|pthread_self)\b"
    for file in project.library:
        if file.path != THREAD_FILE:
            for line, match in matches(file, pattern):
                yield file, line, f"'{match.group(1)}' outside {THREAD_FILE}"


@rule
def errno_use(project):
    for file in project.library:
        if file.path not in ERRNO_FILES:
            for line, match in matches(file, r"(?<![<\w/])(errno|__errno_location)\b(?!\.h)"):
                yield file, line, f"'{match.group(1)}' in a file that makes no system calls"


@rule
def heap(project):
    pattern = r"\b(malloc|calloc|realloc|free|strdup|strndup|asprintf|alloca|aligned_alloc)\s*\("
    for file in project.library:
        if file.path != HEAP_FILE:
            for line, match in matches(file, pattern):
                yield file, line, f"'{match.group(1)}' outside {HEAP_FILE}"


@rule
def executable_stack(project):
    for file in project.files:
        if file.suffix == ".S" and ".note.GNU-stack" not in file.text:
            yield file, 1, "no .note.GNU-stack section: the stack would be executable"


@rule
def readme_example(project):
    """The C program of README.md is the example that the tests run, without its first comments."""
    readme, example = project.by_path.get("README.md"), project.by_path.get(README_EXAMPLE)
    if readme is None or example is None:
        return
    block = re.search(r"^```c\n(.*?)^```$", readme.text, re.M | re.S)
    if block is None:
        yield readme, 1, f"does not show {README_EXAMPLE}"
    elif block.group(1) != re.sub(r"\A(/\*.*?\*/\s*)+", "", example.text, flags=re.S):
        yield readme, readme.line_of(block.start()), f"the program is not {README_EXAMPLE}"


# ---- Who may include whom ------------------------------------------------------------------------

def layer_of_include(project, quoted, path):
    """The layer that an include refers to; None for the system's."""
    if not quoted:
        return project.owner_of_public(path[5:]) if path.startswith("rota/") else None
    for layer in LAYERS:
        if path.startswith(LAYER_DIRECTORIES[layer] + "/"):
            return layer
    return None


def include_fault(project, file, quoted, path):
    """Why this include may not be; None when it may."""
    if (file.path, path) in INCLUDES_ALLOWED:
        return None
    if path.startswith("ck_") and not (file.layer in ("sched", "loop") and file.suffix == ".c"):
        return "concurrencykit is for the .c files of sched and loop"
    if not quoted and path.startswith("rota/") and not project.owner_of_public(path[5:]):
        return "no such public header"
    if quoted and file.is_public_header:
        return "a public header includes a private one"
    if quoted and file.path.startswith(EXAMPLES) and \
            file.path.rpartition("/")[0] + "/" + path in project.by_path:
        return None
    if quoted and path not in project.by_path:
        return "not a path from the root"
    if quoted and path.startswith("tests/") and not file.path.startswith("tests/"):
        return "only tests include tests"
    layer = layer_of_include(project, quoted, path)
    if file.layer is None or layer is None:
        return None
    if LAYERS.index(layer) > LAYERS.index(file.layer):
        return f"{file.layer} may not include {layer}"
    return None


@rule
def layers(project):
    for file in project.code:
        for number, line in enumerate(file.lines, 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if match:
                fault = include_fault(project, file, match.group(1) == '"', match.group(2))
                if fault:
                    yield file, number, f"include of {match.group(2)}: {fault}"


# ---- What public functions promise ---------------------------------------------------------------

def public_functions(file):
    """Yields (line, name, declaration, comment) of each function marked ROTA_API."""
    pattern = re.compile(r"(?:/\*((?:(?!\*/).)*)\*/\n)?^(ROTA_API\b[^;]*;)", re.M | re.S)
    for match in pattern.finditer(file.text):
        declaration = match.group(2)
        name = re.search(r"\b(rota_\w+)\s*\(", declaration)
        if name:
            yield (file.line_of(match.start(2)), name.group(1), declaration,
                   re.sub(r"\n \* ?", "\n", match.group(1) or ""))


@rule
def api_comment(project):
    for file in project.public:
        for line, name, declaration, comment in public_functions(file):
            labels = ["Call from:", "Suspends:", "Ownership:", "Errors:"]
            if not re.search(r"ROTA_API\s+(ROTA_\w+\s+)*void\s+rota_", declaration):
                labels.append("Returns:")
            missing = [label for label in labels if label not in comment]
            if not re.match(r"\s*(?!Returns:|Errors:|Call from:|Suspends:|Ownership:)\S", comment):
                missing.insert(0, "what it does")
            if missing:
                yield file, line, f"{name} does not say: {', '.join(missing)}"


@rule
def suspends_mark(project):
    for file in project.public:
        for line, name, declaration, comment in public_functions(file):
            says = re.search(r"Suspends:\s*(yes|no)\b", comment)
            marked = "ROTA_SUSPENDS" in declaration
            if "Suspends:" in comment and not says:
                yield file, line, f"{name}: 'Suspends:' says neither yes nor no"
            elif says and (says.group(1) == "yes") != marked:
                yield file, line, f"{name}: the comment and ROTA_SUSPENDS disagree"


def defined_functions(project):
    return {match.group(1) for file in project.library if file.suffix == ".c"
            for match in re.finditer(r"^\w[^;=\n]*?\b(rota_\w+)\(", file.code, re.M)}


@rule
def sweep_table(project):
    """Each function that suspends is swept: cancelled, and out of memory, wherever it may be."""
    table = project.by_path.get(SWEEP_TABLE)
    listed = set(re.findall(r"\brota_\w+", table.code)) if table else set()
    defined = defined_functions(project)
    for file in project.public:
        for line, name, declaration, _ in public_functions(file):
            if "ROTA_SUSPENDS" in declaration and name in defined and name not in listed:
                yield file, line, f"{name} suspends and is not in {SWEEP_TABLE}"


# ---- Atomic labels -------------------------------------------------------------------------------

def atomic_sites(project):
    pattern = r"\broti_(?:load|store|exchange|fetch_\w+|cas|cas_weak|fence)\(\s*(\w+),\s*(\w+)"
    for file in project.library:
        if file.path != ATOMICS_FILE:
            for line, match in matches(file, pattern):
                yield file, line, match.group(1), match.group(2)


def conditions(file):
    """For each line, the #if branches around it, as {number of the #if: number of the branch}."""
    stack, result = [], []
    for number, line in enumerate(file.code.split("\n")):
        directive = re.match(r"\s*#\s*(if|el|endif)", line)
        if directive and directive.group(1) == "if":
            stack.append([number, 0])
        elif directive and stack:
            if directive.group(1) == "endif":
                stack.pop()
            else:
                stack[-1][1] += 1
        result.append(dict(stack))
    return result


def never_both(file, line, other):
    """Whether two lines lie in different branches of one #if, so that no build has both."""
    branches = conditions(file)
    return any(branches[line - 1].get(condition, branch) != branch
               for condition, branch in branches[other - 1].items())


@rule
def atomic_labels(project):
    seen = {}
    for file, line, label, _ in atomic_sites(project):
        if not re.fullmatch(r"[A-Z]{1,2}\d+[a-z]?", label):
            yield file, line, f"the atomic label '{label}' is not a letter or two and a number"
        earlier = [f"{other.path}:{other_line}" for other, other_line in seen.setdefault(label, [])
                   if other is not file or not never_both(file, line, other_line)]
        if earlier:
            yield file, line, f"the label {label} is used in {earlier[0]} already"
        seen[label].append((file, line))


@rule
def atomic_comments(project):
    for file, line, label, order in atomic_sites(project):
        if order != "relaxed" and f"[{label}]" not in file.text:
            yield file, line, f"{label} is {order}, and no comment of this file argues [{label}]"


@rule
def atomic_page(project):
    page = project.by_path.get(CONCURRENCY_PAGE)
    if page is None:
        return
    listed = set(re.findall(r"\b[A-Z]{1,2}\d+[a-z]?\b", page.text))
    for file, line, label, _ in atomic_sites(project):
        if label not in listed:
            yield file, line, f"the atomic label {label} is not in {CONCURRENCY_PAGE}"


# ---- Ids of hazards and cases --------------------------------------------------------------------

# H42, A11, S4, B-L04, and "B-L12 to B-L14". Not [A1], which labels an atomic operation.
ID = r"(?<![\[\w-])({})(\d\d?)(?:(?: to |-)\1(\d\d?))?(?!\w)"
# What has one letter of these is an id in the tests of behaviour only: C11 is a language, too.
ID_LETTERS, TEST_ID_LETTERS = "[HAS]|B-[A-Z]", "[HASCDV]|B-[A-Z]"
NO_IDS = {"C99"}
TEST_NAME = r"\bTEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\s*\)"
PYTHON_TEXT = re.compile(r'#[^\n]*|""".*?"""|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def comments(file):
    """(offset, text) of each comment; of Python also the strings; of a page all."""
    if file.suffix == ".md":
        return [(0, file.text)]
    pattern = COMMENT_OR_STRING if file.suffix in (*CODE, ".S") else \
        PYTHON_TEXT if file.suffix == ".py" else re.compile(r"#[^\n]*")
    return [(match.start(), match.group(0)) for match in pattern.finditer(file.text)
            if pattern is not COMMENT_OR_STRING or match.group(0)[0] == "/"]


def ids_between(letters, first, last):
    """Both ends and what lies between; nothing where these are no ids: A1 and H1 are labels."""
    short = len(letters) == 1 and letters in "SCDV"
    if short or len(first) == 2:
        for number in range(int(first), int(last or first) + 1):
            yield f"{letters}{number}" if short else f"{letters}{number:02}"


def ids_of_test(suite, name):
    """The ids with which the name of a test begins, or that of its suite ends: V3_V4_..., BL04_"""
    prefix = re.match(r"(?:(?:B[A-Z]|[HASCDV])\d\d?(?!\d)_?)*", name).group(0)
    found = re.findall(r"(B(?=[A-Z])|)([A-Z])(\d\d?)", prefix)
    found += re.findall(r"(?<=[a-z])()(H)(\d\d)$", suite)
    for case, letter, number in found:
        yield from ids_between(f"B-{letter}" if case else letter, number, None)


def named_ids(file):
    """Yields (line, id) for each id in the comments of a file and in the names of its tests."""
    is_test = file.suffix == ".cc"
    pattern = ID.format(TEST_ID_LETTERS if is_test else ID_LETTERS)
    for offset, text in comments(file):
        for match in re.finditer(pattern, text):
            for found in ids_between(*match.groups()):
                yield file.line_of(offset + match.start()), found
    for line, match in matches(file, TEST_NAME) if is_test else ():
        for found in ids_of_test(match.group(1), match.group(2)):
            yield line, found


@rule
def ids(project):
    """Each id of a hazard, a case, a rule or a check is explained on one of two pages."""
    pages = [project.by_path[path] for path in ID_PAGES if path in project.by_path]
    listed = {match.group(1) for page in pages
              for match in re.finditer(r"^\| ([\w-]+) \|", page.text, re.M)}
    for file in project.files:
        if file.path in NO_ID_FILES:
            continue
        for line, found in named_ids(file):
            if found not in listed and found not in NO_IDS:
                yield file, line, f"{found} has no row in {' or '.join(ID_PAGES)}"


@rule
def id_pages(project):
    """The tests and files that the two pages name exist."""
    tests = {f"{match.group(1)}.{match.group(2)}" for file in project.code
             if file.suffix == ".cc" for _, match in matches(file, TEST_NAME)}
    for page in (project.by_path[path] for path in ID_PAGES if path in project.by_path):
        for line, match in matches(page, r"`([\w.-]+/[\w./-]+)`", page.text):
            if not (project.root / match.group(1)).exists():
                yield page, line, f"there is no file {match.group(1)}"
        for line, match in matches(page, r"`([A-Z]\w+\.[A-Z]\w+)`", page.text):
            if match.group(1) not in tests:
                yield page, line, f"there is no test {match.group(1)}"


# ---- Running -------------------------------------------------------------------------------------

def findings(root, names=None):
    project = Project(root)
    for name, function in RULES.items():
        if names is None or name in names:
            for file, line, what in function(project):
                yield name, f"{file.path}:{line}: [{name}] {what}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        import tidy_cases  # pylint: disable=import-outside-toplevel
        return tidy_cases.run(sys.modules[__name__])
    found = [text for _, text in findings(arguments.root)]
    print("\n".join(sorted(found)), end="\n" if found else "")
    project = Project(arguments.root)
    long = [file.path for file in project.code if len(file.lines) - 1 > FILE_LINES_RULE]
    print(f"tidy: {len(RULES)} rules, {len(project.files)} files, {len(found)} findings; "
          f"{len(long)} files above {FILE_LINES_RULE} lines{': ' if long else ''}{', '.join(long)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
