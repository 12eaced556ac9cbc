#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites of omniommu, in a QEMU guest under TCG.

Builds the test kernel (scripts/kernels.sh) and omniommu_kunit.ko against it, boots a guest that
loads it, and reads its KTAP with the kernel's own parser. Each case is printed with its verdict
and its time; the last line is exactly `N passed, N failed`, with `, N skipped` where a case said
it could not run. A complaint of the kernel (WARNING, BUG, KASAN, UBSAN, lockdep, kmemleak, ...)
fails the run as a case of its own.
"""

import argparse
import dataclasses
import io
import os
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dmar_tables                                                      # noqa: E402
import iort_tables                                                      # noqa: E402
import ivrs_tables                                                      # noqa: E402
import harness                                                          # noqa: E402
from harness import Boot, Cpio, HarnessError, Run                       # noqa: E402

# After one of these nothing more comes; what follows it is let out first.
STUCK = re.compile(r"detected stall|soft lockup|hard LOCKUP|blocked for more than")

# Seconds a run may take; kernels that check every access are far slower.
LIMITS = {"plain": 1200, "debug": 2400, "kcsan": 2400, "arm64-plain": 1800}

MEMORY = 1024       # MiB

# PID 1 of the guest. Faults are injected by the suites, for their own tasks only; here every
# kind of allocation is made to take part, and messages about it are switched off.
INIT = """#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t debugfs debugfs /sys/kernel/debug
exec </dev/null
kmsg() { printf '%.900s\\n' "$*" > /dev/kmsg; }
cd /sys/kernel/debug
for f in failslab fail_page_alloc; do
	[ -d $f ] || continue
	echo N > $f/ignore-gfp-wait
	echo 0 > $f/verbose
	# KASAN's memory for call traces is nobody's allocation: it grows now and then.
	if [ -e $f/reject-start ]; then
		set -- $(grep -A1 ' stack_depot_save_flags$' /proc/kallsyms)
		echo 0x$1 > $f/reject-start
		echo 0x$4 > $f/reject-end
	fi
done
[ ! -d fail_page_alloc ] || echo 0 > fail_page_alloc/min-order
[ ! -e kmemleak ] || { echo scan=off > kmemleak; echo scan > kmemleak; echo clear > kmemleak; }
# Its reports rest until here: the kernel's own start is not looked at.
[ ! -e kcsan ] || echo on > kcsan
cd /
kmsg "@@MARK begin"
insmod /omniommu_kunit.ko $(cat /args) || kmsg "@@FAIL load: insmod failed"
kmsg "@@MARK end"
if [ -e /sys/kernel/debug/kmemleak ]; then
	# What was freed a moment ago may still be on a stack.
	sleep 6
	echo scan > /sys/kernel/debug/kmemleak
	echo scan > /sys/kernel/debug/kmemleak
	head -c 8000 /sys/kernel/debug/kmemleak | while IFS= read -r line; do kmsg "$line"; done
fi
rmmod omniommu_kunit || kmsg "@@FAIL unload: rmmod failed"
kmsg "@@DONE"
poweroff -f
sleep 60
"""


class Guest:
    """What a boot with the suites is made from."""

    def __init__(self, kernel, arguments="", variant="kunit"):
        module = harness.build_module(kernel, variant).with_name("omniommu_kunit.ko")
        if not module.exists():
            raise HarnessError("no omniommu_kunit.ko was built: has the kernel KUnit?")
        self.kernel = kernel
        self._cpio = Cpio()
        for name in ("proc", "sys", "dev"):
            self._cpio.dir(name)
        self._cpio.node("dev/console", 5, 1)
        self._cpio.file("bin/busybox", kernel.busybox.read_bytes())
        for applet in ("sh", "mount", "cat", "echo", "insmod", "rmmod", "poweroff", "sleep",
                       "head", "printf", "test", "[", "grep"):
            self._cpio.link(f"bin/{applet}", "busybox")
        self._cpio.file("init", INIT.encode())
        self._cpio.file("args", 
                        ("dmar_tables=/dmar-tables ivrs_tables=/ivrs-tables "
                         f"iort_tables=/iort-tables {arguments}").encode())
        self._cpio.file("dmar-tables", dmar_tables.listed())
        self._cpio.file("ivrs-tables", ivrs_tables.listed())
        self._cpio.file("iort-tables", iort_tables.listed())
        self._cpio.file("omniommu_kunit.ko", module.read_bytes())

    def image(self, boot):
        return self.kernel.image

    def initrd(self, boot, path):
        path.write_bytes(self._cpio.bytes())


# ---------------------------------------------------------------- KTAP

RESULT = re.compile(r"^\[ *(\d+\.\d+)\](?:\[[^]]*\])? ( *)(ok|not ok) \d+ (?:- )?(\S+)(.*)")
SUBTEST = re.compile(r"^\[ *(\d+\.\d+)\](?:\[[^]]*\])? ( *)# Subtest: (\S+)")


@dataclasses.dataclass
class Case:
    name: str
    verdict: str            # PASS, FAIL, SKIP
    reason: str = ""
    seconds: float = None


class Stream:
    """Follows the log while it comes: names and times of cases as they end."""

    def __init__(self, show, first_only=False):
        self.show = show
        self.first_only = first_only    # end the guest at the first failure
        self.first = None
        self.stack = []         # (indent, name) of the subtests that are open
        self.then = None
        self.seconds = {}
        self.current = "before the first case"
        self.splats = []        # (line, what was running)
        self.said = []          # diagnostics of the case that is running
        self.reasons = {}
        self.seeds = {}

    def failed(self, run, what):
        self.first = self.first or what
        if self.first_only:
            run.end(0)

    def line(self, run, line):
        if run.complaint:
            self.splats.append((run.complaint.strip(), self.current))
            self.show(f"      the kernel: {run.complaint.strip()}")
            if STUCK.search(line):
                run.end(5)
            self.failed(run, f"{self.current}: {run.complaint.strip()}")
        m = SUBTEST.match(line)
        if m:
            stamp, indent, name = float(m[1]), len(m[2]), m[3]
            self.then = stamp
            self.said = []
            self.stack = [(i, n) for i, n in self.stack if i < indent] + [(indent, name)]
            self.current = "/".join(n for _, n in self.stack)
            return
        m = RESULT.match(line)
        if not m:
            # A failure is a line with its place, then what was expected, found, meant.
            text = re.sub(r"^\[ *\d+\.\d+\](?:\[[^]]*\])? ", "", line).strip()
            if text.startswith("# "):
                self.said.append(text[2:])
            elif any("FAILED at" in t for t in self.said[-4:]):
                self.said.append(text)
            return
        stamp, indent, ok, name, rest = float(m[1]), len(m[2]), m[3], m[4], m[5]
        # A result that is less indented than the innermost open subtest ends that subtest.
        ends = bool(self.stack) and self.stack[-1][0] > indent and self.stack[-1][1] == name
        self.stack = [(i, n) for i, n in self.stack if i <= indent]
        full = "/".join([n for _, n in self.stack] + [name])
        self.current = "after " + full
        said, self.said = self.said, []
        took = stamp - self.then if self.then is not None else 0.0
        self.then = stamp
        if ends:
            return
        for text in said:
            seed = re.search(r"\bseed (\d+)$", text)
            if seed:
                self.seeds[full] = seed[1]
        self.seconds[full] = took
        if "# SKIP" in rest:
            self.reasons[full] = rest.split("# SKIP", 1)[1].strip()
        elif ok != "ok":
            first = next((i for i, t in enumerate(said) if "FAILED at" in t), 0)
            said = [re.sub(r"\S*/(kunit/\S+\.[ch])", r"\1", t) for t in said[first:]]
            self.reasons[full] = " ".join(said)[:600]
            self.failed(run, full)
        word = "SKIP" if "# SKIP" in rest else "ok  " if ok == "ok" else "FAIL"
        self.show(f"{word} {took:7.2f} s  {full}")


def documents(lines):
    """The KTAP documents of a log: the parser reads the first one only."""
    start = re.compile(r"^(?:\[ *\d+\.\d+\](?:\[[^]]*\])? )?KTAP version 1\s*$")
    found = []
    for line in lines:
        if start.match(line):
            found.append([])
        if found:
            found[-1].append(line)
    return found


def tables_said(lines):
    """A case for each malformed firmware table: was it refused with the words it should be?"""
    said, name = {}, None
    for line in lines:
        m = re.search(r"# firmware_l4_listed_tables: (?:table ((?:dmar|ivrs)/\S+)|end of tables)$", line)
        if m:
            name = m[1]
            said.setdefault(name, [])
        elif name:
            said[name].append(line)
    return [Case(f"tables/{name}", "PASS") if any(re.search(regex, t) for t in said[name]) else
            Case(f"tables/{name}", "FAIL", f"no line matches '{regex}': {said[name][:1]}")
            for name, _, regex in dmar_tables.cases() + ivrs_tables.cases() if name in said]


def parse(kernel, lines):
    """Every case of a log, by the parser of the kernel's own source."""
    path = str(kernel.source / "tools/testing/kunit")
    if path not in sys.path:
        sys.path.insert(0, path)
    import kunit_parser
    import kunit_printer
    kunit_parser.stdout = kunit_printer.Printer(io.StringIO())
    status = kunit_parser.TestStatus
    verdict = {status.SUCCESS: "PASS", status.SKIPPED: "SKIP"}
    cases = []

    def walk(test, names):
        for sub in test.subtests:
            walk(sub, names + [sub.name])
        if not test.subtests:
            cases.append(Case("/".join(names), verdict.get(test.status, "FAIL"),
                              "" if test.ok_status() else test.status.name))

    for document in documents(lines):
        test = kunit_parser.parse_run_tests(document)
        if test.subtests:
            walk(test, [])
    return cases


# ---------------------------------------------------------------- running

class SuitesRun(Run):
    """One guest with the suites whose names match a glob."""

    def __init__(self, guest, name, suite, stream):
        self.stream = stream
        self.suite = suite
        super().__init__(guest, Boot(
            name, "", [], driver="none", kernel=guest.kernel.flavour, iommu=None, smp=2, mem=MEMORY,
            total=LIMITS[guest.kernel.flavour],
            # On arm64: an entry for each page of the kernel's own mapping of memory.
            cmdline="loglevel=7" + (" rodata=full" if guest.kernel.arch == "arm64" else "") +
            (f" kunit.filter_glob={suite}" if suite else "")), stream.line)

    def make_suite(self, case):
        """The command that runs a case's suite on this kernel."""
        arch, _, kernel = self.guest.kernel.flavour.rpartition("-")
        return (f"make kunit {f'ARCH={arch} ' if arch else ''}KERNEL={kernel} "
                f"SUITE={case.name.split('/')[0]}")

    def cases(self):
        """A list of Case; the last ones, `boot` and `kernel-log`, are about the whole guest."""
        stream = self.stream
        cases = parse(self.guest.kernel, self.lines)
        for case in cases:
            case.seconds = stream.seconds.get(case.name)
            if case.verdict != "PASS":
                case.reason = stream.reasons.get(case.name) or case.reason
            seed = stream.seeds.get(case.name)
            if case.verdict == "FAIL" and seed:
                case.reason += f"; {self.make_suite(case)} SEED={seed} replays it"
        cases += tables_said(self.lines)
        if not cases:
            cases.append(Case("suites", "FAIL", f"no suite matches '{self.suite}'"
                              if self.suite and self.done else "no case was reported"))
        cases += [Case(v.name, v.result, v.reason) for v in self.verdicts
                  if v.name != "boot" and v.result == "FAIL"]

        # A complaint is told by its first line and by what ran; the end of the guest apart from
        # that.
        hung = self.trouble and not self.report
        cases.append(Case("boot", "FAIL" if hung or not self.done else "PASS",
                          f"{self.trouble or 'the guest did not get to its end'}; it was at "
                          f"{stream.current}" if hung or not self.done else "", self.seconds))
        reason = "; ".join(f"{line} (at {where})" for line, where in stream.splats[:3])
        cases.append(Case("kernel-log", "FAIL" if reason else "PASS", reason))
        return cases


def prepare(flavour="plain", **parameters):
    """The test kernel, and the module with the suites, built if they have to be. parameters: the
    module's, but those that are 0."""
    return Guest(harness.find_kernel(flavour),
                 " ".join(f"{name}={value}" for name, value in parameters.items() if value))


def suites_run(guest, show, suite=""):
    """A run of the suites that shows its progress, for a caller who executes it."""
    return SuitesRun(guest, f"kunit/{guest.kernel.flavour}", suite, Stream(show))


def first_failure(tree, suite=""):
    """What the suites of another copy of the source notice first, in words; None if they pass."""
    stream = Stream(lambda text: None, first_only=True)
    kernel = harness.find_kernel("plain")
    here, harness.ROOT = harness.ROOT, Path(tree)
    try:
        guest = Guest(kernel, "part=1", variant="kunit-other")
    finally:
        harness.ROOT = here
    one = SuitesRun(guest, "kunit-other", suite, stream).execute()
    if stream.first:
        return stream.first
    if one.trouble or not one.done:
        return f"{one.trouble or 'the guest did not get to its end'}, at {stream.current}"
    failed = [c.name for c in parse(kernel, one.lines) if c.verdict == "FAIL"]
    return failed[0] if failed else None


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--suite", default="", metavar="GLOB",
                   help="only the suites, or suite.case, that match (make kunit SUITE=...)")
    p.add_argument("--arch", choices=["x86", "arm64"], default="x86",
                   help="whose test kernel (x86)")
    p.add_argument("--kernel", default="plain", choices=["plain", "debug", "kcsan"],
                   help="test kernel (plain)")
    p.add_argument("--seed", type=int, default=0,
                   help="replay random programs with the seed that a run printed")
    p.add_argument("--seeds", type=int, default=0, metavar="N",
                   help="derive the seeds of all random programs of a whole run from this number, "
                        "as `make check` does from the sources")
    p.add_argument("--part", type=int, default=0, metavar="N", help="do one of N rounds")
    p.add_argument("--whole", action="store_true",
                   help="all rounds of long programs, a quarter of which are run otherwise, and a "
                        "64th part on kernels that check every access, where this takes hours")
    args = p.parse_args()

    flavour = args.kernel if args.arch == "x86" else f"{args.arch}-{args.kernel}"
    if flavour not in LIMITS:
        p.error(f"there is no {args.kernel} kernel for {args.arch}")
    start = time.monotonic()
    if args.whole:
        LIMITS.update({kernel: 10 * limit for kernel, limit in LIMITS.items()})
    one = suites_run(prepare(flavour, seed=args.seed, seeds=args.seeds,
                             part=1 if args.whole else args.part),
                     lambda text: print(text, flush=True), args.suite)
    print(f"kernel {one.guest.kernel.build}, log {one.log}", flush=True)
    one.execute()
    cases = one.cases()
    if one.report:
        print("\nthe kernel reported:")
        for line in one.report:
            print(f"  > {line}")
    failed = [c for c in cases if c.verdict == "FAIL"]
    if failed:
        print("\nfailed:")
        for c in failed:
            print(f"  {c.name}: {c.reason}")
    print(f"\n{len(cases)} cases in {time.monotonic() - start:.0f} s")
    return harness.closing([c.verdict for c in cases])


if __name__ == "__main__":
    harness.start("kunit", main)
