#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What IOMMU drivers cost, measured side by side in the same kernel.

Boots the plain test kernel under `-icount shift=0`, where guest time is instructions, once with a
driver that does nothing (the floor), once with the in-tree driver, once with omniommu, and runs
the same benchmark module (bench/) in each. Prints a table of instructions a call with ratios to
the in-tree driver, of commands that QEMU saw, of cache lines written back and of table pages;
writes all figures to build/bench/*.csv and draws charts of cost against size there.

With --scale it also measures cost against state (domains, address spread, devices) and, without
instruction counting, throughput against processors.
"""

import argparse
import bisect
import concurrent.futures
import csv
import dataclasses
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
from harness import Boot, Cpio, Guest, HarnessError, Run                # noqa: E402

OUT = harness.BUILD / "bench"
DRIVERS = ("noop", "ref", "omni")
TITLE = {"noop": "floor", "ref": "in-tree", "omni": "omniommu"}
# Two runs of the same boot should not differ by more.
TOLERANCE = 0.01
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

    def drivers(self):
        return [d for d in DRIVERS if d != "omni" or (harness.ROOT / self.wing).exists()]


VENDORS = {v.name: v for v in (
    Vendor("vtd", "Intel VT-d", "snoop-control=on", "snoop-control=on,aw-bits=48", (),
           harness.REFERENCE, harness.OFF, ("vtd_inv_desc*",), tuple(harness.TRACE_KINDS),
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
)}

# SMMUv3 joins with a kernel and a QEMU of its own; the rest of this file does not care.


# ---------------------------------------------------------------- building and booting

def build(kernel):
    """omni_bench.ko and omni_noop.ko, built in a copy."""
    tree = harness.BUILD / "kmod" / f"bench-{kernel.build}"
    for old in tree.parent.glob(f"bench-{kernel.flavour}-*") if not kernel.modular else []:
        if old != tree:
            shutil.rmtree(old)
    tree.mkdir(parents=True, exist_ok=True)
    source = harness.ROOT / "bench"
    for old in tree.glob("*.[ch]"):
        if not (source / old.name).exists() and not old.name.endswith(".mod.c"):
            old.unlink()
    for src in source.iterdir():
        dst = tree / src.name
        if src.name == "Kbuild" or src.suffix in (".c", ".h"):
            if not src.name.endswith(".mod.c") and \
                    (not dst.exists() or dst.read_bytes() != src.read_bytes()):
                dst.write_bytes(src.read_bytes())
    log = harness.LOGS / f"build-bench-{kernel.flavour}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as out:
        rc = subprocess.run(["make", "-j2", "-C", str(kernel.headers), f"M={tree}", "modules"],
                            stdin=subprocess.DEVNULL, stdout=out,
                            stderr=subprocess.STDOUT).returncode
    if rc:
        raise HarnessError(f"building the benchmark failed, log {log}:\n" +
                           "\n".join(log.read_text().splitlines()[-25:]))
    return [tree / "omni_bench.ko", tree / "omni_noop.ko"]


class BenchGuest(Guest):
    def __init__(self, flavour, need_module):
        super().__init__(need_module=need_module, need_programs=False, flavours=(flavour,))
        self.programs = [harness.build_guest_program("vfio-bench")]
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

    def __init__(self, guest, boot, vendor, counting, on_line=None, ranges=()):
        super().__init__(guest, boot, on_line)
        self.ranges = ranges
        self.vendor = vendor
        self.counting = counting

    def arguments(self):
        args = super().arguments()
        at = args.index("-accel")
        args[at + 1] = "tcg" if self.counting else "tcg,thread=multi"
        if self.counting:
            args += ["-icount", "shift=0,sleep=off", "-D", str(self.trace),
                     "-trace", "pci_cfg_write"]
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
    run.monitor("inject-nmi")
    run.monitor("cont")


def end_profile(run):
    for command in ("singlestep off", "log trace:pci_cfg_write"):
        run.monitor("human-monitor-command", **{"command-line": command})


MARK = re.compile(r"pci_cfg_write edu .*@0x2c <- 0x([0-9a-f]+)")


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
SCALE = re.compile(r"@@SCALE (\S+) (\d+) (\d+)")

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
              **{f"devices-{n}": ("map", "unmap") for n in (1, 9, 65)}},
    "scale": {},
}
VERDICTS = {"cases": ["bench/cases"], "dma": ["bench/dma-strict", "bench/dma-lazy"],
            "vfio": ["bench/vfio"], "state": ["bench/state"], "scale": ["bench/scale"]}
MODES = ("one-domain", "own-domains")
PROCESSORS = (1, 2, 4, 8)


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
    trouble: list = dataclasses.field(default_factory=list)
    missing: list = dataclasses.field(default_factory=list)     # figures that did not come
    outcome: object = None      # the Run
    seconds: float = 0.0

    @property
    def name(self):
        return f"bench-{self.vendor.name}-{self.driver}-{'-'.join(self.parts)}-{self.run}"

    def boot(self):
        scale, state = "scale" in self.parts, "state" in self.parts
        devices = list(self.vendor.devices) + [EDU.format("04.0")]
        if scale:
            devices += [EDU.format(f"{slot:02x}.0") for slot in range(5, 12)]
        if state:
            devices += [EDU.format(f"{slot:02x}.{fn}" + (",multifunction=on" if not fn else ""))
                        for slot in range(5, 13) for fn in range(8)]
        vendor = self.vendor
        return Boot(self.name, "bench",
                    ["bench/up"] + [v for p in self.parts for v in VERDICTS[p]],
                    driver=self.driver, kernel=self.kernel,
                    iommu=vendor.wide if state else vendor.iommu, devices=devices,
                    mode=vendor.reference if self.driver == "ref" else vendor.off,
                    # The clock of a guest whose instructions are counted: one each nanosecond.
                    cmdline="" if scale else "tsc_early_khz=1000000",
                    env={"PARTS": " ".join(self.parts), "NOOP_ARGS": vendor.noop,
                         "BENCH_ARGS": self.extra + (f" only={self.only}" if self.only else ""),
                         "PROFILE": "y" if self.ranges else ""},
                    host={"profile": begin_profile, "profile-end": end_profile},
                    smp=8 if scale else 1, mem=1792 if "vfio" in self.parts else 768,
                    total=900)

    def expected(self):
        return {(case, step) for part in self.parts
                for case, steps in EXPECTED[part].items() for step in steps
                if not self.only or case == self.only}

    def execute(self, guest, show):
        run = BenchRun(guest, self.boot(), self.vendor, "scale" not in self.parts,
                       lambda run, line: ("@@PASS bench/" in line or "@@SCALE" in line) and
                       show(f"    {self.name}: {line.split('@@')[1]}"), self.ranges)
        run.execute()
        self.outcome = run
        self.seconds = run.seconds
        self.trouble = [f"{v.name}: {v.reason}" for v in run.verdicts if v.result == "FAIL"]
        spans = commands_by_mark(run.trace, self.vendor.kinds) if run.counting else {}
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
                self.scale[m[1], int(m[2])] = int(m[3])
        self.missing = [f"{case} {step}" for case, step in
                        sorted(self.expected() - set(self.rows))]
        if "scale" in self.parts:
            self.missing += [f"{mode} {n}" for mode in MODES for n in PROCESSORS
                             if (mode, n) not in self.scale]
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


# Issue targets: name, case, step, entries to divide by, target (instructions above the floor).
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
                     "-" if omni is None else "met" if omni <= goal else "not met"])
    print(f"\n{results.vendor.title}: above the floor, against the goals")
    table(["what", "", "in-tree", "ours", "ratio", "goal", ""], rows)


def print_scale(results):
    """Throughput: calls a second against those of one processor."""
    tasks = {}
    for t in results.tasks:
        if t.scale:
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
                    out.writerow([t.vendor.name, TITLE[t.driver], t.run, mode, n, round(rate)])


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
            if t.scale.get((mode, 1)) and t.run == 1:
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
                      r"io_pgtable|build_|wait_on_sem")
MODULES = "0xffffffffa0000000+0x40000000"
EXEC = re.compile(r"^Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")
SYMBOL = re.compile(r"@@SYM ([0-9a-f]+) (\S+)")


def kernel_symbols(kernel):
    """Addresses and names of the kernel's functions, in order."""
    lines = (kernel.headers / "System.map").read_text().splitlines()
    found = [(int(a, 16), name) for a, kind, name in (line.split() for line in lines)
             if kind in "tT"]
    return sorted(found)


def ranges_of(symbols):
    """What PROFILED names, as few ranges as there are gaps."""
    spans = []
    for (start, name), (end, _) in zip(symbols, symbols[1:]):
        if not PROFILED.search(name) or end <= start:
            continue
        if spans and spans[-1][1] == start:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    return tuple([MODULES] + [f"{a:#x}+{b - a:#x}" for a, b in spans])


def profile(guest, vendor, driver, kernel, case):
    """Instructions of each function in the counted round of one case."""
    part = next((p for p in ("cases", "state") if case in EXPECTED[p]), None)
    if not part:
        raise HarnessError(f"there is no case {case} that can be profiled")
    symbols = kernel_symbols(guest.kernel)
    task = Task(vendor, driver, (part,), 0, kernel, "count_lines=N", case, ranges_of(symbols))
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
    out = OUT / f"profile-{vendor.name}-{driver}-{case}.csv"
    with open(out, "w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(["step", "function", "offset", "executed"])
        for mark, addresses in counts.items():
            functions = {}
            for pc, n in sorted(addresses.items()):
                start, name = symbols[bisect.bisect_right(starts, pc) - 1]
                writer.writerow([marks.get(mark, mark), name, hex(pc - start), n])
                functions[name] = functions.get(name, 0) + n
            if mark not in marks:
                continue
            total = task.rows[case, marks[mark]].cost
            print(f"\n{case} {marks[mark]}: {number(total)} instructions at best")
            rows = [[name, "", number(n), f"{100 * n / max(total, 1):.0f}%"] for name, n in
                    sorted(functions.items(), key=lambda x: -x[1])]
            functions.pop("(benchmark)", None)
            rows = [r for r in rows if r[0] != "(benchmark)"]
            rows.append(["elsewhere", "", number(total - sum(functions.values())), ""])
            table(["function", "", "instructions", ""], rows)
    task.outcome.trace.unlink()
    print(f"\nby address: {out}")
    for t in task.trouble:
        print(f"FAIL {t}")
    return 1 if task.trouble else 0


# ---------------------------------------------------------------- main

def show(text, lock=threading.Lock()):
    with lock:
        print(text, flush=True)


def execute(tasks, guest, jobs):
    """Run them, `jobs` at a time, those that measure time alone."""
    def one(task):
        show(f"  {task.name} ...")
        task.execute(guest, show)
        show(f"  {task.name}: {task.seconds:.0f} s" +
             "".join(f"\n      FAIL {t}" for t in task.trouble))

    for alone in (False, True):
        batch = [t for t in tasks if ("scale" in t.parts) == alone]
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
    p.add_argument("--parts", default="cases dma vfio", help="of: cases dma vfio state scale")
    p.add_argument("--scale", action="store_true", help="also state and scale")
    p.add_argument("--runs", type=int, default=2, help="boots of each kind, to compare (2)")
    p.add_argument("--jobs", type=int, default=2, help="guests at once (2)")
    p.add_argument("--kernel", choices=("plain", "stock"), default="plain",
                   help="the test kernel, or the distribution's (plain)")
    p.add_argument("--selftest", action="store_true",
                   help="only show that a case which fails is noticed")
    p.add_argument("--profile", metavar="CASE",
                   help="only count the instructions of each function in one case")
    args = p.parse_args()
    start = time.monotonic()
    vendors = [VENDORS[v] for v in args.vendor or VENDORS]
    wanted = args.driver or DRIVERS
    parts = args.parts.split()
    unknown = set(parts) - set(EXPECTED)
    if unknown:
        raise HarnessError(f"there is no part {' '.join(sorted(unknown))}")
    if args.scale:
        parts += [x for x in ("state", "scale") if x not in parts]
    OUT.mkdir(parents=True, exist_ok=True)
    show("building the modules")
    guest = BenchGuest(args.kernel, need_module="omni" in wanted and not args.selftest)
    if args.selftest:
        return selftest(guest, vendors[0], args.kernel)
    if args.profile:
        return max(profile(guest, v, d, args.kernel, args.profile)
                   for v in vendors for d in v.drivers() if d in wanted)

    # Counted together in one boot; the others need other machines.
    counted = tuple(x for x in parts if x in ("cases", "dma", "vfio"))
    tasks = []
    for vendor in vendors:
        for driver in (d for d in vendor.drivers() if d in wanted):
            # Nothing unpins what the driver that does nothing has not translated.
            usual = tuple(x for x in counted if driver != "noop" or x != "vfio")
            for group, runs in ((usual, args.runs), (("state",), 1), (("scale",), 1)):
                if group and set(group) <= set(parts):
                    tasks += [Task(vendor, driver, group, r + 1, args.kernel) for r in range(runs)]
    show(f"{len(tasks)} boots, {args.jobs} at a time; logs in {harness.LOGS}")
    execute(tasks, guest, args.jobs)

    all_results = [Results(v, tasks) for v in vendors]
    charts = []
    for results in all_results:
        table_parts = [x for x in parts if EXPECTED[x]]
        if table_parts:
            print_rows(results, table_parts)
        if "cases" in parts:
            print_goals(results)
        print_scale(results)
        charts += [c for c in (chart_sizes(results) if "cases" in parts else None,
                               chart_state(results) if "state" in parts else None,
                               chart_scale(results)) if c]
    write_csv(all_results)

    print()
    apart = [(r.vendor, *a) for r in all_results for a in r.apart]
    for vendor, (driver, case, step), low, high in apart:
        print(f"NOTE {vendor.title}, {TITLE[driver]}, {case} {step}: two runs differ by "
              f"{100 * (high - low) / max(low, 1):.1f}% ({number(low)}, {number(high)})")
    if args.runs > 1 and not apart:
        print(f"every figure of two runs agrees within {TOLERANCE:.0%}")
    elif args.runs > 1:
        print("all other figures of two runs agree")
    print("figures: " + ", ".join(str(p) for p in (OUT / "bench.csv", OUT / "scale.csv")))
    print("charts:  " + ", ".join(map(str, charts)))
    failed = [t for t in tasks if t.trouble]
    for t in failed:
        for line in t.trouble:
            print(f"FAIL {t.name}: {line}")
    print(f"{len(tasks)} boots in {time.monotonic() - start:.0f} s, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    harness.start("bench", main, counts=False)
