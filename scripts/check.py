#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Every check of omniommu, in QEMU guests under TCG: end to end on the stock kernel and on the
test kernels, the sanitizers' one included, and the KUnit suites.

The last line is exactly `N passed, N failed`, with `, N skipped` where a case said it could not
run; the exit status is 0 only when nothing failed.
"""

import argparse
import hashlib
import os
import re
import sys
import threading
import time
import zlib
from dataclasses import replace

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench                                                            # noqa: E402
import kunit                                                            # noqa: E402
import lint                                                             # noqa: E402
import messages                                                         # noqa: E402
import dmar_tables                                                      # noqa: E402
import harness                                                          # noqa: E402
import pace                                                             # noqa: E402
from harness import Boot, Guest, Run, Verdict                           # noqa: E402

WIDE = "-device edu,dma_mask=0xffffffffffffffff"
ECHO = "guestfwd=tcp:10.0.2.100:1234-cmd:cat"


def nic(model="e1000e", n=0, **props):
    extra = "".join(f",{k}={v}" for k, v in props.items())
    return f"-netdev user,id=n{n},restrict=on,{ECHO} -device {model},netdev=n{n}{extra}"


def nvme(disk, **props):
    extra = "".join(f",{k}={v}" for k, v in props.items())
    return f"-device nvme,serial={disk},drive={disk}{extra}"


def disk_image(run):
    """What the guest says it wrote is what lies in the image file on the host."""
    size = int(run.boot.env["MIB"]) << 20
    with open(run.disk("d0"), "rb") as f:
        have = hashlib.sha256(f.read(size)).hexdigest()
    said = run.data.get("nvme-sha256")
    return [Verdict(run.boot.name, "host/disk-image", "PASS" if have == said else "FAIL",
                    "" if have == said else f"image {have}, guest {said}")]


def same_sums(run):
    a, b = run.data.get("sum-first"), run.data.get("sum-second")
    ok = a and a == b
    return [Verdict(run.boot.name, "host/same-data", "PASS" if ok else "FAIL",
                    "" if ok else f"first boot {a}, second boot {b}")]


# ---------------------------------------------------------------- against the in-tree driver

def partition(data):
    """Groups as a set of sets of devices; devices without a group are left out."""
    groups = {}
    for key, value in data.items():
        if key.startswith("group/") and value:
            groups.setdefault(value, set()).add(key[len("group/"):])
    return {frozenset(g) for g in groups.values()}


def compare_topology(ours, theirs):
    name = ours.boot.name
    verdicts = []

    def judge(case, ok, reason):
        verdicts.append(Verdict(name, case, "PASS" if ok else "FAIL", "" if ok else reason))

    a, b = partition(ours.data), partition(theirs.data)
    show = lambda p: " ".join("{" + ",".join(sorted(g)) + "}" for g in sorted(p, key=sorted))
    judge("same/groups", a and a == b, f"only ours: {show(a - b)}; only in-tree: {show(b - a)}")
    pick = lambda d, prefix: {k: v for k, v in d.items() if k.startswith(prefix)}
    diff = lambda x, y: "; ".join(f"{k}: ours '{x.get(k)}', in-tree '{y.get(k)}'"
                                  for k in sorted(set(x) | set(y)) if x.get(k) != y.get(k))
    ra, rb = pick(ours.data, "reserved/"), pick(theirs.data, "reserved/")
    judge("same/reserved-regions", ra and ra == rb, diff(ra, rb))
    ua, ub = pick(ours.data, "unit/"), pick(theirs.data, "unit/")
    # How many domains are in use depends on the driver's own policy; that it is sane does not.
    used = "unit/dmar0/domains_used"
    if "sane/domains-used" in compared(ours.boot):
        judge("sane/domains-used",
              re.fullmatch(r"\d+", ua.get(used, "")) and
              0 < int(ua[used]) <= int(ua.get("unit/dmar0/domains_supported", "0")),
              f"ours '{ua.get(used)}', in-tree '{ub.get(used)}'")
    ua.pop(used, None)
    ub.pop(used, None)
    judge("same/unit-attributes", ua and ua == ub, diff(ua, ub))
    return verdicts


COMPARED = ["same/groups", "same/reserved-regions", "sane/domains-used", "same/unit-attributes"]


def compared(boot):
    """The cases of a comparison; only VT-d units say how many domains they have."""
    return [c for c in COMPARED if boot.vendor == "intel" or c != "sane/domains-used"]


# ---------------------------------------------------------------- flush economy

def economy(run):
    """Between two marks QEMU saw the commands that the ledger says were issued."""
    verdicts = []
    marks = dict(run.marks)
    for name in run.boot.env["SPANS"].split():
        case = f"economy/{name}"
        try:
            seen = run.trace_commands(marks[f"{name} begin"], marks[f"{name} end"])
        except KeyError:
            continue        # the guest did not get there: reported as a case that never came
        said = {}
        for kind in seen:
            # There is one unit, whatever its name.
            begin, end = ([int(v) for k, v in run.data.items()
                           if k.startswith(f"ledger/{name}/{when}/") and
                           k.rpartition(".cmd.")[2] in kind.split("+")] for when in ("begin", "end"))
            said[kind] = sum(end) - sum(begin) if begin and end else None
        diff = ", ".join(f"{k}: ledger {said[k]}, QEMU {seen[k]}" for k in seen
                         if said[k] != seen[k])
        verdicts.append(Verdict(run.boot.name, case, "FAIL" if diff else "PASS", diff))
        run.notes.append(f"{case}: " + ", ".join(f"{k} {v}" for k, v in seen.items() if v))
    return verdicts


# ---------------------------------------------------------------- hot-plug

def plug_in(run, n, **device):
    # The guest sees a device go before QEMU has let go of it, and that of its disk.
    for last in [False] * 600 + [True]:
        left = run.monitor("qom-list", path="/machine/peripheral")
        if last or not any(item["name"].startswith("hot") for item in left):
            try:
                run.monitor("device_add", id=f"hot{n}", bus="rp0", **device)
                return
            except harness.HarnessError as e:
                if last or "Permission conflict" not in str(e):
                    raise
        time.sleep(0.1)


def plug(run, n):
    plug_in(run, n, driver="nvme", drive="d0", serial=f"hot{n}")


def plug_edu(run, n):
    plug_in(run, n, driver="edu", dma_mask=0xffffffffffffffff)


def unplug(run, n):
    run.monitor("device_del", id=f"hot{n}")


# ---------------------------------------------------------------- the boots

# Cases of the VFIO program that every machine runs; all of them run on a few.
SHORT = ["vfio/dma-both-ways", "vfio/unmap-then-dma", "vfio/read-only", "vfio/never-mapped"]
# The guests that only see insmod refuse a table need none of this.
LEAN = "initcall_blacklist=jent_mod_init,load_system_certificate_list"
# 1 GiB leaves need a page of that size, kept at boot.
HUGE = "hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=24"
# Odd tables that matter to more than the parser: where the unit is, whose devices, what memory.
BROUGHT_UP = {"qemu", "qemu-atsr", "include-all", "flags-all", "width-64", "no-scope",
              "unknown-structures", "rhsa-absurd-domain", "satc-required", "rmrr-absent-device",
              "rmrr-overlapping", "drhd-size-field", "absent-device", "long-path"}
TOUR = ["iommu/up", "nvme1/data", "e1000e/data", "life/leave-and-return"] + SHORT


def boots(args):
    base = [nvme("d0"), nic()]
    edus = [WIDE, WIDE]
    disks = {"d0": 80}
    out = []
    add = out.append

    # The DMA API: default domain types, and the types switched in sysfs.
    def dma(name, want, switch, cmdline="", **more):
        cases = ["iommu/up", "nvme/bound", "nvme/domain-type", "nvme/data", "e1000e/link",
                 "e1000e/domain-type", "e1000e/data"]
        for t in switch.split():
            t = t.lower()
            cases += [f"switch/{t}", f"switch/{t}-nvme-data", f"switch/{t}-e1000e-data"]
        mib = more.pop("mib", 32)
        # Without switches the image is as the first write left it; with them it is overwritten.
        if not switch:
            cases.append("host/disk-image")
            more["after"] = disk_image
        add(Boot(f"dma/{name}", "dmaapi", cases, devices=base, disks=disks, cmdline=cmdline,
                 env={"MIB": mib, "TYPE": want, "SWITCH": switch}, tags={"ref"}, **more))

    dma("lazy", "DMA-FQ", "", mib=64)
    dma("strict", "DMA", "", cmdline="iommu.strict=1", smp=2)
    dma("passthrough", "identity", "", cmdline="iommu=pt")
    dma("switch", "DMA-FQ", "DMA DMA-FQ identity", smp=2, mib=8)
    dma("switch-strict", "identity", "DMA identity", cmdline="iommu=pt iommu.strict=1", mib=8)

    # Machines. Each tour has a twin under the in-tree driver whose topology must be the same.
    # What differs in registers alone is toured on the plain kernel, which boots in a fifth of
    # the time; the stock kernel has every kind of device and of topology.
    def tour(name, iommu="", devices=None, cases=TOUR, env=None, ref=True, smp=1, disks=disks,
             twin=None, kernel="stock", **more):
        devices = base + edus if devices is None else devices
        env = {"VFIO": ",".join(c.removeprefix("vfio/") for c in SHORT
                                if c in cases), **(env or {})}
        add(Boot(f"tour/{name}", "variant", cases, iommu=iommu,
                 devices=devices, disks=disks, env=env, smp=smp,
                 compare=f"in-tree/{twin or name}" if ref else None, tags={"ref"}, kernel=kernel,
                 **more))
        if ref and not twin:
            add(Boot(f"in-tree/{name}", "topology", ["iommu/up"], driver="ref", iommu=iommu,
                     devices=devices, disks=disks, kernel=kernel))

    tour("default")
    tour("aw-48", "aw-bits=48", smp=2, kernel="plain")
    tour("caching-mode", "caching-mode=on", kernel="plain")
    tour("caching-mode-48", "caching-mode=on,aw-bits=48", smp=2, ref=False, kernel="plain")
    tour("snoop-control", "snoop-control=on", smp=2)
    tour("scalable-unit", "x-scalable-mode=on", kernel="plain")
    tour("no-pass-through", "pt=off", smp=2, kernel="plain")
    tour("no-pass-through-identity", "pt=off", ref=False, cmdline="iommu=pt", kernel="plain")
    tour("no-interrupt-remapping", "intremap=off", kernel="plain")
    tour("no-extended-interrupts", "intremap=on,eim=off", smp=2, kernel="plain")
    tour("registers", env={"OMNI_ARGS": "queue=N"}, twin="default", smp=2)
    tour("fault-timer", env={"OMNI_ARGS": "fault_irq=N"}, twin="default")
    tour("device-iotlb", "device-iotlb=on",
         ["-device pcie-root-port,id=rp0,slot=1",
          nic("virtio-net-pci", bus="rp0", iommu_platform="on", ats="on",
              **{"disable-legacy": "on"}),
          nvme("d0")],
         cases=["iommu/up", "nvme1/data", "virtio-net/data", "virtio-net/ats",
                "life/leave-and-return"], env={"ATS": "y"})
    tour("root-ports", "",
         ["-device pcie-root-port,id=rp0,slot=1 -device pcie-root-port,id=rp1,slot=2",
          nvme("d0", bus="rp0"), nic(bus="rp1"), *edus], kernel="plain")
    tour("switch", "",
         ["-device pcie-root-port,id=rp0,slot=1 -device x3130-upstream,id=up,bus=rp0",
          "-device xio3130-downstream,id=dn0,bus=up,chassis=5,slot=5",
          "-device xio3130-downstream,id=dn1,bus=up,chassis=6,slot=6",
          nvme("d0", bus="dn0"), nic(bus="dn1"), *edus], smp=2)
    tour("bridge", "",
         ["-device pcie-root-port,id=rp0,slot=1 -device pcie-pci-bridge,id=br0,bus=rp0",
          nic("e1000", bus="br0", addr="1"), "-device edu,bus=br0,addr=2", nvme("d0")],
         cases=["iommu/up", "nvme1/data", "e1000/data", "life/leave-and-return"])
    tour("bridge-on-root-bus", "",
         ["-device i82801b11-bridge,id=br0", nic("e1000", bus="br0", addr="1"),
          "-device edu,bus=br0,addr=2", nvme("d0")],
         cases=["iommu/up", "nvme1/data", "e1000/data", "life/leave-and-return"], smp=2)
    tour("multifunction", "",
         [nvme("d0", addr="5.0", multifunction="on"), nic(addr="5.1"),
          "-device virtio-rng-pci,addr=5.2", WIDE + ",addr=6.0", WIDE + ",addr=8.0",
          "-device pcie-root-port,id=rp0,slot=1,addr=7.0,multifunction=on",
          "-device pcie-root-port,id=rp1,slot=2,addr=7.1", nvme("d1", bus="rp1")],
         disks={"d0": 80, "d1": 80},
         cases=TOUR + ["nvme2/data"])

    # L1: loading under load.
    live = ["nvme/bound", "live/busy-before", "live/insmod", "live/busy-after", "live/identity",
            "live/unbound-translated", "live/stop-or-busy", "live/no-lost-io",
            "live/no-complaint", "live/switched", "live/same-after-switch"]
    for smp in (1, 2):
        add(Boot(f"live/{smp}-cpu", "live", live, devices=base, disks=disks, smp=smp))
    add(Boot("live/no-pass-through", "live", live, devices=base, disks=disks, iommu="pt=off"))

    # L2: leaving.
    rounds = 1000 if args.long else 200
    life = ["iommu/up", "nvme/bound", "nvme/data", "life/busy", "life/busy-rmmod",
            "life/works-after-refusal", "life/leave-and-return", "life/returned-data",
            "life/rounds", "life/no-growth", "life/last-time", "life/last-data"]
    add(Boot(f"life/{rounds}-rounds", "life", life, disks=disks, env={"ROUNDS": rounds},
             devices=["-device pcie-root-port,id=rp0,slot=1", nvme("d0"), nic(),
                      "-device edu"], total=900 if not args.long else 3600))

    # L3: somebody else's unit.
    refuse = ["refuse/insmod", "refuse/says-why", "refuse/not-loaded", "refuse/nothing-left"]
    disk_cases = ["refuse/disk-before", "refuse/disk-after"]

    def refused(name, why, iommu="", mode=None, disk=True, **more):
        add(Boot(name, "refuse", refuse + (disk_cases if disk else []), iommu=iommu,
                 mode=mode, devices=[nvme("d0")] if disk else [], disks=disks if disk else {},
                 env={"WHY": why}, **more))

    refused("refuse/in-tree-driver", "omniommu:.*intel_iommu=off",
            mode="intel_iommu=on intremap=off")
    refused("refuse/interrupt-remapping", "omniommu:.*intremap=off", "intremap=on",
            mode="intel_iommu=off")
    refused("refuse/in-tree-and-remapping", "omniommu:.*(intel_iommu|intremap)=off", "intremap=on",
            mode="intel_iommu=on")
    refused("refuse/no-translation", "omniommu:.*(translat|width)", "dma-translation=off")
    refused("refuse/no-unit", "omniommu: no IOMMU found", None)

    # L4: malformed firmware tables, and odd ones that are in order. The firmware suite reads all
    # of them; what a guest adds is that nothing is left of a refused bring-up, and for the odd
    # ones that a unit comes up. Most by the plain kernel.
    tables = [c for c in dmar_tables.cases() if c[0] not in dmar_tables.PARSER]
    tables = [c for i, c in enumerate(tables) if i % 5 == 0 or c[0] in dmar_tables.MACHINE]
    for i, (name, table, expect) in enumerate(tables):
        stock = i % 5 == 0
        refused(name, expect, disk=False, dmar=bytes(table), early_splats=True, mem=384,
                total=120, kernel="stock" if stock else "plain",
                cmdline=f"{LEAN if stock else ''} {dmar_tables.args(name)}".strip())
    for name, table in dmar_tables.good():
        if name.partition("/")[2] in BROUGHT_UP:
            add(Boot(name, "topology", ["iommu/up"], dmar=bytes(table), early_splats=True,
                     mem=384, total=120, kernel="plain"))

    # Reserved memory: reported, kept mapped, and nothing more.
    add(Boot("reserved/regions", "reserved",
             ["iommu/up", "reserved/direct", "reserved/relaxable", "reserved/msi",
              "reserved/translated", "reserved/kept-mapped", "reserved/not-more",
              "reserved/fault-said", "reserved/fault-told", "reserved/not-for-vfio"],
             devices=["-device edu,addr=04.0,dma_mask=0xffffffffffffffff",
                      "-device qemu-xhci,addr=05.0"],
             dmar=reserved_table(), early_splats=True,
             env={"RMRR": f"{RESERVED:x}", "EDU": "0000:00:04.0", "UNIT": "dmar0"},
             cmdline=f"memmap=0x20000$0x{RESERVED:x} iomem=relaxed"))

    # The units lose their state, and get it back.
    add(Boot("suspend/to-memory", "suspend",
             ["iommu/up", "nvme/data", "nvme/translated", "suspend/slept", "suspend/data",
              "vfio/unmap-then-dma"], disks=disks, unpacked=False,
             devices=[nvme("d0"), "-device edu,dma_mask=0xffffffffffffffff",
                      "-global ICH9-LPC.disable_s3=0"]))

    # L6: reboot and kexec.
    add(Boot("reboot/reset", "reboot",
             ["first/iommu-up", "first/domain-type", "first/write", "second/boots",
              "second/iommu-up", "second/data", "host/same-data"], devices=[nvme("d0")],
             disks=disks, reboots=1, after=same_sums))
    kexec = ["first/iommu-up", "first/domain-type", "first/data", "first/kexec-load",
             "second/boots", "second/unit-was-off", "second/iommu-up", "second/domain-type",
             "second/data", "host/same-data"]
    for name, second in (("to-in-tree", "ref"), ("to-ours", "omni")):
        add(Boot(f"kexec/{name}", "kexec", kexec, devices=[nvme("d0")], disks=disks, mem=1024,
                 kexec_env={"driver": second, "script": "kexec-second"}, after=same_sums,
                 smp=2 if second == "ref" else 1))

    # Hot-plug.
    hot = ["iommu/up", "hotplug/plug", "hotplug/group", "hotplug/data", "hotplug/unplug",
           "hotplug/group-gone", "hotplug/replug", "hotplug/replug-data", "hotplug/unplug-busy",
           "hotplug/third", "hotplug/third-data"]
    for name, iommu in (("plain", ""), ("caching-mode", "caching-mode=on")):
        add(Boot(f"hotplug/{name}", "hotplug", hot, iommu=iommu, disks=disks, smp=2,
                 devices=["-device pcie-root-port,id=rp0,slot=1"], tags={"ref"},
                 host={"plug": plug, "unplug": unplug}))
    out += vfio_boots(args)
    out += iommufd_boots(args)

    # The same again where everything is built in, and under the sanitizers. What a debug boot
    # has in its name is all that runs there.
    named = {b.name: b for b in out}

    def again(kernel, source, name=None, **more):
        b = named[source]
        add(replace(b, name=f"{kernel}/{name or source}", kernel=kernel, compare=None,
                    total=max(b.total, 480), **more))

    for source in ("dma/lazy", "dma/strict", "live/2-cpu", "reboot/reset"):
        again("plain", source)
    # Not on the debug kernel: its lock validator finds a cycle inside the kernel's own driver for
    # the slots.
    again("plain", "hotplug/caching-mode", "hotplug-native",
          devices=named["hotplug/plain"].devices + [NATIVE])

    def debug(source, name=None, **more):
        b = named[source]
        # Room for the sanitizers, and no more: the leak scans read all of it.
        small = {"cmdline": "hugepagesz=2M hugepages=8"} if b.cmdline == HUGE else {}
        again("debug", source, name, mem=1536, **small, **more)

    debug("dma/lazy")
    debug("dma/switch-strict")
    debug(f"life/{rounds}-rounds", "life-20-rounds",
          expect=[c for c in life if c != "life/no-growth"],
          env={**named[f"life/{rounds}-rounds"].env, "ROUNDS": 20})
    vfio = SHORT + ["vfio/unaligned-iova", "vfio/partial-unmap", "vfio/remap-leaf-size",
                    "vfio/map-refused", "vfio/cycles", "vfio/two-groups",
                    "vfio/attach-detach-under-load", "vfio/killed"]
    debug("vfio/caching-mode-48", "vfio-subset", expect=["iommu/up"] + vfio, smp=2,
          env={"VFIO": words(vfio), "VFIO_ARGS": "--scale 10"})
    fd = [f"iommufd/{c}" for c in
          ("dma-both-ways", "unmap-then-dma", "partial-unmap", "copy", "two-hwpts",
           "replace-refused", "replace", "destroy-orders", "iommufd-closed",
           "killed-replacing")]
    debug("iommufd/default", "iommufd-subset",
          expect=["iommu/up"] + fd + ["life/leave-and-return"],
          env={"IOMMUFD": words(fd), "IOMMUFD_ARGS": "--replace-ms 8000 --every 13"})
    # A table that is refused halfway; the suites read all of them on this kernel, too.
    debug("dmar/scope-truncated")
    return out


def words(cases):
    """The names that a program is given, of the cases it reports."""
    return ",".join(c.partition("/")[2] for c in cases)


# The x86 test kernels on which the suites are run.
SUITES = ["plain", "debug"]

# Guest scripts that run compiled programs, whatever their environment says.
PROGRAMS = {"vfio", "iommufd", "reserved", "suspend", "pages", "see"}

RESERVED = 0x2e000000


def reserved_table():
    """A DMAR with reserved memory for an edu device and for a USB controller."""
    devices = [dmar_tables.scope(dmar_tables.ENDPOINT, 0, (slot, 0)) for slot in (4, 5)]
    return dmar_tables.table(dmar_tables.unit(),
                             dmar_tables.rmrr(RESERVED, RESERVED + 0xffff, devices))


def program_cases(name):
    """What a guest program offers, in its own words."""
    program = harness.build_guest_program(name)
    return harness.output_of([program, "--list"]).split()


def split_clean(cases):
    """The cases that count what is cleaned, which are omniommu's alone, run in boots of their
    own; those that want the device pulled in one with a slot for it."""
    clean = [c for c in cases if c.partition("/")[2].startswith("clean-")]
    unplugged = [c for c in clean if "unplugged" in c]
    return ([c for c in cases if c not in clean], [c for c in clean if c not in unplugged],
            unplugged)


# A device behind a port that it can be pulled from.
PULLED = ["-device pcie-root-port,id=rp0,slot=1", WIDE + ",id=hot1,bus=rp0"]
PULL = {"plug": plug_edu, "unplug": unplug}
# The slots' own hot-plug, where the stock kernel has ACPI's.
NATIVE = "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"


def invert(run):
    """The negative control: with the unmap-time invalidation left out, the stale DMA gets
    through, so the case that watches for it has to fail."""
    name = "vfio/unmap-then-dma"
    got = [v for v in run.verdicts if v.name == name]
    run.verdicts = [v for v in run.verdicts if v.name != name]
    caught = bool(got) and got[0].result == "FAIL" and "memory changed" in got[0].reason
    said = f"{got[0].result} {got[0].reason}" if got else "nothing"
    return [Verdict(run.boot.name, "control/stale-dma-is-caught", "PASS" if caught else "FAIL",
                    "" if caught else f"{name} said {said}")]


def vfio_boots(args):
    every, clean, unplugged = split_clean(program_cases("vfio-edu"))
    # A ledger is not the in-tree driver's to have.
    if args.reference:
        every = [c for c in every if c != "vfio/economy"]
    out = []

    def add(name, iommu="", smp=1, cases=every, devices=(WIDE, WIDE), without=(), kernel="plain",
            **env):
        cases = [c for c in cases if c.partition("/")[2] not in without]
        out.append(Boot(f"vfio/{name}", "vfio", ["iommu/up"] + cases, iommu=iommu, smp=smp,
                        devices=list(devices), mem=4096, cmdline=HUGE, total=480, tags={"ref"},
                        kernel=kernel, env={"VFIO": words(cases), **env}))

    # What depends on the kernel or on the page tables alone is not repeated on each machine; the
    # random case is long, and two machines are enough for it.
    once = {"write-only", "map-refused", "two-devices", "killed"}
    add("default", smp=2, kernel="stock")
    add("narrow-devices", devices=("-device edu", "-device edu"), VFIO_ARGS="--narrow",
        without=once | {"random", "leaves-1g", "parallel-spaces", "attach-detach-under-load"})
    add("caching-mode-48", "caching-mode=on,aw-bits=48", without=once)
    add("snoop-control", "snoop-control=on", smp=2,
        without=once | {"random", "parallel-spaces", "aperture-ends", "unaligned-iova"})
    add("registers", without=once | {"random", "leaves-1g", "aperture-ends"}, OMNI_ARGS="queue=N")
    add("behind-bridge", cases=SHORT, kernel="stock",
        devices=["-device pcie-root-port,id=rp0,slot=1 -device pcie-pci-bridge,id=br0,bus=rp0",
                 WIDE + ",bus=br0,addr=1"])
    for name, iommu, kernel in (("default", "", "stock"),
                                ("snoop-control", "snoop-control=on", "plain")):
        # The stock kernel tells which frames they are.
        add(f"clean-{name}", iommu, smp=2, cases=clean, kernel=kernel)
        out[-1].tags = set()
        out.append(Boot(f"pages/{name}", "pages",
                        ["iommu/up", "pages/driver"] + program_cases("pages-edu") +
                        ["pages/rmmod", "life/stop"], iommu=iommu, devices=[WIDE], smp=2))
    # The slot is emptied under a user who has memory mapped, by way of the kernel and of VFIO.
    add("clean-unplugged", smp=2, cases=unplugged, kernel="stock", devices=PULLED)
    out[-1].tags = set()
    out[-1].host = PULL
    out.append(Boot("control/skipped-flush", "vfio",
                    ["iommu/up", "vfio/dma-both-ways", "control/stale-dma-is-caught"],
                    driver="skip-flush", devices=[WIDE], after=invert,
                    env={"VFIO": "dma-both-ways,unmap-then-dma"}))
    for name, iommu, cmdline, smp in (
            ("lazy", "", "", 1), ("strict", "", "iommu.strict=1", 2),
            ("caching-mode", "caching-mode=on", "", 1), ("device-iotlb", "device-iotlb=on", "", 2),
            ("device-iotlb-strict", "device-iotlb=on", "iommu.strict=1", 1)):
        ats = "device-iotlb" in name
        spans = ["nvme-read", "nvme-leave"] + (["ats-read", "ats-leave"] if ats else []) + [
            "vfio-dma", "vfio-pages", "vfio-cycles", "vfio-economy"]
        devices = [nvme("d0"), WIDE, WIDE]
        if ats:
            devices += ["-device pcie-root-port,id=rp0,slot=1 -device virtio-blk-pci,bus=rp0,"
                        "drive=d1,iommu_platform=on,ats=on,disable-legacy=on"]
        out.append(Boot(f"economy/{name}", "economy",
                        ["iommu/up", "nvme/bound"] + [f"economy/{s}" for s in spans] +
                        (["economy/ats"] if ats else []),
                        iommu=iommu, cmdline=cmdline, smp=smp, trace=True, after=economy,
                        devices=devices, disks={"d0": 80, "d1": 80} if ats else {"d0": 80},
                        mem=2560, env={"SPANS": " ".join(spans), "ATS": "y" if ats else ""}))
    return out


def iommufd_boots(args):
    """iommufd and VFIO cdevs: only the test kernels have them."""
    every, clean, unplugged = split_clean(program_cases("iommufd-edu"))
    if args.reference:
        every = [c for c in every if c != "iommufd/economy"]
    out = []

    def add(name, iommu="", smp=2, without=(), **env):
        cases = [c for c in every if c.partition("/")[2] not in without]
        out.append(Boot(f"iommufd/{name}", "iommufd",
                        ["iommu/up"] + cases + ["life/leave-and-return"], kernel="plain",
                        iommu=iommu, smp=smp, devices=[WIDE, WIDE], mem=4096, cmdline=HUGE,
                        total=480, tags={"ref"}, env={"IOMMUFD": words(cases), **env}))

    out.append(Boot("iommufd/clean", "iommufd", ["iommu/up"] + clean, kernel="plain", smp=2,
                    devices=[WIDE, WIDE], mem=4096, cmdline=HUGE, env={"IOMMUFD": words(clean)}))
    out.append(Boot("iommufd/clean-unplugged", "iommufd", ["iommu/up"] + unplugged,
                    kernel="plain", smp=2, devices=PULLED + [NATIVE], mem=4096, cmdline=HUGE,
                    host=PULL, env={"IOMMUFD": words(unplugged)}))
    # What depends on the kernel alone is not repeated on each machine.
    once = {"random", "leaves-1g", "map-refused", "aperture-ends", "killed", "map-anywhere",
            "parallel-spaces", "two-devices", "unaligned-iova", "detach"}
    add("default")
    add("caching-mode", "caching-mode=on", smp=1, without=once - {"random"},
        IOMMUFD_ARGS="--replace-ms 8000")
    add("snoop-control", "snoop-control=on,aw-bits=48", without=once,
        IOMMUFD_ARGS="--replace-ms 8000")
    return out


# ---------------------------------------------------------------- running them

class Console:
    def __init__(self, total, verbose):
        self.lock = threading.Lock()
        self.total = total
        self.verbose = verbose
        self.count = 0
        self.start = self.spoke = time.monotonic()
        self.running = {}       # name -> since when
        threading.Thread(target=self.still_there, daemon=True).start()

    def say(self, text):
        with self.lock:
            self.spoke = time.monotonic()
            print(text, flush=True)

    def still_there(self):
        """Nothing is silent for long."""
        while True:
            time.sleep(5)
            now = time.monotonic()
            if self.running and now - self.spoke > 45:
                self.say("      running: " + ", ".join(
                    f"{name} ({now - since:.0f} s)" for name, since in list(self.running.items())))

    def line(self, run, line):
        if self.verbose:
            self.say(f"{run.boot.name} | {line}")

    def suites(self, name):
        """Shows what a run of the suites has to say: each suite once, and what is wrong."""
        seen = set()

        def show(text):
            m = re.match(r"(ok|FAIL|SKIP) +[\d.]+ s +([^/]+)/", text)
            if self.verbose or not m or m[1] == "FAIL":
                self.say(f"      {name}: {text.strip()}")
            elif m[2] not in seen:
                self.say(f"      {name}: {m[2]}")
            if m:
                seen.add(m[2])
        return show

    def finished(self, run):
        bad = [v for v in run.verdicts if v.result == "FAIL"]
        skipped = [v for v in run.verdicts if v.result == "SKIP"]
        with self.lock:
            self.spoke = time.monotonic()
            self.count += 1
            print(f"[{self.count:3}/{self.total}] {time.monotonic() - self.start:4.0f}s  "
                  f"{'ok  ' if not bad else 'FAIL'} {run.boot.name}: "
                  f"{len(run.verdicts) - len(bad) - len(skipped)} of {len(run.verdicts)} "
                  f"in {run.seconds:.0f} s, {run.cpu:.0f} of a processor", flush=True)
            for v in bad + skipped:
                print(f"      {v.result} {v.boot}: {v.name}: {v.reason}")
            if bad:
                print(f"      log {run.log}, " + ("what the kernel reported:" if run.report else
                                                  "its last lines:"))
                for line in run.report or run.tail():
                    print(f"      > {line}")
            sys.stdout.flush()


class Suites:
    """A run of the KUnit suites on one test kernel, beside the boots. part: of so many rounds
    one. Its random programs change with the sources and with the kernel, and with nothing else:
    what passed once does not fail for its dice."""

    def __init__(self, kernel, part=0):
        self.name = f"kunit/{kernel}"
        self.kernel = kernel
        self.part = part
        self.seeds = zlib.crc32(kernel.encode(), harness.sources_number()) or 1
        self.total = kunit.LIMITS[kernel]
        self.mem = kunit.MEMORY


class Guard:
    """The costs of one vendor's wing, beside the boots: have they left the baseline?"""

    kernel = "plain"
    total = 300
    mem = 768

    def __init__(self, vendor):
        self.vendor = vendor
        self.name = f"cost/{vendor}"


class Here:
    """What is looked at on this machine, in seconds: the documents against the sources, and the
    sources by the checkers that are quick."""

    kernel = None
    total = 1
    mem = 0

    def __init__(self, name, look):
        self.name = name
        self.look = look    # returns (case, what is wrong, or None, why it can't be told)


class HereRun:
    """What a boot's run has, for the console."""

    proc = report = None
    cpu = 0.0

    def __init__(self, here):
        began = time.monotonic()
        self.boot = here
        self.verdicts = []
        self.lines = []
        for case, wrong, why in here.look():
            result = "SKIP" if wrong is None else "FAIL" if wrong else "PASS"
            self.verdicts.append(Verdict(here.name, case, result, "; ".join(wrong or [why])))
            self.lines += [f"{case}: {line}" for line in wrong or []]
        self.seconds = time.monotonic() - began
        self.log = harness.LOGS / f"{here.name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("".join(f"{line}\n" for line in self.lines))

    def tail(self):
        return self.lines


def listed(job):
    """The cases of a boot, in the order in which they are reported."""
    return job.expect + ["boot"] + (compared(job) if job.compare else [])


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--only", default="", metavar="REGEX",
                   help="run only the boots whose name matches (make check ONLY=...)")
    p.add_argument("--arch", choices=["x86", "arm64"],
                   help="whose boots; without it all of x86 and some of arm64")
    p.add_argument("--vendor", choices=["intel", "amd"], help="one vendor's x86 boots alone")
    p.add_argument("--list", action="store_true", help="list boots and their cases, run nothing")
    p.add_argument("--jobs", type=int, default=0,
                   help="guests at once (as many as keep the processors busy)")
    p.add_argument("--long", action="store_true", help="1000 rounds of insmod and rmmod, not 200")
    p.add_argument("--reference", action="store_true",
                   help="run what can be run on the kernel's own driver instead of ours, to tell "
                        "a wrong check from a wrong driver")
    p.add_argument("--clients", action="store_true",
                   help="instead, the boots in which other people's programs use the module "
                        "(make check-clients)")
    p.add_argument("--verbose", action="store_true", help="stream the consoles")
    args = p.parse_args()
    import amd_boots        # which take from here what machines share
    import arm_boots
    import client_boots
    import see_boots

    chosen = boots(args) + see_boots.boots(args) \
        if args.arch != "arm64" and args.vendor != "amd" else []
    if args.arch != "arm64" and args.vendor != "intel":
        chosen += amd_boots.boots(args) + see_boots.amd_boots(args)
    if args.arch == "arm64":
        chosen += arm_boots.boots(args) + see_boots.arm_boots(args)
    if args.clients:
        chosen = [b for b in client_boots.boots(args) if args.vendor in (None, b.vendor)]
    elif not args.arch and not args.vendor:
        chosen += arm_boots.always(args)
    if args.reference:
        ours = {"life/leave-and-return"}
        chosen = [replace(b, driver="ref", compare=None,
                          expect=[c for c in b.expect if c not in ours])
                  for b in chosen if "ref" in b.tags and b.kernel != "debug"]
    known = {b.name: b for b in chosen}
    wanted = [b for b in chosen if re.search(args.only, b.name)]
    for b in list(wanted):
        if b.compare and known[b.compare] not in wanted:
            wanted.append(known[b.compare])
    suites = [Suites(k) for k in SUITES] if args.arch != "arm64" else []
    if args.arch != "x86":
        suites.append(Suites("arm64-plain", part=0 if args.arch else 64))
    suites = [s for s in suites
              if not args.clients and not args.reference and not args.vendor and
              re.search(args.only, s.name)]

    guards = [g for v, maker in (("vtd", "intel"), ("amd", "amd")) for g in [Guard(v)]
              if not args.clients and not args.reference and args.arch != "arm64" and
              args.vendor in (None, maker) and re.search(args.only, g.name)]

    heres = [h for h in (Here("docs", lambda: [(*c, "") for c in messages.judge()]),
                         Here("lint", lint.quick))
             if not args.clients and not args.reference and args.arch != "arm64" and
             not args.vendor and re.search(args.only, h.name)]

    if args.list:
        for b in wanted:
            print(f"{b.name} ({b.kernel} kernel, {b.smp} CPU{'s' if b.smp > 1 else ''})")
            for case in listed(b):
                print(f"    {case}")
        for s in suites:
            print(f"{s.name}: every KUnit suite on the {s.kernel} kernel")
        for g in guards:
            print(f"{g.name}: instructions and commands of every case of the benchmark")
        for h in heres:
            print(f"{h.name}: on this machine, without a guest")
        print(f"{sum(len(listed(b)) for b in wanted)} cases in {len(wanted)} boots"
              f"{', and the suites' if suites else ''}")
        return 0
    if not wanted and not suites and not guards and not heres:
        print(f"no boot matches '{args.only}'; --list (make check LIST=1) shows them",
              file=sys.stderr)
        return 2

    if any(b.script == "tools" for b in wanted):
        see_boots.prepare()
    if any(h.name == "lint" for h in heres):
        lint.prepare()
    if args.clients:
        client_boots.prepare()
    flavours = [f for f in ("stock", "plain", "debug", "kcsan", "arm64", "arm64-plain")
                if any(j.kernel == f for j in wanted + suites + guards)]
    guest = Guest(need_module=not args.reference, flavours=flavours,
                  modules_for={b.kernel for b in wanted},
                  need_programs=any(b.env.get("VFIO") or b.script in PROGRAMS for b in wanted)) \
        if flavours else None
    for f in {b.kernel for b in wanted if b.driver == "skip-flush"}:
        guest.add_variant("skip-flush", "OMNI_TEST_SKIP_UNMAP_FLUSH=1", flavour=f)
    prepared = {s.name: kunit.prepare(s.kernel, part=s.part, seeds=s.seeds) for s in suites}
    measured = bench.BenchGuest("plain", need_module=True) if guards else None
    versions = ", ".join(k.version for k in guest.kernels.values()) if guest else "none"
    print(f"guest kernels {versions}; {len(wanted)} boots, logs in {harness.LOGS}", flush=True)
    console = Console(len(wanted) + len(suites) + len(guards) + len(heres), args.verbose)
    runs = {}

    def one(boot):
        for attempt in range(3):
            run = Run(guest, boot, console.line)
            runs[boot.name] = run
            try:
                run.execute()
            except OSError as e:
                run.verdicts = [Verdict(boot.name, "boot", "FAIL", f"the guest was not run: {e}")]
                break
            # QEMU's TCG now and then breaks a kernel while it patches itself at boot. Nothing of
            # ours is loaded before the guest's init speaks, so only then there is another try.
            if any("@@NOTE guest" in line for line in run.lines) or attempt == 2:
                break
            console.say(f"      {boot.name}: the guest's kernel did not get to init, booting it "
                        "again")
        console.finished(run)

    def run_suites(suites):
        console.say(f"      {suites.name}: random programs with SEEDS={suites.seeds}")
        run = kunit.suites_run(prepared[suites.name], console.suites(suites.name))
        runs[suites.name] = run
        run.execute()
        run.verdicts = [Verdict(suites.name, c.name, c.verdict, c.reason) for c in run.cases()]
        console.finished(run)

    def run_guard(guard):
        task = bench.guard_task(guard.vendor)
        try:
            task.execute(measured, lambda text: None)
        finally:
            runs[guard.name] = task.outcome
        task.outcome.boot = replace(task.outcome.boot, name=guard.name)
        task.outcome.verdicts = [replace(v, boot=guard.name) for v in bench.guard(task)]
        console.finished(task.outcome)

    def look_here(here):
        runs[here.name] = HereRun(here)
        console.finished(runs[here.name])

    def job(job):
        console.running[job.name] = time.monotonic()
        try:
            (run_suites if isinstance(job, Suites) else
             look_here if isinstance(job, Here) else
             run_guard if isinstance(job, Guard) else one)(job)
        finally:
            console.running.pop(job.name)

    # Long ones first, so that the last minutes are not one guest's alone.
    jobs = heres + sorted(wanted + suites + guards, key=lambda j: -j.total)
    try:
        pace.run_all(jobs, job, args.jobs)
    except BaseException:
        for run in list(runs.values()):
            if run.proc and run.proc.poll() is None:
                run.proc.kill()
        raise

    verdicts = [v for r in runs.values() for v in r.verdicts]
    for b in wanted:
        if b.compare:
            found = compare_topology(runs[b.name], runs[b.compare])
            verdicts += found
            for v in found:
                if v.result == "FAIL":
                    print(f"FAIL {v.boot}: {v.name}: {v.reason}")
    return harness.closing_boots(len(jobs), console.start, verdicts)


if __name__ == "__main__":
    harness.start("check", main)
