# SPDX-License-Identifier: GPL-2.0
"""What the modules of firmware tables share: a table's header, the list that the firmware suite
reads, the archive that overrides a guest's own table, and the program that writes them."""

import struct
import sys

# The kernel overrides a table only by one with the same ids and a higher
# revision; one with other ids is installed beside it and never looked at.
OEM_ID = b"BOCHS "
OEM_TABLE_ID = b"BXPC    "
OEM_REVISION = 0x1000   # QEMU's own is 1

# Addresses for reserved memory: none of it is any guest's RAM.
RESERVED = 0xFED40000
BEYOND_RAM = 0x30_0000_0000


def table(signature, fields, body, length=None, checksum=None):
    """A whole table: the header that all have, the signature's own fields, the structures.

    length and checksum: instead of the right ones.
    """
    if length is None:
        length = 36 + len(fields) + len(body)
    raw = bytearray(struct.pack("<4sIBB6s8sI4sI", signature, length, 1, 0,
                                OEM_ID, OEM_TABLE_ID, OEM_REVISION,
                                b"OMNI", 1) + fields + body)
    raw[9] = -sum(raw) & 0xFF if checksum is None else checksum
    return bytes(raw)


def listed(cases, good):
    """All tables as the firmware suite reads them: length, good, name, table."""
    rows = [(name, raw, 0) for name, raw, _ in cases] + [(n, raw, 1) for n, raw in good]
    return b"".join(struct.pack("<IBB", len(raw), fine, len(name)) + name.encode() + raw
                    for name, raw, fine in rows)


def initrd(raw):
    """An uncompressed newc archive with the table where the kernel looks."""
    def member(name, data, mode):
        name = name.encode() + b"\0"
        head = b"070701" + b"".join(b"%08X" % value for value in (
            1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0))
        out = head + name
        out += bytes(-len(out) % 4) + data
        return out + bytes(-len(out) % 4)

    out = b"".join((
        member("kernel", b"", 0o040755),
        member("kernel/firmware", b"", 0o040755),
        member("kernel/firmware/acpi", b"", 0o040755),
        member(f"kernel/firmware/acpi/{raw[:4].decode()}.aml", raw, 0o100644),
        member("TRAILER!!!", b"", 0)))
    return out + bytes(-len(out) % 512)


def main(module, args):
    """The program: list a module's tables, or write one."""
    tables = {name: raw for name, raw, *_ in [*module.cases(), *module.good()]}
    if not args:
        for name, raw, _ in module.cases():
            where = "parser" if name in module.PARSER else "guest"
            print(f"bad   {where:6}  {len(raw):6}  {name}")
        for name, raw in module.good():
            print(f"good  guest   {len(raw):6}  {name}")
        return 0
    wrap = args[0] == "--initrd"
    if wrap:
        args = args[1:]
    if len(args) != 2 or args[0].startswith("-"):
        print(module.__doc__.strip(), file=sys.stderr)
        return 2
    if args[0] not in tables:
        print(f"no table is named {args[0]}; without arguments there is a list", file=sys.stderr)
        return 1
    raw = tables[args[0]]
    try:
        with open(args[1], "wb") as file:
            file.write(initrd(raw) if wrap else raw)
    except OSError as error:
        print(f"cannot write the table: {error}", file=sys.stderr)
        return 1
    return 0
