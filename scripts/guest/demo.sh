# SPDX-License-Identifier: GPL-2.0
# The story that `make demo` tells; the words for each verdict are the host's.
. /guest/lib-dma.sh
. /guest/lib-life.sh

check demo/no-iommu-before "something drives an IOMMU already" [ -z "$(ls /sys/class/iommu /sys/kernel/iommu_groups 2>/dev/null | grep -v :)" ]
check demo/load "insmod failed" iommu_up

units=$(ls /sys/class/iommu | wc -l)
# Where the firmware ties devices to units, groups come with drivers, and drivers wait for units.
wait_for 10 eval '[ -n "$(ls /sys/kernel/iommu_groups)" ]'
groups=$(ls /sys/kernel/iommu_groups | wc -l)
for u in /sys/class/iommu/dmar*; do
	[ ! -e "$u" ] || note "show: $(basename "$u"): registers at 0x$(cat "$u/intel-iommu/address"), $(cat "$u/intel-iommu/version"), cap $(cat "$u/intel-iommu/cap"), ecap $(cat "$u/intel-iommu/ecap")"
done
for g in $(ls /sys/kernel/iommu_groups | sort -n); do
	note "show: group $g ($(cat "/sys/kernel/iommu_groups/$g/type")): $(ls "/sys/kernel/iommu_groups/$g/devices" | tr '\n' ' ')"
done
check demo/units-and-groups "$units units, $groups groups" [ "$units" -gt 0 -a "$groups" -gt 0 ]

disk=$(find_pci $NVME)
check demo/nvme-bound "no disk appeared" nvme_ready "$disk"
case $(type_of "$disk") in
DMA|DMA-FQ) pass demo/nvme-translated ;;
*) fail demo/nvme-translated "its domain is '$(type_of "$disk")'" ;;
esac
note "show: $disk ($(driver_of "$disk")) is in group $(group_of "$disk"), domain type $(type_of "$disk")"
ledger > /tmp/ledger.nvme
if disk_round_trip "$DISK" 64; then
	note "show: sha256 $SUM, both ways"
	pass demo/nvme-data
else
	fail demo/nvme-data "the checksums differ"
fi
data nvme-sha256 "$SUM"
ledger > /tmp/ledger.vfio

edu=$(find_pci $EDU)
check demo/vfio-bound "vfio-pci did not take it" to_vfio "$edu"
note "show: $edu ($(driver_of "$edu")) is in group $(group_of "$edu"), opened as /dev/vfio/$(group_of "$edu")"
for case in dma-both-ways unmap-then-dma read-only never-mapped; do
	vfio-edu $case 2>&1 | relay
done
ledger > /tmp/ledger.end

difference()	# difference <before> <after>: counters that moved
{
	awk 'NR == FNR { old[$1] = $2; next } $1 == "table_pages" { print $1, $2; next }
	     $2 != old[$1] { print $1, $2 - old[$1] }' "$1" "$2"
}
difference /tmp/ledger.nvme /tmp/ledger.vfio | while read -r key value; do data "ledger/nvme/$key $value"; done
difference /tmp/ledger.vfio /tmp/ledger.end | while read -r key value; do data "ledger/vfio/$key $value"; done
check demo/ledger "the ledger counted nothing" [ "$(difference /tmp/ledger.nvme /tmp/ledger.end | grep -c '^ops.map')" = 1 ]

if err=$( { iommu_stop; } 2>&1 ); then
	fail demo/stop-refused "it stopped under a bound disk"
else
	check demo/stop-refused "the refusal names no device" eval 'dmesg | tail -n 4 | grep "omniommu:" | grep -qE "[0-9a-f:]+\.[0-7]"'
fi
drivers_off
check demo/stop "$( { iommu_stop; } 2>&1 )" eval '! units_on'
check demo/rmmod "$(rmmod omniommu 2>&1)" eval '! grep -q ^omniommu /proc/modules'
check demo/load-again "insmod failed" iommu_up
bind nvme "$disk"
check demo/data-again "the disk reads differently" eval '
	nvme_ready "$disk"
	sum=$(dd if="/dev/$DISK" bs=1M count=64 iflag=direct 2>/dev/null | sha256sum)
	[ "${sum%% *}" = "$SUM" ]'
