#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What IOMMU drivers cost, measured side by side in the same kernel.

Boots the plain test kernel under `-icount shift=0`, where guest time is instructions, once with a
driver that does nothing (the floor), once with the in-tree driver, once with omniommu, and runs
the same benchmark module (bench/) in each. Prints a table of instructions a call with ratios to
the in-tree driver, of commands that QEMU saw, of cache lines written back and of table pages;
writes all figures to build/bench/*.csv and draws charts of cost against size there.

The part "mixed" asks what a second vendor's units in the same kernel cost the first one's hot
path: two hardware models under KUnit, counted alone and side by side. More than 1% fails.

With --scale it also measures cost against state (domains, address spread, devices) and, without
instruction counting, throughput against processors, and which locks are taken and waited for (by
a kernel that keeps statistics of its locks).
"""

import argparse
import bisect
import concurrent.futures
import csv
import dataclasses
import os
import re
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness                                                          # noqa: E402
import kunit                                                            # noqa: E402
from harness import Boot, Cpio, Guest, HarnessError, Run                # noqa: E402

OUT = harness.BUILD / "bench"
# What our own driver's cases cost when somebody last looked and agreed.
BASELINE = harness.ROOT / "bench" / "baseline.csv"
DRIVERS = ("noop", "ref", "omni")
TITLE = {"noop": "floor", "ref": "in-tree", "omni": "omniommu"}
# Two runs of the same boot should not differ by more.
TOLERANCE = 0.01
# A cost should not leave the baseline by more without the baseline being changed, too.
DRIFT = 0.05
EDU = "-device edu,addr={}"


# ---------------------------------------------------------------- vendors

@dataclasses.dataclass(frozen=True)
class Vendor:
    """How one vendor's IOMMU is booted, and how QEMU tells of its commands."""
    name: str
    title: str
    iommu: str                  # properties of -device intel-iommu, None for another device
    wide: str                   # the same with 48 bits of address
    devices: tuple              # QEMU arguments in its place
    reference: str              # command line: the in-tree driver is on
    off: str                    # command line: it is off
    trace: tuple                # QEMU trace events
    kinds: tuple                # (pattern, kind), the first that matches counts
    wing: str                   # omniommu has it where this file exists
    noop: str = ""              # parameters of the driver that does nothing
    kernels: tuple = (("plain", "plain"), ("stock", "stock"),   # which is whose there
                      ("lockstat", "lockstat"))
    floor: bool = True          # the driver that does nothing can take the place of the others
    device: str = EDU           # QEMU arguments of the device to map for
    ids: str = "1234:11e8"      # the same as the guest knows it

    def drivers(self):
        return [d for d in DRIVERS if (d != "omni" or (harness.ROOT / self.wing).exists()) and
                (d != "noop" or self.floor)]

    def kernel(self, flavour):
        return dict(self.kernels)[flavour]


VENDORS = {v.name: v for v in (
    Vendor("vtd", "Intel VT-d", "snoop-control=on", "snoop-control=on,aw-bits=48", (),
           harness.REFERENCE["x86"], harness.OFF["x86"], ("vtd_inv_desc*",), tuple(harness.TRACE_KINDS),
           "vtd/wing.c"),
    Vendor("amd", "AMD-Vi", None, None, ("-device amd-iommu,intremap=off",),
           "intremap=off", "amd_iommu=off intremap=off",
           ("amdvi_*_inval", "amdvi_completion_wait"),
           ((re.compile(r"amdvi_devtab_inval\b"), "context"),
            (re.compile(r"amdvi_all_inval\b"), "iotlb_global"),
            (re.compile(r"amdvi_pages_inval\b.*0x7ffffffffffff000"), "iotlb_domain"),
            (re.compile(r"amdvi_pages_inval\b"), "iotlb_page"),
            (re.compile(r"amdvi_iotlb_inval\b"), "device_tlb"),
            (re.compile(r"amdvi_completion_wait\b"), "wait")),
           # Every power of two from 4K on, as the format has them.
           "amd/wing.c", "page_sizes=0xfffffffffffff000"),
    # Platform devices announce the units here, and firmware says who is behind them: a driver
    # that does nothing would have to do all that. So there is no floor. Coherency can't be
    # enforced: the device is one that can't issue no-snoop, unlike edu, which is no PCIe device.
    Vendor("smmu", "SMMUv3", "", "", (), harness.REFERENCE["arm64"], harness.OFF["arm64"],
           ("smmuv3_cmdq_opcode",), tuple(harness.TRACE_KINDS), "smmu/wing.c",
           kernels=(("plain", "arm64-plain"), ("stock", "arm64"), ("lockstat", "arm64-lockstat")),
           floor=False, device="-device e1000e,addr={}", ids="8086:10d3"),
)}


# Whose costs make check compares with the baseline.
GUARDED = ("vtd", "amd")


# ---------------------------------------------------------------- building and booting

def build(kernel):
    """omni_bench.ko and omni_noop.ko, built in a copy."""
    source = harness.ROOT / "bench"
    wanted = [p.relative_to(source) for p in source.iterdir()
              if p.name == "Kbuild" or (p.suffix in (".c", ".h") and
                                        not p.name.endswith(".mod.c"))]
    tree = harness.make_modules(kernel, "bench", "the benchmark", source=source, wanted=wanted)
    return [tree / "omni_bench.ko", tree / "omni_noop.ko"]


class BenchGuest(Guest):
    def __init__(self, flavour, need_module):
        super().__init__(need_module=need_module, need_programs=False, flavours=(flavour,))
        arch = self.kernel.arch
        self.programs[arch] = [harness.build_guest_program("vfio-bench", arch)]
        self.modules_of_bench = build(self.kernel)

    def initrd(self, boot, path):
        super().initrd(boot, path)
        cpio = Cpio()
        for ko in self.modules_of_bench:
            cpio.file(f"bench/{ko.name}", ko.read_bytes())
        with open(path, "ab") as f:
            f.write(cpio.bytes())


class BenchRun(Run):
    """A boot that counts instructions, or has a host thread a processor."""

    def __init__(self, guest, boot, vendor, counting, tracing, on_line=None, ranges=()):
        super().__init__(guest, boot, on_line)
        self.ranges = ranges
        self.vendor = vendor
        self.counting = counting
        self.tracing = tracing

    def accelerator(self):
        return "tcg" if self.counting else "tcg,thread=multi"

    def arguments(self):
        args = super().arguments()
        if self.counting:
            args += ["-icount", "shift=0,sleep=off"]
        if self.tracing:
            args += ["-D", str(self.trace), "-trace", "pci_cfg_write"]
            args += [a for event in self.vendor.trace for a in ("-trace", event)]
        if self.ranges:
            args += ["-dfilter", ",".join(self.ranges)]
        return args


def begin_profile(run):
    """From here on an instruction a block, each of them logged that lies in the ranges."""
    run.monitor("stop")
    for command in ("singlestep on", "log exec,nochain,trace:pci_cfg_write"):
        said = run.monitor("human-monitor-command", **{"command-line": command})
        if said.strip():
            raise HarnessError(f"QEMU: {said.strip()}")
    if run.boot.arch == "x86":
        run.monitor("inject-nmi")
    run.monitor("cont")


def end_profile(run):
    for command in ("singlestep off", "log trace:pci_cfg_write"):
        run.monitor("human-monitor-command", **{"command-line": command})


MARK = re.compile(r"pci_cfg_write (?:edu|e1000e) .*@0x2c <- 0x([0-9a-f]+)")


def commands_by_mark(trace, kinds):
    """mark -> kind -> number, from the trace of a boot."""
    spans, now = {}, None
    with open(trace, errors="replace") as f:
        for line in f:
            m = MARK.search(line)
            if m:
                value = int(m[1], 16)
                now = spans.setdefault(value >> 1, {}) if value & 1 else None
                continue
            if now is None:
                continue
            for pattern, kind in kinds:
                if pattern.search(line):
                    now[kind] = now.get(kind, 0) + 1
                    break
    return spans


@dataclasses.dataclass
class Row:
    """One figure: a step of a case with one driver."""
    cost: float                 # instructions a call
    lines: int                  # cache lines written back, all calls of the step
    pages: int                  # table pages gained
    commands: dict              # kind -> number, all calls of the step


ROW = re.compile(r"@@ROW (\S+) (\S+) (\d+) (\d+) (-?\d+) (\d+)")
SCALE = re.compile(r"@@SCALE (\S+) (\d+) (\d+) (\d+) (\d+)")
# Of /proc/lock_stat: bounces, contentions, four times of waiting, bounces, how often taken.
LOCK = re.compile(r"@@LOCK (\S+) (.*): \d+ (\d+) \S+ \S+ \S+ \S+ \d+ (\d+) ")

# What each part has to report; a boot in which one is missing has failed.
EXPECTED = {
    "cases": {"domain": ("create", "attach", "first-map", "last-unmap", "detach", "destroy"),
              **{c: ("map", "iova_to_phys", "unmap") for c in
                 ("4K", "64K-as-4K", "64K", "2M-as-4K", "2M", "256M-as-4K", "1G-of-2M", "1G",
                  "mixed-leaves")},
              "list-256": ("map", "unmap"), "fragments-256": ("unmap",)},
    "dma": {f"dma-{m}-{s}": ("map", "unmap") for m in ("strict", "lazy")
            for s in ("64", "4K", "64K")},
    "vfio": {f"vfio-512M-of-{s}": ("map", "unmap") for s in ("4K", "2M")},
    "state": {**{f"domains-{n}": ("create", "attach", "map", "unmap", "detach", "destroy")
                 for n in (1, 16, 256, 4096)},
              **{f"spread-{s}": ("first-map", "iova_to_phys", "unmap")
                 for s in ("1G", "64G", "1T", "64T")},
              **{f"devices-{n}": ("map", "unmap") for n in (1, 8, 64)}},
    "scale": {},
    "locks": {},
}
VERDICTS = {"cases": ["bench/cases"], "dma": ["bench/dma-strict", "bench/dma-lazy"],
            "vfio": ["bench/vfio"], "state": ["bench/state"], "scale": ["bench/scale"],
            "locks": ["bench/locks"]}
MODES = ("one-domain", "own-domains")
PROCESSORS = (1, 2, 4, 8)
# What is measured with a host thread a processor, and with how many processors.
THREADED = {"scale": PROCESSORS, "locks": PROCESSORS[-1:]}


@dataclasses.dataclass
class Task:
    """One boot to do, and what came of it."""
    vendor: Vendor
    driver: str
    parts: tuple
    run: int
    kernel: str = "plain"
    extra: str = ""             # parameters of the benchmark module
    only: str = ""              # one case
    ranges: tuple = ()          # of addresses to profile
    rows: dict = dataclasses.field(default_factory=dict)        # (case, step) -> Row
    scale: dict = dataclasses.field(default_factory=dict)       # (mode, threads) -> pairs a second
    pairs: dict = dataclasses.field(default_factory=dict)       # (mode, threads) -> pairs
    issued: dict = dataclasses.field(default_factory=dict)      # (mode, threads) -> commands
    locks: dict = dataclasses.field(default_factory=dict)   # mode -> lock -> (taken, contended)
    trouble: list = dataclasses.field(default_factory=list)
    missing: list = dataclasses.field(default_factory=list)     # figures that did not come
    outcome: object = None      # the Run
    seconds: float = 0.0

    @property
    def threaded(self):
        return next((p for p in self.parts if p in THREADED), None)

    @property
    def name(self):
        return f"bench-{self.vendor.name}-{self.driver}-{'-'.join(self.parts)}-{self.run}"

    def boot(self):
        scale, state = self.threaded, "state" in self.parts
        devices = list(self.vendor.devices) + [self.vendor.device.format("04.0")]
        if scale:
            devices += [self.vendor.device.format(f"{slot:02x}.0") for slot in range(5, 12)]
        if state:
            devices += [self.vendor.device.format(f"{slot:02x}.{fn}" +
                                                  (",multifunction=on" if not fn else ""))
                        for slot in range(5, 13) for fn in range(8)]
        vendor = self.vendor
        return Boot(self.name, "bench",
                    ["bench/up"] + [v for p in self.parts for v in VERDICTS[p]],
                    driver=self.driver, kernel=self.kernel,
                    iommu=vendor.wide if state else vendor.iommu, devices=devices,
                    mode=vendor.reference if self.driver == "ref" else vendor.off,
                    # The clock of a guest whose instructions are counted: one each nanosecond.
                    # Of many CPUs in threads the others come when the kernel no longer changes
                    # its code: see Run.accelerator().
                    cmdline="" if self.kernel.startswith("arm64") else
                    "maxcpus=1 noreplace-smp" if scale else "tsc_early_khz=1000000",
                    env={"PARTS": " ".join(self.parts), "NOOP_ARGS": vendor.noop,
                         "DEVICE": vendor.ids,
                         "BENCH_ARGS": f"device={vendor.ids} {self.extra}" +
                         (f" only={self.only}" if self.only else ""),
                         "PROFILE": "y" if self.ranges else ""},
                    host={"profile": begin_profile, "profile-end": end_profile},
                    smp=8 if scale else 1, mem=1792 if "vfio" in self.parts else 768,
                    total=900)

    def expected(self):
        return {(case, step) for part in self.parts
                for case, steps in EXPECTED[part].items() for step in steps
                if not self.only or case == self.only}

    def execute(self, guest, show):
        run = BenchRun(guest, self.boot(), self.vendor, not self.threaded,
                       self.threaded != "scale",
                       lambda run, line: ("@@PASS bench/" in line or "@@SCALE" in line) and
                       show(f"    {self.name}: {line.split('@@')[1]}"), self.ranges)
        self.outcome = run
        run.execute()
        self.seconds = run.seconds
        self.trouble = [f"{v.name}: {v.reason}" for v in run.verdicts if v.result == "FAIL"]
        spans = commands_by_mark(run.trace, self.vendor.kinds) if run.tracing else {}
        for line in run.lines:
            m = ROW.search(line)
            if m:
                mark = int(m[6])
                if mark not in spans:
                    self.trouble.append(f"{m[1]} {m[2]}: its marks are not in QEMU's trace")
                self.rows[m[1], m[2]] = Row(int(m[3]) / 100, int(m[4]), int(m[5]),
                                            spans.get(mark, {}))
            m = SCALE.search(line)
            if m:
                key = m[1], int(m[2])
                self.scale[key], self.pairs[key] = int(m[3]), int(m[4])
                self.issued[key] = spans.get(int(m[5]), {})
            m = LOCK.search(line)
            if m and int(m[4]):
                self.locks.setdefault(m[1], {})[m[2].strip()] = int(m[4]), int(m[3])
        self.missing = [f"{case} {step}" for case, step in
                        sorted(self.expected() - set(self.rows))]
        if self.threaded:
            self.missing += [f"{mode} {n}" for mode in MODES for n in THREADED[self.threaded]
                             if (mode, n) not in self.scale]
        if "locks" in self.parts:
            issued = {mode for (mode, _), found in self.issued.items() if found}
            self.missing += [f"{what} of {mode}" for mode in MODES for what, found in
                             (("locks", self.locks), ("commands", issued))
                             if mode not in found and (self.driver, what) != ("noop", "commands")]
        if self.missing:
            self.trouble.append(f"{len(self.missing)} figures were not reported: " +
                                ", ".join(self.missing[:3]) + (", ..." if self.missing[3:] else ""))
        return self


# ---------------------------------------------------------------- results

class Results:
    """The figures of one vendor, over all its boots."""

    def __init__(self, vendor, tasks):
        self.vendor = vendor
        self.tasks = [t for t in tasks if t.vendor is vendor]
        self.rows = {}          # (driver, case, step) -> Row
        self.apart = []         # figures in which two runs differ too much
        seen = {}
        for t in self.tasks:
            for (case, step), row in t.rows.items():
                seen.setdefault((t.driver, case, step), []).append(row)
        for key, found in seen.items():
            low, high = min(r.cost for r in found), max(r.cost for r in found)
            if high - low > TOLERANCE * max(low, 1):
                self.apart.append((key, low, high))
            self.rows[key] = min(found, key=lambda r: r.cost)

    def drivers(self):
        return [d for d in DRIVERS if any(t.driver == d for t in self.tasks)]

    def cost(self, driver, case, step):
        row = self.rows.get((driver, case, step))
        return row.cost if row else None

    def above(self, driver, case, step):
        """Cost above the floor; the cost itself where the floor can't be measured."""
        cost, floor = self.cost(driver, case, step), self.cost("noop", case, step)
        return None if cost is None else cost - (floor or 0)


LETTER = {"context": "c", "iotlb_global": "g", "iotlb_domain": "d", "iotlb_page": "p",
          "device_tlb": "t", "wait": "w"}


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}".removesuffix(".0")


def ratio(ours, ref):
    return "-" if ours is None or not ref or ref < 0.5 else f"{ours / ref:.2f}"


def commands(row):
    if row is None:
        return "-"
    return "+".join(f"{row.commands[k]}{letter}" for k, letter in LETTER.items()
                    if row.commands.get(k)) or "0"


def table(head, rows):
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    for r in [head, *rows]:
        print("  " + "  ".join(c.ljust(w) if i < 2 else c.rjust(w)
                               for i, (c, w) in enumerate(zip(r, widths))).rstrip())


def print_rows(results, parts):
    ours = "omni" in results.drivers()
    head = ["case", "step", "floor", "in-tree", "ours", "ratio", "in-tree+", "ours+", "ratio+",
            "commands", "ours", "lines", "ours", "tables", "ours"]
    rows = []
    for part in parts:
        for case, steps in EXPECTED[part].items():
            for step in steps:
                ref, omni = (results.rows.get((d, case, step)) for d in ("ref", "omni"))
                cost = [results.cost(d, case, step) for d in DRIVERS]
                up = [results.above(d, case, step) for d in ("ref", "omni")]
                rows.append([case, step, *map(number, cost), ratio(cost[2], cost[1]),
                             *map(number, up), ratio(up[1], up[0]),
                             commands(ref), commands(omni),
                             *(str(r.lines) if r else "-" for r in (ref, omni)),
                             *(str(r.pages) if r else "-" for r in (ref, omni))])
    print(f"\n{results.vendor.title}: instructions a call, + is above the floor. Then in-tree and "
          "ours for the whole step: commands QEMU saw\n(c context or device table, g all, d domain, "
          "p pages, t device TLB, w wait), cache lines written back, table pages gained." +
          ("" if ours else "\nours: there is no wing for this vendor yet"))
    table(head, rows)


# Goals: name, case, step, entries to divide by, target (instructions above the floor).
TARGETS = [
    ("map 4K", "4K", "map", 1, 120),
    ("unmap 4K + sync", "4K", "unmap", 1, 450),
    ("iova_to_phys", "4K", "iova_to_phys", 1, 40),
    ("map an entry, 2M as 4K", "2M-as-4K", "map", 512, 5),
    ("map an entry, 256M as 4K", "256M-as-4K", "map", 65536, 5),
    ("unmap an entry, 256M as 4K", "256M-as-4K", "unmap", 65536, 0.4),
    ("map an entry, 1G of 2M", "1G-of-2M", "map", 512, 7),
]


def print_goals(results):
    rows = []
    for name, case, step, entries, goal in TARGETS:
        ref, omni = (results.above(d, case, step) for d in ("ref", "omni"))
        ref, omni = (None if v is None else v / entries for v in (ref, omni))
        rows.append([name, "", *(("-" if v is None else f"{v:.2f}" if entries > 1 else f"{v:.0f}")
                                 for v in (ref, omni)), ratio(omni, ref), str(goal),
                     "-" if omni is None else "met" if omni <= goal else
                     "not met" if results.vendor.floor else "not known"])
    print(f"\n{results.vendor.title}: " + ("above the floor" if results.vendor.floor else
                                          "floor included, which is not known here") +
          ", against the goals")
    table(["what", "", "in-tree", "ours", "ratio", "goal", ""], rows)


def print_scale(results):
    """Throughput: calls a second against those of one processor."""
    tasks = {}
    for t in results.tasks:
        if "scale" in t.parts and t.scale:
            tasks.setdefault(t.driver, t)
    if not tasks:
        return
    print(f"\n{results.vendor.title}: throughput of map + unmap 4K against one processor, and "
          f"thousand pairs a second on this host ({os.cpu_count()} processors)")
    rows = [[mode, f"{n} threads"] + [f"{t.scale.get((mode, n), 0) / t.scale[mode, 1]:.2f} "
                                      f"({t.scale.get((mode, n), 0) / 1e3:.0f}k)"
                                      if t.scale.get((mode, 1)) else "-"
                                      for t in tasks.values()]
            for mode in MODES for n in PROCESSORS]
    table(["mode", "", *(TITLE[d] for d in tasks)], rows)


def print_locks(results):
    """What threads take and wait for: locks by the kernel's own statistics, commands by QEMU."""
    tasks = [t for t in results.tasks if "locks" in t.parts and t.driver != "noop" and t.locks]
    if not tasks:
        return
    n = PROCESSORS[-1]
    # What the kernel takes beside it all, for its own ends.
    beside = {lock for t in results.tasks if t.driver == "noop"
              for found in t.locks.values() for lock in found}
    rows = []
    for mode in MODES:
        for t in tasks:
            pairs = t.pairs.get((mode, n), 0)
            found = {lock: counts for lock, counts in t.locks.get(mode, {}).items()
                     if lock not in beside}
            for lock, (taken, waited) in sorted(found.items(), key=lambda x: -x[1][0]):
                if taken >= pairs / 2 or waited >= pairs / 1000:
                    rows.append([mode, TITLE[t.driver], lock, f"{taken / pairs:.2f}",
                                 f"{1000 * waited / pairs:.1f}", ""])
            rows.append([mode, TITLE[t.driver], f"({pairs} pairs)", "", "",
                         " ".join(f"{1000 * c / max(pairs, 1):.0f}{LETTER[k]}"
                                  for k, c in t.issued.get((mode, n), {}).items()
                                  if k in LETTER)])
    print(f"\n{results.vendor.title}: {n} threads that map and unmap 4K: locks taken a pair, how "
          "often of 1000 pairs\nsomebody had to wait for one, and commands (as above) of 1000 pairs" +
          ("" if beside else "; the kernel's own locks are among them"))
    table(["mode", "", "lock", "a pair", "waited", "commands"], rows)


def write_csv(all_results):
    with open(OUT / "bench.csv", "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["vendor", "driver", "run", "case", "step", "instructions", "lines",
                      "table_pages", *LETTER])
        for results in all_results:
            for t in results.tasks:
                for (case, step), r in t.rows.items():
                    out.writerow([t.vendor.name, TITLE[t.driver], t.run, case, step, r.cost,
                                  r.lines, r.pages, *(r.commands.get(k, 0) for k in LETTER)])
    with open(OUT / "scale.csv", "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["vendor", "driver", "run", "mode", "threads", "pairs_per_second"])
        for results in all_results:
            for t in results.tasks:
                for (mode, n), rate in t.scale.items():
                    if "scale" in t.parts:
                        out.writerow([t.vendor.name, TITLE[t.driver], t.run, mode, n, round(rate)])
    with open(OUT / "locks.csv", "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["vendor", "driver", "mode", "pairs", "lock", "taken", "contended"])
        for results in all_results:
            for t in results.tasks:
                for mode, found in t.locks.items():
                    for name, counts in sorted(found.items()):
                        out.writerow([t.vendor.name, TITLE[t.driver], mode,
                                      t.pairs.get((mode, PROCESSORS[-1])), name, *counts])


# ---------------------------------------------------------------- charts

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SERIES = {
    "4K leaves": {"4K": 4 * KIB, "64K-as-4K": 64 * KIB, "2M-as-4K": 2 * MIB,
                  "256M-as-4K": 256 * MIB},
    "largest leaves": {"4K": 4 * KIB, "64K": 64 * KIB, "2M": 2 * MIB, "1G": GIB},
}
COLOUR = {"noop": "#999999", "ref": "#c05020", "omni": "#2060b0"}


def gnuplot(script, name):
    if not shutil.which("gnuplot"):
        raise HarnessError("gnuplot is missing; run scripts/setup.sh --bench")
    (OUT / f"{name}.gnuplot").write_text(script)
    harness.output_of(["gnuplot", str(OUT / f"{name}.gnuplot")])
    return OUT / f"{name}.svg"


def panel(title, xlabel, ylabel, curves):
    """One plot: curves are (title, colour, dash, [(x, y)])."""
    data, plots = "", []
    for i, (name, colour, dash, points) in enumerate(curves):
        data += f"$d{i} << EOD\n" + "".join(f"{x} {y}\n" for x, y in points) + "EOD\n"
        plots.append(f"$d{i} using 1:2 with linespoints pt 7 ps 0.5 lw 2 dt {dash} "
                     f"lc rgb '{colour}' title '{name}'")
    return (f"{data}set title '{title}'\nset xlabel '{xlabel}'\nset ylabel '{ylabel}'\n"
            "plot " + ", \\\n     ".join(plots) + "\n")


def chart_sizes(results):
    script = (f"set terminal svg size 1200,480 font 'sans,12' background 'white'\n"
              f"set output '{OUT}/{results.vendor.name}-size.svg'\n"
              "set multiplot layout 1,2\nset logscale xy\nset grid\nset key below\n"
              "set xtics ('4K' 4096, '64K' 65536, '2M' 2097152, '256M' 268435456, "
              "'1G' 1073741824)\n")
    for step in ("map", "unmap"):
        curves = []
        for d in results.drivers():
            for n, (kind, cases) in enumerate(SERIES.items()):
                points = [(size, results.cost(d, case, step)) for case, size in cases.items()
                          if results.cost(d, case, step)]
                if points:
                    curves.append((f"{TITLE[d]}, {kind}", COLOUR[d], n + 1, points))
        if not curves:
            return None
        script += panel(f"{results.vendor.title}: {step}", "size", "instructions a call", curves)
    return gnuplot(script, f"{results.vendor.name}-size")


def chart_state(results):
    axes = {"live domains": ("domains-", lambda s: int(s)),
            "address spread, GiB": ("spread-", lambda s: int(s[:-1]) << (10 * (s[-1] == "T"))),
            "devices in the domain": ("devices-", lambda s: int(s))}
    script = (f"set terminal svg size 1500,480 font 'sans,12' background 'white'\n"
              f"set output '{OUT}/{results.vendor.name}-state.svg'\n"
              "set multiplot layout 1,3\nset logscale x 2\nset yrange [0:*]\nset grid\n"
              "set key below\n")
    for label, (prefix, value) in axes.items():
        curves = []
        for d in results.drivers():
            for n, step in enumerate(("map", "first-map", "unmap")):
                points = [(value(case.removeprefix(prefix)), results.cost(d, case, step))
                          for case in EXPECTED["state"] if case.startswith(prefix)
                          and results.cost(d, case, step)]
                if points:
                    curves.append((f"{TITLE[d]}, {step}", COLOUR[d], 1 + (n == 2), points))
        if not curves:
            return None
        script += panel(f"{results.vendor.title}: 4K", label, "instructions a call", curves)
    return gnuplot(script, f"{results.vendor.name}-state")


def chart_scale(results):
    curves = []
    for t in results.tasks:
        for n, mode in enumerate(MODES):
            if "scale" in t.parts and t.scale.get((mode, 1)) and t.run == 1:
                curves.append((f"{TITLE[t.driver]}, {mode}", COLOUR[t.driver], n + 1,
                               [(p, t.scale[mode, p] / t.scale[mode, 1]) for p in PROCESSORS
                                if (mode, p) in t.scale]))
    if not curves:
        return None
    script = (f"set terminal svg size 700,480 font 'sans,12' background 'white'\n"
              f"set output '{OUT}/{results.vendor.name}-scale.svg'\n"
              "set logscale x 2\nset yrange [0:*]\nset grid\nset key below\n")
    return gnuplot(script + panel(f"{results.vendor.title}: map + unmap 4K", "virtual processors",
                                  "throughput against one", curves),
                   f"{results.vendor.name}-scale")


# ---------------------------------------------------------------- profile

# Kernel functions whose instructions are attributed, beside all of the modules'.
PROFILED = re.compile(r"iommu|dmar|qi_|cache_tag|domain_|dma_pte|pfn_to_dma_pte|clflush|amd_|v1_|"
                      r"io_pgtable|build_|wait_on_sem|arm_lpae|arm_smmu|put_pages_list|free_unref|"
                      r"free_pages|get_page|alloc_pages")
MODULES = {"x86": "0xffffffffa0000000+0x40000000", "arm64": "0xffff800000000000+0x80000000"}
EXEC = re.compile(r"^Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")
SYMBOL = re.compile(r"@@SYM ([0-9a-f]+) (\S+)")


def kernel_symbols(kernel):
    """Addresses and names of the kernel's functions, in order."""
    lines = (kernel.headers / "System.map").read_text().splitlines()
    found = [(int(a, 16), name) for a, kind, name in (line.split() for line in lines)
             if kind in "tT"]
    return sorted(found)


def ranges_of(symbols, arch):
    """What PROFILED names, as few ranges as there are gaps."""
    spans = []
    for (start, name), (end, _) in zip(symbols, symbols[1:]):
        if not PROFILED.search(name) or end <= start:
            continue
        if spans and spans[-1][1] == start:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    return tuple([MODULES[arch]] + [f"{a:#x}+{b - a:#x}" for a, b in spans])


INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t(.*)$")
RELOCATION = re.compile(r"^\s*[0-9a-f]+: R_\S+\t(\S+)")


def disassembly(objdump, path, name=None):
    """function -> [(offset, text)], of a module or of one function of the kernel."""
    found, start, said = {}, 0, []
    only = [f"--disassemble={name}"] if name else ["-d"]
    for line in harness.output_of([objdump, *only, "-r", "--no-show-raw-insn", path]).splitlines():
        if line.endswith(">:"):
            address, _, symbol = line.partition(" ")
            start, said = int(address, 16), found.setdefault(symbol[1:-2], [])
        elif m := INSTRUCTION.match(line):
            said.append((int(m[1], 16) - start, " ".join(m[2].split())))
        elif (m := RELOCATION.match(line)) and said:
            said[-1] = said[-1][0], f"{said[-1][1]}    # {m[1]}"
    return found


def annotate(guest, driver, kernel, steps, out):
    """Write the instructions that were executed, and how often. steps: name -> function ->
    offset -> times."""
    objdump = harness.CC[guest.kernel.arch].removesuffix("gcc") + "objdump"
    module = {"omni": lambda: guest.modules["omni", kernel],
              "noop": lambda: guest.modules_of_bench[1]}.get(driver)
    known = disassembly(objdump, module()) if module else {}
    with open(out, "w") as f:
        for step, functions in steps.items():
            for name, offsets in functions.items():
                if name not in known:
                    known |= disassembly(objdump, guest.kernel.headers / "vmlinux", name)
                f.write(f"\n{step}: {name}, {sum(offsets.values())} instructions\n")
                f.writelines(f"{offsets[at]:8}  {at:#6x}  {text}\n"
                             for at, text in known.get(name, ()) if at in offsets)


def profile(guest, vendor, driver, kernel, case):
    """Instructions of each function in the counted round of one case."""
    part = next((p for p in ("cases", "state") if case in EXPECTED[p]), None)
    if not part:
        raise HarnessError(f"there is no case {case} that can be profiled")
    symbols = kernel_symbols(guest.kernel)
    task = Task(vendor, driver, (part,), 0, kernel, "count_lines=N", case, ranges_of(symbols, guest.kernel.arch))
    show(f"{vendor.title}, {TITLE[driver]}, {case}: every instruction is traced")
    task.execute(guest, show)
    for line in task.outcome.lines:
        m = SYMBOL.search(line)
        if m:
            symbols.append((int(m[1], 16), m[2]))
    symbols.sort()
    # Behind the driver's last page comes the benchmark itself.
    symbols.append(((symbols[-1][0] | 0xfff) + 1, "(benchmark)"))
    starts = [a for a, _ in symbols]
    marks = {}
    for line in task.outcome.lines:
        m = ROW.search(line)
        if m:
            marks[int(m[6])] = m[2]
    counts, now = {}, None
    with open(task.outcome.trace, errors="replace") as f:
        for line in f:
            m = EXEC.match(line)
            if m and now:
                pc = int(m[1], 16)
                counts[now][pc] = counts[now].get(pc, 0) + 1
                continue
            m = MARK.search(line)
            if m:
                value = int(m[1], 16)
                now = value >> 1 if value & 1 else None
                if now:
                    counts.setdefault(now, {})
    steps = {}
    for mark, addresses in counts.items():
        if mark not in marks:
            continue
        functions = steps.setdefault(marks[mark], {})
        for pc, n in sorted(addresses.items()):
            start, name = symbols[bisect.bisect_right(starts, pc) - 1]
            functions.setdefault(name, {})[pc - start] = n
        functions.pop("(benchmark)", None)
        sums = {name: sum(offsets.values()) for name, offsets in functions.items()}
        total = task.rows[case, marks[mark]].cost
        print(f"\n{case} {marks[mark]}: {number(total)} instructions at best")
        table(["function", "", "instructions", ""],
              [[name, "", number(n), f"{100 * n / max(total, 1):.0f}%"]
               for name, n in sorted(sums.items(), key=lambda x: -x[1])] +
              [["elsewhere", "", number(total - sum(sums.values())), ""]])
    task.outcome.trace.unlink()
    out = OUT / f"profile-{vendor.name}-{driver}-{case}.txt"
    annotate(guest, driver, kernel, steps, out)
    print(f"\ninstruction by instruction: {out}")
    for t in task.trouble:
        print(f"FAIL {t}")
    return 1 if task.trouble else 0


# ---------------------------------------------------------------- the guard

def baseline_row(row):
    """A figure as the baseline has it: instructions a call, and commands as text."""
    return row.cost, " ".join(f"{n}x{kind}" for kind, n in sorted(row.commands.items()))


def baseline_write(all_results):
    with open(BASELINE, "w", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(["vendor", "case", "step", "instructions", "commands"])
        for r in all_results:
            for (driver, case, step), row in sorted(r.rows.items()):
                if driver == "omni" and case in EXPECTED["cases"]:
                    cost, commands = baseline_row(row)
                    writer.writerow([r.vendor.name, case, step, f"{cost:.0f}", commands])


def guard_task(vendor):
    """The boot whose figures the baseline is about."""
    return Task(VENDORS[vendor], "omni", ("cases",), 0)


def guard(task):
    """Verdicts on that boot's figures, one each: has it left the baseline?"""
    verdicts = []
    with open(BASELINE, newline="") as f:
        known = {(r["case"], r["step"]): r for r in csv.DictReader(f)
                 if r["vendor"] == task.vendor.name}
    for key in sorted(set(known) | task.expected()):
        name, row, reason = f"{key[0]} {key[1]}", task.rows.get(key), ""
        if not row or key not in known:
            reason = "not measured" if not row else "not in the baseline"
        else:
            cost, commands = baseline_row(row)
            before, was = float(known[key]["instructions"]), known[key]["commands"]
            if abs(cost - before) > DRIFT * before:
                reason = (f"{number(cost)} instructions, {number(before)} in the baseline "
                          f"({100 * (cost / before - 1):+.0f}%)")
            elif commands != was:
                reason = f"commands {commands or 'none'}, in the baseline {was or 'none'}"
        if reason:
            reason += "; if it is meant to be so, run `make bench BASELINE=1` and commit " \
                      "bench/baseline.csv"
        verdicts.append(harness.Verdict(task.name, name, "FAIL" if reason else "PASS", reason))
    return verdicts + [harness.Verdict(task.name, "boot", "FAIL", t) for t in task.trouble]


# ---------------------------------------------------------------- two vendors

MIXED = re.compile(r"@@MIXED (\S+) (\S+) (\S+) (\d+) (\d+) (\d+)")
MIXED_CALLS = {"iova_to_phys": 64}      # that a figure is of


class MixedRun(kunit.SuitesRun):
    """The suite of two vendors' models, with a clock that counts instructions."""

    def __init__(self, guest):
        super().__init__(guest, "bench-mixed", "omni_mixed", kunit.Stream(lambda text: None))
        self.boot = dataclasses.replace(self.boot, smp=1,
                                        cmdline=f"{self.boot.cmdline} tsc_early_khz=1000000")

    def arguments(self):
        return super().arguments() + ["-icount", "shift=0,sleep=off"]


def mixed():
    """Prints what was counted; returns what is wrong with it."""
    run = MixedRun(kunit.Guest(harness.find_kernel("plain"), "instructions=Y"))
    run.execute()
    rows, trouble = [], [f"{c.name}: {c.reason}" for c in run.cases() if c.verdict != "PASS"]
    for line in run.lines:
        m = MIXED.search(line)
        if m:
            name, other, what, pages, alone, both = m.groups()
            calls = MIXED_CALLS.get(what, 1)
            rows.append([name, f"{what}, {pages} pages", number(int(alone) / calls),
                         number(int(both) / calls), other, ratio(int(both), int(alone))])
    if not rows:
        trouble.append("no figures were reported")
    print(f"\nTwo vendors' models in one kernel: instructions a call, the model's included, in "
          f"{run.seconds:.0f} s")
    table(["unit", "call", "alone", "beside", "a unit of", "ratio"], rows)
    return trouble


# ---------------------------------------------------------------- main

def show(text, lock=threading.Lock()):
    with lock:
        print(text, flush=True)


def execute(tasks, guests, jobs):
    """Run them, `jobs` at a time, those that measure time alone."""
    def one(task):
        show(f"  {task.name} ...")
        task.execute(guests[task.kernel], show)
        show(f"  {task.name}: {task.seconds:.0f} s" +
             "".join(f"\n      FAIL {t}" for t in task.trouble))

    for alone in (False, True):
        batch = [t for t in tasks if bool(t.threaded) == alone]
        with concurrent.futures.ThreadPoolExecutor(1 if alone else jobs) as pool:
            for done in [pool.submit(one, t) for t in batch]:
                done.result()


def selftest(guest, vendor, kernel):
    """A case that fails must void the run: place all mappings out of any domain's reach."""
    task = Task(vendor, "ref", ("cases",), 0, kernel, extra=f"base={1 << 60:#x}")
    task.execute(guest, lambda text: None)
    # What the module itself said, not what follows from it.
    said = [t for t in task.trouble if re.match(r"domain: first-map failed", t)]
    ok = bool(said) and len(task.missing) == len(task.expected())
    show(("ok   " if ok else "FAIL ") + "a map that fails ends the run, and no figure comes of it" +
         (f": {said[0]}" if said else f": {task.trouble}"))
    return 0 if ok else 1


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--vendor", action="append", choices=sorted(VENDORS), default=[],
                   help="only these (all)")
    p.add_argument("--driver", action="append", choices=DRIVERS, default=[],
                   help="only these (all there are)")
    p.add_argument("--parts", default="cases dma vfio mixed",
                   help="of: cases dma vfio mixed state scale locks")
    p.add_argument("--scale", action="store_true", help="also state, scale and locks")
    p.add_argument("--runs", type=int, default=2, help="boots of each kind, to compare (2)")
    p.add_argument("--jobs", type=int, default=2, help="guests at once (2)")
    p.add_argument("--kernel", choices=("plain", "stock"), default="plain",
                   help="the test kernel, or the distribution's (plain)")
    p.add_argument("--selftest", action="store_true",
                   help="only show that a case which fails is noticed")
    p.add_argument("--baseline", action="store_true",
                   help="measure our own driver's cases, and make them what make check expects")
    p.add_argument("--profile", metavar="CASE",
                   help="only count the instructions of each function in one case")
    args = p.parse_args()
    start = time.monotonic()
    vendors = [VENDORS[v] for v in args.vendor or VENDORS]
    wanted = args.driver or DRIVERS
    parts = args.parts.split()
    if args.baseline:
        # make check has kernels for these.
        vendors, wanted, parts = [VENDORS[v] for v in GUARDED], ("omni",), ["cases"]
    unknown = set(parts) - set(EXPECTED) - {"mixed"}
    if unknown:
        raise HarnessError(f"there is no part {' '.join(sorted(unknown))}")
    if args.scale:
        parts += [x for x in ("state", "scale", "locks") if x not in parts]
    OUT.mkdir(parents=True, exist_ok=True)
    two = "mixed" in parts
    parts = [x for x in parts if x != "mixed"]
    if two and not parts and not args.selftest and not args.profile:
        trouble = mixed()
        for t in trouble:
            print(f"FAIL mixed: {t}")
        return 1 if trouble else 0
    show("building the modules")
    # Statistics of locks cost, so that they have a kernel of their own.
    kernels = dict.fromkeys([args.kernel] * (set(parts) != {"locks"}) +
                            ["lockstat"] * ("locks" in parts))
    guests = {k: BenchGuest(k, need_module="omni" in wanted and not args.selftest)
              for k in dict.fromkeys(v.kernel(k) for k in kernels for v in vendors)}
    if args.selftest:
        kernel = vendors[0].kernel(args.kernel)
        return selftest(guests[kernel], vendors[0], kernel)
    if args.profile:
        return max(profile(guests[k], v, d, k, args.profile)
                   for v in vendors for k in [v.kernel(args.kernel)]
                   for d in v.drivers() if d in wanted)

    # Counted together in one boot; the others need other machines.
    counted = tuple(x for x in parts if x in ("cases", "dma", "vfio"))
    tasks = []
    for vendor in vendors:
        for driver in (d for d in vendor.drivers() if d in wanted):
            # Nothing unpins what the driver that does nothing has not translated.
            usual = tuple(x for x in counted if driver != "noop" or x != "vfio")
            for group, runs in ((usual, args.runs), (("state",), 1), (("scale",), 1),
                                (("locks",), 1)):
                kernel = "lockstat" if "locks" in group else args.kernel
                if group and set(group) <= set(parts):
                    tasks += [Task(vendor, driver, group, r + 1, vendor.kernel(kernel))
                              for r in range(runs)]
    show(f"{len(tasks)} boots, {args.jobs} at a time; logs in {harness.LOGS}")
    execute(tasks, guests, args.jobs)

    all_results = [Results(v, tasks) for v in vendors]
    charts = []
    for results in all_results:
        table_parts = [x for x in parts if EXPECTED[x]]
        if table_parts:
            print_rows(results, table_parts)
        if "cases" in parts:
            print_goals(results)
        print_scale(results)
        print_locks(results)
        charts += [c for c in (chart_sizes(results) if "cases" in parts else None,
                               chart_state(results) if "state" in parts else None,
                               chart_scale(results)) if c]
    write_csv(all_results)
    if args.baseline and not any(t.trouble for t in tasks):
        baseline_write(all_results)
        print(f"baseline: {BASELINE}")
    trouble = mixed() if two else []

    print()
    apart = [(r.vendor, *a) for r in all_results for a in r.apart]
    for vendor, (driver, case, step), low, high in apart:
        print(f"NOTE {vendor.title}, {TITLE[driver]}, {case} {step}: two runs differ by "
              f"{100 * (high - low) / max(low, 1):.1f}% ({number(low)}, {number(high)})")
    if args.runs > 1 and not apart:
        print(f"every figure of two runs agrees within {TOLERANCE:.0%}")
    elif args.runs > 1:
        print("all other figures of two runs agree")
    print("figures: " + ", ".join(str(OUT / f"{name}.csv") for name in ("bench", "scale", "locks")))
    print("charts:  " + ", ".join(map(str, charts)))
    for t in trouble:
        print(f"FAIL mixed: {t}")
    failed = [t for t in tasks if t.trouble]
    for t in failed:
        for line in t.trouble:
            print(f"FAIL {t.name}: {line}")
    print(f"{len(tasks)} boots in {time.monotonic() - start:.0f} s, {len(failed)} failed")
    return 1 if failed or trouble else 0


if __name__ == "__main__":
    harness.start("bench", main, counts=False)
