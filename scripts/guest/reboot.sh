# SPDX-License-Identifier: GPL-2.0
# L6: reboot with the driver in use; the second boot must come up and read what the first wrote.
. /guest/lib-dma.sh
disk=$(find_pci $NVME)
STAMP=omniommu-reboot-stamp
nvme_ready "$disk"
if ! dd if="/dev/$DISK" bs=512 count=1 iflag=direct 2>/dev/null | grep -q "$STAMP"; then
	# First boot: the disk was only read for the stamp; put it behind the driver.
	unbind "$disk"
	check first/iommu-up "the driver did not come up" iommu_up
	bind nvme "$disk"
	nvme_ready "$disk"
	check first/domain-type "type is '$(type_of "$disk")'" [ "$(type_of "$disk")" = DMA-FQ ]
	{ echo "$STAMP"; dd if=/dev/urandom bs=1k count=8191 2>/dev/null; } | dd of=/tmp/data bs=1k count=8192 2>/dev/null
	truncate -s 8M /tmp/data
	check first/write "the disk was not written" dd if=/tmp/data of="/dev/$DISK" bs=1M oflag=direct
	data sum-first "$(sha256sum < /tmp/data)"
	sync
	reboot -f
	sleep 60
fi
pass second/boots
data sum-second "$(dd if="/dev/$DISK" bs=1M count=8 iflag=direct 2>/dev/null | sha256sum)"
unbind "$disk"
check second/iommu-up "the driver did not come up" iommu_up
bind nvme "$disk"
nvme_ready "$disk"
check second/data "data read back differ" disk_round_trip "$DISK" 8
