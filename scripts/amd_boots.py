# SPDX-License-Identifier: GPL-2.0
"""The boots of `make check` with QEMU's AMD-Vi unit, on the stock and the plain kernel."""

import ivrs_tables
from check import (HUGE, LEAN, RESERVED, SHORT, TOUR, WIDE, disk_image, economy, invert, nic,
                   nvme, plug, program_cases, same_sums, split_clean, unplug, words)
from harness import Boot


def boots(args):
    out = []
    base = [nvme("d0"), nic()]
    disk = {"d0": 80}

    def add(name, script, expect, **more):
        more.setdefault("disks", disk)
        # The unit's events do not tell what it blocked; what QEMU says on the host's side does.
        if "after" not in more and any("unmap-then-dma" in c for c in expect):
            expect = [*expect, "host/rejected"]
        out.append(Boot(f"amd/{name}", script, expect, vendor="amd",
                        tags=more.pop("tags", {"ref"}), **more))

    # The DMA API.
    dma = ["iommu/up", "nvme/bound", "nvme/domain-type", "nvme/data", "e1000e/link",
           "e1000e/domain-type", "e1000e/data"]
    for name, want, cmdline, smp in (("lazy", "DMA-FQ", "", 1),
                                     ("strict", "DMA", "iommu.strict=1", 2),
                                     ("passthrough", "identity", "iommu=pt", 1)):
        add(f"dma/{name}", "dmaapi", [*dma, "host/disk-image"], devices=base, cmdline=cmdline,
            env={"MIB": 16, "TYPE": want, "SWITCH": ""}, after=disk_image, smp=smp,
            tags=set() if name == "lazy" else {"ref"})      # which this unit never gets there
    add("dma/switch", "dmaapi",
        dma + [f"switch/{t}{part}" for t in ("dma", "dma-fq", "identity")
               for part in ("", "-nvme-data", "-e1000e-data")],
        devices=base, smp=2, tags=set(),
        env={"MIB": 8, "TYPE": "DMA-FQ", "SWITCH": "DMA DMA-FQ identity"})

    # Machines, each with a twin under the in-tree driver whose topology must be the same.
    def tour(name, devices=None, cases=TOUR, env=None, twin=None, kernel="stock", **more):
        devices = base + [WIDE, WIDE] if devices is None else devices
        env = {"VFIO": words([c for c in SHORT if c in cases]), **(env or {})}
        add(f"tour/{name}", "variant", cases, env=env, devices=devices, kernel=kernel,
            compare=f"amd/in-tree/{twin or name}", **more)
        if not twin:
            add(f"in-tree/{name}", "topology", ["iommu/up"], driver="ref", devices=devices,
                kernel=kernel, tags=set())

    tour("default")
    # The unit has no guest page tables: the driver says so, and goes on as without being asked.
    tour("event-timer", env={"OMNI_ARGS": "event_irq=N amd_pgtable=v2"}, twin="default", smp=2)
    # QEMU 7.2 knows a device that is behind a bridge from the start by the bus number it had before
    # the firmware gave it one: its DMA goes by another device's entry, whoever drives the unit.
    # So these are looked at and not used.
    for name, devices in (
            ("root-ports", ["-device pcie-root-port,id=rp0,slot=1 -device pcie-root-port,id=rp1,slot=2",
                            nvme("d0", bus="rp0"), nic(bus="rp1"), WIDE]),
            ("bridge", ["-device pcie-root-port,id=rp0,slot=1 -device pcie-pci-bridge,id=br0,bus=rp0",
                        nic("e1000", bus="br0", addr="1"), "-device edu,bus=br0,addr=2",
                        nvme("d0")])):
        for driver, more in (("omni", {"compare": f"amd/in-tree/{name}"}), ("ref", {})):
            add(f"{'in-tree' if driver == 'ref' else 'topology'}/{name}", "topology", ["iommu/up"],
                driver=driver, devices=devices, tags=set(), kernel="plain", **more)

    # VFIO, iommufd.
    # Nothing is plugged here; what is cleaned is nothing.
    every = sum(split_clean(program_cases("vfio-edu"))[:2], [])
    ours = {"vfio/economy", "iommufd/economy"} if args.reference else set()
    every = [c for c in every if c not in ours]
    add("vfio/default", "vfio", ["iommu/up"] + every, devices=[WIDE, WIDE], disks={}, mem=4096,
        cmdline=HUGE, total=480, env={"VFIO": words(every)}, smp=2, kernel="plain")
    add("vfio/attack", "vfio", ["iommu/up"] + SHORT + ["vfio/two-devices"], smp=2,
        devices=[WIDE, WIDE], disks={}, env={"VFIO": words(SHORT + ["vfio/two-devices"])})
    add("control/skipped-flush", "vfio",
        ["iommu/up", "vfio/dma-both-ways", "control/stale-dma-is-caught"], driver="skip-flush",
        devices=[WIDE], disks={}, after=invert, env={"VFIO": "dma-both-ways,unmap-then-dma"},
        tags=set())
    fd = [c for c in sum(split_clean(program_cases("iommufd-edu"))[:2], []) if c not in ours]
    add("iommufd/default", "iommufd", ["iommu/up"] + fd + ["life/leave-and-return"],
        kernel="plain", smp=2, devices=[WIDE, WIDE], disks={}, mem=4096, cmdline=HUGE, total=480,
        env={"IOMMUFD": words(fd)})

    # The ledger against what QEMU executed.
    spans = ["nvme-read", "nvme-leave", "vfio-dma", "vfio-pages", "vfio-cycles", "vfio-economy"]
    for name, cmdline, smp in (("lazy", "", 1), ("strict", "iommu.strict=1", 2)):
        add(f"economy/{name}", "economy",
            ["iommu/up", "nvme/bound"] + [f"economy/{s}" for s in spans], cmdline=cmdline,
            smp=smp, trace=True, after=economy, devices=[nvme("d0"), WIDE, WIDE], mem=2560,
            env={"SPANS": " ".join(spans), "ATS": ""}, tags=set())

    # L1 to L3.
    live = ["nvme/bound", "live/busy-before", "live/insmod", "live/busy-after", "live/identity",
            "live/unbound-translated", "live/stop-or-busy", "live/no-lost-io",
            "live/no-complaint", "live/switched", "live/same-after-switch"]
    add("live/2-cpu", "live", live, devices=base, smp=2, tags=set())
    rounds = 1000 if args.long else 200
    life = ["iommu/up", "nvme/bound", "nvme/data", "life/busy", "life/busy-rmmod",
            "life/works-after-refusal", "life/leave-and-return", "life/returned-data",
            "life/rounds", "life/no-growth", "life/last-time", "life/last-data"]
    add(f"life/{rounds}-rounds", "life", life, env={"ROUNDS": rounds}, kernel="plain",
        devices=["-device pcie-root-port,id=rp0,slot=1", *base, "-device edu"],
        total=900 if not args.long else 3600, tags=set())
    refuse = ["refuse/insmod", "refuse/says-why", "refuse/not-loaded", "refuse/nothing-left"]

    def refused(name, why, **more):
        has_disk = ["refuse/disk-before", "refuse/disk-after"] if more.get("disks", disk) else []
        add(name, "refuse", refuse + has_disk, env={"WHY": why}, tags=set(),
            devices=[nvme("d0")] if has_disk else [], **more)

    refused("refuse/in-tree-driver", "omniommu:.*amd_iommu=off", mode="intremap=off")
    refused("refuse/in-tree-and-remapping", "omniommu:.*amd_iommu=off", mode="", iommu="intremap=on")

    # L4: the firmware suite reads all of the tables; these few are booted.
    for name, table, expect in ivrs_tables.cases():
        stock = name in ivrs_tables.STOCK
        if stock or name in ivrs_tables.BOOTED:
            refused(name, expect, disks={}, dmar=table,
                    early_splats=True, mem=384, total=120, kernel="stock" if stock else "plain",
                    cmdline=LEAN if stock else "")
    for name, table in ivrs_tables.good():
        if name in ivrs_tables.BROUGHT_UP:
            add(name, "topology", ["iommu/up"], dmar=table, early_splats=True, mem=384, total=120,
                kernel="plain", disks={}, tags=set())

    # Reserved memory: an IVMD for an edu device and for a USB controller.
    add("reserved/regions", "reserved",
        ["iommu/up", "reserved/direct", "reserved/relaxable", "reserved/msi", "reserved/translated",
         "reserved/kept-mapped", "reserved/not-more", "reserved/not-for-vfio", "host/rejected"],
        devices=["-device edu,addr=04.0,dma_mask=0xffffffffffffffff",
                 "-device qemu-xhci,addr=05.0"], disks={},
        dmar=ivrs_tables.table(ivrs_tables.unit(),
                               ivrs_tables.ivmd(RESERVED, 0x10000, 0x22, devid=4 << 3,
                                                last=5 << 3)),
        early_splats=True, tags=set(),
        env={"RMRR": f"{RESERVED:x}", "EDU": "0000:00:04.0", "UNIT": ""},
        cmdline=f"memmap=0x20000$0x{RESERVED:x} iomem=relaxed")

    # A device of the ACPI namespace, and one that is not there. Its path tells it from others; a
    # wrong unique ID does where there is no other. Two that share an ID are one group.
    timer = ivrs_tables.hid(0x1FF8, b"PNP0103")
    for name, uid, other in (("hid-alone", b"", b""), ("wrong-uid", b"7", timer),
                             ("path", b"\\_SB.PCI0.FWCF",
                              ivrs_tables.hid(0x1FFA, b"QEMU0002", b"7"))):
        add(f"hid/{name}", "hid",
            ["iommu/up", "hid/group", "hid/type", "hid/switched", "hid/absent-named",
             *(["hid/shared"] if other == timer else [])], disks={},
            dmar=ivrs_tables.table(ivrs_tables.ivhd(
                ivrs_tables.BUS_0, other, ivrs_tables.hid(0x1FF8, b"QEMU0002", uid),
                ivrs_tables.hid(0x1FF9), kind=0x40)),
            early_splats=True, mem=384, total=120, kernel="plain", tags=set(),
            env={"HID": "QEMU0002:00", "DEVID": "1f:1f.1",
                 "SHARED": "PNP0103:00" if other == timer else ""})

    # L6, and the unit loses its state.
    add("reboot/reset", "reboot",
        ["first/iommu-up", "first/domain-type", "first/write", "second/boots",
         "second/iommu-up", "second/data", "host/same-data"], devices=[nvme("d0")], reboots=1,
        after=same_sums, tags=set())
    kexec = ["first/iommu-up", "first/domain-type", "first/data", "first/kexec-load",
             "second/boots", "second/unit-was-off", "second/iommu-up", "second/domain-type",
             "second/data", "host/same-data"]
    add("kexec/to-in-tree", "kexec", kexec, devices=[nvme("d0")], mem=1024, smp=2,
        # The in-tree driver is strict where entries are cached that are not present.
        kexec_env={"driver": "ref", "script": "kexec-second", "env": {"TYPE": "DMA"}},
        after=same_sums, tags=set())
    add("suspend/to-memory", "suspend",
        ["iommu/up", "nvme/data", "nvme/translated", "suspend/slept", "suspend/data",
         "vfio/unmap-then-dma"], unpacked=False, tags=set(),
        devices=[nvme("d0"), WIDE, "-global ICH9-LPC.disable_s3=0"])

    # Hot-plug.
    add("hotplug/plain", "hotplug",
        ["iommu/up", "hotplug/plug", "hotplug/group", "hotplug/data", "hotplug/unplug",
         "hotplug/group-gone", "hotplug/replug", "hotplug/replug-data", "hotplug/unplug-busy",
         "hotplug/third", "hotplug/third-data"], smp=2,
        devices=["-device pcie-root-port,id=rp0,slot=1"], host={"plug": plug, "unplug": unplug})

    # The same again under the sanitizers.
    add("debug/dma-strict", "dmaapi", dma, devices=base, kernel="debug", mem=1536, total=480,
        cmdline="iommu.strict=1", env={"MIB": 16, "TYPE": "DMA", "SWITCH": ""}, tags=set())
    add("debug/life-20-rounds", "life", [c for c in life if c != "life/no-growth"],
        kernel="debug", mem=1536, total=480, env={"ROUNDS": 20}, tags=set(),
        devices=["-device pcie-root-port,id=rp0,slot=1", *base, "-device edu"])
    vfio = SHORT + ["vfio/unaligned-iova", "vfio/partial-unmap", "vfio/remap-leaf-size",
                    "vfio/map-refused", "vfio/two-groups", "vfio/attach-detach-under-load"]
    add("debug/vfio-subset", "vfio", ["iommu/up"] + vfio, devices=[WIDE, WIDE], disks={},
        kernel="debug", mem=1536, total=480, smp=2, cmdline="hugepagesz=2M hugepages=8",
        env={"VFIO": words(vfio), "VFIO_ARGS": "--scale 10"}, tags=set())
    return out
