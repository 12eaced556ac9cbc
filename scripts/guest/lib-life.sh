# SPDX-License-Identifier: GPL-2.0
# Leaving and coming back.

# drivers_off: unbind what the scripts bound, leaving what was bound before them
drivers_off()
{
	local d
	for d in /sys/bus/pci/devices/*; do
		case $(driver_of "$(basename "$d")") in
		nvme|e1000e|e1000|vfio-pci|virtio-pci|pci-stub) unbind "$(basename "$d")" ;;
		esac
	done
}

# leave_and_return: stop, rmmod, insmod again; says what went wrong
leave_and_return()
{
	local err
	err=$(iommu_stop 2>&1) || { kmsg "stop: $err"; return 1; }
	err=$(rmmod omniommu 2>&1) || { kmsg "rmmod: $err"; return 1; }
	! units_on || { kmsg "a unit is still in sysfs after rmmod"; return 1; }
	[ -z "$(ls /sys/kernel/iommu_groups)" ] || { kmsg "groups are left after rmmod"; return 1; }
	iommu_up
}
