# SPDX-License-Identifier: GPL-2.0
# The boot that the installation was for: the module comes before every driver, and the disk that
# the root file system is on does its DMA through it. Then the package is removed and purged.

when() { dmesg | sed -n "s/^\[ *\([0-9.]*\)\] .*$1.*/\1/p" | head -n 1; }
module=$(when 'omniommu: [0-9]* units* on')
disk=$(when 'nvme nvme0: pci function')
note "omniommu at $module s, nvme at $disk s"
check early/loaded "no unit is on" [ -n "$module" ]
check early/before-nvme "omniommu at '$module' s, nvme at '$disk' s" \
	sh -c "echo '$module $disk' | awk '{ exit !(NF == 2 && \$1 < \$2) }'"

dev=$(disk_called root)
case $(type_of "$dev") in
DMA|DMA-FQ) pass early/root-translated ;;
*) fail early/root-translated "the root disk $dev has type '$(type_of "$dev")'" ;;
esac
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
before=$(ledger_value ops.map)
dd if=/dev/urandom of=/root/data bs=1M count=24 2>/dev/null
sum=$(sha256sum < /root/data)
sync
drop_caches
check early/root-data "read back something else" [ "$sum" = "$(sha256sum < /root/data)" ]
check early/root-mapped "maps before $before, after $(ledger_value ops.map)" \
	[ "$(ledger_value ops.map)" -gt "$before" ]
rm /root/data
tools_work tools/early "$dev"

# A driver that is built into the kernel was there before any module, this one's shared folder's
# for one.
identity=
for d in /sys/bus/pci/devices/*; do
	[ -e "$d/driver/module/initstate" ] || continue
	d=$(basename "$d")
	[ "$(type_of "$d")" != identity ] || identity="$identity $d ($(driver_of "$d"))"
done
check early/all-translated "on identity:$identity" [ -z "$identity" ]
check early/options "acs is $(cat /sys/module/omniommu/parameters/acs)" \
	[ "$(cat /sys/module/omniommu/parameters/acs)" = N ]
check early/vfio-option "not set" sh -c 'modprobe vfio_iommu_type1 &&
	[ "$(cat /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts)" = Y ]'
modprobe -r vfio_iommu_type1
failed=$(systemctl list-units --failed --no-legend --plain | cut -d' ' -f1 | paste -s -d' ')
check early/system-up "failed: $failed" [ -z "$failed" ]

PREFLIGHT=omniommu-preflight
preflight_says preflight/at-work 1 ok/loaded NOTE/identity
check preflight/root-not-named "the root disk is called untranslated" \
	sh -c "! grep -q 'on identity.*$dev' /tmp/preflight"
dmesg -C
if iommu_stop 2>/dev/null; then
	fail early/stop-refused "it stopped below the root file system"
else
	check early/stop-refused "the log does not name $dev" sh -c "dmesg | grep -q 'stop: $dev (nvme)'"
fi

# The administrator's own file, as the sample says.
rm /etc/modprobe.d/omniommu.conf
check deb/remove "dpkg failed" run dpkg -r omniommu-dkms
if in_initramfs omniommu.ko; then
	fail deb/out-of-initramfs "the module is still there"
else
	pass deb/out-of-initramfs
fi
check deb/module-gone "$(find /lib/modules -name 'omniommu*')" [ -z "$(find /lib/modules -name 'omniommu*')" ]
check deb/settings-kept "removal is not purge" [ -e /etc/default/omniommu ]
check deb/purge "dpkg failed" run dpkg -P omniommu-dkms
nothing_left deb/nothing-left /mnt/manifest
keep_initramfs
