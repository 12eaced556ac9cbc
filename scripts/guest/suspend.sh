# SPDX-License-Identifier: GPL-2.0
# Suspend to memory with a disk and a VFIO-capable device behind the unit: the unit loses its
# registers, and everything has to work as before once the clock has woken the machine.
. /guest/lib-dma.sh
check iommu/up "the driver did not come up" iommu_up
dev=$(find_pci 1b36:0010)
check nvme/data "data read back differ" eval 'nvme_ready "$dev" && disk_round_trip "$DISK" 8'
case $(type_of "$dev") in
DMA*) pass nvme/translated ;;
*) fail nvme/translated "the group's type is $(type_of "$dev")" ;;
esac
echo 0 > /sys/class/rtc/rtc0/wakealarm
echo +4 > /sys/class/rtc/rtc0/wakealarm
check suspend/slept "the kernel did not suspend" eval 'echo mem > /sys/power/state && dmesg | grep -q "ACPI: PM: Preparing to enter system sleep state S3"'
check suspend/data "data read back differ after the suspend" disk_round_trip "$DISK" 8
edu=$(find_pci 1234:11e8)
to_vfio "$edu"
vfio-edu unmap-then-dma --dev "$edu" | relay
# After an S3 wake-up by the clock QEMU's machine no longer powers off: end by a reset.
kmsg "@@DONE"
sync
reboot -f
sleep 60
