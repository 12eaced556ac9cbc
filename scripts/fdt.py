# SPDX-License-Identifier: GPL-2.0
"""Flattened devicetrees as QEMU's arm64 machine hands them to the kernel, and boots with a
property of a node taken out or changed."""

import struct
import subprocess

BEGIN, END, PROP, NOP = 1, 2, 3, 4


def machine_tree(arguments, path):
    """The devicetree of a QEMU command line."""
    args = list(arguments)
    at = args.index("-M")
    args[at + 1] += f",dumpdtb={path}"
    for option in ("-kernel", "-initrd", "-append"):
        i = args.index(option)
        del args[i:i + 2]
    subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    # The kernel takes two megabytes at most, and QEMU doubles what it is given.
    blob = path.read_bytes()
    structs, strings, _, _, _, _, strings_size, structs_size = struct.unpack_from(">8I", blob, 8)
    end = max(structs + structs_size, strings + strings_size)
    return blob[:4] + struct.pack(">I", end) + blob[8:end]


def properties(blob, node):
    """(name, offset of its token, length of its value) of each property of a node, by the part
    of its name before the @."""
    at, strings = struct.unpack_from(">II", blob, 8)
    path = []
    while True:
        token, = struct.unpack_from(">I", blob, at)
        if token == BEGIN:
            end = blob.index(b"\0", at + 4)
            path.append(blob[at + 4:end].decode())
            at = (end + 4) & ~3
        elif token == END:
            path.pop()
            at += 4
            if not path:
                return
        elif token == PROP:
            length, name = struct.unpack_from(">II", blob, at + 4)
            name = blob[strings + name:blob.index(b"\0", strings + name)].decode()
            if path[-1].split("@")[0] == node:
                yield name, at, length
            at += 12 + (length + 3 & ~3)
        else:
            at += 4


def without(node, *names):
    """A change of a devicetree: a node without some properties."""
    def change(blob):
        out = bytearray(blob)
        for name, at, length in properties(blob, node):
            if name in names:
                for word in range(at, at + 12 + (length + 3 & ~3), 4):
                    struct.pack_into(">I", out, word, NOP)
        return bytes(out)
    return change


def cell(node, name, index, value):
    """A change of a devicetree: one 32-bit cell of a property."""
    def change(blob):
        out = bytearray(blob)
        for found, at, _ in properties(blob, node):
            if found == name:
                struct.pack_into(">I", out, at + 12 + 4 * index, value)
        return bytes(out)
    return change


def shorter(node, name, cells):
    """A change of a devicetree: a property without its last cells."""
    def change(blob):
        out = bytearray(blob)
        for found, at, length in properties(blob, node):
            if found == name:
                struct.pack_into(">I", out, at + 4, length - 4 * cells)
                for word in range(cells):
                    struct.pack_into(">I", out, at + 12 + length - 4 * (word + 1), NOP)
        return bytes(out)
    return change
