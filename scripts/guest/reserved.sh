# SPDX-License-Identifier: GPL-2.0
# Reserved memory (RMRR, IVMD): reported, kept mapped one to one for its device in a domain of the
# DMA API, not a byte more than that, and in the way of VFIO. RMRR is its first byte, EDU the
# device, UNIT the unit that reports refused accesses; empty if it reports none.
. /guest/lib.sh
check iommu/up "the driver did not come up" iommu_up
resv() { cat "/sys/kernel/iommu_groups/$(group_of "$1")/reserved_regions"; }
faults() { dmesg | grep -c "omniommu: .*: DMA .* by $EDU .* refused"; }
end=$(printf '%x' $((0x$RMRR + 0xffff)))
out=$(printf '%x' $((0x$RMRR + 0x10000)))
note "regions of $EDU: $(resv "$EDU" | tr '\n' ';')"
check reserved/direct "the region of $EDU is not reported as direct" \
	eval 'resv "$EDU" | grep -q "0x0*$RMRR 0x0*$end direct$"'
usb=$(find_pci 1b36:000d)
check reserved/relaxable "the region of the USB controller $usb is not reported as relaxable" \
	eval 'resv "$usb" | grep -q "0x0*$RMRR 0x0*$end direct-relaxable$"'
check reserved/msi "the interrupt range is not reported" \
	eval 'resv "$EDU" | grep -q "0x00000000fee00000 0x00000000feefffff msi$"'

# Names of tasks come by tracepoints of the scheduler: see Run.accelerator() of the harness.
echo 0 > /sys/kernel/debug/tracing/options/record-cmd
echo 1 > /sys/kernel/debug/tracing/events/iommu/io_page_fault/enable
case $(type_of "$EDU") in
DMA*) pass reserved/translated ;;
*) fail reserved/translated "the group's type is $(type_of "$EDU")" ;;
esac
to=$(printf '%x' $((0x$RMRR + 0x3000)))
edu-raw mem fill "$RMRR" 17
edu-raw mem fill "$to" 99
before=$(faults)
edu-raw "$EDU" copy "$RMRR" "$to"
check reserved/kept-mapped "the device could not copy inside of its region" \
	eval 'edu-raw mem check "$to" 17 && [ "$(faults)" = "$before" ]'
edu-raw mem fill "$out" 55
edu-raw "$EDU" copy "$RMRR" "$out"
# What a unit does not report, QEMU tells on the host's side.
[ -n "$UNIT" ] || data "blocked write 0x$out"
check reserved/not-more "the device reached memory behind its region" edu-raw mem check "$out" 55
if [ -n "$UNIT" ]; then
	check reserved/fault-said "no fault was reported for it" \
		eval 'wait_for 5 sh -c "dmesg | grep -q \"$UNIT: DMA write by $EDU to 0x$out refused\""'
	check reserved/fault-told "report_iommu_fault() was not called for it" \
		eval 'grep -q "io_page_fault.*$EDU.*iova=0x0*$out" /sys/kernel/debug/tracing/trace'
fi
vfio_refused()
{
	to_vfio "$EDU" || return 1
	vfio-edu dma-both-ways --dev "$EDU" > /tmp/vfio.log 2>&1 && return 1
	dmesg | grep -q "Firmware has requested this device have a 1:1 IOMMU mapping"
}
check reserved/not-for-vfio "a device with reserved memory could be assigned" vfio_refused
