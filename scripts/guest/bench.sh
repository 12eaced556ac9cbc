# SPDX-License-Identifier: GPL-2.0
# The benchmark's guest: bring up the driver that is measured, then the parts named in $PARTS.

FLOOR=
MARKS=0
up()
{
	case $DRIVER in
	noop) FLOOR=floor=1; insmod /bench/omni_noop.ko $NOOP_ARGS ;;
	ref) [ -n "$(ls /sys/class/iommu)" ] ;;
	*) iommu_up ;;
	esac
}

# For a profile: tell where the driver's functions are, then wait until the host has begun it,
# which it says by an NMI.
profile()
{
	local before

	sed -n 's/^\([0-9a-f]*\) [tT] \([^\t]*\)\t\[omni.*/@@SYM \1 \2/p' /proc/kallsyms | relay
	before=$(grep NMI: /proc/interrupts)
	kmsg "@@HOST profile"
	while [ "$(grep NMI: /proc/interrupts)" = "$before" ]; do :; done
}

measured()
{
	[ -z "$PROFILE" ] || profile
	# shellcheck disable=SC2086 # words
	insmod /bench/omni_bench.ko run="$1" marks=$MARKS $FLOOR $BENCH_ARGS &&
		[ "$(cat /sys/module/omni_bench/parameters/ok)" = Y ]
}

# part <run= of the module>: a part that fails says why itself, too
part()
{
	check "bench/$1" "the part could not be measured" measured "$1"
	[ -z "$PROFILE" ] || kmsg "@@HOST profile-end"
	rmmod omni_bench 2>/dev/null
	MARKS=$((MARKS + 1000))
}

vfio()
{
	insmod /bench/omni_bench.ko run=idle || return 1
	echo 256 > /proc/sys/vm/nr_hugepages
	to_vfio "$EDU" || return 1
	vfio-bench "$EDU" "$(group_of "$EDU")" > /tmp/vfio.out && relay < /tmp/vfio.out
}

check bench/up "the driver did not come up" up
EDU=$(find_pci 1234:11e8)
note "$DRIVER: $(cat /sys/devices/system/cpu/online) $(uname -r)"
for p in $PARTS; do
	case $p in
	cases|state|scale) part "$p" ;;
	dma)
		set_type "$EDU" DMA || fail bench/dma "no strict domain"
		part dma-strict
		set_type "$EDU" DMA-FQ || fail bench/dma "no lazy domain"
		part dma-lazy ;;
	vfio)
		check bench/vfio "VFIO could not be measured" vfio
		[ ! -s /tmp/vfio.out ] || grep @@FAIL /tmp/vfio.out | relay ;;
	esac
done
