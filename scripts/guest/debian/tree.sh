# SPDX-License-Identifier: GPL-2.0
# After the purge: the machine boots as if nothing had been. Then the same from a checkout:
# `make dkms-install`, loading by hand, one device moved to translation, `make dkms-remove`.

check gone/not-loaded "it is" [ ! -e /sys/module/omniommu ]
check gone/no-groups "some device has a group" [ -z "$(ls /sys/kernel/iommu_groups)" ]
manifest /tmp/before

PREFLIGHT=/mnt/preflight
preflight_says preflight/right-boot 2 CHANGE/no-module ok/in-tree-driver ok/interrupt-remapping

# The shared folder's files belong to nobody here; a checkout's belong to who builds.
cp -r /mnt/tree /root/tree
chown -R root: /root/tree
cd /root/tree || exit
note "make dkms-install: DKMS compiles the module"
check tree/install "make dkms-install failed" run make -s dkms-install
check tree/says-left-out "not a word on the other kernel" grep -q "unsupported-kernel.*Linux 6.1\." /tmp/out
run dkms status
check tree/built-by-dkms "dkms status does not say installed" \
	grep -q "^omniommu/.*, $VERSION, .*: installed" /tmp/out
PREFLIGHT=omniommu-preflight
preflight_says preflight/ready 1 ok/module ok/wing ok/in-tree-driver ok/interrupt-remapping \
	NOTE/identity NOTE/vfio

check tree/load "modprobe failed" run modprobe omniommu
check tree/bound-stays "the root disk has type '$(type_of "$(disk_called root)")'" \
	[ "$(type_of "$(disk_called root)")" = identity ]
preflight_says preflight/loaded-late 1 ok/loaded NOTE/identity
preflight_names preflight/names-root-disk "$(disk_called root)"

# As the README says.
dev=$(disk_called data)
unbind "$dev"
set_type "$dev" DMA-FQ
bind nvme "$dev"
wait_for_disk() { local n=100; while [ $n -gt 0 ]; do nvme_disk "$dev" && return; sleep 0.1; n=$((n - 1)); done; return 1; }
disk=$(wait_for_disk)
check tree/moved "type '$(type_of "$dev")'" [ "$(type_of "$dev")" = DMA-FQ ]
check tree/moved-data "data differ" disk_round_trip "$disk" 8
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
tools_work tools/tree "$dev"
unbind "$dev"
check tree/stop "it is in use" iommu_stop
check tree/rmmod "rmmod failed" run rmmod omniommu
bind nvme "$dev"

check tree/remove "make dkms-remove failed" run make -s dkms-remove
nothing_left tree/nothing-left /tmp/before
