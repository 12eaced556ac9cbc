# SPDX-License-Identifier: GPL-2.0
# What the host compares between the in-tree driver and ours on the same machine.

# report_topology: groups, reserved regions and unit attributes as @@DATA
report_topology()
{
	local d g dev unit a
	for d in /sys/bus/pci/devices/*; do
		dev=$(basename "$d")
		data "group/$dev $(group_of "$dev")"
	done
	for g in /sys/kernel/iommu_groups/*; do
		[ -d "$g/devices" ] || continue
		dev=$(ls "$g/devices" | sort | head -n 1)
		data "reserved/$dev $(tr '\n' ';' < "$g/reserved_regions")"
	done
	for unit in /sys/class/iommu/*; do
		if [ -d "$unit/amd-iommu" ]; then
			for a in cap features; do data "unit/$(basename "$unit")/$a $(cat "$unit/amd-iommu/$a" 2>&1)"; done
			data "unit/$(basename "$unit")/devices $(ls "$unit/devices" | sort | tr '\n' ' ')"
		fi
		[ -d "$unit/intel-iommu" ] || continue
		for a in address cap ecap version domains_supported domains_used; do
			data "unit/$(basename "$unit")/$a $(cat "$unit/intel-iommu/$a" 2>&1)"
		done
		data "unit/$(basename "$unit")/devices $(ls "$unit/devices" | sort | tr '\n' ' ')"
	done
}
