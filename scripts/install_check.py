#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Installing omniommu, from scratch, in guests with a real Debian: DKMS, the package, the
initramfs, preflight's verdicts, removal.

The guests run a Debian made by mmdebstrap from the distribution's packages, with its kernel, its
initramfs-tools, udev, systemd and DKMS, on an NVMe disk. A chain of boots shares a disk, and each
boot gets the initramfs that the one before has left, as a boot loader would give it.

The last line is exactly `N passed, N failed`; the exit status is 0 only when nothing failed.
"""

import argparse
import dataclasses
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness                                                          # noqa: E402
from harness import ROOT, Boot, HarnessError, Run, Verdict, say    # noqa: E402

DEBIAN = harness.GUEST / "debian"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omniommu" / "debian"

# What a Debian needs to be a Debian that builds modules with DKMS; the second kernel's headers
# are for the refusal.
PACKAGES = ["systemd-sysv", "udev", "kmod", "initramfs-tools", "dkms", "openssl", "make", "gcc",
            "python3", "linux-image-{kernel}", "linux-headers-{kernel}", "linux-headers-amd64"]

OFF = harness.OFF["x86"]         # what keeps the in-tree driver of an Intel machine away

# Self-tests and certificates that cost ten seconds of a boot under TCG and matter to none.
LEAN = "initcall_blacklist=jent_mod_init"


# ---------------------------------------------------------------- the Debian

CUSTOMIZE = """set -e
failed=
cp {debian}/omni-guest "$1/usr/local/sbin/omni-guest"
cp {debian}/omni-guest.service "$1/etc/systemd/system/"
chmod 755 "$1/usr/local/sbin/omni-guest"
chroot "$1" systemctl -q enable omni-guest.service
chroot "$1" systemctl -q mask serial-getty@ttyS0.service getty@tty1.service apt-daily.timer \
    apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
echo guest > "$1/etc/hostname"
echo 'LABEL=root / ext4 defaults 0 0' > "$1/etc/fstab"
# From here on the initramfs is made for the machine it runs on: four times faster under TCG.
sed -i 's/^MODULES=.*/MODULES=dep/' "$1/etc/initramfs-tools/initramfs.conf"
cp "$1/boot/initrd.img-{kernel}" {out}/initrd
cp "$1/boot/vmlinuz-{kernel}" {out}/vmlinuz
rm -rf "$1/var/cache/apt" "$1/var/lib/apt/lists" "$1/usr/share/locale"
# Without the /proc and /sys that are mounted in there now.
mkdir {out}/plain
mount --bind "$1" {out}/plain
mke2fs -q -t ext4 -L root -d {out}/plain {out}/root.img 3G || failed=yes
umount {out}/plain
rmdir {out}/plain
[ -z "$failed" ]
"""


def debian_suite():
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise HarnessError("/etc/os-release names no Debian release")


def said_while(command, what):
    """Run something long: a sign of life now and then, all of its output if it fails."""
    start = time.monotonic()
    tail, ended = [], threading.Event()

    def live():
        while not ended.wait(15):
            say(f"{what}, {time.monotonic() - start:.0f} s: {tail[-1][:90] if tail else ''}")

    proc = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace")
    threading.Thread(target=live, daemon=True).start()
    try:
        for line in proc.stdout:
            tail = (tail + [line.rstrip()])[-30:]
    except KeyboardInterrupt:
        proc.terminate()        # it cleans up after itself
        proc.wait()
        raise
    finally:
        ended.set()
    if proc.wait():
        raise HarnessError(f"{what} failed:\n" + "\n".join(tail))
    say(f"{what}: done in {time.monotonic() - start:.0f} s")


def base_image(kernel):
    """The folder with root.img, vmlinuz and initrd; built once for what it is made from."""
    suite = debian_suite()
    packages = [p.format(kernel=kernel.version) for p in PACKAGES]
    recipe = hashlib.sha256(" ".join([suite, CUSTOMIZE, *packages]).encode())
    for name in ("omni-guest", "omni-guest.service"):
        recipe.update((DEBIAN / name).read_bytes())
    base = CACHE / f"{suite}-{recipe.hexdigest()[:16]}"
    if (base / "root.img").exists():
        return base
    say(f"making a Debian {suite} with kernel {kernel.version}: 300 MB of packages, two to five "
        f"minutes, once (kept in {CACHE})")
    subprocess.run([ROOT / "scripts/setup.sh", "--packages", "making a Debian for guests",
                    "mmdebstrap", "e2fsprogs"], check=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    out = Path(tempfile.mkdtemp(dir=CACHE, prefix=".new-"))
    try:
        hook = CUSTOMIZE.format(debian=shlex.quote(str(DEBIAN)), kernel=kernel.version,
                                out=shlex.quote(str(out)))
        root = [] if os.geteuid() == 0 else ["sudo"]
        if root:
            say("making file systems needs root: sudo may ask for your password")
        said_while([*root, "mmdebstrap", "--mode=root", "--variant=minbase", "--format=null",
                    "--include=" + ",".join(packages), "--aptopt=APT::Install-Recommends false",
                    f"--customize-hook={hook}", suite, "/dev/null"], "mmdebstrap")
        if root:
            subprocess.run([*root, "chown", "-R", str(os.geteuid()), out], check=True)
        for old in CACHE.glob(f"{suite}-*"):
            shutil.rmtree(old)
        out.rename(base)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return base


# ---------------------------------------------------------------- boots

@dataclasses.dataclass
class DebianBoot(Boot):
    """A boot of the Debian; script is a name in scripts/guest/debian."""
    systemd: bool = False       # the whole system, or the script as init
    chain: str = None           # boots of a chain share a disk and run in order

    def kernel_arguments(self):
        init = "" if self.systemd else "init=/usr/local/sbin/omni-guest"
        return (f"console=ttyS0,115200 root=LABEL=root rw panic=-1 oops=panic nokaslr "
                f"printk.devkmsg=on loglevel=4 tsc=reliable no_timer_check random.trust_cpu=on "
                f"mitigations=off {LEAN} {init} {self.mode or ''} {self.cmdline}").strip()


class Debian:
    """Stands for harness.Guest: where a Run gets its kernel, its initramfs and its disk from."""

    def __init__(self, kernel, deb, module):
        self.kernel = kernel
        self.base = base_image(kernel)
        self.deb = deb
        self.module = module        # what DKMS takes instead of compiling; None: it compiles
        self.folders = {}

    def image(self, boot):
        return harness.unpacked_image(dataclasses.replace(self.kernel,
                                                          image=self.base / "vmlinuz"))

    def folder(self, chain):
        """Disk and shared folder of a chain."""
        if chain not in self.folders:
            top = Path(tempfile.mkdtemp(prefix="omniommu-install-"))
            (top / "share").mkdir()
            shutil.copy(self.base / "initrd", top / "share" / "initrd")
            if chain is not None:
                subprocess.run(["cp", "--sparse=always", self.base / "root.img", top / "disk"],
                               check=True)
            self.folders[chain] = top
        return self.folders[chain]

    def initrd(self, boot, path):
        """Called by Run before it starts QEMU: prepare all that the guest finds."""
        share = self.folder(boot.chain) / "share"
        path.symlink_to(share / "initrd")
        shutil.copy(harness.GUEST / "lib.sh", share / "guest.sh")
        shutil.copy(DEBIAN / "lib.sh", share / "lib.sh")
        shutil.copy(DEBIAN / f"{boot.script}.sh", share / "boot.sh")
        shutil.copy(ROOT / "scripts" / "preflight", share / "preflight")
        shutil.copy(self.deb, share)
        if self.module:
            shutil.copy(self.module, share / "omniommu.ko")
        (share / "env").write_text("".join(
            f"{k}={shlex.quote(str(v))}\n" for k, v in {
                "DEB": self.deb.name, "VERSION": self.kernel.version, **boot.env}.items()))
        if boot.script == "tree" and not (share / "tree").exists():
            copy_tree(share / "tree")

    def devices(self, boot):
        top = self.folder(boot.chain)
        disk = top / "disk" if boot.chain is not None else self.base / "root.img"
        snapshot = "" if boot.chain is not None else ",snapshot=on"
        return [f"-drive file={disk},format=raw,if=none,id=root,cache=unsafe{snapshot}",
                "-device nvme,serial=root,drive=root",
                f"-virtfs local,path={top}/share,mount_tag=test,security_model=none"]

    def close(self):
        for top in self.folders.values():
            shutil.rmtree(top, ignore_errors=True)


def copy_tree(to):
    """The checkout without what was built in it."""
    shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns(
        "build", ".git", "*.o", "*.ko", "*.mod", "*.mod.c", "*.cmd", "__pycache__"))


def boots():
    """What is booted with what, and what it must say."""
    out = []
    add = lambda *a, **k: out.append(DebianBoot(*a, machine=",sata=off,smbus=off", mem=1536,
                                                smp=2, **k))
    add("install/default-boot", "install", [
        "preflight/default-boot", "preflight/parameter-driver", "preflight/parameter-remapping",
        "preflight/no-headers", "deb/install", "deb/built-by-dkms", "deb/nothing-loaded",
        "initramfs/not-unasked", "tools/manuals", "tools/no-module", "module/version",
        "module/drives", "module/parameters-described", "module/no-alias", "module/signed",
        "dkms/other-kernel-here", "dkms/refuses-other-kernel", "dkms/says-why",
        "dkms/kernel-upgrade", "dkms/upgrade-says-why", "dkms/no-module-for-other",
        "preflight/installed", "module/refuses", "module/refuses-in-words", "modprobe/sample",
        "modprobe/softdep", "initramfs/update", "initramfs/has-module", "initramfs/before-udev"],
        chain="package", total=3600)
    add("install/enforced-signatures", "enforce", [
        "enforce/not-loaded", "enforce/said-so", "enforce/root-works",
        "preflight/key-not-enrolled", "preflight/says-how-to-enroll"],
        chain="package", mode=OFF, cmdline="module.sig_enforce=1")
    add("install/early", "early", [
        "early/loaded", "early/before-nvme", "early/root-translated", "early/root-data",
        "early/root-mapped", "tools/early", "early/all-translated", "early/options",
        "early/vfio-option", "early/system-up", "preflight/at-work", "preflight/root-not-named",
        "early/stop-refused", "deb/remove",
        "deb/out-of-initramfs", "deb/module-gone", "deb/settings-kept", "deb/purge",
        "deb/nothing-left"],
        chain="package", mode=OFF, systemd=True, total=1800)
    add("install/tree", "tree", [
        "gone/not-loaded", "gone/no-groups", "preflight/right-boot", "tree/install",
        "tree/says-left-out", "tree/built-by-dkms", "preflight/ready", "tree/load",
        "tree/bound-stays", "preflight/loaded-late", "preflight/names-root-disk", "tree/moved",
        "tree/moved-data", "tools/tree", "tree/stop", "tree/rmmod", "tree/remove",
        "tree/nothing-left"],
        chain="package", mode=OFF, disks={"data": 64},
        devices=["-device nvme,serial=data,drive=data"], total=3600)

    def look(name, want, iommu="", mode="", names="", devices=()):
        add(f"preflight/{name}", "look", [f"preflight/{name}"] +
            ([f"preflight/{name}-names"] if names else []), iommu=iommu, mode=mode,
            devices=list(devices), env={"LOOK": name, "WANT": want, "NAMES": names})

    look("intel-driver-off-only", "3 ok/in-tree-driver CHANGE/interrupt-remapping",
         mode="intel_iommu=off", names="Boot with intremap=off")
    look("intel-remapping-off-only", "3 CHANGE/in-tree-driver ok/interrupt-remapping",
         mode="intremap=off", names="Boot with intel_iommu=off")
    look("no-iommu", "3 CHANGE/no-iommu", iommu=None, names="VT-d, AMD-Vi, IOMMU or SMMU")
    amd = ["-device amd-iommu,intremap=on"]
    look("amd-default", "3 CHANGE/in-tree-driver CHANGE/interrupt-remapping", iommu=None,
         devices=amd, names="Boot with amd_iommu=off")
    look("amd-off", "2 CHANGE/no-module ok/in-tree-driver ok/interrupt-remapping", iommu=None,
         devices=amd, mode="amd_iommu=off")
    return out


# ---------------------------------------------------------------- without a guest

class Machine:
    """A machine that no guest can be, as files for preflight --root."""

    def __init__(self, arch="x86_64", kernel="6.12.117+deb12-amd64", cmdline=""):
        self.arch = arch
        self.root = Path(tempfile.mkdtemp(prefix="omniommu-machine-"))
        self.file("proc/sys/kernel/osrelease", kernel + "\n")
        self.file("proc/cmdline", f"root=/dev/sda1 {cmdline}\n")
        self.file("proc/interrupts", " 9:  0  0  IO-APIC  9-fasteoi  acpi\n")
        self.file("proc/cpuinfo", "apicid\t\t: 0\nflags\t\t: fpu cx16 lm\n")
        self.file(f"lib/modules/{kernel}/build/Makefile", "")

    def file(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def device(self, address, driver, **attributes):
        at = f"sys/bus/pci/devices/{address}"
        self.file(f"{at}/class", attributes.pop("class_", "0x010802") + "\n")
        for name, value in attributes.items():
            self.file(f"{at}/{name}", value + "\n")
        (self.root / at / "driver").symlink_to(f"../../drivers/{driver}")
        (self.root / f"sys/bus/pci/drivers/{driver}").mkdir(parents=True, exist_ok=True)

    def preflight(self):
        run = subprocess.run([ROOT / "scripts/preflight", "--root", self.root, "--arch",
                              self.arch], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        shutil.rmtree(self.root)
        return run.returncode, run.stdout + run.stderr


def recorded_machines():
    """What preflight says of machines made of files: (name, machine, status, findings, words)."""
    arm_kernel = "6.12.117+deb12-arm64"

    m = Machine("aarch64", arm_kernel)
    m.file("sys/firmware/acpi/tables/IORT", "")
    m.file("sys/bus/platform/drivers/arm-smmu-v3/uevent", "")
    yield "arm-acpi-default", m, 3, ["CHANGE in-tree-driver"], \
        "initcall_blacklist=arm_smmu_driver_init"

    m = Machine("aarch64", arm_kernel, "initcall_blacklist=arm_smmu_driver_init")
    m.file("proc/device-tree/smmuv3@9050000/compatible", "arm,smmu-v3\0")
    yield "arm-devicetree", m, 2, ["ok in-tree-driver", "NOTE deferred-probe"], \
        "deferred_probe_timeout=-1"

    m = Machine("aarch64", arm_kernel,
                "initcall_blacklist=arm_smmu_driver_init deferred_probe_timeout=-1")
    m.file("proc/device-tree/smmuv3@9050000/compatible", "arm,smmu-v3\0")
    yield "arm-devicetree-right", m, 2, ["ok in-tree-driver", "CHANGE no-module"], ""

    m = Machine("riscv64", "6.12.1-riscv64")
    yield "other-architecture", m, 4, ["CHANGE unsupported-machine"], "riscv64"

    for kernel in ("6.11.11-amd64", "6.13.0-amd64", "6.1.192-amd64", "6.120.1-amd64"):
        m = Machine(kernel=kernel)
        m.file("sys/firmware/acpi/tables/DMAR", "")
        yield f"kernel-{kernel}", m, 3, ["CHANGE unsupported-kernel"], "Boot a 6.12 kernel"

    m = Machine(cmdline=OFF)
    m.file("sys/firmware/acpi/tables/DMAR", "")
    m.device("0000:00:1f.0", "lpc_ich", class_="0x060100")
    yield "nothing-bound", m, 2, ["CHANGE no-module", "ok devices"], ""

    m = Machine(cmdline=OFF + " iommu=pt modprobe.blacklist=foo,omniommu")
    m.file("sys/firmware/acpi/tables/DMAR", "")
    yield "blacklisted", m, 3, ["CHANGE blacklisted", "NOTE passthrough"], \
        "modprobe.blacklist=foo,omniommu"

    m = Machine(cmdline=OFF)
    m.file("sys/firmware/acpi/tables/DMAR", "")
    m.device("0000:3a:00.0", "thunderbolt", removable="removable")
    m.device("0000:00:1d.0", "nvme", removable="fixed")
    yield "plugged-in-device", m, 2, ["CHANGE untrusted-device", "NOTE identity"], \
        "0000:3a:00.0 (thunderbolt). Unbind"

    m = Machine()
    m.file("sys/firmware/acpi/tables/DMAR", "")
    m.file("sys/class/iommu/dmar0/uevent", "")
    m.file("etc/default/grub", 'GRUB_CMDLINE_LINUX="quiet intel_iommu=off"\n')
    yield "parameter-not-yet-booted", m, 3, ["CHANGE in-tree-driver"], \
        "it is in /etc/default/grub already"

    m = Machine()
    m.file("sys/firmware/acpi/tables/DMAR", "")
    m.file("proc/interrupts", " 24:  0  0  IR-PCI-MSI  1-edge  nvme0q0\n")
    m.file("proc/cpuinfo", "apicid\t\t: 0\nflags\t\t: lm\n\napicid\t\t: 300\nflags\t\t: lm\n")
    yield "many-old-processors", m, 4, ["CHANGE no-cmpxchg16b", "NOTE many-processors",
                                       "CHANGE interrupt-remapping"], "APIC IDs up to 300"

    m = Machine(cmdline=OFF)
    m.file("sys/firmware/acpi/tables/DMAR", "")
    m.file("etc/default/omniommu", "LOAD_AT_BOOT=yes\n")
    m.file("etc/modprobe.d/vfio.conf", "options vfio_iommu_type1 allow_unsafe_interrupts=1\n")
    m.device("0000:00:1d.0", "nvme")
    yield "loads-at-boot", m, 2, ["ok vfio", "NOTE identity"], "it comes before their drivers"


def host_checks(told):
    """What needs no guest; told(verdict) hears of each at once."""
    verdicts = []

    def judge(name, ok, reason):
        verdicts.append(Verdict("host", name, "PASS" if ok else "FAIL", "" if ok else reason))
        told(verdicts[-1])

    for name, machine, want, findings, words in recorded_machines():
        status, text = machine.preflight()
        lines = [" ".join(line.split()) for line in text.splitlines()]
        missing = [f for f in findings if not any(line.startswith(f + " ") for line in lines)]
        judge(f"preflight/{name}", status == want and not missing and words in text,
              f"status {status}, not {want}; not found: {missing or repr(words)}; said:\n{text}")
    for usage in (["--no-such"], ["--kernel"]):
        run = subprocess.run([ROOT / "scripts/preflight", *usage], capture_output=True)
        judge(f"preflight/usage{usage[0]}", run.returncode == 64, f"status {run.returncode}")

    # One rule in three places.
    compat = (ROOT / "include/compat.h").read_text()
    below = re.search(r"< KERNEL_VERSION\((\d+), (\d+), 0\)", compat)
    above = re.search(r">= KERNEL_VERSION\((\d+), (\d+), 0\)", compat)
    rule = rf"^{below[1]}\.{below[2]}\." if below and above else None
    judge("rules/one-release", below and above and below[1] == above[1] and
          int(above[2]) == int(below[2]) + 1, "include/compat.h supports more than one release")
    for name, pattern in (("dkms.conf", r"^BUILD_EXCLUSIVE_KERNEL='(.*)'$"),
                          ("scripts/preflight", r"^kernels='(.*?)'")):
        found = re.search(pattern, (ROOT / name).read_text(), re.M)
        judge(f"rules/{Path(name).name}", found and found[1] == rule,
              f"compat.h says {rule}, {name} {found and found[1]}")
    return verdicts


def build_deb():
    say("building the package with Debian's tools, lintian looks at it")
    out = subprocess.run([ROOT / "scripts/deb.sh"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if out.returncode:
        return None, Verdict("host", "deb/build-and-lintian", "FAIL", out.stdout)
    return ROOT / out.stdout.splitlines()[-1], Verdict("host", "deb/build-and-lintian", "PASS")


# What DKMS does with dkms.conf, in a folder of its own.
COMPILE = """set -e
kernelver={kernel} arch=$(uname -m) dkms_tree={tree}
kernel_source_dir=/usr/src/linux-headers-{kernel}
. {source}/dkms.conf
mkdir -p $dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION
cp -r {source} $dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION/build
eval "${{MAKE[0]}}"
"""


def compile_packaged(kernel, deb):
    """Compile what is in the package with dkms.conf's own command: the sources are complete, and
    the guests, where compiling takes twenty times as long, get the result."""
    say("compiling the package's sources as dkms.conf says")
    work = harness.BUILD / "deb" / "packaged"
    shutil.rmtree(work, ignore_errors=True)
    subprocess.run(["dpkg", "-x", deb, work], check=True)
    source, = (work / "usr/src").glob("omniommu-*")
    script = COMPILE.format(kernel=kernel.version, tree=shlex.quote(str(work / "dkms")),
                            source=shlex.quote(str(source)))
    out = subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    made = list((work / "dkms").glob("omniommu/*/build/omniommu.ko"))
    ok = out.returncode == 0 and len(made) == 1
    return made[0] if ok else None, Verdict("host", "deb/compiles", "PASS" if ok else "FAIL",
                                            "" if ok else out.stdout[-2000:])


# ---------------------------------------------------------------- running them

class Console:
    def __init__(self, verbose):
        self.verbose = verbose
        self.start = time.monotonic()

    def verdict(self, v):
        print(f"  {'ok  ' if v.result == 'PASS' else v.result}  {v.name}" +
              (f": {v.reason}" if v.reason else "") +
              f"  ({time.monotonic() - self.start:.0f} s)", flush=True)

    def line(self, run, line):
        m = harness.VERDICT.search(line)
        if self.verbose:
            print(f"        | {line}", flush=True)
        elif m and m[1] == "NOTE":
            print(f"        {m[2]}", flush=True)
        if m and m[1] in ("PASS", "FAIL", "SKIP"):
            self.verdict(run.verdicts[-1])


def run_boot(debian, boot, console):
    print(f"{boot.name}: {boot.mode or 'no IOMMU parameter'}", flush=True)
    boot = dataclasses.replace(boot, devices=debian.devices(boot) + boot.devices)
    run = Run(debian, boot, console.line).execute()
    seen = {m[2].partition(": ")[0].strip() for m in map(harness.VERDICT.search, run.lines)
            if m and m[1] in ("PASS", "FAIL", "SKIP")}
    for v in run.verdicts:
        if v.name not in seen:
            console.verdict(v)
    if any(v.result == "FAIL" for v in run.verdicts):
        print(f"      log {run.log}, its last lines:")
        for line in run.tail():
            print(f"      > {line}")
    return run.verdicts


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--only", default="", metavar="REGEX",
                   help="only the boots whose name matches, and those of their chain before them")
    p.add_argument("--list", action="store_true", help="list boots and cases, run nothing")
    p.add_argument("--compile", action="store_true",
                   help="let DKMS compile in the guests (ten minutes and more each time), instead "
                        "of taking what the host has compiled from the same package")
    p.add_argument("--verbose", action="store_true", help="stream the consoles")
    args = p.parse_args()

    every = boots()
    wanted = [b for b in every if re.search(args.only, b.name)]
    last = {b.chain: i for i, b in enumerate(every) if b in wanted and b.chain}
    wanted = [b for i, b in enumerate(every) if b in wanted or i < last.get(b.chain, 0)]
    if args.list:
        for b in wanted:
            print(b.name)
            for case in b.expect + ["boot"]:
                print(f"    {case}")
        return 0
    console = Console(args.verbose)
    print("host: preflight on recorded machines, the rules, the package", flush=True)
    verdicts = host_checks(console.verdict)
    deb, built = build_deb()
    verdicts.append(built)
    console.verdict(built)
    kernel, module = harness.find_kernel(), None
    if deb:
        module, compiled = compile_packaged(kernel, deb)
        verdicts.append(compiled)
        console.verdict(compiled)
    if module and wanted:
        debian = Debian(kernel, deb, None if args.compile else module)
        try:
            for boot in wanted:
                verdicts += run_boot(debian, boot, console)
        finally:
            debian.close()
    return harness.closing_boots(len(wanted), console.start, verdicts)


if __name__ == "__main__":
    harness.start("install", main)
