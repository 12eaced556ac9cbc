# SPDX-License-Identifier: GPL-2.0
# A device that is not PCI, which the firmware names to the unit: HID in the platform bus, DEVID,
# the ID of one that the kernel does not have, and SHARED, one with the first one's ID, if any.
. /guest/lib.sh
check iommu/up "the driver did not come up" iommu_up
dev=/sys/bus/platform/devices/$HID
note "$HID is $(cat "$dev/firmware_node/path")"
check hid/group "$HID has no group" test -L "$dev/iommu_group"
type=$dev/iommu_group/type
check hid/type "the type of its group is $(cat "$type")" eval 'grep -q "^DMA" "$type"'
switched()
{
	for t in identity DMA identity DMA; do
		echo "$t" > "$type" && [ "$(cat "$type")" = "$t" ] || return 1
	done
}
check hid/switched "its group can't be switched to $t and is $(cat "$type")" switched
check hid/absent-named "the device that is not there was not named" \
	eval 'dmesg | grep -q "the kernel has no device AMDI0020 .*ID $DEVID is not translated"'
[ -z "$SHARED" ] || check hid/shared "$SHARED is not in its group" \
	test "$dev/iommu_group" -ef "/sys/bus/platform/devices/$SHARED/iommu_group"
