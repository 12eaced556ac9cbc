# SPDX-License-Identifier: GPL-2.0
# Report groups, reserved regions and unit attributes; the host compares.
. /guest/lib-topology.sh
check iommu/up "the driver did not come up" iommu_up
report_topology
