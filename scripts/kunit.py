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
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness                                                          # noqa: E402
from harness import Boot, Cpio, HarnessError, Run                       # noqa: E402

# What the harness looks for, and what only a debug kernel says.
SPLAT = re.compile(harness.SPLAT.pattern + r"|kmemleak: \d+ new suspected|unreferenced object|"
                   r"INFO: (?:possible|suspicious|trying to register|task )|"
                   r"sleeping function called|BUG kmalloc|list_(?:add|del) corruption|DMA-API: ")

# After one of these nothing more comes; what follows it is let out first.
STUCK = re.compile(r"detected stall|soft lockup|hard LOCKUP|blocked for more than")

# Seconds a run may take; the debug kernel is far slower.
LIMITS = {"plain": 600, "debug": 1800}

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
done
[ ! -d fail_page_alloc ] || echo 0 > fail_page_alloc/min-order
[ ! -e kmemleak ] || { echo scan=off > kmemleak; echo scan > kmemleak; echo clear > kmemleak; }
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


@dataclasses.dataclass(frozen=True)
class TestKernel:
    """A kernel of scripts/kernels.sh, to the harness."""
    flavour: str
    build: Path

    @property
    def version(self):
        return self.build.name

    @property
    def image(self):
        return self.build / "arch/x86/boot/bzImage"

    @property
    def headers(self):
        return self.build

    @property
    def source(self):
        """The source tree it was built from: the parser is there."""
        return (self.build / "source").resolve()


def find_kernel(flavour):
    """Built if it is not yet there; the script says how far it is."""
    out = subprocess.run([harness.ROOT / "scripts/kernels.sh", flavour], stdout=subprocess.PIPE,
                         stdin=subprocess.DEVNULL, text=True)
    if out.returncode:
        raise HarnessError(f"the {flavour} test kernel could not be built")
    return TestKernel(flavour, Path(out.stdout.split()[-1]))


class Guest:
    """What a boot with the suites is made from."""

    def __init__(self, kernel, arguments="", variant=None):
        busybox = shutil.which("busybox")
        if not busybox:
            raise HarnessError("busybox-static is missing; run scripts/setup.sh")
        variant = variant or f"kunit-{kernel.flavour}"
        for old in (harness.BUILD / "kmod").glob(f"{variant}-*"):
            if old.name != f"{variant}-{kernel.version}":
                shutil.rmtree(old)
        # A suite that was renamed or removed must not be built from the copy.
        for old in (harness.BUILD / "kmod").glob(f"{variant}-*/kunit/*.[ch]"):
            if not (harness.ROOT / "kunit" / old.name).exists():
                old.unlink()
        module = harness.build_module(kernel, variant).with_name("omniommu_kunit.ko")
        if not module.exists():
            raise HarnessError("no omniommu_kunit.ko was built: has the kernel KUnit?")
        self.kernel = kernel
        self._cpio = Cpio()
        for name in ("proc", "sys", "dev"):
            self._cpio.dir(name)
        self._cpio.node("dev/console", 5, 1)
        self._cpio.file("bin/busybox", Path(busybox).read_bytes())
        for applet in ("sh", "mount", "cat", "echo", "insmod", "rmmod", "poweroff", "sleep",
                       "head", "printf", "test", "["):
            self._cpio.link(f"bin/{applet}", "busybox")
        self._cpio.file("init", INIT.encode())
        self._cpio.file("args", arguments.encode())
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
    seed: str = None        # of its random program


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
        self.ending = False
        self.splats = []        # (line, what was running)
        self.said = []          # diagnostics of the case that is running
        self.reasons = {}
        self.seeds = {}

    def end(self, run, seconds):
        """End the guest, once what it still has to say is out."""
        if not self.ending:
            self.ending = True
            threading.Timer(seconds, lambda: run.proc.poll() is None and run.proc.kill()).start()

    def failed(self, run, what):
        self.first = self.first or what
        if self.first_only:
            self.end(run, 0)

    def line(self, run, line):
        if SPLAT.search(line) and "@@" not in line:
            self.splats.append((line.strip(), self.current))
            self.show(f"      the kernel: {line.strip()}")
            if STUCK.search(line):
                self.end(run, 5)
            self.failed(run, f"{self.current}: {line.strip()}")
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
            said = [re.sub(r"\S*/(kunit/\S+\.[ch])", r"\1", t) for t in said if "FAILED" in t or
                    "seed " not in t]
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

def boot(guest, name, suite, stream):
    """One guest with the suites whose names match a glob."""
    return Run(guest, Boot(name, "", [], driver="none", iommu=None, smp=2, mem=1024,
                           total=LIMITS[guest.kernel.flavour],
                           cmdline="loglevel=7" + (f" kunit.filter_glob={suite}" if suite else "")),
               stream.line)


def run(flavour="plain", suite="", seed=0, show=print):
    """Run the suites whose names match a glob. Returns a list of Case; the last ones, `boot` and
    `kernel-log`, are about the guest as a whole."""
    kernel = find_kernel(flavour)
    stream = Stream(show)
    one = boot(Guest(kernel, f"seed={seed}" if seed else ""), f"kunit-{flavour}", suite, stream)
    show(f"kernel {kernel.version}, log {one.log}")
    one.execute()

    cases = parse(kernel, one.lines)
    for case in cases:
        case.seconds = stream.seconds.get(case.name)
        case.seed = stream.seeds.get(case.name)
        if case.verdict != "PASS":
            case.reason = stream.reasons.get(case.name) or case.reason
    if not cases:
        cases.append(Case("suites", "FAIL", f"no suite matches '{suite}'" if suite and one.done
                          else "no case was reported"))
    cases += [Case(v.name, v.result, v.reason) for v in one.verdicts
              if v.name != "boot" and v.result == "FAIL"]

    # A complaint is told by its first line and by what ran; the end of the guest apart from that.
    hung = one.trouble and not stream.splats
    cases.append(Case("boot", "FAIL" if hung or not one.done else "PASS",
                      f"{one.trouble or 'the guest did not get to its end'}; it was at "
                      f"{stream.current}" if hung or not one.done else "", one.seconds))
    reason = "; ".join(f"{line} (at {where})" for line, where in stream.splats[:3])
    cases.append(Case("kernel-log", "FAIL" if reason else "PASS", reason))
    return cases


def verdicts(flavour="plain", suite="", show=lambda text: None):
    """The same for `make check`: a list of (name, verdict, reason)."""
    return [(f"kunit-{flavour}/{c.name}", c.verdict, c.reason)
            for c in run(flavour, suite, show=show)]


def first_failure(tree, suite=""):
    """What the suites of another copy of the source notice first, in words; None if they pass."""
    stream = Stream(lambda text: None, first_only=True)
    kernel = find_kernel("plain")
    here, harness.ROOT = harness.ROOT, Path(tree)
    try:
        guest = Guest(kernel, variant="kunit-other")
    finally:
        harness.ROOT = here
    one = boot(guest, "kunit-other", suite, stream).execute()
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
    p.add_argument("--kernel", default="plain", choices=sorted(LIMITS),
                   help="test kernel (plain)")
    p.add_argument("--seed", type=int, default=0,
                   help="replay random programs with the seed that a run printed")
    args = p.parse_args()

    start = time.monotonic()
    cases = run(args.kernel, args.suite, args.seed, lambda text: print(text, flush=True))
    failed = [c for c in cases if c.verdict == "FAIL"]
    if failed:
        print("\nfailed:")
        for c in failed:
            print(f"  {c.name}: {c.reason}")
            if c.seed:
                print(f"      make kunit SUITE={c.name.split('/')[0]} SEED={c.seed} replays it")
    count = {r: sum(c.verdict == r for c in cases) for r in ("PASS", "FAIL", "SKIP")}
    print(f"\n{len(cases)} cases in {time.monotonic() - start:.0f} s")
    print(f"{count['PASS']} passed, {count['FAIL']} failed" +
          (f", {count['SKIP']} skipped" if count["SKIP"] else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    harness.end_on_sigterm()
    try:
        sys.exit(main())
    except HarnessError as e:
        print(f"kunit: {e}", file=sys.stderr)
        print("0 passed, 1 failed")
        sys.exit(1)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
