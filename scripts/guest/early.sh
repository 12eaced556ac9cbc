# SPDX-License-Identifier: GPL-2.0
# L1 and S4: a device that was bound before the module came goes on as it was, until its driver
# leaves. FROM and TO are physical addresses that the kernel does not use.
. /guest/lib.sh
edu=$(find_pci 1234:11e8)
bound() { [ -e "/sys/bus/pci/devices/$edu/driver" ] || { echo "$edu" > /sys/bus/pci/drivers_probe; false; }; }
copied()	# does a copy by the device arrive?
{
	edu-raw mem fill "$FROM" 17
	edu-raw mem fill "$TO" 99
	edu-raw "$edu" copy "$FROM" "$TO"
	edu-raw mem check "$TO" 17
}
untouched() { ! copied && edu-raw mem check "$TO" 99; }

load pci-stub
echo pci-stub > "/sys/bus/pci/devices/$edu/driver_override"
check early/bound "no driver was bound without the module" wait_for 30 bound
check early/before "the device can't reach memory without an IOMMU" copied
check iommu/up "the driver did not come up" iommu_up
check early/open "the device lost its memory when the module came" copied
unbind "$edu"
check early/closed "the device reaches memory though its driver has gone" untouched
check early/said "nothing was said of it" eval 'dmesg | grep -q "omniommu: .*stream .* is refused"'
bound
check early/bound-again "type is '$(type_of "$edu")'" eval 'bound; case $(type_of "$edu") in DMA*) true ;; *) false ;; esac'
check early/translated "the device reaches memory untranslated" untouched
unbind "$edu"
check early/still "the device reaches memory, its driver gone again" untouched
