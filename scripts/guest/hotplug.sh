# SPDX-License-Identifier: GPL-2.0
# A disk comes, works, goes, comes again and is pulled while busy. The host does it by QMP.
. /guest/lib-dma.sh
check iommu/up "the driver did not come up" iommu_up
load nvme
gone() { ! find_pci $NVME; }
plug()		# plug <round>
{
	kmsg "@@HOST plug $1"
	wait_for 30 find_pci $NVME || return 1
	disk=$(find_pci $NVME)
	wait_for 20 has_group "$disk" && nvme_ready "$disk"
}
check hotplug/plug "no disk appeared" plug 1
# Strict or lazy is the kernel's choice; under caching mode the in-tree driver makes it strict.
case $(type_of "$disk") in
DMA|DMA-FQ) pass hotplug/group ;;
*) fail hotplug/group "type is '$(type_of "$disk")'" ;;
esac
check hotplug/data "data read back differ" disk_round_trip "$DISK" 16
groups=$(ls /sys/kernel/iommu_groups | wc -l)
kmsg "@@HOST unplug 1"
check hotplug/unplug "the disk is still there" wait_for 40 gone
# The bus forgets a device before its IOMMU is told.
fewer_groups() { [ "$(ls /sys/kernel/iommu_groups | wc -l)" -lt "$groups" ]; }
check hotplug/group-gone "there are still $groups groups" wait_for 10 fewer_groups
# QEMU's arm64 machine does not let go of a disk, whichever driver is asked.
[ -z "$ONCE" ] || return 0
check hotplug/replug "no disk appeared" plug 2
check hotplug/replug-data "data read back differ" disk_round_trip "$DISK" 16
# Not a write more once the node is gone: dd would make a file of that name.
(
	while [ -b "/dev/$DISK" ]; do
		dd if=/dev/zero of="/dev/$DISK" bs=1M count=8 oflag=direct 2>/dev/null || break
	done
) &
busy=$!
sleep 1
kmsg "@@HOST unplug 2"
check hotplug/unplug-busy "the disk is still there" wait_for 60 gone
kill $busy 2>/dev/null
wait $busy 2>/dev/null
[ -b "/dev/$DISK" ] || rm -f "/dev/$DISK"
check hotplug/third "no disk appeared" plug 3
check hotplug/third-data "data read back differ" disk_round_trip "$DISK" 16
