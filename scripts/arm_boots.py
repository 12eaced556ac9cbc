# SPDX-License-Identifier: GPL-2.0
"""The boots of `make check` on arm64, with QEMU's SMMUv3: Debian's stock kernel and the test
kernel, by devicetree and by ACPI."""

from dataclasses import replace

import fdt
import iort_tables
from check import (HUGE, SHORT, TOUR, WIDE, disk_image, economy, invert, nic, nvme, plug,
                   program_cases, same_sums, split_clean, unplug, words)
from harness import Boot

# What the machine has not: stage 1 has no pages that can be written but not read.
# What a device without a domain does is refused without an event (IHI 0070 5.2, Config 0b000),
# and these want to read of one.
NOT_HERE = {"vfio/write-only", "iommufd/detach", "iommufd/iommufd-closed"}


# What a `make check` for all architectures runs of this: boots that see much in little time.
ALWAYS = [f"arm64/{name}" for name in (
    "tour/devicetree", "tour/acpi", "live/early", "kexec/to-in-tree", "refuse/in-tree-driver-acpi",
    "plain/vfio/subset", "plain/iommufd/subset", "plain/economy/ranges",
    "plain/control/skipped-flush", "plain/life-20-rounds", "plain/hotplug/devicetree",
    "plain/pages/default", "plain/devicetree/empty-map", "plain/iort/maps-to-nothing")]


def always(args):
    named = {b.name: b for b in boots(args)}
    return [named[name] for name in ALWAYS]


def boots(args):
    out = []
    base = [nvme("d0"), nic()]
    disks = {"d0": 80}

    def add(name, script, expect, **more):
        more.setdefault("mem", 1024)
        out.append(Boot(f"arm64/{name}", script, expect, kernel="arm64", disks=disks,
                        tags={"arm64"}, **more))

    # The DMA API.
    dma = ["iommu/up", "nvme/bound", "nvme/domain-type", "nvme/data", "e1000e/link",
           "e1000e/domain-type", "e1000e/data"]
    for name, want, cmdline, acpi in (("strict", "DMA", "iommu.strict=1", False),
                                      ("lazy", "DMA-FQ", "iommu.strict=0", True),
                                      ("passthrough", "identity", "iommu.passthrough=1", False)):
        add(f"dma/{name}", "dmaapi", [*dma, "host/disk-image"], devices=base, cmdline=cmdline,
            acpi=acpi, env={"MIB": 16, "TYPE": want, "SWITCH": ""}, after=disk_image, smp=2)
    add("dma/switch", "dmaapi",
        dma + [f"switch/{t}{part}" for t in ("identity", "dma")
               for part in ("", "-nvme-data", "-e1000e-data")],
        devices=base, cmdline="iommu.strict=1",
        env={"MIB": 8, "TYPE": "DMA", "SWITCH": "identity DMA"})

    # Machines.
    def tour(name, devices=None, cases=TOUR, env=None, **more):
        env = {"VFIO": words([c for c in SHORT if c in cases]), **(env or {})}
        add(f"tour/{name}", "variant", cases, env=env,
            devices=base + [WIDE, WIDE] if devices is None else devices, **more)

    tour("devicetree")
    tour("acpi", acpi=True, smp=2)
    tour("single-pages", env={"OMNI_ARGS": "range=N"})
    tour("fault-timer", env={"OMNI_ARGS": "fault_irq=N"})
    tour("root-ports",
         ["-device pcie-root-port,id=rp0,slot=1 -device pcie-root-port,id=rp1,slot=2",
          nvme("d0", bus="rp0"), nic(bus="rp1"), WIDE, WIDE])
    tour("bridge", ["-device pcie-root-port,id=rp0,slot=1 -device pcie-pci-bridge,id=br0,bus=rp0",
                    nic("e1000", bus="br0", addr="1"), "-device edu,bus=br0,addr=2", nvme("d0")],
         cases=["iommu/up", "nvme1/data", "e1000/data", "life/leave-and-return"])

    # What the firmware may say of the unit, in order or not.
    lean = dict(devices=base, cases=["iommu/up", "nvme1/data", "e1000e/data",
                                     "life/leave-and-return"])
    tour("not-coherent", tree=fdt.without("smmuv3", "dma-coherent"), **lean)
    tour("no-interrupts", tree=fdt.without("smmuv3", "interrupts", "interrupt-names"),
         **{**lean, "devices": base + [WIDE], "cases": lean["cases"] + SHORT})

    # VFIO.
    every, clean, _ = split_clean([c for c in program_cases("vfio-edu") if c not in NOT_HERE])
    add("vfio/default", "vfio", ["iommu/up"] + every, devices=[WIDE, WIDE], mem=4096,
        cmdline=HUGE, total=900, env={"VFIO": words(every)}, smp=2)
    # The unit can't make a device snoop: its pages are cleaned.
    for acpi in (False, True):
        add(f"vfio/clean-{'acpi' if acpi else 'devicetree'}", "vfio", ["iommu/up"] + clean,
            devices=[WIDE, WIDE], mem=4096, cmdline=HUGE, total=900, smp=2, acpi=acpi,
            env={"VFIO": words(clean)})
    add("pages/default", "pages", ["iommu/up", "pages/driver"] + program_cases("pages-edu") +
        ["pages/rmmod", "life/stop"], devices=[WIDE], smp=2)

    add("control/skipped-flush", "vfio",
        ["iommu/up", "vfio/dma-both-ways", "control/stale-dma-is-caught"], driver="skip-flush",
        devices=[WIDE], after=invert, env={"VFIO": "dma-both-ways,unmap-then-dma"})
    spans = ["nvme-read", "nvme-leave", "vfio-dma", "vfio-pages", "vfio-cycles", "vfio-economy"]
    for name, cmdline, env in (("ranges", "iommu.strict=0", {}),
                               ("single-pages", "", {"OMNI_ARGS": "range=N"})):
        add(f"economy/{name}", "economy",
            ["iommu/up", "nvme/bound"] + [f"economy/{s}" for s in spans], cmdline=cmdline,
            trace=True, after=economy, devices=[nvme("d0"), WIDE, WIDE], mem=2560,
            env={"SPANS": " ".join(spans), "ATS": "", **env})

    # L1: drivers that did not wait for the module, one of them busy.
    add("live/early", "live",
        ["nvme/bound", "live/busy-before", "live/insmod", "live/busy-after", "live/identity",
         "live/stop-or-busy", "live/no-lost-io", "live/no-complaint", "live/switched",
         "live/same-after-switch"], devices=base, cmdline="deferred_probe_timeout=1")

    add("live/driver-leaves", "early",
        ["early/bound", "early/before", "iommu/up", "early/open", "early/closed", "early/said",
         "early/bound-again", "early/translated", "early/still"], devices=[WIDE],
        cmdline="deferred_probe_timeout=1 mem=768M", env={"FROM": "70000000", "TO": "70010000"})

    # L2.
    life = ["iommu/up", "nvme/bound", "nvme/data", "life/busy", "life/busy-rmmod",
            "life/works-after-refusal", "life/leave-and-return", "life/returned-data",
            "life/rounds", "life/no-growth", "life/last-time", "life/last-data"]
    rounds = 1000 if args.long else 200
    add(f"life/{rounds}-rounds", "life", life, env={"ROUNDS": rounds},
        devices=["-device pcie-root-port,id=rp0,slot=1", *base, "-device edu"],
        total=900 if not args.long else 3600)

    # L3.
    refuse = ["refuse/insmod", "refuse/says-why", "refuse/not-loaded", "refuse/nothing-left",
              "refuse/disk-before", "refuse/disk-after"]
    for name, why, tree in (
            ("no-registers", "omniommu: .*tells no registers", fdt.without("smmuv3", "reg")),
            ("few-registers", "omniommu: .*tells no registers",
             fdt.cell("smmuv3", "reg", 3, 0x100)),
            # Flash memory: what answers there is no unit.
            ("other-device", "omniommu: .*can't be driven", fdt.cell("smmuv3", "reg", 1, 0))):
        # Drivers have to do without the module, and get their turn after a second.
        add(f"refuse/{name}", "refuse", refuse, tree=tree, devices=[nvme("d0")],
            cmdline="deferred_probe_timeout=1", env={"WHY": why})
    for acpi in (False, True):
        add(f"refuse/in-tree-driver-{'acpi' if acpi else 'devicetree'}", "refuse", refuse,
            acpi=acpi, mode="", devices=[nvme("d0")],
            env={"WHY": "omniommu:.*initcall_blacklist=arm_smmu_driver_init"})
    add("refuse/no-unit", "refuse", refuse, iommu=None, devices=[nvme("d0")],
        env={"WHY": "omniommu: no IOMMU found"})

    # L4: a firmware that tells in no order who is behind the unit, and odd ones that are in order.
    for name, raw, why in iort_tables.cases():
        if name in iort_tables.PARSER:
            continue
        # Without a disk: the kernel follows what such a table says when it binds a driver.
        add(name, "refuse", [r for r in refuse if "disk" not in r], acpi=True, dmar=raw,
            early_splats=True, env={"WHY": why})
    for name, raw in iort_tables.good():
        tour(name, acpi=True, dmar=raw, early_splats=True, **lean)
    for name, why, tree in (
            ("short-map", "its length is 12", fdt.shorter("pcie", "iommu-map", 1)),
            ("map-to-nothing", "there is no node 0x7777", fdt.cell("pcie", "iommu-map", 1, 0x7777)),
            ("empty-map", "its range is empty", fdt.cell("pcie", "iommu-map", 3, 0)),
            ("map-around-the-end", "its range is empty or goes around the end",
             fdt.cell("pcie", "iommu-map", 2, 0xfffff000)),
            ("two-cells", "the unit wants 2 cells", fdt.cell("smmuv3", "#iommu-cells", 0, 2))):
        add(f"devicetree/{name}", "refuse", refuse, tree=tree, devices=[nvme("d0")],
            cmdline="deferred_probe_timeout=1",
            env={"WHY": f"omniommu: devicetree: .*pcie.*: iommu-map at 0x0: .*{why}"})

    # L6.
    add("reboot/reset", "reboot",
        ["first/iommu-up", "first/domain-type", "first/write", "second/boots", "second/iommu-up",
         "second/data", "host/same-data"], devices=[nvme("d0")], reboots=1, after=same_sums,
        cmdline="deferred_probe_timeout=1 iommu.strict=0")

    # The program that loads the second kernel takes no devicetree whose seed for the kernel's
    # address is not wiped, and a kernel that is told to stay where it is wipes none. Without UEFI
    # nothing keeps the second kernel off the first one's table of message interrupts.
    for name, second, acpi in (("to-in-tree", "ref", True), ("to-ours", "omni", True),
                               ("devicetree", "ref", False)):
        add(f"kexec/{name}", "kexec",
            ["first/iommu-up", "first/domain-type", "first/data", "first/kexec-load",
             "second/boots", "second/unit-was-off", "second/iommu-up", "second/domain-type",
             "second/data", "host/same-data"], devices=[nvme("d0")], after=same_sums, acpi=acpi,
            machine="" if acpi else ",dtb-randomness=off,its=off", cmdline="iommu.strict=0",
            kexec_env={"driver": second, "script": "kexec-second"})

    # Hot-plug.
    hot = ["iommu/up", "hotplug/plug", "hotplug/group", "hotplug/data", "hotplug/unplug",
           "hotplug/group-gone"]
    add("hotplug/devicetree", "hotplug", hot, smp=2, env={"ONCE": "y"},
        devices=["-device pcie-root-port,id=rp0,slot=1"], host={"plug": plug, "unplug": unplug})

    # iommufd: only the test kernel has it.
    fd, clean, _ = split_clean([c for c in program_cases("iommufd-edu") if c not in NOT_HERE])
    for name, cases, acpi in (("default", fd, False), ("clean", clean, True)):
        add(f"iommufd/{name}", "iommufd", ["iommu/up"] + cases, devices=[WIDE, WIDE], mem=4096,
            cmdline=HUGE, total=900, smp=2, acpi=acpi, env={"IOMMUFD": words(cases)})
        out[-1].kernel = "arm64-plain"

    # Some of it where everything is built in; that kernel is there in a fifth of the time.
    named = {b.name.removeprefix("arm64/"): b for b in out}

    def plain(source, name=None, **more):
        out.append(replace(named[source], name=f"arm64/plain/{name or source}",
                           kernel="arm64-plain", **more))

    for source in ("economy/ranges", "control/skipped-flush", "hotplug/devicetree",
                   "pages/default", "devicetree/empty-map", "iort/maps-to-nothing"):
        plain(source)
    subset = SHORT + [f"vfio/{c}" for c in (
        "unaligned-iova", "partial-unmap", "remap-leaf-size", "map-refused", "cycles",
        "two-groups", "attach-detach-under-load", "killed")]
    small = {"mem": 1536, "cmdline": "hugepagesz=2M hugepages=8"}
    plain("vfio/default", "vfio/subset", expect=["iommu/up"] + subset, **small,
          env={"VFIO": words(subset), "VFIO_ARGS": "--scale 3"})
    subset = [f"iommufd/{c}" for c in (
        "dma-both-ways", "unmap-then-dma", "partial-unmap", "copy", "two-hwpts",
        "replace", "destroy-orders", "killed-replacing")]
    plain("iommufd/default", "iommufd/subset", expect=["iommu/up"] + subset, **small,
          env={"IOMMUFD": words(subset), "IOMMUFD_ARGS": "--replace-ms 3000 --every 13"})
    plain(f"life/{rounds}-rounds", "life-20-rounds",
          expect=[c for c in life if c != "life/no-growth"],
          env={**named[f"life/{rounds}-rounds"].env, "ROUNDS": 20})
    return out
