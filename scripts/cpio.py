# SPDX-License-Identifier: GPL-2.0
"""Archives for an initramfs."""

import stat


class Cpio:
    """A "newc" archive. The kernel unpacks several of them put end to end."""

    def __init__(self):
        self._parts = []
        self._dirs = set()
        self._ino = 0

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self._ino += 1
        raw = name.encode() + b"\0"
        head = "070701" + "".join(f"{v:08x}" for v in (
            self._ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0))
        part = head.encode() + raw
        part += b"\0" * (-len(part) % 4) + data + b"\0" * (-len(data) % 4)
        self._parts.append(part)

    def parents(self, name):
        parts = name.split("/")[:-1]
        for i in range(1, len(parts) + 1):
            self.dir("/".join(parts[:i]))

    def dir(self, name):
        if name and name not in self._dirs:
            self.parents(name)
            self._dirs.add(name)
            self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o755):
        self.parents(name)
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        self.parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def node(self, name, major, minor):
        self.parents(name)
        self._entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def bytes(self):
        self._entry("TRAILER!!!", 0)
        return b"".join(self._parts) + b"\0" * 512
