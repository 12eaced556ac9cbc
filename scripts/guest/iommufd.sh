# SPDX-License-Identifier: GPL-2.0
# iommufd and VFIO cdevs with edu devices. IOMMUFD: the cases, comma separated; IOMMUFD_ARGS:
# further words. At the end the module leaves and comes back: nothing holds it any more.
. /guest/lib-life.sh
check iommu/up "the driver did not come up" iommu_up
echo 1 > /sys/module/iommufd/parameters/allow_unsafe_interrupts
# shellcheck disable=SC2086 # words are meant
iommufd-edu "$IOMMUFD" $IOMMUFD_ARGS 2>&1 | relay
if [ "$DRIVER" != ref ]; then
	drivers_off
	check life/leave-and-return "see the lines before" leave_and_return
fi
