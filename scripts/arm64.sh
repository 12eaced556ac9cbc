#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What building and testing for arm64 needs beside setup.sh's packages, on an amd64 machine.
#
# Usage: arm64.sh            fetch what is missing, print the root it was unpacked under
#        arm64.sh --kver     the guest kernel's version
#        arm64.sh --kdir     what to build modules against
#        arm64.sh --check    change nothing; exit 1 if anything is missing
#
# A cross compiler and QEMU are installed from Debian like other packages (root, once). Debian's
# arm64 kernel, its headers, a static busybox and kexec are only downloaded and unpacked under
# ${XDG_CACHE_HOME:-~/.cache}/omniommu/arm64: installed, the arm64 headers would push out parts
# of the amd64 toolchain. apt gets lists of its own there, so the machine's package manager never
# hears of a second architecture, and nothing of that needs root.

set -eu

mode=${1:-fetch}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/omniommu/arm64
say() { echo "arm64: $*" >&2; }

case $mode in
fetch|--kver|--kdir|--check) ;;
*) echo "arm64.sh: unknown option '$mode' (want --kver, --kdir, --check or nothing)" >&2; exit 2 ;;
esac

missing=
command -v aarch64-linux-gnu-gcc-12 >/dev/null 2>&1 || missing="$missing gcc-aarch64-linux-gnu"
[ -e /usr/aarch64-linux-gnu/include/stdio.h ] || missing="$missing libc6-dev-arm64-cross"
command -v qemu-system-aarch64 >/dev/null 2>&1 || missing="$missing qemu-system-arm"
[ -e /usr/share/qemu-efi-aarch64/QEMU_EFI.fd ] || missing="$missing qemu-efi-aarch64"

# What is in it, so that a list that has grown is noticed.
packages="busybox-static kexec-tools libc6 zlib1g libxenmisc4.17 libxencall1 libxendevicemodel1
	libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxentoolcore1 libxentoollog1"

root=$(find "$cache" -mindepth 2 -maxdepth 2 -name .complete 2>/dev/null | sort -V | tail -n 1)
root=${root%/.complete}
[ "$(cat "$root/.complete" 2>/dev/null)" = "$packages" ] || root=
if [ "$mode" = --check ]; then
	[ -z "$missing" ] || { say "missing packages:$missing"; exit 1; }
	[ -n "$root" ] || { say "the arm64 kernel is not unpacked"; exit 1; }
	exit 0
fi

if [ -n "$missing" ]; then
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	say "needs root once, to install a cross compiler and an emulator:$missing"
	$sudo apt-get update -q >&2 || true
	# shellcheck disable=SC2086
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2
fi

fetch()
{
	mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial"
	: > "$cache/apt/status"
	cat > "$cache/apt/apt.conf" <<-CONF
		APT::Architecture "arm64";
		APT::Architectures { "arm64"; "amd64"; };
		APT::Sandbox::User "";
		Dir::State::lists "$cache/apt/lists";
		Dir::State::status "$cache/apt/status";
		Dir::Cache "$cache/apt/cache";
	CONF
	export APT_CONFIG="$cache/apt/apt.conf"
	say "reading Debian's package lists for arm64"
	apt-get update -qq >&2 || say "not every package source answered; going on with those that did"
	v=$(apt-cache search --names-only '^linux-image-6\.12[^ ]*-arm64$' | cut -d' ' -f1 |
		sed -n 's/^linux-image-\(6\.12\..*\)-arm64$/\1/p' | grep -v -e -rt -e -cloud |
		sort -V | while read -r v; do
			apt-cache show "linux-headers-$v-arm64" >/dev/null 2>&1 && echo "$v"
		done | tail -n 1)
	[ -n "$v" ] || { say "the package sources offer no linux-image-6.12*-arm64 with headers"; return 1; }
	root=$cache/$v
	rm -rf "$root.tmp" "$root"
	mkdir -p "$root.tmp/deb"
	say "downloading and unpacking Debian's arm64 kernel $v"
	# shellcheck disable=SC2086
	(cd "$root.tmp/deb" && apt-get download -qq "linux-image-$v-arm64" "linux-headers-$v-arm64" \
		"linux-headers-$v-common" "linux-kbuild-$v:amd64" $packages >&2)
	for deb in "$root.tmp"/deb/*.deb; do dpkg -x "$deb" "$root.tmp"; done
	rm -r "$root.tmp/deb"
	# The one absolute path in it.
	echo "include $root/usr/src/linux-headers-$v-common/Makefile" \
		> "$root.tmp/usr/src/linux-headers-$v-arm64/Makefile"
	depmod -b "$root.tmp" "$v-arm64"
	mv "$root.tmp" "$root"
	echo "$packages" > "$root/.complete"
}

if [ -z "$root" ]; then
	mkdir -p "$cache"
	PATH=$PATH:/usr/sbin:/sbin
	exec 9> "$cache/.lock"
	flock 9
	fetch
fi
v=${root##*/}-arm64
case $mode in
--kver) echo "$v" ;;
--kdir) echo "$root/usr/src/linux-headers-$v" ;;
*) echo "$root" ;;
esac
