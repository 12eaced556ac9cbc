# SPDX-License-Identifier: GPL-2.0
# DMA API: NVMe and e1000e under their stock drivers, TYPE being the domain type they must get;
# then every other type in turn through the kernel's own `type` file. MIB: how much to write.
. /guest/lib-dma.sh
check iommu/up "the driver did not come up" iommu_up
disk=$(find_pci $NVME)
nic=$(find_pci $E1000E)
check nvme/bound "no disk appeared" nvme_ready "$disk"
check nvme/domain-type "type is '$(type_of "$disk")', want '$TYPE'" [ "$(type_of "$disk")" = "$TYPE" ]
check nvme/data "data read back differ" disk_round_trip "$DISK" "${MIB:-64}"
data nvme-sha256 "$SUM"
load e1000e
check e1000e/link "no link" net_up "$nic"
check e1000e/domain-type "type is '$(type_of "$nic")', want '$TYPE'" [ "$(type_of "$nic")" = "$TYPE" ]
check e1000e/data "echoed data differ" echo_round_trip 2048

for type in $SWITCH; do
	low=$(echo "$type" | tr A-Z a-z)
	[ "$type" = DMA-FQ ] || unbind "$disk"		# DMA -> DMA-FQ is allowed while bound
	unbind "$nic"
	err=$(set_type "$disk" "$type" 2>&1; set_type "$nic" "$type" 2>&1)
	check "switch/$low" "type is '$(type_of "$disk")' and '$(type_of "$nic")': $err" \
		[ "$(type_of "$disk") $(type_of "$nic")" = "$type $type" ]
	[ -n "$(driver_of "$disk")" ] || bind nvme "$disk"
	bind e1000e "$nic"
	check "switch/$low-nvme-data" "data read back differ" eval 'nvme_ready "$disk" && disk_round_trip "$DISK" 8'
	check "switch/$low-e1000e-data" "echoed data differ" eval 'net_up "$nic" && echo_round_trip 256'
done
