# SPDX-License-Identifier: GPL-2.0
# A short tour on a variant of the machine: every disk and card found moves data through the
# driver, then the module leaves and comes back. MIB: how much each disk writes.
. /guest/lib-dma.sh
. /guest/lib-topology.sh
. /guest/lib-life.sh
virtio_release
check iommu/up "the driver did not come up" iommu_up
virtio_return
report_topology
n=0
for d in /sys/bus/pci/devices/*; do
	dev=$(basename "$d")
	case $(cat "$d/vendor" "$d/device" | tr '\n' ' ') in
	"0x1b36 0x0010 ")
		n=$((n + 1))
		check "nvme$n/data" "data read back differ" eval 'nvme_ready "$dev" && disk_round_trip "$DISK" ${MIB:-16}'
		note "$dev is in group $(group_of "$dev") of type $(type_of "$dev")" ;;
	"0x8086 0x10d3 ")
		load e1000e
		check "e1000e/data" "echoed data differ" eval 'net_up "$dev" && echo_round_trip 512'
		ifconfig "$(find_net "$dev")" down ;;
	"0x8086 0x100e ")
		load e1000
		check "e1000/data" "echoed data differ" eval 'net_up "$dev" && echo_round_trip 512'
		ifconfig "$(find_net "$dev")" down ;;
	"0x1af4 0x1041 "|"0x1af4 0x1000 ")
		load virtio_net
		check "virtio-net/data" "echoed data differ" eval 'net_up "$dev" && echo_round_trip 512'
		if [ -n "$ATS" ]; then
			check "virtio-net/ats" "the device has no ATS enabled ($(ats_state "$dev"))" ats_on "$dev"
		fi
		ifconfig "$(find_net "$dev")" down ;;
	esac
done
if [ -n "$VFIO" ]; then
	. /guest/vfio.sh
fi
if [ "$DRIVER" != ref ]; then
	drivers_off
	check life/leave-and-return "see the lines before" leave_and_return
fi
