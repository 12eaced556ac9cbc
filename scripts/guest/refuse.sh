# SPDX-License-Identifier: GPL-2.0
# L3 and L4: insmod must fail, say why (a line of the kernel log matching WHY), and leave the
# machine as it was. NVME_WORKS: prove that with a disk, if there is one.
. /guest/lib-dma.sh
disk=$(find_pci $NVME)
state() { ls /sys/class/iommu /sys/kernel/iommu_groups /sys/kernel/debug/omniommu 2>/dev/null; grep -iE 'dmar|ivhd|omni' /proc/iomem; grep -ciE omniommu /proc/interrupts; }
if [ -n "$disk" ]; then
	nvme_ready "$disk"
	check refuse/disk-before "data read back differ" disk_round_trip "$DISK" 4
fi
state > /tmp/before
dmesg -c > /dev/null
if insmod /omniommu.ko $OMNI_ARGS 2>/tmp/err; then
	fail refuse/insmod "insmod succeeded"
else
	pass refuse/insmod
fi
dmesg | grep omniommu: | grep -v taint > /tmp/said
while read -r line; do note "said: ${line#*] }"; done < /tmp/said
check refuse/says-why "no line matches '$WHY': $(head -n 1 /tmp/said)" grep -qE "$WHY" /tmp/said
check refuse/not-loaded "the module is still there" eval '! grep -q ^omniommu /proc/modules'
state > /tmp/after
check refuse/nothing-left "$(diff /tmp/before /tmp/after | tail -n 1)" cmp -s /tmp/before /tmp/after
if [ -n "$disk" ]; then
	check refuse/disk-after "data read back differ" disk_round_trip "$DISK" 4
fi
