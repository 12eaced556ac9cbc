#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""IVRS tables for tests: good ones, odd ones and malformed ones.

The tables are made for QEMU's q35 machine with an amd-iommu, so that a guest
can be booted with any of them in place of its own:

    cases()     (name, table, regex): malformed; the regex is what the module
                must print when it refuses the table
    good()      (name, table): odd but legal; the module must load
    PARSER      names of cases no guest can be booted with: for tests of the
                parser alone
    BOOTED      names of the malformed ones that are worth a guest, STOCK those
                that are worth one with the distribution's kernel
    BROUGHT_UP  names of the good ones that are worth a guest
    listed()    all of them as a file that the firmware suite reads

Run it to list the tables, or to write one:

    ivrs_tables.py                          list all names
    ivrs_tables.py NAME FILE                write the table
    ivrs_tables.py --initrd NAME FILE       write the archive that overrides a guest's
                                            table, to be put before its initramfs
"""

import struct
import sys

import acpi_tables

BASE = 0xFED80000       # QEMU's q35: registers of its one unit
DEVID = 1 << 3          # the unit's PCI function, the first one given to q35
CAP = 0x40              # its capability block
INFO = 40 << 8 | 1      # 40 bits of physical address, extended features
FEATURES = 48 << 30 | 48 << 28 | 1 << 2 | 1 << 6

ALL, SELECT, START, END = range(1, 5)
ALIAS, ALIAS_START, EXT, EXT_START, SPECIAL, HID = 66, 67, 70, 71, 72, 240
IOAPIC, HPET = 1, 2
UNITY, READ, WRITE, EXCLUSION = 1, 2, 4, 8

RESERVED, BEYOND_RAM = acpi_tables.RESERVED, acpi_tables.BEYOND_RAM


def entry(kind, devid=0, settings=0, tail=b""):
    """A device entry of four bytes, or longer by its tail."""
    return struct.pack("<BHB", kind, devid, settings) + tail


def alias(kind, devid, other, settings=0):
    return entry(kind, devid, settings, struct.pack("<BHB", 0, other, 0))


def ext(kind, devid, data=0, settings=0):
    return entry(kind, devid, settings, struct.pack("<I", data))


def special(variety=IOAPIC, handle=0, devid=0xA0, settings=0):
    return entry(SPECIAL, 0, settings, struct.pack("<BHB", handle, devid, variety))


def hid(devid, name=b"AMDI0020", uid=b"", kind=None, length=None):
    """A device of the ACPI namespace; uid: text, or a number in eight bytes with kind 1."""
    kind = (2 if uid else 0) if kind is None else kind
    length = len(uid) if length is None else length
    return entry(HID, devid, 0, name.ljust(8, b"\0") + bytes(8) + bytes([kind, length]) + uid)


# Every ID of bus 0.
BUS_0 = entry(START, 0) + entry(END, 0xFF)


def block(kind, flags, devid, body, length=None):
    return struct.pack("<BBHH", kind, flags, 4 + 2 + len(body) if length is None else length,
                       devid) + body


def ivhd(*entries, kind=0x10, flags=0xD1, devid=DEVID, cap=CAP, base=BASE, segment=0, length=None):
    head = struct.pack("<HQHH", cap, base, segment, 0)
    head += struct.pack("<I", 0) if kind == 0x10 else struct.pack("<IQQ", 0, 0, 0)
    return block(kind, flags, devid, head + b"".join(entries), length)


def unit(**more):
    """QEMU's unit, for whatever devices bus 0 has."""
    return ivhd(BUS_0, **more)


def ivmd(base, size, kind=0x21, flags=UNITY | READ | WRITE, devid=2 << 3, last=0, segment=0,
         length=None):
    return block(kind, flags, devid, struct.pack("<HQQQ", last, segment, base, size), length)


def table(*structures, info=INFO, length=None, checksum=None, signature=b"IVRS"):
    """A whole table. length and checksum: instead of the right ones."""
    return acpi_tables.table(signature, struct.pack("<IQ", info, 0), b"".join(structures),
                             length, checksum)


def qemu(devices=(0, 8, 0xF8, 0xFA, 0xFB)):
    """QEMU 7.2's table, but for the ids: each device by name, and the I/O APIC."""
    return table(ivhd(*[entry(SELECT, d) for d in devices], special()))


# The offsets at which things begin: the first block, its first entry, the block after unit().
HEAD = "0x30"
ENTRY = "0x48"
NEXT = "0x50"


def cases():
    """Malformed tables, each with one defect of its own."""
    out = []

    def bad(name, raw, regex):
        out.append(("ivrs/" + name, raw, r"omniommu: IVRS: " + regex +
                    r".*; the table is refused, report it to the firmware's vendor"))

    # The table's header
    bad("table-truncated-header", table(unit())[:40], r"table at 0x0: 40 bytes are too few")
    bad("table-length-below-header", table(unit(), length=40), r"table at 0x0: length 40, of 80")
    bad("table-length-above-file", table(unit(), length=88), r"table at 0x0: length 88, of 80")
    bad("table-length-huge", table(unit(), length=0xFFFFFFFF), r"table at 0x0: length 4294967295")
    bad("table-checksum", table(unit())[:-1] + b"\1", r"table at 0x0: the bytes add up to 0x01")
    bad("table-signature", table(unit(), signature=b"SRVI"),
        r"table at 0x0: the signature is not IVRS")
    bad("table-empty", table(), r"table at 0x0: it has no IVHD")
    bad("table-without-ivhd", table(ivmd(RESERVED, 0x1000)), r"table at 0x0: it has no IVHD")
    bad("table-cut-in-ivhd", table(unit()[:12]), rf"block at {HEAD}: length 32 runs past the "
        r"table's end, 12 ")
    bad("table-trailing-byte", table(unit(), b"\0"), rf"block at {NEXT}: 1 bytes are left")
    bad("table-trailing-half-header", table(unit(), b"\xff\xff\0"),
        rf"block at {NEXT}: 3 bytes are left")
    bad("table-trailing-zeroes", table(unit(), bytes(16)), rf"block at {NEXT}: length 0 is shorter")
    bad("table-too-many-units",
        table(*[ivhd(devid=i, base=0x1_0000_0000 + 0x4000 * i) for i in range(257)]),
        r"IVHD at 0x1830: the table has more than 256 units")

    # Blocks of any type
    bad("unknown-zero-length", table(unit(), block(0x77, 0, 0, b"", length=0)),
        rf"block at {NEXT}: length 0 is shorter")
    bad("unknown-short-length", table(unit(), block(0x77, 0, 0, b"", length=3)),
        rf"block at {NEXT}: length 3 is shorter")
    bad("unknown-overrun", table(unit(), block(0x77, 0, 0, b"abcd", length=11)),
        rf"block at {NEXT}: length 11 runs past the table's end, 10 ")

    # IVHD
    bad("ivhd-zero-length", table(unit(length=0)), rf"block at {HEAD}: length 0 is shorter")
    bad("ivhd-short", table(block(0x10, 0, DEVID, bytes(16))),
        rf"IVHD at {HEAD}: length 22 is shorter than 24")
    bad("ivhd-short-by-one", table(block(0x10, 0, DEVID, bytes(17))),
        rf"IVHD at {HEAD}: length 23 is shorter than 24")
    bad("ivhd-11-of-type-10s-length", table(block(0x11, 0, DEVID, bytes(18))),
        rf"IVHD at {HEAD}: length 24 is shorter than 40")
    bad("ivhd-40-short-by-one", table(block(0x40, 0, DEVID, bytes(33))),
        rf"IVHD at {HEAD}: length 39 is shorter than 40")
    bad("ivhd-overrun", table(unit(length=0x40)),
        rf"block at {HEAD}: length 64 runs past the table's end, 32 ")
    bad("ivhd-length-maximal", table(unit(length=0xFFFF)),
        rf"block at {HEAD}: length 65535 runs past")
    bad("ivhd-base-zero", table(unit(base=0)), rf"IVHD at {HEAD}: the register base is 0")
    bad("ivhd-base-unaligned", table(unit(base=BASE + 0x1000)),
        rf"IVHD at {HEAD}: register base 0xfed81000 is not 16K aligned")
    bad("ivhd-base-all-ones", table(unit(base=0xFFFFFFFFFFFFFFFF)),
        rf"IVHD at {HEAD}: register base 0xffffffffffffffff is not 16K aligned")
    bad("ivhd-base-beyond-52-bits", table(unit(base=1 << 52)),
        rf"IVHD at {HEAD}: registers at 0x10000000000000 lie beyond 52")
    bad("ivhd-end-wraps", table(unit(base=0xFFFFFFFFFFFFC000)),
        rf"IVHD at {HEAD}: registers at 0xffffffffffffc000 lie beyond 52")
    bad("ivhd-over-interrupt-range", table(unit(base=0xFEE00000)),
        rf"IVHD at {HEAD}: registers at 0xfee00000 overlap the interrupt range")
    bad("ivhd-in-ram", table(unit(base=0x100000)),
        rf"IVHD at {HEAD}: registers at 0x100000 lie in RAM")
    bad("ivhd-same-base", table(unit(), ivhd(devid=0x50)),
        rf"IVHD at {NEXT}: registers at 0xfed80000 overlap those of the IVHD at {HEAD}")
    bad("ivhd-same-base-other-segment", table(unit(), unit(segment=1)),
        rf"IVHD at {NEXT}: registers at 0xfed80000 overlap those of the IVHD at {HEAD}")
    bad("ivhd-twice", table(unit(), unit()),
        rf"IVHD at {NEXT}: the unit is listed twice, first by the IVHD at {HEAD}")
    bad("ivhd-moved", table(unit(), unit(kind=0x11, base=BASE - 0x10000)),
        rf"IVHD at {NEXT}: registers at 0xfed70000, but the IVHD at {HEAD} has them at 0xfed80000")
    bad("ivhd-device-in-two-units",
        table(ivhd(entry(SELECT, 0x10), devid=0x50, base=BASE - 0x10000), unit()),
        r"IVHD at 0x4c: device ID 0x0010 belongs to another unit already")

    # Entries
    bad("entry-truncated", table(ivhd(BUS_0, b"\2\0\0")),
        rf"IVHD entry at {NEXT}: 3 bytes are left, too few for an entry")
    bad("entry-overrun", table(ivhd(BUS_0, alias(ALIAS, 8, 16)[:4])),
        rf"IVHD entry at {NEXT}: length 8 runs past the block's end, 4 ")
    bad("entry-unknown-length", table(ivhd(BUS_0, entry(0x80))),
        rf"IVHD entry at {NEXT}: type 0x80, whose length is not known")
    bad("entry-end-alone", table(ivhd(entry(END, 8))),
        rf"IVHD entry at {ENTRY}: it ends a range that nothing began")
    bad("entry-range-open", table(ivhd(entry(START, 8))),
        rf"IVHD entry at {ENTRY}: the range that it begins is never ended")
    bad("entry-range-in-range", table(ivhd(entry(START, 8), entry(START, 16), entry(END, 24))),
        r"IVHD entry at 0x4c: the range that began at 0x48 has not ended")
    bad("entry-select-in-range", table(ivhd(entry(START, 8), entry(SELECT, 16), entry(END, 24))),
        r"IVHD entry at 0x4c: the range that began at 0x48 has not ended")
    bad("entry-range-backwards", table(ivhd(entry(START, 16), entry(END, 8))),
        r"IVHD entry at 0x4c: it ends at 0x0008 the range that began at 0x0010")
    bad("entry-hid-truncated", table(ivhd(BUS_0, hid(0xFF, kind=0)[:20], kind=0x40)),
        r"IVHD entry at 0x60: type 0xf0, whose length is not known")
    bad("entry-hid-uid-overrun", table(ivhd(BUS_0, hid(0xFF, uid=b"ab", length=3), kind=0x40)),
        r"IVHD entry at 0x60: length 25 runs past the block's end, 24 ")
    bad("entry-hid-uid-type", table(ivhd(BUS_0, hid(0xFF, kind=3), kind=0x40)),
        r"IVHD entry at 0x60: unique ID of type 3")
    bad("entry-hid-short-number", table(ivhd(BUS_0, hid(0xFF, uid=b"1234", kind=1), kind=0x40)),
        r"IVHD entry at 0x60: an integer unique ID of 4 bytes")
    bad("entry-hid-without-name", table(ivhd(BUS_0, hid(0xFF, name=b""), kind=0x40)),
        r"IVHD entry at 0x60: its hardware ID is empty")

    # IVMD
    bad("ivmd-short", table(unit(), block(0x21, UNITY, 8, bytes(25))),
        rf"IVMD at {NEXT}: length 31 is shorter than 32")
    bad("ivmd-empty", table(unit(), ivmd(RESERVED, 0)),
        rf"IVMD at {NEXT}: its memory at 0xfed40000 has no length")
    bad("ivmd-beyond-52-bits", table(unit(), ivmd((1 << 52) - 0x1000, 0x1001)),
        rf"IVMD at {NEXT}: memory at 0xffffffffff000, length 0x1001, lies beyond 52")
    bad("ivmd-wraps", table(unit(), ivmd(0xFFFFFFFFFFFFF000, 0x2000)),
        rf"IVMD at {NEXT}: memory at 0xfffffffffffff000, length 0x2000, lies beyond 52")
    bad("ivmd-over-interrupt-range", table(unit(), ivmd(0xFEDFF000, 0x2000)),
        rf"IVMD at {NEXT}: memory at 0xfedff000, length 0x2000, overlaps the interrupt range")
    bad("ivmd-devices-backwards", table(unit(), ivmd(RESERVED, 0x1000, 0x22, devid=0x20, last=0x10)),
        rf"IVMD at {NEXT}: its devices end at 0x0010 and begin at 0x0020")
    return out


PARSER = frozenset("ivrs/" + name for name in (
    # The kernel's override code drops a file whose size is not the table's
    # length, whose checksum is wrong or whose signature it does not know.
    "table-truncated-header",
    "table-length-below-header",
    "table-length-above-file",
    "table-length-huge",
    "table-checksum",
    "table-signature",
))

# What is wrong with these depends on the machine, not on the table alone.
MACHINE = frozenset(("ivrs/ivhd-in-ram",))

STOCK = frozenset("ivrs/" + name for name in ("table-trailing-zeroes", "ivhd-device-in-two-units"))
BOOTED = MACHINE | frozenset("ivrs/" + name for name in (
    "table-empty", "unknown-zero-length", "ivhd-11-of-type-10s-length", "ivhd-over-interrupt-range",
    "ivhd-moved", "entry-overrun", "entry-range-open", "ivmd-wraps"))


def good():
    """Odd tables that the specification allows; the module must load."""
    far = 0x1FE0
    return [("ivrs/" + name, raw) for name, raw in (
        ("qemu", qemu()),
        ("all-devices", table(ivhd(entry(ALL)))),
        ("three-types", table(unit(), unit(kind=0x11), unit(kind=0x40))),
        ("three-types-highest-first", table(unit(kind=0x40), unit(kind=0x11), unit())),
        ("no-entry", table(ivhd(kind=0x11))),
        ("info-all-bits", table(unit(), info=0xFFFFFFFF)),
        ("flags-all", table(unit(flags=0xFF))),
        ("unknown-blocks", table(block(0x77, 0xFF, 0, b"x" * 40), unit(), block(0xFE, 0, 0, b""))),
        ("pads-and-unknown-entries", table(ivhd(entry(0), BUS_0, entry(0x3F), ext(0x40, 0),
                                                ext(0x7F, 9)))),
        ("every-entry", table(ivhd(
            BUS_0, alias(ALIAS, far, far), alias(ALIAS_START, far + 8, far), entry(END, far + 15),
            ext(EXT, far + 16, 1 << 31), ext(EXT_START, far + 17), entry(END, far + 23),
            special(), special(HPET, 0, 0xA0), hid(far + 24), hid(far + 25, uid=b"\\_SB.FUR0"),
            hid(far + 26, uid=bytes(8), kind=1), kind=0x40))),
        ("range-of-one", table(ivhd(BUS_0, entry(START, far), entry(END, far)))),
        ("range-to-the-end", table(ivhd(entry(START, 0), entry(END, 0xFFFF)))),
        ("listed-twice-by-one-unit", table(ivhd(BUS_0, entry(SELECT, 8), entry(ALL)))),
        ("other-segment", table(unit(), ivhd(BUS_0, segment=1, devid=0x50, base=BASE - 0x10000))),
        ("ivmd-all-devices", table(unit(), ivmd(BEYOND_RAM, 0x100000, 0x20))),
        ("ivmd-range", table(unit(), ivmd(RESERVED, 0x1000, 0x22, devid=8, last=0xFF))),
        ("ivmd-odd-bounds", table(unit(), ivmd(RESERVED + 0x123, 0x456))),
        ("ivmd-excluded", table(unit(), ivmd(BEYOND_RAM, 0x1000, flags=EXCLUSION))),
        ("ivmd-neither", table(unit(), ivmd(0, 0, flags=0))),
        ("ivmd-overlapping", table(unit(), ivmd(BEYOND_RAM, 0x10000), ivmd(BEYOND_RAM + 0x8000,
                                                                         0x10000))),
        ("ivmd-absent-device", table(unit(), ivmd(BEYOND_RAM, 0x1000, devid=far))),
        ("ivmd-before-ivhd", table(ivmd(RESERVED, 0x1000), unit())),
    )]


BROUGHT_UP = frozenset("ivrs/" + name for name in (
    "qemu", "all-devices", "three-types", "flags-all", "every-entry", "ivmd-overlapping"))


def listed():
    """All tables as the firmware suite reads them: length, good, name, table."""
    return acpi_tables.listed([c for c in cases() if c[0] not in MACHINE], good())


if __name__ == "__main__":
    sys.exit(acpi_tables.main(sys.modules[__name__], sys.argv[1:]))
