# SPDX-License-Identifier: GPL-2.0
"""The boots of `make check` on arm64: Debian's stock kernel with QEMU's SMMUv3, by devicetree
and by ACPI."""

import fdt
from check import (HUGE, SHORT, TOUR, WIDE, disk_image, economy, invert, nic, nvme, plug,
                   program_cases, unplug, words)
from harness import Boot

# What the machine has not: stage 1 has no pages that can be written but not read.
NOT_HERE = {"vfio/write-only"}


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
    every = [f"vfio/{c}" for c in program_cases("vfio-edu")]
    # Non-coherent domains are not tracked here yet.
    every = [c for c in every if c not in NOT_HERE and not c.startswith("vfio/clean")]
    add("vfio/default", "vfio", ["iommu/up"] + every, devices=[WIDE, WIDE], mem=4096,
        cmdline=HUGE, total=900, env={"VFIO": words(every)}, smp=2)

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

    # Hot-plug.
    hot = ["iommu/up", "hotplug/plug", "hotplug/group", "hotplug/data", "hotplug/unplug",
           "hotplug/group-gone"]
    add("hotplug/devicetree", "hotplug", hot, smp=2, env={"ONCE": "y"},
        devices=["-device pcie-root-port,id=rp0,slot=1"], host={"plug": plug, "unplug": unplug})
    return out
