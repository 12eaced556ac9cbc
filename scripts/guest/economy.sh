# SPDX-License-Identifier: GPL-2.0
# Flush economy: spans of work between quiet moments, of which the host compares the commands
# that QEMU executed with those that the ledger counted.
. /guest/lib-dma.sh
. /guest/lib-life.sh

# span <name> <command...>: the pauses let lazy flushes and the host's bookkeeping settle
span()
{
	local name=$1
	shift
	usleep 500000
	ledger | while read -r key value; do data "ledger/$name/begin/$key $value"; done
	kmsg "@@MARK $name begin"
	usleep 500000
	"$@"
	usleep 500000
	ledger | while read -r key value; do data "ledger/$name/end/$key $value"; done
	kmsg "@@MARK $name end"
	# A busy host takes its time to see the mark.
	sleep 3
}

vfio_cases() { vfio-edu "$1" 2>&1 | relay; }
read_disk() { dd if="/dev/$DISK" of=/dev/null bs=1M count=16 iflag=direct 2>/dev/null; }
virtio_release
check iommu/up "the driver did not come up" iommu_up
virtio_return
disk=$(find_pci $NVME)
check nvme/bound "no disk appeared" nvme_ready "$disk"
span nvme-read read_disk
span nvme-leave unbind "$disk"
if [ -n "$ATS" ]; then
	ats_read() { dd if=/dev/vda of=/dev/null bs=1M count=16 iflag=direct 2>/dev/null; }
	load virtio_blk
	wait_for 10 [ -b /dev/vda ]
	# shellcheck disable=SC2086 # one word
	check economy/ats "no device TLB is in use" ats_on $VIRTIO
	span ats-read ats_read
	# shellcheck disable=SC2086
	span ats-leave unbind $VIRTIO
fi
load vfio-pci vfio_iommu_type1
echo 1 > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
span vfio-dma vfio_cases dma-both-ways,unmap-then-dma
span vfio-pages vfio_cases partial-unmap,remap,unaligned-iova
span vfio-cycles vfio_cases cycles
span vfio-economy vfio_cases economy
