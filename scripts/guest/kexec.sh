# SPDX-License-Identifier: GPL-2.0
# L6: kexec into the same kernel while the driver translates for a disk.
. /guest/lib-dma.sh
disk=$(find_pci $NVME)
check first/iommu-up "the driver did not come up" iommu_up
nvme_ready "$disk"
check first/domain-type "type is '$(type_of "$disk")'" [ "$(type_of "$disk")" = DMA-FQ ]
check first/data "data read back differ" disk_round_trip "$DISK" 8
data sum-first "$SUM"
check first/kexec-load "$(kexec -i -l /second/vmlinuz --initrd=/second/initrd --command-line="$(cat /second/cmdline)" 2>&1 | tail -n 1)" \
	[ "$(cat /sys/kernel/kexec_loaded)" = 1 ]
kexec -e
fail first/kexec "kexec -e came back"
