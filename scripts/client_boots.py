# SPDX-License-Identifier: GPL-2.0
"""The boots of `make check-clients`: programs that people use on an IOMMU, of the host's Debian,
against the module: fio, DPDK's testpmd, a virtual machine inside the guest."""

import hashlib
import random
import re
import selectors
import socket
import time
from dataclasses import replace

from check import nvme
from harness import ROOT, Boot, Verdict, output_of
from see_boots import HOST

PACKAGES = ["qemu-system-x86", "fio", "dpdk-dev", "librte-net-e1000-23"]
# A folder of this run alone, for what host and guest hand to each other.
SHARE = "-virtfs local,path=share,mount_tag=share,security_model=none"

VM = ["iommu/up", "nvme/bound", "vm/pattern-written", "vm/host-root", "vm/handed-over",
      "second/boots", "second/disk", "second/reads-pattern", "second/writes", "vm/domain",
      "vm/ended", "vm/domain-gone", "vm/returned", "vm/translated", "vm/reads-both",
      "vm/no-faults", "host/disk-image", "host/nothing-rejected"]
# What the second level's stock kernel need not do, which would take it most of its time.
SECOND = ("initcall_blacklist=jent_mod_init,load_system_certificate_list,crypto_algapi_init "
          "cryptomgr.notests")
MIB = 1 << 20


def prepare(packages=PACKAGES):
    """What the boots need of the host."""
    output_of([ROOT / "scripts/setup.sh", "--packages", "to use the IOMMU as people do", *packages])


def rejected(run):
    """Whatever the guests did was allowed: QEMU's unit refused no access."""
    pattern = re.compile(r"Invalid (?:read|write) at addr.*rejected|vtd_iommu_translate: ")
    lines = list(run.lines)
    if run.trace.exists():
        lines += run.trace.read_text(errors="replace").splitlines()
    found = [line for line in lines if pattern.search(line)]
    return Verdict(run.boot.name, "host/nothing-rejected", "FAIL" if found else "PASS",
                   f"{len(found)} accesses, first: {found[0].strip()}" if found else "")


# ---------------------------------------------------------------- a virtual machine in the guest

def second_level(run):
    """The initramfs and the command line of the machine in the guest."""
    boot = replace(run.boot, script="vm-second", driver="none", before=None, mode="",
                   cmdline=SECOND + " loglevel=7", env={"MIB": run.boot.env["MIB"]})
    share = run.tmp / "share"
    share.mkdir()
    run.guest.initrd(boot, share / "initrd")
    (share / "cmdline").write_text(boot.kernel_arguments())
    # By a path that the guest sees, too.
    run.boot.env["KERNEL"] = str(run.guest.image(boot))


def both_patterns(run):
    """The image holds what the guest wrote, and behind it what the machine in the guest wrote."""
    size = int(run.boot.env["MIB"]) * MIB
    verdicts = [rejected(run)]
    with open(run.disk("d0"), "rb") as f:
        have = [hashlib.sha256(f.read(size)).hexdigest() for _ in range(2)]
    said = [run.data.get("sum-first"), run.data.get("sum-second")]
    verdicts.append(Verdict(run.boot.name, "host/disk-image",
                            "PASS" if have == said else "FAIL",
                            "" if have == said else f"image {have}, guests {said}"))
    return verdicts


def vm(name="client/vm", vendor="intel", **more):
    return Boot(name, "vm", VM, vendor=vendor, smp=2, mem=2048, total=900, disks={"d0": 80},
                devices=[nvme("d0"), HOST, SHARE], env={"MIB": 2}, before=second_level,
                after=both_patterns, **more)


# ---------------------------------------------------------------- testpmd

PORT = ("-netdev dgram,id=p{n},local.type=unix,local.path=in{n},remote.type=unix,"
        "remote.path=out{n} -device e1000e,netdev=p{n}")
TESTPMD = ["iommu/up", "testpmd/host-root", "testpmd/handed-over", "testpmd/hugepages",
           "testpmd/started", "testpmd/link-up", "testpmd/one-domain", "testpmd/large-leaves",
           "testpmd/forwarded", "testpmd/ended", "testpmd/none-lost", "testpmd/domain-gone",
           "testpmd/no-faults", "testpmd/stop", "host/frames", "host/counts",
           "host/nothing-rejected"]
FRAMES = 3000
WINDOW = 32             # frames on their way in each direction: fewer than any ring holds


def frame(direction, n):
    """The n-th frame of a direction: any length that Ethernet has, and no two alike."""
    dice = random.Random(direction << 32 | n)
    head = bytes.fromhex("02000000000%d02000000000%d88b5" % (1 - direction, direction))
    return head + dice.randbytes(dice.randint(46, 1500))


def open_wires(run):
    """The other end of each port."""
    run.wires = []
    for n in range(2):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(str(run.tmp / f"out{n}"))
        s.setblocking(False)
        run.wires.append(s)
    run.sent, run.back, run.wrong = [0, 0], [0, 0], []


def traffic(run, count):
    """Sends into one port what has to come out of the other, unchanged and in order, both ways;
    never more than a window at once, and never for ever."""
    count = int(count)
    into = [str(run.tmp / f"in{n}") for n in range(2)]
    ready = selectors.DefaultSelector()
    for n, s in enumerate(run.wires):
        ready.register(s, selectors.EVENT_READ, n)
    deadline = time.monotonic() + 50
    while min(run.back) < count and not run.wrong and time.monotonic() < deadline:
        for d in range(2):
            while run.sent[d] < min(count, run.back[d] + WINDOW):
                try:
                    run.wires[d].sendto(frame(d, run.sent[d]), into[d])
                except BlockingIOError:
                    break           # QEMU has as many as it takes at once
                run.sent[d] += 1
        for key, _ in ready.select(timeout=0.02):
            d = 1 - key.data        # what came in by the other port
            got = run.wires[key.data].recv(65536)
            if got != frame(d, run.back[d]):
                run.wrong.append(f"frame {run.back[d]} of direction {d} came out differently, "
                                 f"{len(got)} bytes, begins {got[:20].hex()}")
            run.back[d] += 1
    ready.close()


def frames_came(run):
    """Frames as the host saw them, and testpmd's own counts of the same."""
    for s in run.wires:
        s.close()
    verdicts = [rejected(run)]
    whole = run.sent == run.back == [FRAMES, FRAMES] and not run.wrong
    verdicts.append(Verdict(run.boot.name, "host/frames", "PASS" if whole else "FAIL",
                            "" if whole else f"sent {run.sent}, came back {run.back}; "
                                             f"{run.wrong[:1]}"))
    said = [run.data.get("rx-all"), run.data.get("tx-all")]
    same = said == [str(sum(run.sent)), str(sum(run.back))]
    verdicts.append(Verdict(run.boot.name, "host/counts", "PASS" if same else "FAIL",
                            "" if same else f"testpmd received and sent {said}, "
                                            f"the host sent {run.sent}, received {run.back}"))
    return verdicts


def testpmd(name="client/testpmd", **more):
    return Boot(name, "testpmd", TESTPMD, smp=2, mem=1024, total=600, env={"FRAMES": FRAMES},
                cmdline="hugepagesz=2M hugepages=80", before=open_wires, after=frames_came,
                devices=[PORT.format(n=0), PORT.format(n=1), HOST], host={"traffic": traffic},
                **more)


# ---------------------------------------------------------------- fio

ENGINES = "libaio io_uring"
FIO = ["iommu/up", "nvme/bound", "nvme/domain-type", "fio/host-root",
       *(f"fio/{e}" for e in ENGINES.split()), "fio/translated", "fio/no-faults",
       "life/leave-and-return", "host/nothing-rejected"]


def fio(name, want, cmdline="", **more):
    return Boot(name, "fio", FIO, smp=2, mem=1024, total=600, cmdline=cmdline,
                disks={"d0": 80}, devices=[nvme("d0"), HOST],
                env={"TYPE": want, "ENGINES": ENGINES, "SIZE": "48M", "LOOPS": 4},
                after=lambda run: [rejected(run)], **more)


def fio_notices(run):
    """The negative control: without invalidations the disk's data are in memory that was another
    request's, and fio has to say so."""
    said = [v for v in run.verdicts if v.name == "fio/libaio"]
    run.verdicts = [v for v in run.verdicts if not v.name.startswith("fio/")]
    caught = said and said[0].result == "FAIL" and "verify: bad" in said[0].reason
    return [Verdict(run.boot.name, "control/fio-notices", "PASS" if caught else "FAIL",
                    "" if caught else f"fio said {said[:1]}")]


def control():
    """fio under a build that forgets to invalidate, once the disk is there."""
    before = [c for c in FIO if c.startswith(("iommu/", "nvme/"))]
    return Boot("control/fio", "fio", before + ["control/fio-notices"], driver="skip-flush", smp=2,
                mem=1024, cmdline="iommu.strict=1", disks={"d0": 80}, devices=[nvme("d0"), HOST],
                env={**fio("", "DMA").env, "ENGINES": "libaio",
                     "OMNI_ARGS": "skip=N", "SKIPS": "y"},
                after=fio_notices)


def boots(args):
    strict = "iommu.strict=1"
    return [fio("client/fio-lazy", "DMA-FQ"), fio("client/fio-strict", "DMA", strict),
            control(), testpmd(), vm(),
            fio("amd/client/fio-strict", "DMA", strict, vendor="amd"),
            testpmd("amd/client/testpmd", vendor="amd"), vm("amd/client/vm", "amd")]
