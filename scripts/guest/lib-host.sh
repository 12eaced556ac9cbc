# SPDX-License-Identifier: GPL-2.0
# Programs of the host's Debian in the guest: the host's root is mounted read-only.

# host_root: mount it on /host, with this guest's own /proc, /sys, /dev, /tmp and /run in it
host_root()
{
	local d
	load 9p 9pnet_virtio || return 1
	mkdir -p /host
	mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /host || return 1
	mkdir -p /dev/pts && mount -t devpts devpts /dev/pts || return 1
	for d in proc sys dev dev/pts tmp run; do mount --bind /$d /host/$d || return 1; done
	mount --bind /sys/kernel/debug /host/sys/kernel/debug &&
	mount -t tracefs tracefs /host/sys/kernel/tracing
}

# host_folder <tag> <where>: mount a folder of the host that may be written to
host_folder() { mkdir -p "$2" && mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 "$1" "$2"; }

# host <command...>: run a program of the host, /tmp being the guest's
host() { TERM=linux LC_ALL=C.UTF-8 HOME=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot /host "$@"; }

# look <file> [lines]: its beginning into the log
look() { sed 's/^/  | /' "$1" | head -n "${2:-40}" | while IFS= read -r line; do kmsg "$line"; done; }
