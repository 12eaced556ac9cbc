#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A virtual machine in a guest is given the guest's disk, through omniommu and vfio-pci, and gives
it back."""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import client_boots                                                     # noqa: E402
import harness                                                          # noqa: E402
from demo import Story                                                  # noqa: E402
from harness import Guest, Run                                          # noqa: E402

STORY = [
    (None, "The first guest: a stock kernel, our module, an NVMe disk under its stock driver"),
    ("iommu/up", "insmod omniommu.ko"),
    ("nvme/bound", "the disk comes up"),
    ("vm/pattern-written", "random data written to it, read back, equal"),
    ("vm/host-root", "QEMU is there: the host's, by a read-only mount of its root"),
    ("vm/handed-over", "the disk is handed to vfio-pci"),
    (None, "The second level: QEMU in the guest, its own stock kernel, the disk by vfio-pci"),
    ("second/boots", "it has booted"),
    ("second/disk", "its NVMe driver has the disk"),
    ("second/reads-pattern", "it reads what the first guest wrote"),
    ("second/writes", "it writes data of its own behind that"),
    (None, "What that cost: the ledger of the machine's domain"),
    ("vm/domain", "all of its memory was mapped in one domain, with the disk alone"),
    ("vm/ended", "the machine has powered off"),
    ("vm/domain-gone", "its domain is gone"),
    (None, "The disk is back in the first guest"),
    ("vm/returned", "its NVMe driver has it"),
    ("vm/translated", "translated again"),
    ("vm/reads-both", "it reads what either of them wrote"),
    ("vm/no-faults", "no access was refused all the time"),
    (None, "Seen from outside"),
    ("host/nothing-rejected", "nor did QEMU's unit refuse any"),
    ("host/disk-image", "the image file holds exactly what either of them wrote"),
    ("boot", "neither kernel had anything to complain of"),
]


class Tale(Story):
    """The story, and the ledger when its chapter has come."""

    def line(self, run, line):
        m = harness.VERDICT.search(line)
        if m and m[1] == "PASS" and m[2].startswith("vm/domain-gone"):
            self.costs("to start and to end the machine:", run.data, "vm/")
        elif m and m[2].startswith("vm/domain") and m[1] != "DATA":
            self.costs("its domain, since its first words:", run.data, "domain/")
        super().line(run, line)

    def costs(self, title, data, prefix):
        counts = [(k[len(prefix):], v) for k, v in data.items() if k.startswith(prefix)]
        print(f"        {title}")
        for at in range(0, len(counts), 6):
            print("          " + ", ".join(f"{k} {v}" for k, v in counts[at:at + 6]), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--verbose", action="store_true", help="stream the guest's console")
    p.add_argument("--vendor", choices=["intel", "amd"], default="intel",
                   help="whose IOMMU the machine has")
    args = p.parse_args()
    client_boots.prepare(["qemu-system-x86"])
    tale = Tale(args.verbose, STORY)
    guest = Guest(need_programs=False)
    boot = client_boots.vm("demo-vm", args.vendor)
    print(f"Guests: Linux {guest.kernel.version} as Debian ships it, in QEMU q35 with "
          f"{args.vendor}-iommu, no KVM; and in that, once more.\n"
          f"That takes two to four minutes. Whole console: {harness.LOGS}/demo-vm.log",
          flush=True)
    run = Run(guest, boot, tale.line).execute()
    tale.rest(run)
    if tale.bad:
        print("\nThe last lines of the console:")
        for line in run.tail():
            print(f"  > {line}")
    print(f"\ndemo-vm: {time.monotonic() - tale.start:.0f} s; console in {run.log}")
    return harness.closing([v.result for v in run.verdicts])


if __name__ == "__main__":
    harness.start("demo-vm", main)
