#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Do the documents say what the sources say? Every message that the module can print has to be in
docs/messages.md and nothing else may be; the same for refused accesses in docs/faults.md, and for
parameters, files in debugfs and tracepoints. Links and make's targets have to lead somewhere.

Messages are compared with everything that varies taken out: `%s` and `%#llx` of a source, and
`<unit>` and `<address>` of a page.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WINGS = ("vtd", "amd", "smmu")

# Functions of the kernel that print, with the place of their format among the arguments.
PRINTS = {f"{f}_{level}{more}": place
          for f, place in (("pr", 0), ("dev", 1), ("pci", 1))
          for level in ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "dbg")
          for more in ("", "_ratelimited", "_once")} | {"printk": 0, "panic": 0}
# Words that one function hands to another, which prints them: those that it returns, and those
# that it is given, with the place among its arguments.
RETURNED = ["vtd_owner", "smmu_unfit", "omni_in_use"]
HANDED = {"vtd_device_error": 2, "omni_queue_die": 1, "amd_unit_l2_set": 3}
# And fields that hold such words.
HELD = re.compile(r"\.content = ")

STRING = r'"(?:[^"\\]|\\.)*"'
CONVERSION = re.compile(r"%(?!%)[-+ #0]*[0-9*]*(?:\.[0-9*]+)?(?:hh|h|ll|l|z|t)?"
                        r"(?:p(?:V|OF|a)?|[a-zA-Z])")


def text_of(path):
    """A source without comments."""
    return re.sub(rf"({STRING})|/\*.*?\*/|//[^\n]*", lambda m: m[1] or " " + "\n" * m[0].count("\n"),
                  path.read_text(), flags=re.S)


def sources(root=ROOT):
    files = [p for p in sorted(root.glob("*.[ch]"))
             if not p.name.endswith(".mod.c")]
    for d in ("include", *WINGS):
        files += sorted((root / d).glob("*.[ch]"))
    return {p.relative_to(root).as_posix(): text_of(p) for p in files}


def arguments(text, at):
    """The arguments of a call, whose opening bracket is before `at`, and where it ends."""
    out, depth, start = [], 1, at
    for m in re.compile(rf"{STRING}|'(?:[^'\\]|\\.)'|[()\[\]{{}},]").finditer(text, at):
        c = m[0]
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        if not depth or (c == "," and depth == 1):
            out.append(text[start:m.start()].strip())
            start = m.end()
        if not depth:
            return out, m.end()
    raise ValueError("a call without an end")


def calls(text, names):
    for m in re.finditer(rf"\b({'|'.join(map(re.escape, names))})\(", text):
        yield m[1], arguments(text, m.end())[0], text[:m.start()].count("\n") + 1


def literals(argument):
    """The strings that an argument may be: those of `a ? "x" : "y"` are two. What stands beside
    a string and is none, as a macro, varies."""
    out = []
    for part in re.split(rf"[?:](?=(?:[^\"]|{STRING})*$)", argument):
        if '"' not in part:
            continue
        words = re.findall(rf"{STRING}|\w+", part)
        out.append("".join(w[1:-1] if w[0] == '"' else "%s" for w in words))
    return out


def bare(text):
    """A format without what varies."""
    text = text.replace("\\n", "").replace('\\"', '"')
    return merged(CONVERSION.sub("<>", text).replace("%%", "%"))


def bare_doc(text):
    return merged(re.sub(r"<[^<>]*>", "<>", text))


def merged(text):
    """Neighbours that vary are one: a device's name is four numbers in the source."""
    return re.sub(r"<>(?:[:. ]?<>)+", "<>", text.replace("0x<>", "<>")).strip()


def messages(files):
    """Every message, bare -> (where, as written)."""
    out = {}
    for name, text in files.items():
        places = dict(PRINTS)
        # Functions of our own that take a format: declared so, for the compiler to check it.
        for m in re.finditer(r"__printf\((\d+), \d+\)[\w\s\*]*?\b(\w+)\(", text):
            places[m[2]] = int(m[1]) - 1
        places |= HANDED
        for function, args, line in calls(text, places):
            place = places[function]
            if len(args) <= place:
                raise ValueError(f"{name}:{line}: {function}() with {len(args)} arguments")
            found = literals(args[place])
            # Definitions, and what is handed on.
            if not found and not re.fullmatch(r"const char \*\w+|what|unfit|\w+->content", args[place]):
                raise ValueError(f"{name}:{line}: {function}() without a format: {args[place]}")
            for s in found:
                out.setdefault(bare(s), (f"{name}:{line}", s))
        for m in HELD.finditer(text):
            s = re.compile(STRING).match(text, m.end())[0][1:-1]
            out.setdefault(bare(s), (name, s))
        for function in RETURNED:
            m = re.search(rf"\b{function}\([^;{{]*\)\s*\{{(.*?)\n\}}", text, re.S)
            for s in re.findall(rf"return ({STRING});", m[1]) if m else []:
                out.setdefault(bare(s[1:-1]), (name, s[1:-1]))
    return out


def listed(page):
    """The messages that a page lists: list items that are code alone."""
    return {bare_doc(m): m for m in re.findall(r"^- `([^`]+)`$", page, re.M)}


def faults(files):
    """Refused accesses of each wing: "0x05 sentence"."""
    out = {}
    for wing in WINGS:
        text = files[f"{wing}/fault.c"]
        value = lambda word: int(word if word[0].isdigit() else
                                 re.search(rf"#define\s+{word}\s+(\w+)", files[f"{wing}/regs.h"])[1],
                                 0)
        found = {(value(code), s) for code, s in
                 re.findall(r'\[(\w+)\] = "((?:[^"\\]|\\.)*)"', text)}
        if wing == "amd":
            body = re.search(r"\*amd_fault_why\(.*?\n\}", text, re.S)[0]
            found |= {(2, s[1:-1]) for s in re.findall(STRING, body)}
            body = re.search(r"void amd_report_fault\(.*?\n\}", text, re.S)[0]
            dte, rest = body.split("AMD_EVENT_ILLEGAL_DTE)")
            dte, other = rest.split("else", 1)
            found |= {(1, s[1:-1]) for s in re.findall(STRING, dte)}
            found |= {(8, s[1:-1]) for s in re.findall(STRING, other)}
        out[wing] = {f"0x{code:02x} {s}" for code, s in found}
    return out


SECTIONS = {"vtd": "VT-d", "amd": "AMD-Vi", "smmu": "SMMUv3"}


def listed_faults(page):
    out = {}
    for wing, title in SECTIONS.items():
        m = re.search(rf"^## {title}[^\n]*\n(.*?)(?=^## |\Z)", page, re.M | re.S)
        out[wing] = set(re.findall(r"^### `(0x[0-9a-f]{2})` (.+)$", m[1], re.M)) if m else set()
        out[wing] = {" ".join(pair) for pair in out[wing]}
    return out


def differ(ours, theirs, what, page):
    """What is wrong, a line each."""
    return ([f"{page} lacks {what}: {x}" for x in sorted(ours - theirs)] +
            [f"{page} has {what} that is not in the sources: {x}" for x in sorted(theirs - ours)])


def table(page, heading):
    """First column of the table that begins with a heading, without code marks."""
    m = re.search(rf"^\| {heading} \|.*?\n(?=\n|\Z)", page, re.M | re.S)
    return {c for row in (m[0].split("\n")[2:] if m else []) if row
            for c in re.findall(r"`([^`]+)`", row.split("|")[1])}


def judge(root=ROOT):
    """(case, what is wrong) for every case."""
    files = sources(root)
    page = lambda name: (root / name).read_text() if (root / name).exists() else ""
    pages = {p.relative_to(root).as_posix(): p.read_text()
             for p in [root / "README.md", *sorted((root / "docs").glob("*.md"))]}
    out = []

    ours, theirs = messages(files), listed(page("docs/messages.md"))
    out.append(("docs/messages",
                [f"docs/messages.md lacks a message of {ours[m][0]}: {ours[m][1]}"
                 for m in ours if m not in theirs] +
                [f"docs/messages.md has a message that is not in the sources: {theirs[m]}"
                 for m in theirs if m not in ours]))

    ours, theirs = faults(files), listed_faults(page("docs/faults.md"))
    out.append(("docs/faults", [line for wing in WINGS for line in
                                differ(ours[wing], theirs[wing], f"a reason of {wing}/",
                                       "docs/faults.md")]))

    code = "\n".join(files.values())
    # What builds for tests have is nobody's to set.
    code = re.sub(r"^#ifdef OMNI_TEST_.*?^#(?:else|endif)", "", code, flags=re.M | re.S)
    ours = set(re.findall(r"\bmodule_param(?:_cb|_named|_string|_array)?\((\w+)", code))
    said = set(re.findall(r"\bMODULE_PARM_DESC\((\w+)", code))
    out.append(("docs/parameters",
                differ(ours, table(page("README.md"), "parameter"), "a parameter", "README.md") +
                [f"no MODULE_PARM_DESC of {p}" for p in sorted(ours - said)]))

    ours = set(re.findall(r'\bdebugfs_create_\w+\("(\w+)"', code)) - {"omniommu", "iommu", "intel"}
    theirs = {re.split("[/>]", f)[-1] for f in
              table(page("docs/reference.md"), "file in `/sys/kernel/debug/omniommu/`")} - {"DMA"}
    # A directory is named by what is in it.
    ours -= {"domain"}
    out.append(("docs/debugfs", differ(ours, theirs, "a file", "docs/reference.md")))

    ours = set(re.findall(r"\b(?:TRACE_EVENT|DEFINE_EVENT)\((\w+)", code))
    out.append(("docs/tracepoints", differ(ours, table(page("docs/reference.md"), "tracepoint"),
                                           "a tracepoint", "docs/reference.md")))

    makefile = page("Makefile")
    targets = set(re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.M)[1].split())
    wrong = []
    for name, text in pages.items():
        for link, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
            target = (root / name).parent / link if link else root / name
            if not target.exists():
                wrong.append(f"{name} leads to {link}, which is not there")
            elif anchor and anchor not in anchors(target.read_text()):
                wrong.append(f"{name} leads to {link}#{anchor}, which is no heading")
        code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^    (.+)$", text, re.M)
        for line in code:
            for t in re.findall(r"^(?:sudo )?make ([a-z][a-z-]*)", line.strip()):
                if t not in targets:
                    wrong.append(f"{name} says make {t}, which is no target")
            for p in re.findall(r"(?:^|\s)(scripts/[\w./-]*\w)", line):
                if not (root / p).exists():
                    wrong.append(f"{name} names {p}, which is not there")
        if name != "README.md" and name not in {f"docs/{x}" for x in
                                                re.findall(r"docs/([\w.-]+\.md)",
                                                           pages["README.md"])}:
            wrong.append(f"README.md does not lead to {name}")
    out.append(("docs/links", wrong))
    return out


def anchors(text):
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-")
            for h in re.findall(r"^#+ (.+)$", text, re.M)}


def main():
    if sys.argv[1:] == ["--list"]:
        for key, (where, text) in sorted(messages(sources()).items(), key=lambda m: m[1]):
            print(f"{where}\t{text}")
        return 0
    if sys.argv[1:]:
        print("usage: messages.py [--list]", file=sys.stderr)
        return 2
    bad = 0
    results = judge()
    for case, wrong in results:
        print(f"{'FAIL' if wrong else 'ok  '} {case}")
        for line in wrong:
            print(f"     {line}")
        bad += bool(wrong)
    print(f"{len(results) - bad} passed, {bad} failed")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
