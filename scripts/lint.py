#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What can be said of the sources without running them: compilers' warnings, sparse, checkpatch,
kernel-doc, pyflakes, shellcheck. None of it may have anything to say, but for what is excepted
below, each with its reason.

The last line is `N passed, N failed`, with `, N skipped` for what this machine has not got.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness                                                          # noqa: E402
import mutants                                                          # noqa: E402
from harness import BUILD, LOGS, ROOT, HarnessError, output_of          # noqa: E402

PACKAGES = ["sparse", "shellcheck", "pyflakes3"]
WORK = BUILD / "lint"

# checkpatch: (files, types, why)
EXCEPTIONS = [
    ("", "LONG_LINE_STRING", "a message in one piece can be found with grep"),
    ("include/compat.h", "LINUX_VERSION_CODE CONSTANT_COMPARISON",
     "outside of the tree a module has to ask which kernel it is built for"),
    ("include/omni_trace.h", "PARENTHESIS_ALIGNMENT OPEN_ENDED_LINE",
     "tracepoints are laid out as in all of the kernel"),
    ("omni_pages.c", "MACRO_ARG_UNUSED", "in the suites' build nothing is exported"),
    ("vtd/wing.c", "AVOID_EXTERNS", "intel_iommu_enabled is exported, and declared in no header"),
    ("smmu/iort.c kunit/inject.h kunit/kit.h kunit/model.h", "MACRO_ARG_REUSE",
     "loops over simple variables, as the kernel's own"),
    ("smmu/format.h", "MACRO_ARG_REUSE", "the argument is a constant"),
    ("smmu/instance.h", "AVOID_EXTERNS FUNCTION_ARGUMENTS",
     "variables whose names a macro makes are taken for functions"),
    ("kunit/suite_units.c", "SPACING", "a cast before ?:"),
    ("include/pgtable_unmap.h include/pgtable_map.h", "SPACING",
     "a pointer to a struct whose name a macro makes is taken for a product"),
    # Programs for guests and for the host are no kernel code.
    ("scripts/", "PREFER_KERNEL_TYPES VOLATILE PREFER_DEFINED_ATTRIBUTE_MACRO BIT_MACRO STRCPY "
     "STATIC_CONST_CHAR_ARRAY", "the kernel's types, macros and accessors are not there"),
    ("scripts/", "EMBEDDED_FUNCTION_NAME REPEATED_WORD", "arguments and cases, not functions"),
    ("scripts/", "ASSIGN_IN_IF MULTIPLE_ASSIGNMENTS UNNECESSARY_ELSE LONG_LINE LONG_LINE_COMMENT",
     "test programs, where the terse form reads better"),
    ("scripts/guest/iommufd-abi.h", "SPACING", "an include by a macro"),
]

# Compilers and sparse: (case, pattern of the line, why)
COMPILED_EXCEPTIONS = [
    ("arm64", r"/asm/percpu\.h:.* cast truncates bits from constant value",
     "the kernel's own macro"),
    ("arm64", r"include/pgtable_(track|read|table|map|unmap)\.h:.* cast (from|to) restricted __le64",
     "the kernel's cmpxchg() for arm64 goes by way of unsigned long"),
]

# shellcheck: (code, why)
SHELL_EXCEPTIONS = [
    ("SC1090", "the guest's init runs the script that the host names"),
    ("SC1091", "what is sourced is in the guest only"),
    ("SC2046", "kernel versions have no spaces, and there are several"),
]

KERNEL = ("", "include", "vtd", "amd", "smmu", "kunit", "bench", "test")
USER = ("scripts", "scripts/guest")


def c_files(folders):
    found = [p for d in folders for p in sorted((ROOT / d).glob("*.[ch]"))]
    return [p.relative_to(ROOT).as_posix() for p in found if not p.name.endswith(".mod.c")]


def excepted(name, kind):
    return any(kind in types.split() and any(name.startswith(f) for f in files.split() or [""])
               for files, types, _ in EXCEPTIONS)


def run(command, **more):
    return subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, **more)


def kernel_tree():
    """The kernel's own checkers: of the sources that the test kernels are built from."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    trees = sorted(cache.glob("omniommu/kernels/source-*/scripts/checkpatch.pl"))
    return trees[-1].parent if trees else None


def checkpatch(tree):
    """Files that were looked at before, and are as they were, are not looked at again."""
    tool = tree / "checkpatch.pl"
    salt = hashlib.sha256(tool.read_bytes()).hexdigest()
    seen_path = WORK / "checkpatch.json"
    seen = json.loads(seen_path.read_text()) if seen_path.exists() else {}
    names = c_files(KERNEL + USER)
    keys = {n: hashlib.sha256(salt.encode() + (ROOT / n).read_bytes()).hexdigest() for n in names}
    todo = [n for n in names if keys[n] not in seen]
    if todo:
        done = run(["perl", tool, "--no-tree", "--strict", "--terse", "--show-types", "-f", *todo])
        if done.returncode not in (0, 1):
            raise HarnessError(f"checkpatch did not get through:\n{done.stdout[-500:]}")
        found = {n: [] for n in todo}
        for line in done.stdout.splitlines():
            m = re.match(r"(\S+?):(\d+): (?:ERROR|WARNING|CHECK):(\w+): (.*)", line)
            if m and m[1] in found:
                found[m[1]].append([m[2], m[3], m[4]])
            elif m or not re.match(r"total: |$", line):
                raise HarnessError(f"checkpatch says what nobody understands: {line}")
        seen.update({keys[n]: found[n] for n in todo})
    WORK.mkdir(parents=True, exist_ok=True)
    seen_path.write_text(json.dumps({keys[n]: seen[keys[n]] for n in names}))
    used = set()
    wrong = []
    for n in names:
        for line, kind, words in seen[keys[n]]:
            if excepted(n, kind):
                used |= {(f, t) for f, types, _ in EXCEPTIONS for t in types.split()
                         if t == kind and any(n.startswith(x) for x in f.split() or [""])}
            else:
                wrong.append(f"{n}:{line}: {kind}: {words}")
    # An exception for nothing hides the next one.
    wrong += [f"nothing needs the exception {t} of {f or 'all files'}"
              for f, types, _ in EXCEPTIONS for t in types.split() if (f, t) not in used]
    return wrong


def kernel_doc(tree):
    out = run(["perl", tree / "kernel-doc", "-none", "-Wall", *c_files(KERNEL)]).stdout
    return [line for line in out.splitlines() if "warning:" in line or "error:" in line]


def compiled(kernel, what):
    """W=1 and sparse in one build, of all, with the suites where the kernel has them."""
    tree = WORK / f"{what}-{kernel.version}"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    harness._mirror(tree)
    done = run(["make", f"-j{min(2, os.cpu_count() or 1)}", "-C", kernel.headers, f"M={tree}",
                "W=1", "C=2", "modules"])
    (LOGS / f"lint-{what}.log").write_text(done.stdout)
    said = [line.replace(f"{tree}/", "") for line in done.stdout.splitlines()
            if re.search(r"(warning|error): ", line) and " compiler " not in line]
    known = [pattern for case, pattern, _ in COMPILED_EXCEPTIONS if case == what]
    # What a header has is said once for each file.
    wrong = list(dict.fromkeys(line for line in said
                               if not any(re.search(p, line) for p in known)))
    wrong += [f"nothing needs the exception {p}" for p in known
              if not any(re.search(p, line) for line in said)]
    if not re.search(r"^ +CHECK ", done.stdout, re.M):
        wrong.append("sparse was not run")
    if done.returncode and not wrong:
        wrong = done.stdout.splitlines()[-10:]
    shutil.rmtree(tree, ignore_errors=True)
    return wrong


def programs(pattern):
    """Scripts below scripts/, install/ and .ci/ that begin so."""
    out = []
    for d in ("scripts", "install", ".ci", "debian"):
        for p in sorted((ROOT / d).rglob("*")):
            if p.is_file() and "__pycache__" not in p.parts and \
               re.match(pattern, p.read_bytes()[:64].decode("latin1")):
                out.append(p.relative_to(ROOT).as_posix())
    return out


def python():
    names = sorted({p.relative_to(ROOT).as_posix() for p in (ROOT / "scripts").glob("*.py")} |
                   set(programs(r"#!.*python3")))
    return run(["pyflakes3", *names]).stdout.splitlines()


def shell():
    names = programs(r"#!/bin/(ba)?sh")
    codes = ",".join(code for code, _ in SHELL_EXCEPTIONS)
    return run(["shellcheck", "-S", "warning", "-f", "gcc", "-e", codes,
                *names]).stdout.splitlines()


def faults():
    """Each fault of `make mutants` has its place in the source, and one only."""
    return [f"{name}: its place in {source} occurs {n} times, not once"
            for name, source, old, _ in mutants.MUTANTS
            for n in [(ROOT / source).read_text().count(old)] if n != 1]


def cases():
    """(case, function that returns what is wrong, or None and why it can't be run)."""
    tree = kernel_tree()
    missing = "no kernel sources here: scripts/kernels.sh plain unpacks them"
    yield "lint/checkpatch", tree and (lambda: checkpatch(tree)), missing
    yield "lint/kernel-doc", tree and (lambda: kernel_doc(tree)), missing
    yield "lint/python", python, ""
    yield "lint/shell", shell, ""
    yield "lint/mutants", faults, ""
    plain = tree and sorted(tree.parent.parent.glob("plain-*/.complete"))
    yield "lint/x86", lambda: compiled(harness.find_kernel("stock"), "x86"), ""
    yield "lint/suites", plain and (lambda: compiled(harness.find_kernel("plain"), "suites")), \
        "the plain test kernel is not built: scripts/kernels.sh plain"
    arm = run([ROOT / "scripts/arm64.sh", "--check"]).returncode == 0
    yield "lint/arm64", (lambda: compiled(harness.find_kernel("arm64"), "arm64")) if arm else None, \
        "the arm64 kernel is not unpacked: scripts/arm64.sh"


def prepare():
    output_of([ROOT / "scripts/setup.sh", "--packages", "to look at the sources with", *PACKAGES])
    LOGS.mkdir(parents=True, exist_ok=True)


QUICK = ("lint/kernel-doc", "lint/python", "lint/shell", "lint/mutants")


def quick():
    """What costs next to nothing, for `make check`: (case, what is wrong, why it can't be told)."""
    return [(name, look() if look else None, why) for name, look, why in cases() if name in QUICK]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--only", default="", metavar="REGEX", help="only the cases that match")
    args = p.parse_args()
    prepare()
    results = []
    for name, look, why in cases():
        if not re.search(args.only, name):
            continue
        began = time.monotonic()
        wrong = look() if look else None
        result = "SKIP" if wrong is None else "FAIL" if wrong else "PASS"
        results.append(result)
        print(f"{result if wrong or not look else 'ok  '} {name}"
              f"{'' if look else ': ' + why}  ({time.monotonic() - began:.0f} s)", flush=True)
        for line in wrong or []:
            print(f"      {line}")
    if not results:
        print(f"no case matches '{args.only}'", file=sys.stderr)
        return 2
    return harness.closing(results)


if __name__ == "__main__":
    harness.start("lint", main)
