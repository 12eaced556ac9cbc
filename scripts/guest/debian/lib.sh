# SPDX-License-Identifier: GPL-2.0
# What the scripts for guests with a real Debian share, beside ../lib.sh. Sourced by omni-guest,
# which has mounted the host's folder on /mnt.

. /mnt/guest.sh
. /mnt/env
export DEBIAN_FRONTEND=noninteractive
dmesg -n 8

# heartbeat: something to read at least every quarter of a minute while a long command runs
heartbeat()
{
	while sleep 15; do
		note "at work for $(cut -d. -f1 /proc/uptime) s:" \
			"$(find /var/lib/dkms/omniommu/*/build -name '*.o' 2>/dev/null | wc -l) object files"
	done
}
heartbeat &
HEART=$!

# The hardest compression takes minutes under TCG, and a level is good for a compressor that is
# there only.
printf 'COMPRESS=gzip\nCOMPRESSLEVEL=1\n' > /etc/initramfs-tools/conf.d/speed

# A module that the host has compiled from the same package: DKMS does all it does but that. Its
# own way to replace a setting of dkms.conf.
if [ -e /mnt/omniommu.ko ]; then
	mkdir -p /etc/dkms
	echo "MAKE[0]='cp /mnt/omniommu.ko .'" > /etc/dkms/omniommu.conf
fi

# run <command...>: its output goes to the console, where the host logs it, and to /tmp/out
run()
{
	{ "$@"; echo $? > /tmp/status; } 2>&1 | tee /tmp/out | relay
	return "$(cat /tmp/status)"
}

# preflight_says <case> <status> <code>...: what it must find, as CHANGE/code, NOTE/code, ok/code
preflight_says()
{
	local name=$1 want=$2 rc item missing=
	shift 2
	"$PREFLIGHT" > /tmp/preflight 2>&1
	rc=$?
	relay < /tmp/preflight
	for item; do
		grep -q "^${item%/*}  *${item#*/} " /tmp/preflight || missing="$missing $item"
	done
	if [ "$rc" != "$want" ]; then
		fail "$name" "exit status $rc, not $want; CHANGE: $(sed -n 's/^CHANGE *\([^ ]*\).*/\1/p' /tmp/preflight | paste -s -d' ')"
	elif [ -n "$missing" ]; then
		fail "$name" "not found:$missing"
	else
		pass "$name"
	fi
}

# preflight_names <case> <words>: a sentence has them
preflight_names() { check "$1" "no sentence says '$2'" grep -q -F -e "$2" /tmp/preflight; }

# manifest <file>: every file that a package, DKMS or initramfs-tools could leave behind, with what
# is in it; left out are what changes by itself, DKMS's own key, and, for the time they take to
# list, tens of thousands of files that only other packages have
manifest()
{
	local d
	{
		for d in /boot /etc /usr /var/lib/dkms; do
			find "$d" -xdev \( -path '/usr/src/linux-*' -o -path '/usr/lib/modules/*/kernel' \
				-o -path '/usr/lib/linux-*' -o -path '/usr/lib/x86_64-linux-gnu' -o -path /usr/lib/gcc \
				-o -path '/usr/share/perl*' -o -path /usr/share/zoneinfo -o -path /usr/include \
				-o -path '/usr/share/doc/[a-np-z]*' -o -path '/var/lib/dkms/mok.*' \
				-o -name 'modules.*' -o -name 'ld.so.cache' -o -name '*-' \
				-o -path '/boot/initrd.img-*' \) -prune \
				-o -type f -printf '%p %s %m\n' -o ! -type f -printf '%p %y\n'
		done
		dpkg-query -W -f '${Package} ${db:Status-Status}\n'
		lsinitramfs "/boot/initrd.img-$VERSION" | grep -e omniommu -e modprobe.d
	} | sort > "$1"
}

# nothing_left <case> <manifest before>
nothing_left()
{
	manifest /tmp/after
	diff "$2" /tmp/after > /tmp/diff
	relay < /tmp/diff
	check "$1" "left behind or changed: $(grep -c '^[<>]' /tmp/diff) lines, $(grep '^[<>]' /tmp/diff | head -n 4 | paste -s -d';')" \
		[ ! -s /tmp/diff ]
}

in_initramfs() { lsinitramfs "/boot/initrd.img-$VERSION" | grep -q "$1"; }

# The host boots the next guest with what lies there then, as a boot loader would.
keep_initramfs() { cp "/boot/initrd.img-$VERSION" /mnt/initrd; }

# tools_work <case> <address>: the installed omnistat and iovamap see the unit and that device
tools_work()
{
	if ! run omnistat -1 -i 1 || ! grep -q '^dmar0 .*in order' /tmp/out || ! grep "DMA" /tmp/out | grep -q "$2"; then
		fail "$1" "omnistat: $(tail -n 1 /tmp/out)"
	elif ! run iovamap "$2" -o /tmp/map.svg; then
		fail "$1" "iovamap: $(tail -n 1 /tmp/out)"
	else
		check "$1" "iovamap drew nothing" python3 -c 'import xml.dom.minidom as m
assert len(m.parse("/tmp/map.svg").getElementsByTagName("rect")) > 3'
	fi
}

# disk_called <serial number>: its PCI address. The root file system is on "root".
disk_called()
{
	local d
	for d in /sys/class/nvme/nvme*; do
		[ "$(tr -d ' ' < "$d/serial")" = "$1" ] && basename "$(readlink -f "$d/device")" && return
	done
	return 1
}

leave()
{
	kill $HEART
	sync
	kmsg "@@DONE"
	if [ "$$" = 1 ]; then
		mount -o remount,ro / || sync
		poweroff -f
	else
		systemctl poweroff
	fi
	sleep 60
}
