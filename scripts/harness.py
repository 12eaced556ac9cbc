# SPDX-License-Identifier: GPL-2.0
"""Build a guest, run it in QEMU under TCG, read its verdicts.

A *boot* is one QEMU run: a machine (device arguments), a kernel command line, one guest script
from scripts/guest/ and the verdicts it must report. The guest writes its verdicts to the kernel
log, so they cannot be torn by kernel messages and stand in order with the faults they caused:

    @@PASS name   @@FAIL name: reason   @@SKIP name: reason   @@NOTE text
    @@DATA key value      for the host to compare between boots
    @@HOST word...        asks the host for something (hot-plug); see Boot.host
    @@DONE

A boot fails as a whole, beside its cases, when the kernel complains (WARNING, BUG, Oops, ...),
when QEMU dies, when it hangs, and when it ends without @@DONE.
"""

import collections
import ctypes
import dataclasses
import fcntl
import functools
import hashlib
import json
import lzma
import os
import platform
import re
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

import fdt
from cpio import Cpio

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "logs"
GUEST = ROOT / "scripts" / "guest"

GUEST_MODULES = ["nvme", "e1000e", "e1000", "vfio-pci", "vfio_iommu_type1", "pci-stub",
                 "virtio_net", "virtio_blk", "virtio-rng", "9p", "9pnet_virtio"]

# What a kernel says when something is wrong, the debug kernels' checks included. That one of the
# checks has switched itself off is wrong, too.
SPLAT = re.compile(r"WARNING:|BUG:|BUG (?:kmalloc|kmem)|Oops|Call Trace|general protection|"
                   r"Kernel panic|soft lockup|hard LOCKUP|blocked for more than|"
                   r"rcu.*detected stall|UBSAN: |KASAN: |KCSAN: |sleeping function called|"
                   r"INFO: (?:trying to register|possible|suspicious|lockdep|task )|"
                   r"kmemleak: (?:\d+ new|Cannot allocate a kmemleak_object|.*disabled)|unreferenced object|"
                   r"list_(?:add|del) corruption|ODEBUG:|"
                   r"DMA-API: (?:.*: device driver|.*out of memory|.*disabled|exceeded|mapping)")
# The kernels whose checks end a guest at their first report, so many lines and seconds after it.
SANITIZED = {"debug", "kcsan"}
REPORT_LINES = 120
REPORT_SECONDS = 3

VERDICT = re.compile(r"@@(PASS|FAIL|SKIP|NOTE|DATA|HOST|DONE|MARK)\b ?(.*)")

# Quiet longer than this is a hang; TCG beside another guest needs a generous figure.
# The clock that may be read from anywhere is written in two copies, of which readers take the one
# that is at rest; that reader and writer meet is how it works.
KERNELS_OWN_RACES = re.compile(r"ktime_get_mono_fast_ns|timekeeping_update")
QUIET_LIMIT = 90
DEFAULT_TOTAL = 300


class HarnessError(Exception):
    """Something the user has to put right; the message says what."""


def complains(line):
    """Does the kernel complain in this line of its log?"""
    return bool(SPLAT.search(line)) and "@@" not in line


def closing(results):
    """The last line of a run, exactly `N passed, N failed`, with `, N skipped` where a case said
    it could not run. Returns the exit status: 0 only when nothing failed."""
    count = {r: results.count(r) for r in ("PASS", "FAIL", "SKIP")}
    print(f"{count['PASS']} passed, {count['FAIL']} failed" +
          (f", {count['SKIP']} skipped" if count["SKIP"] else ""))
    return 1 if count["FAIL"] else 0


def closing_boots(boots, begun, verdicts):
    """The end of a run of so many boots, begun by the monotonic clock: what failed, and where to
    read on. Returns the exit status."""
    failed = [v for v in verdicts if v.result == "FAIL"]
    if failed:
        print("\nfailed:")
        for v in failed:
            print(f"  {v.boot}: {v.name}: {v.reason}")
    print(f"\n{boots} boots in {time.monotonic() - begun:.0f} s; logs in {LOGS}")
    return closing([v.result for v in verdicts])


def start(name, main, counts=True):
    """Run a program's main() to its exit status, whatever ends it. counts: its last line is a
    count."""
    def interrupt(signum, frame):
        raise KeyboardInterrupt
    # Ended from outside, it takes the guests along: as on Ctrl-C.
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    try:
        sys.exit(main())
    except HarnessError as e:
        print(f"{name}: {e}", file=sys.stderr)
        if counts:
            closing(["FAIL"])
        sys.exit(1)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)


def say(text):
    """What takes time, for whoever waits."""
    print(f"      {text}", flush=True)


# ---------------------------------------------------------------- kernel and builds

@dataclasses.dataclass(frozen=True)
class Kernel:
    """What a guest can be booted with: the distribution's kernel, or a test kernel that has
    everything built in."""
    flavour: str        # stock, plain, debug, kcsan; arm64 is stock for that architecture,
                        # arm64-plain a test kernel for it
    version: str
    image: Path
    headers: Path       # what modules are built against
    arch: str = "x86"
    root: Path = Path("/")      # under which its modules, and a busybox for it, are installed

    @property
    def modular(self):
        return self.flavour in ("stock", "arm64")

    @property
    def busybox(self):
        """A static one, that runs on this kernel."""
        found = shutil.which("busybox") if self.arch == "x86" else self.root / "bin/busybox"
        if not found:
            raise HarnessError("busybox-static is missing; run scripts/setup.sh")
        return Path(found)

    @property
    def make(self):
        """What make has to be told: the distribution's headers know it by themselves."""
        return ([] if self.modular or self.arch == "x86" else
                [f"ARCH={self.arch}", f"CROSS_COMPILE={CC[self.arch].removesuffix('gcc')}"])

    @property
    def build(self):
        """A name for what is built against exactly this kernel."""
        return self.version if self.modular else self.headers.name

    @property
    def source(self):
        """The source tree of a test kernel: the KTAP parser is there."""
        return (self.headers / "source").resolve()


def arm64_root():
    """Where Debian's arm64 kernel and programs are, downloaded if need be."""
    out = subprocess.run([ROOT / "scripts/arm64.sh"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, text=True)
    if out.returncode:
        raise HarnessError("scripts/arm64.sh failed")
    return Path(out.stdout.strip())


def find_kernel(flavour="stock"):
    if flavour == "arm64":
        root = arm64_root()
        version = f"{root.name}-arm64"
        return Kernel(flavour, version, root / "boot" / f"vmlinuz-{version}",
                      root / "usr/src" / f"linux-headers-{version}", "arm64", root)
    if flavour != "stock":
        # Builds it if need be; what it says meanwhile is for the user.
        out = subprocess.run([ROOT / "scripts/kernels.sh", flavour], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True)
        if out.returncode:
            raise HarnessError(f"scripts/kernels.sh {flavour} failed")
        build = Path(out.stdout.strip().splitlines()[-1])
        version = (build / "include/config/kernel.release").read_text().strip()
        if flavour.startswith("arm64"):
            return Kernel(flavour, version, build / "arch/arm64/boot/Image", build, "arm64",
                          arm64_root())
        return Kernel(flavour, version, build / "arch/x86/boot/bzImage", build)
    out = subprocess.run([ROOT / "scripts/setup.sh", "--kver"], stdout=subprocess.PIPE, text=True)
    if out.returncode:
        raise HarnessError("no Debian 6.12 kernel with headers is installed; run scripts/setup.sh")
    version = out.stdout.strip()
    kernel = Kernel(flavour, version, Path("/boot") / f"vmlinuz-{version}",
                    Path("/usr/src") / f"linux-headers-{version}")
    if not os.access(kernel.image, os.R_OK):
        raise HarnessError(f"{kernel.image} is not readable by this user")
    return kernel


def unpacked_image(kernel):
    """The kernel inside the distribution's bzImage, for QEMU to start by its PVH entry: the same
    code without two seconds of decompression under TCG. The bzImage where that cannot be had."""
    if kernel.flavour != "stock":
        return kernel.image         # small, and without that entry; or not compressed
    raw = kernel.image.read_bytes()
    path = BUILD / "guest" / f"vmlinux-{kernel.version}-{hashlib.sha256(raw).hexdigest()[:12]}"
    if path.exists():
        return path
    # Boot protocol: sectors of set-up code, then payload offset and length (with a size word).
    start = (raw[0x1f1] + 1) * 512
    offset, length = struct.unpack_from("<II", raw, 0x248)
    payload = raw[start + offset:start + offset + length]
    size = struct.unpack_from("<I", payload, length - 4)[0]
    payload = payload[:-4]
    try:
        if payload[:4] == b"\x28\xb5\x2f\xfd":
            zstd = ctypes.CDLL("libzstd.so.1")
            zstd.ZSTD_decompress.restype = ctypes.c_size_t
            zstd.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
                                             ctypes.c_size_t]
            out = ctypes.create_string_buffer(size)
            got = zstd.ZSTD_decompress(out, size, payload, len(payload))
            vmlinux = out.raw if got == size else b""
        else:
            vmlinux = lzma.decompress(payload)
    except (OSError, lzma.LZMAError):
        vmlinux = b""
    if vmlinux[:4] != b"\x7fELF":
        return kernel.image
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob("vmlinux-*"):
        old.unlink()
    tmp = path.with_suffix(".tmp")
    tmp.write_bytes(vmlinux)
    tmp.rename(path)
    return path


CC = {"x86": "gcc", "arm64": "aarch64-linux-gnu-gcc"}

SOURCE_DIRS = ("include", "vtd", "amd", "smmu", "kunit", "test")


def _sources():
    """What Kbuild reads, relative to the top of the tree."""
    found = [p for p in ROOT.iterdir() if p.is_file()]
    for name in SOURCE_DIRS:
        found += (ROOT / name).rglob("*")
    return [p.relative_to(ROOT) for p in found
            if p.name == "Kbuild" or (p.suffix in (".c", ".h") and not p.name.endswith(".mod.c"))]


def sources_number():
    """A number of 32 bits, not 0, that changes with the sources."""
    number = 0
    for name in sorted(_sources()):
        number = zlib.crc32(str(name).encode() + (ROOT / name).read_bytes(), number)
    return number or 1


def _mirror(tree, source=None, wanted=None):
    """Copy what changed and nothing else, so that make rebuilds what changed and nothing else."""
    source = source or ROOT
    wanted = set(_sources() if wanted is None else wanted)
    for old in tree.rglob("*.[ch]"):
        if old.relative_to(tree) not in wanted and not old.name.endswith(".mod.c"):
            old.unlink()
    for name in wanted:
        data = (source / name).read_bytes()
        dst = tree / name
        if not dst.exists() or dst.read_bytes() != data:
            dst.parent.mkdir(parents=True, exist_ok=True)
            dst.write_bytes(data)


def make_modules(kernel, name, what, *flags, source=None, wanted=None):
    """Build modules for a kernel, and return the folder under build/kmod that they are in. They are
    compiled in a place that all checkouts share, with ccache where that is installed: of a clean
    clone only what is new is compiled."""
    label = f"{name}-{kernel.build}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omniommu/kmod"
    tree, out = cache / label, BUILD / "kmod" / label
    for place in (cache, out.parent):
        for old in place.glob(f"{name}-{kernel.flavour}-*") if not kernel.modular else []:
            if old.name != label:
                shutil.rmtree(old)
    say(f"building {what} for {kernel.version}")
    tree.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"build-{name}-{kernel.flavour}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    cc = [f"CC=ccache {CC[kernel.arch]}"] if shutil.which("ccache") else []
    with open(tree / ".lock", "w") as lock, open(log, "w") as said:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _mirror(tree, source, wanted)
        rc = subprocess.run(["make", f"-j{os.cpu_count() or 1}", "-C", str(kernel.headers),
                             f"M={tree}", *kernel.make, *cc, *flags, "modules"],
                            stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                            # By dependencies, which is quicker where it is not cached yet.
                            env={**os.environ, "CCACHE_DEPEND": "1"}).returncode
        if rc:
            tail = "\n".join(log.read_text().splitlines()[-25:])
            raise HarnessError(f"building {what} failed, log {log}:\n{tail}")
        for ko in tree.glob("*.ko"):
            shutil.copy2(ko, out / ko.name)
    return out


def build_module(kernel, variant="normal", *flags):
    """omniommu.ko for the guest's kernel, and the modules that test it beside it."""
    if not (ROOT / "Kbuild").exists():
        raise HarnessError("there is no Kbuild here: the module cannot be built")
    ko = make_modules(kernel, variant, f"the module ({variant})", *flags) / "omniommu.ko"
    if not ko.exists():
        raise HarnessError(f"no {ko.name} was built")
    return ko


def output_of(command):
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if run.returncode:
        raise HarnessError(f"{' '.join(map(str, command))} failed:\n{run.stderr}")
    return run.stdout


def build_guest_program(name, arch="x86"):
    """scripts/guest/<name>.c as a static program in build/guest/<arch>/."""
    src = GUEST / f"{name}.c"
    dst = BUILD / "guest" / arch / name
    newest = max(p.stat().st_mtime for p in [src, *GUEST.glob("*.h")])
    if not dst.exists() or dst.stat().st_mtime < newest:
        dst.parent.mkdir(parents=True, exist_ok=True)
        output_of([CC[arch], "-static", "-O2", "-Wall", "-o", str(dst), str(src), "-lpthread"])
    return dst


def build_guest_programs(arch="x86"):
    return [build_guest_program(src.stem, arch) for src in sorted(GUEST.glob("*.c"))]


_clock_lock = threading.Lock()


@functools.lru_cache(maxsize=None)
def _measure_clock():
    if platform.machine() != "x86_64":
        return ""
    program = BUILD / "guest" / "tsc-khz"
    program.parent.mkdir(parents=True, exist_ok=True)
    output_of(["gcc", "-O2", "-Wall", "-o", str(program), str(ROOT / "scripts/tsc-khz.c")])
    return f"tsc_early_khz={output_of([program]).strip()}"


def guest_clock():
    """What tells a guest its clock's frequency: calibrated on a busy host it is wrong, and then
    every deadline is."""
    with _clock_lock:
        return _measure_clock()


# ---------------------------------------------------------------- initramfs

def _module_files(kernel, name):
    """Paths of a stock module and what it needs, in insertion order; empty if it is built in."""
    modprobe = shutil.which("modprobe", path="/usr/sbin:/sbin:/usr/bin") or "modprobe"
    out = subprocess.run([modprobe, "-d", kernel.root, "-S", kernel.version, "--show-depends",
                          name], capture_output=True, text=True)
    if out.returncode:
        raise HarnessError(f"modprobe knows no module {name} for {kernel.version}: {out.stderr}")
    files = []
    for line in out.stdout.splitlines():
        word = line.split()
        if word[0] == "insmod" and word[1] not in files:
            files.append(word[1])
    return files


def _with_libraries(cpio, program, kernel):
    """Put a dynamic program of the host, or of an arm64 root, and its shared libraries into the
    archive."""
    cpio.file("bin/" + Path(program).name, Path(program).read_bytes())
    if kernel.arch == "x86":
        out = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        for lib in sorted(set(re.findall(r"(/\S+) \(0x", out))):
            cpio.file(lib.lstrip("/"), Path(lib).read_bytes())
        return
    missing, seen = [Path(program)], set()
    while missing:
        out = output_of(["aarch64-linux-gnu-readelf", "-d", missing.pop()])
        for name in set(re.findall(r"NEEDED.*\[(\S+)\]", out)) - seen:
            seen.add(name)
            found = next((f for d in ("lib", "usr/lib")
                          for f in [kernel.root / d / "aarch64-linux-gnu" / name] if f.exists()), None)
            if not found:
                raise HarnessError(f"{kernel.root} has no {name}, which {program} needs")
            cpio.file(f"lib/{name}", found.read_bytes())
            missing.append(found)


def build_base(kernel):
    """What no case changes: busybox, kexec, the modules of a stock kernel. Cached by its
    ingredients."""
    busybox = kernel.busybox
    kexec = shutil.which("kexec", path="/usr/sbin:/sbin:/usr/bin:/bin") \
        if kernel.arch == "x86" else kernel.root / "sbin/kexec"
    if not kexec:
        raise HarnessError("kexec-tools is missing; run scripts/setup.sh")
    applets = output_of([shutil.which("busybox"), "--list"]).split()
    recipe = hashlib.sha256(b"".join(Path(__file__).with_name(f).read_bytes()
                                     for f in ("harness.py", "cpio.py")))
    recipe.update(kernel.version.encode())
    for part in (busybox, kexec, kernel.image):
        st = os.stat(part)
        recipe.update(f"{part} {st.st_size} {st.st_mtime_ns}".encode())
    path = BUILD / "guest" / f"base-{kernel.flavour}-{recipe.hexdigest()[:16]}.cpio"
    if path.exists():
        return path
    cpio = Cpio()
    for name in ("proc", "sys", "dev", "tmp", "run", "etc", "mnt", "guest"):
        cpio.dir(name)
    cpio.node("dev/console", 5, 1)
    cpio.file("bin/busybox", busybox.read_bytes())
    for applet in applets:
        if applet != "busybox":
            cpio.link(f"bin/{applet}", "busybox")
    _with_libraries(cpio, kexec, kernel)
    shipped = set()
    for name in GUEST_MODULES if kernel.modular else []:
        order = []
        for file in _module_files(kernel, name):
            flat = Path(file).name.removesuffix(".xz")
            order.append(flat.removesuffix(".ko"))
            if flat in shipped:
                continue
            shipped.add(flat)
            data = Path(file).read_bytes()
            cpio.file("mods/" + flat, lzma.decompress(data) if file.endswith(".xz") else data)
        cpio.file(f"mods/{name}.order", "".join(f"{m}\n" for m in order).encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f"base-{kernel.flavour}-{16 * '?'}.cpio"):
        old.unlink()
    tmp = path.with_suffix(".tmp")
    tmp.write_bytes(cpio.bytes())
    tmp.rename(path)
    return path


def acpi_override(table, name="DMAR"):
    """An uncompressed archive from which the kernel replaces an ACPI table early."""
    cpio = Cpio()
    cpio.file(f"kernel/firmware/acpi/{name}.aml", table)
    return cpio.bytes()


class Guest:
    """Everything a boot is made from, prepared once."""

    def __init__(self, need_module=True, need_programs=True, flavours=("stock",),
                 modules_for=None):
        self.kernels = {f: find_kernel(f) for f in flavours}
        self.kernel = next(iter(self.kernels.values()))
        self.bases = {f: build_base(k) for f, k in self.kernels.items()}
        self.images = {f: unpacked_image(k) for f, k in self.kernels.items()}
        self.programs = {a: build_guest_programs(a) if need_programs else []
                         for a in {k.arch for k in self.kernels.values()}}
        self.modules = {}
        if need_module:
            for f in flavours if modules_for is None else modules_for:
                k = self.kernels[f]
                # The suites are another program's business.
                self.modules["omni", f] = build_module(k, "normal", "CONFIG_KUNIT=")

    def add_variant(self, name, *flags, flavour="stock"):
        self.modules[name, flavour] = build_module(self.kernels[flavour], name, "CONFIG_KUNIT=",
                                                   *flags)

    def image(self, boot):
        return self.images[boot.kernel] if boot.unpacked else self.kernels[boot.kernel].image

    def initrd(self, boot, path):
        cpio = Cpio()
        for src in sorted(GUEST.glob("*")):
            if src.name == "init":
                cpio.file("init", src.read_bytes())
            elif src.suffix == ".sh":
                cpio.file(f"guest/{src.name}", src.read_bytes())
        for tool in ("omnistat", "iovamap"):
            cpio.file(f"guest/{tool}", (ROOT / "scripts" / tool).read_bytes())
        for prog in self.programs[self.kernels[boot.kernel].arch]:
            cpio.file(f"bin/{prog.name}", prog.read_bytes())
        if (boot.driver, boot.kernel) in self.modules:
            ko = self.modules[boot.driver, boot.kernel]
            cpio.file("omniommu.ko", ko.read_bytes())
            cpio.file("omniommu_pages_test.ko",
                      ko.with_name("omniommu_pages_test.ko").read_bytes())
        env = {"DRIVER": boot.driver, "SCRIPT": boot.script,
               "EARLY_SPLATS": "y" if boot.early_splats else "", **boot.env}
        cpio.file("guest/env", "".join(
            "%s='%s'\n" % (k, str(v).replace("'", "'\\''")) for k, v in env.items()).encode())
        early = b"" if boot.dmar is None else \
            acpi_override(boot.dmar, "IORT" if boot.arch == "arm64" else
                          "IVRS" if boot.vendor == "amd" else "DMAR")
        own = cpio.bytes()
        base = self.bases[boot.kernel].read_bytes()
        if boot.kexec_env is not None:
            # The second kernel gets the same guest with another environment.
            second = dataclasses.replace(boot, kexec_env=None, **boot.kexec_env)
            inner = path.with_suffix(".second")
            self.initrd(second, inner)
            extra = Cpio()
            extra.file("second/vmlinuz", self.kernels[boot.kernel].image.read_bytes())
            extra.file("second/initrd", inner.read_bytes())
            extra.file("second/cmdline", second.kernel_arguments().encode())
            inner.unlink()
            own += extra.bytes()
        path.write_bytes(early + base + own)


# ---------------------------------------------------------------- boots

OFF = {"x86": "intel_iommu=off intremap=off", "arm64": "initcall_blacklist=arm_smmu_driver_init",
       "amd": "amd_iommu=off"}
REFERENCE = {"x86": "intel_iommu=on intremap=off", "arm64": "", "amd": "intremap=off"}
COMMON = {"x86": "console=ttyS0,115200 tsc=reliable no_timer_check",
          # Drivers wait for the module: by default they give up after ten seconds.
          "arm64": "console=ttyAMA0 deferred_probe_timeout=-1"}
FIRMWARE = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"


@dataclasses.dataclass
class Boot:
    """One QEMU run and what it must report."""
    name: str
    script: str
    expect: list                        # verdict names that must come
    driver: str = "omni"                # omni, a variant's name, ref (in-tree driver), none
    kernel: str = "stock"               # see Kernel.flavour
    tree: object = None                 # arm64: function(devicetree) -> devicetree to boot with
    acpi: bool = False                  # arm64: ACPI by UEFI firmware instead of a devicetree
    vendor: str = "intel"               # x86: whose unit the machine has, intel or amd
    iommu: str = ""                     # properties of the unit's -device; None leaves it out
    devices: list = dataclasses.field(default_factory=list)     # further QEMU arguments
    env: dict = dataclasses.field(default_factory=dict)         # variables of the guest script
    cmdline: str = ""
    smp: int = 1
    turns: bool = False                 # CPUs take turns: see Run.accelerator()
    mem: int = 768
    total: int = DEFAULT_TOTAL
    trace: bool = False
    dmar: bytes = None                  # ACPI table (DMAR, IVRS) that replaces QEMU's
    mode: str = None                    # IOMMU words of the command line, if not the driver's
    reboots: int = 0                    # resets the guest is expected to do
    kexec_env: dict = None              # Boot fields of the kernel started by kexec
    host: dict = dataclasses.field(default_factory=dict)        # @@HOST word -> function(run)
    before: object = None               # function(run), before QEMU starts in run.tmp
    after: object = None                # function(run) -> list of Verdict, once it has ended
    early_splats: bool = False          # the kernel itself may warn before /init (bad firmware)
    compare: str = None                 # name of the boot whose topology must be the same
    unpacked: bool = True               # start the kernel without its decompressor
    machine: str = ""
    disks: dict = dataclasses.field(default_factory=dict)       # id -> size in MiB
    tags: set = dataclasses.field(default_factory=set)

    def kernel_arguments(self):
        mode = self.mode
        if mode is None:
            mode = (REFERENCE if self.driver == "ref" else OFF)[self.maker]
        own = COMMON[self.arch] + (f" {guest_clock()}" if self.arch == "x86" else "")
        return (f"{own} {mode} panic=-1 oops=panic nokaslr "
                f"printk.devkmsg=on loglevel=4 "
                f"random.trust_cpu=on mitigations=off {self.cmdline}").strip()

    @property
    def arch(self):
        return "arm64" if self.kernel.startswith("arm64") else "x86"

    @property
    def maker(self):
        """Whose unit it is, as the tables here know it."""
        return "amd" if self.vendor == "amd" else self.arch


@dataclasses.dataclass
class Verdict:
    boot: str
    name: str
    result: str         # PASS, FAIL, SKIP
    reason: str = ""


def processor_seconds(pid):
    """What a child has taken of the processors; 0 once it was waited for."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Run:
    """One boot in progress, and its outcome."""

    def __init__(self, guest, boot, on_line=None):
        self.guest = guest
        self.boot = boot
        self.on_line = on_line or (lambda run, line: None)
        self.verdicts = []
        self.notes = []
        self.data = {}
        self.marks = []
        self.blocked = []           # accesses that QEMU has to have rejected
        self.lines = []
        self.done = False
        self.ending = False
        self.complaint = None       # what the kernel complains of by the line that came last
        self.race = []              # a report of KCSAN that is not yet complete
        self.report = []            # what the kernel complained of first, and what followed
        self.trouble = None
        self.seconds = 0.0
        self.cpu = 0.0              # seconds of processors that QEMU took
        safe = re.sub(r"[^A-Za-z0-9_.-]", "_", boot.name)
        self.log = LOGS / f"{safe}.log"
        self.trace = LOGS / f"{safe}.trace"
        self.tmp = None
        self.qmp = None
        self.proc = None

    def disk(self, name):
        return self.tmp / f"{name}.img"

    def arguments(self):
        boot = self.boot
        kernel = self.guest.image(boot)
        args = [*self.machine(),
                "-smp", str(boot.smp), "-m", str(boot.mem), "-nodefaults", "-no-user-config",
                "-display", "none", "-chardev", "stdio,id=con,signal=off", "-serial",
                "chardev:con", "-qmp", f"unix:{self.tmp}/qmp,server=on,wait=off",
                "-kernel", str(kernel), "-initrd", str(self.tmp / "initrd"),
                "-append", boot.kernel_arguments()]
        if boot.iommu is not None and boot.arch == "x86":
            args += ["-device", f"{boot.vendor}-iommu" + ("," + boot.iommu if boot.iommu else "")]
        if not boot.reboots:
            args += ["-no-reboot"]
        if boot.trace or boot.vendor == "amd":
            args += ["-D", str(self.trace)]
        if boot.trace:
            args += ["-trace", TRACES[boot.maker]]
        if boot.vendor == "amd":
            args += ["-d", "guest_errors"]
        for name in boot.disks:
            args += ["-blockdev", f"driver=raw,node-name={name},cache.no-flush=on,"
                                  f"file.driver=file,file.filename={self.disk(name)}"]
        args += [a for d in boot.devices for a in d.split()]
        if boot.tree:
            path = self.tmp / "tree.dtb"
            path.write_bytes(boot.tree(fdt.machine_tree(args, path)))
            args += ["-dtb", str(path)]
        return args

    def accelerator(self):
        """A CPU of QEMU 7.2 may go on with code that another has changed meanwhile, if it was
        translating it just then. A kernel that switches tracepoints, which lie in its code, on and
        off oopses within some dozen times ("Oops: int3"), whatever modules it has. Where CPUs take
        turns in one thread none is translating while another writes. A guest that switches only
        tracepoints that no other CPU can be at needs no turns, if it has set tracing's option
        record-cmd to 0: else any event switches the scheduler's, to know tasks by name."""
        return "tcg,thread=single" if self.boot.turns else "tcg"

    def machine(self):
        boot = self.boot
        if boot.arch == "x86":
            return ["qemu-system-x86_64", "-accel", self.accelerator(), "-M", "q35" + boot.machine,
                    "-cpu", CPU]
        return ["qemu-system-aarch64", "-accel", self.accelerator(),
                "-M", "virt,gic-version=3" + ("" if boot.iommu is None else ",iommu=smmuv3") +
                boot.machine, "-cpu", "max,pauth-impdef=on,lpa2=off",
                *(["-bios", FIRMWARE] if boot.acpi else [])]

    def execute(self):
        """Run the boot to its end; the outcome is in the attributes."""
        start = time.monotonic()
        LOGS.mkdir(parents=True, exist_ok=True)
        self.trace.unlink(missing_ok=True)
        self.tmp = Path(tempfile.mkdtemp(prefix="omniommu-"))
        try:
            if self.boot.before:
                self.boot.before(self)
            self.guest.initrd(self.boot, self.tmp / "initrd")
            for name, size in self.boot.disks.items():
                with open(self.disk(name), "wb") as f:
                    f.truncate(size << 20)
            self._run(start)
            self._judge()
        finally:
            if self.qmp:
                self.qmp.close()
            shutil.rmtree(self.tmp, ignore_errors=True)
        self.seconds = time.monotonic() - start
        return self

    def _run(self, start):
        with open(self.log, "w", errors="replace") as log:
            args = self.arguments()
            log.write("# " + " ".join(args) + "\n")
            proc = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, cwd=self.tmp)
            self.proc = proc
            sel = selectors.DefaultSelector()
            sel.register(proc.stdout, selectors.EVENT_READ)
            pending = b""
            quiet_since = time.monotonic()
            patience = QUIET_LIMIT * (3 if self.boot.kernel in SANITIZED else 1)
            try:
                while True:
                    now = time.monotonic()
                    if now - start > self.boot.total:
                        self.trouble = f"not finished after {self.boot.total} s"
                        break
                    if now - quiet_since > patience:
                        self.trouble = f"no output for {patience} s"
                        break
                    if not sel.select(timeout=1):
                        continue
                    chunk = os.read(proc.stdout.fileno(), 65536)
                    if not chunk:
                        break
                    quiet_since = time.monotonic()
                    *full, pending = (pending + chunk).split(b"\n")
                    for raw in full:
                        line = raw.decode(errors="replace").rstrip("\r")
                        log.write(line + "\n")
                        self._line(line)
                    log.flush()
                if pending:
                    log.write(pending.decode(errors="replace") + "\n")
            finally:
                # A guest that has said @@DONE powers off; one that hangs is ended here.
                if self.trouble:
                    proc.kill()
                self.cpu = processor_seconds(proc.pid)
                try:
                    rc = proc.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    proc.kill()
                    rc = proc.wait()
                proc.stdout.close()
            if rc and not self.trouble:
                self.trouble = f"QEMU ended with status {rc}"

    def end(self, seconds):
        """End the guest, once what it still has to say is out."""
        if not self.ending:
            self.ending = True
            threading.Timer(seconds, lambda: self.proc.poll() is None and self.proc.kill()).start()

    def _complaint(self, line):
        """The complaint that ends with this line of the log, by its title, or None. The first is
        kept whole; a sanitizer's ends the guest: one is enough."""
        found = None
        if self.race:
            # Who races with whom is known at the end. The kernel's own races are not ours to mend.
            self.race.append(line)
            if "=====" in line:
                if (any("[omniommu" in frame for frame in self.race) and
                        not KERNELS_OWN_RACES.search(self.race[0])):
                    found = self.race
                self.race = []
        elif "BUG: KCSAN: " in line:
            self.race = [line]
        elif complains(line):
            found = [line]
        if self.report:
            if len(self.report) < REPORT_LINES:
                self.report.append(line)
        elif found:
            self.report = list(found)
            if self.boot.kernel in SANITIZED:
                self.end(REPORT_SECONDS)
        return found[0] if found else None

    def _line(self, line):
        self.lines.append(line)
        self.complaint = self._complaint(line)
        m = VERDICT.search(line)
        if m:
            word, rest = m.groups()
            if word in ("PASS", "FAIL", "SKIP"):
                name, _, reason = rest.partition(": ")
                self.verdicts.append(Verdict(self.boot.name, name.strip(), word, reason.strip()))
            elif word == "NOTE":
                self.notes.append(rest)
            elif word == "DATA":
                key, _, value = rest.partition(" ")
                if key == "blocked":
                    self.blocked.append(value)
                else:
                    self.data[key] = value
            elif word == "DONE":
                self.done = True
            elif word == "MARK":
                size = self.trace.stat().st_size if self.trace.exists() else 0
                self.marks.append((rest, size))
            elif word == "HOST":
                threading.Thread(target=self._host, args=(rest.split(),), daemon=True).start()
        self.on_line(self, line)

    def _host(self, words):
        try:
            self.boot.host[words[0]](self, *words[1:])
        except Exception as e:      # reported as a verdict: a thread must not fail in silence
            self.verdicts.append(Verdict(self.boot.name, f"host/{words[0]}", "FAIL", repr(e)))

    def monitor(self, command, **arguments):
        """One QMP command; returns its result or raises."""
        if not self.qmp:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(30)
            s.connect(str(self.tmp / "qmp"))
            self.qmp = s.makefile("rwb")
            self.qmp.readline()
            self.monitor("qmp_capabilities")
        self.qmp.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.qmp.flush()
        while True:
            answer = json.loads(self.qmp.readline())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise HarnessError(f"QMP {command}: {answer['error'].get('desc')}")

    def trace_commands(self, first=0, last=None):
        """Invalidation commands by kind that QEMU saw between two offsets of its trace."""
        with open(self.trace, "rb") as f:
            f.seek(first)
            text = f.read() if last is None else f.read(last - first)
        return count_commands(text.decode(errors="replace").splitlines(),
                              AMD_TRACE_KINDS if self.boot.vendor == "amd" else TRACE_KINDS)

    def _rejections(self):
        """Did QEMU reject each access that the guest says must have been blocked?"""
        seen = collections.Counter()
        with open(self.trace, errors="replace") as f:
            for line in f:
                m = re.match(r"Invalid (read|write) at addr 0x([0-9A-F]+),.*reason: rejected", line)
                if m:
                    seen[f"{m[1]} 0x{m[2].lower()}"] += 1
        missing = [a for a, n in collections.Counter(self.blocked).items() if seen[a] < n]
        return Verdict(self.boot.name, "host/rejected", "FAIL" if missing else "PASS",
                       f"QEMU let through or never saw: {', '.join(missing)}" if missing else "")

    def _judge(self):
        if self.report:
            complaint = f"the kernel complained: {self.report[0].strip()}"
            # A guest that was ended for it has no other trouble.
            self.trouble = complaint if self.ending or not self.trouble else \
                f"{self.trouble}; {complaint}"
        if not self.done and not self.trouble:
            self.trouble = "the guest ended without @@DONE"
        if self.blocked:
            self.verdicts.append(self._rejections())
        if self.boot.after and not self.trouble:
            try:
                found = self.boot.after(self)       # may replace self.verdicts
                self.verdicts += found
            except Exception as e:
                self.verdicts.append(Verdict(self.boot.name, "host/compare", "FAIL", repr(e)))
        seen = {}
        merged = []
        for v in self.verdicts:
            # A case reported twice counts once, and its worst verdict counts.
            if v.name in seen:
                if v.result == "FAIL":
                    seen[v.name].result, seen[v.name].reason = v.result, v.reason
                continue
            seen[v.name] = v
            merged.append(v)
        for name in self.boot.expect:
            if name not in seen:
                merged.append(Verdict(self.boot.name, name, "FAIL",
                                      "never reported" + (f" ({self.trouble})" if self.trouble
                                                          else "")))
        merged.append(Verdict(self.boot.name, "boot", "FAIL" if self.trouble else "PASS",
                              self.trouble or ""))
        self.verdicts = merged

    def tail(self, count=15):
        return [line for line in self.lines if line.strip()][-count:]


TRACES = {"x86": "vtd_inv_desc*", "arm64": "smmuv3_cmdq_opcode", "amd": "amdvi_*"}

# QEMU's trace event -> the ledger's name for the command. A context command for one device is
# traced as cc_devices and then, for each device it concerned, as cc_device.
TRACE_KINDS = [
    (re.compile(r"vtd_inv_desc_cc_(?:global|domain|devices)\b"), "context"),
    (re.compile(r"vtd_inv_desc_iotlb_global\b"), "iotlb_global"),
    (re.compile(r"vtd_inv_desc_iotlb_domain\b"), "iotlb_domain"),
    (re.compile(r"vtd_inv_desc_iotlb_pages\b"), "iotlb_page"),
    (re.compile(r"vtd_inv_desc_wait_(?:sw|irq)\b"), "wait"),
    (re.compile(r"vtd_inv_desc .*\bdevice\b"), "device_tlb"),
    (re.compile(r"smmuv3_cmdq_opcode.*_CFGI_"), "context"),
    (re.compile(r"smmuv3_cmdq_opcode.*_TLBI_NSNH_ALL\b"), "iotlb_global"),
    (re.compile(r"smmuv3_cmdq_opcode.*_TLBI_NH_ASID\b"), "iotlb_domain"),
    (re.compile(r"smmuv3_cmdq_opcode.*_TLBI_NH_VA\b"), "iotlb_page"),
    (re.compile(r"smmuv3_cmdq_opcode.*_CMD_SYNC\b"), "wait"),
]

# QEMU traces no sizes of invalidations here: one event for what the ledger counts as two kinds.
AMD_TRACE_KINDS = [
    (re.compile(r"amdvi_devtab_inval\b"), "context"),
    (re.compile(r"amdvi_all_inval\b"), "iotlb_global"),
    (re.compile(r"amdvi_pages_inval\b"), "iotlb_domain+iotlb_page"),
    (re.compile(r"amdvi_completion_wait\b"), "wait"),
    (re.compile(r"amdvi_iotlb_inval\b"), "device_tlb"),
]


def count_commands(lines, kinds):
    counts = {kind: 0 for _, kind in kinds}
    for line in lines:
        for pattern, kind in kinds:
            if pattern.search(line):
                counts[kind] += 1
                break
    return counts


# The fastest of those tried under TCG that has the 16-byte compare-and-exchange.
CPU = os.environ.get("OMNI_CPU", "Nehalem,+pdpe1gb,+rdrand")
