#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Install omniommu for good: its sources where DKMS finds them, omniommu-preflight, omnistat and
# iovamap, the hook that puts the module into the initramfs.
#
# Usage: install.sh files <directory>   the files alone, below a directory (for packages)
#        install.sh dkms [kernel...]    files, then build and install for the kernels named, or for
#                                       every supported kernel that has headers
#        install.sh remove              undo that

set -eu
cd "$(dirname "$0")/.."

version=$(sed -n 's/^MODULE_VERSION("\(.*\)");$/\1/p' iommu_core.c)
source=/usr/src/omniommu-$version

die() { echo "install.sh: $*" >&2; exit 1; }

# The Kbuild sources: kunit/ and what a build left behind stay out.
sources()
{
	echo Kbuild
	for f in *.[ch] include/*.h vtd/*.[ch] amd/*.[ch] smmu/*.[ch]; do
		case $f in
		*'*'*|*.mod.c) ;;
		*) echo "$f" ;;
		esac
	done
}

put()	# put <mode> <from> <to>
{
	install -D -p -m "$1" "$2" "$3"
}

files()
{
	for f in $(sources) COPYING; do
		put 644 "$f" "$1$source/$f"
	done
	put 644 dkms.conf "$1$source/dkms.conf"
	put 755 scripts/preflight "$1/usr/sbin/omniommu-preflight"
	put 755 scripts/omnistat "$1/usr/sbin/omnistat"
	put 755 scripts/iovamap "$1/usr/sbin/iovamap"
	for f in install/*.8; do
		put 644 "$f" "$1/usr/share/man/man8/${f#install/}"
	done
	put 755 install/initramfs-hook "$1/usr/share/initramfs-tools/hooks/omniommu"
	put 755 install/initramfs-load "$1/usr/share/initramfs-tools/scripts/init-top/omniommu"
	put 644 install/modprobe.conf "$1/usr/share/omniommu/modprobe.conf"
	[ -e "$1/etc/default/omniommu" ] || put 644 install/default "$1/etc/default/omniommu"
}

remake_initramfs()
{
	if command -v update-initramfs >/dev/null 2>&1; then
		echo "Updating the initramfs, so that it has (or no longer has) the module"
		update-initramfs -u
	fi
}

check_machine()
{
	[ "$(id -u)" = 0 ] || die "this changes the system: run it as root"
	command -v dkms >/dev/null 2>&1 || die "DKMS is missing; install the package dkms"
	! dpkg-query -W -f '${db:Status-Status}' omniommu-dkms 2>/dev/null | grep -q -x installed ||
		die "the package omniommu-dkms is installed and has the same files; remove it first"
}

# Supported kernels with headers, and in words why the others are left out.
choose_kernels()
{
	for build in /lib/modules/*/build; do
		[ -e "$build/Makefile" ] || continue
		v=${build%/build}
		v=${v#/lib/modules/}
		if scripts/preflight --kernel "$v" | grep '^CHANGE  unsupported-kernel' >&2; then
			continue
		fi
		echo "$v"
	done
}

dkms_install()
{
	check_machine
	[ $# -gt 0 ] || set -- $(choose_kernels)
	if [ $# = 0 ]; then
		scripts/preflight | grep -e kernel -e no-headers >&2 || true
		die "there is no supported kernel with headers here: nothing was installed"
	fi
	if [ -e "/var/lib/dkms/omniommu" ]; then
		for old in /var/lib/dkms/omniommu/*/source; do
			[ -e "$old" ] || continue
			old=$(basename "$(dirname "$old")")
			echo "Taking out omniommu $old, which was installed before"
			dkms remove "omniommu/$old" --all
			rm -rf "/usr/src/omniommu-$old"
		done
	fi
	files ""
	dkms add "omniommu/$version"
	for kernel; do
		if ! dkms install "omniommu/$version" -k "$kernel"; then
			dkms remove "omniommu/$version" --all >/dev/null 2>&1 || true
			remove_files
			die "DKMS could not build it for kernel $kernel (see above): nothing was installed"
		fi
	done
	remake_initramfs
	echo "Installed. Nothing is loaded yet: omniommu-preflight says what has to change first."
}

remove_files()
{
	rm -rf "$source" /usr/share/omniommu
	for f in install/*.8; do
		f=${f#install/}
		rm -f "/usr/sbin/${f%.8}" "/usr/share/man/man8/$f"
	done
	rm -f /usr/share/initramfs-tools/hooks/omniommu \
		/usr/share/initramfs-tools/scripts/init-top/omniommu /etc/default/omniommu
}

dkms_remove()
{
	check_machine
	[ -e "$source" ] || die "omniommu $version is not installed"
	if [ -e "/var/lib/dkms/omniommu/$version" ]; then
		dkms remove "omniommu/$version" --all
	fi
	remove_files
	remake_initramfs
}

case ${1-} in
files) [ $# = 2 ] || die "files wants a directory"; files "${2%/}" ;;
dkms) shift; dkms_install "$@" ;;
remove) dkms_remove ;;
*) sed -n '4,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac
