# SPDX-License-Identifier: MIT
"""tidy_cases.py - for each rule of tidy.py a project that keeps it, and files that break it."""

import pathlib
import tempfile

HEAD = "/* SPDX-License-Identifier: MIT */\n/*\n * {name} - a test case.\n */\n"

COMMENT = """/*
 * Do something.
 *
 * Returns: 0.
 * Errors: none.
 * Call from: anywhere. Suspends: {suspends}.
 * Ownership: none.
 */
"""

CLEAN = {
    ".clang-format": "BasedOnStyle: LLVM\nIndentWidth: 4\nColumnLimit: 100\n"
                     "BreakBeforeBraces: Linux\nAllowShortFunctionsOnASingleLine: None\n",
    "sched/base/alloc.c": "int alloc_nothing(void)\n{\n    return 0;\n}\n",
    "sched/base/include/rota/base.h":
        "#ifndef ROTA_BASE_H\n#define ROTA_BASE_H\n\n"
        + COMMENT.format(suspends="no") + "ROTA_API int rota_zero(void);\n\n"
        + COMMENT.format(suspends="yes, when it must") +
        "ROTA_API ROTA_SUSPENDS int rota_wait(void);\n\n#endif\n",
    "sched/ring.h": "#ifndef ROTI_RING_H\n#define ROTI_RING_H\n\n#include <rota/base.h>\n\n"
                    "typedef struct rota_task *(*roti_pick_fn)(void);\n\n#endif\n",
    "sched/ring.c": '#include "sched/ring.h"\n\n#include <errno.h>\n\n'
                    "/* malloc(1), errno and thread_local in a comment are words. */\n"
                    "void use(struct ring *ring)\n{\n"
                    "    /* [R1] acquire: pairs with [R2]. */\n"
                    "    roti_load(R1, acquire, &ring->head);\n"
                    "#if ONE\n    roti_load(R3, relaxed, &ring->head);\n"
                    "#else\n    roti_load(R3, relaxed, &ring->tail);\n#endif\n}\n",
    "sched/wait.c": "int rota_wait(void)\n{\n    return 0;\n}\n",
    "tests/sweep/table.h": "#ifndef ROTI_TABLE_H\n#define ROTI_TABLE_H\n\nint rota_wait(void);\n\n"
                           "#endif\n",
    "tests/sched/ring.cc":
        "/* H02, A03 to A05, B-L01-B-L03, D7: listed. [A12], A1, H39b and 10-H12 are no ids. */\n"
        "TEST(Ring, V3_V4_HasTwo)\n{\n    A13(\"H13\");\n}\n",
    "docs/hazards.md": "".join(f"| {id} | |\n" for id in "H02 A03 A04 A05".split())
                       + "`tests/sched/ring.cc`, `Ring.V3_V4_HasTwo`\n",
    "docs/cases.md": "".join(f"| {id} | |\n" for id in "B-L01 B-L02 B-L03 D7 V3 V4".split()),
    "docs/concurrency.md": "| R1 | R2 |\n| R3 | |\n",
    "docs/examples/01-echo.c": "#include <rota/base.h>\n\nint main(void)\n{\n    return 0;\n}\n",
    "README.md": "# it\n\n```c\n#include <rota/base.h>\n\nint main(void)\n{\n    return 0;\n}\n"
                 "```\n\n```c\nshown\n```\n",
}

PUBLIC = "#ifndef ROTA_BAD_H\n#define ROTA_BAD_H\n\n{}\n#endif\n"


def body(lines):
    return "void f(void)\n{\n" + "    g();\n" * lines + "}\n"


# (rule, path, text after the head): each must be found by that rule.
BAD = [
    ("file-length", "net/bad.c", "/* one line */\n" * 800),
    ("function-length", "net/bad.c", body(71)),
    ("function-length", "tests/net/bad.cc", body(121)),
    ("columns", "net/bad.c", "/* " + "x" * 95 + " */\n"),
    ("blanks", "net/bad.c", "int a;\t/* tab */\n"),
    ("blanks", "net/bad.c", "int a; \n"),
    ("blanks", "net/bad.c", "int a;\r\n"),
    ("blanks", "net/bad.c", "int a;"),
    ("include-guard", "net/bad.h", "int a;\n"),
    ("include-guard", "net/bad.h", "#ifndef ROTI_BAD_H\n#define ROTI_WORSE_H\n#endif\n"),
    ("include-guard", "net/include/rota/bad.h", "#ifndef ROTI_BAD_H\n#define ROTI_BAD_H\n#endif\n"),
    ("clang-format", "net/bad.c", "int  a;\n"),
    ("banned-words", "net/bad.c", "/* TO" + "DO: everything */\n"),
    ("banned-words", "docs/bad.md", "This is not " + "implemented.\n"),
    ("underscores", "net/bad.c", "int my__name;\n"),
    ("underscores", "tests/net/bad.cc", "int __reserved;\n"),
    ("type-names", "net/bad.c", "typedef struct stream stream;\n"),
    ("type-names", "net/bad.c", "typedef enum { ONE } number;\n"),
    ("type-names", "net/bad.c", "typedef int (*callback)(void *arg);\n"),
    ("type-names", "net/bad.c", "struct stream_t;\n"),
    ("atomics", "net/bad.c", "#include <stdatomic.h>\n"),
    ("atomics", "net/bad.c", "int a = __atomic_load_n(&b, 5);\n"),
    ("atomics", "net/bad.c", "int a = __sync_fetch_and_add(&b, 1);\n"),
    ("atomics", "net/bad.c", "int a = atomic_load(&b);\n"),
    ("thread-locals", "net/bad.c", "static _Thread_local int a;\n"),
    ("thread-locals", "net/bad.c", "static __thread int a;\n"),
    ("thread-locals", "net/bad.c", "pthread_t a = pthread_self();\n"),
    ("errno-use", "net/bad.c", "int a = -errno;\n"),
    ("heap", "net/bad.c", "void *a = malloc(1);\n"),
    ("heap", "net/bad.c", "void f(void *a)\n{\n    free(a);\n}\n"),
    ("executable-stack", "sched/bad.S", ".text\n"),
    ("layers", "sched/bad.c", '#include "loop/bad.h"\n'),
    ("layers", "sched/base/bad.c", '#include "sched/ring.h"\n'),
    ("layers", "sched/bad.c", '#include "ring.h"\n'),
    ("layers", "sched/bad.c", "#include <rota/nowhere.h>\n"),
    ("layers", "ctx/bad.c", "#include <ck_ec.h>\n"),
    ("layers", "loop/bad.h", "#include <ck_ec.h>\n"),
    ("layers", "net/bad.c", '#include "tests/sweep/table.h"\n'),
    ("layers", "tests/base/bad.cc", '#include "sched/ring.h"\n'),
    ("layers", "net/include/rota/bad.h", PUBLIC.format('#include "sched/ring.h"\n')),
    ("api-comment", "net/include/rota/bad.h", PUBLIC.format("ROTA_API int rota_bad(void);\n")),
    ("suspends-mark", "net/include/rota/bad.h",
     PUBLIC.format(COMMENT.format(suspends="yes") + "ROTA_API int rota_bad(void);\n")),
    ("suspends-mark", "net/include/rota/bad.h",
     PUBLIC.format(COMMENT.format(suspends="no") + "ROTA_API ROTA_SUSPENDS int rota_bad(void);\n")),
    ("suspends-mark", "net/include/rota/bad.h",
     PUBLIC.format(COMMENT.format(suspends="perhaps") + "ROTA_API int rota_bad(void);\n")),
    ("atomic-labels", "net/bad.c", "int a = roti_load(R1, relaxed, &b);\n"),
    ("atomic-labels", "net/bad.c", "int a = roti_load(N1, relaxed, &b) + roti_load(N1, relaxed, "
                                   "&b);\n"),
    ("atomic-labels", "net/bad.c", "int a = roti_load(head, relaxed, &b);\n"),
    ("atomic-comments", "net/bad.c", "int a = roti_load(N1, acquire, &b);\n"),
    ("atomic-page", "net/bad.c", "int a = roti_load(N1, relaxed, &b);\n"),
    ("ids", "net/bad.c", "/* H01 */\n"),
    ("ids", "net/bad.c", "int a; // as A02\n"),
    ("ids", "net/bad.c", "/* B-L03 to B-L05: the last two are not listed. */\n"),
    ("ids", "tests/net/bad.cc", "/* (S9) */\n"),
    ("ids", "tests/net/bad.cc", "/* C3. */\n"),
    ("ids", "tests/net/bad.cc", "TEST(Bad, V3_V9_Cases)\n{\n}\n"),
    ("ids", "tests/net/bad.cc", "TEST_P(Bad, BL07_Case)\n{\n}\n"),
    ("ids", "tests/net/bad.cc", "TEST_F(Bad, H54ADuplicate)\n{\n}\n"),
    ("ids", "tests/net/bad.cc", "TEST(BadH46, Case)\n{\n}\n"),
]

# One label of the five facts at a time is left out.
BAD += [("api-comment", "net/include/rota/bad.h",
         PUBLIC.format(COMMENT.format(suspends="no").replace(fact, "X:")
                       + "ROTA_API int rota_bad(void);\n"))
        for fact in ["Returns:", "Errors:", "Call from:", "Suspends:", "Ownership:"]]

# (rule, path, whole text): files whose head is what is wrong, or that are not C.
BAD_WHOLE = [
    ("file-comment", "net/bad.c", "int a;\n"),
    ("file-comment", "net/bad.c", HEAD.format(name="good.c")),
    ("file-comment", "tools/bad.py", "import sys\n"),
    ("file-comment", "tools/bad", "#!/bin/sh\ntrue\n"),
    ("file-comment", "net/CMakeLists.txt", "project(bad)\n"),
    ("function-length", "tools/bad.py", "def f():\n" + "    g()\n" * 71),
    ("readme-example", "README.md", CLEAN["README.md"].replace("return 0", "return 1")),
    ("readme-example", "README.md", "# it\n\n```cmake\nproject(it)\n```\n"),
    ("ids", "tools/bad", "#!/bin/sh\ntrue # A14\n"),
    ("ids", "tools/bad.py", "FAULTS = ['H08']\n"),
    ("ids", "docs/bad.md", "As H39 says.\n"),
    ("id-pages", "docs/cases.md", "`Ring.NoSuchTest`\n"),
    ("id-pages", "docs/hazards.md", "`tests/sched/gone.cc`\n"),
]


def write(root, path, text, with_head=True):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    head = HEAD.format(name=file.name) if with_head and file.suffix in (".c", ".h", ".cc", ".S") \
        else ""
    file.write_bytes((head + ("\n" if head else "") + text).encode())
    return file


def rules_broken(tidy, root, names=None):
    return {name for name, _ in tidy.findings(root, names)}


def check_sweep_table(tidy, root):
    """A function that suspends must be in the table, but only once it is defined."""
    table = root / "tests/sweep/table.h"
    text = table.read_text(encoding="utf-8")
    table.unlink()
    missing = rules_broken(tidy, root)
    definition = root / "sched/wait.c"
    kept = definition.read_text(encoding="utf-8")
    definition.unlink()
    undefined = rules_broken(tidy, root)
    definition.write_text(kept, encoding="utf-8")
    table.write_text(text, encoding="utf-8")
    return missing == {"sweep-table"} and undefined == set()


def run(tidy):
    """Proves that each rule fires on what breaks it, and none on what breaks nothing."""
    failures = []
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        for path, text in CLEAN.items():
            write(root, path, text)
        clean = [text for _, text in tidy.findings(root)]
        failures += [f"found in a clean project: {text}" for text in clean]
        if not check_sweep_table(tidy, root):
            failures.append("sweep-table does not follow the definitions")
        cases = [(*case, True) for case in BAD] + [(*case, False) for case in BAD_WHOLE]
        for name, path, text, with_head in cases:
            file = write(root, path, text, with_head)
            if not rules_broken(tidy, root, {name}):
                failures.append(f"{name} does not fire on {text[:60]!r}")
            file.unlink()
        untested = set(tidy.RULES) - {case[0] for case in cases} - {"sweep-table"}
        failures += [f"no case for {name}" for name in untested]
    print("\n".join(failures), end="\n" if failures else "")
    print(f"tidy: {len(cases)} bad files, {len(failures)} failures")
    return 1 if failures else 0
