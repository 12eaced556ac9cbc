# SPDX-License-Identifier: GPL-2.0
# What the guest scripts share. Verdicts go through the kernel log: a console line of a program
# can be cut in two by a kernel message, a record of the log cannot.

kmsg() { printf '%.900s\n' "$*" > /dev/kmsg; }
pass() { kmsg "@@PASS $1"; }
fail() { kmsg "@@FAIL $1: $2"; }
skip() { kmsg "@@SKIP $1: $2"; }
note() { kmsg "@@NOTE $*"; }
data() { kmsg "@@DATA $*"; }
finish() { sync; poweroff -f; sleep 60; }

# check <name> <words for the reason> <command...>: the command decides
check()
{
	local name=$1 why=$2
	shift 2
	if "$@"; then pass "$name"; else fail "$name" "$why"; fi
}

# relay: copy a program's verdict lines, and the rest as notes, into the kernel log
relay()
{
	local line
	while IFS= read -r line; do
		case $line in
		@@*) kmsg "$line" ;;
		?*) kmsg "  | $line" ;;
		esac
	done
}

# builtin_off: a driver that the kernel has built in took its devices at boot; leave them as a
# kernel of modules would, where no driver is loaded yet
builtin_off()
{
	local name d
	for name in nvme e1000e; do
		[ ! -f "/mods/$name.order" ] || continue
		for d in /sys/bus/pci/drivers/$name/0*; do
			[ ! -e "$d" ] || unbind "$(basename "$d")"
		done
	done
}

# builtin_on <driver>: what loading that driver would do, once
builtin_on()
{
	local d
	[ -d "/sys/bus/pci/drivers/$1" ] && [ ! -e "/tmp/on.$1" ] || return 0
	touch "/tmp/on.$1"
	for d in /sys/bus/pci/devices/*; do
		[ -e "$d/driver" ] || bind "$1" "$(basename "$d")" 2>/dev/null
	done
}

# sanitizers: what a kernel with debugging options has to say at the end
sanitizers()
{
	local line locks
	locks=$(sed -n 's/.*debug_locks: *//p' /proc/lockdep_stats 2>/dev/null)
	[ "${locks:-1}" = 1 ] || kmsg "WARNING: the lock validator has turned itself off"
	[ -e /sys/kernel/debug/kmemleak ] || return 0
	# An object has to be 5 s old to count, and a pointer on its way may hide from one scan.
	sleep 6
	echo scan > /sys/kernel/debug/kmemleak
	echo scan > /sys/kernel/debug/kmemleak
	head -n 200 /sys/kernel/debug/kmemleak | while IFS= read -r line; do kmsg "kmemleak | $line"; done
}

# load <module>...: insert stock modules with what they need
load()
{
	local name m
	for name; do
		[ -f "/mods/$name.order" ] || { builtin_on "$name"; continue; }
		for m in $(cat "/mods/$name.order"); do
			grep -q "^$(echo "$m" | tr - _) " /proc/modules || insmod "/mods/$m.ko" || return 1
		done
	done
}

now_ms() { read -r up _ < /proc/uptime; echo "${up%.*}${up#*.}0"; }

# wait_for <seconds> <command...>: poll until the command succeeds
wait_for()
{
	local left=$(($1 * 10))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ $left -gt 0 ] || return 1
		left=$((left - 1))
		usleep 100000
	done
}

# find_pci <vendor:device> [nth]: the nth such device's address, e.g. find_pci 1234:11e8
find_pci()
{
	local n=${2:-1} d
	for d in /sys/bus/pci/devices/*; do
		[ "$(cat "$d/vendor"):$(cat "$d/device")" = "0x${1%:*}:0x${1#*:}" ] || continue
		n=$((n - 1))
		[ $n -gt 0 ] || { basename "$d"; return 0; }
	done
	return 1
}

driver_of() { [ -e "/sys/bus/pci/devices/$1/driver" ] && basename "$(readlink -f "/sys/bus/pci/devices/$1/driver")"; }
group_of() { basename "$(readlink -f "/sys/bus/pci/devices/$1/iommu_group" 2>/dev/null)"; }
has_group() { [ -e "/sys/bus/pci/devices/$1/iommu_group" ]; }
type_of() { cat "/sys/kernel/iommu_groups/$(group_of "$1")/type" 2>/dev/null; }
set_type() { echo "$2" > "/sys/kernel/iommu_groups/$(group_of "$1")/type"; }
unbind() { echo "$1" > "/sys/bus/pci/devices/$1/driver/unbind"; }
bind() { echo "$2" > "/sys/bus/pci/drivers/$1/bind"; }

# to_vfio <address>: hand a device to vfio-pci
to_vfio()
{
	load vfio-pci vfio_iommu_type1 || return 1
	echo 1 > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
	[ -z "$(driver_of "$1")" ] || unbind "$1"
	echo vfio-pci > "/sys/bus/pci/devices/$1/driver_override"
	echo "$1" > /sys/bus/pci/drivers_probe
	[ "$(driver_of "$1")" = vfio-pci ]
}

# iommu_up [module parameters]: bring the driver under test up; says why not
iommu_up()
{
	case $DRIVER in
	none) return 1 ;;
	ref) units_on ;;
	*) insmod /omniommu.ko $OMNI_ARGS "$@" 2>/tmp/insmod.err ||
		{ kmsg "insmod: $(cat /tmp/insmod.err)"; return 1; } ;;
	esac
}

units_on() { [ -n "$(ls /sys/class/iommu 2>/dev/null)" ]; }
iommu_stop() { echo 1 > /sys/module/omniommu/parameters/stop; }
ledger() { cat /sys/kernel/debug/omniommu/ledger; }
ledger_value() { sed -n "s/^$1 //p" /sys/kernel/debug/omniommu/ledger; }
nvme_disk() { local d; for d in /sys/bus/pci/devices/$1/nvme/nvme*/nvme*n1; do [ -e "$d" ] && { basename "$d"; return 0; }; done; return 1; }
file_size() { stat -c %s "$1" 2>/dev/null || echo 0; }
drop_caches() { echo 3 > /proc/sys/vm/drop_caches; }

# disk_round_trip <disk> <MiB>: write generated data, read it back from the device, compare
disk_round_trip()
{
	local a b
	dd if=/dev/urandom of=/tmp/data bs=1M count=$2 2>/dev/null || return 1
	a=$(sha256sum < /tmp/data); a=${a%% *}
	dd if=/tmp/data of=/dev/$1 bs=1M oflag=direct 2>/tmp/dd.err || { kmsg "dd: $(cat /tmp/dd.err)"; return 1; }
	drop_caches
	b=$(dd if=/dev/$1 bs=1M count=$2 iflag=direct 2>/dev/null | sha256sum); b=${b%% *}
	rm -f /tmp/data
	SUM=$a
	[ "$a" = "$b" ] || { kmsg "wrote $a, read $b"; return 1; }
}
