#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""DMAR tables for tests: good ones, odd ones and malformed ones.

The tables are made for QEMU's q35 machine with an intel-iommu, so that a guest
can be booted with any of them in place of its own:

    cases()   (name, table, regex): malformed; the regex is what the module
              must print when it refuses the table
    good()    (name, table): odd but legal; the module must load
    PARSER    names of cases no guest can be booted with: for tests of the
              parser alone
    listed()  all of them as a file that the firmware suite reads
    args()    what a case needs on the guest's kernel command line

Run it to list the tables, or to write one:

    dmar_tables.py                          list all names
    dmar_tables.py NAME FILE                write the table
    dmar_tables.py --initrd NAME FILE       write the archive that overrides a guest's
                                            table, to be put before its initramfs
"""

import struct
import sys

import acpi_tables

BASE = 0xFED90000       # QEMU's q35: registers of its one unit
WIDTH = 39              # QEMU's default aw-bits

DRHD, RMRR, ATSR, RHSA, ANDD, SATC, SIDP = range(7)
ENDPOINT, BRIDGE, IOAPIC, HPET, NAMESPACE = range(1, 6)

RESERVED, BEYOND_RAM = acpi_tables.RESERVED, acpi_tables.BEYOND_RAM


def scope(kind, bus, *path, enum_id=0, length=None, tail=b""):
    """A device scope entry; path is a row of (device, function)."""
    body = b"".join(bytes(hop) for hop in path) + tail
    if length is None:
        length = 6 + len(body)
    return struct.pack("<BBHBB", kind, length, 0, enum_id, bus) + body


def structure(kind, body, length=None):
    """A remapping structure with its header."""
    if length is None:
        length = 4 + len(body)
    return struct.pack("<HH", kind, length) + body


def drhd(base=BASE, flags=1, segment=0, size=0, scopes=(), length=None):
    return structure(DRHD, struct.pack("<BBHQ", flags, size, segment, base) +
                     b"".join(scopes), length)


def rmrr(base, last, scopes=(), segment=0, length=None):
    return structure(RMRR, struct.pack("<HHQQ", 0, segment, base, last) +
                     b"".join(scopes), length)


def atsr(flags=1, scopes=(), segment=0, length=None):
    return structure(ATSR, struct.pack("<BBH", flags, 0, segment) +
                     b"".join(scopes), length)


def rhsa(base=BASE, domain=0, length=None):
    return structure(RHSA, struct.pack("<IQI", 0, base, domain), length)


def andd(number=1, name=b"\\_SB.PCI0.I2C0\0", length=None):
    return structure(ANDD, bytes(3) + bytes([number]) + name, length)


def satc(flags=0, scopes=(), segment=0, length=None):
    return structure(SATC, struct.pack("<BBH", flags, 0, segment) +
                     b"".join(scopes), length)


def sidp(scopes=(), segment=0):
    return structure(SIDP, struct.pack("<HH", 0, segment) + b"".join(scopes))


def ioapic(number=0, bus=0xFF, device=0, function=0):
    """The I/O APIC as QEMU lists it in the scope of its unit."""
    return scope(IOAPIC, bus, (device, function), enum_id=number)


def unit(**more):
    """A DRHD for QEMU's unit and whatever devices the machine has."""
    return drhd(scopes=[ioapic()], **more)


def table(*structures, width=WIDTH, flags=0, length=None, checksum=None,
          signature=b"DMAR"):
    """A whole table. length and checksum: instead of the right ones."""
    return acpi_tables.table(signature, bytes([(width - 1) & 0xFF, flags]) + bytes(10),
                             b"".join(structures), length, checksum)


# What a q35 machine without further devices has on bus 0, by QEMU's order.
Q35_DEVICES = ((0, 0), (31, 0), (31, 2), (31, 3))


def qemu(width=WIDTH, flags=0, devices=Q35_DEVICES, bridges=(), ats=False):
    """QEMU 7.2's table, but for the ids: each device of bus 0 by name.

    There is no INCLUDE_PCI_ALL in it. flags: 1 unless with `intremap=off`; ats:
    `device-iotlb=on`; bridges: those of devices that are root ports or bridges.
    """
    kinds = [(BRIDGE if path in bridges else ENDPOINT, path)
             for path in devices]
    return table(drhd(flags=0, scopes=[ioapic()] + [
        scope(kind, 0, path) for kind, path in kinds]),
        *([atsr()] if ats else []), width=width, flags=flags)


def cases():
    """Malformed tables, each with one defect of its own."""
    out = []

    def bad(name, raw, regex):
        out.append(("dmar/" + name, raw, r"omniommu: DMAR: " + regex +
                    r".*; the table is refused, "
                    r"report it to the firmware's vendor"))

    # The table's header
    bad("table-truncated-header", table(unit())[:40], r"table at 0x0: 40 bytes")
    bad("table-length-below-header", table(unit(), length=40),
        r"table at 0x0: length 40 is shorter than its header, 48")
    bad("table-length-above-file", table(unit(), length=80),
        r"table at 0x0: length 80, but there are only 72 bytes")
    bad("table-length-huge", table(unit(), length=0xFFFFFFFF),
        r"table at 0x0: length 4294967295, but")
    bad("table-checksum", table(unit())[:-1] + b"\x01",
        r"table at 0x0: the bytes add up to 0x01")
    bad("table-signature", table(unit(), signature=b"RAMD"),
        r"table at 0x0: the signature is not DMAR")
    bad("table-width-1", table(unit(), width=1),
        r"table at 0x0: a host address width of 1 bits")
    bad("table-width-11", table(unit(), width=11),
        r"table at 0x0: a host address width of 11 bits")
    bad("table-width-65", table(unit(), width=65),
        r"table at 0x0: a host address width of 65 bits")
    bad("table-width-256", table(unit(), width=256),
        r"table at 0x0: a host address width of 256 bits")
    bad("table-empty", table(), r"table at 0x0: it has no DRHD")
    bad("table-without-drhd",
        table(rmrr(RESERVED, RESERVED + 0xFFF, [scope(ENDPOINT, 0, (2, 0))])),
        r"table at 0x0: it has no DRHD")
    bad("table-cut-in-drhd", table(unit()[:12]),
        r"DRHD at 0x30: length 24 runs past the table's end, 12 ")
    bad("table-trailing-byte", table(unit(), b"\0"),
        r"structure at 0x48: 1 bytes are left")
    bad("table-trailing-half-header", table(unit(), b"\xff\xff\0"),
        r"structure at 0x48: 3 bytes are left")
    bad("table-trailing-zeroes", table(unit(), bytes(16)),
        r"DRHD at 0x48: length 0 is shorter than 16")
    bad("table-too-many-units",
        table(*[drhd(0x1_0000_0000 + 4096 * i, 0) for i in range(1025)]),
        r"DRHD at 0x4030: the table has more than 1024 units")

    # Structures of any type
    bad("unknown-zero-length", table(unit(), structure(77, b"", length=0)),
        r"structure at 0x48: length 0 is shorter than 4")
    bad("unknown-short-length", table(unit(), structure(77, b"", length=3)),
        r"structure at 0x48: length 3 is shorter than 4")
    bad("unknown-overrun", table(unit(), structure(77, b"abcd", length=9)),
        r"structure at 0x48: length 9 runs past the table's end, 8 ")

    # DRHD
    bad("drhd-zero-length", table(unit(length=0)),
        r"DRHD at 0x30: length 0 is shorter than 16")
    bad("drhd-short", table(drhd(length=4)),
        r"DRHD at 0x30: length 4 is shorter than 16")
    bad("drhd-short-by-one", table(drhd(length=15)),
        r"DRHD at 0x30: length 15 is shorter than 16")
    bad("drhd-overrun", table(unit(length=0x40)),
        r"DRHD at 0x30: length 64 runs past the table's end, 24 ")
    bad("drhd-length-maximal", table(unit(length=0xFFFF)),
        r"DRHD at 0x30: length 65535 runs past")
    bad("drhd-base-zero", table(unit(base=0)),
        r"DRHD at 0x30: the register base is 0")
    bad("drhd-base-unaligned", table(unit(base=BASE + 0x10)),
        r"DRHD at 0x30: register base 0xfed90010 is not 4K aligned")
    bad("drhd-base-all-ones", table(unit(base=0xFFFFFFFFFFFFFFFF)),
        r"DRHD at 0x30: register base 0xffffffffffffffff is not 4K aligned")
    bad("drhd-base-beyond-width", table(unit(base=1 << 39)),
        r"DRHD at 0x30: registers at 0x8000000000, size 0x1000, lie beyond")
    bad("drhd-end-beyond-width", table(unit(base=(1 << 39) - 4096, size=1)),
        r"DRHD at 0x30: registers at 0x7ffffff000, size 0x2000, lie beyond")
    bad("drhd-end-wraps",
        table(unit(base=0xFFFFFFFFFFFFF000, size=1), width=64),
        r"DRHD at 0x30: registers at 0xfffffffffffff000, size 0x2000, lie")
    bad("drhd-beyond-small-width", table(unit(), width=31),
        r"DRHD at 0x30: registers at 0xfed90000, size 0x1000, lie beyond the "
        r"host's 31 address bits")
    bad("drhd-over-interrupt-range", table(unit(base=0xFEE00000)),
        r"DRHD at 0x30: registers at 0xfee00000, size 0x1000, overlap the int")
    bad("drhd-size-over-interrupt-range", table(unit(size=15)),
        r"DRHD at 0x30: registers at 0xfed90000, size 0x8000000, overlap the ")
    bad("drhd-in-ram", table(unit(base=0x100000)),
        r"DRHD at 0x30: registers at 0x100000, size 0x1000, lie in RAM")
    bad("drhd-same-base",
        table(drhd(flags=0, scopes=[scope(ENDPOINT, 0, (2, 0))]), unit()),
        r"DRHD at 0x48: registers at 0xfed90000, .*overlap those of the DRHD "
        r"at 0x30")
    bad("drhd-same-base-other-segment", table(unit(), unit(segment=1)),
        r"DRHD at 0x48: registers at 0xfed90000, .*overlap those of the DRHD")
    bad("drhd-overlap-by-size",
        table(drhd(BASE - 0x2000, 0, size=2,
                   scopes=[scope(ENDPOINT, 0, (2, 0))]), unit()),
        r"DRHD at 0x48: registers at 0xfed90000, .*overlap those of the DRHD")
    bad("drhd-two-include-all",
        table(unit(), drhd(BASE + 0x1000, 1)),
        r"DRHD at 0x48: segment 0x0000 has an INCLUDE_PCI_ALL unit already, "
        r"the DRHD at 0x30")
    bad("drhd-two-include-all-far-segment",
        table(unit(segment=9), drhd(BASE + 0x1000, 1, 8),
              drhd(BASE + 0x2000, 1, 9)),
        r"DRHD at 0x58: segment 0x0009 has an INCLUDE_PCI_ALL unit already")
    bad("drhd-device-in-two-units",
        table(drhd(BASE + 0x1000, 0, scopes=[scope(ENDPOINT, 0, (2, 0))]),
              drhd(BASE, 1, scopes=[scope(ENDPOINT, 0, (2, 0))])),
        r"DRHD at 0x48: device 02.0, 1 hops from bus 0x00, is listed twice, "
        r"first by the DRHD at 0x30")
    bad("drhd-bridge-in-two-units",
        table(drhd(BASE + 0x1000, 0,
                   scopes=[scope(BRIDGE, 0, (28, 0), (0, 0))]),
              drhd(BASE + 0x2000, 0, scopes=[scope(ENDPOINT, 0, (3, 0)),
                                             scope(ENDPOINT, 0, (28, 0),
                                                   (0, 0))]),
              unit()),
        r"DRHD at 0x4a: device 00.0, 2 hops from bus 0x00, is listed twice, ")
    bad("drhd-device-twice",
        table(drhd(scopes=[ioapic(), scope(ENDPOINT, 0, (2, 0)),
                           scope(ENDPOINT, 0, (3, 0)),
                           scope(ENDPOINT, 0, (2, 0))])),
        r"DRHD at 0x30: device 02.0, 1 hops from bus 0x00, is listed twice")

    # Device scopes
    bad("scope-zero-length",
        table(drhd(scopes=[scope(ENDPOINT, 0, (2, 0), length=0)])),
        r"DRHD scope at 0x40: length 0 is shorter than 6")
    bad("scope-short",
        table(drhd(scopes=[scope(ENDPOINT, 0, (2, 0), length=5)])),
        r"DRHD scope at 0x40: length 5 is shorter than 6")
    bad("scope-without-path",
        table(drhd(scopes=[ioapic(), scope(ENDPOINT, 0)])),
        r"DRHD scope at 0x48: it has no path")
    bad("scope-half-hop",
        table(drhd(scopes=[scope(ENDPOINT, 0, (2, 0), tail=b"\1")])),
        r"DRHD scope at 0x40: length 9 leaves half a hop")
    bad("scope-overrun-drhd",
        table(drhd(scopes=[scope(ENDPOINT, 0, (2, 0), length=10)]), atsr()),
        r"DRHD scope at 0x40: length 10 runs past the DRHD's end, 8 bytes")
    bad("scope-truncated",
        table(drhd(scopes=[ioapic(), b"\1\x08\0\0\0"])),
        r"DRHD scope at 0x48: 5 bytes are left, too few for an entry")
    bad("scope-unknown-type-zero-length",
        table(drhd(scopes=[scope(0x55, 0, (2, 0), length=0)])),
        r"DRHD scope at 0x40: length 0 is shorter than 6")
    bad("scope-unknown-type-overrun",
        table(drhd(scopes=[scope(0x55, 0, (2, 0), length=255)])),
        r"DRHD scope at 0x40: length 255 runs past the DRHD's end")
    bad("scope-device-32",
        table(drhd(scopes=[scope(ENDPOINT, 0, (32, 0))])),
        r"DRHD scope at 0x40: hop 0 of the path is device 32 function 0")
    bad("scope-function-8",
        table(drhd(scopes=[scope(ENDPOINT, 0, (2, 8))])),
        r"DRHD scope at 0x40: hop 0 of the path is device 2 function 8")
    bad("scope-bad-middle-hop",
        table(drhd(scopes=[scope(BRIDGE, 0, (28, 0), (0xFF, 0xFF), (1, 0))])),
        r"DRHD scope at 0x40: hop 1 of the path is device 255 function 255")
    bad("scope-bad-ioapic-path",
        table(drhd(scopes=[ioapic(device=0x40)])),
        r"DRHD scope at 0x40: hop 0 of the path is device 64")

    # RMRR
    devs = [scope(ENDPOINT, 0, (2, 0))]
    bad("rmrr-zero-length",
        table(unit(), rmrr(RESERVED, RESERVED + 0xFFF, devs, length=0)),
        r"RMRR at 0x48: length 0 is shorter than 24")
    bad("rmrr-short", table(unit(), structure(RMRR, bytes(16))),
        r"RMRR at 0x48: length 20 is shorter than 24")
    bad("rmrr-base-above-limit",
        table(unit(), rmrr(RESERVED + 0x1000, RESERVED + 0xFFF, devs)),
        r"RMRR at 0x48: base 0xfed41000 is above limit 0xfed40fff")
    bad("rmrr-limit-zero", table(unit(), rmrr(RESERVED, 0, devs)),
        r"RMRR at 0x48: base 0xfed40000 is above limit 0x0")
    bad("rmrr-base-unaligned",
        table(unit(), rmrr(RESERVED + 0x800, RESERVED + 0xFFF, devs)),
        r"RMRR at 0x48: 0xfed40800-0xfed40fff does not begin and end on 4K")
    bad("rmrr-limit-unaligned",
        table(unit(), rmrr(RESERVED, RESERVED + 0x1000, devs)),
        r"RMRR at 0x48: 0xfed40000-0xfed41000 does not begin and end on 4K")
    bad("rmrr-everything",
        table(unit(), rmrr(0, 0xFFFFFFFFFFFFFFFF, devs)),
        r"RMRR at 0x48: 0x0-0xffffffffffffffff lies beyond")
    bad("rmrr-beyond-width",
        table(unit(), rmrr(1 << 40, (1 << 40) + 0xFFF, devs)),
        r"RMRR at 0x48: 0x10000000000-0x10000000fff lies beyond the host's 39")
    bad("rmrr-over-interrupt-range",
        table(unit(), rmrr(0xFEDFF000, 0xFEE00FFF, devs)),
        r"RMRR at 0x48: 0xfedff000-0xfee00fff overlaps the interrupt range")
    bad("rmrr-over-registers",
        table(unit(), rmrr(BASE - 0x1000, BASE + 0xFFF, devs)),
        r"RMRR at 0x48: .* overlaps the registers of the DRHD at 0x30")
    bad("drhd-over-earlier-rmrr",
        table(rmrr(BASE, BASE + 0xFFF, devs), unit()),
        r"DRHD at 0x50: .* overlap the RMRR of 0xfed90000-0xfed90fff")
    bad("rmrr-scope-overrun",
        table(unit(), rmrr(RESERVED, RESERVED + 0xFFF,
                           [scope(ENDPOINT, 0, (2, 0), length=30)])),
        r"RMRR scope at 0x60: length 30 runs past the RMRR's end, 8 bytes")
    bad("rmrr-device-twice",
        table(unit(), rmrr(RESERVED, RESERVED + 0xFFF, devs + devs)),
        r"RMRR at 0x48: device 02.0, 1 hops from bus 0x00, is listed twice")

    # ATSR, RHSA, ANDD, SATC
    bad("atsr-zero-length", table(unit(), atsr(length=0)),
        r"ATSR at 0x48: length 0 is shorter than 8")
    bad("atsr-short", table(unit(), structure(ATSR, b"\1\0")),
        r"ATSR at 0x48: length 6 is shorter than 8")
    bad("atsr-scope-zero-length",
        table(unit(), atsr(0, [scope(BRIDGE, 0, (28, 0), length=0)])),
        r"ATSR scope at 0x50: length 0 is shorter than 6")
    bad("atsr-port-twice",
        table(unit(), atsr(0, [scope(BRIDGE, 0, (28, 0)),
                               scope(BRIDGE, 0, (28, 0))])),
        r"ATSR at 0x48: device 1c.0, 1 hops from bus 0x00, is listed twice")
    bad("rhsa-short", table(unit(), structure(RHSA, bytes(15))),
        r"RHSA at 0x48: length 19 is shorter than 20")
    bad("andd-short", table(unit(), structure(ANDD, bytes(3))),
        r"ANDD at 0x48: length 7 is shorter than 8")
    bad("andd-unterminated", table(unit(), andd(name=b"\\_SB.PCI0")),
        r"ANDD at 0x48: the device's name has no terminating zero")
    bad("satc-short", table(unit(), structure(SATC, b"\1\0\0")),
        r"SATC at 0x48: length 7 is shorter than 8")
    bad("satc-scope-half-hop",
        table(unit(), satc(1, [scope(ENDPOINT, 0, (2, 0), tail=b"\0")])),
        r"SATC scope at 0x50: length 9 leaves half a hop")
    bad("satc-device-twice",
        table(unit(), satc(0, [scope(ENDPOINT, 0, (2, 0)),
                               scope(ENDPOINT, 0, (2, 0))])),
        r"SATC at 0x48: device 02.0, 1 hops from bus 0x00, is listed twice")
    return out


PARSER = frozenset("dmar/" + name for name in (
    # The override code of the kernel (drivers/acpi/tables.c) drops a file whose
    # size is not the table's length, whose checksum is wrong or whose signature
    # it does not know: the guest boots with its own, good table.
    "table-truncated-header",
    "table-length-below-header",
    "table-length-above-file",
    "table-length-huge",
    "table-checksum",
    "table-signature",
    # The kernel's own look at the registers, long before any module's, warns
    # about the first address and crashes on the second.
    "drhd-base-all-ones",
    "drhd-end-wraps",
))

# What is wrong with these depends on the machine, not on the table alone.
MACHINE = frozenset(("dmar/drhd-in-ram",))

# The kernel's own parser never comes back from these, even when it is told by
# intel_iommu=off not to use what it finds.
STUCK = frozenset("dmar/" + name for name in (
    "table-trailing-byte",
    "table-trailing-half-header",
    "table-trailing-zeroes",
    "unknown-zero-length",
    "unknown-short-length",
    "drhd-short",
    "drhd-short-by-one",
    "scope-zero-length",
    "scope-short",
    "scope-unknown-type-zero-length",
    "rmrr-zero-length",
    "atsr-zero-length",
    "atsr-scope-zero-length",
))


def args(name):
    """Kernel arguments, besides the module's own, to boot a guest with."""
    return "initcall_blacklist=pci_iommu_init" if name in STUCK else ""


def good():
    """Odd but legal tables with which QEMU's unit must come up."""
    far = [scope(ENDPOINT, 0xE0, (31, 7))]
    return [("dmar/" + name, raw) for name, raw in (
        ("qemu", qemu()),
        ("qemu-width-48", qemu(width=48)),
        ("qemu-atsr", qemu(ats=True)),
        ("include-all", table(unit())),
        ("include-all-atsr", table(unit(), atsr())),
        ("flags-all", table(unit(), flags=0xFF)),
        ("width-64", table(unit(), width=64)),
        ("no-scope", table(drhd())),
        ("unknown-structures", table(
            structure(6, b""), unit(), structure(77, b"anything"),
            structure(0xFFFF, bytes(255)))),
        ("unknown-structure-odd-length", table(
            structure(9, b"\1\2\3"), unit(), structure(9, b"x"), atsr())),
        ("sidp", table(unit(), sidp([scope(ENDPOINT, 0, (2, 0))]))),
        ("unknown-scope-types", table(drhd(scopes=[
            scope(0, 0), ioapic(), scope(6, 0, (40, 40)),
            scope(0xFF, 0, tail=b"odd")]))),
        ("rhsa", table(unit(), rhsa())),
        ("rhsa-before-drhd", table(rhsa(), unit())),
        ("rhsa-unknown-unit", table(unit(), rhsa(base=0xDEAD0000))),
        ("rhsa-absurd-domain", table(unit(), rhsa(domain=0xFFFFFFFF))),
        ("andd", table(drhd(scopes=[
            ioapic(), scope(NAMESPACE, 0, (21, 0), enum_id=1)]), andd())),
        ("satc", table(unit(), satc(0, far))),
        ("satc-required", table(unit(), satc(1, far))),
        ("atsr-all-ports-with-scopes", table(
            unit(), atsr(1, [scope(BRIDGE, 0, (28, 0))]))),
        ("atsr-no-port", table(unit(), atsr(0))),
        ("atsr-several", table(unit(), atsr(0, far), atsr(1))),
        ("atsr-other-segment", table(unit(), atsr(1, segment=5))),
        ("rmrr-without-device", table(
            unit(), rmrr(RESERVED, RESERVED + 0xFFF))),
        ("rmrr-absent-device", table(
            unit(), rmrr(BEYOND_RAM, BEYOND_RAM + 0xFFFFF, far))),
        ("rmrr-overlapping", table(
            unit(), rmrr(BEYOND_RAM, BEYOND_RAM + 0xFFFF, far),
            rmrr(BEYOND_RAM + 0x8000, BEYOND_RAM + 0x1FFFF, far))),
        ("rmrr-same-device-twice", table(
            unit(), rmrr(RESERVED, RESERVED + 0xFFF, far),
            rmrr(RESERVED + 0x2000, RESERVED + 0x2FFF, far))),
        ("rmrr-before-drhd", table(
            rmrr(RESERVED, RESERVED + 0xFFF, far), unit())),
        ("drhd-reserved-bits", table(
            structure(DRHD, struct.pack("<BBHQ", 0xFF, 0xF0, 0, BASE)))),
        ("drhd-size-field", table(unit(size=1))),
        ("absent-device", table(drhd(scopes=[ioapic()] + far))),
        ("long-path", table(drhd(scopes=[
            scope(BRIDGE, 0, *[(31, 7)] * 124)]))),
        ("ioapic-and-hpet-share-a-path", table(drhd(scopes=[
            ioapic(), ioapic(number=1), scope(HPET, 0xFF, (0, 0)),
            scope(HPET, 0xFF, (0, 0), enum_id=1)]))),
        ("same-path-other-bus", table(drhd(scopes=[
            scope(ENDPOINT, 0xE0, (31, 7)), scope(ENDPOINT, 0xE1, (31, 7)),
            scope(BRIDGE, 0xE0, (31, 7), (31, 7))]))),
    )]


def listed():
    """All tables as the firmware suite reads them: length, good, name, table."""
    return acpi_tables.listed([c for c in cases() if c[0] not in MACHINE], good())



if __name__ == "__main__":
    sys.exit(acpi_tables.main(sys.modules[__name__], sys.argv[1:]))
