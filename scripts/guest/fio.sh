# SPDX-License-Identifier: GPL-2.0
# fio writes and verifies, by the host's program. TYPE: the domain type that the disk must have;
# ENGINES: how it asks for I/O; SIZE: how much of the disk each uses,
# LOOPS times; SKIPS: by a build that can forget to invalidate, and is told to.
. /guest/lib-dma.sh
. /guest/lib-life.sh
. /guest/lib-host.sh

# run_fio <engine>: random reads and writes of many sizes, each block with its sum
run_fio()
{
	local status
	[ -n "$DISK" ] || { echo "fio: no disk" > /tmp/fio; return 1; }
	host timeout 200 fio --name="$1" --filename="/dev/$DISK" --ioengine="$1" --rw=randrw \
		--bsrange=4k-128k --size="$SIZE" --loops="$LOOPS" --iodepth=16 --direct=1 --thread \
		--verify=crc32c --verify_fatal=1 --verify_backlog=64 --verify_state_save=0 > /tmp/fio 2>&1
	status=$?
	grep -E 'err=|read:|write:|issued|verify|error' /tmp/fio | relay
	[ $status = 0 ] && grep -q "err= 0" /tmp/fio
}

check iommu/up "the driver did not come up" iommu_up
disk=$(find_pci $NVME)
check nvme/bound "no disk appeared" nvme_ready "$disk"
check nvme/domain-type "type is '$(type_of "$disk")', want '$TYPE'" [ "$(type_of "$disk")" = "$TYPE" ]
check fio/host-root "the host's root is not there" host_root

# Not before: the disk itself would not come up.
[ -z "$SKIPS" ] || echo Y > /sys/module/omniommu/parameters/skip
maps=$(ledger_value ops.map)
for engine in $ENGINES; do
	if run_fio "$engine"; then
		pass "fio/$engine"
	else
		fail "fio/$engine" "$(grep -m 1 -E 'verify:|error=|fio:' /tmp/fio)"
	fi
done
maps=$(($(ledger_value ops.map) - maps))
note "maps for fio: $maps"
check fio/translated "$maps maps" [ "$maps" -gt 1000 ]
faults=$(ledger | awk '/\.faults / { n += $2 } END { print n + 0 }')
check fio/no-faults "faults: $faults, $(dmesg | grep -m 1 "omniommu:.*refused")" eval '
	[ "$faults" = 0 ] && ! dmesg | grep -q "omniommu:.*refused"'
unbind "$disk"		# the 9p device stays, untranslated
check life/leave-and-return "see the lines before" leave_and_return
