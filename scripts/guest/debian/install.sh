# SPDX-License-Identifier: GPL-2.0
# A Debian as it boots by itself: the package is installed, DKMS builds the module, nothing is
# loaded; then the administrator asks for it in the initramfs.

manifest /mnt/manifest

PREFLIGHT=/mnt/preflight
preflight_says preflight/default-boot 3 CHANGE/no-module CHANGE/in-tree-driver \
	CHANGE/interrupt-remapping NOTE/identity NOTE/vfio ok/kernel
preflight_names preflight/parameter-driver "Boot with intel_iommu=off"
preflight_names preflight/parameter-remapping "Boot with intremap=off"
mv "/lib/modules/$VERSION/build" /tmp/build
preflight_says preflight/no-headers 3 CHANGE/no-headers
mv /tmp/build "/lib/modules/$VERSION/build"

note "dpkg installs the package; DKMS compiles the module"
check deb/install "dpkg failed" run dpkg -i "/mnt/$DEB"
run dkms status
check deb/built-by-dkms "dkms status does not say installed" \
	grep -q "^omniommu/.*, $VERSION, .*: installed" /tmp/out
check deb/nothing-loaded "the module is loaded" [ ! -e /sys/module/omniommu ]
if in_initramfs omniommu; then
	fail initramfs/not-unasked "something of omniommu is in the initramfs"
else
	pass initramfs/not-unasked
fi

check tools/manuals "some are missing" \
	ls /usr/share/man/man8/omniommu-preflight.8.gz /usr/share/man/man8/omnistat.8.gz \
	/usr/share/man/man8/iovamap.8.gz
omnistat -1 > /tmp/out 2>&1
check tools/no-module "$(tail -n 1 /tmp/out)" grep -q "is omniommu loaded" /tmp/out

run modinfo omniommu
check module/version "not $DEB's" [ "omniommu-dkms_$(modinfo -F version omniommu)_all.deb" = "$DEB" ]
drives=$(modinfo -F drives omniommu | sort | paste -s -d,)
check module/drives "modinfo says '$drives'" [ "$drives" = "AMD-Vi,Intel VT-d" ]
check module/parameters-described "some parameter has no words" \
	[ "$(modinfo -F parm omniommu | grep -c ':[A-Za-z]')" = \
	  "$(modinfo -F parm omniommu | wc -l)" ]
check module/no-alias "udev would load it: $(modinfo -F alias omniommu)" \
	[ -z "$(modinfo -F alias omniommu)" ]
check module/signed "no signer" [ -n "$(modinfo -F signer omniommu)" ]
note "signed by $(modinfo -F signer omniommu)"

other=$(basename /lib/modules/6.1.*)
check dkms/other-kernel-here "no headers of another kernel" [ -e "/lib/modules/$other/build/Makefile" ]
if run dkms install "omniommu/$(modinfo -F version omniommu)" -k "$other"; then
	fail dkms/refuses-other-kernel "it built for $other"
else
	pass dkms/refuses-other-kernel
fi
check dkms/says-why "no reason given" \
	grep -q "omniommu: not built for kernel $other: .*Linux 6.12" /tmp/out
# As the package of a kernel does when it is installed: not an error, but no module.
check dkms/kernel-upgrade "the installation of another kernel fails" \
	run /etc/kernel/postinst.d/dkms "$other"
check dkms/upgrade-says-why "no reason given" grep -q "omniommu: not built for kernel $other" /tmp/out
check dkms/no-module-for-other "there is one" [ -z "$(find "/lib/modules/$other/" -name 'omniommu*')" ]

PREFLIGHT=omniommu-preflight
preflight_says preflight/installed 3 ok/module CHANGE/in-tree-driver CHANGE/interrupt-remapping
dmesg -C
if modprobe omniommu 2>/tmp/err; then
	fail module/refuses "it was loaded beside the in-tree driver"
else
	pass module/refuses
fi
check module/refuses-in-words "the log has no parameter" sh -c "dmesg | grep -q 'omniommu:.*intel_iommu=off'"

cp /usr/share/omniommu/modprobe.conf /etc/modprobe.d/omniommu.conf
sed -i -e '/options/s/^#//' -e '/^options omniommu/s/acs=Y/acs=N/' /etc/modprobe.d/omniommu.conf
modprobe -c > /tmp/modprobe
check modprobe/sample "modprobe does not take it" \
	sh -c "grep -q '^options omniommu acs=N' /tmp/modprobe &&
	       grep -q '^options vfio_iommu_type1 allow_unsafe_interrupts=1' /tmp/modprobe"
sed 's/^#softdep nvme/softdep nvme/' /usr/share/omniommu/modprobe.conf > /etc/modprobe.d/omniommu2.conf
check modprobe/softdep "nvme does not pull omniommu in" \
	sh -c "modprobe --show-depends -R nvme >/dev/null; modprobe -c | grep -q '^softdep nvme pre: omniommu'"
rm /etc/modprobe.d/omniommu2.conf

sed -i s/^LOAD_AT_BOOT=no/LOAD_AT_BOOT=yes/ /etc/default/omniommu
check initramfs/update "update-initramfs failed" run update-initramfs -u
unmkinitramfs "/boot/initrd.img-$VERSION" /tmp/initramfs
check initramfs/has-module "it is not there" \
	[ -n "$(find /tmp/initramfs -path '*/updates/dkms/omniommu.ko')" ]
order=$(find /tmp/initramfs -path '*/scripts/init-top/ORDER' -exec cat {} + |
	sed -n 's|^/scripts/init-top/\([a-z_]*\) .*|\1|p' | paste -s -d' ')
case " $order " in
*" omniommu "*udev*) pass initramfs/before-udev ;;
*) fail initramfs/before-udev "the order is: $order" ;;
esac
rm -rf /tmp/initramfs
keep_initramfs
