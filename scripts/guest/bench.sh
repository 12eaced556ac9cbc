# SPDX-License-Identifier: GPL-2.0
# The benchmark's guest: bring up the driver that is measured, then the parts named in $PARTS.

FLOOR=
MARKS=0
for c in /sys/devices/system/cpu/cpu*/online; do
	grep -q 1 "$c" || echo 1 > "$c"
done
up()
{
	case $DRIVER in
	noop) FLOOR=floor=1; insmod /bench/omni_noop.ko $NOOP_ARGS ;;
	ref) [ -n "$(ls /sys/class/iommu)" ] ;;
	*) iommu_up ;;
	esac
}

# For a profile: tell where the driver's functions are, then wait until the host has begun it,
# which it says by an NMI where there is one.
profile()
{
	local before f i=0

	sed -n 's/^\([0-9a-f]*\) [tT] \([^\t]*\)\t\[omni.*/@@SYM \1 \2/p' /proc/kallsyms | relay
	# Arm: what calls of far functions go through lies behind the last function.
	for f in /sys/module/omni*/sections/.plt; do
		[ ! -e "$f" ] || kmsg "@@SYM $(sed 's/^0x//' "$f") (veneers)"
	done
	before=$(grep NMI: /proc/interrupts)
	kmsg "@@HOST profile"
	while [ -z "$before" ] && [ $i -lt 5000 ]; do i=$((i + 1)); done
	[ -z "$before" ] || while [ "$(grep NMI: /proc/interrupts)" = "$before" ]; do :; done
}

# alike <address>: is this a device of the kind that is measured?
alike() { [ "$(cat "/sys/bus/pci/devices/$1/vendor"):$(cat "/sys/bus/pci/devices/$1/device")" = "0x${DEVICE%:*}:0x${DEVICE#*:}" ]; }

# measured <run= of the module> [further parameters...]
measured()
{
	local run=$1

	shift
	[ -z "$PROFILE" ] || profile
	# shellcheck disable=SC2086 # words
	insmod /bench/omni_bench.ko run="$run" marks=$MARKS $FLOOR $BENCH_ARGS "$@" &&
		[ "$(cat /sys/module/omni_bench/parameters/ok)" = Y ]
}

away()
{
	rmmod omni_bench 2>/dev/null
	MARKS=$((MARKS + 1000))
}

# part <run= of the module>: a part that fails says why itself, too
part()
{
	check "bench/$1" "the part could not be measured" measured "$1"
	[ -z "$PROFILE" ] || kmsg "@@HOST profile-end"
	away
}

# What the kernel says of each lock that somebody took while threads mapped and unmapped.
locks()
{
	local mode

	for mode in one-domain own-domains; do
		echo 0 > /proc/lock_stat || return 1
		measured scale only=$mode threads=8 || return 1
		sed -n "s/^ *\(.*: *[0-9.][0-9. ]*\)\$/@@LOCK $mode \1/p" /proc/lock_stat | tr -s ' ' | relay
		away
	done
}

vfio()
{
	insmod /bench/omni_bench.ko run=idle device="$DEVICE" || return 1
	echo 256 > /proc/sys/vm/nr_hugepages
	to_vfio "$EDU" || return 1
	vfio-bench "$EDU" "$(group_of "$EDU")" > /tmp/vfio.out && relay < /tmp/vfio.out
}

check bench/up "the driver did not come up" up
EDU=$(find_pci "$DEVICE")
# On Arm a device comes behind its unit when the first driver is bound to it.
for d in /sys/bus/pci/devices/*; do
	d=${d##*/}
	! has_group "$d" && alike "$d" || continue
	to_vfio "$d" && unbind "$d"
done
note "$DRIVER: $(cat /sys/devices/system/cpu/online) $(uname -r)"
for p in $PARTS; do
	case $p in
	cases|state|scale) part "$p" ;;
	dma)
		set_type "$EDU" DMA || fail bench/dma "no strict domain"
		part dma-strict
		set_type "$EDU" DMA-FQ || fail bench/dma "no lazy domain"
		part dma-lazy ;;
	locks) check bench/locks "the locks could not be counted" locks ;;
	vfio)
		check bench/vfio "VFIO could not be measured" vfio
		[ ! -s /tmp/vfio.out ] || grep @@FAIL /tmp/vfio.out | relay ;;
	esac
done
