# SPDX-License-Identifier: GPL-2.0
# L2: the module leaves, is asked to leave while in use, and comes and goes ROUNDS times.
. /guest/lib-dma.sh
. /guest/lib-life.sh
disk=$(find_pci $NVME)
check iommu/up "the driver did not come up" iommu_up
check nvme/bound "no disk appeared" nvme_ready "$disk"
check nvme/data "data read back differ" disk_round_trip "$DISK" 8

dmesg -c > /dev/null
if err=$( { iommu_stop; } 2>&1); then
	fail life/busy "stop succeeded while $disk was bound to nvme"
	iommu_up
else
	case $err in
	*busy*|*Busy*) check life/busy "the refusal does not name $disk: $(dmesg | grep omniommu: | tail -n 1)" \
		eval 'dmesg | grep "omniommu:" | grep -q "$disk"' ;;
	*) fail life/busy "stop failed otherwise: $err" ;;
	esac
fi
note "$(dmesg | grep omniommu: | tail -n 1)"
check life/busy-rmmod "rmmod succeeded while in use" eval '! rmmod omniommu 2>/dev/null'
check life/works-after-refusal "data read back differ" disk_round_trip "$DISK" 8
drivers_off
check life/leave-and-return "see the lines before" leave_and_return
check life/returned-data "data read back differ" eval 'bind nvme "$disk"; nvme_ready "$disk" && disk_round_trip "$DISK" 8'
drivers_off

memory()	# unreclaimable kernel memory by owner, in KiB, without what is cached
{
	drop_caches
	awk '/^MemFree:/ { free = $2 } /^SUnreclaim:/ { slab = $2 } /^VmallocUsed:/ { vm = $2 }
	     /^Percpu:/ { cpu = $2 } /^SecPageTables:/ { pt = $2 }
	     /^ +count:/ { free += $2 * 4 }	# free, too: in the lists of processors
	     END { print free, slab, vm, cpu, pt }' /proc/meminfo /proc/zoneinfo
}

iommu_stop && rmmod omniommu
bad=
i=0
warm=20
dmesg -n 5		# a line per device and round would fill the console; notes are warnings
while [ $i -lt "$ROUNDS" ]; do
	if [ $i = $warm ]; then set -- $(memory); free=$1 slab=$2 vm=$3 cpu=$4; fi
	if ! err=$( { insmod /omniommu.ko && iommu_stop && rmmod omniommu; } 2>&1); then
		bad="round $i: $err: $(dmesg | tail -n 1)"
		break
	fi
	i=$((i + 1))
	# A sign of life for the host, which ends guests that fall silent.
	[ $((i % 50)) != 0 ] || note "round $i"
done
dmesg -n 8
check "life/rounds" "$bad" [ -z "$bad" ]
if [ -z "$bad" ] && [ "$ROUNDS" -le "$warm" ]; then
	# Too few to measure; where memory is watched by the kernel's own means none are needed.
	note "$ROUNDS rounds, memory not compared"
elif [ -z "$bad" ]; then
	set -- $(memory)
	note "after rounds $warm to $ROUNDS: free $((free - $1)) KiB less, slab $(($2 - slab)), vmalloc $(($3 - vm)), percpu $(($4 - cpu)), tables $5 KiB"
	# One page a round would be four KiB a round: less than one a round is noise of caches.
	limit=$(((ROUNDS - warm) * 2 + 256))
	check life/no-growth "free memory shrank by $((free - $1)) KiB, slab grew by $(($2 - slab)) KiB, vmalloc by $(($3 - vm)) KiB" \
		[ $((free - $1)) -lt $limit -a $(($2 - slab)) -lt $limit -a $(($3 - vm)) -lt $limit ]
else
	fail life/no-growth "not measured"
fi
check life/last-time "the driver did not come up again" iommu_up
check life/last-data "data read back differ" eval 'bind nvme "$disk"; nvme_ready "$disk" && disk_round_trip "$DISK" 8'
