# SPDX-License-Identifier: GPL-2.0
"""The boots of `make check` that look at what there is to see: debugfs, beside load, too; the
tracepoints and the tools, by programs of the host's Debian."""

import shutil

from check import WIDE, nic, nvme, words
from harness import LOGS, ROOT, Boot, output_of

FILES = ["iommu/up", "nvme/bound", "nvme/data", "see/made-when-asked", "see/units",
         "see/attachments", "see/domains", "see/table", "see/reserved", "see/domain-ledger",
         "see/tracepoints", "see/latency", "see/under-load", "see/faults",
         "life/leave-and-return", "see/gone"]
LOAD = ["vfio/unmap-then-dma", "vfio/cycles", "vfio/random", "vfio/attach-detach-under-load"]


EVENTS = "plan piece submit wait attach fault nc_clean"


TOOLS = ["iommu/up", "nvme/bound", "tools/host-root", "sysfs/attributes", "sysfs/links",
         "sysfs/lspci", "sysfs/libvirt", "sysfs/groups", "omnistat/once", "omnistat/json",
         "omnistat/live", "omnistat/no-module", "iovamap/device", "iovamap/domain",
         "readme/translate", "readme/vfio", "readme/back", "trace/faults-page",
         "trace/perf", "trace/trace-cmd", "trace/bpftrace", "readme/leave"]
# Programs of the host's Debian that the guest runs, and the packages that have them.
PACKAGES = ["trace-cmd", "bpftrace", "linux-perf", "pciutils", "libvirt-clients"]
SHARED = LOGS / "see_tools"
PAGES = ["README.md", "docs/faults.md"]
# The host's root, for scripts/guest/lib-host.sh.
HOST = "-virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"
SHARES = [HOST, f"-virtfs local,path={SHARED},mount_tag=shared,security_model=none"]


def prepare():
    """What the boots with the host's programs need of the host."""
    SHARED.mkdir(parents=True, exist_ok=True)
    # Their examples are tried. The host's root has the guest's own /tmp, which may hide them.
    for page in PAGES:
        shutil.copy(ROOT / page, SHARED)
    output_of([ROOT / "scripts/setup.sh", "--packages", "to look at a guest with", *PACKAGES])


def boots(args):
    out = []

    def files(name, load=LOAD, expect=FILES, **more):
        env = {"LOAD": words(load), "TELLS": "y", "EVENTS": EVENTS, **more.pop("env", {})}
        out.append(Boot(f"see/{name}", "see", expect + load, disks={"d0": 80},
                        devices=[nvme("d0"), WIDE, WIDE], env=env, total=480, turns=True, **more))

    intree = {"expect": FILES + ["see/in-tree-file"], "env": {"INTREE_FILE": "y"}}
    files("files", smp=2, **intree)
    files("debug", kernel="debug", smp=2, iommu="caching-mode=on,aw-bits=48", mem=2048,
          expect=intree["expect"],
          env={**intree["env"], "VFIO_ARGS": "--scale 40"})
    out.append(Boot("see/tools", "tools", TOOLS, disks={"d0": 80}, smp=2, turns=True, mem=1536,
                    total=480, devices=[nvme("d0"), nic(), WIDE, *SHARES], env={"UNITS": "dmar0"}))
    return out


def amd_boots(args):
    return [Boot("amd/see/files", "see", FILES + LOAD + ["host/rejected"], vendor="amd",
                 smp=2, turns=True, disks={"d0": 80}, devices=[nvme("d0"), WIDE, WIDE], total=480,
                 env={"LOAD": words(LOAD), "EVENTS": "plan piece submit wait attach"})]


def arm_boots(args):
    return [Boot("arm64/see/files", "see", FILES + LOAD, kernel="arm64", disks={"d0": 80},
                 devices=[nvme("d0"), WIDE, WIDE], smp=2, mem=1024, total=480, tags={"arm64"},
                 env={"LOAD": words(LOAD), "TELLS": "y", "EVENTS": "plan submit wait attach fault"})]
