# SPDX-License-Identifier: GPL-2.0
# DMA API: an NVMe disk under its stock driver. MIB to write, TYPE the domain type expected.
check iommu/up "the driver did not come up" iommu_up
dev=$(find_pci 1b36:0010)
load nvme
wait_for 20 nvme_disk "$dev"
disk=$(nvme_disk "$dev")
check nvme/domain-type "type is '$(type_of "$dev")', want '$TYPE'" [ "$(type_of "$dev")" = "$TYPE" ]
t0=$(now_ms)
check nvme/data "data read back differ" disk_round_trip "$disk" "$MIB"
t1=$(now_ms)
data nvme-sha256 "$SUM"
note "$MIB MiB round trip in $((t1 - t0)) ms"
