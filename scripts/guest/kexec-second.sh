# SPDX-License-Identifier: GPL-2.0
# L6: the kernel that kexec started, with the in-tree driver or ours.
. /guest/lib-dma.sh
disk=$(find_pci $NVME)
pass second/boots
check second/unit-was-off "$(dmesg | grep -iE '(already|was|currently) enabled|copy.*translation' | head -n 1)" \
	eval '! dmesg | grep -qiE "translation (already|was) enabled|copied.*(root|context|translation)|SMMU currently enabled"'
check second/iommu-up "the driver did not come up" iommu_up
nvme_ready "$disk"
check second/domain-type "type is '$(type_of "$disk")'" [ "$(type_of "$disk")" = "${TYPE:-DMA-FQ}" ]
data sum-second "$(dd if="/dev/$DISK" bs=1M count=8 iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1)"
check second/data "data read back differ" disk_round_trip "$DISK" 8
