# SPDX-License-Identifier: GPL-2.0
# The kernel API for pinned pages, through its test driver and an edu device.
check iommu/up "the driver did not come up" iommu_up
edu=$(find_pci 1234:11e8)
# On Arm a device comes behind its unit when the first driver is bound to it.
has_group "$edu" || { to_vfio "$edu" && unbind "$edu"; }
check pages/driver "$(insmod /omniommu_pages_test.ko device="$edu" 2>&1)" [ -c /dev/omniommu-pages-test ]
pages-edu "$edu" 2>&1 | relay
check pages/rmmod "$(rmmod omniommu_pages_test 2>&1)" eval '! grep -q ^omniommu_pages_test /proc/modules'
check life/stop "$( { iommu_stop; } 2>&1 )" [ ! -e /sys/class/iommu/dmar0 ]
