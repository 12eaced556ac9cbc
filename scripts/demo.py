#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What omniommu does, shown in one guest: a stock kernel takes the module, a disk and a VFIO
program do DMA through it, an attack fails, the module leaves and comes back."""

import argparse
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness                                                          # noqa: E402
from harness import VERDICT, Boot, Guest, Run                           # noqa: E402
from check import disk_image, nvme                                      # noqa: E402

# The story, in order: verdict name -> what it means. None begins a chapter.
STORY = [
    (None, "A stock kernel, its own IOMMU driver off"),
    ("demo/no-iommu-before", "nothing drives the IOMMU yet"),
    ("demo/load", "insmod omniommu.ko"),
    ("demo/units-and-groups", "units found, every device in a group"),
    (None, "DMA API: an NVMe disk under its stock driver"),
    ("demo/nvme-bound", "the disk comes up"),
    ("demo/nvme-translated", "its DMA is translated"),
    ("demo/nvme-data", "64 MiB written, read back from the device, checksums equal"),
    (None, "VFIO: a user-space driver for a device that does DMA on command"),
    ("demo/vfio-bound", "the edu device is handed to vfio-pci"),
    ("vfio/dma-both-ways", "DMA to and from mapped memory, data equal"),
    (None, "The same device attacks"),
    ("vfio/unmap-then-dma", "DMA to a page just unmapped, IOTLB hot: blocked, memory unchanged"),
    ("vfio/read-only", "DMA write to a read-only page: blocked, memory unchanged"),
    ("vfio/never-mapped", "DMA to an address never mapped: blocked"),
    (None, "It may read and write memory past the CPU's caches (no-snoop)"),
    ("vfio/clean-4k", "300 pages: cache lines cleaned once before the device can reach a page, "
                      "once after, traced page by page"),
    (None, "What it cost: the flush ledger"),
    ("demo/ledger", "operations, flushes and commands are counted"),
    (None, "Leaving"),
    ("demo/stop-refused", "stop while the disk is in use: refused, the device is named"),
    ("demo/stop", "stop once nothing is in use"),
    ("demo/rmmod", "rmmod"),
    ("demo/load-again", "insmod again"),
    ("demo/data-again", "the disk still reads the same, translated again"),
    (None, "Seen from outside the guest"),
    ("host/rejected", "QEMU rejected every access of the attacks"),
    ("host/disk-image", "the disk's image file holds exactly what the guest wrote"),
    ("boot", "the kernel had nothing to complain of"),
    (None, "The same on a unit that makes every access snoop (snoop-control=on)"),
    ("coherent/up", "insmod omniommu.ko"),
    ("coherent/clean-4k", "300 pages: no cache line cleaned"),
    ("coherent/boot", "the kernel had nothing to complain of"),
]
WORDS = {name: words for name, words in STORY if name}
LEDGER = [("ops.", "operations"), ("flush.", "flushes"), ("elided.", "elided, why"),
          (".cmd.", "commands issued"), ("nc.", "caches"), ("", "other")]


class Story:
    def __init__(self, verbose, story=STORY):
        self.verbose = verbose
        self.story = story
        self.words = {name: words for name, words in story if name}
        self.start = time.monotonic()
        self.told = 0
        self.good = self.bad = 0

    def chapters_before(self, name):
        """Print headings of chapters that have begun."""
        names = [n for n, _ in self.story]
        at = names.index(name)
        for n, words in self.story[self.told:at]:
            if n is None:
                print(f"\n{words}", flush=True)
        self.told = max(self.told, at + 1)

    def verdict(self, name, result, reason):
        if name not in self.words:
            self.good += result == "PASS"
            self.bad += result != "PASS"
            if result != "PASS":
                print(f"  FAIL  {name}: {reason}", flush=True)
            return
        self.chapters_before(name)
        ok = result == "PASS"
        self.good += ok
        self.bad += not ok
        print(f"  {'ok  ' if ok else 'FAIL'}  {self.words[name]}" + ("" if ok else f": {reason}") +
              f"  ({time.monotonic() - self.start:.0f} s)", flush=True)
        if self.told < len(self.story) and self.story[self.told][0] is None:
            # What the kernel says next belongs to the next chapter.
            print(f"\n{self.story[self.told][1]}", flush=True)
            self.told += 1

    def line(self, run, line):
        if self.verbose:
            print(f"        | {line}", flush=True)
        m = VERDICT.search(line)
        if not m:
            said = re.search(r"omniommu: .*", line)
            inner = re.search(r"\]   \| (\[.*)", line)
            if inner and not self.verbose:
                # The console of a machine in the guest.
                print(f"        | {inner[1]}", flush=True)
            elif said and not self.verbose and " | " not in line and "taint" not in line:
                print(f"        {said.group(0)}", flush=True)
            return
        word, rest = m.groups()
        if word in ("PASS", "FAIL", "SKIP"):
            name, _, reason = rest.partition(": ")
            if name.strip() == "demo/ledger":
                for part, values in run.data.get("ledger", {}).items():
                    self.ledger(part, values)
            self.verdict(name.strip(), word, reason)
        elif word == "NOTE" and rest.startswith("show: "):
            print(f"        {rest[len('show: '):]}", flush=True)
        elif word == "DATA" and rest.startswith("ledger/"):
            _, part, item = rest.split("/", 2)
            key, _, value = item.partition(" ")
            run.data.setdefault("ledger", {}).setdefault(part, {})[key] = value

    def ledger(self, part, values):
        print("        " + {"nvme": "64 MiB to the disk and back:",
                            "vfio": "the VFIO program and its attacks:",
                       "clean": "300 pages mapped and unmapped, and what that takes:"}[part])
        left = dict(values)
        for prefix, title in LEDGER:
            mine = {k: left.pop(k) for k in list(left) if prefix in k}
            if mine:
                print(f"          {title + ':':17}" + ", ".join(
                    f"{k.split(prefix, 1)[-1] if prefix else k} {v}" for k, v in mine.items()))
        sys.stdout.flush()

    def rest(self, run):
        """The verdicts that did not come from the guest."""
        seen = {m[2].partition(": ")[0].strip() for m in map(VERDICT.search, run.lines) if m}
        for v in run.verdicts:
            if v.name not in seen:
                self.verdict(v.name, v.result, v.reason)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--verbose", action="store_true", help="stream the guest's console")
    p.add_argument("--arch", choices=["x86", "arm64"], default="x86")
    p.add_argument("--vendor", choices=["intel", "amd"], default="intel",
                   help="x86: whose IOMMU the machine has")
    p.add_argument("--acpi", action="store_true", help="arm64: ACPI instead of a devicetree")
    args = p.parse_args()
    story = Story(args.verbose)
    arm = args.arch == "arm64"
    kernel = "arm64" if arm else "stock"
    guest = Guest(flavours=(kernel,))
    machine = f"q35 with {args.vendor}-iommu"
    if arm:
        machine = f"virt with smmuv3, {'ACPI' if args.acpi else 'devicetree'}"
    print(f"Guest: Linux {guest.kernel.version} as Debian ships it; QEMU {machine}, no KVM.")
    away = ("host/", "coherent/")
    boot = Boot("demo", "demo", [n for n in WORDS if not n.startswith(away) and n != "boot" and
                                 not (arm and n == "vfio/clean-4k")],
                devices=[nvme("d0"), "-device edu", "-device pcie-root-port,id=rp0,slot=1"],
                disks={"d0": 80}, env={"MIB": 64}, mem=2048, after=disk_image, unpacked=False,
                kernel=kernel, acpi=args.acpi, vendor=args.vendor)
    print(f"The module is built; booting. Whole console: {harness.LOGS}/demo.log", flush=True)
    run = Run(guest, boot, story.line).execute()
    story.rest(run)
    # Only QEMU's VT-d unit can be had with and without.
    if not arm and args.vendor == "intel":
        second = Run(guest, Boot("demo-coherent", "vfio", ["iommu/up", "vfio/clean-4k"],
                                 iommu="snoop-control=on", devices=["-device edu"],
                                 env={"VFIO": "clean-4k"})).execute()
        for v in second.verdicts:
            story.verdict("coherent/" + v.name.rpartition("/")[2], v.result, v.reason)
    if story.bad:
        print("\nThe last lines of the console:")
        for line in run.tail():
            print(f"  > {line}")
    print(f"\ndemo: {story.good} ok, {story.bad} failed, "
          f"{time.monotonic() - story.start:.0f} s; console in {run.log}")
    return 1 if story.bad else 0


if __name__ == "__main__":
    harness.start("demo", main, counts=False)
