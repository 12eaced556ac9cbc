# SPDX-License-Identifier: GPL-2.0
# VFIO type1 with edu devices. VFIO: the cases, comma separated; VFIO_ARGS: further words.
[ "$SCRIPT" != vfio ] || check iommu/up "the driver did not come up" iommu_up
load vfio-pci vfio_iommu_type1
echo 1 > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
# shellcheck disable=SC2086 # words are meant
vfio-edu "$VFIO" $VFIO_ARGS 2>&1 | relay
