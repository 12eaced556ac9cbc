#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Install what building and testing omniommu needs, and print the guest kernel to use.
#
# Usage: setup.sh            install what is missing, print "KVER=<version>"
#        setup.sh --all      and what the whole of the tests needs: to build test kernels, for arm64,
#                            and the programs of a Debian that guests look at the driver with
#        setup.sh --check    install nothing; say what is missing, exit 1 if anything is
#        setup.sh --kver     print the version alone (nothing is installed)
#        setup.sh --kdir     print the headers directory of that version
#        setup.sh --packages <why> <package>...
#                            install these packages alone, if missing, for something that not
#                            everybody needs
#
# The guest kernel is the newest Debian 6.12 for amd64 of which the image and the headers are
# both installed. Nothing outside the package manager's own files is changed.

set -eu

mode=${1:-install}
why=

versions()	# image and headers present, newest last
{
	for image in /boot/vmlinuz-6.12*-amd64; do
		v=${image#/boot/vmlinuz-}
		case $v in *-rt-amd64|*-cloud-amd64|'6.12*-amd64') continue ;; esac
		[ -d "/lib/modules/$v/kernel" ] && [ -e "/usr/src/linux-headers-$v/Makefile" ] &&
			echo "$v"
	done | sort -V
}

missing=
need()		# need <package> <command or file>...
{
	pkg=$1; shift
	for what; do
		case $what in
		/*) [ -e "$what" ] || { missing="$missing $pkg"; return; } ;;
		*)  PATH="$PATH:/usr/sbin:/sbin" command -v "$what" >/dev/null 2>&1 ||
			{ missing="$missing $pkg"; return; } ;;
		esac
	done
}

kver=$(versions | tail -n 1)
case $mode in
--kver) [ -n "$kver" ] || exit 1; echo "$kver"; exit 0 ;;
--kdir) [ -n "$kver" ] || exit 1; echo "/usr/src/linux-headers-$kver"; exit 0 ;;
install|--all|--check) ;;
--packages)
	why=${2:?setup.sh: --packages wants a reason and packages}
	shift 2
	for p; do
		dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -q -x installed ||
			missing="$missing $p"
	done
	[ -n "$missing" ] || exit 0 ;;
*) echo "setup.sh: unknown option '$mode' (want --all, --check, --kver, --kdir, --packages or nothing)" >&2; exit 2 ;;
esac

needs()
{
	need qemu-system-x86 qemu-system-x86_64
	need busybox-static busybox
	need kmod modinfo
	need kexec-tools kexec
	need acpica-tools iasl
	need gcc gcc
	need ccache ccache
	need make make
	need python3 python3
	need libc6-dev /usr/include/stdio.h
	need linux-libc-dev /usr/include/linux/vfio.h
	# The dynamic busybox package answers to the same name, and cannot run in a bare initramfs.
	if command -v busybox >/dev/null 2>&1 && ldd "$(command -v busybox)" >/dev/null 2>&1; then
		missing="$missing busybox-static"
	fi
	[ -n "$kver" ] || missing="$missing linux-image-6.12-amd64 linux-headers-6.12-amd64"
}
needs_all()	# as scripts/kernels.sh, arm64.sh and see_boots.py ask for them
{
	need linux-source-6.12 /usr/src/linux-source-6.12.tar.xz
	need flex flex
	need bison bison
	need bc bc
	need libelf-dev /usr/include/libelf.h
	need libssl-dev /usr/include/openssl/ssl.h
	need xz-utils xz
	need ccache ccache
	need gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc-12 aarch64-linux-gnu-gcc
	need libc6-dev-arm64-cross /usr/aarch64-linux-gnu/include/stdio.h
	need qemu-system-arm qemu-system-aarch64
	need qemu-efi-aarch64 /usr/share/qemu-efi-aarch64/QEMU_EFI.fd
	need trace-cmd trace-cmd
	need bpftrace bpftrace
	need linux-perf perf
	need pciutils lspci
	need libvirt-clients virsh
}
[ "$mode" = --packages ] || needs
if [ "$mode" = --all ]; then
	needs_all
	mode=install
fi

if [ -z "$missing" ]; then
	[ "$mode" != install ] || echo "KVER=$kver"
	exit 0
fi
if [ "$mode" = --check ]; then
	echo "setup.sh: missing:$missing (run scripts/setup.sh to install)" >&2
	exit 1
fi
command -v apt-get >/dev/null 2>&1 || {
	echo "setup.sh: no apt-get here; install by hand:$missing" >&2
	exit 1
}

sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null 2>&1 || {
		echo "setup.sh: installing packages needs root; run this script as root" >&2
		exit 1
	}
	sudo=sudo
fi
echo "Installing Debian packages with apt-get${why:+ $why}:$missing"
echo "That, and only that, needs root${sudo:+ (sudo may ask for your password once)}: nothing is loaded into this machine's kernel."

# One root shell, so that the password is asked for once.
$sudo env DEBIAN_FRONTEND=noninteractive MISSING="$missing" sh -eu -c '
	apt-get -o DPkg::Lock::Timeout=300 update -q
	want=
	for p in $MISSING; do
		case $p in
		linux-image-6.12-amd64|linux-headers-6.12-amd64) ;;
		*) want="$want $p" ;;
		esac
	done
	case $MISSING in *linux-image-6.12*)
		v=$(apt-cache search --names-only "^linux-image-6\.12[^ ]*-amd64$" | cut -d" " -f1 |
			sed -n "s/^linux-image-\(6\.12\..*\)$/\1/p" |
			grep -v -e -rt-amd64 -e -cloud-amd64 | sort -V |
			while read -r v; do
				apt-cache show "linux-headers-$v" >/dev/null 2>&1 && echo "$v"
			done | tail -n 1)
		[ -n "$v" ] || { echo "setup.sh: the package sources offer no linux-image-6.12*-amd64" \
			"with headers; enable the suite (or its backports) that has it" >&2; exit 1; }
		want="$want linux-image-$v linux-headers-$v" ;;
	esac
	apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends $want
'
[ "$mode" != --packages ] || exit 0
kver=$(versions | tail -n 1)
[ -n "$kver" ] || { echo "setup.sh: no usable 6.12 kernel after installing" >&2; exit 1; }
echo "KVER=$kver"
