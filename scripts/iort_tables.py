#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""IORT tables for tests: good ones and malformed ones.

The tables are made for QEMU's arm64 machine with an SMMUv3, so that a guest
that boots by ACPI can be booted with any of them in place of its own:

    cases()     (name, table, regex): malformed; the regex is what the module
                must print when it refuses the table
    good()      (name, table): odd but legal; the module must load
    PARSER      names of cases no guest can be booted with

Run it to list the tables, or to write one:

    iort_tables.py                          list all names
    iort_tables.py NAME FILE                write the table
    iort_tables.py --initrd NAME FILE       write the archive that overrides a guest's
                                            table, to be put before its initramfs
"""

import struct
import sys

import acpi_tables

# The kernel goes round and round before /init.
PARSER = {"iort/unit-to-itself"}

ITS, NAMED, ROOT, SMMU, SMMU_V3, PMCG, RMR = range(7)
FIRST = 48              # offset of the first node
BASE = 0x09050000       # QEMU's virt: registers of its one unit
EVENT, PRI, SYNC, GERROR = 106, 107, 108, 109
CANWBS = 1 << 58        # coherent, whatever the attributes
COHERENT = 1 | 3 << 56  # cache coherent, and the path to memory is


def mapping(to, first=0, count=0xFFFF, output=0, flags=0):
    """A range of IDs; count is one less than there are."""
    return struct.pack("<5I", first, count, output, to, flags)


def node(kind, body, *mappings, revision=1, length=None, at=None, nr=None):
    """A node, its mappings last; length, at, nr: what it says instead of the truth."""
    size = 16 + len(body) + sum(map(len, mappings))
    return struct.pack("<BHBIII", kind, size if length is None else length, revision, 0,
                       len(mappings) if nr is None else nr,
                       (16 + len(body) if mappings else 0) if at is None else at) + \
        body + b"".join(mappings)


def its():
    return node(ITS, struct.pack("<II", 1, 0))


def smmu(*mappings, base=BASE, **more):
    return node(SMMU_V3, struct.pack("<QIIQ7I", base, 1, 0, 0, 0, EVENT, PRI, GERROR, SYNC, 0, 0),
                *mappings, revision=4, **more)


def root(*mappings, memory=COHERENT, ats=0, segment=0, **more):
    return node(ROOT, struct.pack("<QIIB3x", memory, ats, segment, 64), *mappings, **more)


def rmr(*ranges, mappings=(), nr=None):
    body = struct.pack("<III", 1, len(ranges) if nr is None else nr, 28)
    body += b"".join(struct.pack("<QQI", base, size, 0) for base, size in ranges)
    return node(RMR, body, *mappings, revision=3)


def table(*nodes, count=None, first=FIRST, **more):
    fields = struct.pack("<III", len(nodes) if count is None else count, first, 0)
    return acpi_tables.table(b"IORT", fields, b"".join(nodes), **more)


UNIT = FIRST + len(its())                   # the unit's node
AFTER = UNIT + len(smmu(mapping(FIRST)))    # what comes behind it


def usual(*more, unit=None, pci=None, **kw):
    """What QEMU says of the machine, as far as it is not replaced, and more."""
    return table(its(), smmu(mapping(FIRST)) if unit is None else unit,
                 root(mapping(UNIT)) if pci is None else pci, *more, **kw)


def cases():
    """Malformed tables, with what has to be said of each."""
    out = []

    def bad(name, raw, where, why):
        out.append((f"iort/{name}", raw, rf"omniommu: IORT: {where}: {why}.*; the table is refused"))

    end = AFTER + len(root(mapping(UNIT)))
    bad("nodes-missing", usual(count=5), f"node at {end:#x}", "it ends behind the table")
    bad("maps-to-nothing", usual(pci=root(mapping(0))), f"root complex at {AFTER:#x}",
        "its mapping at 0x[0-9a-f]+ leads to 0x0, which is no node")
    bad("maps-into-a-node", usual(pci=root(mapping(UNIT + 4))), f"root complex at {AFTER:#x}",
        f"its mapping at 0x[0-9a-f]+ leads to {UNIT + 4:#x}, which is no node")
    bad("ids-around-the-end", usual(pci=root(mapping(UNIT, output=0xFFFFF000))),
        f"root complex at {AFTER:#x}", "its mapping at 0x[0-9a-f]+ goes around the end")
    bad("unit-to-itself", usual(unit=smmu(mapping(UNIT))), f"SMMUv3 at {UNIT:#x}",
        "its mapping at 0x[0-9a-f]+ leads to the SMMUv3")
    bad("registers-not-aligned", usual(unit=smmu(mapping(FIRST), base=BASE + 0x800)),
        f"SMMUv3 at {UNIT:#x}", "its registers are at")
    bad("registers-twice", usual(smmu(mapping(FIRST))), f"SMMUv3 at {end:#x}",
        f"its registers are those of the one at {UNIT:#x}")
    bad("empty-memory", usual(rmr((0x70000000, 0), mappings=[mapping(UNIT)])),
        f"reserved memory at {end:#x}", "its range at 0x[0-9a-f]+ is empty")
    return out


def good():
    return [("iort/usual", usual()),
            ("iort/unknown-node", usual(node(200, bytes(12)))),
            ("iort/always-snoops", usual(pci=root(mapping(UNIT), memory=COHERENT | CANWBS)))]


def listed():
    return acpi_tables.listed(cases(), good())


if __name__ == "__main__":
    sys.exit(acpi_tables.main(sys.modules[__name__], sys.argv[1:]))
